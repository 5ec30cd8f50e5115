//! Instructions that wait for telephony: the reservation is on hold meanwhile. Reference: routing, section 5;
//! events-and-callbacks, sections 11.5 and 11.6.

use alloc::boxed::Box;

use super::reservation::{accept_offer, complete_held, publish_moves, withdraw, wrap_accepted};
use crate::command::{Reply, SetupOutcome};
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::ON_HOLD;
use crate::rejection::{Instruction, Rejection};
use crate::state::{Activity, Reservation, VoiceCall};
use crate::turn::Turn;
use crate::values::ReservationStatus;

pub(super) fn begin(turn: &mut Turn<'_>, id: Id<Reservation>, instruction: Instruction) -> Result<Reply, Rejection> {
    let state = turn.state();
    let reservation = state.the_reservation(id);
    if reservation.status != ReservationStatus::Pending {
        return Err(Rejection::InstructionNotPending { instruction });
    }
    if reservation.is_on_hold() {
        return Err(Rejection::ReservationOnHold);
    }
    if instruction != Instruction::Conference && state.open_transfer(state.the_task(reservation.task)).is_some() {
        return Err(Rejection::InstructionDuringTransfer);
    }
    let until = Some(state.now().plus(ON_HOLD));
    turn.emit(Event::ReservationHoldChanged { id, until });
    Ok(Reply::Reservation(id))
}

/// The set-up ended. Too late an outcome changes nothing.
pub(super) fn end(turn: &mut Turn<'_>, id: Id<Reservation>, outcome: SetupOutcome) -> Reply {
    let reservation = turn.state().the_reservation(id);
    if reservation.status == ReservationStatus::Pending && reservation.is_on_hold() {
        match outcome {
            SetupOutcome::Accepted => accept_offer(turn, id),
            SetupOutcome::Released => turn.emit(Event::ReservationHoldChanged { id, until: None }),
            SetupOutcome::Failed { reason_code } => withdraw(turn, id, reason_code),
        }
    }
    Reply::Reservation(id)
}

pub(super) fn note_call(turn: &mut Turn<'_>, id: Id<Reservation>, call: Box<VoiceCall>) -> Reply {
    if turn.state().the_reservation(id).call.as_ref() != Some(&call) {
        turn.emit(Event::ReservationCallChanged { id, call: Some(call) });
    }
    Reply::Reservation(id)
}

/// The Worker's leg ended: after-call work, or in a single-tasking Workspace the end of the Task.
pub(super) fn end_leg(turn: &mut Turn<'_>, id: Id<Reservation>, activity: Option<Sid<Activity>>) -> Reply {
    let state = turn.state();
    let reservation = state.the_reservation(id);
    let worker = reservation.worker;
    let activity = activity.and_then(|sid| state.find_activity(sid)).map(|activity| activity.id);
    if reservation.status == ReservationStatus::Accepted {
        // The move is part of the transition: all its events show the Worker there.
        let moved = activity.and_then(|activity| turn.move_worker(worker, activity, None));
        if turn.state().is_multitask() {
            wrap_accepted(turn, id);
        } else {
            complete_held(turn, id);
        }
        publish_moves(turn, moved.map(|left| (worker, left)));
    }
    Reply::Reservation(id)
}
