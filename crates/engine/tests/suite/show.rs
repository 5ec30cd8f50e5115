//! Shows events, refusals and objects in the words of the scenario language.

use pointsman_engine::{
    Engine, EventKind, Ordering, Place, Position, PublicEvent, Rejection, Reply, ReservationStatus, RoutingCause,
    RoutingTarget, RoutingTargetFacts, Sid, Task, TaskStatus, Timestamp, TransferStatus, Worker, WorkerChannel,
};

use crate::language::seconds;
use crate::names::Names;

/// The type of an event on the wire (events-and-callbacks, section 3).
pub(crate) fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::TaskCreated => "task.created",
        EventKind::TaskUpdated => "task.updated",
        EventKind::TaskCanceled => "task.canceled",
        EventKind::TaskWrapup => "task.wrapup",
        EventKind::TaskCompleted => "task.completed",
        EventKind::TaskDeleted => "task.deleted",
        EventKind::TaskSystemDeleted => "task.system-deleted",
        EventKind::TaskTransferInitiated => "task.transfer-initiated",
        EventKind::TaskTransferAttemptFailed => "task.transfer-attempt-failed",
        EventKind::TaskTransferFailed => "task.transfer-failed",
        EventKind::TaskTransferCanceled => "task.transfer-canceled",
        EventKind::TaskTransferCompleted => "task.transfer-completed",
        EventKind::ReservationCreated => "reservation.created",
        EventKind::ReservationAccepted => "reservation.accepted",
        EventKind::ReservationRejected => "reservation.rejected",
        EventKind::ReservationTimeout => "reservation.timeout",
        EventKind::ReservationCanceled => "reservation.canceled",
        EventKind::ReservationRescinded => "reservation.rescinded",
        EventKind::ReservationWrapup => "reservation.wrapup",
        EventKind::ReservationCompleted => "reservation.completed",
        EventKind::ReservationFailed => "reservation.failed",
        EventKind::TaskQueueCreated => "task-queue.created",
        EventKind::TaskQueueDeleted => "task-queue.deleted",
        EventKind::TaskQueueExpressionUpdated => "task-queue.expression.updated",
        EventKind::TaskQueueEntered => "task-queue.entered",
        EventKind::TaskQueueMoved => "task-queue.moved",
        EventKind::TaskQueueTimeout => "task-queue.timeout",
        EventKind::WorkflowCreated => "workflow.created",
        EventKind::WorkflowUpdated => "workflow.updated",
        EventKind::WorkflowDeleted => "workflow.deleted",
        EventKind::WorkflowEntered => "workflow.entered",
        EventKind::WorkflowTargetMatched => "workflow.target-matched",
        EventKind::WorkflowTimeout => "workflow.timeout",
        EventKind::WorkflowSkipped => "workflow.skipped",
        EventKind::WorkerCreated => "worker.created",
        EventKind::WorkerDeleted => "worker.deleted",
        EventKind::WorkerActivityUpdate => "worker.activity.update",
        EventKind::WorkerAttributesUpdate => "worker.attributes.update",
        EventKind::WorkerCapacityUpdate => "worker.capacity.update",
        EventKind::WorkerChannelAvailabilityUpdate => "worker.channel.availability.update",
        EventKind::ActivityCreated => "activity.created",
        EventKind::ActivityUpdated => "activity.updated",
        EventKind::ActivityDeleted => "activity.deleted",
        EventKind::TaskChannelCreated => "task-channel.created",
        EventKind::TaskChannelUpdated => "task-channel.updated",
        EventKind::TaskChannelDeleted => "task-channel.deleted",
        EventKind::WorkspaceCreated => "workspace.created",
        EventKind::WorkspaceUpdated => "workspace.updated",
        EventKind::WorkspaceDeleted => "workspace.deleted",
    }
}

fn cause(cause: RoutingCause) -> &'static str {
    match cause {
        RoutingCause::ReservationRejected => "reservation_rejected",
        RoutingCause::ReservationTimeout => "reservation_timeout",
        RoutingCause::ReservationCanceled => "reservation_canceled",
        RoutingCause::TargetTimeout => "target_timeout",
        RoutingCause::TargetSkipped => "target_skipped",
        RoutingCause::TaskUpdated => "task_updated",
        RoutingCause::WorkflowUpdated => "workflow_updated",
        RoutingCause::Transfer => "transfer",
    }
}

