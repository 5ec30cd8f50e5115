//! What must be true of a Workspace at rest, by brute force. Written from the reference (routing, sections 3.2 and
//! 3.5) over the public state; every Task is held against every Worker.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pointsman_engine::{
    DurationMs, EventKind, Id, Limits, Ordering, Place, Priority, PublicEvent, ReservationStatus, RoutingTarget, State,
    Task, TaskChannel, TaskStatus, Tasking, Timestamp, TransferMode, TransferStatus, TransferTarget, Version, Worker,
};
use pointsman_expression::Scope;

use super::{Tamper, Violation};

/// No timer that is due has been forgotten.
pub(super) fn nothing_is_overdue(state: &State, limits: &Limits) -> Result<(), Violation> {
    let now = state.now();
    let overdue = |what: &str, sid: &dyn std::fmt::Display| {
        Err(Violation::new("every timer fires once and never early", format!("{what} of {sid} is overdue")))
    };
    for row in state.reservations().filter(|row| row.status == ReservationStatus::Pending) {
        match row.on_hold_until {
            None if row.due() <= now => return overdue("the time-out", &row.sid),
            Some(until) if until <= now => return overdue("the end of the hold", &row.sid),
            _ => {}
        }
    }
    for task in state.tasks() {
        let ttl = task.date_created.plus(DurationMs::from_seconds(task.timeout_seconds));
        if task.status.is_waiting() && task.first_accepted.is_none() && ttl <= now {
            return overdue("the life", &task.sid);
        }
        if task.status == TaskStatus::Pending {
            if let Some(Place::Step { deadline: Some(deadline), .. }) = task.place
                && deadline <= now
            {
                return overdue("the step", &task.sid);
            }
            if task.hold_off.until.is_some_and(|until| until <= now) {
                return overdue("the hold-off", &task.sid);
            }
        }
        let removal = match task.finished {
            Some(finished) => Some(finished.plus(limits.finished_retention)),
            None => task.first_accepted.map(|accepted| accepted.plus(limits.assigned_max)),
        };
        if removal.is_some_and(|due| due <= now) {
            return overdue("the removal", &task.sid);
        }
    }
    Ok(())
}

/// An eligible Worker and a waiting Task never coexist.
pub(super) fn nobody_waits_for_somebody_idle(state: &State, tamper: Tamper) -> Result<(), Violation> {
    let imagined = u32::from(tamper == Tamper::ImaginedRoom);
    let loads = Loads::of(state);
    for task in state.tasks().filter(|task| waits(task)) {
        let holders = holders(state, task);
        for worker in state.workers().filter(|worker| !holders.contains(&worker.id)) {
            let ignores = matches!(task.place, Some(Place::Worker(_))) && task.ignore_capacity;
            if (ignores || loads.has_room(state, task, worker, imagined)) && fits(state, task, worker) {
                let text = format!("{} waits although {} could take it", task.sid, worker.sid);
                return Err(Violation::new("no eligible idle Worker beside an eligible waiting Task", text));
            }
        }
    }
    Ok(())
}

fn waits(task: &Task) -> bool {
    task.status == TaskStatus::Pending && task.place.is_some() && task.hold_off.until.is_none()
}

/// Queue and step. Steps with a known Worker are not judged here.
fn fits(state: &State, task: &Task, worker: &Worker) -> bool {
    let view = state.worker_view(worker);
    let is_member = || {
        let queue = task.task_queue.and_then(|queue| state.task_queue(queue)).expect("it waits in a queue");
        queue.expression.as_ref().is_some_and(|expression| expression.eval(&Scope::worker(&view)))
    };

    match task.place {
        None => false,
        Some(Place::Worker(only)) => only == worker.id,
        Some(Place::Queue) => is_member(),
        Some(Place::Step { position, .. }) => {
            let step = task.configuration.as_ref().expect("a step is one of some rules").target(position);
            let scope = Scope::target(task.attributes.value(), &view, state.now().0);
            let matches = step.expression.as_ref().is_none_or(|step| step.expression.eval(&scope));
            step.known_worker.is_none() && matches && is_member()
        }
    }
}

/// Who holds the Task already; the initiator of a transfer to a queue not, once that Worker is leaving.
fn holders(state: &State, task: &Task) -> BTreeSet<Id<Worker>> {
    let leaving = task.transfers.last().and_then(|transfer| state.transfer(*transfer)).filter(|transfer| {
        let initiating = state.reservation(transfer.initiating_reservation).expect("it initiated");
        transfer.status == TransferStatus::Initiated
            && matches!(transfer.target, TransferTarget::TaskQueue(_))
            && (transfer.mode == TransferMode::Cold || initiating.status != ReservationStatus::Accepted)
    });
    let held = task.reservations.iter().filter_map(|id| state.reservation(*id)).filter(|row| {
        row.status.is_active() && leaving.is_none_or(|transfer| transfer.initiating_reservation != row.id)
    });
    held.map(|row| row.worker).collect()
}

/// Active reservations of each Worker on each TaskChannel, counted.
struct Loads(BTreeMap<(Id<Worker>, Id<TaskChannel>), u32>);

