//! `/v1/Workspaces/{WorkspaceSid}/Tasks`: pieces of work. Reference: rest-contract, section 6.9.

use std::sync::Arc;

use pointsman_engine::limits::TASK_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{
    Command, CreateTask, Priority, RequestedStatus, RoutingTarget, RoutingTargetSid, Sid, State, Task, TaskChannel,
    TaskQueue, Timestamp, UpdateTask, Workflow,
};
use pointsman_expression::{Attributes, Expression, Scope};

use super::{account_sid, workspace_sid};
use crate::dates;
use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::limits::REASON_CHARS_MAX;
use crate::listing::{self, Orderable, by_instant, same_name};
use crate::parameters::{
    AnySid, Case, Param, attributes, bool, choice, choices, date, expression, flag, integer, priority, routing_target,
    sid, text, text_up_to,
};
use crate::request::{Request, segment};
use crate::table::{
    Change, Context, Mount, NamedBy, Resource, Scalar, Shape, create, delete, fetch, field, link, links, list, update,
    url,
};
use crate::target::Target;
use crate::words;

const TIMEOUT: Param<u32> = integer(
    "Timeout",
    "Seconds that it may live before it is assigned, 86400 by default.",
    1,
    TASK_TIMEOUT_SECONDS_MAX,
);
const PRIORITY: Param<Priority> = priority("Priority", "Used unless its Workflow sets a priority; 0 by default.");
const TASK_CHANNEL: Param<Arc<str>> =
    text("TaskChannel", "SID or unique name of its TaskChannel, `default` by default.");
const WORKFLOW_SID: Param<Sid<Workflow>> = sid("WorkflowSid", "Its Workflow; may be left out when there is only one.");
const NEW_ATTRIBUTES: Param<Attributes> =
    attributes("Attributes", "JSON object that describes the Task; `{}` by default.");
const VIRTUAL_START_TIME: Param<Timestamp> =
    date("VirtualStartTime", "Instant that its place among Tasks is reckoned from; not in the future.");
// Text here: the error of a malformed one names account and Workspace.
const ROUTING_TARGET: Param<Arc<str>> =
    text("RoutingTarget", "Worker, TaskQueue or Workflow that the Task is sent to straight away.");
const IGNORE_CAPACITY: Param<bool> =
    flag("IgnoreCapacity", "Whether a Worker as routing target gets it whatever its capacity and availability.");
const TASK_QUEUE_SID: Param<Sid<TaskQueue>> =
    sid("TaskQueueSid", "TaskQueue that a Task for one Worker is shown under.");

const ATTRIBUTES: Param<Attributes> =
    attributes("Attributes", "JSON object that replaces the present attributes.").never_empty();
const ASSIGNMENT_STATUS: Param<usize> =
    choice("AssignmentStatus", "`canceled`, `completed` or `wrapping`.", words::TASK_STATUSES, Case::Exact);
const REASON: Param<Arc<str>> = text_up_to("Reason", "Why it was canceled or completed.", REASON_CHARS_MAX);

const PRIORITY_FILTER: Param<Priority> = priority("Priority", "Only Tasks of this priority.");
const STATUS_FILTER: Param<Vec<usize>> =
    choices("AssignmentStatus", "Only Tasks in these statuses.", words::TASK_STATUSES, false);
const WORKFLOW_SID_FILTER: Param<Sid<Workflow>> = sid("WorkflowSid", "Only Tasks of this Workflow.");
const WORKFLOW_NAME_FILTER: Param<Arc<str>> = text("WorkflowName", "Only Tasks of the Workflow of this name.");
const TASK_QUEUE_SID_FILTER: Param<Sid<TaskQueue>> = sid("TaskQueueSid", "Only Tasks in this TaskQueue.");
const TASK_QUEUE_NAME_FILTER: Param<Arc<str>> = text("TaskQueueName", "Only Tasks in the TaskQueue of this name.");
const EXPRESSION_FILTER: Param<Arc<Expression>> =
    expression("EvaluateTaskAttributes", "Only Tasks whose attributes satisfy this expression.");
const ROUTING_TARGET_FILTER: Param<AnySid> = routing_target("RoutingTarget", "Only Tasks sent straight to it.");
const ORDERING: Param<Arc<str>> =
    text("Ordering", "`DateCreated`, `Priority` or `VirtualStartTime` with `:asc` or `:desc`, separated by commas.");
