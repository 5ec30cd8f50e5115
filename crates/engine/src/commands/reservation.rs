//! What becomes of an offer. Reference: routing, sections 3.7, 3.8 and 4.2.

use alloc::format;
use alloc::vec::Vec;

use super::named_activity;
use super::task::{ALL_COMPLETED, TARGET_UNAVAILABLE, cancel_direct};
use super::transfer;
use crate::command::Reply;
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::{HOLD_OFF_SECONDS_FIRST, HOLD_OFF_SECONDS_MAX};
use crate::public_event::{EventKind, RoutingCause};
use crate::publish::ActivityLeft;
use crate::rejection::{ActivityRole, Rejection};
use crate::state::{Activity, Place, Reservation, State, Task, Transfer, Worker};
use crate::turn::Turn;
use crate::values::{DurationMs, ReservationStatus, TaskStatus, TransferStatus};

/// A Worker that was moved, and what it left.
pub(crate) type Moved = (Id<Worker>, ActivityLeft);

pub(super) fn accept(turn: &mut Turn<'_>, id: Id<Reservation>) -> Result<Reply, Rejection> {
    check_pending(turn.state(), id, ReservationStatus::Accepted)?;
    accept_offer(turn, id);
    Ok(Reply::Reservation(id))
}

/// The Worker takes the Task: everybody else's offer is rescinded.
pub(super) fn accept_offer(turn: &mut Turn<'_>, id: Id<Reservation>) {
    let state = turn.state();
    let reservation = state.the_reservation(id);
    let (task, worker) = (reservation.task, reservation.worker);
    let of = state.the_task(task);
    let open = state.open_transfer(of).map(|transfer| (transfer.id, transfer.version.next()));
    let siblings = pending_of(state, of).into_iter().filter(|sibling| *sibling != id).collect::<Vec<_>>();
    let (reason, version) = (of.reason.clone(), of.version.next());
    let assignment_activity = match (state.is_multitask(), reservation.task_queue) {
        (false, Some(queue)) => state.the_task_queue(queue).definition.assignment_activity,
        _ => None,
    };

    change_status(turn, id, ReservationStatus::Accepted, None);
    for sibling in &siblings {
        change_status(turn, *sibling, ReservationStatus::Rescinded, None);
    }
    turn.emit(Event::TaskStatusChanged { id: task, status: TaskStatus::Assigned, reason, version });
    if let Some((transfer, version)) = open {
        turn.emit(Event::TransferChanged {
            id: transfer,
            status: TransferStatus::Complete,
            failed_reason: None,
            version,
        });
    }
    let mut moved: Vec<Moved> = Vec::new();
    if let Some(activity) = assignment_activity {
        moved.extend(turn.move_worker(worker, activity, None).map(|left| (worker, left)));
    }
    for sibling in &siblings {
        moved.extend(turn.restore_activity(*sibling));
    }

    turn.publish_reservation(EventKind::ReservationAccepted, id);
    for sibling in siblings {
        turn.publish_reservation(EventKind::ReservationRescinded, sibling);
    }
    if let Some((transfer, _)) = open {
        turn.publish_transfer(EventKind::TaskTransferCompleted, transfer);
    }
    publish_moves(turn, moved);
}

pub(super) fn reject(
    turn: &mut Turn<'_>,
    id: Id<Reservation>,
    activity: Option<Sid<Activity>>,
) -> Result<Reply, Rejection> {
    let state = turn.state();
    check_pending(state, id, ReservationStatus::Rejected)?;
    let activity = match activity {
        Some(sid) => Some(named_activity(state, ActivityRole::Rejection, sid)?),
        None => None,
    };
    let worker = state.the_reservation(id).worker;
    let end = OfferEnd::emit(turn, id, ReservationStatus::Rejected, RoutingCause::ReservationRejected);
    let moved = match activity {
        Some(activity) => turn.move_worker(worker, activity, None).map(|left| (worker, left)),
        None => turn.restore_activity(id),
    };
    end.publish(turn, moved);
    Ok(Reply::Reservation(id))
}

