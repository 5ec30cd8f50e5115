//! Public events with their payloads. Reference: events-and-callbacks, sections 2 and 3.

use pointsman_engine::{
    ActivityChangeFacts, ActivityFacts, EventKind, Id, Position, PreviousFacts, PublicEvent, ReservationFacts,
    ReservationStatus, RoutingCause, StepFacts, TaskChannelFacts, TaskFacts, TaskQueueFacts, Timestamp, TransferFacts,
    WorkerChannelFacts, WorkerFacts, WorkflowFacts,
};

use super::Naive;
use super::matching::Moved;
use super::model::Number;
use super::steps::Before;

impl Naive {
    /// Adds an event to the log, after `fill` gave it its payload.
    pub(super) fn publish(&mut self, kind: EventKind, fill: impl FnOnce(&mut PublicEvent)) {
        self.published += 1;
        let mut event = PublicEvent {
            id: Id::new(self.published),
            sid: self.sid(self.published),
            kind,
            at: self.now,
            workspace_name: self.workspace_name.clone(),
            operating_unit: self.operating_unit(),
            source_ip: None,
            task: None,
            task_queue: None,
            workflow: None,
            step: None,
            previous: None,
            worker: None,
            activity_change: None,
            worker_channel: None,
            reservation: None,
            transfer: None,
            activity: None,
            task_channel: None,
        };
        fill(&mut event);
        self.events.push(event);
    }

    fn task_facts(&self, number: Number) -> TaskFacts {
        let task = self.task(number);
        let known = self.step(task).and_then(|step| step.known);
        let channel = &self.channels[&task.channel];
        TaskFacts {
            sid: self.sid(number),
            attributes: task.attributes.shared_text(),
            priority: task.priority,
            status: task.status,
            task_channel: (!self.is_single()).then(|| (self.sid(channel.number), channel.unique_name.clone())),
            version: task.version,
            date_created: task.created,
            virtual_start_time: task.virtual_start,
            timeout_seconds: task.timeout_seconds,
            ignore_capacity: task.ignore_capacity,
            routing_target: task.target,
            reason: task.reason.clone(),
            known_worker: known.and_then(|known| self.known_worker(task, &known)).map(|worker| self.sid(worker)),
            accepted_before: task.first_accepted.is_some(),
        }
    }

    fn queue_facts(&self, queue: Number, entered: Option<Timestamp>) -> TaskQueueFacts {
        let row = &self.queues[&queue];
        TaskQueueFacts {
            sid: self.sid(queue),
            friendly_name: row.name.clone(),
            target_workers: row.text.clone(),
            entered,
        }
    }

    fn workflow_facts(&self, workflow: Number) -> WorkflowFacts {
        WorkflowFacts { sid: self.sid(workflow), friendly_name: self.workflows[&workflow].name.clone() }
    }

    fn worker_facts(&self, worker: Number) -> WorkerFacts {
        let row = &self.workers[&worker];
        let activity = &self.activities[&row.activity];
        WorkerFacts {
            sid: self.sid(worker),
            friendly_name: row.name.clone(),
            attributes: row.attributes.shared_text(),
            activity: self.sid(row.activity),
            activity_name: activity.name.clone(),
            available: activity.available,
            version: row.version,
            date_created: row.created,
            date_updated: row.updated,
            date_status_changed: row.status_changed,
        }
    }

    /// Groups T, Q and W, and K where a Worker has worked on it.
    pub(super) fn task_event(&mut self, kind: EventKind, number: Number) {
        self.task_event_with(kind, number, |_| {});
    }

