//! The 15 statistics endpoints. Reference: statistics; rest-contract, section 6.12.
//!
//! One row of figures serves all of them: flat resources list its members at top level, combined ones in the objects
//! `realtime` and `cumulative`. Real-time figures are taken in the turn; cumulative ones when the events are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_engine::{
    Activity, Entity, EventKind, EventReference, PublicEvent, Sid, State, TaskChannel, TaskQueue, Timestamp, Worker,
    Workflow,
};

use super::{account_sid, task_channel, workspace_sid};
use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::history::{Finish, HistoryQuery, HistoryRequest};
use crate::http::Answer;
use crate::interval::{END_DATE, Interval, MINUTES, START_DATE};
use crate::json::{self, Object};
use crate::listing::{self, same_name};
use crate::page::{self, Edges, Page, PageSetting};
use crate::parameters::{Param, Spec, filters, task_queue_sids, text, thresholds};
use crate::real_time::{self, LIVE_STATUSES, TaskFigures, Waiting, WorkerFigures};
use crate::request::{Request, segment};
use crate::statistics::{
    self, ActivityDuration, ActivityTimes, ChannelFilter, Durations, Population, ReservationCounts, Split, SplitSide,
    Stay, TASK_KINDS, TaskSums, WORKER_KINDS,
};
use crate::table::{
    Context, Field, Mount, NamedBy, Operation, Resource, Run, Scalar, Shape, field, join, list, read, render_nested,
    url,
};
use crate::target::Target;
use crate::words;

const TASK_CHANNEL: Param<Arc<str>> = text("TaskChannel", "Only this TaskChannel, by SID or unique name.");
const SPLIT_BY_WAIT_TIME: Param<Vec<u32>> =
    thresholds("SplitByWaitTime", "Seconds at which waits are split, separated by commas.");
const QUEUE_NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the TaskQueue of this name.");
const WORKER_NAME_FILTER: Param<Arc<str>> = text("FriendlyName", "Only the Worker of this name.");
const TASK_QUEUE_NAME: Param<Arc<str>> = text("TaskQueueName", "Only Workers eligible for the TaskQueue of this name.");
const QUEUE_SIDS: Param<Vec<Sid<TaskQueue>>> = task_queue_sids("QueueSids", "1 to 50 TaskQueues.");

const WINDOW: [Spec; 5] = [MINUTES.spec, START_DATE.spec, END_DATE.spec, TASK_CHANNEL.spec, SPLIT_BY_WAIT_TIME.spec];
const WORKER_WINDOW: [Spec; 4] = [MINUTES.spec, START_DATE.spec, END_DATE.spec, TASK_CHANNEL.spec];

/// Everything that any of the endpoints shows of one scope; each lists its part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    task_queue: Option<Sid<TaskQueue>>,
    workflow: Option<Sid<Workflow>>,
    worker: Option<Sid<Worker>>,
    tasks: TaskFigures,
    workers: WorkerFigures,
    interval: Option<Interval>,
    sums: TaskSums,
    /// Of the endpoints about Workers.
    reservations: ReservationCounts,
    durations: Vec<ActivityDuration>,
    /// Of the bulk endpoint, one for each queue asked about.
    bulk: Vec<Figures>,
}

type Row = Field<Figures>;

const fn count(
    name: &'static str,
    doc: &'static str,
    read: for<'a> fn(&'a Figures, &'a Context<'a>) -> Scalar<'a>,
) -> Row {
    field(name, Shape::Integer, doc, read)
}

const fn untyped(
    name: &'static str,
    doc: &'static str,
    read: for<'a> fn(&'a Figures, &'a Context<'a>) -> Scalar<'a>,
) -> Row {
    field(name, Shape::Any, doc, read)
}

// Members, in groups.

const ACCOUNT: Row = account_sid();
const WORKSPACE: Row = workspace_sid();
const TASK_QUEUE_SID: Row =
    field("task_queue_sid", Shape::Sid("WQ"), "The TaskQueue.", |figures, _| figures.task_queue.into());
const WORKFLOW_SID: Row =
    field("workflow_sid", Shape::Sid("WW"), "The Workflow.", |figures, _| figures.workflow.into());
const WORKER_SID: Row = field("worker_sid", Shape::Sid("WK"), "The Worker.", |figures, _| figures.worker.into());

const LONGEST_AGE: Row = count(
    "longest_task_waiting_age",
    "Seconds since the creation of the Task that waits longest.",
    |figures, context| age(figures.tasks.longest, context),
);
const LONGEST_SID: Row =
    field("longest_task_waiting_sid", Shape::Sid("WT"), "The Task that waits longest.", |figures, _| {
        figures.tasks.longest.map(|waiting| waiting.sid).into()
    });
const LONGEST_RELATIVE_AGE: Row = count(
    "longest_relative_task_age_in_queue",
    "Seconds since the entry of the Task that waits longest in the queue.",
    |figures, context| age(figures.tasks.longest_in_queue, context),
);
const LONGEST_RELATIVE_SID: Row =
    field("longest_relative_task_sid_in_queue", Shape::Sid("WT"), "That Task.", |figures, _| {
        figures.tasks.longest_in_queue.map(|waiting| waiting.sid).into()
    });
const TOTAL_TASKS: Row = count("total_tasks", "Live Tasks.", |figures, _| figures.tasks.total().into());
const TASKS_BY_STATUS: Row =
    untyped("tasks_by_status", "Live Tasks by status.", |figures, _| tasks_by_status(&figures.tasks));
const TASKS_BY_PRIORITY: Row =
    untyped("tasks_by_priority", "Live Tasks by priority.", |figures, _| tasks_by_priority(&figures.tasks));
const TOTAL_WORKERS: Row = count("total_workers", "Workers.", |figures, _| figures.workers.total.into());
const TOTAL_ELIGIBLE_WORKERS: Row =
    count("total_eligible_workers", "Workers that match the queue.", |figures, _| figures.workers.total.into());
