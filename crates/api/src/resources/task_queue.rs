//! `/v1/Workspaces/{WorkspaceSid}/TaskQueues`: where Tasks wait for matching Workers. Reference: rest-contract,
//! section 6.7.

use std::sync::Arc;

use pointsman_engine::limits::RESERVED_WORKERS_MAX;
use pointsman_engine::{Activity, Command, CreateTaskQueue, Id, Sid, State, TaskQueue, UpdateTaskQueue, Worker};
use pointsman_expression::{Attributes, AttributesError, AttributesOnly, Expression, Scope};

use super::{account_sid, workspace_sid};
use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::limits::LONG_FRIENDLY_NAME_CHARS_MAX;
use crate::listing::{self, Orderable, by_instant, same_name};
use crate::parameters::{
    Case, Param, choice, clearable_activity, expression_problem, integer, long_name, sid, target_workers, text,
};
use crate::request::{Request, segment};
use crate::table::{
    Change, Context, Mount, NamedBy, Resource, Shape, create, delete, fetch, field, link, links, list, update, url,
};
use crate::target::Target;
use crate::words;

const NEW_FRIENDLY_NAME: Param<Arc<str>> =
    long_name("FriendlyName", "Name, unique in the Workspace.", LONG_FRIENDLY_NAME_CHARS_MAX).required();
const FRIENDLY_NAME: Param<Arc<str>> = long_name("FriendlyName", "New name.", LONG_FRIENDLY_NAME_CHARS_MAX);
const TARGET_WORKERS: Param<Arc<str>> =
    target_workers("TargetWorkers", "Expression that its Workers match; `1==1` by default, empty matches nobody.");
const MAX_RESERVED_WORKERS: Param<u32> =
    integer("MaxReservedWorkers", "Workers reserved at a time for one Task.", 1, RESERVED_WORKERS_MAX);
const TASK_ORDER: Param<usize> =
    choice("TaskOrder", "Which Task of a priority comes first.", words::QUEUE_ORDERS, Case::Any);
const RESERVATION_ACTIVITY: Param<Option<Sid<Activity>>> =
    clearable_activity("ReservationActivitySid", "Activity of a Worker while reserved; single-tasking only.");
const ASSIGNMENT_ACTIVITY: Param<Option<Sid<Activity>>> =
    clearable_activity("AssignmentActivitySid", "Activity of a Worker once assigned; single-tasking only.");

const NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the TaskQueue of this name.");
const ATTRIBUTES_FILTER: Param<Arc<str>> = text(
    "EvaluateWorkerAttributes",
    "Attributes of a Worker as JSON, or an expression: only TaskQueues that serve such a Worker, or have one.",
);
const WORKER_FILTER: Param<Sid<Worker>> = sid("WorkerSid", "Only TaskQueues that this Worker is eligible for.");
const ORDERING: Param<Arc<str>> = text("Ordering", "`DateUpdated:asc` or `DateUpdated:desc`.");

