//! What each command does. Reference: routing, sections 4.3 to 4.6 and 5; rest-contract, section 6.

use std::sync::Arc;

use pointsman_engine::configuration::{ConfigurationError, Problem};
use pointsman_engine::{
    Activity as ActivityEntity, ActivityRole, Command, CreateTask, CreateTaskQueue, CreateWorkflow, DurationMs,
    EventKind, Id, InUse, ObjectKind, Ordering, Priority, Reference, Rejection, Reply, RequestedStatus,
    ReservationStatus, RestartCause, RoutingTargetFacts, RoutingTargetSid, SetupOutcome, Sid, TaskStatus, Tasking,
    UpdateTask, UpdateTaskQueue, UpdateWorker, UpdateWorkflow, UpdateWorkspace, Version,
};
use pointsman_expression::Expression;

use super::Naive;
use super::lifecycle::Ending;
use super::model::{Activity, Channel, Number, Place, Queue, Task, Worker, WorkerChannel, Workflow};
use super::rules::Rules;
use super::steps::Before;

type Done = Result<Reply, Rejection>;

impl Naive {
    /// Runs one command; refused, it changes nothing. Objects that a command names by number exist.
    pub fn apply(&mut self, command: &Command) -> Done {
        match command {
            Command::UpdateWorkspace(update) => self.update_workspace(update),
            Command::DeleteWorkspace => {
                self.publish(EventKind::WorkspaceDeleted, |_| {});
                self.deleted = true;
                Ok(Reply::Deleted)
            }
            Command::CreateActivity { friendly_name, available } => {
                self.refuse_taken(ObjectKind::Activity, friendly_name, None)?;
                let number = self.add_activity(friendly_name.clone(), *available);
                self.activity_event(EventKind::ActivityCreated, number);
                Ok(Reply::Activity(Id::new(number)))
            }
            Command::UpdateActivity { id, friendly_name } => self.rename_activity(id.number(), friendly_name.as_ref()),
            Command::DeleteActivity { id } => self.delete_activity(id.number()),
            Command::CreateTaskChannel { friendly_name, unique_name, optimized_routing } => {
                let taken = |channel: &Channel| !channel.deleted && channel.unique_name == *unique_name;
                if self.channels.values().any(taken) {
                    return Err(Rejection::NameTaken { kind: ObjectKind::TaskChannel, name: unique_name.clone() });
                }
                let number = self.add_channel(unique_name.clone(), friendly_name.clone(), *optimized_routing, false);
                self.channel_event(EventKind::TaskChannelCreated, number);
                Ok(Reply::TaskChannel(Id::new(number)))
            }
            Command::UpdateTaskChannel { id, friendly_name, optimized_routing } => {
                let channel = self.channels.get_mut(&id.number()).expect("named channels exist");
                let name = friendly_name.clone().unwrap_or_else(|| channel.name.clone());
                let optimized = optimized_routing.unwrap_or(channel.optimized);
                if (&name, optimized) != (&channel.name, channel.optimized) {
                    channel.name = name;
                    channel.optimized = optimized;
                    self.channel_event(EventKind::TaskChannelUpdated, id.number());
                }
                Ok(Reply::TaskChannel(*id))
            }
            Command::DeleteTaskChannel { id } => self.delete_channel(id.number()),
            Command::CreateWorker { friendly_name, attributes, activity } => {
                let activity = match activity {
                    Some(sid) => self.activity_by_sid(*sid, ActivityRole::Worker)?,
                    None => self.default_activity,
                };
                self.refuse_taken(ObjectKind::Worker, friendly_name, None)?;
                let now = self.now;
                let number = self.next_number();
                let mut worker = Worker {
                    number,
                    name: friendly_name.clone(),
                    attributes: attributes.clone(),
                    activity,
                    version: Version(0),
                    created: now,
                    updated: now,
                    status_changed: now,
                    last_reserved: now,
                    channels: std::collections::BTreeMap::new(),
                    deleted: false,
                };
                let live = self.channels.values().filter(|channel| !channel.deleted);
                for channel in live.map(|channel| channel.number).collect::<Vec<_>>() {
                    self.next_number();
                    worker.channels.insert(channel, WorkerChannel { capacity: 1, available: true, last_reserved: now });
                }
                self.workers.insert(number, worker);
                self.worker_event(EventKind::WorkerCreated, number);
                Ok(Reply::Worker(Id::new(number)))
            }
            Command::UpdateWorker(update) => self.update_worker(update),
            Command::DeleteWorker { id } => self.delete_worker(id.number()),
            Command::UpdateWorkerChannel { worker, task_channel, capacity, available } => {
                self.update_worker_channel(worker.number(), task_channel.number(), *capacity, *available);
                Ok(Reply::WorkerChannel(*worker, *task_channel))
            }
            Command::CreateTaskQueue(create) => self.create_queue(create),
            Command::UpdateTaskQueue(update) => self.update_queue(update),
            Command::DeleteTaskQueue { id } => self.delete_queue(id.number()),
            Command::CreateWorkflow(create) => self.create_workflow(create),
            Command::UpdateWorkflow(update) => self.update_workflow(update),
            Command::DeleteWorkflow { id } => {
                let waits = |task: &&Task| task.workflow == Some(id.number()) && task.status.is_waiting();
                let tasks = self.tasks.values().filter(waits).count() as u32;
                if 0 < tasks {
                    return Err(Rejection::InUse(InUse::WorkflowHasTasks { workflow: *id, tasks }));
                }
                self.workflow_event(EventKind::WorkflowDeleted, id.number());
                self.workflows.get_mut(&id.number()).expect("named Workflows exist").deleted = true;
                Ok(Reply::Deleted)
            }
            Command::CreateTask(create) => self.create_task(create),
            Command::UpdateTask(update) => self.update_task(update),
            Command::DeleteTask { id } => {
                self.remove_task(id.number(), EventKind::TaskDeleted);
                Ok(Reply::Deleted)
            }
            Command::AcceptReservation { id } => {
                self.refuse_on_hold(id.number())?;
                self.need(id.number(), &[ReservationStatus::Pending], ReservationStatus::Accepted)?;
                self.accept(id.number());
                Ok(Reply::Reservation(*id))
            }
            Command::RejectReservation { id, activity } => {
                self.refuse_on_hold(id.number())?;
                self.need(id.number(), &[ReservationStatus::Pending], ReservationStatus::Rejected)?;
                let activity = match activity {
                    Some(sid) => Some(self.activity_by_sid(*sid, ActivityRole::Rejection)?),
                    None => None,
                };
                self.end_one_offer(id.number(), Ending::Rejected, activity);
                Ok(Reply::Reservation(*id))
            }
            Command::WrapReservation { id } => {
                let allowed: &[_] = if self.is_single() { &[] } else { &[ReservationStatus::Accepted] };
                self.need(id.number(), allowed, ReservationStatus::Wrapping)?;
                self.wrap_one(id.number(), None);
                Ok(Reply::Reservation(*id))
            }
            Command::CompleteReservation { id } => {
                let allowed = [ReservationStatus::Accepted, ReservationStatus::Wrapping];
                self.need(id.number(), &allowed, ReservationStatus::Completed)?;
                self.complete_one(id.number(), None);
                Ok(Reply::Reservation(*id))
            }
            Command::BeginSetup { reservation, instruction } => {
                let row = self.reservation(reservation.number());
                if !row.is_pending() {
                    return Err(Rejection::InstructionNotPending { instruction: *instruction });
                }
                if row.hold.is_some() {
                    return Err(Rejection::ReservationOnHold);
                }
                if row.transfer.is_some() && *instruction != pointsman_engine::Instruction::Conference {
                    return Err(Rejection::InstructionDuringTransfer);
                }
                let until = self.now.plus(DurationMs::from_seconds(600));
                self.reservation_mut(reservation.number()).hold = Some((until, *instruction));
                Ok(Reply::Reservation(*reservation))
            }
            Command::EndSetup { reservation, outcome } => {
                if let Some((until, _)) = self.reservation(reservation.number()).hold {
                    match outcome {
                        SetupOutcome::Accepted => self.accept(reservation.number()),
                        SetupOutcome::Released => {
                            let began = until.0 - 600_000;
                            let rested = self.now.0 - began;
                            let row = self.reservation_mut(reservation.number());
                            row.rested.0 += rested;
                            row.hold = None;
                        }
                        SetupOutcome::Failed { reason_code } => self.fail_setup(reservation.number(), *reason_code),
                    }
                }
                Ok(Reply::Reservation(*reservation))
            }
            // No rule of routing looks at it.
            Command::NoteCall { reservation, .. } => Ok(Reply::Reservation(*reservation)),
            Command::EndLeg { reservation, activity } => {
                // An Activity that is gone by the end of the call is passed over.
                let activity = activity.and_then(|sid| self.activity_by_sid(sid, ActivityRole::Worker).ok());
                if self.reservation(reservation.number()).status == ReservationStatus::Accepted {
                    if self.is_single() {
                        self.complete_one(reservation.number(), activity);
                    } else {
                        self.wrap_one(reservation.number(), activity);
                    }
                }
                Ok(Reply::Reservation(*reservation))
            }
            Command::AnswerCallback { reservation } => {
                let task = self.reservation(reservation.number()).task;
                let row = self.task_mut(task);
                row.failures = 0;
                if row.held_until.take().is_some() {
                    // The hold-off ends with the row, and its end is when the skip test is made.
                    self.note_entry(task);
                }
                Ok(Reply::Reservation(*reservation))
            }
            Command::FailCallback { reservation } => {
                let row = self.reservation(reservation.number());
                if row.is_pending() && row.hold.is_none() {
                    self.end_one_offer(reservation.number(), Ending::CallbackFailed, None);
                }
                Ok(Reply::Reservation(*reservation))
            }
            Command::WriteTaskAttributes { id, attributes } => {
                let now = self.now;
                let task = self.task_mut(id.number());
                if !task.attributes.same_json(attributes) {
                    task.attributes = attributes.clone();
                    task.version = task.version.next();
                    task.updated = now;
                    self.task_event(EventKind::TaskUpdated, id.number());
                }
                Ok(Reply::Task(*id))
            }
            Command::AbandonTask { id, reason } => {
                if self.tasks[&id.number()].status.is_waiting() {
                    self.cancel_task(id.number(), Some(reason.clone()), None);
                }
                Ok(Reply::Task(*id))
            }
            Command::InitiateTransfer(request) => self.initiate_transfer(request),
            Command::CancelTransfer { id } => self.cancel_transfer(id.number()),
        }
    }

