//! A list of commands that stays meaningful when some of them are left out.
//!
//! Commands name objects by number and SID, and both depend on what was created before. A [`Script`] therefore keeps,
//! with each step, what the step created when it was first run; [`Renames`] translates a later step to the numbers of
//! the present run. A step that names something which does not exist there is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_engine::{
    Activity, Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Entity, Id, InitiateTransfer,
    Limits, Ordering, Reply, Reservation, RoutingTargetSid, Sid, State, Task, TaskChannel, TaskQueue, Tasking,
    Template, Timestamp, Transfer, TransferTargetSid, UpdateTask, UpdateTaskQueue, UpdateWorker, UpdateWorkflow,
    UpdateWorkspace, Worker, Workflow, derive_sid,
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
            source_ip: None,
        }
    }
}

/// The objects that commands may name, by number.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    activities: BTreeSet<Number>,
    channels: BTreeSet<Number>,
    workers: BTreeSet<Number>,
    queues: BTreeSet<Number>,
    workflows: BTreeSet<Number>,
    tasks: BTreeSet<Number>,
    /// With Task and Worker.
    reservations: BTreeMap<Number, (Number, Number)>,
    transfers: BTreeSet<Number>,
    deleted: bool,
}

impl From<&Naive> for Existing {
    fn from(naive: &Naive) -> Self {
        Self {
            activities: naive.activities.values().filter(|row| !row.deleted).map(|row| row.number).collect(),
            channels: naive.channels.values().filter(|row| !row.deleted).map(|row| row.number).collect(),
            workers: naive.workers.values().filter(|row| !row.deleted).map(|row| row.number).collect(),
            queues: naive.queues.values().filter(|row| !row.deleted).map(|row| row.number).collect(),
            workflows: naive.workflows.values().filter(|row| !row.deleted).map(|row| row.number).collect(),
            tasks: naive.tasks.keys().copied().collect(),
            reservations: naive.reservations.values().map(|row| (row.number, (row.task, row.worker))).collect(),
            transfers: naive.transfers.keys().copied().collect(),
            deleted: naive.deleted,
        }
    }
}

impl From<&State> for Existing {
    fn from(state: &State) -> Self {
        Self {
            activities: state.activities().map(|row| row.id.number()).collect(),
            channels: state.task_channels().map(|row| row.id.number()).collect(),
            workers: state.workers().map(|row| row.id.number()).collect(),
            queues: state.task_queues().map(|row| row.id.number()).collect(),
            workflows: state.workflows().map(|row| row.id.number()).collect(),
            tasks: state.tasks().map(|row| row.id.number()).collect(),
            reservations: state
                .reservations()
                .map(|row| (row.id.number(), (row.task.number(), row.worker.number())))
                .collect(),
            transfers: state.transfers().map(|row| row.id.number()).collect(),
            deleted: state.is_deleted(),
        }
    }
}

impl Existing {
    /// The reservations of a Task for a Worker, in creation order.
    fn reservations_of(&self, task: Number, worker: Number) -> Vec<Number> {
        let of = |(_, pair): &(&Number, &(Number, Number))| **pair == (task, worker);
        self.reservations.iter().filter(of).map(|(number, _)| *number).collect()
    }

    /// The reservations made after the one numbered `before`, by what they are.
    pub fn offers_since(&self, before: Number) -> Vec<Offer> {
        let made = self.reservations.range(before + 1..);
        made.map(|(reservation, (task, worker))| {
            let earlier = self.reservations_of(*task, *worker).into_iter().filter(|other| other < reservation);
            Offer { reservation: *reservation, task: *task, worker: *worker, nth: earlier.count() }
        })
        .collect()
    }

    pub fn last_reservation(&self) -> Number {
        self.reservations.keys().last().copied().unwrap_or(0)
    }

    /// Whether everything that a command names by number exists. The routers rely on it: whoever serves requests
    /// looks objects up first.
    pub fn has_what_it_names(&self, command: &Command) -> bool {
        let reservation = |id: &Id<Reservation>| self.reservations.contains_key(&id.number());
        if self.deleted {
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
            Command::UpdateActivity { id, .. } | Command::DeleteActivity { id } => {
                self.activities.contains(&id.number())
            }
            Command::UpdateTaskChannel { id, .. } | Command::DeleteTaskChannel { id } => {
                self.channels.contains(&id.number())
            }
            Command::UpdateWorker(UpdateWorker { id, .. }) | Command::DeleteWorker { id } => {
                self.workers.contains(&id.number())
            }
            Command::UpdateWorkerChannel { worker, task_channel, .. } => {
                self.workers.contains(&worker.number()) && self.channels.contains(&task_channel.number())
            }
            Command::UpdateTaskQueue(UpdateTaskQueue { id, .. }) | Command::DeleteTaskQueue { id } => {
                self.queues.contains(&id.number())
            }
            Command::UpdateWorkflow(UpdateWorkflow { id, .. }) | Command::DeleteWorkflow { id } => {
                self.workflows.contains(&id.number())
            }
            Command::UpdateTask(UpdateTask { id, .. })
            | Command::DeleteTask { id }
            | Command::WriteTaskAttributes { id, .. }
            | Command::AbandonTask { id, .. } => self.tasks.contains(&id.number()),
            Command::AcceptReservation { id }
            | Command::RejectReservation { id, .. }
            | Command::WrapReservation { id }
            | Command::CompleteReservation { id }
            | Command::BeginSetup { reservation: id, .. }
            | Command::EndSetup { reservation: id, .. }
            | Command::NoteCall { reservation: id, .. }
            | Command::EndLeg { reservation: id, .. }
            | Command::AnswerCallback { reservation: id }
            | Command::FailCallback { reservation: id } => reservation(id),
            Command::InitiateTransfer(request) => {
                self.tasks.contains(&request.task.number()) && reservation(&request.reservation)
            }
            Command::CancelTransfer { id } => self.transfers.contains(&id.number()),
        }
    }