pub static TASK_QUEUE: Resource<TaskQueue> = Resource {
    name: "TaskQueue",
    schema: "taskrouter.v1.workspace.task_queue",
    doc: "Where Tasks wait for Workers that match an expression.",
    fields: &[
        account_sid(),
        field("assignment_activity_sid", Shape::Sid("WA"), "Activity of a Worker once assigned.", |queue, context| {
            activity(queue.definition.assignment_activity, context).map(|activity| activity.sid).into()
        }),
        field("assignment_activity_name", Shape::Text, "Name of that Activity.", |queue, context| {
            activity(queue.definition.assignment_activity, context).map(|activity| &*activity.friendly_name).into()
        }),
        field("date_created", Shape::Date, "When it was created.", |queue, _| queue.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |queue, _| queue.date_updated.into()),
        field("friendly_name", Shape::Text, "Its name.", |queue, _| (&*queue.definition.friendly_name).into()),
        field("max_reserved_workers", Shape::Integer, "Workers reserved at a time for one Task.", |queue, _| {
            queue.definition.max_reserved_workers.into()
        }),
        field(
            "reservation_activity_sid",
            Shape::Sid("WA"),
            "Activity of a Worker while reserved.",
            |queue, context| {
                activity(queue.definition.reservation_activity, context).map(|activity| activity.sid).into()
            },
        ),
        field("reservation_activity_name", Shape::Text, "Name of that Activity.", |queue, context| {
            activity(queue.definition.reservation_activity, context).map(|activity| &*activity.friendly_name).into()
        }),
        field("sid", Shape::Sid("WQ"), "Identifier of the TaskQueue.", |queue, _| queue.sid.into()),
        field("target_workers", Shape::Text, "Expression that its Workers match.", |queue, _| {
            queue.definition.target_workers.as_deref().into()
        }),
        field("task_order", Shape::Words(words::QUEUE_ORDERS), "Which Task of a priority comes first.", |queue, _| {
            words::queue_order(queue.definition.task_order).into()
        }),
        url("/v1/Workspaces/{workspace_sid}/TaskQueues/{sid}"),
        workspace_sid(),
        links(&[
            link("assignment_activity", "/v1/Workspaces/{workspace_sid}/Activities/{assignment_activity_sid}"),
            link("reservation_activity", "/v1/Workspaces/{workspace_sid}/Activities/{reservation_activity_sid}"),
            link("workspace", "/v1/Workspaces/{workspace_sid}"),
            link("statistics", "/v1/Workspaces/{workspace_sid}/TaskQueues/{sid}/Statistics"),
            link("real_time_statistics", "/v1/Workspaces/{workspace_sid}/TaskQueues/{sid}/RealTimeStatistics"),
            link("cumulative_statistics", "/v1/Workspaces/{workspace_sid}/TaskQueues/{sid}/CumulativeStatistics"),
            link("list_statistics", "/v1/Workspaces/{workspace_sid}/TaskQueues/Statistics"),
            link("bulk_real_time_statistics", "/v1/Workspaces/{workspace_sid}/TaskQueues/RealTimeStatistics"),
        ]),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/TaskQueues",
            list_key: "task_queues",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list(
                    "ListTaskQueue",
                    "Lists TaskQueues.",
                    &[NAME_FILTER.spec, ATTRIBUTES_FILTER.spec, WORKER_FILTER.spec, ORDERING.spec],
                    list_task_queues,
                ),
                create(
                    "CreateTaskQueue",
                    "Adds a TaskQueue.",
                    &[
                        NEW_FRIENDLY_NAME.spec,
                        TARGET_WORKERS.spec,
                        MAX_RESERVED_WORKERS.spec,
                        TASK_ORDER.spec,
                        RESERVATION_ACTIVITY.spec,
                        ASSIGNMENT_ACTIVITY.spec,
                    ],
                    create_task_queue,
                ),
            ],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/TaskQueues/{Sid}",
            list_key: "",
            find,
            operations: &[
                fetch("FetchTaskQueue", "Returns one TaskQueue."),
                update(
                    "UpdateTaskQueue",
                    "Changes a TaskQueue.",
                    &[
                        FRIENDLY_NAME.spec,
                        TARGET_WORKERS.spec,
                        RESERVATION_ACTIVITY.spec,
                        ASSIGNMENT_ACTIVITY.spec,
                        MAX_RESERVED_WORKERS.spec,
                        TASK_ORDER.spec,
                    ],
                    update_task_queue,
                ),
                delete("DeleteTaskQueue", "Deletes a TaskQueue that nothing uses.", delete_task_queue),
            ],
        },
    ],
};

fn activity<'a>(id: Option<Id<Activity>>, context: &Context<'a>) -> Option<&'a Activity> {
    id.map(|id| context.state().activity(id).expect("a TaskQueue names Activities that exist"))
}

fn find(state: &State, segments: &[String]) -> Option<Target> {
    state.find_task_queue(segment(segments, 0)?).map(|queue| Target::TaskQueue(queue.id))
}

