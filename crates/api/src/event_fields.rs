//! The field dictionary of public events: one row per name, in the order in which payloads show them.
//!
//! From it come the `event_data` of the Event resource (`snake_case`), the form parameters of callbacks (`PascalCase`)
//! and the descriptions. A field that has no value is left out. Reference: events-and-callbacks, sections 2, 3 and 7.1.

use std::fmt::Display;

use pointsman_engine::{
    Account, DurationMs, Entity, EventKind, Id, Position, PublicEvent, Reservation, RoutingTargetFacts, Sid, State,
    Subject, Task, TaskStatus, Timestamp, Workspace,
};

use crate::interval::DAY_MS;
use crate::json::{self, Object};
use crate::limits::REDACTION_DAYS;
use crate::words;

/// One field of event payloads.
#[derive(Debug)]
pub struct EventField {
    /// As a callback parameter; `event_data` has it in `snake_case`.
    pub name: &'static str,
    pub group: Group,
    pub(crate) read: fn(&PublicEvent, &Place) -> Option<FieldValue>,
}

/// The value of a field. Forms and `event_data` show all of them as text; streams keep the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    Text(String),
    Integer(i64),
    Bool(bool),
    /// Unix seconds where all is text.
    Date(Timestamp),
}

impl FieldValue {
    /// As forms and `event_data` show it.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Bool(truth) => truth.to_string(),
            Self::Date(at) => at.seconds().to_string(),
        }
    }
}

/// The groups of the reference, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Top-level members of the Event resource, parameters of every callback.
    Envelope,
    Workspace,
    Task,
    TaskQueue,
    Workflow,
    Step,
    Previous,
    Worker,
    ActivityChange,
    WorkerChannel,
    Reservation,
    Transfer,
    Activity,
    TaskChannel,
}

/// What a payload needs besides its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub account: Sid<Account>,
    pub workspace: Sid<Workspace>,
    /// Show `{}` instead of the Task's attributes: the event is older than the law allows.
    pub redact: bool,
}

impl Place {
    /// As an event is shown at an instant.
    pub fn at(now: Timestamp, event: &PublicEvent, account: Sid<Account>, workspace: Sid<Workspace>) -> Self {
        Self { account, workspace, redact: event.at < now.plus(DurationMs(-i64::from(REDACTION_DAYS) * DAY_MS)) }
    }
}

pub(crate) const fn row(
    name: &'static str,
    group: Group,
    read: fn(&PublicEvent, &Place) -> Option<FieldValue>,
) -> EventField {
    EventField { name, group, read }
}

pub(crate) fn text(value: impl Display) -> FieldValue {
    FieldValue::Text(value.to_string())
}

