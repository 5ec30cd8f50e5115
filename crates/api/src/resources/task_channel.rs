//! `/v1/Workspaces/{WorkspaceSid}/TaskChannels`: kinds of work, each with its own capacity. Reference: rest-contract,
//! section 6.6.

use std::sync::Arc;

use pointsman_engine::{Command, Sid, State, TaskChannel};

use super::{account_sid, workspace_sid};
use crate::errors::ApiError;
use crate::execute::Outcome;
use crate::listing;
use crate::parameters::{Param, bool, name, unique_name};
use crate::request::Request;
use crate::table::{
    Change, Mount, NamedBy, Resource, Shape, create, delete, fetch, field, link, links, list, update, url,
};
use crate::target::Target;

const NEW_FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "Name, up to 64 characters.").required();
const FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "New name.");
const UNIQUE_NAME: Param<Arc<str>> =
    unique_name("UniqueName", "Names the channel in parameters and expressions; never changes.").required();
const OPTIMIZED_ROUTING: Param<bool> =
    bool("ChannelOptimizedRouting", "Prefer the Worker that is idle longest on this very channel.");

pub static TASK_CHANNEL: Resource<TaskChannel> = Resource {
    name: "TaskChannel",
    schema: "taskrouter.v1.workspace.task_channel",
    doc: "A kind of work, with its own capacity per Worker.",
    fields: &[
        account_sid(),
        field(
            "channel_optimized_routing",
            Shape::Bool,
            "The Worker that is idle longest on this very channel is preferred.",
            |channel, _| channel.optimized_routing.into(),
        ),
        field("date_created", Shape::Date, "When it was created.", |channel, _| channel.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |channel, _| channel.date_updated.into()),
        field("friendly_name", Shape::Text, "Its name.", |channel, _| (&*channel.friendly_name).into()),
        field("sid", Shape::Sid("TC"), "Identifier of the TaskChannel.", |channel, _| channel.sid.into()),
        field("unique_name", Shape::Text, "Its name in parameters and expressions.", |channel, _| {
            (&*channel.unique_name).into()
        }),
        workspace_sid(),
        url("/v1/Workspaces/{workspace_sid}/TaskChannels/{sid}"),
        links(&[link("workspace", "/v1/Workspaces/{workspace_sid}")]),
    ],
    version: None,
    named_by: NamedBy::SidOrName,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/TaskChannels",
            list_key: "channels",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list("ListTaskChannel", "Lists TaskChannels.", &[], list_task_channels),
                create(
                    "CreateTaskChannel",
                    "Adds a TaskChannel.",
                    &[NEW_FRIENDLY_NAME.spec, UNIQUE_NAME.spec, OPTIMIZED_ROUTING.spec],
                    create_task_channel,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/TaskChannels/{Sid}",
            list_key: "",
            find: |state, segments| Some(Target::TaskChannel(by_sid_or_name(state, segments.first()?)?.id)),
            operations: &[
                fetch("FetchTaskChannel", "Returns one TaskChannel."),
                update(
                    "UpdateTaskChannel",
                    "Changes a TaskChannel.",
                    &[FRIENDLY_NAME.spec, OPTIMIZED_ROUTING.spec],
                    update_task_channel,
                ),
                delete("DeleteTaskChannel", "Deletes a TaskChannel that no Task uses.", delete_task_channel),
            ],
        },
    ],
};

/// A live TaskChannel by its SID or its unique name.
pub(crate) fn by_sid_or_name<'a>(state: &'a State, named: &str) -> Option<&'a TaskChannel> {
    match Sid::parse(named) {
        Some(sid) => state.find_task_channel(sid),
        None => state.task_channel_by_name(named),
    }
}

fn list_task_channels(request: &Request<'_>) -> Result<Outcome, ApiError> {
    listing::list(request, &TASK_CHANNEL, &[], |_| true)
}

fn create_task_channel(request: &Request<'_>) -> Result<Command, ApiError> {
    Ok(Command::CreateTaskChannel {
        friendly_name: request.need(&NEW_FRIENDLY_NAME)?,
        unique_name: request.need(&UNIQUE_NAME)?,
        optimized_routing: request.get(&OPTIMIZED_ROUTING).unwrap_or(false),
    })
}

fn update_task_channel(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::TaskChannel(id) = request.target else { unreachable!("the mount finds TaskChannels") };
    let command = Command::UpdateTaskChannel {
        id,
        friendly_name: request.get(&FRIENDLY_NAME),
        optimized_routing: request.get(&OPTIMIZED_ROUTING),
    };
    Ok(command.into())
}

fn delete_task_channel(request: &Request<'_>) -> Command {
    let Target::TaskChannel(id) = request.target else { unreachable!("the mount finds TaskChannels") };
    Command::DeleteTaskChannel { id }
}
