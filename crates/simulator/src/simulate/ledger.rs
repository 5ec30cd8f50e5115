//! What the public events alone say. Kept as somebody would who only ever sees them: if the ledger does not balance,
//! neither do the statistics of a client.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_engine::{
    Activity, EventKind, Limits, PublicEvent, Reservation, ReservationFacts, ReservationStatus, Sid, Task, TaskChannel,
    TaskFacts, TaskStatus, Tasking, Timestamp, Version, Worker,
};

use super::Violation;

const COMPLETE: &str = "events are complete and in order";
const MACHINE: &str = "statuses follow the state machine";
const CAPACITY: &str = "capacity is never exceeded";
const ROUND: &str = "at most one accepted reservation per offer round";
const TIMERS: &str = "every timer fires once and never early";
const ENDS: &str = "every reservation ends";

#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    tasking: Tasking,
    last: u64,
    at: Timestamp,
    tasks: BTreeMap<Sid<Task>, TaskRow>,
    reservations: BTreeMap<Sid<Reservation>, ReservationRow>,
    /// Active reservations by Worker.
    active: BTreeMap<Sid<Worker>, BTreeSet<Sid<Reservation>>>,
    activities: BTreeMap<Sid<Worker>, Sid<Activity>>,
    rounds: u64,
}

#[derive(Debug)]
struct TaskRow {
    status: TaskStatus,
    version: Version,
    channel: Option<Sid<TaskChannel>>,
    created: Timestamp,
    timeout_seconds: u32,
    first_accepted: Option<Timestamp>,
    finished: Option<Timestamp>,
    reservations: Vec<Sid<Reservation>>,
    removed: bool,
}

#[derive(Debug)]
struct ReservationRow {
    task: Sid<Task>,
    worker: Sid<Worker>,
    status: ReservationStatus,
    version: Version,
    created: Timestamp,
    round: u64,
}

fn refuse<T>(rule: &'static str, event: &PublicEvent, text: &str) -> Result<T, Violation> {
    Err(Violation::new(rule, format!("{text}: {}", crate::compare::report::brief(event))))
}

impl Ledger {
    pub(super) fn new(limits: Limits, tasking: Tasking) -> Self {
        Self {
            limits,
            tasking,
            last: 0,
            at: Timestamp(i64::MIN),
            tasks: BTreeMap::new(),
            reservations: BTreeMap::new(),
            active: BTreeMap::new(),
            activities: BTreeMap::new(),
            rounds: 0,
        }
    }

    /// The events of the Workspace's creation.
    pub(super) fn begin(&mut self, events: &[PublicEvent]) {
        self.last = events.len() as u64;
    }

    /// The events of one turn, which led from one instant to another.
    pub(super) fn follow(&mut self, events: &[PublicEvent], from: Timestamp, to: Timestamp) -> Result<(), Violation> {
        self.at = self.at.max(from);
        let mut touched = BTreeSet::new();
        // The Task whose offers are being told, and in which round.
        let mut round: Option<(Sid<Task>, u64)> = None;
        for event in events {
            if event.id.number() != self.last + 1 {
                return refuse(COMPLETE, event, "a number is missing before this event");
            }
            self.last += 1;
            if event.at < self.at || to < event.at {
                let rule = if event.kind == EventKind::ReservationTimeout { TIMERS } else { COMPLETE };
                return refuse(rule, event, "it is told out of its time");
            }
            self.at = event.at;
            if let Some(facts) = &event.task {
                touched.insert(facts.sid);
                self.task_told(event, facts)?;
            }
            if let (Some(facts), Some(task)) = (&event.reservation, &event.task) {
                if event.kind == EventKind::ReservationCreated {
                    let same = round.filter(|(of, _)| *of == task.sid);
                    let number = same.map_or_else(
                        || {
                            self.rounds += 1;
                            self.rounds
                        },
                        |(_, number)| number,
                    );
                    self.offered(event, facts, task, number, same.is_some())?;
                    round = Some((task.sid, number));
                } else {
                    round = None;
                    self.answered(event, facts)?;
                }
            } else if event.kind != EventKind::WorkerActivityUpdate {
                round = None;
            }
            self.worker_told(event)?;
        }
        for task in touched {
            self.is_consistent(task)?;
        }
        Ok(())
    }