fn task_status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "pending",
        TaskStatus::Reserved => "reserved",
        TaskStatus::Assigned => "assigned",
        TaskStatus::Wrapping => "wrapping",
        TaskStatus::Completed => "completed",
        TaskStatus::Canceled => "canceled",
    }
}

fn reservation_status(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Pending => "pending",
        ReservationStatus::Accepted => "accepted",
        ReservationStatus::Rejected => "rejected",
        ReservationStatus::Timeout => "timeout",
        ReservationStatus::Canceled => "canceled",
        ReservationStatus::Rescinded => "rescinded",
        ReservationStatus::Wrapping => "wrapping",
        ReservationStatus::Completed => "completed",
    }
}

fn transfer_status(status: TransferStatus) -> &'static str {
    match status {
        TransferStatus::Initiated => "initiated",
        TransferStatus::Complete => "complete",
        TransferStatus::Failed => "failed",
        TransferStatus::Canceled => "canceled",
    }
}

/// Kind and subject of an event, with the one detail that makes it what it is.
pub(crate) fn event(event: &PublicEvent, names: &Names) -> String {
    let named = |sid: Option<String>| sid.map_or_else(|| "?".to_string(), |sid| names.name(&sid));
    let task = || named(event.task.as_ref().map(|task| task.sid.to_string()));
    let queue = || named(event.task_queue.as_ref().map(|queue| queue.sid.to_string()));
    let workflow = || named(event.workflow.as_ref().map(|workflow| workflow.sid.to_string()));
    let worker = || named(event.worker.as_ref().map(|worker| worker.sid.to_string()));
    let quoted = |reason: Option<&std::sync::Arc<str>>| {
        reason.map(|text| format!(" \"{}\"", names.shorten(text))).unwrap_or_default()
    };
    let reason = || quoted(event.task.as_ref().and_then(|task| task.reason.as_ref()));
    let subject = match event.kind {
        EventKind::TaskCreated | EventKind::TaskUpdated | EventKind::TaskDeleted | EventKind::TaskSystemDeleted => {
            task()
        }
        EventKind::TaskCanceled | EventKind::TaskWrapup | EventKind::TaskCompleted | EventKind::ReservationFailed => {
            task() + &reason()
        }
        EventKind::TaskTransferInitiated
        | EventKind::TaskTransferAttemptFailed
        | EventKind::TaskTransferFailed
        | EventKind::TaskTransferCanceled
        | EventKind::TaskTransferCompleted => {
            let transfer = event.transfer.as_ref();
            named(transfer.map(|transfer| transfer.sid.to_string()))
                + &quoted(transfer.and_then(|transfer| transfer.failed_reason.as_ref()))
        }
        EventKind::ReservationCreated
        | EventKind::ReservationAccepted
        | EventKind::ReservationRejected
        | EventKind::ReservationTimeout
        | EventKind::ReservationCanceled
        | EventKind::ReservationRescinded
        | EventKind::ReservationWrapup
        | EventKind::ReservationCompleted => {
            let reservation = event.reservation.as_ref();
            let code = reservation.and_then(|reservation| reservation.reason_code);
            named(reservation.map(|reservation| reservation.sid.to_string()))
                + &code.map(|code| format!(" code {code}")).unwrap_or_default()
        }
        EventKind::TaskQueueCreated | EventKind::TaskQueueDeleted | EventKind::TaskQueueExpressionUpdated => queue(),
        EventKind::TaskQueueEntered | EventKind::TaskQueueMoved | EventKind::TaskQueueTimeout => {
            format!("{} {}", task(), queue())
        }
        EventKind::WorkflowCreated | EventKind::WorkflowUpdated | EventKind::WorkflowDeleted => workflow(),
        EventKind::WorkflowEntered | EventKind::WorkflowTimeout | EventKind::WorkflowSkipped => {
            format!("{} {}", task(), workflow())
        }
        EventKind::WorkflowTargetMatched => {
            let because = event.step.as_ref().and_then(|step| step.cause);
            let because = because.map(|because| format!(" because {}", cause(because))).unwrap_or_default();
            format!("{} {}{because}", task(), step(event))
        }
        EventKind::WorkerCreated | EventKind::WorkerDeleted | EventKind::WorkerAttributesUpdate => worker(),
        EventKind::WorkerActivityUpdate => {
            let from = named(event.activity_change.as_ref().map(|change| change.previous.to_string()));
            let to = named(event.worker.as_ref().map(|worker| worker.activity.to_string()));
            format!("{} {from}->{to}", worker())
        }
        EventKind::WorkerCapacityUpdate | EventKind::WorkerChannelAvailabilityUpdate => {
            let channel = event.worker_channel.as_ref().expect("such events show the channel");
            let change = if event.kind == EventKind::WorkerCapacityUpdate {
                format!("{}->{}", channel.previous_capacity, channel.capacity)
            } else {
                channel.available.to_string()
            };
            format!("{} {} {change}", worker(), channel.unique_name)
        }
        EventKind::ActivityCreated | EventKind::ActivityUpdated | EventKind::ActivityDeleted => {
            named(event.activity.as_ref().map(|activity| activity.sid.to_string()))
        }
        EventKind::TaskChannelCreated | EventKind::TaskChannelUpdated | EventKind::TaskChannelDeleted => {
            named(event.task_channel.as_ref().map(|channel| channel.sid.to_string()))
        }
        EventKind::WorkspaceCreated | EventKind::WorkspaceUpdated | EventKind::WorkspaceDeleted => {
            "workspace".to_string()
        }
    };
    format!("{} {subject}", kind(event.kind))
}