const TOTAL_AVAILABLE_WORKERS: Row =
    count("total_available_workers", "Eligible Workers in an available Activity.", |figures, _| {
        figures.workers.available.into()
    });
const ACTIVITY_STATISTICS: Row = field("activity_statistics", Shape::Array, "Workers by Activity.", |figures, _| {
    activity_statistics(&figures.workers)
});

const START_TIME: Row = field("start_time", Shape::Date, "Start of the interval.", |figures, _| {
    figures.interval.map(|interval| interval.start).into()
});
const END_TIME: Row = field("end_time", Shape::Date, "End of the interval.", |figures, _| {
    figures.interval.map(|interval| interval.end).into()
});
const TASKS_CREATED: Row = count("tasks_created", "Tasks created.", |figures, _| figures.sums.created.into());
const ENTERED_QUEUE: Row = count("tasks_entered", "Entries of Tasks.", |figures, _| figures.sums.entered_queue.into());
const ENTERED_WORKFLOW: Row =
    count("tasks_entered", "Entries of Tasks.", |figures, _| figures.sums.entered_workflow.into());
const TASKS_CANCELED: Row = count("tasks_canceled", "Tasks canceled.", |figures, _| figures.sums.canceled.into());
const TASKS_COMPLETED: Row = count("tasks_completed", "Tasks completed.", |figures, _| figures.sums.completed.into());
const TASKS_DELETED: Row = count("tasks_deleted", "Live Tasks deleted.", |figures, _| figures.sums.deleted.into());
const TASKS_MOVED: Row = count("tasks_moved", "Moves to another queue.", |figures, _| figures.sums.moved.into());
const TASKS_TIMED_OUT: Row = count("tasks_timed_out_in_workflow", "Tasks timed out of a Workflow.", |figures, _| {
    figures.sums.timed_out_in_workflow.into()
});
const ACCEPTANCE_TIME: Row =
    count("avg_task_acceptance_time", "Mean seconds from creation to acceptance.", |figures, _| {
        figures.sums.until_accepted.average().into()
    });
const UNTIL_ACCEPTED: Row =
    untyped("wait_duration_until_accepted", "Seconds from creation to acceptance.", |figures, _| {
        wait(&figures.sums.until_accepted)
    });
const UNTIL_CANCELED: Row =
    untyped("wait_duration_until_canceled", "Seconds from creation to cancellation.", |figures, _| {
        wait(&figures.sums.until_canceled)
    });
const IN_QUEUE_UNTIL_ACCEPTED: Row = untyped(
    "wait_duration_in_queue_until_accepted",
    "Seconds from entry into the queue to acceptance.",
    |figures, _| wait(&figures.sums.in_queue_until_accepted),
);
const SPLIT: Row = untyped("split_by_wait_time", "Outcomes above and below each threshold.", |figures, _| {
    split_by_wait_time(figures.sums.splits.as_deref())
});
const ACTIVITY_DURATIONS: Row = field("activity_durations", Shape::Array, "Seconds by Activity.", |figures, _| {
    activity_durations(&figures.durations)
});

/// The six counters of reservations, of Tasks and of Workers.
const RESERVATIONS: [Row; 6] = [
    count("reservations_created", "Reservations created.", |figures, _| figures.sums.reservations.created.into()),
    count("reservations_accepted", "Reservations accepted.", |figures, _| figures.sums.reservations.accepted.into()),
    count("reservations_rejected", "Reservations rejected.", |figures, _| figures.sums.reservations.rejected.into()),
    count("reservations_timed_out", "Reservations timed out.", |figures, _| figures.sums.reservations.timed_out.into()),
    count("reservations_canceled", "Reservations canceled.", |figures, _| figures.sums.reservations.canceled.into()),
    count("reservations_rescinded", "Reservations rescinded.", |figures, _| figures.sums.reservations.rescinded.into()),
];
const WORKER_RESERVATIONS: [Row; 6] = [
    count("reservations_created", "Reservations created.", |figures, _| figures.reservations.created.into()),
    count("reservations_accepted", "Reservations accepted.", |figures, _| figures.reservations.accepted.into()),
    count("reservations_rejected", "Reservations rejected.", |figures, _| figures.reservations.rejected.into()),
    count("reservations_timed_out", "Reservations timed out.", |figures, _| figures.reservations.timed_out.into()),
    count("reservations_canceled", "Reservations canceled.", |figures, _| figures.reservations.canceled.into()),
    count("reservations_rescinded", "Reservations rescinded.", |figures, _| figures.reservations.rescinded.into()),
];

const TASKS_NOW: [Row; 5] = [LONGEST_AGE, LONGEST_SID, TOTAL_TASKS, TASKS_BY_STATUS, TASKS_BY_PRIORITY];
const ELIGIBLE: [Row; 3] = [TOTAL_ELIGIBLE_WORKERS, TOTAL_AVAILABLE_WORKERS, ACTIVITY_STATISTICS];
const POPULATION: [Row; 2] = [TOTAL_WORKERS, ACTIVITY_STATISTICS];
const INTERVAL: [Row; 2] = [START_TIME, END_TIME];
const ENDS: [Row; 4] = [TASKS_CANCELED, TASKS_COMPLETED, TASKS_DELETED, TASKS_MOVED];
const WAITS: [Row; 3] = [ACCEPTANCE_TIME, UNTIL_ACCEPTED, UNTIL_CANCELED];

static WORKSPACE_NOW: [Row; 7] = join(&[&TASKS_NOW, &POPULATION]);
static QUEUE_NOW: [Row; 10] = join(&[&TASKS_NOW, &[LONGEST_RELATIVE_AGE, LONGEST_RELATIVE_SID], &ELIGIBLE]);
static BULK_NOW: [Row; 9] = join(&[&[TASK_QUEUE_SID], &TASKS_NOW, &ELIGIBLE]);
static WORKFLOW_NOW: [Row; 5] = TASKS_NOW;
static WORKERS_NOW: [Row; 2] = POPULATION;

