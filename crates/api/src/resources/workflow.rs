//! `/v1/Workspaces/{WorkspaceSid}/Workflows`: rules that send Tasks to TaskQueues. Reference: rest-contract, section 6.8.

use std::sync::Arc;

use pointsman_engine::limits::RESERVATION_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{Command, CreateWorkflow, State, UpdateWorkflow, Workflow};

use super::{account_sid, workspace_sid};
use crate::errors::ApiError;
use crate::execute::Outcome;
use crate::limits::LONG_FRIENDLY_NAME_CHARS_MAX;
use crate::listing::{self, same_name};
use crate::parameters::{Param, configuration, flag, integer, long_name, text, url as url_parameter};
use crate::request::{Request, segment};
use crate::table::{
    Change, Mount, NamedBy, Resource, Scalar, Shape, create, delete, fetch, field, link, links, list, update, url,
};
use crate::target::Target;

const NEW_FRIENDLY_NAME: Param<Arc<str>> =
    long_name("FriendlyName", "Name, unique in the Workspace.", LONG_FRIENDLY_NAME_CHARS_MAX).required();
const NEW_CONFIGURATION: Param<Arc<str>> =
    configuration("Configuration", "JSON with the rules, `task_routing` at its root.").required();
const FRIENDLY_NAME: Param<Arc<str>> = long_name("FriendlyName", "New name.", LONG_FRIENDLY_NAME_CHARS_MAX);
const CONFIGURATION: Param<Arc<str>> = configuration("Configuration", "JSON that replaces the present rules.");
const ASSIGNMENT_CALLBACK_URL: Param<Option<Arc<str>>> =
    url_parameter("AssignmentCallbackUrl", "Asked what to do for each reservation.");
const FALLBACK_ASSIGNMENT_CALLBACK_URL: Param<Option<Arc<str>>> =
    url_parameter("FallbackAssignmentCallbackUrl", "Asked when the former fails.");
const TASK_RESERVATION_TIMEOUT: Param<u32> = integer(
    "TaskReservationTimeout",
    "Seconds to answer a reservation, 120 by default.",
    1,
    RESERVATION_TIMEOUT_SECONDS_MAX,
);
const RE_EVALUATE_TASKS: Param<bool> =
    flag("ReEvaluateTasks", "Send the Workflow's pending Tasks through its rules again.");
const NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the Workflow of this name.");

pub static WORKFLOW: Resource<Workflow> = Resource {
    name: "Workflow",
    schema: "taskrouter.v1.workspace.workflow",
    doc: "Rules that send Tasks to TaskQueues.",
    fields: &[
        account_sid(),
        field("assignment_callback_url", Shape::Url, "Asked what to do for each reservation.", |workflow, _| {
            workflow.definition.assignment_callback_url.as_deref().into()
        }),
        field("configuration", Shape::Text, "The rules, as posted.", |workflow, _| {
            (&*workflow.definition.configuration).into()
        }),
        field("date_created", Shape::Date, "When it was created.", |workflow, _| workflow.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |workflow, _| workflow.date_updated.into()),
        // Observed to be empty on the hosted service, whatever its description says (section 6.8 [seen]).
        field("document_content_type", Shape::Text, "Always null.", |_, _| Scalar::Null),
        field("fallback_assignment_callback_url", Shape::Url, "Asked when the former fails.", |workflow, _| {
            workflow.definition.fallback_assignment_callback_url.as_deref().into()
        }),
        field("friendly_name", Shape::Text, "Its name.", |workflow, _| (&*workflow.definition.friendly_name).into()),
        field("sid", Shape::Sid("WW"), "Identifier of the Workflow.", |workflow, _| workflow.sid.into()),
        field("task_reservation_timeout", Shape::Integer, "Seconds to answer a reservation.", |workflow, _| {
            workflow.definition.task_reservation_timeout_seconds.into()
        }),
        workspace_sid(),
        url("/v1/Workspaces/{workspace_sid}/Workflows/{sid}"),
        links(&[
            link("statistics", "/v1/Workspaces/{workspace_sid}/Workflows/{sid}/Statistics"),
            link("real_time_statistics", "/v1/Workspaces/{workspace_sid}/Workflows/{sid}/RealTimeStatistics"),
            link("cumulative_statistics", "/v1/Workspaces/{workspace_sid}/Workflows/{sid}/CumulativeStatistics"),
        ]),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workflows",
            list_key: "workflows",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list("ListWorkflow", "Lists Workflows.", &[NAME_FILTER.spec], list_workflows),
                create(
                    "CreateWorkflow",
                    "Adds a Workflow.",
                    &[
                        NEW_FRIENDLY_NAME.spec,
                        NEW_CONFIGURATION.spec,
                        ASSIGNMENT_CALLBACK_URL.spec,
                        FALLBACK_ASSIGNMENT_CALLBACK_URL.spec,
                        TASK_RESERVATION_TIMEOUT.spec,
                    ],
                    create_workflow,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workflows/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchWorkflow", "Returns one Workflow."),
                update(
                    "UpdateWorkflow",
                    "Changes a Workflow.",
                    &[
                        FRIENDLY_NAME.spec,
                        ASSIGNMENT_CALLBACK_URL.spec,
                        FALLBACK_ASSIGNMENT_CALLBACK_URL.spec,
                        CONFIGURATION.spec,
                        TASK_RESERVATION_TIMEOUT.spec,
                        RE_EVALUATE_TASKS.spec,
                    ],
                    update_workflow,
                ),
                delete("DeleteWorkflow", "Deletes a Workflow that no Task waits in.", delete_workflow),
            ],
        },
    ],
};

fn find(state: &State, segments: &[String]) -> Option<Target> {
    state.find_workflow(segment(segments, 0)?).map(|workflow| Target::Workflow(workflow.id))
}

fn list_workflows(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let friendly_name = request.get(&NAME_FILTER);
    listing::list(request, &WORKFLOW, &[], |workflow| {
        friendly_name.as_ref().is_none_or(|name| same_name(name, &workflow.definition.friendly_name))
    })
}

fn create_workflow(request: &Request<'_>) -> Result<Command, ApiError> {
    Ok(Command::CreateWorkflow(CreateWorkflow {
        friendly_name: request.need(&NEW_FRIENDLY_NAME)?,
        configuration: request.need(&NEW_CONFIGURATION)?,
        assignment_callback_url: request.get(&ASSIGNMENT_CALLBACK_URL).flatten(),
        fallback_assignment_callback_url: request.get(&FALLBACK_ASSIGNMENT_CALLBACK_URL).flatten(),
        task_reservation_timeout_seconds: request.get(&TASK_RESERVATION_TIMEOUT),
    }))
}

fn update_workflow(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::Workflow(id) = request.target else { unreachable!("the mount finds Workflows") };
    let command = UpdateWorkflow {
        id,
        friendly_name: request.get(&FRIENDLY_NAME),
        configuration: request.get(&CONFIGURATION),
        assignment_callback_url: request.get(&ASSIGNMENT_CALLBACK_URL),
        fallback_assignment_callback_url: request.get(&FALLBACK_ASSIGNMENT_CALLBACK_URL),
        task_reservation_timeout_seconds: request.get(&TASK_RESERVATION_TIMEOUT),
        re_evaluate_tasks: request.get(&RE_EVALUATE_TASKS).unwrap_or(false),
    };
    Ok(Command::UpdateWorkflow(command).into())
}

fn delete_workflow(request: &Request<'_>) -> Command {
    let Target::Workflow(id) = request.target else { unreachable!("the mount finds Workflows") };
    Command::DeleteWorkflow { id }
}
