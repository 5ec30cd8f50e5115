//! Tasks. Reference: rest-contract, section 6.9; routing, sections 4.1, 4.5 and 4.6.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::Attributes;

use super::check_limit;
use super::reservation::{Moved, change_status, kind_of, publish_moves};
use crate::command::{CreateTask, Reply, RequestedStatus, RoutingTargetSid, UpdateTask};
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::TASK_TIMEOUT_SECONDS_DEFAULT;
use crate::public_event::EventKind;
use crate::rejection::{ObjectKind, Reference, Rejection};
use crate::state::{
    Place, Reservation, RestartCause, RoutingTarget, State, Task, TaskChannel, TaskQueue, Transfer, Workflow,
};
use crate::turn::Turn;
use crate::values::{Priority, ReservationStatus, TaskStatus, TransferStatus, Version};

// Reasons that the service itself gives (reference: routing, section 4.8).
pub(crate) const CANCELED_TTL: &str = "Task TTL Exceeded";
pub(crate) const CANCELED_EXHAUSTED: &str = "Task TTL Exceeded or Max assignment count exceeded";
pub(crate) const CANCELED_WORKFLOW: &str = "Task canceled on Workflow timeout";
pub(crate) const CANCELED_SKIP: &str = "Task canceled on Workflow skip";
const TARGET_SLA: &str = "RoutingTarget SLA for Reservation creation was not met";
/// Followed by a colon and the Worker's SID.
pub(crate) const TARGET_UNAVAILABLE: &str = "RoutingTarget not available for Reservation acceptance";
pub(crate) const ALL_COMPLETED: &str = "All reservations were completed";
pub(crate) const TRANSFER_CANCELED: &str = "Transfer failed because the task was canceled";
pub(crate) const TRANSFER_DELETED: &str = "Transfer failed because the task was deleted";

pub(super) fn create(turn: &mut Turn<'_>, create: CreateTask) -> Result<Reply, Rejection> {
    let state = turn.state();
    let route = route(turn, &create)?;
    let task_channel = named_channel(state, create.task_channel.as_deref())?;
    if create.virtual_start_time.is_some_and(|start| start > state.now()) {
        return Err(Rejection::VirtualStartTimeInFuture);
    }
    check_limit(ObjectKind::Task, state.tasks_count(), turn.engine.limits.tasks_max)?;
    let direct = matches!(route.target, Some(RoutingTarget::Worker(_)));
    let id = turn.next_id();
    let virtual_start_time = create.virtual_start_time.unwrap_or(state.now());
    turn.emit(Event::TaskCreated {
        id,
        attributes: create.attributes,
        priority: create.priority.unwrap_or_default(),
        task_channel,
        timeout_seconds: create.timeout_seconds.unwrap_or(TASK_TIMEOUT_SECONDS_DEFAULT),
        virtual_start_time,
        workflow: route.workflow,
        follows_workflow: route.target.is_none(),
        routing_target: route.target,
        ignore_capacity: direct && create.ignore_capacity.unwrap_or(true),
        enqueue_action: create.enqueue_action,
    });
    match route.target {
        None => turn.enter_workflow(id),
        Some(target) => place_direct(turn, id, target, route.task_queue),
    }
    Ok(Reply::Task(id))
}

/// Where a new Task goes.
struct Route {
    workflow: Option<Id<Workflow>>,
    target: Option<RoutingTarget>,
    task_queue: Option<Id<TaskQueue>>,
}

