//! A list of commands that stays meaningful when some of them are left out.
//!
//! Commands name objects by number and SID, and both depend on what was created before. A [`Script`] therefore keeps,
//! with each step, what the step created when it was first run; [`Renames`] translates a later step to the numbers of
//! the present run. A step that names something which does not exist there is passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Entity, Id, InitiateTransfer, Limits,
    Ordering, Reply, RoutingTargetSid, Sid, Tasking, Template, Timestamp, TransferTargetSid, UpdateTask,
    UpdateTaskQueue, UpdateWorker, UpdateWorkflow, UpdateWorkspace, derive_sid,
};
use pointsman_expression::Attributes;

use crate::naive::{Canary, Naive, Number};

/// From which every SID of a simulated Workspace follows.
pub const WORKSPACE_SEED: [u8; 16] = [7; 16];

/// A Workspace and what is done to it.
#[derive(Clone, Debug)]
pub struct Script {
    pub start: Timestamp,
    pub tasking: Tasking,
    pub prioritize: Ordering,
    pub limits: Limits,
    pub canary: Canary,
    pub steps: Vec<Step>,
}

/// One command at an instant; without one only time passes.
#[derive(Clone, Debug)]
pub struct Step {
    pub at: Timestamp,
    pub command: Option<Command>,
    /// What it created when it was first run: the object itself, and every reservation made in its turn.
    pub created: Option<Reply>,
    pub offers: Vec<Offer>,
}

/// A reservation by what it is: the `nth` one of a Task for a Worker, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub reservation: Number,
    pub task: Number,
    pub worker: Number,
    pub nth: usize,
}

impl Script {
    pub fn workspace(&self) -> CreateWorkspace {
        CreateWorkspace {
            seed: WORKSPACE_SEED,
            sid: Sid::from_bytes([1; 16]),
            number: 1,
            account: Sid::from_bytes([2; 16]),
            friendly_name: "Simulated".into(),
            event_callback_url: None,
            events_filter: None,
            tasking: self.tasking,
            prioritize_queue_order: self.prioritize,
            template: Template::None,
        }
    }
}

/// What the numbers of the first run are called in the present one.
#[derive(Clone, Debug, Default)]
pub struct Renames {
    numbers: BTreeMap<Number, Number>,
    /// SIDs as text.
    texts: Vec<(String, String)>,
    offers: BTreeMap<Number, Offer>,
}

impl Renames {
    /// After a step was run again and created `now`.
    pub fn learn(&mut self, step: &Step, now: Option<Reply>) {
        for offer in &step.offers {
            self.offers.insert(offer.reservation, *offer);
        }
        let (Some(first), Some(now)) = (step.created.and_then(created), now.and_then(created)) else { return };
        self.numbers.insert(first.0, now.0);
        if let (Some(first), Some(now)) = (first.1, now.1)
            && first != now
        {
            self.texts.push((first, now));
        }
    }

    fn text(&self, text: &str) -> Arc<str> {
        // Two steps, so that a new name which is also an old one is not renamed twice.
        let mut renamed = text.to_string();
        for (index, (first, _)) in self.texts.iter().enumerate() {
            renamed = renamed.replace(first, &format!("\u{1}{index}\u{2}"));
        }
        for (index, (_, now)) in self.texts.iter().enumerate() {
            renamed = renamed.replace(&format!("\u{1}{index}\u{2}"), now);
        }
        renamed.into()
    }

    fn attributes(&self, attributes: &Attributes) -> Attributes {
        Attributes::parse(&self.text(attributes.text())).expect("renaming keeps JSON")
    }

    fn sid<E: Entity>(&self, sid: Sid<E>) -> Sid<E> {
        Sid::parse(&self.text(&sid.to_string())).expect("renaming keeps SIDs")
    }

    fn id<E>(&self, id: Id<E>) -> Option<Id<E>> {
        // What the Workspace began with keeps its number.
        let kept = (id.number() <= 9).then_some(id.number());
        self.numbers.get(&id.number()).copied().or(kept).map(Id::new)
    }