    fn refuse_on_hold(&self, number: Number) -> Result<(), Rejection> {
        let row = self.reservation(number);
        if row.is_pending() && row.hold.is_some() { Err(Rejection::ReservationOnHold) } else { Ok(()) }
    }

    fn need(
        &self,
        number: Number,
        allowed: &[ReservationStatus],
        requested: ReservationStatus,
    ) -> Result<(), Rejection> {
        let status = self.reservation(number).status;
        if allowed.contains(&status) { Ok(()) } else { Err(Rejection::ReservationInStatus { status, requested }) }
    }

    fn refuse_taken(&self, kind: ObjectKind, name: &Arc<str>, own: Option<Number>) -> Result<(), Rejection> {
        let same = |number: Number, other: &str| Some(number) != own && other.to_lowercase() == name.to_lowercase();
        let taken = match kind {
            ObjectKind::Activity => self.activities.values().any(|row| !row.deleted && same(row.number, &row.name)),
            ObjectKind::Worker => self.workers.values().any(|row| !row.deleted && same(row.number, &row.name)),
            ObjectKind::TaskQueue => self.queues.values().any(|row| !row.deleted && same(row.number, &row.name)),
            ObjectKind::Workflow => self.workflows.values().any(|row| !row.deleted && same(row.number, &row.name)),
            ObjectKind::TaskChannel | ObjectKind::Task => false,
        };
        if taken { Err(Rejection::NameTaken { kind, name: name.clone() }) } else { Ok(()) }
    }

