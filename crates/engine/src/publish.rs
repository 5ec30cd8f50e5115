//! Making public events: taking down what the payload shows, as of now. Reference: events-and-callbacks, section 2.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::ids::{Id, Sid};
use crate::public_event::{
    ActivityChangeFacts, ActivityFacts, EventKind, PreviousFacts, PublicEvent, ReservationFacts, RoutingCause,
    RoutingTargetFacts, StepFacts, TaskChannelFacts, TaskFacts, TaskQueueFacts, TransferFacts, WorkerChannelFacts,
    WorkerFacts, WorkflowFacts,
};
use crate::state::{
    Activity, Place, Position, Reservation, RoutingTarget, State, Task, TaskChannel, TaskQueue, Transfer,
    TransferTarget, Worker, Workflow,
};
use crate::turn::Turn;
use crate::values::{ReservationStatus, Timestamp};

/// The Activity that a Worker left, noted before the change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivityLeft {
    pub(crate) activity: Id<Activity>,
    pub(crate) since: Timestamp,
}

/// Where a Task was, noted before it is placed anew.
#[derive(Clone, Debug)]
pub(crate) struct PlaceLeft {
    pub(crate) task_queue: Option<TaskQueueFacts>,
    pub(crate) task_queue_id: Option<Id<TaskQueue>>,
    pub(crate) priority: crate::values::Priority,
}

impl State {
    /// An event without any group; the caller adds those that its kind carries.
    fn event(&self, kind: EventKind) -> PublicEvent {
        PublicEvent {
            id: Id::new(0),
            sid: Sid::from_bytes([0; 16]),
            kind,
            at: self.now,
            workspace_name: self.workspace.settings.friendly_name.clone(),
            operating_unit: self.workspace.operating_unit,
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
        }
    }

    /// Groups T, Q and W.
    fn task_event(&self, kind: EventKind, task: &Task) -> PublicEvent {
        let mut event = self.event(kind);
        event.task = Some(Box::new(self.task_facts(kind, task)));
        event.task_queue = self.task_queue_facts(task);
        event.workflow = task.workflow.and_then(|workflow| self.workflow(workflow)).map(workflow_facts);
        event
    }

    fn task_facts(&self, kind: EventKind, task: &Task) -> TaskFacts {
        let channel = self.the_task_channel(task.task_channel);
        // An acceptance tells whether there was one before it.
        let before = u32::from(kind == EventKind::ReservationAccepted);
        TaskFacts {
            sid: task.sid,
            attributes: task.attributes.shared_text(),
            priority: task.priority,
            status: task.status,
            task_channel: self.is_multitask().then(|| (channel.sid, channel.unique_name.clone())),
            version: task.version,
            date_created: task.date_created,
            virtual_start_time: task.virtual_start_time,
            timeout_seconds: task.timeout_seconds,
            ignore_capacity: task.ignore_capacity,
            routing_target: task.routing_target.map(|target| self.routing_target_facts(target)),
            reason: task.reason.clone(),
            known_worker: self.known_worker(task).map(|worker| worker.sid),
            accepted_before: task.acceptances > before,
        }
    }

    fn routing_target_facts(&self, target: RoutingTarget) -> RoutingTargetFacts {
        match target {
            RoutingTarget::Worker(worker) => RoutingTargetFacts::Worker(self.sid(worker)),
            RoutingTarget::TaskQueue(queue) => RoutingTargetFacts::TaskQueue(self.sid(queue)),
        }
    }

    /// The Worker that the known-worker reference of the Task's step names, if there is one.
    pub fn known_worker(&self, task: &Task) -> Option<&Worker> {
        let Some(Place::Step { position, .. }) = task.place else { return None };
        let rule = task.configuration.as_ref()?.target(position).known_worker.as_ref()?;
        rule.find(self, task.attributes.value())
    }

    pub(crate) fn task_queue_facts(&self, task: &Task) -> Option<TaskQueueFacts> {
        let queue = self.task_queue(task.task_queue?)?;
        Some(TaskQueueFacts { entered: task.task_queue_entered, ..queue_definition(queue) })
    }

    fn worker_facts(&self, worker: &Worker) -> WorkerFacts {
        let activity = self.the_activity(worker.activity);
        WorkerFacts {
            sid: worker.sid,
            friendly_name: worker.friendly_name.clone(),
            attributes: worker.attributes.shared_text(),
            activity: activity.sid,
            activity_name: activity.friendly_name.clone(),
            available: activity.available,
            version: worker.version,
            date_created: worker.date_created,
            date_updated: worker.date_updated,
            date_status_changed: worker.date_status_changed,
        }
    }

    fn reservation_facts(reservation: &Reservation, worker: &Worker, task: &Task) -> ReservationFacts {
        let channel = worker.channel(task.task_channel);
        ReservationFacts {
            sid: reservation.sid,
            version: reservation.version,
            status: reservation.status,
            timeout_seconds: reservation.timeout_seconds,
            reason_code: reservation.reason_code,
            channel_capacity: channel.map_or(0, |channel| channel.capacity),
            channel_consumed: channel.map_or(0, crate::state::WorkerChannel::load),
            channel_last_reserved: channel.map_or(worker.last_reserved, |channel| channel.last_reserved),
        }
    }

