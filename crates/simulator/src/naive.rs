//! A second router, written from the reference to be read beside it: no indexes, no incremental state, every question
//! answered by looking at everything. Reference: routing, sections 2 to 6; the files are named for them.
//!
//! It is the oracle of [`compare`](crate::compare): the same commands in, the same public events, answers, refusals
//! and state out. It shares the engine's value types, its commands and the expression language, nothing else.

mod commands;
mod lifecycle;
mod matching;
mod model;
mod picture;
mod publish;
mod rules;
mod steps;
mod timers;
mod transfers;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_engine::{
    CreateWorkspace, Entity, EventKind, Limits, OperatingUnit, Ordering, PublicEvent, ReservationStatus, RestartCause,
    RoutingCause, Sid, Tasking, Timestamp, derive_sid,
};

pub use self::model::{
    Activity, Channel, Number, Place, Queue, Reservation, Task, Transfer, Worker, WorkerChannel, Workflow,
};
pub use self::picture::picture_of_engine;
pub use self::rules::{Filter, Known, Rules, Step};

/// A rule broken on purpose, to show that the comparison would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    #[default]
    None,
    /// Younger Tasks of one priority are served first.
    YoungestFirst,
    /// A wrapping reservation uses no capacity.
    WrappingIsFree,
    /// A Worker who rejects keeps its place in the line.
    RejectionKeepsIdleness,
}

/// One Workspace.
#[derive(Clone, Debug)]
pub struct Naive {
    pub now: Timestamp,
    pub canary: Canary,
    seed: [u8; 16],
    limits: Limits,
    workspace_name: Arc<str>,
    callback: Option<Arc<str>>,
    filter: Option<Arc<str>>,
    pub tasking: Tasking,
    pub prioritize: Ordering,
    pub default_activity: Number,
    pub timeout_activity: Number,
    pub deleted: bool,
    pub activities: BTreeMap<Number, Activity>,
    pub channels: BTreeMap<Number, Channel>,
    pub workers: BTreeMap<Number, Worker>,
    pub queues: BTreeMap<Number, Queue>,
    pub workflows: BTreeMap<Number, Workflow>,
    pub tasks: BTreeMap<Number, Task>,
    pub reservations: BTreeMap<Number, Reservation>,
    pub transfers: BTreeMap<Number, Transfer>,
    created: u64,
    published: u64,
    events: Vec<PublicEvent>,
    /// Tasks that fell back to pending since the last settle.
    returned: Vec<(Number, RoutingCause)>,
    /// Tasks whose skip test is to be made.
    entered: Vec<Number>,
    /// Initiators of cold transfers who leave after the matching.
    leaving: Vec<Number>,
}

impl Naive {
    /// Brings a Workspace into being, without a template.
    pub fn create(at: Timestamp, limits: Limits, create: &CreateWorkspace) -> Self {
        let mut naive = Self {
            now: at,
            canary: Canary::None,
            seed: create.seed,
            limits,
            workspace_name: create.friendly_name.clone(),
            callback: create.event_callback_url.clone(),
            filter: create.events_filter.clone(),
            tasking: create.tasking,
            prioritize: create.prioritize_queue_order,
            default_activity: 1,
            timeout_activity: 1,
            deleted: false,
            activities: BTreeMap::new(),
            channels: BTreeMap::new(),
            workers: BTreeMap::new(),
            queues: BTreeMap::new(),
            workflows: BTreeMap::new(),
            tasks: BTreeMap::new(),
            reservations: BTreeMap::new(),
            transfers: BTreeMap::new(),
            created: 0,
            published: 0,
            events: Vec::new(),
            returned: Vec::new(),
            entered: Vec::new(),
            leaving: Vec::new(),
        };
        let activities: &[(&str, bool)] = match create.tasking {
            Tasking::Multi => &[("Offline", false), ("Unavailable", false), ("Available", true)],
            Tasking::Single => &[("Offline", false), ("Idle", true), ("Reserved", false), ("Busy", false)],
        };
        for (name, available) in activities {
            naive.add_activity((*name).into(), *available);
        }
        for (unique_name, name) in [
            ("default", "Default"),
            ("voice", "Voice"),
            ("sms", "SMS"),
            ("chat", "Programmable Chat"),
            ("video", "Video"),
        ] {
            naive.add_channel(unique_name.into(), name.into(), false, true);
        }
        naive.publish(EventKind::WorkspaceCreated, |_| {});
        naive
    }