    fn activity_by_sid(&self, sid: Sid<ActivityEntity>, role: ActivityRole) -> Result<Number, Rejection> {
        let named = |activity: &&Activity| !activity.deleted && self.sid(activity.number) == sid;
        let found = self.activities.values().find(named).map(|activity| activity.number);
        found.ok_or(Rejection::Unknown(Reference::Activity { role, sid }))
    }

    // Workspace

    fn update_workspace(&mut self, update: &UpdateWorkspace) -> Done {
        let default = match update.default_activity {
            Some(sid) => self.activity_by_sid(sid, ActivityRole::Default)?,
            None => self.default_activity,
        };
        let timeout = match update.timeout_activity {
            Some(sid) => self.activity_by_sid(sid, ActivityRole::Timeout)?,
            None => self.timeout_activity,
        };
        let tasking = update.tasking.unwrap_or(self.tasking);
        if self.tasking == Tasking::Multi && tasking == Tasking::Single && !update.may_become_single_tasking {
            return Err(Rejection::CannotBecomeSingleTasking);
        }
        let before = self.settings();
        self.default_activity = default;
        self.timeout_activity = timeout;
        self.tasking = tasking;
        self.prioritize = update.prioritize_queue_order.unwrap_or(self.prioritize);
        self.workspace_name = update.friendly_name.clone().unwrap_or_else(|| self.workspace_name.clone());
        if let Some(callback) = &update.event_callback_url {
            self.callback.clone_from(callback);
        }
        if let Some(filter) = &update.events_filter {
            self.filter = Some(filter.clone());
        }
        if self.settings() != before {
            self.publish(EventKind::WorkspaceUpdated, |_| {});
        }
        Ok(Reply::Workspace)
    }

    fn settings(&self) -> impl PartialEq + use<> {
        (
            (self.default_activity, self.timeout_activity, self.tasking, self.prioritize),
            (self.workspace_name.clone(), self.callback.clone(), self.filter.clone()),
        )
    }

    pub(super) fn add_activity(&mut self, name: Arc<str>, available: bool) -> Number {
        let number = self.next_number();
        self.activities.insert(number, Activity { number, name, available, deleted: false });
        number
    }

