//! Time. Reference: routing, sections 3.1 and 4.7.

use pointsman_engine::{DurationMs, EventKind, TaskStatus, Timestamp};

use super::Naive;
use super::lifecycle::Ending;
use super::model::{Number, Place};

/// In the order in which timers of one instant fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    ReservationTimeout,
    TaskTtl,
    StepDeadline,
    AssignedLimit,
    HoldOff,
    OnHold,
    Retention,
    Minute,
}

const KINDS: [Kind; 8] = [
    Kind::ReservationTimeout,
    Kind::TaskTtl,
    Kind::StepDeadline,
    Kind::AssignedLimit,
    Kind::HoldOff,
    Kind::OnHold,
    Kind::Retention,
    Kind::Minute,
];

impl Naive {
    /// Moves time to `at`, firing everything that is due on the way. The turn begins.
    pub fn begin(&mut self, at: Timestamp) {
        let at = at.max(self.now);
        while let Some(due) = self.next_deadline().filter(|due| *due <= at) {
            self.now = due.max(self.now);
            for kind in KINDS {
                for (instant, number) in self.timers(kind) {
                    // An earlier timer of this instant may have called it off.
                    if instant <= due && kind != Kind::Minute && self.timers(kind).contains(&(instant, number)) {
                        self.fire(kind, number);
                    }
                }
            }
            self.settle();
        }
        self.now = at;
    }

    /// Everything that was left comes to rest. The turn ends.
    pub fn finish(&mut self) {
        self.settle();
        for initiator in std::mem::take(&mut self.leaving) {
            self.leave(initiator);
            self.settle();
        }
    }

    /// When the next timer is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.deleted {
            return None;
        }
        KINDS.into_iter().flat_map(|kind| self.timers(kind)).map(|(instant, _)| instant).min()
    }

    /// All timers of a kind, in creation order of their objects.
    fn timers(&self, kind: Kind) -> Vec<(Timestamp, Number)> {
        let tasks = self.tasks.values();
        let pending = self.reservations.values().filter(|reservation| reservation.is_pending());
        match kind {
            Kind::ReservationTimeout => {
                let running = pending.filter(|reservation| reservation.hold.is_none());
                running.map(|reservation| (reservation.due(), reservation.number)).collect()
            }
            Kind::TaskTtl => tasks
                .filter(|task| task.status.is_waiting() && task.first_accepted.is_none())
                .map(|task| (task.created.plus(DurationMs::from_seconds(task.timeout_seconds)), task.number))
                .collect(),
            Kind::StepDeadline => tasks
                .filter(|task| task.is_pending() && !self.returned.iter().any(|(number, _)| *number == task.number))
                .filter_map(|task| Some((self.step_deadline(task)?, task.number)))
                .collect(),
            Kind::AssignedLimit => tasks
                .filter(|task| !task.status.is_terminal())
                .filter_map(|task| Some((task.first_accepted?.plus(self.limits.assigned_max), task.number)))
                .collect(),
            Kind::HoldOff => tasks
                .filter(|task| task.is_pending())
                .filter_map(|task| Some((task.held_until?, task.number)))
                .collect(),
            Kind::OnHold => pending.filter_map(|reservation| Some((reservation.hold?.0, reservation.number))).collect(),
            Kind::Retention => tasks
                .filter_map(|task| Some((task.finished?.plus(self.limits.finished_retention), task.number)))
                .collect(),
            Kind::Minute => {
                let waits = |task: &super::Task| task.is_pending() && !self.is_held_off(task);
                let timed = self.tasks.values().any(|task| waits(task) && self.reads_time(task));
                if timed { vec![(self.now.next_minute(), 0)] } else { Vec::new() }
            }
        }
    }

    /// The time can still decide whether somebody fits: not where the Task alone has settled it.
    fn reads_time(&self, task: &super::Task) -> bool {
        let Some((_, expression)) = self.step(task).and_then(|step| step.expression) else { return false };
        expression.specialize(task.attributes.value()).reads(pointsman_expression::Place::Target).time
    }

    fn fire(&mut self, kind: Kind, number: Number) {
        match kind {
            Kind::ReservationTimeout => self.end_one_offer(number, Ending::Timeout, None),
            Kind::TaskTtl => {
                let task = self.task(number);
                let direct = matches!(task.place, Some(Place::Worker(_)));
                if direct && task.status == TaskStatus::Pending && task.assignments == 0 {
                    self.fail_direct(number);
                } else {
                    self.cancel_task(number, Some("Task TTL Exceeded".into()), None);
                }
            }
            Kind::StepDeadline => self.step_timeout(number),
            Kind::AssignedLimit | Kind::Retention => self.remove_task(number, EventKind::TaskSystemDeleted),
            Kind::HoldOff => {
                self.task_mut(number).held_until = None;
                self.note_entry(number);
            }
            Kind::OnHold => self.fail_setup(number, None),
            Kind::Minute => {}
        }
    }
}