/// The step that an event names: the target's name, else filter and number.
fn step(event: &PublicEvent) -> String {
    let Some(step) = &event.step else { return "?".to_string() };
    match (step.position, &step.target_name) {
        (Position::Default, _) => "default".to_string(),
        (Position::Target { .. }, Some(name)) => name.to_string(),
        (Position::Target { target, .. }, None) => {
            format!("{}#{target}", step.filter_name.as_deref().unwrap_or_default())
        }
    }
}

/// A member of an event's data, by its name in `event_data`; `absent` when the event has none.
pub(crate) fn member(event: &PublicEvent, key: &str, names: &Names, zero: Timestamp) -> Result<String, String> {
    let instant = |at: Timestamp| seconds(at.0 - zero.0);
    let task = event.task.as_ref();
    let queue = event.task_queue.as_ref();
    let step = event.step.as_ref();
    let previous = event.previous.as_ref();
    let worker = event.worker.as_ref();
    let reservation = event.reservation.as_ref();
    let channel = event.worker_channel.as_ref();
    let transfer = event.transfer.as_ref();
    let change = event.activity_change.as_ref();
    let target = |target: RoutingTargetFacts| match target {
        RoutingTargetFacts::Worker(sid) => names.name(&sid.to_string()),
        RoutingTargetFacts::TaskQueue(sid) => names.name(&sid.to_string()),
    };
    let value = match key {
        "task_assignment_status" => task.map(|task| task_status(task.status).to_string()),
        "task_priority" => task.map(|task| task.priority.0.to_string()),
        "task_version" => task.map(|task| task.version.to_string()),
        "task_attributes" => task.map(|task| task.attributes.to_string()),
        "task_ignore_capacity" => task.map(|task| task.ignore_capacity.to_string()),
        "task_virtual_start_time" => task.map(|task| instant(task.virtual_start_time)),
        "task_channel_unique_name" => {
            task.and_then(|task| task.task_channel.as_ref().map(|channel| channel.1.to_string()))
        }
        "task_routing_target" => task.and_then(|task| task.routing_target).map(target),
        "task_canceled_reason" => task
            .filter(|task| task.status == TaskStatus::Canceled)
            .and_then(|task| task.reason.as_ref().map(ToString::to_string)),
        "task_completed_reason" => task
            .filter(|task| task.status == TaskStatus::Completed)
            .and_then(|task| task.reason.as_ref().map(ToString::to_string)),
        "known_worker_sid" => task.and_then(|task| task.known_worker).map(|sid| names.name(&sid.to_string())),
        "task_queue_name" => queue.map(|queue| queue.friendly_name.to_string()),
        "task_queue_entered_date" => queue.and_then(|queue| queue.entered).map(instant),
        "task_queue_target_expression" => {
            queue.and_then(|queue| queue.target_workers.as_ref().map(ToString::to_string))
        }
        "workflow_name" => event.workflow.as_ref().map(|workflow| workflow.friendly_name.to_string()),
        "workflow_filter_name" => step.and_then(|step| match step.position {
            Position::Default => Some("Default".to_string()),
            Position::Target { .. } => step.filter_name.as_ref().map(ToString::to_string),
        }),
        "workflow_filter_expression" => step.and_then(|step| step.filter_expression.as_ref().map(ToString::to_string)),
        "workflow_filter_target_expression" => {
            step.and_then(|step| step.target_expression.as_ref().map(ToString::to_string))
        }
        "workflow_filter_target_name" => step.and_then(|step| step.target_name.as_ref().map(ToString::to_string)),
        "task_re_evaluated_reason" => step.and_then(|step| step.cause).map(|why| cause(why).to_string()),
        "previous_task_queue_name" => {
            previous.and_then(|previous| previous.task_queue.as_ref().map(|(_, name)| name.to_string()))
        }
        "previous_task_priority" => previous.map(|previous| previous.priority.0.to_string()),
        "target_changed_reason" => previous.and_then(|previous| previous.cause).map(|why| cause(why).to_string()),
        "worker_name" => worker.map(|worker| worker.friendly_name.to_string()),
        "worker_attributes" => worker.map(|worker| worker.attributes.to_string()),
        "worker_activity_name" => worker.map(|worker| worker.activity_name.to_string()),
        "worker_version" => worker.map(|worker| worker.version.to_string()),
        "worker_previous_activity_name" => change.map(|change| change.previous_name.to_string()),
        "worker_time_in_previous_activity_ms" => change.map(|change| event.at.since(change.since).0.to_string()),
        "worker_channel_available" => channel.map(|channel| u8::from(channel.available).to_string()),
        "worker_channel_capacity" => channel
            .map(|channel| channel.capacity)
            .or(reservation.map(|reservation| reservation.channel_capacity))
            .map(|capacity| capacity.to_string()),
        "worker_channel_previous_capacity" => channel.map(|channel| channel.previous_capacity.to_string()),
        "worker_channel_available_capacity" => channel.map(|channel| channel.available_capacity_percentage.to_string()),
        "worker_channel_task_count" => channel.map(|channel| channel.assigned_tasks.to_string()),
        "worker_channel_consumed_capacity" => reservation.map(|reservation| reservation.channel_consumed.to_string()),
        "reservation_status" => reservation.map(|reservation| reservation_status(reservation.status).to_string()),
        "reservation_version" => reservation.map(|reservation| reservation.version.to_string()),
        "reservation_timeout" => reservation.map(|reservation| reservation.timeout_seconds.to_string()),
        "transfer_status" => transfer.map(|transfer| transfer_status(transfer.status).to_string()),
        "transfer_mode" => transfer.map(|transfer| format!("{:?}", transfer.mode).to_uppercase()),
        "transfer_to" => transfer.map(|transfer| target(transfer.to)),
        "transfer_failed_reason" => {
            transfer.and_then(|transfer| transfer.failed_reason.as_ref().map(ToString::to_string))
        }
        "activity_name" => event.activity.as_ref().map(|activity| activity.friendly_name.to_string()),
        _ => return Err(format!("no event shows {key}")),
    };
    Ok(value.unwrap_or_else(|| "absent".to_string()))
}