    fn task_event_with(&mut self, kind: EventKind, number: Number, fill: impl FnOnce(&mut PublicEvent)) {
        let facts = self.task_facts(number);
        let task = self.task(number);
        let queue = task.queue.map(|queue| self.queue_facts(queue, task.queue_entered));
        let workflow = task.workflow.map(|workflow| self.workflow_facts(workflow));
        let names_worker = matches!(
            kind,
            EventKind::TaskWrapup | EventKind::TaskCompleted | EventKind::TaskDeleted | EventKind::TaskSystemDeleted
        );
        let worked = |reservation: &&super::Reservation| {
            reservation.task == number
                && matches!(
                    reservation.status,
                    ReservationStatus::Accepted | ReservationStatus::Wrapping | ReservationStatus::Completed
                )
        };
        let worker = self.reservations.values().rfind(worked).filter(|_| names_worker).map(|last| last.worker);
        let worker = worker.map(|worker| Box::new(self.worker_facts(worker)));
        self.publish(kind, |event| {
            event.task = Some(Box::new(facts));
            event.task_queue = queue;
            event.workflow = workflow;
            event.worker = worker;
            fill(event);
        });
    }

    /// A step was entered: `workflow.target-matched`, and the change of queue.
    pub(super) fn matched_events(
        &mut self,
        number: Number,
        position: Position,
        cause: Option<RoutingCause>,
        before: Before,
    ) {
        let step = self.step_facts(number, position, cause);
        let (queue, priority) = (self.task(number).queue, self.task(number).priority);
        let changed = before.queue != queue || before.priority != priority;
        let previous = (changed && cause.is_some()).then(|| self.previous_facts(before, cause));
        let (for_step, for_previous) = (step.clone(), previous.clone());
        self.task_event_with(EventKind::WorkflowTargetMatched, number, |event| {
            event.step = Some(Box::new(for_step));
            event.previous = for_previous.map(Box::new);
        });
        if before.queue == queue {
            return;
        }
        if before.queue.is_some() {
            self.moved_event(number, before);
        }
        self.task_event_with(EventKind::TaskQueueEntered, number, |event| {
            event.step = Some(Box::new(step));
            event.previous = previous.map(Box::new);
        });
    }

    fn previous_facts(&self, before: Before, cause: Option<RoutingCause>) -> PreviousFacts {
        let task_queue = before.queue.map(|queue| (self.sid(queue), self.queues[&queue].name.clone()));
        PreviousFacts { task_queue, priority: before.priority, moved_to: None, cause }
    }

    fn moved_event(&mut self, number: Number, before: Before) {
        let left = before.queue.map(|queue| self.queue_facts(queue, before.queue_entered));
        let to = self.task(number).queue.map(|queue| self.queues[&queue].name.clone());
        self.task_event_with(EventKind::TaskQueueMoved, number, |event| {
            event.task_queue = left;
            event.previous = Some(Box::new(PreviousFacts {
                task_queue: None,
                priority: before.priority,
                moved_to: to,
                cause: None,
            }));
        });
    }

    /// A transfer changed the queue.
    pub(super) fn queue_change_events(&mut self, number: Number, before: Before, cause: RoutingCause) {
        if before.queue == self.task(number).queue {
            return;
        }
        if before.queue.is_some() {
            self.moved_event(number, before);
        }
        let previous = before.queue.is_some().then(|| self.previous_facts(before, Some(cause)));
        self.task_event_with(EventKind::TaskQueueEntered, number, |event| {
            event.previous = previous.map(Box::new);
        });
    }

    fn step_facts(&self, number: Number, position: Position, cause: Option<RoutingCause>) -> StepFacts {
        let rules = self.task(number).rules.as_ref().expect("it follows rules");
        let step = rules.step(position);
        let filter = match position {
            Position::Target { filter, .. } => Some(&rules.filters[filter as usize]),
            Position::Default => None,
        };
        StepFacts {
            position,
            filter_expression: filter.map(|filter| filter.text.clone()),
            filter_name: filter.and_then(|filter| filter.name.clone()),
            target_expression: step.expression.as_ref().map(|(text, _)| text.clone()),
            target_name: step.name.clone(),
            cause,
        }
    }

