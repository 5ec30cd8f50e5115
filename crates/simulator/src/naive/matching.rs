//! Who gets what. Reference: routing, section 3.

use std::cmp::Reverse;

use pointsman_engine::{
    DurationMs, EventKind, Ordering, Reservation as ReservationEntity, ReservationStatus, TaskStatus, Timestamp,
    TransferMode,
};

use super::model::{Number, Place, Reservation, Task, Worker};
use super::{Canary, Naive};

impl Naive {
    /// Lets the Workspace come to rest (3.1).
    pub(super) fn settle(&mut self) {
        while !self.returned.is_empty() {
            let (task, cause) = self.returned.remove(0);
            self.look_at_returned(task, cause);
        }
        loop {
            let mut progress = false;
            for task in self.in_order() {
                let workers = self.choose(self.task(task));
                if !workers.is_empty() {
                    self.reserve(task, &workers);
                    progress = true;
                }
            }
            for task in std::mem::take(&mut self.entered) {
                progress |= self.test_skip(task);
            }
            if !progress {
                return;
            }
        }
    }

    pub(super) fn is_held_off(&self, task: &Task) -> bool {
        task.held_until.is_some_and(|until| self.now < until)
    }

    /// Placed pending Tasks in the order in which they are served (3.5).
    fn in_order(&self) -> Vec<Number> {
        let waits = |task: &&Task| task.is_pending() && task.place.is_some() && !self.is_held_off(task);
        let mut tasks: Vec<&Task> = self.tasks.values().filter(waits).collect();
        tasks.sort_by_key(|task| {
            let kind = match task.place {
                Some(Place::Worker(_)) => Ordering::Fifo,
                _ => task.queue.map_or(Ordering::Fifo, |queue| self.queues[&queue].order),
            };
            let (first, last) = match kind {
                Ordering::Fifo if self.canary == Canary::YoungestFirst => {
                    (-task.virtual_start.0, -(task.number as i64))
                }
                Ordering::Fifo => (task.virtual_start.0, task.number as i64),
                Ordering::Lifo => (-task.virtual_start.0, -(task.number as i64)),
            };
            let priority = if kind == Ordering::Fifo { task.priority.0 } else { 0 };
            (kind != self.prioritize, Reverse(priority), first, last)
        });
        tasks.iter().map(|task| task.number).collect()
    }

    /// The Workers that a Task is offered to now, in order (3.3).
    pub fn choose(&self, task: &Task) -> Vec<Number> {
        let mut candidates: Vec<&Worker> =
            self.workers.values().filter(|worker| self.is_eligible(task, worker)).collect();
        candidates.sort_by_key(|worker| (self.idle_key(task, worker), worker.number));
        let step = self.step(task);
        if let Some(step) = &step
            && step.order_by.is_some()
        {
            let keys: Vec<_> = candidates.iter().filter_map(|worker| self.order_keys(step, worker)).collect();
            if keys.iter().all(pointsman_expression::Keys::is_usable) {
                let mut keyed: Vec<_> = keys.into_iter().zip(candidates).collect();
                keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
                candidates = keyed.into_iter().map(|(_, worker)| worker).collect();
            }
        }
        let known = step.is_some_and(|step| step.known.is_some());
        let most = match (task.place, task.queue) {
            (Some(Place::Step(_) | Place::Queue), Some(queue)) if !known => self.queues[&queue].max_reserved,
            _ => 1,
        };
        candidates.iter().take(most as usize).map(|worker| worker.number).collect()
    }

    /// The tests of 3.2.
    pub fn is_eligible(&self, task: &Task, worker: &Worker) -> bool {
        if worker.deleted {
            return false;
        }
        let fits = match (task.place, task.queue) {
            (Some(Place::Worker(target)), _) => target == worker.number,
            (Some(Place::Queue), Some(queue)) => self.is_member(worker, queue),
            (Some(Place::Step(_)), Some(queue)) => {
                let step = self.step(task).expect("it is in a step");
                let known = step.known.as_ref().map(|known| self.known_worker(task, known));
                self.is_member(worker, queue)
                    && self.step_matches(task, &step, worker)
                    && known.is_none_or(|known| known == Some(worker.number))
            }
            _ => false,
        };
        let ignores = matches!(task.place, Some(Place::Worker(_))) && task.ignore_capacity;
        fits && (ignores || self.has_room(task, worker)) && !self.holds(task, worker)
    }