static WORKSPACE_SUMS: [Row; 18] =
    join(&[&INTERVAL, &[TASKS_CREATED], &ENDS, &[TASKS_TIMED_OUT], &RESERVATIONS, &WAITS, &[SPLIT]]);
static QUEUE_SUMS: [Row; 18] =
    join(&[&INTERVAL, &[ENTERED_QUEUE], &ENDS, &RESERVATIONS, &WAITS, &[IN_QUEUE_UNTIL_ACCEPTED, SPLIT]]);
static WORKFLOW_SUMS: [Row; 18] =
    join(&[&INTERVAL, &[ENTERED_WORKFLOW], &ENDS, &[TASKS_TIMED_OUT], &RESERVATIONS, &WAITS, &[SPLIT]]);
static WORKER_SUMS: [Row; 9] = join(&[&INTERVAL, &WORKER_RESERVATIONS, &[ACTIVITY_DURATIONS]]);

/// An object of members within the answer.
fn nested<'a>(fields: &[Row], figures: &Figures, context: &Context<'_>) -> Scalar<'a> {
    let mut out = String::with_capacity(1_024);
    render_nested(&mut out, fields, figures, context);
    Scalar::Json(out)
}

const fn realtime(read: for<'a> fn(&'a Figures, &'a Context<'a>) -> Scalar<'a>) -> Row {
    untyped("realtime", "Figures of this moment.", read)
}

const fn cumulative(read: for<'a> fn(&'a Figures, &'a Context<'a>) -> Scalar<'a>) -> Row {
    untyped("cumulative", "Figures of the interval.", read)
}

fn age(waiting: Option<Waiting>, context: &Context<'_>) -> Scalar<'static> {
    waiting.map_or(0, |waiting| context.now.since(waiting.since).seconds()).into()
}

fn tasks_by_status(figures: &TaskFigures) -> Scalar<'static> {
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    for (status, count) in LIVE_STATUSES.iter().zip(figures.by_status) {
        object.integer(words::task_status(*status), count);
    }
    object.close();
    Scalar::Json(out)
}

fn tasks_by_priority(figures: &TaskFigures) -> Scalar<'static> {
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    for (priority, count) in &figures.by_priority {
        object.integer(&priority.to_string(), *count);
    }
    object.close();
    Scalar::Json(out)
}

fn activity_statistics(figures: &WorkerFigures) -> Scalar<'static> {
    let mut out = String::new();
    json::array(&mut out, &figures.by_activity, |out, row| {
        let mut object = Object::open(out);
        object.text("sid", &row.sid.to_string());
        object.text("friendly_name", &row.friendly_name);
        object.integer("workers", row.workers);
        object.close();
    });
    Scalar::Json(out)
}

fn activity_durations(rows: &[ActivityDuration]) -> Scalar<'static> {
    let mut out = String::new();
    json::array(&mut out, rows, |out, row| {
        let mut object = Object::open(out);
        object.text("sid", &row.sid.to_string());
        object.text("friendly_name", &row.friendly_name);
        object.integer("min", row.durations.min());
        object.integer("avg", row.durations.average());
        object.integer("max", row.durations.max());
        object.integer("total", row.durations.total());
        object.close();
    });
    Scalar::Json(out)
}

fn wait(durations: &Durations) -> Scalar<'static> {
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    object.integer("avg", durations.average());
    object.integer("min", durations.min());
    object.integer("max", durations.max());
    object.integer("total", durations.total());
    object.close();
    Scalar::Json(out)
}

fn split_by_wait_time(splits: Option<&[Split]>) -> Scalar<'static> {
    let Some(splits) = splits else { return Scalar::Null };
    let side = |out: &mut String, side: SplitSide| {
        let mut object = Object::open(out);
        object.integer("tasks_canceled", side.tasks_canceled);
        object.integer("reservations_accepted", side.reservations_accepted);
        object.close();
    };
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    for split in splits {
        let mut sides = Object::open(object.key(&split.seconds.to_string()));
        side(sides.key("above"), split.above);
        side(sides.key("below"), split.below);
        sides.close();
    }
    object.close();
    Scalar::Json(out)
}

// Resources.

const fn resource(
    name: &'static str,
    schema: &'static str,
    doc: &'static str,
    fields: &'static [Row],
    mounts: &'static [Mount],
) -> Resource<Figures> {
    Resource { name, schema, doc, fields, version: None, named_by: NamedBy::Sid, mounts }
}

const fn mount(
    path: &'static str,
    find: fn(&State, &[String]) -> Option<Target>,
    operations: &'static [Operation],
) -> Mount {
    Mount { path, list_key: "", find, operations }
}

fn find_workspace(_: &State, _: &[String]) -> Option<Target> {
    Some(Target::Workspace)
}

fn find_task_queue(state: &State, segments: &[String]) -> Option<Target> {
    state.find_task_queue(segment(segments, 0)?).map(|queue| Target::TaskQueue(queue.id))
}

fn find_workflow(state: &State, segments: &[String]) -> Option<Target> {
    state.find_workflow(segment(segments, 0)?).map(|workflow| Target::Workflow(workflow.id))
}

fn find_worker(state: &State, segments: &[String]) -> Option<Target> {
    state.find_worker(segment(segments, 0)?).map(|worker| Target::Worker(worker.id))
}

static WORKSPACE_COMBINED: [Row; 5] = [
    ACCOUNT,
    WORKSPACE,
    realtime(|figures, context| nested(&WORKSPACE_NOW, figures, context)),
    cumulative(|figures, context| nested(&WORKSPACE_SUMS, figures, context)),
    url("/v1/Workspaces/{workspace_sid}/Statistics"),
];
static WORKSPACE_REAL_TIME: [Row; 10] =
    join(&[&[ACCOUNT, WORKSPACE], &WORKSPACE_NOW, &[url("/v1/Workspaces/{workspace_sid}/RealTimeStatistics")]]);