/// Versions, counts and durations.
pub(crate) fn integer(number: impl TryInto<i64>) -> FieldValue {
    FieldValue::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// A JSON array that holds one text, or none.
fn json_list(text: Option<&str>) -> String {
    let mut out = String::new();
    json::array(&mut out, text, json::text);
    out
}

fn target_sid(target: RoutingTargetFacts) -> FieldValue {
    match target {
        RoutingTargetFacts::Worker(sid) => text(sid),
        RoutingTargetFacts::TaskQueue(sid) => text(sid),
    }
}

/// The reason of a Task that the payload shows in this status.
fn reason_if(event: &PublicEvent, status: TaskStatus) -> Option<FieldValue> {
    let task = event.task.as_ref().filter(|task| task.status == status)?;
    task.reason.as_deref().map(text)
}

/// Whether the details of a change of queue belong to the payload (section 2.11).
fn shows_previous(event: &PublicEvent) -> bool {
    matches!(event.kind, EventKind::TaskQueueEntered | EventKind::WorkflowTargetMatched)
}

/// Every field, in the order of the reference, section 3.8.
pub static EVENT_FIELDS: &[EventField] = &[
    row("Sid", Group::Envelope, |event, _| Some(text(event.sid))),
    row("EventType", Group::Envelope, |event, _| Some(text(event_type(event.kind).name))),
    row("AccountSid", Group::Envelope, |_, place| Some(text(place.account))),
    row("WorkspaceSid", Group::Workspace, |_, place| Some(text(place.workspace))),
    row("WorkspaceName", Group::Workspace, |event, _| Some(text(&event.workspace_name))),
    row("EventDescription", Group::Envelope, |event, _| Some(FieldValue::Text(description(event)))),
    row("ResourceType", Group::Envelope, |event, _| Some(text(event_type(event.kind).about.resource_type()))),
    row("ResourceSid", Group::Envelope, |event, place| {
        Some(FieldValue::Text(subject_sid(subject(event, place.workspace))))
    }),
    row("Timestamp", Group::Envelope, |event, _| Some(FieldValue::Date(event.at))),
    row("TimestampMs", Group::Envelope, |event, _| Some(integer(event.at.0))),
    row("OperatingUnitSid", Group::Workspace, |event, _| {
        let shown = event.task.is_some()
            || event.worker.is_some()
            || event.reservation.is_some()
            || event.kind == EventKind::TaskQueueCreated;
        shown.then(|| text(event.operating_unit))
    }),
    row("TaskSid", Group::Task, |event, _| Some(text(event.task.as_ref()?.sid))),
    row("TaskAttributes", Group::Task, |event, place| {
        let task = event.task.as_ref()?;
        Some(text(if place.redact { "{}" } else { &task.attributes }))
    }),
    row("TaskAge", Group::Task, |event, _| Some(integer(event.at.since(event.task.as_ref()?.date_created).seconds()))),
    row("TaskPriority", Group::Task, |event, _| Some(integer(event.task.as_ref()?.priority.0))),
    row("TaskAssignmentStatus", Group::Task, |event, _| Some(text(words::task_status(event.task.as_ref()?.status)))),
    row("TaskChannelSid", Group::Task, |event, _| {
        let of_task = event.task.as_ref().and_then(|task| task.task_channel.as_ref()).map(|(sid, _)| *sid);
        let of_worker = event.worker_channel.as_ref().map(|channel| channel.task_channel);
        let own = event.task_channel.as_ref().map(|channel| channel.sid);
        Some(text(of_task.or(of_worker).or(own)?))
    }),
    row("TaskChannelName", Group::TaskChannel, |event, _| Some(text(&event.task_channel.as_ref()?.friendly_name))),
    row("TaskChannelUniqueName", Group::Task, |event, _| {
        let of_task = event.task.as_ref().and_then(|task| task.task_channel.as_ref()).map(|(_, name)| name);
        let of_worker = event.worker_channel.as_ref().map(|channel| &channel.unique_name);
        let own = event.task_channel.as_ref().map(|channel| &channel.unique_name);
        Some(text(of_task.or(of_worker).or(own)?))
    }),
    row("TaskChannelOptimizedRouting", Group::TaskChannel, |event, _| {
        Some(FieldValue::Bool(event.task_channel.as_ref()?.optimized_routing))
    }),
    row("TaskVersion", Group::Task, |event, _| Some(integer(event.task.as_ref()?.version.0))),
    row("TaskDateCreated", Group::Task, |event, _| Some(FieldValue::Date(event.task.as_ref()?.date_created))),
    row("TaskVirtualStartTime", Group::Task, |event, _| {
        Some(FieldValue::Date(event.task.as_ref()?.virtual_start_time))
    }),
    row("TaskIgnoreCapacity", Group::Task, |event, _| Some(FieldValue::Bool(event.task.as_ref()?.ignore_capacity))),
    row("TaskRoutingTarget", Group::Task, |event, _| event.task.as_ref()?.routing_target.map(target_sid)),
    row("TaskCanceledReason", Group::Task, |event, _| reason_if(event, TaskStatus::Canceled)),
    row("TaskCompletedReason", Group::Task, |event, _| reason_if(event, TaskStatus::Completed)),
    row("Reason", Group::Task, |event, _| {
        let shown = matches!(event.kind, EventKind::TaskCanceled | EventKind::TaskCompleted | EventKind::TaskWrapup);
        let reason = event.task.as_ref()?.reason.as_deref()?;
        shown.then(|| text(reason))
    }),
    row("TaskQueueSid", Group::TaskQueue, |event, _| Some(text(event.task_queue.as_ref()?.sid))),
    row("TaskQueueName", Group::TaskQueue, |event, _| Some(text(&event.task_queue.as_ref()?.friendly_name))),
    row("TaskQueueTargetExpression", Group::TaskQueue, |event, _| {
        event.task_queue.as_ref()?.target_workers.as_deref().map(text)
    }),
    row("TaskQueueEnteredDate", Group::TaskQueue, |event, _| event.task_queue.as_ref()?.entered.map(FieldValue::Date)),
    row("WorkflowSid", Group::Workflow, |event, _| Some(text(event.workflow.as_ref()?.sid))),
    row("WorkflowName", Group::Workflow, |event, _| Some(text(&event.workflow.as_ref()?.friendly_name))),
    row("WorkflowFilterName", Group::Step, |event, _| {
        let step = event.step.as_ref()?;
        match step.position {
            Position::Default => Some(text("Default")),
            Position::Target { .. } => step.filter_name.as_deref().map(text),
        }
    }),
    row("WorkflowFilterExpression", Group::Step, |event, _| {
        Some(FieldValue::Text(json_list(event.step.as_ref()?.filter_expression.as_deref())))
    }),
    row("WorkflowFilterTargetName", Group::Step, |event, _| event.step.as_ref()?.target_name.as_deref().map(text)),
    row("WorkflowFilterTargetExpression", Group::Step, |event, _| {
        let expression = event.step.as_ref()?.target_expression.as_deref()?;
        Some(FieldValue::Text(json_list(Some(expression))))
    }),
    row("TaskReEvaluatedReason", Group::Step, |event, _| {
        event.step.as_ref()?.cause.map(|cause| text(words::routing_cause(cause)))
    }),
    row("KnownWorkerSid", Group::Step, |event, _| event.task.as_ref()?.known_worker.map(text)),
    row("PreviousTaskQueueSid", Group::Previous, |event, _| {
        let previous = event.previous.as_ref().filter(|_| shows_previous(event))?;
        previous.task_queue.as_ref().map(|(sid, _)| text(sid))
    }),
    row("PreviousTaskQueueName", Group::Previous, |event, _| {
        let previous = event.previous.as_ref().filter(|_| shows_previous(event))?;
        previous.task_queue.as_ref().map(|(_, name)| text(name))
    }),
    row("PreviousTaskPriority", Group::Previous, |event, _| {
        let previous = event.previous.as_ref().filter(|_| shows_previous(event))?;
        Some(integer(previous.priority.0))
    }),
    row("TargetChangedReason", Group::Previous, |event, _| {
        let previous = event.previous.as_ref().filter(|_| shows_previous(event))?;
        previous.cause.map(|cause| text(words::routing_cause(cause)))
    }),
    row("WorkerSid", Group::Worker, |event, _| Some(text(event.worker.as_ref()?.sid))),
    row("WorkerName", Group::Worker, |event, _| Some(text(&event.worker.as_ref()?.friendly_name))),
    row("WorkerAttributes", Group::Worker, |event, _| Some(text(&event.worker.as_ref()?.attributes))),
    row("WorkerActivitySid", Group::Worker, |event, _| Some(text(event.worker.as_ref()?.activity))),
    row("WorkerActivityName", Group::Worker, |event, _| Some(text(&event.worker.as_ref()?.activity_name))),
    row("WorkerVersion", Group::Worker, |event, _| Some(integer(event.worker.as_ref()?.version.0))),
    row("WorkerPreviousActivitySid", Group::ActivityChange, |event, _| {
        Some(text(event.activity_change.as_ref()?.previous))
    }),
    row("WorkerPreviousActivityName", Group::ActivityChange, |event, _| {
        Some(text(&event.activity_change.as_ref()?.previous_name))
    }),
    row("WorkerTimeInPreviousActivity", Group::ActivityChange, |event, _| {
        Some(integer(event.at.since(event.activity_change.as_ref()?.since).seconds()))
    }),
    row("WorkerTimeInPreviousActivityMs", Group::ActivityChange, |event, _| {
        Some(integer(event.at.since(event.activity_change.as_ref()?.since).0))
    }),
    row("ReservationSid", Group::Reservation, |event, _| Some(text(event.reservation.as_ref()?.sid))),
    row("ReservationVersion", Group::Reservation, |event, _| Some(integer(event.reservation.as_ref()?.version.0))),
    row("ReservationStatus", Group::Reservation, |event, _| {
        Some(text(words::reservation_status(event.reservation.as_ref()?.status)))
    }),
    row("ReservationTimeout", Group::Reservation, |event, _| {
        Some(integer(event.reservation.as_ref()?.timeout_seconds))
    }),
    row("ReservationReasonCode", Group::Reservation, |event, _| event.reservation.as_ref()?.reason_code.map(integer)),
    row("WorkerChannelAvailable", Group::WorkerChannel, |event, _| {
        Some(integer(u8::from(event.worker_channel.as_ref()?.available)))
    }),
    row("WorkerChannelCapacity", Group::WorkerChannel, |event, _| {
        let own = event.worker_channel.as_ref().map(|channel| channel.capacity);
        let of_reservation = event.reservation.as_ref().map(|reservation| reservation.channel_capacity);
        Some(integer(own.or(of_reservation)?))
    }),
    row("WorkerChannelConsumedCapacity", Group::Reservation, |event, _| {
        Some(integer(event.reservation.as_ref()?.channel_consumed))
    }),
    row("WorkerChannelPreviousCapacity", Group::WorkerChannel, |event, _| {
        Some(integer(event.worker_channel.as_ref()?.previous_capacity))
    }),
    row("WorkerChannelAvailableCapacity", Group::WorkerChannel, |event, _| {
        Some(integer(event.worker_channel.as_ref()?.available_capacity_percentage))
    }),
    row("WorkerChannelTaskCount", Group::WorkerChannel, |event, _| {
        Some(integer(event.worker_channel.as_ref()?.assigned_tasks))
    }),
    row("TaskTransferSid", Group::Transfer, |event, _| Some(text(event.transfer.as_ref()?.sid))),
    row("TransferType", Group::Transfer, |event, _| {
        Some(match event.transfer.as_ref()?.to {
            RoutingTargetFacts::Worker(_) => text("WORKER"),
            RoutingTargetFacts::TaskQueue(_) => text("QUEUE"),
        })
    }),
    row("TransferMode", Group::Transfer, |event, _| Some(text(words::transfer_mode(event.transfer.as_ref()?.mode)))),
    row("TransferTo", Group::Transfer, |event, _| Some(target_sid(event.transfer.as_ref()?.to))),
    row("TransferStatus", Group::Transfer, |event, _| {
        Some(text(words::transfer_status(event.transfer.as_ref()?.status)))
    }),
    row("TransferInitiatingWorkerSid", Group::Transfer, |event, _| {
        Some(text(event.transfer.as_ref()?.initiating_worker))
    }),
    row("TransferInitiatingReservationSid", Group::Transfer, |event, _| {
        Some(text(event.transfer.as_ref()?.initiating_reservation))
    }),
    row("TransferStarted", Group::Transfer, |event, _| Some(FieldValue::Date(event.transfer.as_ref()?.started))),
    row("TransferFailedReason", Group::Transfer, |event, _| {
        event.transfer.as_ref()?.failed_reason.as_deref().map(text)
    }),
    row("ActivitySid", Group::Activity, |event, _| Some(text(event.activity.as_ref()?.sid))),
    row("ActivityName", Group::Activity, |event, _| Some(text(&event.activity.as_ref()?.friendly_name))),
    row("ActivityAvailable", Group::Activity, |event, _| Some(FieldValue::Bool(event.activity.as_ref()?.available))),
];

/// A type of events.
#[derive(Debug)]
pub struct EventType {
    pub kind: EventKind,
    pub name: &'static str,
    pub about: About,
    /// Text with gaps in braces.
    pub description: &'static str,
}

/// What an event's `ResourceSid` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Task,
    Reservation,
    Transfer,
    Worker,
    TaskQueue,
    Workflow,
    Activity,
    TaskChannel,
    Workspace,
}