const HAS_ADDONS_FILTER: Param<bool> = bool("HasAddons", "True gives none: Tasks have no add-ons here.");

pub static TASK: Resource<Task> = Resource {
    name: "Task",
    schema: "taskrouter.v1.workspace.task",
    doc: "A piece of work.",
    fields: &[
        account_sid(),
        field("age", Shape::Integer, "Seconds since its creation.", |task, context| {
            context.now.since(task.date_created).seconds().into()
        }),
        field("assignment_status", Shape::Words(words::TASK_STATUSES), "Its status.", |task, _| {
            words::task_status(task.status).into()
        }),
        field("attributes", Shape::Text, "JSON object that describes it, as posted.", |task, _| {
            task.attributes.text().into()
        }),
        field("addons", Shape::Text, "Always `{}`.", |_, _| "{}".into()),
        field("date_created", Shape::Date, "When it was created.", |task, _| task.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |task, _| task.date_updated.into()),
        field("task_queue_entered_date", Shape::Date, "When it entered its TaskQueue.", |task, _| {
            task.task_queue_entered.into()
        }),
        field("virtual_start_time", Shape::Date, "Instant that its place is reckoned from.", |task, _| {
            task.virtual_start_time.into()
        }),
        field("priority", Shape::Integer, "Its present priority.", |task, _| task.priority.0.into()),
        field("reason", Shape::Text, "Why it was canceled or completed.", |task, _| task.reason.as_deref().into()),
        field("sid", Shape::Sid("WT"), "Identifier of the Task.", |task, _| task.sid.into()),
        field("task_queue_sid", Shape::Sid("WQ"), "Its TaskQueue.", |task, context| {
            task_queue(task, context).map(|queue| queue.sid).into()
        }),
        field("task_queue_friendly_name", Shape::Text, "Name of its TaskQueue.", |task, context| {
            task_queue(task, context).map(|queue| &*queue.definition.friendly_name).into()
        }),
        field("task_channel_sid", Shape::Sid("TC"), "Its TaskChannel.", |task, context| {
            task_channel(task, context).map(|channel| channel.sid).into()
        }),
        field("task_channel_unique_name", Shape::Text, "Unique name of its TaskChannel.", |task, context| {
            task_channel(task, context).map(|channel| &*channel.unique_name).into()
        }),
        field("timeout", Shape::Integer, "Seconds that it may live before it is assigned.", |task, _| {
            task.timeout_seconds.into()
        }),
        field("workflow_sid", Shape::Sid("WW"), "Its Workflow.", |task, context| {
            workflow(task, context).map(|workflow| workflow.sid).into()
        }),
        field("workflow_friendly_name", Shape::Text, "Name of its Workflow.", |task, context| {
            workflow(task, context).map(|workflow| &*workflow.definition.friendly_name).into()
        }),
        workspace_sid(),
        field("ignore_capacity", Shape::Bool, "Its Worker gets it whatever its capacity.", |task, _| {
            task.ignore_capacity.into()
        }),
        field("routing_target", Shape::Text, "Worker or TaskQueue that it was sent to.", |task, context| {
            routing_target_sid(task, context)
        }),
        url("/v1/Workspaces/{workspace_sid}/Tasks/{sid}"),
        links(&[
            link("task_queue", "/v1/Workspaces/{workspace_sid}/TaskQueues/{task_queue_sid}"),
            link("workflow", "/v1/Workspaces/{workspace_sid}/Workflows/{workflow_sid}"),
            link("workspace", "/v1/Workspaces/{workspace_sid}"),
            link("reservations", "/v1/Workspaces/{workspace_sid}/Tasks/{sid}/Reservations"),
        ]),
    ],
    version: Some(|task| task.version),
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Tasks",
            list_key: "tasks",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list(
                    "ListTask",
                    "Lists Tasks.",
                    &[
                        PRIORITY_FILTER.spec,
                        STATUS_FILTER.spec,
                        WORKFLOW_SID_FILTER.spec,
                        WORKFLOW_NAME_FILTER.spec,
                        TASK_QUEUE_SID_FILTER.spec,
                        TASK_QUEUE_NAME_FILTER.spec,
                        EXPRESSION_FILTER.spec,
                        ROUTING_TARGET_FILTER.spec,
                        ORDERING.spec,
                        HAS_ADDONS_FILTER.spec,
                    ],
                    list_tasks,
                ),
                create(
                    "CreateTask",
                    "Adds a Task and routes it.",
                    &[
                        TIMEOUT.spec,
                        PRIORITY.spec,
                        TASK_CHANNEL.spec,
                        WORKFLOW_SID.spec,
                        NEW_ATTRIBUTES.spec,
                        VIRTUAL_START_TIME.spec,
                        ROUTING_TARGET.spec,
                        IGNORE_CAPACITY.spec,
                        TASK_QUEUE_SID.spec,
                    ],
                    create_task,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchTask", "Returns one Task."),
                update(
                    "UpdateTask",
                    "Changes a Task, or ends it.",
                    &[
                        ATTRIBUTES.spec,
                        ASSIGNMENT_STATUS.spec,
                        REASON.spec,
                        PRIORITY.spec,
                        TASK_CHANNEL.spec,
                        VIRTUAL_START_TIME.spec,
                    ],
                    update_task,
                ),
                delete("DeleteTask", "Deletes a Task, whatever its status.", delete_task),
            ],
        },
    ],
};

