//! `/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Channels`: capacity of one Worker on one TaskChannel. They follow
//! Workers and TaskChannels, so there is no create and no delete. Reference: rest-contract, section 6.5.

use std::sync::Arc;

use pointsman_engine::{Command, Id, Sid, State, TaskChannel, Worker, WorkerChannel};

use super::{account_sid, workspace_sid};
use crate::errors::ApiError;
use crate::execute::Outcome;
use crate::listing;
use crate::page::{Edge, Page};
use crate::parameters::{Param, bool, capacity};
use crate::request::{Request, segment};
use crate::table::{Change, Mount, NamedBy, Resource, Shape, fetch, field, list, update, url};
use crate::target::Target;

const CAPACITY: Param<u32> = capacity("Capacity", "Tasks of this channel that the Worker may have at a time, 0 to 50.");
const AVAILABLE: Param<bool> = bool("Available", "Whether the Worker is offered Tasks of this channel.");

/// A worker channel with what it is shown with.
#[derive(Clone, Debug)]
pub struct WorkerChannelRow {
    worker: Sid<Worker>,
    task_channel: Sid<TaskChannel>,
    unique_name: Arc<str>,
    channel: WorkerChannel,
}

impl WorkerChannelRow {
    pub(crate) fn find(state: &State, worker: Id<Worker>, task_channel: Id<TaskChannel>) -> Option<Self> {
        let worker = state.worker(worker)?;
        let task_channel = state.task_channel(task_channel)?;
        Some(Self {
            worker: worker.sid,
            task_channel: task_channel.sid,
            unique_name: Arc::clone(&task_channel.unique_name),
            channel: worker.channel(task_channel.id)?.clone(),
        })
    }
}

pub static WORKER_CHANNEL: Resource<WorkerChannelRow> = Resource {
    name: "WorkerChannel",
    schema: "taskrouter.v1.workspace.worker.worker_channel",
    doc: "Capacity and load of one Worker on one TaskChannel.",
    fields: &[
        account_sid(),
        field("assigned_tasks", Shape::Integer, "Accepted reservations on the channel.", |row, _| {
            row.channel.accepted.into()
        }),
        field("available", Shape::Bool, "The Worker is offered Tasks of the channel.", |row, _| {
            row.channel.available.into()
        }),
        field(
            "available_capacity_percentage",
            Shape::Integer,
            "Free share of the capacity; pending, accepted and wrapping reservations use it.",
            |row, _| row.channel.available_capacity_percentage().into(),
        ),
        field("configured_capacity", Shape::Integer, "Tasks at a time.", |row, _| row.channel.capacity.into()),
        field("date_created", Shape::Date, "When it was created.", |row, _| row.channel.date_created.into()),
        field("date_updated", Shape::Date, "When its settings last changed.", |row, _| row.channel.date_updated.into()),
        field("sid", Shape::Sid("WC"), "Identifier of the worker channel.", |row, _| row.channel.sid.into()),
        field("task_channel_sid", Shape::Sid("TC"), "Its TaskChannel.", |row, _| row.task_channel.into()),
        field("task_channel_unique_name", Shape::Text, "Unique name of its TaskChannel.", |row, _| {
            (&*row.unique_name).into()
        }),
        field("worker_sid", Shape::Sid("WK"), "Its Worker.", |row, _| row.worker.into()),
        workspace_sid(),
        url("/v1/Workspaces/{workspace_sid}/Workers/{worker_sid}/Channels/{sid}"),
    ],
    version: None,
    named_by: NamedBy::SidOrName,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Channels",
            list_key: "channels",
            find: |state, segments| Some(Target::Worker(state.find_worker(segment(segments, 0)?)?.id)),
            operations: &[list("ListWorkerChannel", "Lists the channels of a Worker.", &[], list_channels)],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Channels/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchWorkerChannel", "Returns one channel of a Worker."),
                update(
                    "UpdateWorkerChannel",
                    "Changes capacity or availability of a Worker on a channel.",
                    &[CAPACITY.spec, AVAILABLE.spec],
                    update_channel,
                ),
            ],
        },
    ],
};

/// `{Sid}` is the SID of the worker channel, or SID or unique name of its TaskChannel.
fn find(state: &State, segments: &[String]) -> Option<Target> {
    let worker = state.find_worker(segment(segments, 0)?)?;
    let named = segments.get(1)?;
    let channel = match Sid::<WorkerChannel>::parse(named) {
        Some(sid) => worker.channels.iter().find(|channel| channel.sid == sid)?,
        None => worker.channel(super::task_channel::by_sid_or_name(state, named)?.id)?,
    };
    Some(Target::WorkerChannel(worker.id, channel.task_channel))
}

fn list_channels(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let Target::Worker(id) = request.target else { unreachable!("the mount finds Workers") };
    let worker = request.state.worker(id).expect("found in this turn");
    let page = Page::of::<WorkerChannel>(request.call)?;
    let rows: Vec<WorkerChannelRow> = worker
        .channels
        .iter()
        .map(|channel| {
            WorkerChannelRow::find(request.state, id, channel.task_channel).expect("channels have TaskChannels")
        })
        .collect();
    let numbered = rows.iter().zip(1..);
    let found =
        numbered.clone().map(|(row, number)| (Edge { sid: row.channel.sid.bytes(), position: vec![number] }, row));
    let anchor = |sid| numbered.clone().find(|(row, _)| row.channel.sid.bytes() == sid).map(|(_, number)| vec![number]);
    let slice = listing::sorted(request, &page, found.collect(), 1, anchor)?;
    Ok(listing::answer::<WorkerChannel, _>(request, &WORKER_CHANNEL, &page, &slice))
}

fn update_channel(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::WorkerChannel(worker, task_channel) = request.target else {
        unreachable!("the mount finds worker channels")
    };
    let command = Command::UpdateWorkerChannel {
        worker,
        task_channel,
        capacity: request.get(&CAPACITY),
        available: request.get(&AVAILABLE),
    };
    Ok(command.into())
}