static WORKSPACE_CUMULATIVE: [Row; 21] =
    join(&[&[ACCOUNT, WORKSPACE], &WORKSPACE_SUMS, &[url("/v1/Workspaces/{workspace_sid}/CumulativeStatistics")]]);

pub(crate) static WORKSPACE_STATISTICS: Resource<Figures> = resource(
    "WorkspaceStatistics",
    "taskrouter.v1.workspace.workspace_statistics",
    "Figures of the whole Workspace, of this moment and of an interval.",
    &WORKSPACE_COMBINED,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Statistics",
        find_workspace,
        &[read("FetchWorkspaceStatistics", "Returns the figures of the Workspace.", &WINDOW, |request| {
            of_tasks(request, &WORKSPACE_STATISTICS)
        })],
    )],
);

pub(crate) static WORKSPACE_REAL_TIME_STATISTICS: Resource<Figures> = resource(
    "WorkspaceRealTimeStatistics",
    "taskrouter.v1.workspace.workspace_real_time_statistics",
    "Figures of the whole Workspace at this moment.",
    &WORKSPACE_REAL_TIME,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/RealTimeStatistics",
        find_workspace,
        &[read(
            "FetchWorkspaceRealTimeStatistics",
            "Returns the present figures of the Workspace.",
            &[TASK_CHANNEL.spec],
            |request| now(request, &WORKSPACE_REAL_TIME_STATISTICS),
        )],
    )],
);

pub(crate) static WORKSPACE_CUMULATIVE_STATISTICS: Resource<Figures> = resource(
    "WorkspaceCumulativeStatistics",
    "taskrouter.v1.workspace.workspace_cumulative_statistics",
    "Figures of the whole Workspace in an interval.",
    &WORKSPACE_CUMULATIVE,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/CumulativeStatistics",
        find_workspace,
        &[read(
            "FetchWorkspaceCumulativeStatistics",
            "Returns the figures of the Workspace in an interval.",
            &WINDOW,
            |request| of_tasks(request, &WORKSPACE_CUMULATIVE_STATISTICS),
        )],
    )],
);

static QUEUE_COMBINED: [Row; 6] = [
    ACCOUNT,
    WORKSPACE,
    TASK_QUEUE_SID,
    realtime(|figures, context| nested(&QUEUE_NOW, figures, context)),
    cumulative(|figures, context| nested(&QUEUE_SUMS, figures, context)),
    url("/v1/Workspaces/{workspace_sid}/TaskQueues/{task_queue_sid}/Statistics"),
];
/// As one queue's, without an address.
static QUEUE_LISTED: [Row; 5] =
    [QUEUE_COMBINED[0], QUEUE_COMBINED[1], QUEUE_COMBINED[2], QUEUE_COMBINED[3], QUEUE_COMBINED[4]];
static QUEUE_REAL_TIME: [Row; 14] = join(&[
    &[ACCOUNT, WORKSPACE, TASK_QUEUE_SID],
    &QUEUE_NOW,
    &[url("/v1/Workspaces/{workspace_sid}/TaskQueues/{task_queue_sid}/RealTimeStatistics")],
]);
static QUEUE_CUMULATIVE: [Row; 22] = join(&[
    &[ACCOUNT, WORKSPACE, TASK_QUEUE_SID],
    &QUEUE_SUMS,
    &[url("/v1/Workspaces/{workspace_sid}/TaskQueues/{task_queue_sid}/CumulativeStatistics")],
]);
static QUEUES_BULK: [Row; 5] = [
    ACCOUNT,
    WORKSPACE,
    field("task_queue_data", Shape::Array, "The figures of each TaskQueue.", |figures, context| {
        let mut out = String::new();
        json::array(&mut out, &figures.bulk, |out, row| render_nested(out, &BULK_NOW, row, context));
        Scalar::Json(out)
    }),
    count("task_queue_response_count", "Number of TaskQueues.", |figures, _| (figures.bulk.len() as i64).into()),
    url("/v1/Workspaces/{workspace_sid}/TaskQueues/RealTimeStatistics"),
];

pub(crate) static TASK_QUEUE_STATISTICS: Resource<Figures> = resource(
    "TaskQueueStatistics",
    "taskrouter.v1.workspace.task_queue.task_queue_statistics",
    "Figures of one TaskQueue, of this moment and of an interval.",
    &QUEUE_COMBINED,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/TaskQueues/{TaskQueueSid}/Statistics",
        find_task_queue,
        &[read("FetchTaskQueueStatistics", "Returns the figures of a TaskQueue.", &WINDOW, |request| {
            of_tasks(request, &TASK_QUEUE_STATISTICS)
        })],
    )],
);

pub(crate) static TASK_QUEUE_REAL_TIME_STATISTICS: Resource<Figures> = resource(
    "TaskQueueRealTimeStatistics",
    "taskrouter.v1.workspace.task_queue.task_queue_real_time_statistics",
    "Figures of one TaskQueue at this moment.",
    &QUEUE_REAL_TIME,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/TaskQueues/{TaskQueueSid}/RealTimeStatistics",
        find_task_queue,
        &[read(
            "FetchTaskQueueRealTimeStatistics",
            "Returns the present figures of a TaskQueue.",
            &[TASK_CHANNEL.spec],
            |request| now(request, &TASK_QUEUE_REAL_TIME_STATISTICS),
        )],
    )],
);

pub(crate) static TASK_QUEUE_CUMULATIVE_STATISTICS: Resource<Figures> = resource(
    "TaskQueueCumulativeStatistics",
    "taskrouter.v1.workspace.task_queue.task_queue_cumulative_statistics",
    "Figures of one TaskQueue in an interval.",
    &QUEUE_CUMULATIVE,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/TaskQueues/{TaskQueueSid}/CumulativeStatistics",
        find_task_queue,
        &[read(
            "FetchTaskQueueCumulativeStatistics",
            "Returns the figures of a TaskQueue in an interval.",
            &WINDOW,
            |request| of_tasks(request, &TASK_QUEUE_CUMULATIVE_STATISTICS),
        )],
    )],
);