fn task_queue<'a>(task: &Task, context: &Context<'a>) -> Option<&'a TaskQueue> {
    task.task_queue.map(|id| context.state().task_queue(id).expect("a Task keeps its TaskQueue"))
}

fn workflow<'a>(task: &Task, context: &Context<'a>) -> Option<&'a Workflow> {
    task.workflow.map(|id| context.state().workflow(id).expect("a Task keeps its Workflow"))
}

/// Not shown while the Workspace is single-tasking, although every Task has one (section 6.9 [decide]).
fn task_channel<'a>(task: &Task, context: &Context<'a>) -> Option<&'a TaskChannel> {
    let state = context.state();
    state.is_multitask().then(|| state.task_channel(task.task_channel).expect("a Task keeps its TaskChannel"))
}

fn routing_target_sid<'a>(task: &Task, context: &Context<'a>) -> Scalar<'a> {
    let state = context.state();
    match task.routing_target {
        None => Scalar::Null,
        Some(RoutingTarget::Worker(id)) => state.worker(id).expect("a Task keeps its routing target").sid.into(),
        Some(RoutingTarget::TaskQueue(id)) => state.task_queue(id).expect("a Task keeps its routing target").sid.into(),
    }
}

fn find(state: &State, segments: &[String]) -> Option<Target> {
    state.find_task(segment(segments, 0)?).map(|task| Target::Task(task.id))
}

fn list_tasks(request: &Request<'_>) -> Result<Outcome, ApiError> {
    const ORDERABLE: &[Orderable<Task>] = &[
        Orderable { name: "DateCreated", of: |task| by_instant(task.date_created) },
        Orderable { name: "Priority", of: |task| i64::from(task.priority.0) },
        Orderable { name: "VirtualStartTime", of: |task| by_instant(task.virtual_start_time) },
    ];
    let state = request.state;
    let order = listing::ordering(request.get(&ORDERING).as_deref(), ORDERABLE, &["DateCreated", "VirtualStartTime"])?;
    let priority = request.get(&PRIORITY_FILTER);
    let statuses = request.get(&STATUS_FILTER);
    let workflow_sid = request.get(&WORKFLOW_SID_FILTER);
    let workflow_name = request.get(&WORKFLOW_NAME_FILTER);
    let task_queue_sid = request.get(&TASK_QUEUE_SID_FILTER);
    let task_queue_name = request.get(&TASK_QUEUE_NAME_FILTER);
    let expression = request.get(&EXPRESSION_FILTER);
    let target = request.get(&ROUTING_TARGET_FILTER);
    let has_addons = request.get(&HAS_ADDONS_FILTER).unwrap_or(false);
    // A Task may refer to a queue or Workflow that is deleted by now; it keeps SID and name.
    let in_workflow = |task: &Task, test: &dyn Fn(&Workflow) -> bool| {
        task.workflow.and_then(|id| state.workflow(id)).is_some_and(test)
    };
    let in_queue = |task: &Task, test: &dyn Fn(&TaskQueue) -> bool| {
        task.task_queue.and_then(|id| state.task_queue(id)).is_some_and(test)
    };
    let sent_to = |task: &Task, target: AnySid| match (task.routing_target, target) {
        (Some(RoutingTarget::Worker(id)), AnySid::Worker(sid)) => {
            state.worker(id).is_some_and(|found| found.sid == sid)
        }
        (Some(RoutingTarget::TaskQueue(id)), AnySid::TaskQueue(sid)) => {
            state.task_queue(id).is_some_and(|found| found.sid == sid)
        }
        (_, AnySid::Worker(_) | AnySid::TaskQueue(_) | AnySid::Workflow(_)) => false,
    };
    listing::list(request, &TASK, &order, |task| {
        !has_addons
            && priority.is_none_or(|priority| priority == task.priority)
            && statuses
                .as_ref()
                .is_none_or(|statuses| statuses.iter().any(|index| words::TASK_STATUS_VALUES[*index] == task.status))
            && workflow_sid.is_none_or(|sid| in_workflow(task, &|workflow| workflow.sid == sid))
            && workflow_name
                .as_ref()
                .is_none_or(|name| in_workflow(task, &|workflow| same_name(name, &workflow.definition.friendly_name)))
            && task_queue_sid.is_none_or(|sid| in_queue(task, &|queue| queue.sid == sid))
            && task_queue_name
                .as_ref()
                .is_none_or(|name| in_queue(task, &|queue| same_name(name, &queue.definition.friendly_name)))
            && target.is_none_or(|target| sent_to(task, target))
            && expression.as_ref().is_none_or(|expression| expression.eval(&Scope::task(task.attributes.value())))
    })
}

