//! `/v1/Workspaces`: what holds everything else. Reference: rest-contract, section 6.1.
//!
//! Creating and listing happen beside the Workspaces and are in [`crate::account`]; the parameters stand here.

use std::sync::Arc;

use pointsman_engine::{
    Account, Activity, Command, CreateWorkspace, Id, Sid, Tasking, Template, UpdateWorkspace, Workspace,
};

use super::account_sid;
use crate::account::AccountCall;
use crate::errors::ApiError;
use crate::parameters::{
    Case, Param, bool, choice, clearable_text, name, sid, text, unlisted_choice, url as url_parameter,
};
use crate::request::{Call, Request};
use crate::table::{
    Change, Context, Method, Mount, NamedBy, Resource, Shape, account, delete, fetch, field, link, links, update, url,
};
use crate::target::Target;
use crate::words;

const NEW_FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "Name, up to 64 characters.").required();
const FRIENDLY_NAME: Param<Arc<str>> = name("FriendlyName", "New name.");
const EVENT_CALLBACK_URL: Param<Option<Arc<str>>> =
    url_parameter("EventCallbackUrl", "Told of every event that passes the filter.");
const EVENTS_FILTER: Param<Option<Arc<str>>> =
    clearable_text("EventsFilter", "Event types for the callback, separated by commas; empty is all.");
pub(crate) const MULTI_TASK_ENABLED: Param<bool> =
    bool("MultiTaskEnabled", "Whether Workers may hold several Tasks at a time.");
const TEMPLATE: Param<usize> = unlisted_choice(
    "Template",
    "`FIFO` adds a TaskQueue and a Workflow; `NONE` by default.",
    words::TEMPLATES,
    Case::Any,
);
const PRIORITIZE_QUEUE_ORDER: Param<usize> = choice(
    "PrioritizeQueueOrder",
    "Which kind of TaskQueue is served first when a Worker is eligible for both.",
    words::QUEUE_ORDERS,
    Case::Any,
);
const DEFAULT_ACTIVITY: Param<Sid<Activity>> = sid("DefaultActivitySid", "Activity of new Workers.");
const TIMEOUT_ACTIVITY: Param<Sid<Activity>> =
    sid("TimeoutActivitySid", "Activity of a Worker whose reservation timed out.");
const NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only Workspaces of this name.");

pub static WORKSPACE: Resource<Workspace> = Resource {
    name: "Workspace",
    schema: "taskrouter.v1.workspace",
    doc: "Holds Workers, TaskQueues, Workflows, Tasks and all the rest.",
    fields: &[
        account_sid(),
        field("date_created", Shape::Date, "When it was created.", |workspace, _| workspace.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |workspace, _| workspace.date_updated.into()),
        field("default_activity_name", Shape::Text, "Name of the Activity of new Workers.", |workspace, context| {
            (&*activity(workspace.settings.default_activity, context).friendly_name).into()
        }),
        field("default_activity_sid", Shape::Sid("WA"), "Activity of new Workers.", |workspace, context| {
            activity(workspace.settings.default_activity, context).sid.into()
        }),
        // Empty rather than null when unset (section 6.1 [oai]).
        field("event_callback_url", Shape::Url, "Told of every event that passes the filter.", |workspace, _| {
            workspace.settings.event_callback_url.as_deref().unwrap_or_default().into()
        }),
        field("events_filter", Shape::Text, "Event types for the callback.", |workspace, _| {
            workspace.settings.events_filter.as_deref().into()
        }),
        field("friendly_name", Shape::Text, "Its name.", |workspace, _| (&*workspace.settings.friendly_name).into()),
        field("multi_task_enabled", Shape::Bool, "Workers may hold several Tasks at a time.", |workspace, _| {
            (workspace.settings.tasking == Tasking::Multi).into()
        }),
        field(
            "prioritize_queue_order",
            Shape::Words(words::QUEUE_ORDERS),
            "Which kind of TaskQueue is served first.",
            |workspace, _| words::queue_order(workspace.settings.prioritize_queue_order).into(),
        ),
        field("sid", Shape::Sid("WS"), "Identifier of the Workspace.", |workspace, _| workspace.sid.into()),
        field("timeout_activity_name", Shape::Text, "Name of the Activity after a time-out.", |workspace, context| {
            (&*activity(workspace.settings.timeout_activity, context).friendly_name).into()
        }),
        field("timeout_activity_sid", Shape::Sid("WA"), "Activity after a time-out.", |workspace, context| {
            activity(workspace.settings.timeout_activity, context).sid.into()
        }),
        url("/v1/Workspaces/{sid}"),
        links(&[
            link("activities", "/v1/Workspaces/{sid}/Activities"),
            link("statistics", "/v1/Workspaces/{sid}/Statistics"),
            link("real_time_statistics", "/v1/Workspaces/{sid}/RealTimeStatistics"),
            link("cumulative_statistics", "/v1/Workspaces/{sid}/CumulativeStatistics"),
            link("task_queues", "/v1/Workspaces/{sid}/TaskQueues"),
            link("tasks", "/v1/Workspaces/{sid}/Tasks"),
            link("workers", "/v1/Workspaces/{sid}/Workers"),
            link("workflows", "/v1/Workspaces/{sid}/Workflows"),
            link("task_channels", "/v1/Workspaces/{sid}/TaskChannels"),
            link("events", "/v1/Workspaces/{sid}/Events"),
        ]),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces",
            list_key: "workspaces",
            find: |_, _| None,
            operations: &[
                account(
                    "ListWorkspace",
                    "Lists the Workspaces of the account.",
                    Method::Get,
                    &[NAME_FILTER.spec],
                    AccountCall::ListWorkspaces,
                ),
                account(
                    "CreateWorkspace",
                    "Adds a Workspace.",
                    Method::Post,
                    &[
                        NEW_FRIENDLY_NAME.spec,
                        EVENT_CALLBACK_URL.spec,
                        EVENTS_FILTER.spec,
                        MULTI_TASK_ENABLED.spec,
                        TEMPLATE.spec,
                        PRIORITIZE_QUEUE_ORDER.spec,
                    ],
                    AccountCall::CreateWorkspace,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{Sid}",
            list_key: "",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                fetch("FetchWorkspace", "Returns one Workspace."),
                update(
                    "UpdateWorkspace",
                    "Changes a Workspace.",
                    &[
                        DEFAULT_ACTIVITY.spec,
                        EVENT_CALLBACK_URL.spec,
                        EVENTS_FILTER.spec,
                        FRIENDLY_NAME.spec,
                        MULTI_TASK_ENABLED.spec,
                        TIMEOUT_ACTIVITY.spec,
                        PRIORITIZE_QUEUE_ORDER.spec,
                    ],
                    update_workspace,
                ),
                delete("DeleteWorkspace", "Deletes a Workspace and everything in it.", |_| Command::DeleteWorkspace),
            ],
        },
    ],
};