    /// Replaces SIDs by the kind and number of what they name.
    pub fn readable(&self, text: &str) -> String {
        fn replace<E: Entity>(text: String, kind: &str, numbers: impl IntoIterator<Item = Number>) -> String {
            numbers.into_iter().fold(text, |text, number| {
                text.replace(&derive_sid::<E>(WORKSPACE_SEED, number).to_string(), &format!("{kind}#{number}"))
            })
        }
        let text = replace::<Activity>(text.to_string(), "activity", self.activities.iter().copied());
        let text = replace::<TaskChannel>(text, "channel", self.channels.iter().copied());
        let text = replace::<Worker>(text, "worker", self.workers.iter().copied());
        let text = replace::<TaskQueue>(text, "queue", self.queues.iter().copied());
        let text = replace::<Workflow>(text, "workflow", self.workflows.iter().copied());
        let text = replace::<Task>(text, "task", self.tasks.iter().copied());
        let text = replace::<Reservation>(text, "reservation", self.reservations.keys().copied());
        replace::<Transfer>(text, "transfer", self.transfers.iter().copied())
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

    fn reservation(&self, id: Id<Reservation>, existing: &Existing) -> Option<Id<Reservation>> {
        let offer = self.offers.get(&id.number())?;
        let (task, worker) = (self.numbers.get(&offer.task)?, self.numbers.get(&offer.worker)?);
        let numbers = existing.reservations_of(*task, *worker);
        numbers.get(offer.nth).or_else(|| numbers.last()).copied().map(Id::new)
    }

    /// The command in the words of the present run; `None` if something that it names does not exist there.
    pub fn translate(&self, command: &Command, existing: &Existing) -> Option<Command> {
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
            Command::AcceptReservation { id } => Command::AcceptReservation { id: self.reservation(*id, existing)? },
            Command::RejectReservation { id, activity } => Command::RejectReservation {
                id: self.reservation(*id, existing)?,
                activity: activity.map(|sid| self.sid(sid)),
            },
            Command::WrapReservation { id } => Command::WrapReservation { id: self.reservation(*id, existing)? },
            Command::CompleteReservation { id } => {
                Command::CompleteReservation { id: self.reservation(*id, existing)? }
            }
            Command::BeginSetup { reservation, instruction } => Command::BeginSetup {
                reservation: self.reservation(*reservation, existing)?,
                instruction: *instruction,
            },
            Command::EndSetup { reservation, outcome } => {
                Command::EndSetup { reservation: self.reservation(*reservation, existing)?, outcome: *outcome }
            }
            Command::NoteCall { reservation, call } => {
                Command::NoteCall { reservation: self.reservation(*reservation, existing)?, call: call.clone() }
            }
            Command::EndLeg { reservation, activity } => Command::EndLeg {
                reservation: self.reservation(*reservation, existing)?,
                activity: activity.map(|sid| self.sid(sid)),
            },
            Command::AnswerCallback { reservation } => {
                Command::AnswerCallback { reservation: self.reservation(*reservation, existing)? }
            }
            Command::FailCallback { reservation } => {
                Command::FailCallback { reservation: self.reservation(*reservation, existing)? }
            }
            Command::AbandonTask { id, reason } => Command::AbandonTask { id: self.id(*id)?, reason: reason.clone() },
            Command::WriteTaskAttributes { id, attributes } => {
                Command::WriteTaskAttributes { id: self.id(*id)?, attributes: self.attributes(attributes) }
            }
            Command::InitiateTransfer(request) => Command::InitiateTransfer(InitiateTransfer {
                task: self.id(request.task)?,
                reservation: self.reservation(request.reservation, existing)?,
                target: match request.target {
                    TransferTargetSid::Worker(sid) => TransferTargetSid::Worker(self.sid(sid)),
                    TransferTargetSid::TaskQueue(sid) => TransferTargetSid::TaskQueue(self.sid(sid)),
                },
                attributes: request.attributes.as_ref().map(|attributes| self.attributes(attributes)),
                ..request.clone()
            }),
            Command::CancelTransfer { id } => Command::CancelTransfer { id: self.id(*id)? },
        };
        existing.has_what_it_names(&translated).then_some(translated)
    }
}

/// The number of what was created, and its SID if other commands may name it so.
fn created(reply: Reply) -> Option<(Number, Option<String>)> {
    fn named<E: Entity>(id: Id<E>) -> (Number, Option<String>) {
        (id.number(), Some(derive_sid::<E>(WORKSPACE_SEED, id.number()).to_string()))
    }
    match reply {
        Reply::Activity(id) => Some(named(id)),
        Reply::TaskChannel(id) => Some(named(id)),
        Reply::Worker(id) => Some(named(id)),
        Reply::TaskQueue(id) => Some(named(id)),
        Reply::Workflow(id) => Some(named(id)),
        Reply::Task(id) => Some(named(id)),
        Reply::Transfer(id) => Some(named(id)),
        Reply::Workspace | Reply::WorkerChannel(..) | Reply::Reservation(_) | Reply::Deleted => None,
    }
}