fn route(turn: &Turn<'_>, create: &CreateTask) -> Result<Route, Rejection> {
    let state = turn.state();
    let unknown_target = |sid: String| Rejection::Unknown(Reference::RoutingTarget(sid));
    let mut named = create.workflow;
    let target = match create.routing_target {
        None => None,
        Some(RoutingTargetSid::Worker(sid)) => {
            let worker = state.find_worker(sid).ok_or_else(|| unknown_target(sid.to_string()))?;
            Some(RoutingTarget::Worker(worker.id))
        }
        Some(RoutingTargetSid::TaskQueue(sid)) => {
            let queue = state.find_task_queue(sid).ok_or_else(|| unknown_target(sid.to_string()))?;
            Some(RoutingTarget::TaskQueue(queue.id))
        }
        Some(RoutingTargetSid::Workflow(sid)) => {
            state.find_workflow(sid).ok_or_else(|| unknown_target(sid.to_string()))?;
            if named.is_some_and(|named| named != sid) {
                return Err(Rejection::RoutingTargetConflict);
            }
            named = Some(sid);
            None
        }
    };
    let workflow = match named {
        Some(sid) => match state.find_workflow(sid) {
            Some(workflow) => Some(workflow.id),
            None => return Err(Rejection::Unknown(Reference::Workflow(sid))),
        },
        None => only_workflow(state),
    };
    if workflow.is_none() && target.is_none() {
        return Err(Rejection::WorkflowRequired);
    }
    let worker = match target {
        Some(RoutingTarget::Worker(worker)) => Some(worker),
        Some(RoutingTarget::TaskQueue(_)) | None => None,
    };
    if create.ignore_capacity.is_some() && worker.is_none() {
        return Err(Rejection::IgnoreCapacityWithoutWorker);
    }
    let task_queue = match (worker, create.task_queue) {
        (Some(_), Some(sid)) => match state.find_task_queue(sid) {
            Some(queue) => Some(queue.id),
            None => return Err(Rejection::Unknown(Reference::TaskQueue(sid))),
        },
        // The oldest queue that has the Worker as a member.
        (Some(worker), None) => turn.index().queues_of(worker).min(),
        (None, _) => None,
    };
    Ok(Route { workflow, target, task_queue })
}

fn only_workflow(state: &State) -> Option<Id<Workflow>> {
    let mut workflows = state.workflows();
    match (workflows.next(), workflows.next()) {
        (Some(only), None) => Some(only.id),
        _ => None,
    }
}

/// A TaskChannel by SID or unique name. In a single-tasking Workspace every Task is on the default one.
fn named_channel(state: &State, given: Option<&str>) -> Result<Id<TaskChannel>, Rejection> {
    let default = || state.task_channel_by_name("default").expect("built in, so never deleted").id;
    let Some(given) = given.filter(|_| state.is_multitask()) else { return Ok(default()) };
    let by_sid = Sid::parse(given).and_then(|sid| state.find_task_channel(sid));
    match by_sid.or_else(|| state.task_channel_by_name(given)) {
        Some(channel) => Ok(channel.id),
        None => Err(Rejection::Unknown(Reference::TaskChannel(given.to_string()))),
    }
}

fn place_direct(turn: &mut Turn<'_>, id: Id<Task>, target: RoutingTarget, shown_queue: Option<Id<TaskQueue>>) {
    let left = turn.place_left(id);
    let task = turn.state().the_task(id);
    let (place, task_queue) = match target {
        RoutingTarget::Worker(worker) => (Place::Worker(worker), shown_queue),
        RoutingTarget::TaskQueue(queue) => (Place::Queue, Some(queue)),
    };
    let event = Event::TaskPlaced {
        id,
        place: Some(place),
        task_queue,
        priority: task.priority,
        clock_start: task.clock_start,
        budget_seconds: 0,
        version: task.version,
    };
    turn.emit(event);
    turn.publish_task(EventKind::TaskCreated, id);
    turn.publish_queue_change(id, &left, None);
}