pub(crate) static TASK_QUEUES_STATISTICS: Resource<Figures> = resource(
    "TaskQueueStatistics",
    "taskrouter.v1.workspace.task_queue.task_queues_statistics",
    "Figures of every TaskQueue, of this moment and of an interval.",
    &QUEUE_LISTED,
    &[Mount {
        path: "/v1/Workspaces/{WorkspaceSid}/TaskQueues/Statistics",
        list_key: "task_queues_statistics",
        find: find_workspace,
        operations: &[list(
            "ListTaskQueuesStatistics",
            "Lists the figures of TaskQueues.",
            &[
                END_DATE.spec,
                QUEUE_NAME_FILTER.spec,
                MINUTES.spec,
                START_DATE.spec,
                TASK_CHANNEL.spec,
                SPLIT_BY_WAIT_TIME.spec,
            ],
            list_of_queues,
        )],
    }],
);

pub(crate) static TASK_QUEUE_BULK_REAL_TIME_STATISTICS: Resource<Figures> = resource(
    "TaskQueueBulkRealTimeStatistics",
    "taskrouter.v1.workspace.task_queue.task_queue_bulk_real_time_statistics",
    "Figures of several TaskQueues at this moment.",
    &QUEUES_BULK,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/TaskQueues/RealTimeStatistics",
        find_workspace,
        &[Operation {
            id: "CreateTaskQueueBulkRealTimeStatistics",
            doc: "Returns the present figures of 1 to 50 TaskQueues.",
            method: crate::table::Method::Post,
            specs: &[QUEUE_SIDS.spec],
            run: Run::Read(bulk),
        }],
    )],
);

static WORKERS_COMBINED: [Row; 5] = [
    ACCOUNT,
    WORKSPACE,
    realtime(|figures, context| nested(&WORKERS_NOW, figures, context)),
    cumulative(|figures, context| nested(&WORKER_SUMS, figures, context)),
    url("/v1/Workspaces/{workspace_sid}/Workers/Statistics"),
];
static WORKERS_REAL_TIME: [Row; 5] =
    join(&[&[ACCOUNT, WORKSPACE], &WORKERS_NOW, &[url("/v1/Workspaces/{workspace_sid}/Workers/RealTimeStatistics")]]);
static WORKERS_CUMULATIVE: [Row; 12] =
    join(&[&[ACCOUNT, WORKSPACE], &WORKER_SUMS, &[url("/v1/Workspaces/{workspace_sid}/Workers/CumulativeStatistics")]]);
static WORKER_COMBINED: [Row; 5] = [
    ACCOUNT,
    WORKSPACE,
    WORKER_SID,
    cumulative(|figures, context| nested(&WORKER_SUMS, figures, context)),
    url("/v1/Workspaces/{workspace_sid}/Workers/{worker_sid}/Statistics"),
];

pub(crate) static WORKERS_STATISTICS: Resource<Figures> = resource(
    "WorkersStatistics",
    "taskrouter.v1.workspace.worker.worker_statistics",
    "Figures of Workers, of this moment and of an interval.",
    &WORKERS_COMBINED,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workers/Statistics",
        find_workspace,
        &[read(
            "FetchWorkerStatistics",
            "Returns the figures of Workers.",
            &[
                MINUTES.spec,
                START_DATE.spec,
                END_DATE.spec,
                filters::TASK_QUEUE_SID.spec,
                TASK_QUEUE_NAME.spec,
                WORKER_NAME_FILTER.spec,
                TASK_CHANNEL.spec,
            ],
            filtered_workers,
        )],
    )],
);

pub(crate) static WORKERS_REAL_TIME_STATISTICS: Resource<Figures> = resource(
    "WorkersRealTimeStatistics",
    "taskrouter.v1.workspace.worker.workers_real_time_statistics",
    "Figures of all Workers at this moment.",
    &WORKERS_REAL_TIME,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workers/RealTimeStatistics",
        find_workspace,
        &[read(
            "FetchWorkersRealTimeStatistics",
            "Returns the present figures of all Workers.",
            &[TASK_CHANNEL.spec],
            |request| now(request, &WORKERS_REAL_TIME_STATISTICS),
        )],
    )],
);

pub(crate) static WORKERS_CUMULATIVE_STATISTICS: Resource<Figures> = resource(
    "WorkersCumulativeStatistics",
    "taskrouter.v1.workspace.worker.workers_cumulative_statistics",
    "Figures of all Workers in an interval.",
    &WORKERS_CUMULATIVE,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workers/CumulativeStatistics",
        find_workspace,
        &[read(
            "FetchWorkersCumulativeStatistics",
            "Returns the figures of all Workers in an interval.",
            &WORKER_WINDOW,
            |request| of_workers(request, &WORKERS_CUMULATIVE_STATISTICS, None),
        )],
    )],
);

pub(crate) static WORKER_STATISTICS: Resource<Figures> = resource(
    "WorkerStatistics",
    "taskrouter.v1.workspace.worker.worker_instance_statistics",
    "Figures of one Worker in an interval.",
    &WORKER_COMBINED,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Statistics",
        find_worker,
        &[read("FetchWorkerInstanceStatistics", "Returns the figures of a Worker.", &WORKER_WINDOW, one_worker)],
    )],
);