    fn task_told(&mut self, event: &PublicEvent, facts: &TaskFacts) -> Result<(), Violation> {
        if event.kind == EventKind::TaskCreated {
            let row = TaskRow {
                status: facts.status,
                version: facts.version,
                channel: facts.task_channel.as_ref().map(|(sid, _)| *sid),
                created: event.at,
                timeout_seconds: facts.timeout_seconds,
                first_accepted: None,
                finished: None,
                reservations: Vec::new(),
                removed: false,
            };
            if facts.status != TaskStatus::Pending || self.tasks.insert(facts.sid, row).is_some() {
                return refuse(MACHINE, event, "a Task is born pending, once");
            }
            return Ok(());
        }
        let (retention, assigned) = (self.limits.finished_retention, self.limits.assigned_max);
        let Some(row) = self.tasks.get_mut(&facts.sid) else {
            return refuse(COMPLETE, event, "the Task was never created, or is gone");
        };
        if row.removed && event.reservation.is_none() {
            return refuse(COMPLETE, event, "the Task is gone");
        }
        if facts.version < row.version {
            return refuse(MACHINE, event, "a version never falls");
        }
        if !may_become(row.status, facts.status) {
            return refuse(MACHINE, event, &format!("the Task was {:?}", row.status));
        }
        if facts.status.is_terminal() && !row.status.is_terminal() {
            row.finished = Some(event.at);
        }
        row.status = facts.status;
        row.version = facts.version;
        row.channel = facts.task_channel.as_ref().map(|(sid, _)| *sid);
        match event.kind {
            EventKind::TaskCanceled if facts.reason.as_deref() == Some("Task TTL Exceeded") => {
                let due = row.created.0 + i64::from(row.timeout_seconds) * 1000;
                if event.at.0 != due || row.first_accepted.is_some() {
                    return refuse(TIMERS, event, "the Task's time was not up");
                }
            }
            EventKind::TaskSystemDeleted => {
                let purge = row.finished.map(|finished| finished.plus(retention));
                let limit = row.first_accepted.map(|accepted| accepted.plus(assigned));
                if Some(event.at) != purge && Some(event.at) != limit {
                    return refuse(TIMERS, event, "the Task's time was not up");
                }
                row.removed = true;
            }
            EventKind::TaskDeleted => row.removed = true,
            _ => {}
        }
        Ok(())
    }

    fn offered(
        &mut self,
        event: &PublicEvent,
        facts: &ReservationFacts,
        task: &TaskFacts,
        round: u64,
        continues: bool,
    ) -> Result<(), Violation> {
        let Some(worker) = event.worker.as_ref().map(|worker| worker.sid) else {
            return refuse(COMPLETE, event, "an offer is for a Worker");
        };
        let row = &self.tasks[&task.sid];
        let open = |sid: &&Sid<Reservation>| self.reservations[sid].status == ReservationStatus::Pending;
        if !continues && row.reservations.iter().any(|sid| open(&sid)) {
            return refuse(ROUND, event, "the Task is still offered to others");
        }
        let held = self.active.entry(worker).or_default();
        let same_channel = |sid: &&Sid<Reservation>| self.tasks[&self.reservations[sid].task].channel == row.channel;
        let load = match self.tasking {
            Tasking::Multi => held.iter().filter(same_channel).count() as u32,
            Tasking::Single => held.len() as u32,
        };
        let capacity = if self.tasking == Tasking::Single { 1 } else { facts.channel_capacity };
        if !task.ignore_capacity && capacity <= load {
            return refuse(CAPACITY, event, &format!("the Worker had {load} of {capacity} already"));
        }
        if self.tasking == Tasking::Multi && facts.channel_consumed != load + 1 {
            return refuse(CAPACITY, event, &format!("told {} in use, counted {}", facts.channel_consumed, load + 1));
        }
        held.insert(facts.sid);
        let made = ReservationRow {
            task: task.sid,
            worker,
            status: facts.status,
            version: facts.version,
            created: event.at,
            round,
        };
        if facts.status != ReservationStatus::Pending || self.reservations.insert(facts.sid, made).is_some() {
            return refuse(MACHINE, event, "a reservation is born pending, once");
        }
        self.tasks.get_mut(&task.sid).expect("told before").reservations.push(facts.sid);
        Ok(())
    }