    fn rename_activity(&mut self, number: Number, name: Option<&Arc<str>>) -> Done {
        let reply = Ok(Reply::Activity(Id::new(number)));
        let Some(name) = name.filter(|name| **name != self.activities[&number].name) else { return reply };
        self.refuse_taken(ObjectKind::Activity, name, Some(number))?;
        self.activities.get_mut(&number).expect("named Activities exist").name = name.clone();
        self.activity_event(EventKind::ActivityUpdated, number);
        reply
    }

    fn delete_activity(&mut self, number: Number) -> Done {
        let activity = Id::new(number);
        let refuse = |reason| Err(Rejection::InUse(reason));
        if self.default_activity == number {
            return refuse(InUse::ActivityIsDefault { activity });
        }
        if self.timeout_activity == number {
            return refuse(InUse::ActivityIsTimeout { activity });
        }
        let inside = |worker: &&Worker| !worker.deleted && worker.activity == number;
        let workers = self.workers.values().filter(inside).count() as u32;
        if 0 < workers {
            return refuse(InUse::ActivityHasWorkers { activity, workers });
        }
        let names = |queue: &&Queue| {
            !queue.deleted && (queue.reservation_activity == Some(number) || queue.assignment_activity == Some(number))
        };
        if let Some(queue) = self.queues.values().find(names) {
            return refuse(InUse::ActivityOfTaskQueue { activity, task_queue: Id::new(queue.number) });
        }
        self.activity_event(EventKind::ActivityDeleted, number);
        self.activities.get_mut(&number).expect("named Activities exist").deleted = true;
        Ok(Reply::Deleted)
    }

    pub(super) fn add_channel(&mut self, unique: Arc<str>, name: Arc<str>, optimized: bool, built_in: bool) -> Number {
        let number = self.next_number();
        self.channels
            .insert(number, Channel { number, unique_name: unique, name, optimized, built_in, deleted: false });
        let live: Vec<Number> = self.workers.values().filter(|row| !row.deleted).map(|row| row.number).collect();
        for worker in live {
            self.next_number();
            let channel = WorkerChannel { capacity: 1, available: true, last_reserved: self.now };
            self.worker_mut(worker).channels.insert(number, channel);
        }
        number
    }

    fn delete_channel(&mut self, number: Number) -> Done {
        let task_channel = Id::new(number);
        if self.channels[&number].built_in {
            return Err(Rejection::InUse(InUse::TaskChannelBuiltIn { task_channel }));
        }
        let uses = |task: &&Task| task.channel == number && !task.status.is_terminal();
        let tasks = self.tasks.values().filter(uses).count() as u32;
        if 0 < tasks {
            return Err(Rejection::InUse(InUse::TaskChannelHasTasks { task_channel, tasks }));
        }
        self.channel_event(EventKind::TaskChannelDeleted, number);
        self.channels.get_mut(&number).expect("named channels exist").deleted = true;
        Ok(Reply::Deleted)
    }

    // Workers

    fn update_worker(&mut self, update: &UpdateWorker) -> Done {
        let number = update.id.number();
        let activity = match update.activity {
            Some(sid) => self.activity_by_sid(sid, ActivityRole::Worker)?,
            None => self.workers[&number].activity,
        };
        if let Some(name) = &update.friendly_name {
            self.refuse_taken(ObjectKind::Worker, name, Some(number))?;
        }
        if update.reject_pending_reservations && self.activities[&activity].available {
            return Err(Rejection::RejectPendingWhileAvailable);
        }
        let now = self.now;
        let row = self.worker_mut(number);
        let version = row.version;
        let mut described = false;
        if let Some(name) = update.friendly_name.as_ref().filter(|name| **name != row.name) {
            row.name = name.clone();
            described = true;
        }
        if let Some(attributes) = update.attributes.as_ref().filter(|new| !new.same_json(&row.attributes)) {
            row.attributes = attributes.clone();
            described = true;
        }
        if described {
            row.updated = now;
        }
        let moved = self.move_worker(number, activity);
        if described || moved.is_some() {
            self.worker_mut(number).version = version.next();
        }
        let mut outcomes = Vec::new();
        if update.reject_pending_reservations {
            let of = |row: &&super::Reservation| row.worker == number && row.is_pending();
            for pending in self.reservations.values().filter(of).map(|row| row.number).collect::<Vec<_>>() {
                outcomes.push((pending, self.end_offer(pending, Ending::Rejected)));
            }
        }
        if described {
            self.worker_event(EventKind::WorkerAttributesUpdate, number);
        }
        self.activity_events(moved.as_slice());
        for (pending, _) in &outcomes {
            self.reservation_event(EventKind::ReservationRejected, *pending);
        }
        for (_, outcome) in outcomes {
            self.outcome_events(outcome);
        }
        Ok(Reply::Worker(update.id))
    }