static WORKFLOW_COMBINED: [Row; 6] = [
    ACCOUNT,
    WORKSPACE,
    WORKFLOW_SID,
    realtime(|figures, context| nested(&WORKFLOW_NOW, figures, context)),
    cumulative(|figures, context| nested(&WORKFLOW_SUMS, figures, context)),
    url("/v1/Workspaces/{workspace_sid}/Workflows/{workflow_sid}/Statistics"),
];
static WORKFLOW_REAL_TIME: [Row; 9] = join(&[
    &[ACCOUNT, WORKSPACE, WORKFLOW_SID],
    &WORKFLOW_NOW,
    &[url("/v1/Workspaces/{workspace_sid}/Workflows/{workflow_sid}/RealTimeStatistics")],
]);
static WORKFLOW_CUMULATIVE: [Row; 22] = join(&[
    &[ACCOUNT, WORKSPACE, WORKFLOW_SID],
    &WORKFLOW_SUMS,
    &[url("/v1/Workspaces/{workspace_sid}/Workflows/{workflow_sid}/CumulativeStatistics")],
]);

pub(crate) static WORKFLOW_STATISTICS: Resource<Figures> = resource(
    "WorkflowStatistics",
    "taskrouter.v1.workspace.workflow.workflow_statistics",
    "Figures of one Workflow, of this moment and of an interval.",
    &WORKFLOW_COMBINED,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workflows/{WorkflowSid}/Statistics",
        find_workflow,
        &[read("FetchWorkflowStatistics", "Returns the figures of a Workflow.", &WINDOW, |request| {
            of_tasks(request, &WORKFLOW_STATISTICS)
        })],
    )],
);

pub(crate) static WORKFLOW_REAL_TIME_STATISTICS: Resource<Figures> = resource(
    "WorkflowRealTimeStatistics",
    "taskrouter.v1.workspace.workflow.workflow_real_time_statistics",
    "Figures of one Workflow at this moment.",
    &WORKFLOW_REAL_TIME,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workflows/{WorkflowSid}/RealTimeStatistics",
        find_workflow,
        &[read(
            "FetchWorkflowRealTimeStatistics",
            "Returns the present figures of a Workflow.",
            &[TASK_CHANNEL.spec],
            |request| now(request, &WORKFLOW_REAL_TIME_STATISTICS),
        )],
    )],
);

pub(crate) static WORKFLOW_CUMULATIVE_STATISTICS: Resource<Figures> = resource(
    "WorkflowCumulativeStatistics",
    "taskrouter.v1.workspace.workflow.workflow_cumulative_statistics",
    "Figures of one Workflow in an interval.",
    &WORKFLOW_CUMULATIVE,
    &[mount(
        "/v1/Workspaces/{WorkspaceSid}/Workflows/{WorkflowSid}/CumulativeStatistics",
        find_workflow,
        &[read(
            "FetchWorkflowCumulativeStatistics",
            "Returns the figures of a Workflow in an interval.",
            &WINDOW,
            |request| of_tasks(request, &WORKFLOW_CUMULATIVE_STATISTICS),
        )],
    )],
);

// Operations.

/// The TaskChannel asked about; an unknown one is an error, so that a typo does not look like a quiet day.
fn channel<'a>(request: &Request<'a>) -> Result<Option<&'a TaskChannel>, ApiError> {
    let Some(named) = request.get(&TASK_CHANNEL) else { return Ok(None) };
    let found = task_channel::by_sid_or_name(request.state, &named);
    let workspace = request.state.workspace().sid;
    let unknown = || ApiError::new(&errors::TASK_CHANNEL_UNKNOWN, &[("value", &named), ("workspace", &workspace)]);
    found.map(Some).ok_or_else(unknown)
}

fn channel_filter(channel: Option<&TaskChannel>) -> Option<ChannelFilter> {
    channel.map(|channel| ChannelFilter { sid: channel.sid, is_default: &*channel.unique_name == "default" })
}

/// The present figures of the scope that the path names.
fn figures(request: &Request<'_>, channel: Option<&TaskChannel>) -> Figures {
    let (engine, state) = (request.engine, request.state);
    let channel = channel.map(|channel| channel.id);
    match request.target {
        Target::TaskQueue(id) => Figures {
            task_queue: state.task_queue(id).map(|queue| queue.sid),
            tasks: real_time::tasks(state, channel, |task| task.task_queue == Some(id)),
            workers: real_time::eligible_workers(engine, channel, Some(id)),
            ..Figures::default()
        },
        Target::Workflow(id) => Figures {
            workflow: state.workflow(id).map(|workflow| workflow.sid),
            tasks: real_time::tasks(state, channel, |task| task.workflow == Some(id)),
            ..Figures::default()
        },
        Target::Workspace => Figures {
            tasks: real_time::tasks(state, channel, |_| true),
            workers: real_time::workers(state, channel, state.workers()),
            ..Figures::default()
        },
        other => unreachable!("no statistics are mounted on {other:?}"),
    }
}

/// Answers at once: real-time figures only.
fn now(request: &Request<'_>, resource: &Resource<Figures>) -> Result<Outcome, ApiError> {
    let figures = figures(request, channel(request)?);
    Ok(at_once(request, resource, &figures))
}

fn at_once(request: &Request<'_>, resource: &Resource<Figures>, figures: &Figures) -> Outcome {
    let mut out = String::with_capacity(2_048);
    resource.render(&mut out, figures, &Context::of(request.state, &request.call.base_url));
    Outcome::Answer(Answer::json(200, out))
}

fn bulk(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (engine, state) = (request.engine, request.state);
    let mut tasks = real_time::tasks_by_queue(state, None);
    let queues = request.need(&QUEUE_SIDS)?;
    let of_queue = |sid: Sid<TaskQueue>| {
        // A queue that is unknown here is reported with zeros (section 8.4 [doc]).
        let id = state.find_task_queue(sid).map(|queue| queue.id);
        Figures {
            task_queue: Some(sid),
            tasks: id.and_then(|id| tasks.remove(&id)).unwrap_or_default(),
            workers: real_time::eligible_workers(engine, None, id),
            ..Figures::default()
        }
    };
    let figures = Figures { bulk: queues.into_iter().map(of_queue).collect(), ..Figures::default() };
    Ok(at_once(request, &TASK_QUEUE_BULK_REAL_TIME_STATISTICS, &figures))
}

