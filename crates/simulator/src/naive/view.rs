//! What expressions see. Reference: routing, sections 1.1 and 1.6.

use pointsman_engine::{Activity as ActivityEntity, ReservationStatus, Worker as WorkerEntity};
use pointsman_expression::{Builtin, Counter, Scope, Value, WorkerView, WorkersCount, WorkersView};

use super::model::{Number, Task, Worker};
use super::rules::Step;
use super::{Known, Naive};

struct View<'a> {
    naive: &'a Naive,
    worker: &'a Worker,
    sid: String,
    activity_sid: String,
}

impl WorkerView for View<'_> {
    fn attributes(&self) -> &Value {
        self.worker.attributes.value()
    }

    fn builtin(&self, name: Builtin) -> Option<&str> {
        Some(match name {
            Builtin::Sid => &self.sid,
            Builtin::FriendlyName => &self.worker.name,
            Builtin::ActivityName => &self.naive.activities[&self.worker.activity].name,
            Builtin::ActivitySid => &self.activity_sid,
        })
    }

    fn channel(&self, unique_name: &str, counter: Counter) -> Option<i64> {
        let named = |channel: &&super::Channel| !channel.deleted && *channel.unique_name == *unique_name;
        let channel = self.naive.channels.values().find(named)?.number;
        let capacity = self.worker.channels[&channel].capacity;
        Some(match counter {
            Counter::ConfiguredCapacity => i64::from(capacity),
            Counter::AssignedTasks => self.naive.accepted_on(self.worker.number, channel),
            Counter::AvailableCapacityPercentage => self.naive.percentage(self.worker.number, channel),
        })
    }
}

/// The members of a queue.
struct Members<'a> {
    naive: &'a Naive,
    queue: Number,
}

impl WorkersView for Members<'_> {
    fn count(&self, which: WorkersCount<'_>) -> i64 {
        let counted = |worker: &&Worker| {
            self.naive.is_member(worker, self.queue)
                && match which {
                    WorkersCount::Available => self.naive.is_available(worker),
                    WorkersCount::Unavailable => !self.naive.is_available(worker),
                    WorkersCount::Activity(sid) => self.naive.sid::<ActivityEntity>(worker.activity).to_string() == sid,
                }
        };
        self.naive.workers.values().filter(counted).count() as i64
    }
}

impl Naive {
    fn view<'a>(&'a self, worker: &'a Worker) -> View<'a> {
        View {
            naive: self,
            worker,
            sid: self.sid::<WorkerEntity>(worker.number).to_string(),
            activity_sid: self.sid::<ActivityEntity>(worker.activity).to_string(),
        }
    }

    /// `assigned_tasks`: accepted reservations only.
    pub(super) fn accepted_on(&self, worker: Number, channel: Number) -> i64 {
        let accepted = |reservation: &&super::Reservation| {
            reservation.worker == worker
                && reservation.status == ReservationStatus::Accepted
                && self.task(reservation.task).channel == channel
        };
        self.reservations.values().filter(accepted).count() as i64
    }

    /// `available_capacity_percentage`.
    pub(super) fn percentage(&self, worker: Number, channel: Number) -> i64 {
        let capacity = i64::from(self.workers[&worker].channels[&channel].capacity);
        let load = i64::from(self.load(worker, channel));
        if capacity == 0 { 0 } else { (100 * (capacity - load) / capacity).clamp(0, 100) }
    }

    /// `TargetWorkers` is true for the Worker.
    pub fn is_member(&self, worker: &Worker, queue: Number) -> bool {
        let expression = &self.queues[&queue].expression;
        !worker.deleted
            && expression.as_ref().is_some_and(|expression| expression.eval(&Scope::worker(&self.view(worker))))
    }

    pub(super) fn filter_matches(&self, task: &Task, expression: &pointsman_expression::Expression) -> bool {
        expression.eval(&Scope::filter(task.attributes.value(), self.now.0))
    }

    pub(super) fn step_matches(&self, task: &Task, step: &Step, worker: &Worker) -> bool {
        let view = self.view(worker);
        let scope = Scope::target(task.attributes.value(), &view, self.now.0);
        step.expression.as_ref().is_none_or(|(_, expression)| expression.eval(&scope))
    }

    pub(super) fn skips(&self, task: &Task, step: &Step) -> bool {
        let members = Members { naive: self, queue: step.queue };
        let scope = Scope::skip_if(task.attributes.value(), &members, self.now.0);
        step.skip_if.as_ref().is_some_and(|expression| expression.eval(&scope))
    }

    pub(super) fn order_keys(&self, step: &Step, worker: &Worker) -> Option<pointsman_expression::Keys> {
        step.order_by.as_ref().map(|order| order.keys(&self.view(worker)))
    }

    /// The Worker that the known-worker reference of a step resolves to; reference: routing, section 2.6.
    pub(super) fn known_worker(&self, task: &Task, known: &Known) -> Option<Number> {
        let attributes = task.attributes.value();
        let live = || self.workers.values().filter(|worker| !worker.deleted);
        match known {
            Known::Sid(reference) => {
                let text = reference.resolve(attributes).as_text()?;
                live().find(|worker| self.sid::<WorkerEntity>(worker.number).to_string() == text)
            }
            Known::Name(reference) => {
                let text = reference.resolve(attributes).as_text()?;
                live().find(|worker| worker.name.to_lowercase() == text.to_lowercase())
            }
        }
        .map(|worker| worker.number)
    }
}