fn create_task(request: &Request<'_>) -> Result<Command, ApiError> {
    let routing_target = match request.get(&ROUTING_TARGET) {
        None => None,
        Some(text) => Some(match AnySid::parse(&text) {
            Some(AnySid::Worker(sid)) => RoutingTargetSid::Worker(sid),
            Some(AnySid::TaskQueue(sid)) => RoutingTargetSid::TaskQueue(sid),
            Some(AnySid::Workflow(sid)) => RoutingTargetSid::Workflow(sid),
            None => {
                let workspace = request.state.workspace();
                return Err(ApiError::new(
                    &errors::ROUTING_TARGET_FORMAT,
                    &[("value", &text), ("workspace", &workspace.sid), ("account", &workspace.account)],
                ));
            }
        }),
    };
    Ok(Command::CreateTask(CreateTask {
        attributes: request.get(&NEW_ATTRIBUTES).unwrap_or_default(),
        workflow: request.get(&WORKFLOW_SID),
        timeout_seconds: request.get(&TIMEOUT),
        priority: request.get(&PRIORITY),
        task_channel: request.get(&TASK_CHANNEL).map(|named| named.to_string()),
        virtual_start_time: virtual_start_time(request)?,
        routing_target,
        ignore_capacity: request.get(&IGNORE_CAPACITY),
        task_queue: request.get(&TASK_QUEUE_SID),
        enqueue_action: None,
    }))
}

fn virtual_start_time(request: &Request<'_>) -> Result<Option<Timestamp>, ApiError> {
    let Some(at) = request.get(&VIRTUAL_START_TIME) else { return Ok(None) };
    if at < dates::YEAR_1900 {
        return Err(ApiError::new(&errors::BEFORE_1900, &[("name", &VIRTUAL_START_TIME.spec.name)]));
    }
    Ok(Some(at))
}

fn update_task(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::Task(id) = request.target else { unreachable!("the mount finds Tasks") };
    let status = match request.get(&ASSIGNMENT_STATUS).map(|index| words::TASK_STATUSES[index]) {
        None => None,
        Some("canceled") => Some(RequestedStatus::Canceled),
        Some("wrapping") => Some(RequestedStatus::Wrapping),
        Some("completed") => Some(RequestedStatus::Completed),
        Some(other) => {
            return Err(ApiError::new(
                &errors::NOT_A_CHOICE,
                &[
                    ("value", &other),
                    ("name", &ASSIGNMENT_STATUS.spec.name),
                    ("expected", &"canceled, completed or wrapping"),
                ],
            ));
        }
    };
    let command = UpdateTask {
        id,
        attributes: request.get(&ATTRIBUTES),
        status,
        reason: request.get(&REASON),
        priority: request.get(&PRIORITY),
        task_channel: request.get(&TASK_CHANNEL).map(|named| named.to_string()),
        virtual_start_time: virtual_start_time(request)?,
    };
    Ok(Command::UpdateTask(command).into())
}

fn delete_task(request: &Request<'_>) -> Command {
    let Target::Task(id) = request.target else { unreachable!("the mount finds Tasks") };
    Command::DeleteTask { id }
}