/// Figures that wait for the events of their interval.
#[derive(Clone, Debug)]
pub(crate) struct Cumulation {
    resource: &'static Resource<Figures>,
    figures: Vec<Figures>,
    interval: Interval,
    channel: Option<ChannelFilter>,
    subject: Subject,
    /// Of the one list.
    page: Option<(PageSetting, Page, Edges)>,
}

/// What the figures are about.
#[derive(Clone, Debug)]
enum Subject {
    Tasks {
        /// The row of each queue that is asked about.
        by_queue: BTreeMap<Sid<TaskQueue>, usize>,
    },
    Workers {
        /// Whose reservations count.
        reservations: Population,
        times: ActivityTimes,
        activities: Vec<(Sid<Activity>, Arc<str>)>,
    },
}

fn cumulate(
    request: &Request<'_>,
    cumulation: Cumulation,
    to: Timestamp,
    kinds: &[EventKind],
    references: Vec<EventReference>,
) -> Outcome {
    let workspace = request.state.workspace();
    let query = HistoryQuery { kinds: kinds.to_vec(), references, ..HistoryQuery::of(cumulation.interval.start, to) };
    Outcome::History(Box::new(HistoryRequest {
        workspace: workspace.sid,
        query,
        account: workspace.account,
        base_url: request.call.base_url.clone(),
        now: request.state.now(),
        finish: Finish::Statistics(Box::new(cumulation)),
    }))
}

/// Figures of the Tasks of the Workspace, of a queue or of a Workflow.
fn of_tasks(request: &Request<'_>, resource: &'static Resource<Figures>) -> Result<Outcome, ApiError> {
    let interval = Interval::within_horizon(request.call, request.state.now())?;
    let channel = channel(request)?;
    let figures = figures(request, channel);
    let references: Vec<EventReference> = (figures.task_queue.map(EventReference::TaskQueue).into_iter())
        .chain(figures.workflow.map(EventReference::Workflow))
        .collect();
    let mut figures = vec![figures];
    let subject = task_subject(request, &mut figures);
    let channel = channel_filter(channel);
    let cumulation = Cumulation { resource, figures, interval, channel, subject, page: None };
    Ok(cumulate(request, cumulation, interval.end, TASK_KINDS, references))
}

fn list_of_queues(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (call, state) = (request.call, request.state);
    let mut interval = Interval::within_horizon(call, state.now())?;
    let channel = channel(request)?;
    let page = Page::with_interval::<TaskQueue>(call)?;
    if let Some((start, end)) = page.token.as_ref().and_then(|token| token.interval) {
        interval = Interval { start: start.max(Interval::horizon(call, state.now())), end: end.min(state.now()) };
    }
    let name = request.get(&QUEUE_NAME_FILTER);
    let slice = listing::in_creation_order::<TaskQueue>(request, &page, |queue| {
        name.as_ref().is_none_or(|name| same_name(name, &queue.definition.friendly_name))
    })?;
    let channel_id = channel.map(|channel| channel.id);
    let mut tasks = real_time::tasks_by_queue(state, channel_id);
    let of_queue = |queue: &&TaskQueue| Figures {
        task_queue: Some(queue.sid),
        tasks: tasks.remove(&queue.id).unwrap_or_default(),
        workers: real_time::eligible_workers(request.engine, channel_id, Some(queue.id)),
        ..Figures::default()
    };
    let mut figures: Vec<Figures> = slice.records.iter().map(of_queue).collect();
    let subject = task_subject(request, &mut figures);
    let cumulation = Cumulation {
        resource: &TASK_QUEUES_STATISTICS,
        figures,
        interval,
        channel: channel_filter(channel),
        subject,
        page: Some((
            PageSetting::of(call),
            page,
            Edges { interval: Some((interval.start, interval.end)), ..slice.edges },
        )),
    };
    Ok(cumulate(request, cumulation, interval.end, TASK_KINDS, Vec::new()))
}

/// Rows of Tasks with nothing added up yet.
fn task_subject(request: &Request<'_>, figures: &mut [Figures]) -> Subject {
    let thresholds = request.get(&SPLIT_BY_WAIT_TIME);
    for row in figures.iter_mut() {
        row.sums = TaskSums::new(thresholds.as_deref());
    }
    let rows = figures.iter().enumerate();
    Subject::Tasks { by_queue: rows.filter_map(|(index, row)| Some((row.task_queue?, index))).collect() }
}

/// Figures of Workers: all of them, or those that a filter leaves.
fn of_workers(
    request: &Request<'_>,
    resource: &'static Resource<Figures>,
    filtered: Option<Vec<&Worker>>,
) -> Result<Outcome, ApiError> {
    let state = request.state;
    let interval = Interval::within_horizon(request.call, state.now())?;
    let channel = channel(request)?;
    let channel_id = channel.map(|channel| channel.id);
    let is_filtered = filtered.is_some();
    let workers: Vec<&Worker> = filtered.unwrap_or_else(|| state.workers().collect());
    let serving = || workers.iter().copied().filter(|worker| real_time::serves(worker, channel_id));
    let sids =
        |workers: &mut dyn Iterator<Item = &Worker>| Some(workers.map(|worker| worker.sid).collect::<BTreeSet<_>>());
    // Without any filter deleted Workers count too; a channel takes their stays, for they have no capacity (section 7).
    let reservations = if is_filtered { sids(&mut workers.iter().copied()) } else { None };
    let stays = if is_filtered || channel.is_some() { sids(&mut serving()) } else { None };
    let figures =
        Figures { workers: real_time::workers(state, channel_id, workers.iter().copied()), ..Figures::default() };
    let subject = worker_subject(state, reservations, ActivityTimes::new(interval, stays), &mut serving());
    let channel = channel_filter(channel);
    let cumulation = Cumulation { resource, figures: vec![figures], interval, channel, subject, page: None };
    Ok(cumulate(request, cumulation, state.now(), WORKER_KINDS, Vec::new()))
}

