//! Handing an accepted Task on to another Worker or queue. Reference: routing, section 6.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reservation::{change_status, pending_of, publish_moves};
use super::task::updated;
use crate::command::{InitiateTransfer, Reply, TransferTargetSid};
use crate::event::Event;
use crate::ids::Id;
use crate::public_event::{EventKind, RoutingCause};
use crate::rejection::{Rejection, TransferRefusal};
use crate::routing::index::is_open;
use crate::state::{Place, Reservation, State, Task, TaskQueue, Transfer, TransferTarget};
use crate::turn::Turn;
use crate::values::{ReservationStatus, TaskStatus, TransferMode, TransferStatus, Version};

pub(super) fn initiate(turn: &mut Turn<'_>, request: InitiateTransfer) -> Result<Reply, Rejection> {
    let state = turn.state();
    let target = check(state, &request).map_err(|reason| Rejection::TransferRefused { reason })?;
    let task = request.task;

    let left = turn.place_left(task);
    let of = state.the_task(task);
    let attributes = request.attributes.filter(|attributes| !attributes.same_json(&of.attributes));
    let priority = request.priority.unwrap_or(of.priority);
    if attributes.is_some() || priority != of.priority {
        // One transition, one version: the change of status that follows raises it.
        let event = updated(of, attributes.unwrap_or_else(|| of.attributes.clone()), priority, of.version);
        turn.emit(event);
    }
    let id = turn.next_id();
    turn.emit(Event::TransferInitiated {
        id,
        task,
        initiating_reservation: request.reservation,
        target,
        mode: request.mode,
        version: Version(0),
    });
    match target {
        TransferTarget::Worker(worker) => {
            let made = turn.make_offers(task, &[worker]);
            turn.publish_transfer(EventKind::TaskTransferInitiated, id);
            for (reservation, moved) in made {
                turn.publish_reservation(EventKind::ReservationCreated, reservation);
                publish_moves(turn, moved);
            }
        }
        TransferTarget::TaskQueue(queue) => {
            wait_in_queue(turn, task, queue);
            turn.publish_transfer(EventKind::TaskTransferInitiated, id);
            turn.publish_queue_change(task, &left, Some(RoutingCause::Transfer));
        }
    }
    if request.mode == TransferMode::Cold {
        turn.leaving.push(request.reservation);
    }
    Ok(Reply::Transfer(id))
}

fn check(state: &State, request: &InitiateTransfer) -> Result<TransferTarget, TransferRefusal> {
    let task = state.the_task(request.task);
    let reservation = state.the_reservation(request.reservation);
    if reservation.status != ReservationStatus::Accepted || reservation.task != request.task {
        return Err(TransferRefusal::ReservationNotAccepted);
    }
    if state.open_transfer(task).is_some() {
        return Err(TransferRefusal::TransferUnderWay);
    }
    if task.status != TaskStatus::Assigned {
        return Err(TransferRefusal::TaskNotAssigned { task: task.id });
    }
    match request.target {
        TransferTargetSid::TaskQueue(sid) => match state.find_task_queue(sid) {
            Some(queue) => Ok(TransferTarget::TaskQueue(queue.id)),
            None => Err(TransferRefusal::TargetUnknown),
        },
        TransferTargetSid::Worker(sid) => {
            let Some(worker) = state.find_worker(sid) else { return Err(TransferRefusal::TargetUnknown) };
            if worker.id == reservation.worker {
                return Err(TransferRefusal::TargetIsInitiator);
            }
            if state.active_reservations(task).any(|held| held.worker == worker.id) {
                return Err(TransferRefusal::TargetHoldsTask);
            }
            if !state.is_available(worker) {
                return Err(TransferRefusal::TargetUnavailable);
            }
            let lane = state.is_multitask().then_some(task.task_channel);
            if !is_open(state, worker, lane) {
                return Err(TransferRefusal::TargetWithoutCapacity);
            }
            Ok(TransferTarget::Worker(worker.id))
        }
    }
}