/// Nobody answered in time: the Worker is taken off duty.
pub(super) fn time_out(turn: &mut Turn<'_>, id: Id<Reservation>) {
    let state = turn.state();
    let reservation = state.the_reservation(id);
    let worker = state.the_worker(reservation.worker);
    let (worker, moves) =
        (worker.id, state.is_available(worker) || reservation.engine_activity == Some(worker.activity));
    let timeout_activity = state.workspace().settings.timeout_activity;
    let end = OfferEnd::emit(turn, id, ReservationStatus::Timeout, RoutingCause::ReservationTimeout);
    let moved = if moves { turn.move_worker(worker, timeout_activity, None).map(|left| (worker, left)) } else { None };
    end.publish(turn, moved);
}

/// The offer is withdrawn, because channel set-up failed.
pub(super) fn withdraw(turn: &mut Turn<'_>, id: Id<Reservation>, reason_code: Option<u32>) {
    let end =
        OfferEnd::emit_with_code(turn, id, ReservationStatus::Canceled, RoutingCause::ReservationCanceled, reason_code);
    let moved = turn.restore_activity(id);
    end.publish(turn, moved);
}

pub(super) fn wrap(turn: &mut Turn<'_>, id: Id<Reservation>) -> Result<Reply, Rejection> {
    let state = turn.state();
    let status = state.the_reservation(id).status;
    if status != ReservationStatus::Accepted || !state.is_multitask() {
        return Err(Rejection::ReservationInStatus { status, requested: ReservationStatus::Wrapping });
    }
    wrap_accepted(turn, id);
    Ok(Reply::Reservation(id))
}

/// The Worker has after-call work. When it was the last one at work, so has the Task.
pub(super) fn wrap_accepted(turn: &mut Turn<'_>, id: Id<Reservation>) {
    change_status(turn, id, ReservationStatus::Wrapping, None);
    let task = turn.state().the_reservation(id).task;
    let wraps = follow_to_wrapping(turn, task);
    if wraps {
        turn.publish_task(EventKind::TaskWrapup, task);
    }
    turn.publish_reservation(EventKind::ReservationWrapup, id);
}

/// An assigned Task whose remaining reservations are all wrapping is wrapping itself.
fn follow_to_wrapping(turn: &mut Turn<'_>, id: Id<Task>) -> bool {
    let state = turn.state();
    let task = state.the_task(id);
    let wrapping = |reservation: &Reservation| reservation.status == ReservationStatus::Wrapping;
    let follows = task.status == TaskStatus::Assigned
        && state.active_reservations(task).next().is_some()
        && state.active_reservations(task).all(wrapping);
    let (reason, version) = (task.reason.clone(), task.version.next());
    if follows {
        turn.emit(Event::TaskStatusChanged { id, status: TaskStatus::Wrapping, reason, version });
    }
    follows
}

pub(super) fn complete(turn: &mut Turn<'_>, id: Id<Reservation>) -> Result<Reply, Rejection> {
    let status = turn.state().the_reservation(id).status;
    if !matches!(status, ReservationStatus::Accepted | ReservationStatus::Wrapping) {
        return Err(Rejection::ReservationInStatus { status, requested: ReservationStatus::Completed });
    }
    complete_held(turn, id);
    Ok(Reply::Reservation(id))
}

/// The Worker is done. The last one completes the Task, unless it is being handed on.
pub(super) fn complete_held(turn: &mut Turn<'_>, id: Id<Reservation>) {
    change_status(turn, id, ReservationStatus::Completed, None);
    let state = turn.state();
    let task_id = state.the_reservation(id).task;
    let task = state.the_task(task_id);
    let last = state.active_reservations(task).next().is_none();
    let completes = last && matches!(task.status, TaskStatus::Assigned | TaskStatus::Wrapping);
    if completes {
        let reason = task.reason.clone().unwrap_or_else(|| ALL_COMPLETED.into());
        let version = task.version.next();
        turn.emit(Event::TaskStatusChanged {
            id: task_id,
            status: TaskStatus::Completed,
            reason: Some(reason),
            version,
        });
        turn.publish_task(EventKind::TaskCompleted, task_id);
    } else if follow_to_wrapping(turn, task_id) {
        turn.publish_task(EventKind::TaskWrapup, task_id);
    }
    turn.publish_reservation(EventKind::ReservationCompleted, id);
}