    fn step_facts(task: &Task, cause: Option<RoutingCause>) -> Option<Box<StepFacts>> {
        let Some(Place::Step { position, .. }) = task.place else { return None };
        let configuration = task.configuration.as_ref()?;
        let target = configuration.target(position);
        let filter = match position {
            Position::Target { filter, .. } => Some(&configuration.filters[filter as usize]),
            Position::Default => None,
        };
        Some(Box::new(StepFacts {
            position,
            filter_expression: filter.map(|filter| filter.text.clone()),
            filter_name: filter.and_then(|filter| filter.friendly_name.clone()),
            target_expression: target.expression.as_ref().map(|expression| expression.text.clone()),
            target_name: target.friendly_name.clone(),
            cause,
        }))
    }
}

fn queue_definition(queue: &TaskQueue) -> TaskQueueFacts {
    TaskQueueFacts {
        sid: queue.sid,
        friendly_name: queue.definition.friendly_name.clone(),
        target_workers: queue.definition.target_workers.clone(),
        entered: None,
    }
}

fn workflow_facts(workflow: &Workflow) -> WorkflowFacts {
    WorkflowFacts { sid: workflow.sid, friendly_name: workflow.definition.friendly_name.clone() }
}

impl Turn<'_> {
    pub(crate) fn publish_workspace(&mut self, kind: EventKind) {
        let event = self.state().event(kind);
        self.publish(event);
    }

    pub(crate) fn publish_activity(&mut self, kind: EventKind, id: Id<Activity>) {
        let state = self.state();
        let activity = state.the_activity(id);
        let mut event = state.event(kind);
        event.activity = Some(ActivityFacts {
            sid: activity.sid,
            friendly_name: activity.friendly_name.clone(),
            available: activity.available,
        });
        self.publish(event);
    }

    pub(crate) fn publish_task_channel(&mut self, kind: EventKind, id: Id<TaskChannel>) {
        let state = self.state();
        let channel = state.the_task_channel(id);
        let mut event = state.event(kind);
        event.task_channel = Some(TaskChannelFacts {
            sid: channel.sid,
            friendly_name: channel.friendly_name.clone(),
            unique_name: channel.unique_name.clone(),
            optimized_routing: channel.optimized_routing,
        });
        self.publish(event);
    }

    pub(crate) fn publish_task_queue(&mut self, kind: EventKind, id: Id<TaskQueue>) {
        let state = self.state();
        let mut event = state.event(kind);
        event.task_queue = Some(queue_definition(state.the_task_queue(id)));
        self.publish(event);
    }

    pub(crate) fn publish_workflow(&mut self, kind: EventKind, id: Id<Workflow>) {
        let state = self.state();
        let mut event = state.event(kind);
        event.workflow = state.workflow(id).map(workflow_facts);
        self.publish(event);
    }

    pub(crate) fn publish_worker(&mut self, kind: EventKind, id: Id<Worker>) {
        let state = self.state();
        let mut event = state.event(kind);
        event.worker = Some(Box::new(state.worker_facts(state.the_worker(id))));
        self.publish(event);
    }

    pub(crate) fn publish_activity_change(&mut self, id: Id<Worker>, left: ActivityLeft) {
        let state = self.state();
        let previous = state.the_activity(left.activity);
        let mut event = state.event(EventKind::WorkerActivityUpdate);
        event.worker = Some(Box::new(state.worker_facts(state.the_worker(id))));
        event.activity_change = Some(Box::new(ActivityChangeFacts {
            previous: previous.sid,
            previous_name: previous.friendly_name.clone(),
            since: left.since,
        }));
        self.publish(event);
    }

    pub(crate) fn publish_worker_channel(
        &mut self,
        kind: EventKind,
        id: Id<Worker>,
        task_channel: Id<TaskChannel>,
        previous_capacity: u32,
    ) {
        let state = self.state();
        let worker = state.the_worker(id);
        let channel = worker.channel(task_channel).expect("Workers have every TaskChannel");
        let of = state.the_task_channel(task_channel);
        let mut event = state.event(kind);
        event.worker = Some(Box::new(state.worker_facts(worker)));
        event.worker_channel = Some(Box::new(WorkerChannelFacts {
            task_channel: of.sid,
            unique_name: of.unique_name.clone(),
            available: channel.available,
            capacity: channel.capacity,
            previous_capacity,
            available_capacity_percentage: channel.available_capacity_percentage(),
            assigned_tasks: channel.accepted,
        }));
        self.publish(event);
    }

    pub(crate) fn publish_task(&mut self, kind: EventKind, id: Id<Task>) {
        let state = self.state();
        let task = state.the_task(id);
        let mut event = state.task_event(kind, task);
        if matches!(
            kind,
            EventKind::TaskWrapup | EventKind::TaskCompleted | EventKind::TaskDeleted | EventKind::TaskSystemDeleted
        ) {
            let held = task.reservations.iter().rev().map(|id| state.the_reservation(*id)).find(|reservation| {
                matches!(
                    reservation.status,
                    ReservationStatus::Accepted | ReservationStatus::Wrapping | ReservationStatus::Completed
                )
            });
            event.worker = held.map(|reservation| Box::new(state.worker_facts(state.the_worker(reservation.worker))));
        }
        self.publish(event);
    }

    pub(crate) fn publish_reservation(&mut self, kind: EventKind, id: Id<Reservation>) {
        let state = self.state();
        let reservation = state.the_reservation(id);
        let task = state.the_task(reservation.task);
        let worker = state.the_worker(reservation.worker);
        let mut event = state.task_event(kind, task);
        // The queue that made the offer, also when the Task has moved since.
        event.task_queue = reservation.task_queue.map(|queue| TaskQueueFacts {
            entered: reservation.task_queue_entered,
            ..queue_definition(state.the_task_queue(queue))
        });
        event.worker = Some(Box::new(state.worker_facts(worker)));
        event.reservation = Some(Box::new(State::reservation_facts(reservation, worker, task)));
        event.transfer =
            reservation.transfer.map(|transfer| Box::new(transfer_facts(state, state.the_transfer(transfer))));
        self.publish(event);
    }

    pub(crate) fn publish_transfer(&mut self, kind: EventKind, id: Id<Transfer>) {
        let state = self.state();
        let transfer = state.the_transfer(id);
        let mut event = state.task_event(kind, state.the_task(transfer.task));
        event.transfer = Some(Box::new(transfer_facts(state, transfer)));
        self.publish(event);
    }

    /// Where the Task is now, for the events of the move that follows.
    pub(crate) fn place_left(&self, id: Id<Task>) -> PlaceLeft {
        let task = self.state().the_task(id);
        PlaceLeft {
            task_queue: self.state().task_queue_facts(task),
            task_queue_id: task.task_queue,
            priority: task.priority,
        }
    }

    /// `workflow.target-matched`, and the queue events when the queue changed (reference: routing, section 2.10).
    pub(crate) fn publish_entry(&mut self, id: Id<Task>, left: &PlaceLeft, cause: Option<RoutingCause>) {
        let state = self.state();
        let task = state.the_task(id);
        let mut matched = state.task_event(EventKind::WorkflowTargetMatched, task);
        matched.step = State::step_facts(task, cause);
        matched.previous = Self::previous(task, left, cause);
        self.publish(matched);
        self.publish_queue_change(id, left, cause);
    }

    /// `task-queue.moved` of the queue left and `task-queue.entered` of the new one; nothing if it is the same queue.
    pub(crate) fn publish_queue_change(&mut self, id: Id<Task>, left: &PlaceLeft, cause: Option<RoutingCause>) {
        let state = self.state();
        let task = state.the_task(id);
        if task.task_queue == left.task_queue_id {
            return;
        }
        let new_name: Option<Arc<str>> =
            task.task_queue.map(|queue| state.the_task_queue(queue).definition.friendly_name.clone());
        let moved = left.task_queue.is_some().then(|| {
            let mut moved = state.task_event(EventKind::TaskQueueMoved, task);
            moved.task_queue.clone_from(&left.task_queue);
            moved.previous = Some(Box::new(PreviousFacts {
                task_queue: None,
                priority: left.priority,
                moved_to: new_name,
                cause: None,
            }));
            moved
        });
        let mut entered = state.task_event(EventKind::TaskQueueEntered, task);
        entered.step = State::step_facts(task, cause);
        entered.previous = Self::previous(task, left, cause);
        if let Some(moved) = moved {
            self.publish(moved);
        }
        self.publish(entered);
    }

    /// Group P, when the move changed the queue or the priority of a Task that was in a queue before.
    fn previous(task: &Task, left: &PlaceLeft, cause: Option<RoutingCause>) -> Option<Box<PreviousFacts>> {
        let queue = left.task_queue.as_ref()?;
        if task.task_queue == left.task_queue_id && task.priority == left.priority {
            return None;
        }
        Some(Box::new(PreviousFacts {
            task_queue: Some((queue.sid, queue.friendly_name.clone())),
            priority: left.priority,
            moved_to: None,
            cause,
        }))
    }
}

fn transfer_facts(state: &State, transfer: &Transfer) -> TransferFacts {
    TransferFacts {
        sid: transfer.sid,
        mode: transfer.mode,
        to: match transfer.target {
            TransferTarget::Worker(worker) => RoutingTargetFacts::Worker(state.sid(worker)),
            TransferTarget::TaskQueue(queue) => RoutingTargetFacts::TaskQueue(state.sid(queue)),
        },
        status: transfer.status,
        initiating_worker: state.sid(transfer.initiating_worker),
        initiating_reservation: state.sid(transfer.initiating_reservation),
        started: transfer.date_created,
        failed_reason: transfer.failed_reason.clone(),
    }
}
