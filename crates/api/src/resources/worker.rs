//! `/v1/Workspaces/{WorkspaceSid}/Workers`: those who can be given Tasks. Reference: rest-contract, sections 6.3, 6.4.

use std::sync::Arc;

use pointsman_engine::{Activity, Command, Sid, State, TaskQueue, UpdateWorker, Worker};
use pointsman_expression::{Attributes, Expression, Scope};

use super::{account_sid, workspace_sid};
use crate::errors::ApiError;
use crate::execute::Outcome;
use crate::listing::{self, Orderable, by_instant, same_name};
use crate::parameters::{Param, attributes, bool, expression, flag, name, sid, text};
use crate::request::{Request, segment};
use crate::table::{
    Change, Context, Mount, NamedBy, Resource, Shape, create, delete, fetch, field, link, links, list, update, url,
};
use crate::target::Target;

const NEW_FRIENDLY_NAME: Param<Arc<str>> =
    name("FriendlyName", "Name, up to 64 characters, unique in the Workspace without regard to case.").required();
const NEW_ACTIVITY_SID: Param<Sid<Activity>> = sid("ActivitySid", "First Activity; by default the Workspace's.");
const NEW_ATTRIBUTES: Param<Attributes> =
    attributes("Attributes", "JSON object that describes the Worker; `{}` by default.");

const FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "New name.");
const ACTIVITY_SID: Param<Sid<Activity>> = sid("ActivitySid", "New Activity.");
const ATTRIBUTES: Param<Attributes> =
    attributes("Attributes", "JSON object that replaces the present attributes.").never_empty();
const REJECT_PENDING_RESERVATIONS: Param<bool> = bool(
    "RejectPendingReservations",
    "Reject the Worker's pending reservations; only when its Activity is not available after the request.",
);

const ACTIVITY_NAME_FILTER: Param<Arc<str>> = text("ActivityName", "Only Workers in the Activity of this name.");
const ACTIVITY_SID_FILTER: Param<Sid<Activity>> = sid("ActivitySid", "Only Workers in this Activity.");
const AVAILABLE_FILTER: Param<bool> = flag("Available", "Only Workers whose Activity has this availability.");
const NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the Worker of this name.");
const EXPRESSION_FILTER: Param<Arc<Expression>> =
    expression("TargetWorkersExpression", "Only Workers that match this expression.");
const TASK_QUEUE_NAME_FILTER: Param<Arc<str>> =
    text("TaskQueueName", "Only Workers eligible for the TaskQueue of this name.");
const TASK_QUEUE_SID_FILTER: Param<Sid<TaskQueue>> = sid("TaskQueueSid", "Only Workers eligible for this TaskQueue.");
const ORDERING: Param<Arc<str>> = text("Ordering", "`DateStatusChanged` or `DateUpdated`, with `:asc` or `:desc`.");

pub static WORKER: Resource<Worker> = Resource {
    name: "Worker",
    schema: "taskrouter.v1.workspace.worker",
    doc: "Someone or something that can handle Tasks.",
    fields: &[
        account_sid(),
        field("activity_name", Shape::Text, "Name of its Activity.", |worker, context| {
            (&*activity(worker, context).friendly_name).into()
        }),
        field("activity_sid", Shape::Sid("WA"), "Its Activity.", |worker, context| {
            activity(worker, context).sid.into()
        }),
        field("attributes", Shape::Text, "JSON object that describes it, as posted.", |worker, _| {
            worker.attributes.text().into()
        }),
        field("available", Shape::Bool, "Its Activity lets it be given Tasks.", |worker, context| {
            activity(worker, context).available.into()
        }),
        field("date_created", Shape::Date, "When it was created.", |worker, _| worker.date_created.into()),
        field("date_status_changed", Shape::Date, "When its Activity last changed.", |worker, _| {
            worker.date_status_changed.into()
        }),
        field("date_updated", Shape::Date, "When its name or attributes last changed.", |worker, _| {
            worker.date_updated.into()
        }),
        field("friendly_name", Shape::Text, "Its name.", |worker, _| (&*worker.friendly_name).into()),
        field("sid", Shape::Sid("WK"), "Identifier of the Worker.", |worker, _| worker.sid.into()),
        workspace_sid(),
        url("/v1/Workspaces/{workspace_sid}/Workers/{sid}"),
        links(&[
            link("channels", "/v1/Workspaces/{workspace_sid}/Workers/{sid}/Channels"),
            link("activity", "/v1/Workspaces/{workspace_sid}/Activities/{activity_sid}"),
            link("workspace", "/v1/Workspaces/{workspace_sid}"),
            link("statistics", "/v1/Workspaces/{workspace_sid}/Workers/Statistics"),
            link("real_time_statistics", "/v1/Workspaces/{workspace_sid}/Workers/RealTimeStatistics"),
            link("cumulative_statistics", "/v1/Workspaces/{workspace_sid}/Workers/CumulativeStatistics"),
            link("worker_statistics", "/v1/Workspaces/{workspace_sid}/Workers/{sid}/Statistics"),
            link("worker_channels", "/v1/Workspaces/{workspace_sid}/Workers/{sid}/Channels"),
            link("reservations", "/v1/Workspaces/{workspace_sid}/Workers/{sid}/Reservations"),
        ]),
    ],
    version: Some(|worker| worker.version),
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers",
            list_key: "workers",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list(
                    "ListWorker",
                    "Lists Workers.",
                    &[
                        ACTIVITY_NAME_FILTER.spec,
                        ACTIVITY_SID_FILTER.spec,
                        AVAILABLE_FILTER.spec,
                        NAME_FILTER.spec,
                        EXPRESSION_FILTER.spec,
                        TASK_QUEUE_NAME_FILTER.spec,
                        TASK_QUEUE_SID_FILTER.spec,
                        ORDERING.spec,
                    ],
                    list_workers,
                ),
                create(
                    "CreateWorker",
                    "Adds a Worker.",
                    &[NEW_FRIENDLY_NAME.spec, NEW_ACTIVITY_SID.spec, NEW_ATTRIBUTES.spec],
                    create_worker,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchWorker", "Returns one Worker."),
                update(
                    "UpdateWorker",
                    "Changes a Worker: its Activity, attributes or name.",
                    &[ACTIVITY_SID.spec, ATTRIBUTES.spec, FRIENDLY_NAME.spec, REJECT_PENDING_RESERVATIONS.spec],
                    update_worker,
                ),
                delete("DeleteWorker", "Deletes a Worker that is off duty.", delete_worker),
            ],
        },
    ],
};

