//! What happens when a deadline is due. Reference: routing, sections 3.1 and 4.7.

use super::reservation;
use super::task::{CANCELED_TTL, cancel_task, fail_direct, remove};
use crate::event::Event;
use crate::public_event::EventKind;
use crate::routing::index::Timer;
use crate::state::Place;
use crate::turn::Turn;
use crate::values::TaskStatus;

pub(crate) fn fire(turn: &mut Turn<'_>, timer: Timer) {
    match timer {
        Timer::ReservationTimeout(id) => reservation::time_out(turn, id),
        Timer::TaskTtl(id) => {
            let expired = turn.state().the_task(id);
            let never_offered = matches!(expired.place, Some(Place::Worker(_)))
                && expired.status == TaskStatus::Pending
                && expired.assignments == 0;
            if never_offered {
                fail_direct(turn, id);
            } else {
                cancel_task(turn, id, Some(CANCELED_TTL.into()));
            }
        }
        Timer::Step(id) => turn.step_timeout(id),
        Timer::HoldOff(id) => {
            let failures = turn.state().the_task(id).hold_off.failures;
            turn.emit(Event::TaskHoldOffChanged { id, failures, until: None });
            // Its `skip_if` waited for this moment.
            turn.entered.push(id);
        }
        Timer::OnHold(id) => reservation::withdraw(turn, id, None),
        Timer::AssignedLimit(id) | Timer::Purge(id) => remove(turn, id, EventKind::TaskSystemDeleted),
    }
}