    fn reservation(
        &self,
        id: Id<pointsman_engine::Reservation>,
        naive: &Naive,
    ) -> Option<Id<pointsman_engine::Reservation>> {
        let offer = self.offers.get(&id.number())?;
        let (task, worker) = (self.numbers.get(&offer.task)?, self.numbers.get(&offer.worker)?);
        let rows = naive.reservations.values().filter(|row| row.task == *task && row.worker == *worker);
        let numbers: Vec<Number> = rows.map(|row| row.number).collect();
        let number = numbers.get(offer.nth).or_else(|| numbers.last())?;
        Some(Id::new(*number))
    }

    /// The command in the words of the present run; `None` if something that it names does not exist there.
    pub fn translate(&self, command: &Command, naive: &Naive) -> Option<Command> {
        let translated = match command {
            Command::UpdateWorkspace(update) => Command::UpdateWorkspace(UpdateWorkspace {
                default_activity: update.default_activity.map(|sid| self.sid(sid)),
                timeout_activity: update.timeout_activity.map(|sid| self.sid(sid)),
                ..update.clone()
            }),
            Command::DeleteWorkspace | Command::CreateActivity { .. } | Command::CreateTaskChannel { .. } => {
                command.clone()
            }
            Command::UpdateActivity { id, friendly_name } => {
                Command::UpdateActivity { id: self.id(*id)?, friendly_name: friendly_name.clone() }
            }
            Command::DeleteActivity { id } => Command::DeleteActivity { id: self.id(*id)? },
            Command::UpdateTaskChannel { id, friendly_name, optimized_routing } => Command::UpdateTaskChannel {
                id: self.id(*id)?,
                friendly_name: friendly_name.clone(),
                optimized_routing: *optimized_routing,
            },
            Command::DeleteTaskChannel { id } => Command::DeleteTaskChannel { id: self.id(*id)? },
            Command::CreateWorker { friendly_name, attributes, activity } => Command::CreateWorker {
                friendly_name: friendly_name.clone(),
                attributes: self.attributes(attributes),
                activity: activity.map(|sid| self.sid(sid)),
            },
            Command::UpdateWorker(update) => Command::UpdateWorker(UpdateWorker {
                id: self.id(update.id)?,
                attributes: update.attributes.as_ref().map(|attributes| self.attributes(attributes)),
                activity: update.activity.map(|sid| self.sid(sid)),
                ..update.clone()
            }),
            Command::DeleteWorker { id } => Command::DeleteWorker { id: self.id(*id)? },
            Command::UpdateWorkerChannel { worker, task_channel, capacity, available } => {
                Command::UpdateWorkerChannel {
                    worker: self.id(*worker)?,
                    task_channel: self.id(*task_channel)?,
                    capacity: *capacity,
                    available: *available,
                }
            }
            Command::CreateTaskQueue(create) => Command::CreateTaskQueue(CreateTaskQueue {
                target_workers: create.target_workers.as_ref().map(|text| self.text(text)),
                reservation_activity: create.reservation_activity.map(|sid| self.sid(sid)),
                assignment_activity: create.assignment_activity.map(|sid| self.sid(sid)),
                ..create.clone()
            }),
            Command::UpdateTaskQueue(update) => Command::UpdateTaskQueue(UpdateTaskQueue {
                id: self.id(update.id)?,
                target_workers: update.target_workers.as_ref().map(|text| self.text(text)),
                reservation_activity: update.reservation_activity.map(|given| given.map(|sid| self.sid(sid))),
                assignment_activity: update.assignment_activity.map(|given| given.map(|sid| self.sid(sid))),
                ..update.clone()
            }),
            Command::DeleteTaskQueue { id } => Command::DeleteTaskQueue { id: self.id(*id)? },
            Command::CreateWorkflow(create) => Command::CreateWorkflow(CreateWorkflow {
                configuration: self.text(&create.configuration),
                ..create.clone()
            }),
            Command::UpdateWorkflow(update) => Command::UpdateWorkflow(UpdateWorkflow {
                id: self.id(update.id)?,
                configuration: update.configuration.as_ref().map(|text| self.text(text)),
                ..update.clone()
            }),
            Command::DeleteWorkflow { id } => Command::DeleteWorkflow { id: self.id(*id)? },
            Command::CreateTask(create) => Command::CreateTask(CreateTask {
                attributes: self.attributes(&create.attributes),
                workflow: create.workflow.map(|sid| self.sid(sid)),
                routing_target: create.routing_target.map(|target| match target {
                    RoutingTargetSid::Worker(sid) => RoutingTargetSid::Worker(self.sid(sid)),
                    RoutingTargetSid::TaskQueue(sid) => RoutingTargetSid::TaskQueue(self.sid(sid)),
                    RoutingTargetSid::Workflow(sid) => RoutingTargetSid::Workflow(self.sid(sid)),
                }),
                task_queue: create.task_queue.map(|sid| self.sid(sid)),
                ..create.clone()
            }),
            Command::UpdateTask(update) => Command::UpdateTask(UpdateTask {
                id: self.id(update.id)?,
                attributes: update.attributes.as_ref().map(|attributes| self.attributes(attributes)),
                ..update.clone()
            }),
            Command::DeleteTask { id } => Command::DeleteTask { id: self.id(*id)? },
            Command::AcceptReservation { id } => Command::AcceptReservation { id: self.reservation(*id, naive)? },
            Command::RejectReservation { id, activity } => Command::RejectReservation {
                id: self.reservation(*id, naive)?,
                activity: activity.map(|sid| self.sid(sid)),
            },
            Command::WrapReservation { id } => Command::WrapReservation { id: self.reservation(*id, naive)? },
            Command::CompleteReservation { id } => Command::CompleteReservation { id: self.reservation(*id, naive)? },
            Command::BeginSetup { reservation, instruction } => {
                Command::BeginSetup { reservation: self.reservation(*reservation, naive)?, instruction: *instruction }
            }
            Command::EndSetup { reservation, outcome } => {
                Command::EndSetup { reservation: self.reservation(*reservation, naive)?, outcome: *outcome }
            }
            Command::EndLeg { reservation, activity } => Command::EndLeg {
                reservation: self.reservation(*reservation, naive)?,
                activity: activity.map(|sid| self.sid(sid)),
            },
            Command::Supervise { reservation } => {
                Command::Supervise { reservation: self.reservation(*reservation, naive)? }
            }
            Command::AnswerCallback { reservation } => {
                Command::AnswerCallback { reservation: self.reservation(*reservation, naive)? }
            }
            Command::FailCallback { reservation } => {
                Command::FailCallback { reservation: self.reservation(*reservation, naive)? }
            }
            Command::WriteTaskAttributes { id, attributes } => {
                Command::WriteTaskAttributes { id: self.id(*id)?, attributes: self.attributes(attributes) }
            }
            Command::InitiateTransfer(request) => Command::InitiateTransfer(InitiateTransfer {
                task: self.id(request.task)?,
                reservation: self.reservation(request.reservation, naive)?,
                target: match request.target {
                    TransferTargetSid::Worker(sid) => TransferTargetSid::Worker(self.sid(sid)),
                    TransferTargetSid::TaskQueue(sid) => TransferTargetSid::TaskQueue(self.sid(sid)),
                },
                attributes: request.attributes.as_ref().map(|attributes| self.attributes(attributes)),
                ..request.clone()
            }),
            Command::CancelTransfer { id } => Command::CancelTransfer { id: self.id(*id)? },
        };
        names_what_exists(&translated, naive).then_some(translated)
    }
}