    /// Tests 3 to 5: Activity, channel, capacity.
    pub(super) fn has_room(&self, task: &Task, worker: &Worker) -> bool {
        if !self.is_available(worker) {
            return false;
        }
        if self.is_single() {
            let of = |reservation: &Reservation| reservation.worker == worker.number && reservation.status.is_active();
            return !self.reservations.values().any(of);
        }
        let channel = &worker.channels[&task.channel];
        channel.available && self.load(worker.number, task.channel) < channel.capacity
    }

    /// Test 6: it has the Task already. The initiator of a transfer to a queue may get it back once it is leaving.
    fn holds(&self, task: &Task, worker: &Worker) -> bool {
        let comes_back = self.open_transfer(task.number).and_then(|transfer| {
            let transfer = &self.transfers[&transfer];
            let left = self.reservation(transfer.initiator).status != ReservationStatus::Accepted;
            (transfer.to_queue && (transfer.mode == TransferMode::Cold || left)).then_some(transfer.initiator)
        });
        let held = |number: &Number| self.reservation(*number).worker == worker.number && Some(*number) != comes_back;
        self.active_of(task.number).iter().any(held)
    }

    /// Smaller is idle longer (3.4).
    fn idle_key(&self, task: &Task, worker: &Worker) -> (u32, Timestamp) {
        if self.is_single() {
            return (0, worker.status_changed);
        }
        if self.channels[&task.channel].optimized {
            let busy = u32::from(0 < self.load(worker.number, task.channel));
            return (busy, worker.channels[&task.channel].last_reserved);
        }
        (0, worker.last_reserved)
    }

    /// Offers a Task to Workers (3.6).
    pub(super) fn reserve(&mut self, task: Number, workers: &[Number]) {
        let made = self.make_reservations(task, workers, None);
        self.announce_reservations(&made);
    }

    pub(super) fn make_reservations(
        &mut self,
        task: Number,
        workers: &[Number],
        transfer: Option<Number>,
    ) -> Vec<Made> {
        let now = self.now;
        let single = self.is_single();
        let transfer = transfer.or_else(|| self.open_transfer(task));
        let row = self.task_mut(task);
        row.status = TaskStatus::Reserved;
        row.version = row.version.next();
        row.updated = now;
        row.assignments += 1;
        let (channel, queue, queue_entered, workflow) = (row.channel, row.queue, row.queue_entered, row.workflow);
        let timeout_seconds = workflow.map_or(120, |workflow| self.workflows[&workflow].reservation_timeout);
        let reservation_activity = queue.and_then(|queue| self.queues[&queue].reservation_activity).filter(|_| single);
        let mut made = Vec::new();
        for worker in workers {
            let number = self.next_number();
            let row = self.worker_mut(*worker);
            let previous_activity = row.activity;
            row.version = row.version.next();
            row.last_reserved = now;
            row.channels.get_mut(&channel).expect("every TaskChannel has its WorkerChannels").last_reserved = now;
            self.reservations.insert(
                number,
                Reservation {
                    number,
                    task,
                    worker: *worker,
                    queue,
                    queue_entered,
                    status: ReservationStatus::Pending,
                    created: now,
                    updated: now,
                    version: pointsman_engine::Version(0),
                    timeout_seconds,
                    hold: None,
                    rested: DurationMs::default(),
                    previous_activity,
                    engine_activity: None,
                    reason_code: None,
                    transfer,
                },
            );
            let moved = reservation_activity.and_then(|activity| self.move_worker(*worker, activity));
            // A Worker who was there already was not put there for this offer.
            self.reservation_mut(number).engine_activity = reservation_activity.filter(|_| moved.is_some());
            made.push(Made { reservation: number, moved });
        }
        made
    }

    pub(super) fn announce_reservations(&mut self, made: &[Made]) {
        for made in made {
            self.reservation_event(EventKind::ReservationCreated, made.reservation);
            self.activity_events(made.moved.as_slice());
        }
    }

    pub(super) fn reservation_sid(&self, number: Number) -> pointsman_engine::Sid<ReservationEntity> {
        self.sid(number)
    }
}

/// A reservation just made, and the move of its Worker that came with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) reservation: Number,
    pub(super) moved: Option<Moved>,
}

/// A change of Activity that is still to be announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) worker: Number,
    pub(super) previous: Number,
    pub(super) since: Timestamp,
}