/// The two documented readings of `EvaluateWorkerAttributes`.
enum Evaluate {
    /// Queues that would serve a Worker with these attributes.
    Attributes(Attributes),
    /// Queues with a member that matches.
    Expression(Expression),
}

fn evaluate(text: &str) -> Result<Evaluate, ApiError> {
    match Attributes::parse(text) {
        Ok(attributes) => return Ok(Evaluate::Attributes(attributes)),
        Err(AttributesError::NotAnObject | AttributesError::Syntax { .. }) => {}
        Err(problem) => return Err(crate::parameters::attributes_error("EvaluateWorkerAttributes", &problem)),
    }
    Expression::parse(text).map(Evaluate::Expression).map_err(|problem| {
        ApiError::new(&errors::EVALUATE_WORKER_ATTRIBUTES, &[("problem", &expression_problem(&problem))])
    })
}

fn list_task_queues(request: &Request<'_>) -> Result<Outcome, ApiError> {
    const ORDERABLE: &[Orderable<TaskQueue>] =
        &[Orderable { name: "DateUpdated", of: |queue| by_instant(queue.date_updated) }];
    let state = request.state;
    let order = listing::ordering(request.get(&ORDERING).as_deref(), ORDERABLE, &[])?;
    let friendly_name = request.get(&NAME_FILTER);
    let worker = request.get(&WORKER_FILTER).map(|sid| state.find_worker(sid));
    let evaluate = request.get(&ATTRIBUTES_FILTER).map(|text| evaluate(&text)).transpose()?;
    let serves = |queue: &TaskQueue, evaluate: &Evaluate| match evaluate {
        Evaluate::Attributes(attributes) => {
            let scope = AttributesOnly(attributes.value());
            queue.expression.as_ref().is_some_and(|expression| expression.eval(&Scope::worker(&scope)))
        }
        Evaluate::Expression(expression) => state.workers().any(|worker| {
            expression.eval(&Scope::worker(&state.worker_view(worker))) && request.engine.is_member(queue.id, worker.id)
        }),
    };
    listing::list(request, &TASK_QUEUE, &order, |queue| {
        friendly_name.as_ref().is_none_or(|name| same_name(name, &queue.definition.friendly_name))
            && worker.is_none_or(|worker| worker.is_some_and(|worker| request.engine.is_member(queue.id, worker.id)))
            && evaluate.as_ref().is_none_or(|evaluate| serves(queue, evaluate))
    })
}

fn create_task_queue(request: &Request<'_>) -> Result<Command, ApiError> {
    Ok(Command::CreateTaskQueue(CreateTaskQueue {
        friendly_name: request.need(&NEW_FRIENDLY_NAME)?,
        target_workers: request.get(&TARGET_WORKERS),
        max_reserved_workers: request.get(&MAX_RESERVED_WORKERS),
        task_order: request.get(&TASK_ORDER).map(words::queue_order_at),
        reservation_activity: request.get(&RESERVATION_ACTIVITY).flatten(),
        assignment_activity: request.get(&ASSIGNMENT_ACTIVITY).flatten(),
    }))
}

fn update_task_queue(request: &Request<'_>) -> Result<Change, ApiError> {
    let Target::TaskQueue(id) = request.target else { unreachable!("the mount finds TaskQueues") };
    let command = UpdateTaskQueue {
        id,
        friendly_name: request.get(&FRIENDLY_NAME),
        target_workers: request.get(&TARGET_WORKERS),
        max_reserved_workers: request.get(&MAX_RESERVED_WORKERS),
        task_order: request.get(&TASK_ORDER).map(words::queue_order_at),
        reservation_activity: request.get(&RESERVATION_ACTIVITY),
        assignment_activity: request.get(&ASSIGNMENT_ACTIVITY),
    };
    Ok(Command::UpdateTaskQueue(command).into())
}

fn delete_task_queue(request: &Request<'_>) -> Command {
    let Target::TaskQueue(id) = request.target else { unreachable!("the mount finds TaskQueues") };
    Command::DeleteTaskQueue { id }
}