fn activity<'a>(id: Id<Activity>, context: &Context<'a>) -> &'a Activity {
    context.state().activity(id).expect("the Activities of the Workspace cannot be deleted")
}

fn tasking(multi: bool) -> Tasking {
    if multi { Tasking::Multi } else { Tasking::Single }
}

fn update_workspace(request: &Request<'_>) -> Result<Change, ApiError> {
    let command = UpdateWorkspace {
        friendly_name: request.get(&FRIENDLY_NAME),
        event_callback_url: request.get(&EVENT_CALLBACK_URL),
        events_filter: request.get(&EVENTS_FILTER).map(Option::unwrap_or_default),
        tasking: request.get(&MULTI_TASK_ENABLED).map(tasking),
        may_become_single_tasking: request.call.account_has_single_tasking,
        prioritize_queue_order: request.get(&PRIORITIZE_QUEUE_ORDER).map(words::queue_order_at),
        default_activity: request.get(&DEFAULT_ACTIVITY),
        timeout_activity: request.get(&TIMEOUT_ACTIVITY),
    };
    Ok(Command::UpdateWorkspace(command).into())
}

/// The command that `CreateWorkspace` asks for.
pub(crate) fn create_command(
    call: &Call,
    seed: [u8; 16],
    sid: Sid<Workspace>,
    number: u64,
    account: Sid<Account>,
) -> Result<CreateWorkspace, ApiError> {
    call.check_parameters()?;
    Ok(CreateWorkspace {
        seed,
        sid,
        number,
        account,
        friendly_name: call.need(&NEW_FRIENDLY_NAME)?,
        event_callback_url: call.get(&EVENT_CALLBACK_URL).flatten(),
        events_filter: call.get(&EVENTS_FILTER).flatten(),
        tasking: tasking(call.get(&MULTI_TASK_ENABLED).unwrap_or(true)),
        prioritize_queue_order: words::queue_order_at(call.get(&PRIORITIZE_QUEUE_ORDER).unwrap_or(0)),
        template: if call.get(&TEMPLATE).unwrap_or(0) == 0 { Template::None } else { Template::Fifo },
        source_ip: call.peer.clone(),
    })
}

/// The name that `ListWorkspace` filters by.
pub(crate) fn list_filter(call: &Call) -> Option<Arc<str>> {
    call.get(&NAME_FILTER)
}