    fn delete_worker(&mut self, number: Number) -> Done {
        let worker = Id::new(number);
        if self.is_available(&self.workers[&number]) {
            return Err(Rejection::InUse(InUse::WorkerAvailable { worker }));
        }
        let works = |row: &&super::Reservation| {
            row.worker == number && matches!(row.status, ReservationStatus::Accepted | ReservationStatus::Wrapping)
        };
        let reservations = self.reservations.values().filter(works).count() as u32;
        if 0 < reservations {
            return Err(Rejection::InUse(InUse::WorkerHasReservations { worker, reservations }));
        }
        let of = |row: &&super::Reservation| row.worker == number && row.is_pending();
        let pending: Vec<Number> = self.reservations.values().filter(of).map(|row| row.number).collect();
        let mut outcomes = Vec::new();
        for reservation in &pending {
            outcomes.push(self.end_offer(*reservation, Ending::Canceled));
        }
        for reservation in pending {
            self.reservation_event(EventKind::ReservationCanceled, reservation);
        }
        self.worker_event(EventKind::WorkerDeleted, number);
        self.worker_mut(number).deleted = true;
        for outcome in outcomes {
            self.outcome_events(outcome);
        }
        let waits = |task: &&Task| task.is_pending() && task.place == Some(Place::Worker(number));
        for task in self.tasks.values().filter(waits).map(|task| task.number).collect::<Vec<_>>() {
            self.fail_direct(task);
        }
        Ok(Reply::Deleted)
    }

    fn update_worker_channel(
        &mut self,
        worker: Number,
        channel: Number,
        capacity: Option<u32>,
        available: Option<bool>,
    ) {
        let row = self.workers[&worker].channels[&channel].clone();
        let change = |naive: &mut Self, change: &dyn Fn(&mut WorkerChannel), kind| {
            let worker_row = naive.worker_mut(worker);
            worker_row.version = worker_row.version.next();
            change(worker_row.channels.get_mut(&channel).expect("named WorkerChannels exist"));
            naive.channel_update_event(kind, worker, channel, row.capacity);
        };
        if let Some(capacity) = capacity.filter(|capacity| *capacity != row.capacity) {
            change(self, &|row| row.capacity = capacity, EventKind::WorkerCapacityUpdate);
        }
        if let Some(available) = available.filter(|available| *available != row.available) {
            let now_capacity = self.workers[&worker].channels[&channel].capacity;
            let worker_row = self.worker_mut(worker);
            worker_row.version = worker_row.version.next();
            worker_row.channels.get_mut(&channel).expect("named WorkerChannels exist").available = available;
            self.channel_update_event(EventKind::WorkerChannelAvailabilityUpdate, worker, channel, now_capacity);
        }
    }

    // Queues and Workflows

    fn queue_activity(
        &self,
        given: Option<Sid<ActivityEntity>>,
        role: ActivityRole,
        usual: &str,
    ) -> Result<Option<Number>, Rejection> {
        match given {
            Some(sid) => self.activity_by_sid(sid, role).map(Some),
            None if self.is_single() => {
                let named = |row: &&Activity| !row.deleted && row.name.to_lowercase() == usual.to_lowercase();
                let found = self.activities.values().find(named).map(|row| row.number);
                found.map(Some).ok_or(Rejection::ActivityRequired { parameter: role })
            }
            None => Ok(None),
        }
    }

    fn create_queue(&mut self, create: &CreateTaskQueue) -> Done {
        let reservation = self.queue_activity(create.reservation_activity, ActivityRole::Reservation, "Reserved")?;
        let assignment = self.queue_activity(create.assignment_activity, ActivityRole::Assignment, "Busy")?;
        self.refuse_taken(ObjectKind::TaskQueue, &create.friendly_name, None)?;
        let number = self.next_number();
        let text = create.target_workers.clone().unwrap_or_else(|| "1==1".into());
        let expression = Expression::parse_optional(&text).expect("expressions are valid");
        self.queues.insert(
            number,
            Queue {
                number,
                name: create.friendly_name.clone(),
                text: expression.is_some().then_some(text),
                expression,
                max_reserved: create.max_reserved_workers.unwrap_or(1),
                order: create.task_order.unwrap_or(Ordering::Fifo),
                reservation_activity: reservation,
                assignment_activity: assignment,
                deleted: false,
            },
        );
        self.queue_event(EventKind::TaskQueueCreated, number);
        Ok(Reply::TaskQueue(Id::new(number)))
    }

