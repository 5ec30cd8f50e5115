//! The fold: one arm per event. Nothing here decides, fails, or reads a setting.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::Expression;

use super::{
    Activity, HoldOff, Keep, Reservation, State, Task, TaskChannel, TaskQueue, Transfer, Worker, WorkerChannel,
    Workflow,
};
use crate::configuration::Configuration;
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::ON_HOLD;
use crate::values::{DurationMs, ReservationStatus, TaskStatus, TransferStatus, Version};

impl State {
    /// Folds one event into the state. Used live and in recovery alike.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::TimeAdvanced { at } => {
                assert!(self.now <= *at, "time never runs backwards");
                self.now = *at;
            }

            Event::WorkspaceCreated { .. } => unreachable!("the state begins with it"),
            Event::WorkspaceUpdated { settings } => {
                self.workspace.settings = settings.clone();
                self.workspace.date_updated = self.now;
            }
            Event::WorkspaceDeleted => self.deleted = true,

            Event::ActivityCreated { id, friendly_name, available } => {
                self.created(id.number());
                self.activities.insert(Activity {
                    id: *id,
                    sid: self.sid(*id),
                    friendly_name: friendly_name.clone(),
                    available: *available,
                    date_created: self.now,
                    date_updated: self.now,
                });
            }
            Event::ActivityRenamed { id, friendly_name } => {
                let now = self.now;
                self.activities.change(*id, |activity| {
                    activity.friendly_name = friendly_name.clone();
                    activity.date_updated = now;
                });
            }
            Event::ActivityDeleted { id } => {
                let keep = self.keep_activity(*id);
                self.activities.remove(*id, keep);
            }

            Event::TaskChannelCreated { id, unique_name, friendly_name, optimized_routing, built_in } => {
                self.created(id.number());
                self.task_channels.insert(TaskChannel {
                    id: *id,
                    sid: self.sid(*id),
                    unique_name: unique_name.clone(),
                    friendly_name: friendly_name.clone(),
                    optimized_routing: *optimized_routing,
                    built_in: *built_in,
                    date_created: self.now,
                    date_updated: self.now,
                });
            }
            Event::TaskChannelUpdated { id, friendly_name, optimized_routing } => {
                let now = self.now;
                let channel = self.task_channels.live_mut(*id);
                channel.friendly_name = friendly_name.clone();
                channel.optimized_routing = *optimized_routing;
                channel.date_updated = now;
            }
            Event::TaskChannelDeleted { id } => {
                let keep = self.keep_task_channel(*id);
                self.task_channels.remove(*id, keep);
                let workers: Vec<_> = self.workers.iter().map(|worker| worker.id).collect();
                for worker in workers {
                    self.workers.live_mut(worker).channels.retain(|channel| channel.task_channel != *id);
                }
            }

            Event::WorkerCreated { id, friendly_name, attributes, activity } => {
                self.created(id.number());
                self.workers.insert(Worker {
                    id: *id,
                    sid: self.sid(*id),
                    friendly_name: friendly_name.clone(),
                    attributes: attributes.clone(),
                    activity: *activity,
                    version: Version(0),
                    date_created: self.now,
                    date_updated: self.now,
                    date_status_changed: self.now,
                    last_reserved: self.now,
                    channels: Vec::new(),
                    reservations: BTreeSet::new(),
                    active: Vec::new(),
                });
            }
            Event::WorkerChannelAdded { worker, task_channel, id } => {
                self.created(id.number());
                let (sid, now) = (self.sid(*id), self.now);
                self.workers.live_mut(*worker).channels.push(WorkerChannel {
                    sid,
                    task_channel: *task_channel,
                    capacity: 1,
                    available: true,
                    date_created: now,
                    date_updated: now,
                    last_reserved: now,
                    pending: 0,
                    accepted: 0,
                    wrapping: 0,
                });
            }
            Event::WorkerUpdated { id, friendly_name, attributes, version } => {
                let now = self.now;
                self.workers.change(*id, |worker| {
                    worker.friendly_name = friendly_name.clone();
                    worker.attributes = attributes.clone();
                    worker.version = *version;
                    worker.date_updated = now;
                });
            }
            Event::WorkerActivityChanged { id, activity, version, reservation } => {
                let now = self.now;
                let worker = self.workers.live_mut(*id);
                worker.activity = *activity;
                worker.version = *version;
                worker.date_status_changed = now;
                if let Some(reservation) = reservation {
                    self.reservations.live_mut(*reservation).engine_activity = Some(*activity);
                }
            }
            Event::WorkerChannelUpdated { worker, task_channel, capacity, available, worker_version } => {
                let now = self.now;
                let worker = self.workers.live_mut(*worker);
                worker.version = *worker_version;
                let channel = worker.channel_mut(*task_channel).expect("Workers have every TaskChannel");
                channel.capacity = *capacity;
                channel.available = *available;
                channel.date_updated = now;
            }
            Event::WorkerDeleted { id } => {
                let keep = self.keep_worker(*id);
                self.workers.remove(*id, keep);
            }

            Event::TaskQueueCreated { id, definition } => {
                self.created(id.number());
                self.task_queues.insert(TaskQueue {
                    id: *id,
                    sid: self.sid(*id),
                    expression: parse_target_workers(definition.target_workers.as_deref()),
                    definition: definition.clone(),
                    date_created: self.now,
                    date_updated: self.now,
                });
            }
            Event::TaskQueueUpdated { id, definition } => {
                let now = self.now;
                self.task_queues.change(*id, |queue| {
                    if queue.definition.target_workers != definition.target_workers {
                        queue.expression = parse_target_workers(definition.target_workers.as_deref());
                    }
                    queue.definition = definition.clone();
                    queue.date_updated = now;
                });
            }
            Event::TaskQueueDeleted { id } => {
                let keep = self.keep_task_queue(*id);
                self.task_queues.remove(*id, keep);
            }

            Event::WorkflowCreated { id, definition } => {
                self.created(id.number());
                self.workflows.insert(Workflow {
                    id: *id,
                    sid: self.sid(*id),
                    configuration: self.parse_configuration(*id, &definition.configuration),
                    definition: definition.clone(),
                    date_created: self.now,
                    date_updated: self.now,
                });
            }
            Event::WorkflowUpdated { id, definition } => {
                let now = self.now;
                let known = self.workflows.live(*id).expect("updated Workflows are live");
                let configuration = if known.definition.configuration == definition.configuration {
                    known.configuration.clone()
                } else {
                    self.parse_configuration(*id, &definition.configuration)
                };
                self.workflows.change(*id, |workflow| {
                    workflow.configuration = configuration;
                    workflow.definition = definition.clone();
                    workflow.date_updated = now;
                });
            }
            Event::WorkflowDeleted { id } => {
                let keep = self.keep_workflow(*id);
                self.workflows.remove(*id, keep);
            }

            Event::TaskCreated {
                id,
                attributes,
                priority,
                task_channel,
                timeout_seconds,
                virtual_start_time,
                workflow,
                follows_workflow,
                routing_target,
                ignore_capacity,
                enqueue_action,
            } => {
                self.created(id.number());
                let configuration = workflow.filter(|_| *follows_workflow).map(|workflow| {
                    self.workflows.live(workflow).expect("named Workflows are live").configuration.clone()
                });
                self.tasks.insert(Task {
                    id: *id,
                    sid: self.sid(*id),
                    attributes: attributes.clone(),
                    status: TaskStatus::Pending,
                    priority: *priority,
                    reason: None,
                    task_channel: *task_channel,
                    timeout_seconds: *timeout_seconds,
                    virtual_start_time: *virtual_start_time,
                    date_created: self.now,
                    date_updated: self.now,
                    version: Version(0),
                    task_queue: None,
                    task_queue_entered: None,
                    workflow: *workflow,
                    routing_target: *routing_target,
                    ignore_capacity: *ignore_capacity,
                    enqueue_action: enqueue_action.clone(),
                    configuration,
                    place: None,
                    clock_start: self.now,
                    budget_seconds: 0,
                    restart: None,
                    assignments: 0,
                    hold_off: HoldOff::default(),
                    first_accepted: None,
                    finished: None,
                    reservations: Vec::new(),
                    active: Vec::new(),
                    acceptances: 0,
                    transfers: Vec::new(),
                });
            }
            Event::TaskUpdated { id, attributes, priority, task_channel, virtual_start_time, reason, version } => {
                self.move_load(*id, *task_channel);
                let now = self.now;
                let task = self.tasks.live_mut(*id);
                task.attributes = attributes.clone();
                task.priority = *priority;
                task.task_channel = *task_channel;
                task.virtual_start_time = *virtual_start_time;
                task.reason.clone_from(reason);
                task.version = *version;
                task.date_updated = now;
            }
            Event::TaskPlaced { id, place, task_queue, priority, clock_start, budget_seconds, version } => {
                let now = self.now;
                let task = self.tasks.live_mut(*id);
                if task.task_queue != *task_queue {
                    task.task_queue = *task_queue;
                    task.task_queue_entered = task_queue.map(|_| now);
                }
                task.place = *place;
                task.priority = *priority;
                task.clock_start = *clock_start;
                task.budget_seconds = *budget_seconds;
                if task.version != *version {
                    task.version = *version;
                    task.date_updated = now;
                }
            }
            Event::TaskStatusChanged { id, status, reason, version } => {
                let now = self.now;
                let task = self.tasks.live_mut(*id);
                assert_ne!(task.status, *status, "a status change changes the status");
                task.status = *status;
                task.reason.clone_from(reason);
                task.version = *version;
                task.date_updated = now;
                match status {
                    TaskStatus::Reserved => task.assignments += 1,
                    TaskStatus::Assigned => {
                        task.first_accepted.get_or_insert(now);
                    }
                    TaskStatus::Completed | TaskStatus::Canceled => task.finished = Some(now),
                    TaskStatus::Pending | TaskStatus::Wrapping => {}
                }
            }
            Event::TaskConfigurationChanged { id } => {
                let workflow = self.the_task(*id).workflow.expect("only Tasks of a Workflow follow rules");
                let configuration =
                    self.workflow(workflow).expect("the Workflow of a waiting Task exists").configuration.clone();
                let task = self.tasks.live_mut(*id);
                task.configuration = Some(configuration);
                // Its position meant something in the rules before.
                task.place = None;
            }
            Event::TaskRestartChanged { id, restart } => self.tasks.live_mut(*id).restart = *restart,
            Event::TaskHoldOffChanged { id, failures, until } => {
                self.tasks.live_mut(*id).hold_off = HoldOff { failures: *failures, until: *until };
            }
            Event::TaskRemoved { id } => self.remove_task(*id),

            Event::ReservationCreated { id, task, worker, timeout_seconds, transfer, worker_version } => {
                self.created(id.number());
                let of = self.the_task(*task);
                let task_channel = of.task_channel;
                let now = self.now;
                let reservation = Reservation {
                    id: *id,
                    sid: self.sid(*id),
                    task: *task,
                    worker: *worker,
                    task_queue: of.task_queue,
                    task_queue_entered: of.task_queue_entered,
                    status: ReservationStatus::Pending,
                    date_created: now,
                    date_updated: now,
                    version: Version(0),
                    timeout_seconds: *timeout_seconds,
                    on_hold_until: None,
                    rested: DurationMs::default(),
                    previous_activity: self.the_worker(*worker).activity,
                    engine_activity: None,
                    call: None,
                    reason_code: None,
                    transfer: *transfer,
                };
                self.reservations.insert(reservation);
                let task = self.tasks.live_mut(*task);
                task.reservations.push(*id);
                task.active.push(*id);
                let worker = self.workers.live_mut(*worker);
                worker.version = *worker_version;
                worker.last_reserved = now;
                worker.reservations.insert(*id);
                worker.active.push(*id);
                if let Some(channel) = worker.channel_mut(task_channel) {
                    channel.pending += 1;
                    channel.last_reserved = now;
                }
            }
            Event::ReservationStatusChanged { id, status, reason_code, version } => {
                let now = self.now;
                let reservation = self.reservations.live_mut(*id);
                let before = reservation.status;
                assert!(before.can_become(*status), "{}: {before:?} cannot become {status:?}", reservation.sid);
                reservation.status = *status;
                reservation.version = *version;
                reservation.date_updated = now;
                reservation.reason_code = *reason_code;
                reservation.on_hold_until = None;
                let (task, worker) = (reservation.task, reservation.worker);
                self.count_reservation(*id, task, worker, before, *status);
            }
            Event::ReservationHoldChanged { id, until } => {
                let now = self.now;
                let reservation = self.reservations.live_mut(*id);
                if let Some(given_up) = reservation.on_hold_until {
                    reservation.rested.0 += ON_HOLD.0 - given_up.since(now).0;
                }
                reservation.on_hold_until = *until;
            }
            Event::ReservationCallChanged { id, call } => self.reservations.live_mut(*id).call.clone_from(call),

            Event::TransferInitiated { id, task, initiating_reservation, target, mode, version } => {
                self.created(id.number());
                let now = self.now;
                let transfer = Transfer {
                    id: *id,
                    sid: self.sid(*id),
                    task: *task,
                    initiating_reservation: *initiating_reservation,
                    initiating_worker: self.the_reservation(*initiating_reservation).worker,
                    target: *target,
                    mode: *mode,
                    status: TransferStatus::Initiated,
                    failed_reason: None,
                    queue_before: self.the_task(*task).task_queue,
                    date_created: now,
                    date_updated: now,
                    version: *version,
                };
                self.tasks.live_mut(*task).transfers.push(*id);
                self.transfers.insert(transfer);
            }
            Event::TransferChanged { id, status, failed_reason, version } => {
                let now = self.now;
                let transfer = self.transfers.live_mut(*id);
                transfer.status = *status;
                transfer.failed_reason.clone_from(failed_reason);
                transfer.version = *version;
                transfer.date_updated = now;
            }
        }
    }

    /// Notes that the creation number was given.
    fn created(&mut self, number: u64) {
        assert_eq!(number, self.created + 1, "creation numbers have no gaps");
        self.created = number;
    }

    /// A reservation moved between the load counters of its Worker's channel.
    fn count_reservation(
        &mut self,
        id: Id<Reservation>,
        task: Id<Task>,
        worker: Id<Worker>,
        before: ReservationStatus,
        after: ReservationStatus,
    ) {
        let task = self.tasks.live_mut(task);
        let task_channel = task.task_channel;
        let worker = self.workers.live_mut(worker);
        if after == ReservationStatus::Accepted {
            task.acceptances += 1;
        }
        if !after.is_active() {
            task.active.retain(|active| *active != id);
            worker.active.retain(|active| *active != id);
        }
        let Some(channel) = worker.channel_mut(task_channel) else { return };
        if let Some(count) = channel.count_mut(before) {
            *count = count.checked_sub(1).expect("what was counted is taken back once");
        }
        if let Some(count) = channel.count_mut(after) {
            *count += 1;
        }
    }

    /// The Task's active reservations count on another channel from now on.
    fn move_load(&mut self, task: Id<Task>, to: Id<TaskChannel>) {
        let task = self.the_task(task);
        let from = task.task_channel;
        if from == to {
            return;
        }
        let moved: Vec<_> =
            self.active_reservations(task).map(|reservation| (reservation.worker, reservation.status)).collect();
        for (worker, status) in moved {
            let worker = self.workers.live_mut(worker);
            if let Some(count) = worker.channel_mut(from).and_then(|channel| channel.count_mut(status)) {
                *count = count.checked_sub(1).expect("what was counted is taken back once");
            }
            if let Some(count) = worker.channel_mut(to).and_then(|channel| channel.count_mut(status)) {
                *count += 1;
            }
        }
    }

    fn remove_task(&mut self, id: Id<Task>) {
        let held = self.retired_for(self.the_task(id));
        let task = self.the_task(id).clone();
        for id in &task.reservations {
            let reservation = self.the_reservation(*id);
            assert!(!reservation.status.is_active(), "its reservations ended before the Task");
            let worker = reservation.worker;
            self.reservations.remove(*id, Keep::Nothing);
            if self.workers.live(worker).is_some() {
                self.workers.live_mut(worker).reservations.remove(id);
            }
        }
        for transfer in &task.transfers {
            self.transfers.remove(*transfer, Keep::Nothing);
        }
        self.tasks.remove(id, Keep::Nothing);
        self.forget_unless_kept(held);
    }

    fn parse_configuration(&self, workflow: Id<Workflow>, text: &str) -> Arc<Configuration> {
        let queue = |sid: &str| Sid::parse(sid).and_then(|sid| self.find_task_queue(sid)).map(|queue| queue.id);
        Arc::new(Configuration::parse(workflow, text, &queue).expect("only valid configurations are stored"))
    }
}

pub(super) fn parse_target_workers(text: Option<&str>) -> Option<Arc<Expression>> {
    text.map(|text| Arc::new(Expression::parse(text).expect("only valid expressions are stored")))
}