    /// The public events since the last call.
    pub fn take_events(&mut self) -> Vec<PublicEvent> {
        std::mem::take(&mut self.events)
    }

    fn next_number(&mut self) -> Number {
        self.created += 1;
        self.created
    }

    pub fn sid<E: Entity>(&self, number: Number) -> Sid<E> {
        derive_sid(self.seed, number)
    }

    fn operating_unit(&self) -> Sid<OperatingUnit> {
        derive_sid(self.seed, 0)
    }

    pub fn is_single(&self) -> bool {
        self.tasking == Tasking::Single
    }

    fn task(&self, number: Number) -> &Task {
        &self.tasks[&number]
    }

    fn task_mut(&mut self, number: Number) -> &mut Task {
        self.tasks.get_mut(&number).expect("named Tasks exist")
    }

    fn reservation(&self, number: Number) -> &Reservation {
        &self.reservations[&number]
    }

    fn reservation_mut(&mut self, number: Number) -> &mut Reservation {
        self.reservations.get_mut(&number).expect("named reservations exist")
    }

    fn worker_mut(&mut self, number: Number) -> &mut Worker {
        self.workers.get_mut(&number).expect("named Workers exist")
    }

    fn is_available(&self, worker: &Worker) -> bool {
        self.activities[&worker.activity].available
    }

    /// Reservations of a Task that are pending, accepted or wrapping.
    pub fn active_of(&self, task: Number) -> Vec<Number> {
        let active = |reservation: &&Reservation| reservation.task == task && reservation.status.is_active();
        self.reservations.values().filter(active).map(|reservation| reservation.number).collect()
    }

    fn with_status(&self, task: Number, status: ReservationStatus) -> Vec<Number> {
        let of = |reservation: &&Reservation| reservation.task == task && reservation.status == status;
        self.reservations.values().filter(of).map(|reservation| reservation.number).collect()
    }

    /// Reservations that count as load of a Worker on a TaskChannel.
    pub fn load(&self, worker: Number, channel: Number) -> u32 {
        let counts = |reservation: &&Reservation| {
            reservation.worker == worker
                && reservation.status.is_active()
                && self.task(reservation.task).channel == channel
                && !(self.canary == Canary::WrappingIsFree && reservation.status == ReservationStatus::Wrapping)
        };
        self.reservations.values().filter(counts).count() as u32
    }

    /// The transfer of a Task that is under way.
    pub fn open_transfer(&self, task: Number) -> Option<Number> {
        let open = |transfer: &&Transfer| {
            transfer.task == task && transfer.status == pointsman_engine::TransferStatus::Initiated
        };
        self.transfers.values().find(open).map(|transfer| transfer.number)
    }

    /// The step that a Task is in.
    pub fn step(&self, task: &Task) -> Option<Step> {
        match (task.place, &task.rules) {
            (Some(Place::Step(position)), Some(rules)) => Some(rules.step(position).clone()),
            _ => None,
        }
    }

    /// When the step of a Task is over.
    pub fn step_deadline(&self, task: &Task) -> Option<Timestamp> {
        let timeout = self.step(task)?.timeout_seconds?;
        Some(deadline(task, timeout))
    }

    /// A live queue by the text of its SID.
    fn queue_by_sid(&self, text: &str) -> Option<Number> {
        let named = |queue: &&Queue| {
            !queue.deleted && self.sid::<pointsman_engine::TaskQueue>(queue.number).to_string() == text
        };
        self.queues.values().find(named).map(|queue| queue.number)
    }

    fn remember_restart(&mut self, task: Number, cause: RestartCause) {
        let restart = &mut self.task_mut(task).restart;
        *restart = (*restart).max(Some(cause));
    }
}

/// The deadline of a step with this time-out (routing, section 2.9).
fn deadline(task: &Task, timeout_seconds: u32) -> Timestamp {
    let seconds = task.budget_seconds + u64::from(timeout_seconds);
    Timestamp(task.clock_start.0 + seconds as i64 * 1000)
}