/// The Task is pending in a queue, without a step. It is placed first: where it was may be gone.
fn wait_in_queue(turn: &mut Turn<'_>, id: Id<Task>, queue: Id<TaskQueue>) {
    let hold_off = turn.state().the_task(id).hold_off;
    if hold_off.until.is_some_and(|until| until <= turn.state().now()) {
        // Its pause ran out while somebody had it, when no timer fires.
        turn.emit(Event::TaskHoldOffChanged { id, failures: hold_off.failures, until: None });
    }
    place_in_queue(turn, id, Some(queue), Some(Place::Queue));
    let task = turn.state().the_task(id);
    if task.status != TaskStatus::Pending {
        let (reason, version) = (task.reason.clone(), task.version.next());
        turn.emit(Event::TaskStatusChanged { id, status: TaskStatus::Pending, reason, version });
    }
}

/// Puts the Task into a queue. A change of queue together with a change of status is one version.
fn place_in_queue(turn: &mut Turn<'_>, id: Id<Task>, task_queue: Option<Id<TaskQueue>>, place: Option<Place>) {
    let task = turn.state().the_task(id);
    if task.task_queue == task_queue && task.place == place {
        return;
    }
    let event = Event::TaskPlaced {
        id,
        place,
        task_queue,
        priority: task.priority,
        clock_start: task.clock_start,
        budget_seconds: task.budget_seconds,
        version: task.version,
    };
    turn.emit(event);
}

/// The initiator of a cold transfer leaves, after the Task was offered on.
pub(crate) fn leave(turn: &mut Turn<'_>, id: Id<Reservation>) {
    if turn.state().reservation(id).is_some_and(|reservation| reservation.status == ReservationStatus::Accepted) {
        change_status(turn, id, ReservationStatus::Wrapping, None);
        turn.publish_reservation(EventKind::ReservationWrapup, id);
    }
}

/// What an unsuccessful offer meant for the transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// `over`: see [`give_back`].
    Failed {
        over: Option<Vec<Id<Reservation>>>,
    },
    AttemptFailed,
}

/// The last open offer of a transfer ended without acceptance. Makes the events; the caller publishes.
pub(super) fn offer_ended(turn: &mut Turn<'_>, id: Id<Transfer>, cause: RoutingCause) -> Offered {
    let transfer = turn.state().the_transfer(id);
    let (task, target) = (transfer.task, transfer.target);
    match target {
        TransferTarget::Worker(_) => {
            let reason = match cause {
                RoutingCause::ReservationRejected => "Transfer failed because the reservation was rejected",
                RoutingCause::ReservationTimeout => "Transfer failed because the reservation timed out",
                RoutingCause::ReservationCanceled
                | RoutingCause::TargetTimeout
                | RoutingCause::TargetSkipped
                | RoutingCause::TaskUpdated
                | RoutingCause::WorkflowUpdated
                | RoutingCause::Transfer => "Transfer failed because the reservation was canceled",
            };
            change(turn, id, TransferStatus::Failed, Some(reason));
            Offered::Failed { over: give_back(turn, id, reason) }
        }
        TransferTarget::TaskQueue(_) => {
            let reason = match cause {
                RoutingCause::ReservationRejected => ATTEMPT_REJECTED,
                RoutingCause::ReservationTimeout => ATTEMPT_TIMED_OUT,
                RoutingCause::ReservationCanceled
                | RoutingCause::TargetTimeout
                | RoutingCause::TargetSkipped
                | RoutingCause::TaskUpdated
                | RoutingCause::WorkflowUpdated
                | RoutingCause::Transfer => ATTEMPT_CANCELED,
            };
            change(turn, id, TransferStatus::Initiated, Some(reason));
            super::reservation::fall_back(turn, task, cause);
            Offered::AttemptFailed
        }
    }
}

const ATTEMPT_REJECTED: &str =
    "Transfer attempt failed on reservation reject because there are no more pending reservations";
const ATTEMPT_TIMED_OUT: &str =
    "Transfer attempt failed on reservation timeout because there are no more pending reservations";
const ATTEMPT_CANCELED: &str =
    "Transfer attempt failed on reservation cancel because there are no more pending reservations";