    /// Groups T, W, K, R, Q of the queue that made the offer, and X of an offer that a transfer made.
    pub(super) fn reservation_event(&mut self, kind: EventKind, number: Number) {
        let reservation = self.reservation(number).clone();
        let task = self.task(reservation.task);
        let channel = task.channel;
        let queue = reservation.queue.map(|queue| self.queue_facts(queue, reservation.queue_entered));
        let row = &self.workers[&reservation.worker].channels[&channel];
        let facts = ReservationFacts {
            sid: self.reservation_sid(number),
            version: reservation.version,
            status: reservation.status,
            timeout_seconds: reservation.timeout_seconds,
            reason_code: reservation.reason_code,
            channel_capacity: row.capacity,
            channel_consumed: self.load(reservation.worker, channel),
            channel_last_reserved: row.last_reserved,
        };
        let worker = self.worker_facts(reservation.worker);
        let transfer = reservation.transfer.map(|transfer| Box::new(self.transfer_facts(transfer)));
        self.task_event_with(kind, reservation.task, |event| {
            event.transfer = transfer;
            event.task_queue = queue;
            event.worker = Some(Box::new(worker));
            event.reservation = Some(Box::new(facts));
        });
    }

    /// Groups T, Q, W, X.
    pub(super) fn transfer_event(&mut self, kind: EventKind, number: Number) {
        let facts = self.transfer_facts(number);
        let task = self.transfers[&number].task;
        self.task_event_with(kind, task, |event| event.transfer = Some(Box::new(facts)));
    }

    fn transfer_facts(&self, number: Number) -> TransferFacts {
        let transfer = &self.transfers[&number];
        TransferFacts {
            sid: self.sid(number),
            mode: transfer.mode,
            to: transfer.target,
            status: transfer.status,
            initiating_worker: self.sid(transfer.initiating_worker),
            initiating_reservation: self.sid(transfer.initiator),
            started: transfer.started,
            failed_reason: transfer.failed_reason.clone(),
        }
    }

    pub(super) fn worker_event(&mut self, kind: EventKind, worker: Number) {
        let facts = self.worker_facts(worker);
        self.publish(kind, |event| event.worker = Some(Box::new(facts)));
    }

    pub(super) fn activity_events(&mut self, moves: &[Moved]) {
        for moved in moves {
            let facts = self.worker_facts(moved.worker);
            let change = ActivityChangeFacts {
                previous: self.sid(moved.previous),
                previous_name: self.activities[&moved.previous].name.clone(),
                since: moved.since,
            };
            self.publish(EventKind::WorkerActivityUpdate, |event| {
                event.worker = Some(Box::new(facts));
                event.activity_change = Some(Box::new(change));
            });
        }
    }

    pub(super) fn channel_update_event(&mut self, kind: EventKind, worker: Number, channel: Number, before: u32) {
        let row = &self.workers[&worker].channels[&channel];
        let facts = WorkerChannelFacts {
            task_channel: self.sid(channel),
            unique_name: self.channels[&channel].unique_name.clone(),
            available: row.available,
            capacity: row.capacity,
            previous_capacity: before,
            available_capacity_percentage: self.percentage(worker, channel) as u32,
            assigned_tasks: self.accepted_on(worker, channel) as u32,
        };
        let worker = self.worker_facts(worker);
        self.publish(kind, |event| {
            event.worker = Some(Box::new(worker));
            event.worker_channel = Some(Box::new(facts));
        });
    }

    pub(super) fn queue_event(&mut self, kind: EventKind, queue: Number) {
        let facts = self.queue_facts(queue, None);
        self.publish(kind, |event| event.task_queue = Some(facts));
    }

    pub(super) fn workflow_event(&mut self, kind: EventKind, workflow: Number) {
        let facts = self.workflow_facts(workflow);
        self.publish(kind, |event| event.workflow = Some(facts));
    }

    pub(super) fn activity_event(&mut self, kind: EventKind, activity: Number) {
        let row = &self.activities[&activity];
        let facts =
            ActivityFacts { sid: self.sid(activity), friendly_name: row.name.clone(), available: row.available };
        self.publish(kind, |event| event.activity = Some(facts));
    }

    pub(super) fn channel_event(&mut self, kind: EventKind, channel: Number) {
        let row = &self.channels[&channel];
        let facts = TaskChannelFacts {
            sid: self.sid(channel),
            friendly_name: row.name.clone(),
            unique_name: row.unique_name.clone(),
            optimized_routing: row.optimized,
        };
        self.publish(kind, |event| event.task_channel = Some(facts));
    }
}