/// Status and text of a refusal (rest-contract, section 8). Texts are shortened where they name SIDs.
pub(crate) fn refusal(rejection: &Rejection) -> String {
    let text = match rejection {
        Rejection::Unknown(_) => "does not exist".to_string(),
        Rejection::NameTaken { name, .. } => format!("named {name} already exists"),
        Rejection::LimitReached { limit, .. } => format!("already has {limit}"),
        Rejection::InUse(_) => "cannot delete".to_string(),
        Rejection::CannotBecomeSingleTasking => "cannot be changed to single-tasking".to_string(),
        Rejection::ActivityRequired { .. } => "missing required parameter".to_string(),
        Rejection::RejectPendingWhileAvailable => {
            "unable to reject pending reservations when updating to an Available activity state".to_string()
        }
        Rejection::ConfigurationInvalid(_) => "invalid Workflow configuration".to_string(),
        Rejection::WorkflowRequired => "WorkflowSid field is required".to_string(),
        Rejection::RoutingTargetConflict => "RoutingTarget and WorkflowSid differ".to_string(),
        Rejection::IgnoreCapacityWithoutWorker => "IgnoreCapacity requires a Worker as RoutingTarget".to_string(),
        Rejection::VirtualStartTimeInFuture => "VirtualStartTime cannot be in the future".to_string(),
        Rejection::TaskNotCancelable => "because it is not pending or reserved".to_string(),
        Rejection::TaskNotCompletable => "because it is not currently assigned".to_string(),
        Rejection::TaskNotWrappable => "because it's not currently assigned".to_string(),
        Rejection::SingleTasking => "is not multi-tasking".to_string(),
        Rejection::TaskChannelOfFinishedTask { status } => format!("because it is {status}"),
        Rejection::ReservationInStatus { status, requested } => {
            let (now, asked) = (reservation_status(*status), reservation_status(*requested));
            let code = if *status == ReservationStatus::Rescinded
                && matches!(requested, ReservationStatus::Accepted | ReservationStatus::Rejected)
            {
                410
            } else {
                400
            };
            return format!("{code} is already in state [{now}] and cannot be updated to [{asked}]");
        }
        Rejection::ReservationOnHold => "not in expected state [pending] and cannot be updated to [onHold]".to_string(),
        Rejection::InstructionNotPending { instruction } => {
            format!("unable to execute {instruction:?} instruction, not currently in a Pending state")
        }
        Rejection::InstructionDuringTransfer => "instruction not allowed during a transfer".to_string(),
        Rejection::TransferRefused { .. } => "cannot transfer task".to_string(),
        Rejection::TransferNotInitiated { status, .. } => {
            format!("is already {} . Cannot cancel transfer.", transfer_status(*status))
        }
    };
    format!("400 {text}")
}