impl Loads {
    fn of(state: &State) -> Self {
        let mut loads = BTreeMap::new();
        for row in state.reservations().filter(|row| row.status.is_active()) {
            let channel = state.task(row.task).expect("a reservation has a Task").task_channel;
            *loads.entry((row.worker, channel)).or_default() += 1;
        }
        Self(loads)
    }

    fn has_room(&self, state: &State, task: &Task, worker: &Worker, imagined: u32) -> bool {
        if !state.activity(worker.activity).is_some_and(|activity| activity.available) {
            return false;
        }
        if state.workspace().settings.tasking == Tasking::Single {
            let load: u32 = self.0.iter().filter(|((of, _), _)| *of == worker.id).map(|(_, load)| load).sum();
            return load < 1 + imagined;
        }
        let channel = worker.channel(task.task_channel).expect("Workers have every TaskChannel");
        let load = self.0.get(&(worker.id, task.task_channel)).copied().unwrap_or(0);
        channel.available && load < channel.capacity + imagined
    }
}

/// Who waited before a turn, to see afterwards who was passed over.
pub(super) struct Waiting(BTreeMap<Id<Task>, Version>);

impl Waiting {
    pub(super) fn of(state: &State) -> Self {
        Self(state.tasks().filter(|task| waits(task)).map(|task| (task.id, task.version)).collect())
    }

    /// Whoever was offered a Task could not have served one that stood before it.
    ///
    /// Only Tasks that waited all through the turn are held against the offers, and only on the channel of the offer,
    /// so that the Worker had the same room for both.
    pub(super) fn were_served_in_order(
        &self,
        state: &State,
        published: &[PublicEvent],
        tamper: Tamper,
    ) -> Result<(), Violation> {
        let told: BTreeSet<_> = published.iter().filter_map(|event| Some(event.task.as_ref()?.sid.bytes())).collect();
        let still = |task: &&Task| {
            waits(task) && self.0.get(&task.id) == Some(&task.version) && !told.contains(&task.sid.bytes())
        };
        let passed_over: Vec<&Task> = state.tasks().filter(still).collect();
        if passed_over.is_empty() {
            return Ok(());
        }
        for event in published.iter().filter(|event| event.kind == EventKind::ReservationCreated) {
            let offer = event.reservation.as_ref().and_then(|facts| state.find_reservation(facts.sid));
            let Some(offer) = offer else { continue };
            let (Some(task), Some(worker)) = (state.task(offer.task), state.worker(offer.worker)) else { continue };
            // An offer to one named Worker is no choice among Tasks.
            let named = offer.transfer.and_then(|transfer| state.transfer(transfer));
            let named = named.is_some_and(|transfer| matches!(transfer.target, TransferTarget::Worker(_)));
            if named || matches!(task.routing_target, Some(RoutingTarget::Worker(_))) {
                continue;
            }
            // As it stood when it was offered: the turn may have gone on since.
            let facts = event.task.as_ref().expect("an offer is of a Task");
            let queue = event.task_queue.as_ref().and_then(|queue| state.find_task_queue(queue.sid));
            let kind = queue.map_or(Ordering::Fifo, |queue| queue.definition.task_order);
            let offered_at = place_in_order(state, kind, facts.priority, facts.virtual_start_time, task.id);
            for other in &passed_over {
                let same_room =
                    state.workspace().settings.tasking == Tasking::Single || other.task_channel == task.task_channel;
                let before = match tamper {
                    Tamper::YoungestFirst => offered_at < order(state, other),
                    _ => order(state, other) < offered_at,
                };
                let free = || !holders(state, other).contains(&worker.id);
                if same_room && before && fits(state, other, worker) && free() {
                    let waiting = |task: &Task| {
                        format!("{} (priority {}, since {})", task.sid, task.priority.0, task.virtual_start_time.0)
                    };
                    let told: Vec<String> = published.iter().map(crate::compare::report::brief).collect();
                    let text = format!(
                        "{} was offered {} before {}:\n  {}",
                        worker.sid,
                        waiting(task),
                        waiting(other),
                        told.join("\n  ")
                    );
                    return Err(Violation::new("order is priority, then age", text));
                }
            }
        }
        Ok(())
    }
}

/// The place of a Task in the order of service; smaller is first.
type OrderKey = (bool, Reverse<u32>, i64, i64);

fn order(state: &State, task: &Task) -> OrderKey {
    let queue = task.task_queue.and_then(|queue| state.task_queue(queue));
    let kind = match task.place {
        Some(Place::Worker(_)) => Ordering::Fifo,
        _ => queue.map_or(Ordering::Fifo, |queue| queue.definition.task_order),
    };
    place_in_order(state, kind, task.priority, task.virtual_start_time, task.id)
}

fn place_in_order(state: &State, kind: Ordering, priority: Priority, start: Timestamp, id: Id<Task>) -> OrderKey {
    let last = kind != state.workspace().settings.prioritize_queue_order;
    let number = id.number() as i64;
    match kind {
        Ordering::Fifo => (last, Reverse(priority.0), start.0, number),
        Ordering::Lifo => (last, Reverse(0), -start.0, -number),
    }
}
