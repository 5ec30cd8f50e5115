//! `/v1/Workspaces/{WorkspaceSid}/Activities`: what a Worker is doing. Reference: rest-contract, section 6.2.

use std::sync::Arc;

use pointsman_engine::{Activity, Command, State};

use super::{account_sid, workspace_sid};
use crate::errors::ApiError;
use crate::execute::Outcome;
use crate::listing::{self, same_name};
use crate::parameters::{Param, bool, flag, name, text};
use crate::request::{Request, segment};
use crate::table::{
    Change, Mount, NamedBy, Resource, Shape, create, delete, fetch, field, link, links, list, update, url,
};
use crate::target::Target;

const FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "Name, unique in the Workspace.");
const NEW_FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "Name, unique in the Workspace.").required();
const AVAILABLE: Param<bool> = bool("Available", "Workers in it may be given Tasks; never changes. False by default.");
const NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the Activity of this name.");
const AVAILABLE_FILTER: Param<bool> = flag("Available", "Only Activities whose availability this is.");

pub static ACTIVITY: Resource<Activity> = Resource {
    name: "Activity",
    schema: "taskrouter.v1.workspace.activity",
    doc: "What a Worker is doing, and whether it may be given Tasks meanwhile.",
    fields: &[
        account_sid(),
        field("available", Shape::Bool, "Workers in it may be given Tasks.", |activity, _| activity.available.into()),
        field("date_created", Shape::Date, "When it was created.", |activity, _| activity.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |activity, _| activity.date_updated.into()),
        field("friendly_name", Shape::Text, "Its name.", |activity, _| (&*activity.friendly_name).into()),
        field("sid", Shape::Sid("WA"), "Identifier of the Activity.", |activity, _| activity.sid.into()),
        workspace_sid(),
        url("/v1/Workspaces/{workspace_sid}/Activities/{sid}"),
        links(&[link("workspace", "/v1/Workspaces/{workspace_sid}")]),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Activities",
            list_key: "activities",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list("ListActivity", "Lists Activities.", &[NAME_FILTER.spec, AVAILABLE_FILTER.spec], list_activities),
                create(
                    "CreateActivity",
                    "Adds an Activity.",
                    &[NEW_FRIENDLY_NAME.spec, AVAILABLE.spec],
                    create_activity,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Activities/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchActivity", "Returns one Activity."),
                update("UpdateActivity", "Renames an Activity.", &[FRIENDLY_NAME.spec], update_activity),
                delete("DeleteActivity", "Deletes an Activity that nothing uses.", delete_activity),
            ],
        },
    ],
};

fn find(state: &State, segments: &[String]) -> Option<Target> {
    state.find_activity(segment(segments, 0)?).map(|activity| Target::Activity(activity.id))
}

fn list_activities(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let friendly_name = request.get(&NAME_FILTER);
    let available = request.get(&AVAILABLE_FILTER);
    listing::list(request, &ACTIVITY, &[], |activity| {
        friendly_name.as_ref().is_none_or(|name| same_name(name, &activity.friendly_name))
            && available.is_none_or(|available| available == activity.available)
    })
}

fn create_activity(request: &Request<'_>) -> Result<Command, ApiError> {
    Ok(Command::CreateActivity {
        friendly_name: request.need(&NEW_FRIENDLY_NAME)?,
        available: request.get(&AVAILABLE).unwrap_or(false),
    })
}

fn update_activity(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::Activity(id) = request.target else { unreachable!("the mount finds Activities") };
    Ok(Command::UpdateActivity { id, friendly_name: request.get(&FRIENDLY_NAME) }.into())
}

fn delete_activity(request: &Request<'_>) -> Command {
    let Target::Activity(id) = request.target else { unreachable!("the mount finds Activities") };
    Command::DeleteActivity { id }
}