/// Everything a `state` or `answer` line can ask of one object. The first item is the bare word.
pub(crate) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub(crate) fn bare(&self) -> &str {
        &self.0[0].1
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().skip(1).find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_string(), |value| value.to_string())
}

/// The facts of a named object; `None` when it is gone.
pub(crate) fn facts(engine: &Engine, name: &str, names: &Names, zero: Timestamp) -> Result<Option<Facts>, String> {
    let state = engine.state();
    if let Some((worker, channel)) = name.split_once('.').filter(|(worker, _)| !worker.contains('(')) {
        let Some(worker) = Sid::parse(&names.sid(worker)?).and_then(|sid| state.find_worker(sid)) else {
            return Ok(None);
        };
        let channel = state.task_channel_by_name(channel).and_then(|channel| worker.channel(channel.id));
        return Ok(channel.map(channel_facts));
    }
    let sid = names.sid(name)?;
    let facts = match &sid[..2] {
        "WT" => Sid::parse(&sid).and_then(|sid| state.find_task(sid)).map(|task| task_facts(engine, task, names, zero)),
        "WK" => Sid::parse(&sid)
            .and_then(|sid| state.find_worker(sid))
            .map(|worker| worker_facts(engine, worker, names, zero)),
        "WR" => Sid::parse(&sid).and_then(|sid| state.find_reservation(sid)).map(|reservation| {
            Facts(vec![
                ("reservation_status", reservation_status(reservation.status).to_string()),
                ("version", reservation.version.to_string()),
                ("updated", seconds(reservation.date_updated.0 - zero.0)),
                ("on_hold", reservation.is_on_hold().to_string()),
            ])
        }),
        "TT" => Sid::parse(&sid).and_then(|sid| state.find_transfer(sid)).map(|transfer| {
            let reason = text(transfer.failed_reason.as_ref());
            Facts(vec![("status", transfer_status(transfer.status).to_string()), ("failed_reason", reason)])
        }),
        "WQ" => Sid::parse(&sid).and_then(|sid| state.find_task_queue(sid)).map(|queue| {
            let members: Vec<_> = engine
                .members(queue.id)
                .map(|id| names.name(&state.worker(id).expect("a member").sid.to_string()))
                .collect();
            Facts(vec![
                ("friendly_name", queue.definition.friendly_name.to_string()),
                ("target_workers", text(queue.definition.target_workers.as_ref())),
                ("max_reserved_workers", queue.definition.max_reserved_workers.to_string()),
                ("task_order", ordering(queue.definition.task_order).to_string()),
                ("members", members.join(",")),
            ])
        }),
        "WA" => Sid::parse(&sid).and_then(|sid| state.find_activity(sid)).map(|activity| {
            let available = activity.available.to_string();
            Facts(vec![("friendly_name", activity.friendly_name.to_string()), ("available", available)])
        }),
        "WW" => Sid::parse(&sid).and_then(|sid| state.find_workflow(sid)).map(|workflow| {
            let timeout = workflow.definition.task_reservation_timeout_seconds.to_string();
            let name = workflow.definition.friendly_name.to_string();
            Facts(vec![("friendly_name", name), ("task_reservation_timeout", timeout)])
        }),
        "TC" => Sid::parse(&sid)
            .and_then(|sid| state.find_task_channel(sid))
            .map(|channel| Facts(vec![("unique_name", channel.unique_name.to_string())])),
        _ => return Err(format!("{name} has no state")),
    };
    Ok(facts)
}