    fn update_queue(&mut self, update: &UpdateTaskQueue) -> Done {
        let number = update.id.number();
        let activity = |given: Option<Option<Sid<ActivityEntity>>>, role, now| match given {
            Some(Some(sid)) => self.activity_by_sid(sid, role).map(Some),
            Some(None) => Ok(None),
            None => Ok(now),
        };
        let row = &self.queues[&number];
        let reservation = activity(update.reservation_activity, ActivityRole::Reservation, row.reservation_activity)?;
        let assignment = activity(update.assignment_activity, ActivityRole::Assignment, row.assignment_activity)?;
        if let Some(name) = &update.friendly_name {
            self.refuse_taken(ObjectKind::TaskQueue, name, Some(number))?;
        }
        let row = self.queues.get_mut(&number).expect("named queues exist");
        let before = row.text.clone();
        if let Some(text) = &update.target_workers {
            row.expression = Expression::parse_optional(text).expect("expressions are valid");
            row.text = row.expression.is_some().then(|| text.clone());
        }
        row.name = update.friendly_name.clone().unwrap_or_else(|| row.name.clone());
        row.max_reserved = update.max_reserved_workers.unwrap_or(row.max_reserved);
        row.order = update.task_order.unwrap_or(row.order);
        row.reservation_activity = reservation;
        row.assignment_activity = assignment;
        if row.text != before {
            self.queue_event(EventKind::TaskQueueExpressionUpdated, number);
        }
        Ok(Reply::TaskQueue(update.id))
    }

    fn delete_queue(&mut self, number: Number) -> Done {
        let task_queue = Id::new(number);
        let names = |row: &&Workflow| !row.deleted && row.rules.queues().any(|queue| queue == number);
        if let Some(workflow) = self.workflows.values().find(names) {
            let workflow = Id::new(workflow.number);
            return Err(Rejection::InUse(InUse::TaskQueueOfWorkflow { task_queue, workflow }));
        }
        let reaches = |task: &&Task| {
            let by_rules = task.rules.as_ref().is_some_and(|rules| rules.queues().any(|queue| queue == number));
            // A transfer that fails brings its Task back to where it was.
            let comes_back = self
                .open_transfer(task.number)
                .is_some_and(|transfer| self.transfers[&transfer].queue_before == Some(number));
            (task.status.is_waiting() && (task.queue == Some(number) || by_rules)) || comes_back
        };
        let tasks = self.tasks.values().filter(reaches).count() as u32;
        if 0 < tasks {
            return Err(Rejection::InUse(InUse::TaskQueueHasTasks { task_queue, tasks }));
        }
        self.queue_event(EventKind::TaskQueueDeleted, number);
        self.queues.get_mut(&number).expect("named queues exist").deleted = true;
        Ok(Reply::Deleted)
    }

    /// What is wrong with a refused configuration is not this router's business.
    fn read_rules(&self, text: &Arc<str>) -> Result<Arc<Rules>, Rejection> {
        let refused = ConfigurationError { path: String::new(), problem: Problem::NoRules };
        let rules = Rules::read(text, &|sid| self.queue_by_sid(sid));
        rules.map(Arc::new).ok_or(Rejection::ConfigurationInvalid(Box::new(refused)))
    }

    fn create_workflow(&mut self, create: &CreateWorkflow) -> Done {
        let rules = self.read_rules(&create.configuration)?;
        self.refuse_taken(ObjectKind::Workflow, &create.friendly_name, None)?;
        let number = self.next_number();
        self.workflows.insert(
            number,
            Workflow {
                number,
                name: create.friendly_name.clone(),
                rules,
                callback: create.assignment_callback_url.clone(),
                fallback: create.fallback_assignment_callback_url.clone(),
                reservation_timeout: create.task_reservation_timeout_seconds.unwrap_or(120),
                deleted: false,
            },
        );
        self.workflow_event(EventKind::WorkflowCreated, number);
        Ok(Reply::Workflow(Id::new(number)))
    }

    fn update_workflow(&mut self, update: &UpdateWorkflow) -> Done {
        let number = update.id.number();
        let row = &self.workflows[&number];
        let new_text = update.configuration.as_ref().filter(|text| **text != row.rules.text);
        let rules = match new_text {
            Some(text) => Some(self.read_rules(text)?),
            None => None,
        };
        if let Some(name) = &update.friendly_name {
            self.refuse_taken(ObjectKind::Workflow, name, Some(number))?;
        }
        let row = self.workflows.get_mut(&number).expect("named Workflows exist");
        let facts =
            |row: &Workflow| (row.name.clone(), row.callback.clone(), row.fallback.clone(), row.reservation_timeout);
        let before = facts(row);
        row.name = update.friendly_name.clone().unwrap_or_else(|| row.name.clone());
        row.callback = update.assignment_callback_url.clone().unwrap_or_else(|| row.callback.clone());
        row.fallback = update.fallback_assignment_callback_url.clone().unwrap_or_else(|| row.fallback.clone());
        row.reservation_timeout = update.task_reservation_timeout_seconds.unwrap_or(row.reservation_timeout);
        let changed = facts(row) != before || rules.is_some();
        if let Some(rules) = rules {
            row.rules = rules;
        }
        if changed {
            self.workflow_event(EventKind::WorkflowUpdated, number);
        }
        if update.re_evaluate_tasks {
            let in_step = |task: &&Task| {
                task.workflow == Some(number) && task.status.is_waiting() && matches!(task.place, Some(Place::Step(_)))
            };
            for task in self.tasks.values().filter(in_step).map(|task| task.number).collect::<Vec<_>>() {
                if self.task(task).is_pending() {
                    self.restart(task, RestartCause::WorkflowUpdated);
                } else {
                    self.remember_restart(task, RestartCause::WorkflowUpdated);
                }
            }
        }
        Ok(Reply::Workflow(update.id))
    }