fn activity<'a>(worker: &Worker, context: &Context<'a>) -> &'a Activity {
    context.state().activity(worker.activity).expect("a Worker always has an Activity")
}

fn find(state: &State, segments: &[String]) -> Option<Target> {
    state.find_worker(segment(segments, 0)?).map(|worker| Target::Worker(worker.id))
}

fn list_workers(request: &Request<'_>) -> Result<Outcome, ApiError> {
    const ORDERABLE: &[Orderable<Worker>] = &[
        Orderable { name: "DateStatusChanged", of: |worker| by_instant(worker.date_status_changed) },
        Orderable { name: "DateUpdated", of: |worker| by_instant(worker.date_updated) },
    ];
    let state = request.state;
    let order = listing::ordering(request.get(&ORDERING).as_deref(), ORDERABLE, &[])?;
    let activity_name = request.get(&ACTIVITY_NAME_FILTER);
    let activity_sid = request.get(&ACTIVITY_SID_FILTER);
    let available = request.get(&AVAILABLE_FILTER);
    let friendly_name = request.get(&NAME_FILTER);
    let expression = request.get(&EXPRESSION_FILTER);
    // An unknown queue leaves nobody (section 4.5); both filters together must hold.
    let by_name = request.get(&TASK_QUEUE_NAME_FILTER).map(|name| state.task_queue_named(&name));
    let by_sid = request.get(&TASK_QUEUE_SID_FILTER).map(|sid| state.find_task_queue(sid));
    let queues = [by_name, by_sid];
    listing::list(request, &WORKER, &order, |worker| {
        let activity = state.activity(worker.activity).expect("a Worker always has an Activity");
        activity_name.as_ref().is_none_or(|name| same_name(name, &activity.friendly_name))
            && activity_sid.is_none_or(|sid| sid == activity.sid)
            && available.is_none_or(|available| available == activity.available)
            && friendly_name.as_ref().is_none_or(|name| same_name(name, &worker.friendly_name))
            && queues
                .iter()
                .flatten()
                .all(|queue| queue.is_some_and(|queue| request.engine.is_member(queue.id, worker.id)))
            && expression.as_ref().is_none_or(|expression| expression.eval(&Scope::worker(&state.worker_view(worker))))
    })
}

fn create_worker(request: &Request<'_>) -> Result<Command, ApiError> {
    Ok(Command::CreateWorker {
        friendly_name: request.need(&NEW_FRIENDLY_NAME)?,
        attributes: request.get(&NEW_ATTRIBUTES).unwrap_or_default(),
        activity: request.get(&NEW_ACTIVITY_SID),
    })
}

fn update_worker(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::Worker(id) = request.target else { unreachable!("the mount finds Workers") };
    let command = UpdateWorker {
        id,
        friendly_name: request.get(&FRIENDLY_NAME),
        attributes: request.get(&ATTRIBUTES),
        activity: request.get(&ACTIVITY_SID),
        reject_pending_reservations: request.get(&REJECT_PENDING_RESERVATIONS).unwrap_or(false),
    };
    Ok(Command::UpdateWorker(command).into())
}

fn delete_worker(request: &Request<'_>) -> Command {
    let Target::Worker(id) = request.target else { unreachable!("the mount finds Workers") };
    Command::DeleteWorker { id }
}