/// The Task after a transfer that ended without success: assigned while somebody holds it, else pending in the queue
/// it came from, else canceled: then returns the reservations that were completed with it, for their events.
fn give_back(turn: &mut Turn<'_>, id: Id<Transfer>, reason: &str) -> Option<Vec<Id<Reservation>>> {
    let state = turn.state();
    let transfer = state.the_transfer(id);
    let task = state.the_task(transfer.task);
    let held = state.active_reservations(task).any(|held| held.status == ReservationStatus::Accepted);
    let (task_id, status, version) = (task.id, task.status, task.version.next());
    let queue_before = transfer.queue_before.filter(|queue| state.task_queues.live(*queue).is_some());
    let kept_reason = task.reason.clone();
    if held {
        turn.emit(Event::TaskStatusChanged { id: task_id, status: TaskStatus::Assigned, reason: kept_reason, version });
        let task = turn.state().the_task(task_id);
        // A Task that had no queue before keeps the transfer's.
        let queue = queue_before.or(task.task_queue);
        let place = task.place;
        place_in_queue(turn, task_id, queue, place);
        return None;
    }
    if let Some(queue) = queue_before {
        if status == TaskStatus::Pending {
            // Only the queue changes, if that; it raises the version itself.
            let task = turn.state().the_task(task_id);
            if task.task_queue != Some(queue) {
                let event = Event::TaskPlaced {
                    id: task_id,
                    place: Some(Place::Queue),
                    task_queue: Some(queue),
                    priority: task.priority,
                    clock_start: task.clock_start,
                    budget_seconds: task.budget_seconds,
                    version,
                };
                turn.emit(event);
            }
        } else {
            wait_in_queue(turn, task_id, queue);
            turn.returned.push((task_id, RoutingCause::Transfer));
        }
        return None;
    }
    let reason = Some(Arc::from(reason));
    turn.emit(Event::TaskStatusChanged { id: task_id, status: TaskStatus::Canceled, reason, version });
    let state = turn.state();
    let rest: Vec<_> = state.active_reservations(state.the_task(task_id)).map(|held| held.id).collect();
    for reservation in &rest {
        change_status(turn, *reservation, ReservationStatus::Completed, None);
    }
    Some(rest)
}

/// What a Task that is over shows after its transfer: its own end, then that of its reservations.
pub(super) fn publish_over(turn: &mut Turn<'_>, task: Id<Task>, over: Vec<Id<Reservation>>) {
    turn.publish_task(EventKind::TaskCanceled, task);
    for reservation in over {
        turn.publish_reservation(EventKind::ReservationCompleted, reservation);
    }
}

fn change(turn: &mut Turn<'_>, id: Id<Transfer>, status: TransferStatus, failed_reason: Option<&str>) {
    let version = turn.state().the_transfer(id).version.next();
    turn.emit(Event::TransferChanged { id, status, failed_reason: failed_reason.map(Arc::from), version });
}

pub(super) fn cancel(turn: &mut Turn<'_>, id: Id<Transfer>) -> Result<Reply, Rejection> {
    let state = turn.state();
    let transfer = state.the_transfer(id);
    if transfer.status != TransferStatus::Initiated {
        return Err(Rejection::TransferNotInitiated { transfer: transfer.sid, status: transfer.status });
    }
    let task = transfer.task;
    let left = turn.place_left(task);
    let pending = pending_of(turn.state(), turn.state().the_task(task));
    let mut moved = Vec::new();
    for reservation in &pending {
        change_status(turn, *reservation, ReservationStatus::Canceled, None);
        moved.extend(turn.restore_activity(*reservation));
    }
    change(turn, id, TransferStatus::Canceled, None);
    let over = give_back(turn, id, "Transfer was canceled");
    for reservation in pending {
        turn.publish_reservation(EventKind::ReservationCanceled, reservation);
    }
    publish_moves(turn, moved);
    turn.publish_transfer(EventKind::TaskTransferCanceled, id);
    if let Some(over) = over {
        publish_over(turn, task, over);
    } else {
        turn.publish_queue_change(task, &left, Some(RoutingCause::Transfer));
        turn.publish_task(EventKind::TaskUpdated, task);
    }
    Ok(Reply::Transfer(id))
}