    fn answered(&mut self, event: &PublicEvent, facts: &ReservationFacts) -> Result<(), Violation> {
        let Some(row) = self.reservations.get_mut(&facts.sid) else {
            return refuse(COMPLETE, event, "the reservation was never created");
        };
        if !row.status.can_become(facts.status) {
            return refuse(
                ROUND_OR_MACHINE[usize::from(facts.status != ReservationStatus::Accepted)],
                event,
                &format!("the reservation was {:?}", row.status),
            );
        }
        if facts.version != row.version.next() {
            return refuse(MACHINE, event, "each change of status is one version");
        }
        row.status = facts.status;
        row.version = facts.version;
        let (worker, task, round, created) = (row.worker, row.task, row.round, row.created);
        if event.kind == EventKind::ReservationTimeout
            && event.at.0 != created.0 + i64::from(facts.timeout_seconds) * 1000
        {
            return refuse(TIMERS, event, "the reservation's time was not up");
        }
        if !facts.status.is_active() {
            self.active.entry(worker).or_default().remove(&facts.sid);
        }
        if event.kind == EventKind::ReservationAccepted {
            let task = self.tasks.get_mut(&task).expect("a reservation has a Task");
            task.first_accepted.get_or_insert(event.at);
            let taken = |sid: &&Sid<Reservation>| {
                let row = &self.reservations[sid];
                row.round == round
                    && matches!(
                        row.status,
                        ReservationStatus::Accepted | ReservationStatus::Wrapping | ReservationStatus::Completed
                    )
            };
            if 1 < task.reservations.iter().filter(taken).count() {
                return refuse(ROUND, event, "two of one round were accepted");
            }
        }
        Ok(())
    }

    fn worker_told(&mut self, event: &PublicEvent) -> Result<(), Violation> {
        let Some(facts) = &event.worker else { return Ok(()) };
        if let Some(change) = &event.activity_change {
            let known = self.activities.insert(facts.sid, facts.activity);
            if known.is_some_and(|known| known != change.previous) || change.previous == facts.activity {
                return refuse(COMPLETE, event, "the Worker did not come from there");
            }
        } else if event.kind == EventKind::WorkerCreated {
            self.activities.insert(facts.sid, facts.activity);
        }
        Ok(())
    }

    /// After a turn: the Task's status is that of its reservations; what is removed leaves the books.
    fn is_consistent(&mut self, sid: Sid<Task>) -> Result<(), Violation> {
        let row = &self.tasks[&sid];
        let count = |status| row.reservations.iter().filter(|sid| self.reservations[sid].status == status).count();
        let (pending, accepted) = (count(ReservationStatus::Pending), count(ReservationStatus::Accepted));
        let active = pending + accepted + count(ReservationStatus::Wrapping);
        if row.removed {
            if 0 < active {
                return Err(Violation::new(ENDS, format!("{sid} is gone with {active} active reservations")));
            }
            let row = self.tasks.remove(&sid).expect("it is there");
            for reservation in row.reservations {
                self.reservations.remove(&reservation);
            }
            return Ok(());
        }
        let fits = match row.status {
            TaskStatus::Pending => pending == 0,
            TaskStatus::Reserved => 0 < pending,
            TaskStatus::Assigned => pending == 0 && 0 < accepted,
            TaskStatus::Wrapping => pending == 0 && accepted == 0 && 0 < active,
            TaskStatus::Completed | TaskStatus::Canceled => active == 0,
        };
        if fits {
            return Ok(());
        }
        let text = format!("{sid} is {:?} with {pending} pending, {accepted} accepted, {active} active", row.status);
        Err(Violation::new(MACHINE, text))
    }

    /// At the end of a simulation.
    pub(super) fn is_closed(&self) -> Result<(), Violation> {
        if self.tasks.is_empty() && self.reservations.is_empty() && self.active.values().all(BTreeSet::is_empty) {
            return Ok(());
        }
        let text = format!("{} Tasks and {} reservations are left", self.tasks.len(), self.reservations.len());
        Err(Violation::new(ENDS, text))
    }
}

/// A second acceptance breaks another promise than a wrong status.
const ROUND_OR_MACHINE: [&str; 2] = [ROUND, MACHINE];

/// The statuses that a Task may show one after the other (reference: routing, sections 4.1 and 6.1).
fn may_become(from: TaskStatus, to: TaskStatus) -> bool {
    use TaskStatus::{Assigned, Canceled, Completed, Pending, Reserved, Wrapping};
    match from {
        _ if from == to => true,
        // From pending straight to assigned: a transfer that was called off.
        Pending => matches!(to, Reserved | Canceled | Assigned),
        Reserved => matches!(to, Pending | Assigned | Canceled),
        Assigned => matches!(to, Wrapping | Completed | Reserved | Pending),
        Wrapping => to == Completed,
        Completed | Canceled => false,
    }
}