pub(super) fn update(turn: &mut Turn<'_>, update: UpdateTask) -> Result<Reply, Rejection> {
    let state = turn.state();
    let id = update.id;
    let task = state.the_task(id);
    let task_channel = match update.task_channel.as_deref().filter(|_| state.is_multitask()) {
        Some(given) => named_channel(state, Some(given))?,
        None => task.task_channel,
    };
    if task.status.is_terminal() && task_channel != task.task_channel {
        let status = if task.status == TaskStatus::Completed { "completed" } else { "canceled" };
        return Err(Rejection::TaskChannelOfFinishedTask { status });
    }
    if update.virtual_start_time.is_some_and(|start| start > state.now()) {
        return Err(Rejection::VirtualStartTimeInFuture);
    }
    if let Some(status) = update.status {
        check_status(state, task, status)?;
    }

    // One version for the request, whatever it changes.
    let version = task.version.next();
    let attributes = update.attributes.filter(|attributes| !attributes.same_json(&task.attributes));
    let rerouted = attributes.is_some();
    let reason = update.reason.or_else(|| task.reason.clone());
    let priority = update.priority.filter(|_| !step_sets_priority(task)).unwrap_or(task.priority);
    let virtual_start_time = update.virtual_start_time.unwrap_or(task.virtual_start_time);
    let changed = rerouted
        || priority != task.priority
        || virtual_start_time != task.virtual_start_time
        || task_channel != task.task_channel
        || (reason != task.reason && update.status.is_none());
    if changed {
        let attributes = attributes.unwrap_or_else(|| task.attributes.clone());
        let reason = reason.clone();
        turn.emit(Event::TaskUpdated { id, attributes, priority, task_channel, virtual_start_time, reason, version });
    }
    if let Some(status) = update.status {
        let (status, kind) = match status {
            RequestedStatus::Canceled => (TaskStatus::Canceled, EventKind::TaskCanceled),
            RequestedStatus::Wrapping => (TaskStatus::Wrapping, EventKind::TaskWrapup),
            RequestedStatus::Completed => (TaskStatus::Completed, EventKind::TaskCompleted),
        };
        let end = TaskEnd::begin(turn, id, TRANSFER_CANCELED);
        turn.emit(Event::TaskStatusChanged { id, status, reason, version });
        let end = if status == TaskStatus::Wrapping { end.wrap_reservations(turn) } else { end.end_reservations(turn) };
        end.publish(turn, kind);
    }
    if changed || update.status.is_some() {
        turn.publish_task(EventKind::TaskUpdated, id);
    }
    if rerouted {
        reroute(turn, id);
    }
    Ok(Reply::Task(id))
}

/// New attributes: a waiting Task is evaluated again, an offered one when it comes back.
fn reroute(turn: &mut Turn<'_>, id: Id<Task>) {
    let task = turn.state().the_task(id);
    match (task.status, task.restart) {
        (TaskStatus::Pending, _) => {
            turn.restart(id, RestartCause::TaskUpdated);
        }
        (TaskStatus::Reserved, None) if task.configuration.is_some() => {
            turn.emit(Event::TaskRestartChanged { id, restart: Some(RestartCause::TaskUpdated) });
        }
        _ => {}
    }
}

fn step_sets_priority(task: &Task) -> bool {
    match (task.place, &task.configuration) {
        (Some(Place::Step { position, .. }), Some(configuration)) => configuration.target(position).priority.is_some(),
        _ => false,
    }
}

fn check_status(state: &State, task: &Task, requested: RequestedStatus) -> Result<(), Rejection> {
    match requested {
        RequestedStatus::Canceled if !task.status.is_waiting() => Err(Rejection::TaskNotCancelable),
        RequestedStatus::Wrapping if !state.is_multitask() => Err(Rejection::SingleTasking),
        RequestedStatus::Wrapping if task.status != TaskStatus::Assigned => Err(Rejection::TaskNotWrappable),
        RequestedStatus::Completed if !matches!(task.status, TaskStatus::Assigned | TaskStatus::Wrapping) => {
            Err(Rejection::TaskNotCompletable)
        }
        RequestedStatus::Canceled | RequestedStatus::Wrapping | RequestedStatus::Completed => Ok(()),
    }
}

/// The engine cancels a waiting Task.
pub(crate) fn cancel_task(turn: &mut Turn<'_>, id: Id<Task>, reason: Option<Arc<str>>) {
    let end = TaskEnd::begin(turn, id, TRANSFER_CANCELED);
    let version = turn.state().the_task(id).version.next();
    turn.emit(Event::TaskStatusChanged { id, status: TaskStatus::Canceled, reason, version });
    end.end_reservations(turn).publish(turn, EventKind::TaskCanceled);
}

/// A Task for one Worker to whom it cannot be offered.
pub(super) fn fail_direct(turn: &mut Turn<'_>, id: Id<Task>) {
    cancel_direct(turn, id, TARGET_SLA);
    turn.publish_task(EventKind::ReservationFailed, id);
    turn.publish_task(EventKind::TaskCanceled, id);
}

/// The events of a Task for one Worker that ends without acceptance.
pub(super) fn cancel_direct(turn: &mut Turn<'_>, id: Id<Task>, reason: &str) {
    let version = turn.state().the_task(id).version.next();
    turn.emit(Event::TaskStatusChanged { id, status: TaskStatus::Canceled, reason: Some(reason.into()), version });
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<Task>) -> Reply {
    remove(turn, id, EventKind::TaskDeleted);
    Reply::Deleted
}