/// The number of what was created, and its SID if other commands may name it so.
fn created(reply: Reply) -> Option<(Number, Option<String>)> {
    fn named<E: Entity>(id: Id<E>) -> Option<(Number, Option<String>)> {
        Some((id.number(), Some(derive_sid::<E>(WORKSPACE_SEED, id.number()).to_string())))
    }
    match reply {
        Reply::Activity(id) => named(id),
        Reply::TaskChannel(id) => named(id),
        Reply::Worker(id) => named(id),
        Reply::TaskQueue(id) => named(id),
        Reply::Workflow(id) => named(id),
        Reply::Task(id) => named(id),
        Reply::Transfer(id) => named(id),
        Reply::Workspace | Reply::WorkerChannel(..) | Reply::Reservation(_) | Reply::Deleted => None,
    }
}

/// The routers rely on it that objects named by number exist: whoever serves requests looks them up first.
pub fn names_what_exists(command: &Command, naive: &Naive) -> bool {
    let activity =
        |id: &Id<pointsman_engine::Activity>| naive.activities.get(&id.number()).is_some_and(|row| !row.deleted);
    let channel =
        |id: &Id<pointsman_engine::TaskChannel>| naive.channels.get(&id.number()).is_some_and(|row| !row.deleted);
    let worker = |id: &Id<pointsman_engine::Worker>| naive.workers.get(&id.number()).is_some_and(|row| !row.deleted);
    let queue = |id: &Id<pointsman_engine::TaskQueue>| naive.queues.get(&id.number()).is_some_and(|row| !row.deleted);
    let workflow =
        |id: &Id<pointsman_engine::Workflow>| naive.workflows.get(&id.number()).is_some_and(|row| !row.deleted);
    let task = |id: &Id<pointsman_engine::Task>| naive.tasks.contains_key(&id.number());
    let reservation = |id: &Id<pointsman_engine::Reservation>| naive.reservations.contains_key(&id.number());
    if naive.deleted {
        return false;
    }
    match command {
        Command::UpdateWorkspace(_)
        | Command::DeleteWorkspace
        | Command::CreateActivity { .. }
        | Command::CreateTaskChannel { .. }
        | Command::CreateWorker { .. }
        | Command::CreateTaskQueue(_)
        | Command::CreateWorkflow(_)
        | Command::CreateTask(_) => true,
        Command::UpdateActivity { id, .. } | Command::DeleteActivity { id } => activity(id),
        Command::UpdateTaskChannel { id, .. } | Command::DeleteTaskChannel { id } => channel(id),
        Command::UpdateWorker(update) => worker(&update.id),
        Command::DeleteWorker { id } => worker(id),
        Command::UpdateWorkerChannel { worker: id, task_channel, .. } => worker(id) && channel(task_channel),
        Command::UpdateTaskQueue(update) => queue(&update.id),
        Command::DeleteTaskQueue { id } => queue(id),
        Command::UpdateWorkflow(update) => workflow(&update.id),
        Command::DeleteWorkflow { id } => workflow(id),
        Command::UpdateTask(update) => task(&update.id),
        Command::DeleteTask { id } | Command::WriteTaskAttributes { id, .. } => task(id),
        Command::AcceptReservation { id }
        | Command::RejectReservation { id, .. }
        | Command::WrapReservation { id }
        | Command::CompleteReservation { id }
        | Command::BeginSetup { reservation: id, .. }
        | Command::EndSetup { reservation: id, .. }
        | Command::EndLeg { reservation: id, .. }
        | Command::Supervise { reservation: id }
        | Command::AnswerCallback { reservation: id }
        | Command::FailCallback { reservation: id } => reservation(id),
        Command::InitiateTransfer(request) => task(&request.task) && reservation(&request.reservation),
        Command::CancelTransfer { id } => naive.transfers.contains_key(&id.number()),
    }
}