pub(super) fn answer_callback(turn: &mut Turn<'_>, id: Id<Reservation>) -> Reply {
    let task = turn.state().the_reservation(id).task;
    let hold_off = turn.state().the_task(task).hold_off;
    if hold_off.failures > 0 {
        turn.emit(Event::TaskHoldOffChanged { id: task, failures: 0, until: None });
    }
    if hold_off.until.is_some() {
        // A late answer ends the pause, and its `skip_if` waited for that.
        turn.entered.push(task);
    }
    Reply::Reservation(id)
}

/// Without an answer from the application the offer is withdrawn. If it was the Task's last one, the Task pauses.
pub(super) fn fail_callback(turn: &mut Turn<'_>, id: Id<Reservation>) -> Reply {
    let state = turn.state();
    let reservation = state.the_reservation(id);
    if reservation.status != ReservationStatus::Pending || reservation.is_on_hold() {
        return Reply::Reservation(id);
    }
    let task = reservation.task;
    let last = pending_of(state, state.the_task(task)).len() == 1;
    let end = if last {
        OfferEnd::emit_failed_callback(turn, id)
    } else {
        OfferEnd::emit(turn, id, ReservationStatus::Canceled, RoutingCause::ReservationCanceled)
    };
    if last && turn.state().the_task(task).status == TaskStatus::Pending {
        let failures = turn.state().the_task(task).hold_off.failures + 1;
        let doubled = HOLD_OFF_SECONDS_FIRST.checked_shl(failures - 1).unwrap_or(HOLD_OFF_SECONDS_MAX);
        let pause = if failures > 6 { HOLD_OFF_SECONDS_MAX } else { doubled.min(HOLD_OFF_SECONDS_MAX) };
        let until = Some(turn.state().now().plus(DurationMs::from_seconds(pause)));
        turn.emit(Event::TaskHoldOffChanged { id: task, failures, until });
    }
    let moved = turn.restore_activity(id);
    end.publish(turn, moved);
    Reply::Reservation(id)
}

/// Refuses unless the reservation is pending and not on hold.
fn check_pending(state: &State, id: Id<Reservation>, requested: ReservationStatus) -> Result<(), Rejection> {
    let reservation = state.the_reservation(id);
    if reservation.status != ReservationStatus::Pending {
        return Err(Rejection::ReservationInStatus { status: reservation.status, requested });
    }
    if reservation.is_on_hold() {
        return Err(Rejection::ReservationOnHold);
    }
    Ok(())
}

/// The Task's open offers in creation order.
pub(super) fn pending_of(state: &State, task: &Task) -> Vec<Id<Reservation>> {
    let pending = |reservation: &&Reservation| reservation.status == ReservationStatus::Pending;
    state.active_reservations(task).filter(pending).map(|reservation| reservation.id).collect()
}

pub(super) fn change_status(
    turn: &mut Turn<'_>,
    id: Id<Reservation>,
    status: ReservationStatus,
    reason_code: Option<u32>,
) {
    let version = turn.state().the_reservation(id).version.next();
    turn.emit(Event::ReservationStatusChanged { id, status, reason_code, version });
}

pub(super) fn publish_moves(turn: &mut Turn<'_>, moved: impl IntoIterator<Item = Moved>) {
    for (worker, left) in moved {
        turn.publish_activity_change(worker, left);
    }
}

/// An offer that ended without acceptance, and what that meant for its Task. The events are made at once; what
/// clients see is published when the whole transition is done.
#[derive(Debug)]
pub(super) struct OfferEnd {
    reservation: Id<Reservation>,
    task: Id<Task>,
    consequence: Consequence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Consequence {
    /// Others are still asked.
    None,
    /// The Task waits again; settling takes it up.
    Returned,
    /// It was for this Worker alone.
    DirectCanceled,
    TransferFailed {
        transfer: Id<Transfer>,
        /// The Task is over, and these reservations with it.
        over: Option<Vec<Id<Reservation>>>,
    },
    TransferAttemptFailed {
        transfer: Id<Transfer>,
    },
}

impl OfferEnd {
    pub(super) fn emit(
        turn: &mut Turn<'_>,
        id: Id<Reservation>,
        status: ReservationStatus,
        cause: RoutingCause,
    ) -> Self {
        Self::emit_with_code(turn, id, status, cause, None)
    }