    // Tasks

    fn channel_named(&self, name: Option<&String>) -> Result<Number, Rejection> {
        let name = if self.is_single() { "default" } else { name.map_or("default", String::as_str) };
        let named = |row: &&Channel| {
            !row.deleted
                && (*row.unique_name == *name
                    || self.sid::<pointsman_engine::TaskChannel>(row.number).to_string() == name)
        };
        let found = self.channels.values().find(named).map(|row| row.number);
        found.ok_or_else(|| Rejection::Unknown(Reference::TaskChannel(name.to_string())))
    }

    fn create_task(&mut self, create: &CreateTask) -> Done {
        let unknown = |sid: String| Rejection::Unknown(Reference::RoutingTarget(sid));
        let (mut workflow, mut target, mut place) = (create.workflow, None, None);
        match create.routing_target {
            Some(RoutingTargetSid::Workflow(sid)) => {
                if workflow.is_some_and(|other| other != sid) {
                    return Err(Rejection::RoutingTargetConflict);
                }
                workflow = Some(sid);
            }
            Some(RoutingTargetSid::Worker(sid)) => {
                let named = |row: &&Worker| !row.deleted && self.sid(row.number) == sid;
                let found = self.workers.values().find(named).ok_or_else(|| unknown(sid.to_string()))?;
                target = Some(RoutingTargetFacts::Worker(sid));
                place = Some(Place::Worker(found.number));
            }
            Some(RoutingTargetSid::TaskQueue(sid)) => {
                let named = |row: &&Queue| !row.deleted && self.sid(row.number) == sid;
                self.queues.values().find(named).ok_or_else(|| unknown(sid.to_string()))?;
                target = Some(RoutingTargetFacts::TaskQueue(sid));
                place = Some(Place::Queue);
            }
            None => {}
        }
        let to_worker = matches!(place, Some(Place::Worker(_)));
        let live = || self.workflows.values().filter(|row| !row.deleted);
        let workflow = match workflow {
            Some(sid) => {
                let found = live().find(|row| self.sid(row.number) == sid).map(|row| row.number);
                Some(found.ok_or(Rejection::Unknown(Reference::Workflow(sid)))?)
            }
            None if live().count() == 1 => live().next().map(|row| row.number),
            None if target.is_some() => None,
            None => return Err(Rejection::WorkflowRequired),
        };
        if create.ignore_capacity.is_some() && !to_worker {
            return Err(Rejection::IgnoreCapacityWithoutWorker);
        }
        let given_queue = match create.task_queue {
            Some(sid) => {
                let named = |row: &&Queue| !row.deleted && self.sid(row.number) == sid;
                let found = self.queues.values().find(named).map(|row| row.number);
                Some(found.ok_or(Rejection::Unknown(Reference::TaskQueue(sid)))?)
            }
            None => None,
        };
        let channel = self.channel_named(create.task_channel.as_ref())?;
        if create.virtual_start_time.is_some_and(|start| self.now < start) {
            return Err(Rejection::VirtualStartTimeInFuture);
        }
        let queue = match (place, create.routing_target) {
            (Some(Place::Worker(worker)), _) => given_queue.or_else(|| {
                let live = self.queues.values().filter(|queue| !queue.deleted);
                let mut serving = live.filter(|queue| self.is_member(&self.workers[&worker], queue.number));
                serving.next().map(|queue| queue.number)
            }),
            (_, Some(RoutingTargetSid::TaskQueue(sid))) => {
                self.queues.values().find(|row| self.sid(row.number) == sid).map(|row| row.number)
            }
            _ => None,
        };
        let now = self.now;
        let number = self.next_number();
        let follows = place.is_none();
        self.tasks.insert(
            number,
            Task {
                number,
                attributes: create.attributes.clone(),
                status: TaskStatus::Pending,
                priority: create.priority.unwrap_or(Priority(0)),
                reason: None,
                channel,
                timeout_seconds: create.timeout_seconds.unwrap_or(86_400),
                virtual_start: create.virtual_start_time.unwrap_or(now),
                created: now,
                updated: now,
                version: Version(0),
                queue,
                queue_entered: queue.map(|_| now),
                workflow,
                target,
                ignore_capacity: to_worker && create.ignore_capacity.unwrap_or(true),
                rules: workflow.filter(|_| follows).map(|workflow| self.workflows[&workflow].rules.clone()),
                place,
                clock_start: now,
                budget_seconds: 0,
                restart: None,
                assignments: 0,
                failures: 0,
                held_until: None,
                first_accepted: None,
                finished: None,
            },
        );
        let nowhere = Before { queue: None, queue_entered: None, priority: create.priority.unwrap_or(Priority(0)) };
        if follows {
            let position = self.first_step(number);
            self.task_event(EventKind::TaskCreated, number);
            self.task_event(EventKind::WorkflowEntered, number);
            match position {
                Some(position) => self.matched_events(number, position, None, nowhere),
                None => self.end_of_workflow_at_once(number),
            }
        } else {
            self.task_event(EventKind::TaskCreated, number);
            if queue.is_some() {
                self.task_event(EventKind::TaskQueueEntered, number);
            }
        }
        Ok(Reply::Task(Id::new(number)))
    }