/// Replaces SIDs by the kind and number of what they name.
pub fn readable(text: &str, naive: &Naive) -> String {
    let mut text = text.to_string();
    let mut replace = |sid: String, name: String| text = text.replace(&sid, &name);
    for number in naive.activities.keys() {
        replace(naive.sid::<pointsman_engine::Activity>(*number).to_string(), format!("activity#{number}"));
    }
    for number in naive.channels.keys() {
        replace(naive.sid::<pointsman_engine::TaskChannel>(*number).to_string(), format!("channel#{number}"));
    }
    for number in naive.workers.keys() {
        replace(naive.sid::<pointsman_engine::Worker>(*number).to_string(), format!("worker#{number}"));
    }
    for number in naive.queues.keys() {
        replace(naive.sid::<pointsman_engine::TaskQueue>(*number).to_string(), format!("queue#{number}"));
    }
    for number in naive.workflows.keys() {
        replace(naive.sid::<pointsman_engine::Workflow>(*number).to_string(), format!("workflow#{number}"));
    }
    for number in naive.tasks.keys() {
        replace(naive.sid::<pointsman_engine::Task>(*number).to_string(), format!("task#{number}"));
    }
    for number in naive.reservations.keys() {
        replace(naive.sid::<pointsman_engine::Reservation>(*number).to_string(), format!("reservation#{number}"));
    }
    for number in naive.transfers.keys() {
        replace(naive.sid::<pointsman_engine::Transfer>(*number).to_string(), format!("transfer#{number}"));
    }
    text
}