    fn emit_with_code(
        turn: &mut Turn<'_>,
        id: Id<Reservation>,
        status: ReservationStatus,
        cause: RoutingCause,
        reason_code: Option<u32>,
    ) -> Self {
        change_status(turn, id, status, reason_code);
        let task = turn.state().the_reservation(id).task;
        let consequence = Self::follow(turn, task, cause);
        Self { reservation: id, task, consequence }
    }

    /// A directly routed Task goes on when only its callback failed.
    fn emit_failed_callback(turn: &mut Turn<'_>, id: Id<Reservation>) -> Self {
        let task = turn.state().the_reservation(id).task;
        let direct = matches!(turn.state().the_task(task).place, Some(Place::Worker(_)));
        if !direct || turn.state().open_transfer(turn.state().the_task(task)).is_some() {
            return Self::emit(turn, id, ReservationStatus::Canceled, RoutingCause::ReservationCanceled);
        }
        change_status(turn, id, ReservationStatus::Canceled, None);
        fall_back(turn, task, RoutingCause::ReservationCanceled);
        Self { reservation: id, task, consequence: Consequence::Returned }
    }

    fn follow(turn: &mut Turn<'_>, id: Id<Task>, cause: RoutingCause) -> Consequence {
        let state = turn.state();
        let task = state.the_task(id);
        if !pending_of(state, task).is_empty() {
            return Consequence::None;
        }
        if let Some(transfer) = state.open_transfer(task).map(|transfer| transfer.id) {
            return match transfer::offer_ended(turn, transfer, cause) {
                transfer::Offered::Failed { over } => Consequence::TransferFailed { transfer, over },
                transfer::Offered::AttemptFailed => Consequence::TransferAttemptFailed { transfer },
            };
        }
        if let Some(Place::Worker(worker)) = task.place {
            let reason = format!("{TARGET_UNAVAILABLE}: {}", state.the_worker(worker).sid);
            cancel_direct(turn, id, &reason);
            return Consequence::DirectCanceled;
        }
        fall_back(turn, id, cause);
        Consequence::Returned
    }

    /// The reservation's event, the Worker's move if there was one, and the rest.
    pub(super) fn publish(self, turn: &mut Turn<'_>, moved: Option<Moved>) {
        self.publish_reservation(turn);
        publish_moves(turn, moved);
        self.publish_consequences(turn);
    }

    pub(super) fn publish_reservation(&self, turn: &mut Turn<'_>) {
        let status = turn.state().the_reservation(self.reservation).status;
        turn.publish_reservation(kind_of(status), self.reservation);
    }

    pub(super) fn publish_consequences(self, turn: &mut Turn<'_>) {
        match self.consequence {
            Consequence::None | Consequence::Returned => {}
            Consequence::DirectCanceled => turn.publish_task(EventKind::TaskCanceled, self.task),
            Consequence::TransferFailed { transfer, over } => {
                turn.publish_transfer(EventKind::TaskTransferFailed, transfer);
                match over {
                    Some(over) => transfer::publish_over(turn, self.task, over),
                    None => turn.publish_task(EventKind::TaskUpdated, self.task),
                }
            }
            Consequence::TransferAttemptFailed { transfer } => {
                turn.publish_transfer(EventKind::TaskTransferAttemptFailed, transfer);
                turn.publish_task(EventKind::TaskUpdated, self.task);
            }
        }
    }
}

/// The Task waits again, in the step it was in.
pub(super) fn fall_back(turn: &mut Turn<'_>, id: Id<Task>, cause: RoutingCause) {
    let task = turn.state().the_task(id);
    let (reason, version) = (task.reason.clone(), task.version.next());
    turn.emit(Event::TaskStatusChanged { id, status: TaskStatus::Pending, reason, version });
    turn.returned.push((id, cause));
}

/// The event that tells of a reservation's status.
pub(super) fn kind_of(status: ReservationStatus) -> EventKind {
    match status {
        ReservationStatus::Pending => EventKind::ReservationCreated,
        ReservationStatus::Accepted => EventKind::ReservationAccepted,
        ReservationStatus::Rejected => EventKind::ReservationRejected,
        ReservationStatus::Timeout => EventKind::ReservationTimeout,
        ReservationStatus::Canceled => EventKind::ReservationCanceled,
        ReservationStatus::Rescinded => EventKind::ReservationRescinded,
        ReservationStatus::Wrapping => EventKind::ReservationWrapup,
        ReservationStatus::Completed => EventKind::ReservationCompleted,
    }
}
