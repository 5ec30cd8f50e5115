//! What happens when a deadline is due. Reference: routing, sections 3.1 and 4.7.

use super::reservation;
use super::task::{CANCELED_TTL, TARGET_SLA, cancel_direct, cancel_task, remove};
use crate::event::Event;
use crate::ids::Id;
use crate::public_event::EventKind;
use crate::routing::index::{Deadline, DeadlineKind};
use crate::state::Place;
use crate::turn::Turn;
use crate::values::TaskStatus;

pub(crate) fn fire(turn: &mut Turn<'_>, deadline: &Deadline) {
    let (task, reservation) = (Id::new(deadline.number), Id::new(deadline.number));
    match deadline.kind {
        DeadlineKind::ReservationTimeout => reservation::time_out(turn, reservation),
        DeadlineKind::TaskTtl => {
            let expired = turn.state().the_task(task);
            let never_offered = matches!(expired.place, Some(Place::Worker(_)))
                && expired.status == TaskStatus::Pending
                && expired.assignments == 0;
            if never_offered {
                cancel_direct(turn, task, TARGET_SLA, true);
            } else {
                cancel_task(turn, task, Some(CANCELED_TTL.into()));
            }
        }
        DeadlineKind::Step => turn.step_timeout(task),
        DeadlineKind::HoldOff => {
            let failures = turn.state().the_task(task).hold_off.failures;
            turn.emit(Event::TaskHoldOffChanged { id: task, failures, until: None });
            // Its `skip_if` waited for this moment.
            turn.entered.push(task);
        }
        DeadlineKind::OnHold => reservation::withdraw(turn, reservation, None),
        DeadlineKind::AssignedLimit | DeadlineKind::Purge => remove(turn, task, EventKind::TaskSystemDeleted),
    }
}