fn worker_subject(
    state: &State,
    reservations: Population,
    mut times: ActivityTimes,
    workers: &mut dyn Iterator<Item = &Worker>,
) -> Subject {
    for worker in workers {
        let activity = state.activity(worker.activity).expect("a Worker always has an Activity");
        times.add(Stay {
            worker: worker.sid,
            activity: activity.sid,
            friendly_name: Arc::clone(&activity.friendly_name),
            from: worker.date_status_changed,
            to: state.now(),
        });
    }
    let activities = state.activities().map(|activity| (activity.sid, Arc::clone(&activity.friendly_name))).collect();
    Subject::Workers { reservations, times, activities }
}

fn filtered_workers(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let state = request.state;
    let workspace = state.workspace().sid;
    let by_sid = request.get(&filters::TASK_QUEUE_SID).map(|sid| {
        let name = filters::TASK_QUEUE_SID.spec.name;
        let unknown =
            || ApiError::new(&errors::DOES_NOT_EXIST, &[("name", &name), ("sid", &sid), ("workspace", &workspace)]);
        state.find_task_queue(sid).ok_or_else(unknown)
    });
    // With both, the SID counts and the name is not looked at (section 3.5 [decide]).
    let by_name = request.get(&TASK_QUEUE_NAME).filter(|_| by_sid.is_none()).map(|name| {
        let unknown =
            || ApiError::new(&errors::TASK_QUEUE_NAME_UNKNOWN, &[("value", &name), ("workspace", &workspace)]);
        state.task_queue_named(&name).ok_or_else(unknown)
    });
    // The interval is looked at first, as everywhere.
    Interval::within_horizon(request.call, state.now())?;
    let queue = by_sid.or(by_name).transpose()?;
    let name = request.get(&WORKER_NAME_FILTER);
    if queue.is_none() && name.is_none() {
        return of_workers(request, &WORKERS_STATISTICS, None);
    }
    let workers = state.workers().filter(|worker| {
        queue.is_none_or(|queue| request.engine.is_member(queue.id, worker.id))
            && name.as_ref().is_none_or(|name| same_name(name, &worker.friendly_name))
    });
    of_workers(request, &WORKERS_STATISTICS, Some(workers.collect()))
}

/// One Worker: the channel tells its reservations apart, but not its time.
fn one_worker(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let Target::Worker(id) = request.target else { unreachable!("the mount finds Workers") };
    let state = request.state;
    let worker = state.worker(id).expect("found in this turn");
    let interval = Interval::within_horizon(request.call, state.now())?;
    let channel = channel_filter(channel(request)?);
    let population = Some(BTreeSet::from([worker.sid]));
    let times = ActivityTimes::new(interval, population.clone());
    let subject = worker_subject(state, population, times, &mut std::iter::once(worker));
    let figures = vec![Figures { worker: Some(worker.sid), ..Figures::default() }];
    let cumulation = Cumulation { resource: &WORKER_STATISTICS, figures, interval, channel, subject, page: None };
    let references = vec![EventReference::Worker(worker.sid)];
    Ok(cumulate(request, cumulation, state.now(), WORKER_KINDS, references))
}

/// Adds the cumulative part and renders.
impl Cumulation {
    /// Adds one event; those that do not count are passed over.
    pub(crate) fn add(&mut self, event: &PublicEvent) {
        let within = statistics::is_within(event, self.interval, self.channel);
        match &mut self.subject {
            Subject::Tasks { by_queue } if within => add_to_tasks(&mut self.figures, by_queue, event),
            Subject::Tasks { .. } => {}
            Subject::Workers { reservations, times, .. } => {
                // A stay that ended after the window may have begun in it.
                if let Some(stay) = statistics::ended_stay(event) {
                    times.add(stay);
                }
                let worker = event.worker.as_ref().map(|worker| worker.sid);
                let asked = reservations.as_ref().is_none_or(|few| worker.is_some_and(|sid| few.contains(&sid)));
                if within && asked {
                    self.figures.iter_mut().for_each(|row| row.reservations.add(event.kind));
                }
            }
        }
    }

    /// Makes the answer.
    pub(crate) fn finish(self, request: &HistoryRequest) -> Answer {
        let Self { resource, mut figures, interval, subject, page, .. } = self;
        if let Subject::Workers { times, activities, .. } = subject {
            let durations = times.finish(&activities);
            for row in &mut figures {
                row.durations.clone_from(&durations);
            }
        }
        for row in &mut figures {
            row.interval = Some(interval);
        }
        let context = Context::without_state(&request.base_url, request.account, request.workspace, request.now);
        let mut out = String::with_capacity(2_048 * figures.len());
        let Some((setting, page, edges)) = &page else {
            resource.render(&mut out, &figures[0], &context);
            return Answer::json(200, out);
        };
        json::array(&mut out, &figures, |out, row| resource.render(out, row, &context));
        page::answer(page::envelope_of(setting, TaskQueue::PREFIX, page, &out, edges), false)
    }
}

/// Adds an event to the rows whose scope it is in.
fn add_to_tasks(rows: &mut [Figures], by_queue: &BTreeMap<Sid<TaskQueue>, usize>, event: &PublicEvent) {
    let queue = event.task_queue.as_ref().map(|queue| queue.sid);
    if let Some(index) = queue.and_then(|sid| by_queue.get(&sid)) {
        rows[*index].sums.add(event);
    }
    let workflow = event.workflow.as_ref().map(|workflow| workflow.sid);
    for row in rows.iter_mut().filter(|row| row.task_queue.is_none()) {
        if row.workflow.is_none() || row.workflow == workflow {
            row.sums.add(event);
        }
    }
}