/// The Task goes, with everything that hangs on it.
pub(super) fn remove(turn: &mut Turn<'_>, id: Id<Task>, kind: EventKind) {
    let end = TaskEnd::begin(turn, id, TRANSFER_DELETED);
    end.end_reservations(turn).publish(turn, kind);
    turn.emit(Event::TaskRemoved { id });
}

pub(super) fn write_attributes(turn: &mut Turn<'_>, id: Id<Task>, attributes: Attributes) -> Reply {
    let task = turn.state().the_task(id);
    if !attributes.same_json(&task.attributes) {
        let event = updated(task, attributes, task.priority, task.version.next());
        turn.emit(event);
        turn.publish_task(EventKind::TaskUpdated, id);
    }
    Reply::Task(id)
}

pub(super) fn abandon(turn: &mut Turn<'_>, id: Id<Task>, reason: Arc<str>) -> Reply {
    if turn.state().the_task(id).status.is_waiting() {
        cancel_task(turn, id, Some(reason));
    }
    Reply::Task(id)
}

/// The event that gives a Task new attributes and a priority.
pub(super) fn updated(task: &Task, attributes: Attributes, priority: Priority, version: Version) -> Event {
    Event::TaskUpdated {
        id: task.id,
        attributes,
        priority,
        task_channel: task.task_channel,
        virtual_start_time: task.virtual_start_time,
        reason: task.reason.clone(),
        version,
    }
}

/// A Task's reservations and transfer follow it when it ends or wraps up. The Task's event comes first, those of its
/// reservations after it in creation order, then what they did to their Workers.
#[derive(Debug)]
struct TaskEnd {
    task: Id<Task>,
    transfer: Option<Id<Transfer>>,
    reservations: Vec<Id<Reservation>>,
    moved: Vec<Moved>,
}

impl TaskEnd {
    /// Ends a transfer that is under way.
    fn begin(turn: &mut Turn<'_>, id: Id<Task>, transfer_reason: &str) -> Self {
        let state = turn.state();
        let open = state.open_transfer(state.the_task(id)).map(|transfer| (transfer.id, transfer.version.next()));
        if let Some((id, version)) = open {
            let failed_reason = Some(transfer_reason.into());
            turn.emit(Event::TransferChanged { id, status: TransferStatus::Failed, failed_reason, version });
        }
        Self { task: id, transfer: open.map(|(id, _)| id), reservations: Vec::new(), moved: Vec::new() }
    }

    /// Open offers are canceled, held reservations completed.
    fn end_reservations(mut self, turn: &mut Turn<'_>) -> Self {
        let state = turn.state();
        let active: Vec<_> = state
            .active_reservations(state.the_task(self.task))
            .map(|reservation| (reservation.id, reservation.status == ReservationStatus::Pending))
            .collect();
        for (reservation, pending) in active {
            let status = if pending { ReservationStatus::Canceled } else { ReservationStatus::Completed };
            change_status(turn, reservation, status, None);
            if pending {
                self.moved.extend(turn.restore_activity(reservation));
            }
            self.reservations.push(reservation);
        }
        self
    }

    fn wrap_reservations(mut self, turn: &mut Turn<'_>) -> Self {
        let state = turn.state();
        let accepted = |reservation: &&Reservation| reservation.status == ReservationStatus::Accepted;
        self.reservations = state
            .active_reservations(state.the_task(self.task))
            .filter(accepted)
            .map(|reservation| reservation.id)
            .collect();
        for reservation in &self.reservations {
            change_status(turn, *reservation, ReservationStatus::Wrapping, None);
        }
        self
    }

    fn publish(self, turn: &mut Turn<'_>, kind: EventKind) {
        if let Some(transfer) = self.transfer {
            turn.publish_transfer(EventKind::TaskTransferFailed, transfer);
        }
        turn.publish_task(kind, self.task);
        for reservation in self.reservations {
            let status = turn.state().the_reservation(reservation).status;
            turn.publish_reservation(kind_of(status), reservation);
        }
        publish_moves(turn, self.moved);
    }
}