    fn update_task(&mut self, update: &UpdateTask) -> Done {
        let number = update.id.number();
        let task = self.task(number);
        let (status, single) = (task.status, self.is_single());
        match update.status {
            Some(RequestedStatus::Canceled) if !status.is_waiting() => return Err(Rejection::TaskNotCancelable),
            Some(RequestedStatus::Wrapping) if single => return Err(Rejection::SingleTasking),
            Some(RequestedStatus::Wrapping) if status != TaskStatus::Assigned => {
                return Err(Rejection::TaskNotWrappable);
            }
            Some(RequestedStatus::Completed) if !matches!(status, TaskStatus::Assigned | TaskStatus::Wrapping) => {
                return Err(Rejection::TaskNotCompletable);
            }
            _ => {}
        }
        let channel = match &update.task_channel {
            Some(name) if !single => self.channel_named(Some(name))?,
            _ => task.channel,
        };
        if channel != task.channel && status.is_terminal() {
            let status = if status == TaskStatus::Completed { "completed" } else { "canceled" };
            return Err(Rejection::TaskChannelOfFinishedTask { status });
        }
        if update.virtual_start_time.is_some_and(|start| self.now < start) {
            return Err(Rejection::VirtualStartTimeInFuture);
        }
        let step_rules = self.step(task).is_some_and(|step| step.priority.is_some());
        let new_attributes = update.attributes.clone().filter(|new| !new.same_json(&task.attributes));
        let re_routes = new_attributes.is_some();
        let now = self.now;
        let task = self.task_mut(number);
        let before = (task.priority, task.virtual_start, task.channel, task.reason.clone());
        let (version, status_before) = (task.version, task.status);
        if let Some(attributes) = new_attributes {
            task.attributes = attributes;
        }
        if !step_rules {
            task.priority = update.priority.unwrap_or(task.priority);
        }
        task.virtual_start = update.virtual_start_time.unwrap_or(task.virtual_start);
        task.channel = channel;
        if let Some(reason) = update.reason.as_ref().filter(|reason| !reason.is_empty()) {
            task.reason = Some(reason.clone());
        }
        let fields = re_routes || before != (task.priority, task.virtual_start, task.channel, task.reason.clone());
        if !fields && update.status.is_none() {
            return Ok(Reply::Task(update.id));
        }
        task.version = version.next();
        task.updated = now;
        match update.status {
            Some(requested) => self.set_requested_status(number, requested, version),
            None if re_routes => {
                let in_step = matches!(task.place, Some(Place::Step(_)));
                if in_step && status_before == TaskStatus::Reserved {
                    self.remember_restart(number, RestartCause::TaskUpdated);
                }
                self.task_event(EventKind::TaskUpdated, number);
                if in_step && status_before == TaskStatus::Pending {
                    self.restart(number, RestartCause::TaskUpdated);
                }
                return Ok(Reply::Task(update.id));
            }
            None => {}
        }
        self.task_event(EventKind::TaskUpdated, number);
        Ok(Reply::Task(update.id))
    }

    /// Status and fields of one request are one transition: the version counts once.
    fn set_requested_status(&mut self, number: Number, requested: RequestedStatus, version: Version) {
        let task = self.task_mut(number);
        task.version = version;
        match requested {
            RequestedStatus::Canceled => self.cancel_task(number, None, None),
            RequestedStatus::Wrapping => {
                let accepted = self.with_status(number, ReservationStatus::Accepted);
                self.set_task(number, TaskStatus::Wrapping, None);
                for reservation in &accepted {
                    self.set_reservation(*reservation, ReservationStatus::Wrapping);
                }
                self.task_event(EventKind::TaskWrapup, number);
                for reservation in accepted {
                    self.reservation_event(EventKind::ReservationWrapup, reservation);
                }
            }
            RequestedStatus::Completed => {
                self.set_task(number, TaskStatus::Completed, None);
                let (ended, _) = self.end_reservations(number);
                self.task_event(EventKind::TaskCompleted, number);
                for (kind, reservation) in ended {
                    self.reservation_event(kind, reservation);
                }
            }
        }
    }
}