fn ordering(ordering: Ordering) -> &'static str {
    match ordering {
        Ordering::Fifo => "FIFO",
        Ordering::Lifo => "LIFO",
    }
}

fn channel_facts(channel: &WorkerChannel) -> Facts {
    Facts(vec![
        ("available", channel.available.to_string()),
        ("available", channel.available.to_string()),
        ("assigned_tasks", channel.accepted.to_string()),
        ("available_capacity_percentage", channel.available_capacity_percentage().to_string()),
        ("configured_capacity", channel.capacity.to_string()),
    ])
}

fn worker_facts(engine: &Engine, worker: &Worker, names: &Names, zero: Timestamp) -> Facts {
    let activity = engine.state().activity(worker.activity).expect("a Worker has an Activity");
    Facts(vec![
        ("activity", names.name(&activity.sid.to_string())),
        ("available", activity.available.to_string()),
        ("version", worker.version.to_string()),
        ("friendly_name", worker.friendly_name.to_string()),
        ("attributes", worker.attributes.text().to_string()),
        ("status_changed", seconds(worker.date_status_changed.0 - zero.0)),
        ("updated", seconds(worker.date_updated.0 - zero.0)),
    ])
}

fn task_facts(engine: &Engine, task: &Task, names: &Names, zero: Timestamp) -> Facts {
    let state = engine.state();
    let instant = |at: Timestamp| seconds(at.0 - zero.0);
    let queue = task.task_queue.and_then(|queue| state.task_queue(queue));
    let workflow = task.workflow.and_then(|workflow| state.workflow(workflow));
    let target = task.routing_target.map(|target| match target {
        RoutingTarget::Worker(id) => text(state.worker(id).map(|worker| names.name(&worker.sid.to_string()))),
        RoutingTarget::TaskQueue(id) => text(state.task_queue(id).map(|queue| names.name(&queue.sid.to_string()))),
    });
    let step = match (&task.place, &task.configuration) {
        (Some(Place::Step { position: Position::Default, .. }), _) => "default".to_string(),
        (Some(Place::Step { position, .. }), Some(configuration)) => {
            text(configuration.target(*position).friendly_name.as_ref())
        }
        (Some(Place::Queue), _) => "queue".to_string(),
        (Some(Place::Worker(_)), _) => "worker".to_string(),
        _ => "none".to_string(),
    };
    Facts(vec![
        ("assignment_status", task_status(task.status).to_string()),
        ("priority", task.priority.0.to_string()),
        ("version", task.version.to_string()),
        ("queue", text(queue.map(|queue| names.name(&queue.sid.to_string())))),
        ("workflow", text(workflow.map(|workflow| names.name(&workflow.sid.to_string())))),
        ("reason", text(task.reason.as_ref().map(|reason| names.shorten(reason)))),
        ("attributes", task.attributes.text().to_string()),
        ("routing_target", text(target)),
        ("ignore_capacity", task.ignore_capacity.to_string()),
        ("timeout", task.timeout_seconds.to_string()),
        ("channel", text(state.task_channel(task.task_channel).map(|channel| &channel.unique_name))),
        ("queue_entered", text(task.task_queue_entered.map(instant))),
        ("virtual_start_time", instant(task.virtual_start_time)),
        ("updated", instant(task.date_updated)),
        ("step", step),
        ("deadline", text(task.step_deadline().map(instant))),
        ("assignments", task.assignments.to_string()),
    ])
}

/// SID of the object that a command created or changed.
pub(crate) fn replied(engine: &Engine, reply: Reply) -> Option<String> {
    let state = engine.state();
    match reply {
        Reply::Activity(id) => state.activity(id).map(|object| object.sid.to_string()),
        Reply::TaskChannel(id) => state.task_channel(id).map(|object| object.sid.to_string()),
        Reply::Worker(id) => state.worker(id).map(|object| object.sid.to_string()),
        Reply::TaskQueue(id) => state.task_queue(id).map(|object| object.sid.to_string()),
        Reply::Workflow(id) => state.workflow(id).map(|object| object.sid.to_string()),
        Reply::Task(id) => state.task(id).map(|object| object.sid.to_string()),
        Reply::Reservation(id) => state.reservation(id).map(|object| object.sid.to_string()),
        Reply::Transfer(id) => state.transfer(id).map(|object| object.sid.to_string()),
        Reply::WorkerChannel(..) | Reply::Workspace | Reply::Deleted => None,
    }
}