impl About {
    /// `ResourceType`.
    pub const fn resource_type(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Reservation => "reservation",
            Self::Transfer => "transfer",
            Self::Worker => "worker",
            Self::TaskQueue => "task-queue",
            Self::Workflow => "workflow",
            Self::Activity => "activity",
            Self::TaskChannel => "task-channel",
            Self::Workspace => "workspace",
        }
    }
}

const fn kind(kind: EventKind, name: &'static str, about: About, description: &'static str) -> EventType {
    EventType { kind, name, about, description }
}

/// Every type, in the order of [`EventKind`].
pub static EVENT_TYPES: &[EventType] = &[
    kind(EventKind::TaskCreated, "task.created", About::Task, "Task {task} created"),
    kind(EventKind::TaskUpdated, "task.updated", About::Task, "Task {task} updated"),
    kind(EventKind::TaskCanceled, "task.canceled", About::Task, "Task {task} canceled"),
    kind(EventKind::TaskWrapup, "task.wrapup", About::Task, "Task {task} wrapup"),
    kind(EventKind::TaskCompleted, "task.completed", About::Task, "Task {task} completed"),
    kind(EventKind::TaskDeleted, "task.deleted", About::Task, "Task {task} deleted"),
    kind(EventKind::TaskSystemDeleted, "task.system-deleted", About::Task, "Task {task} system-deleted"),
    kind(
        EventKind::TaskTransferInitiated,
        "task.transfer-initiated",
        About::Transfer,
        "Task {task} transfer initiated",
    ),
    kind(
        EventKind::TaskTransferAttemptFailed,
        "task.transfer-attempt-failed",
        About::Transfer,
        "Task {task} transfer attempt failed",
    ),
    kind(EventKind::TaskTransferFailed, "task.transfer-failed", About::Transfer, "Task {task} transfer failed"),
    kind(EventKind::TaskTransferCanceled, "task.transfer-canceled", About::Transfer, "Task {task} transfer canceled"),
    kind(
        EventKind::TaskTransferCompleted,
        "task.transfer-completed",
        About::Transfer,
        "Task {task} transfer completed",
    ),
    kind(EventKind::ReservationCreated, "reservation.created", About::Reservation, "Reservation {reservation} created"),
    kind(
        EventKind::ReservationAccepted,
        "reservation.accepted",
        About::Reservation,
        "Reservation {reservation} accepted",
    ),
    kind(
        EventKind::ReservationRejected,
        "reservation.rejected",
        About::Reservation,
        "Reservation {reservation} rejected",
    ),
    kind(
        EventKind::ReservationTimeout,
        "reservation.timeout",
        About::Reservation,
        "Reservation {reservation} timed out",
    ),
    kind(
        EventKind::ReservationCanceled,
        "reservation.canceled",
        About::Reservation,
        "Reservation {reservation} canceled",
    ),
    kind(
        EventKind::ReservationRescinded,
        "reservation.rescinded",
        About::Reservation,
        "Reservation {reservation} rescinded",
    ),
    kind(EventKind::ReservationWrapup, "reservation.wrapup", About::Reservation, "Reservation {reservation} wrapup"),
    kind(
        EventKind::ReservationCompleted,
        "reservation.completed",
        About::Reservation,
        "Reservation {reservation} completed",
    ),
    // There is no reservation to be about.
    kind(EventKind::ReservationFailed, "reservation.failed", About::Task, "Task {task} reservation failed"),
    kind(EventKind::TaskQueueCreated, "task-queue.created", About::TaskQueue, "TaskQueue {queue} created"),
    kind(EventKind::TaskQueueDeleted, "task-queue.deleted", About::TaskQueue, "TaskQueue {queue} deleted"),
    kind(
        EventKind::TaskQueueExpressionUpdated,
        "task-queue.expression.updated",
        About::TaskQueue,
        "TaskQueue {queue} expression updated",
    ),
    kind(EventKind::TaskQueueEntered, "task-queue.entered", About::Task, "Task {task} entered TaskQueue {queue}"),
    kind(EventKind::TaskQueueMoved, "task-queue.moved", About::Task, "Task {task} moved to TaskQueue {moved_to}"),
    kind(EventKind::TaskQueueTimeout, "task-queue.timeout", About::Task, "Task {task} timed out of TaskQueue {queue}"),
    kind(EventKind::WorkflowCreated, "workflow.created", About::Workflow, "Workflow {workflow} created"),
    kind(EventKind::WorkflowUpdated, "workflow.updated", About::Workflow, "Workflow {workflow} updated"),
    kind(EventKind::WorkflowDeleted, "workflow.deleted", About::Workflow, "Workflow {workflow} deleted"),
    kind(EventKind::WorkflowEntered, "workflow.entered", About::Task, "Task {task} entered Workflow {workflow}"),
    kind(
        EventKind::WorkflowTargetMatched,
        "workflow.target-matched",
        About::Task,
        "Task {task} matched a workflow target",
    ),
    kind(EventKind::WorkflowTimeout, "workflow.timeout", About::Task, "Task {task} timed out of Workflow {workflow}"),
    kind(EventKind::WorkflowSkipped, "workflow.skipped", About::Task, "Task {task} skipped Workflow {workflow}"),
    kind(EventKind::WorkerCreated, "worker.created", About::Worker, "Worker {worker} created"),
    kind(EventKind::WorkerDeleted, "worker.deleted", About::Worker, "Worker {worker} deleted"),
    kind(
        EventKind::WorkerActivityUpdate,
        "worker.activity.update",
        About::Worker,
        "Worker {worker} updated to {worker_activity} Activity",
    ),
    kind(
        EventKind::WorkerAttributesUpdate,
        "worker.attributes.update",
        About::Worker,
        "Worker {worker} attributes updated",
    ),
    kind(
        EventKind::WorkerCapacityUpdate,
        "worker.capacity.update",
        About::Worker,
        "Worker {worker} capacity updated on channel {channel}",
    ),
    kind(
        EventKind::WorkerChannelAvailabilityUpdate,
        "worker.channel.availability.update",
        About::Worker,
        "Worker {worker} channel {channel} availability updated",
    ),
    kind(EventKind::ActivityCreated, "activity.created", About::Activity, "Activity {activity} created"),
    kind(EventKind::ActivityUpdated, "activity.updated", About::Activity, "Activity {activity} updated"),
    kind(EventKind::ActivityDeleted, "activity.deleted", About::Activity, "Activity {activity} deleted"),
    kind(
        EventKind::TaskChannelCreated,
        "task-channel.created",
        About::TaskChannel,
        "TaskChannel {task_channel} created",
    ),
    kind(
        EventKind::TaskChannelUpdated,
        "task-channel.updated",
        About::TaskChannel,
        "TaskChannel {task_channel} updated",
    ),
    kind(
        EventKind::TaskChannelDeleted,
        "task-channel.deleted",
        About::TaskChannel,
        "TaskChannel {task_channel} deleted",
    ),
    kind(EventKind::WorkspaceCreated, "workspace.created", About::Workspace, "Workspace {workspace} created"),
    kind(EventKind::WorkspaceUpdated, "workspace.updated", About::Workspace, "Workspace {workspace} updated"),
    kind(EventKind::WorkspaceDeleted, "workspace.deleted", About::Workspace, "Workspace {workspace} deleted"),
];

/// The type of a kind of events.
pub fn event_type(kind: EventKind) -> &'static EventType {
    &EVENT_TYPES[kind as usize]
}

/// The kind with this name; names are exact.
pub fn event_kind(name: &str) -> Option<EventKind> {
    EVENT_TYPES.iter().find(|known| known.name == name).map(|known| known.kind)
}

/// Whether an event of this kind passes a Workspace's `EventsFilter`: types separated by commas, blanks and case do not
/// matter, a filter without any type lets everything pass (reference: events-and-callbacks, section 6).
pub fn passes_filter(filter: Option<&str>, kind: EventKind) -> bool {
    let names = [event_type(kind).name, synonym(kind)];
    let mut members =
        filter.unwrap_or_default().split(',').map(str::trim).filter(|member| !member.is_empty()).peekable();
    members.peek().is_none() || members.any(|member| names.iter().any(|name| member.eq_ignore_ascii_case(name)))
}

/// What filters may call a type beside its name, and how streams spell it (section 13.1).
pub(crate) fn synonym(kind: EventKind) -> &'static str {
    match kind {
        EventKind::TaskQueueExpressionUpdated => "task-queue.expression-updated",
        other => event_type(other).name,
    }
}

/// The human text of an event.
pub fn description(event: &PublicEvent) -> String {
    // The expiry of a Task has a text of its own (section 3.1 [oai]).
    let reason = event.task.as_ref().and_then(|task| task.reason.as_deref());
    if event.kind == EventKind::TaskCanceled && reason == Some("Task TTL Exceeded") {
        return "Task TTL Exceeded".to_string();
    }
    let mut out = String::new();
    let mut rest = event_type(event.kind).description;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("every gap is closed");
        out.push_str(before);
        out.push_str(&described(event, name));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn described(event: &PublicEvent, name: &str) -> String {
    let value = match name {
        "task" => event.task.as_ref().map(|task| task.sid.to_string()),
        "reservation" => event.reservation.as_ref().map(|reservation| reservation.sid.to_string()),
        "queue" => event.task_queue.as_ref().map(|queue| queue.friendly_name.to_string()),
        "moved_to" => event.previous.as_ref().and_then(|previous| previous.moved_to.as_deref()).map(str::to_string),
        "workflow" => event.workflow.as_ref().map(|workflow| workflow.friendly_name.to_string()),
        "worker" => event.worker.as_ref().map(|worker| worker.friendly_name.to_string()),
        "worker_activity" => event.worker.as_ref().map(|worker| worker.activity_name.to_string()),
        "channel" => event.worker_channel.as_ref().map(|channel| channel.unique_name.to_string()),
        "activity" => event.activity.as_ref().map(|activity| activity.friendly_name.to_string()),
        "task_channel" => event.task_channel.as_ref().map(|channel| channel.friendly_name.to_string()),
        "workspace" => Some(event.workspace_name.to_string()),
        other => unreachable!("no gap is called {other}"),
    };
    value.unwrap_or_default()
}

/// The object that an event is about.
pub fn subject(event: &PublicEvent, workspace: Sid<Workspace>) -> Subject {
    let of_task = || Subject::Task(event.task.as_ref().expect("events about Tasks carry the Task").sid);
    match event_type(event.kind).about {
        About::Task => of_task(),
        About::Reservation => event.reservation.as_ref().map_or_else(of_task, |facts| Subject::Reservation(facts.sid)),
        About::Transfer => event.transfer.as_ref().map_or_else(of_task, |facts| Subject::Transfer(facts.sid)),
        About::Worker => Subject::Worker(event.worker.as_ref().expect("events about Workers carry the Worker").sid),
        About::TaskQueue => {
            Subject::TaskQueue(event.task_queue.as_ref().expect("events about TaskQueues carry the TaskQueue").sid)
        }
        About::Workflow => {
            Subject::Workflow(event.workflow.as_ref().expect("events about Workflows carry the Workflow").sid)
        }
        About::Activity => {
            Subject::Activity(event.activity.as_ref().expect("events about Activities carry the Activity").sid)
        }
        About::TaskChannel => {
            let channel = event.task_channel.as_ref().expect("events about TaskChannels carry the TaskChannel");
            Subject::TaskChannel(channel.sid)
        }
        About::Workspace => Subject::Workspace(workspace),
    }
}

/// The SID of a subject.
pub fn subject_sid(subject: Subject) -> String {
    match subject {
        Subject::Task(sid) => sid.to_string(),
        Subject::Reservation(sid) => sid.to_string(),
        Subject::Transfer(sid) => sid.to_string(),
        Subject::Worker(sid) => sid.to_string(),
        Subject::TaskQueue(sid) => sid.to_string(),
        Subject::Workflow(sid) => sid.to_string(),
        Subject::Activity(sid) => sid.to_string(),
        Subject::TaskChannel(sid) => sid.to_string(),
        Subject::Workspace(sid) => sid.to_string(),
    }
}

/// The path of the resource that an event is about; that of a transfer is its Task's (section 5 [decide]).
pub fn subject_path(event: &PublicEvent, workspace: Sid<Workspace>) -> String {
    let task = |rest: &str| {
        let sid: Sid<Task> = event.task.as_ref().expect("events about Tasks carry the Task").sid;
        format!("/v1/Workspaces/{workspace}/Tasks/{sid}{rest}")
    };
    match subject(event, workspace) {
        Subject::Task(_) | Subject::Transfer(_) => task(""),
        Subject::Reservation(sid) => task(&format!("/Reservations/{sid}")),
        Subject::Worker(sid) => format!("/v1/Workspaces/{workspace}/Workers/{sid}"),
        Subject::TaskQueue(sid) => format!("/v1/Workspaces/{workspace}/TaskQueues/{sid}"),
        Subject::Workflow(sid) => format!("/v1/Workspaces/{workspace}/Workflows/{sid}"),
        Subject::Activity(sid) => format!("/v1/Workspaces/{workspace}/Activities/{sid}"),
        Subject::TaskChannel(sid) => format!("/v1/Workspaces/{workspace}/TaskChannels/{sid}"),
        Subject::Workspace(sid) => format!("/v1/Workspaces/{sid}"),
    }
}

/// `WorkerTimeInPreviousActivityMs` → `worker_time_in_previous_activity_ms`.
pub fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (index, char) in name.char_indices() {
        if char.is_ascii_uppercase() && 0 < index {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

/// The `event_data` object: all values are strings, absent ones are left out.
pub fn event_data(event: &PublicEvent, place: &Place) -> String {
    let mut out = String::with_capacity(1_024);
    let mut object = Object::open(&mut out);
    for field in EVENT_FIELDS.iter().filter(|field| field.group != Group::Envelope) {
        if let Some(value) = (field.read)(event, place) {
            object.text(&snake_case(field.name), &value.into_text());
        }
    }
    object.close();
    out
}

/// The parameters of the Workspace's event callback (section 3.8).
pub fn event_callback_form(
    event: &PublicEvent,
    account: Sid<Account>,
    workspace: Sid<Workspace>,
) -> Vec<(&'static str, String)> {
    let place = Place { account, workspace, redact: false };
    EVENT_FIELDS.iter().filter_map(|field| Some((field.name, (field.read)(event, &place)?.into_text()))).collect()
}

/// The 12 parameters of the assignment callback, from the `reservation.created` event that causes it (section 7.1).
pub fn assignment_callback_form(
    event: &PublicEvent,
    account: Sid<Account>,
    workspace: Sid<Workspace>,
) -> Vec<(&'static str, String)> {
    const NAMES: [&str; 12] = [
        "AccountSid",
        "WorkspaceSid",
        "WorkflowSid",
        "TaskQueueSid",
        "TaskSid",
        "TaskAttributes",
        "TaskAge",
        "TaskPriority",
        "WorkerSid",
        "WorkerAttributes",
        "ReservationSid",
        "Timestamp",
    ];
    let place = Place { account, workspace, redact: false };
    let field = |name: &str| {
        let field = EVENT_FIELDS.iter().find(|field| field.name == name).expect("the dictionary has every name");
        (field.read)(event, &place)
    };
    NAMES.iter().filter_map(|name| Some((*name, field(name)?.into_text()))).collect()
}

/// The same for a reservation that is still pending when the server starts again, out of the state.
///
/// - `None` when it is gone or has no Workflow, whose callback it would be.
pub fn pending_assignment_form(state: &State, reservation: Id<Reservation>) -> Option<Vec<(&'static str, String)>> {
    let reservation = state.reservation(reservation)?;
    let task = state.task(reservation.task)?;
    let worker = state.worker(reservation.worker)?;
    let workflow = state.workflow(task.workflow?)?;
    let workspace = state.workspace();
    let mut form = vec![
        ("AccountSid", workspace.account.to_string()),
        ("WorkspaceSid", workspace.sid.to_string()),
        ("WorkflowSid", workflow.sid.to_string()),
    ];
    let queue = reservation.task_queue.and_then(|id| state.task_queue(id));
    form.extend(queue.map(|queue| ("TaskQueueSid", queue.sid.to_string())));
    form.extend([
        ("TaskSid", task.sid.to_string()),
        ("TaskAttributes", task.attributes.text().to_string()),
        ("TaskAge", reservation.date_created.since(task.date_created).seconds().to_string()),
        ("TaskPriority", task.priority.0.to_string()),
        ("WorkerSid", worker.sid.to_string()),
        ("WorkerAttributes", worker.attributes.text().to_string()),
        ("ReservationSid", reservation.sid.to_string()),
        ("Timestamp", reservation.date_created.seconds().to_string()),
    ]);
    Some(form)
}

/// The prefix of Event SIDs, for those who read SIDs out of payloads.
pub const EVENT_SID_PREFIX: &str = PublicEvent::PREFIX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_stand_in_the_order_of_their_kinds() {
        assert_eq!(EVENT_TYPES.len(), 49);
        for (index, known) in EVENT_TYPES.iter().enumerate() {
            assert_eq!(known.kind as usize, index, "{}", known.name);
            assert_eq!(event_kind(known.name), Some(known.kind));
        }
    }

    #[test]
    fn names_turn_into_snake_case() {
        assert_eq!(snake_case("WorkerTimeInPreviousActivityMs"), "worker_time_in_previous_activity_ms");
        assert_eq!(snake_case("TaskReEvaluatedReason"), "task_re_evaluated_reason");
        assert_eq!(snake_case("Sid"), "sid");
    }

    #[test]
    fn no_field_stands_twice_in_the_dictionary() {
        let mut names: Vec<_> = EVENT_FIELDS.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EVENT_FIELDS.len());
    }

    #[test]
    fn an_events_filter_is_a_list_of_types() {
        assert!(passes_filter(None, EventKind::TaskCreated));
        assert!(passes_filter(Some(" , "), EventKind::TaskCreated));
        assert!(passes_filter(Some("TASK-QUEUE.expression-updated"), EventKind::TaskQueueExpressionUpdated));
        assert!(passes_filter(Some("task-queue.expression.updated"), EventKind::TaskQueueExpressionUpdated));
        assert!(passes_filter(Some("task.updated, task.created"), EventKind::TaskCreated));
        assert!(passes_filter(Some("task.updated,Task.Created"), EventKind::TaskCreated));
        assert!(!passes_filter(Some("task.updated,task.create"), EventKind::TaskCreated));
    }
}
