//! Who comes and what they do: arrivals with rush hours, Workers with shifts and habits, an application whose
//! callbacks fail at times, and somebody who keeps changing the configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pointsman_engine::{
    Activity, Command, CreateTask, CreateTaskQueue, CreateWorkflow, DurationMs, EventKind, Id, InitiateTransfer,
    Instruction, Limits, Ordering, Priority, PublicEvent, RequestedStatus, Reservation, ReservationStatus,
    RoutingTargetSid, SetupOutcome, Sid, State, TaskStatus, Tasking, Timestamp, TransferMode, TransferStatus,
    TransferTargetSid, UpdateTask, UpdateTaskQueue, UpdateWorker, UpdateWorkflow, Worker,
};
use pointsman_expression::Attributes;

use super::{START, Size};
use crate::limits::INSTANTS_MAX;
use crate::naive::Canary;
use crate::random::Random;
use crate::script::Script;

pub(super) struct Workload {
    random: Random,
    size: Size,
    mix: Mix,
    building: Vec<Building>,
    now: Timestamp,
    ends: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    noted: u64,
    due: Option<Happening>,
    names: u64,
    /// Times at which anything has happened.
    instants: usize,
}

/// What a seed is made of.
#[derive(Clone, Debug)]
struct Mix {
    tasking: Tasking,
    prioritize: Ordering,
    limits: Limits,
    skills: usize,
    arrival_seconds: i64,
    handling_seconds: i64,
    lifo: bool,
    several_offers: bool,
    chat: bool,
    callbacks: bool,
    setups: bool,
    transfers: bool,
    direct: bool,
    meddling: bool,
    rejecting_percent: u32,
    ignoring_percent: u32,
}

#[derive(Clone, Copy, Debug)]
enum Building {
    Queue,
    Workflow,
    Worker,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Arrival,
    ShiftStart(Id<Worker>),
    ShiftEnd(Id<Worker>),
    Callback(Id<Reservation>),
    Decision(Id<Reservation>),
    SetupEnd(Id<Reservation>),
    LegEnd(Id<Reservation>),
    Finish(Id<Reservation>),
    Meddling,
}

impl Workload {
    pub(super) fn new(seed: u64, size: Size) -> Self {
        let mut random = Random::new(seed ^ 0x51u64.rotate_left(40));
        let large = size == Size::Large;
        let short = random.chance(25);
        let limits = if short {
            Limits {
                task_assignments_max: random.between(3, 30) as u32,
                assigned_max: DurationMs::from_seconds(random.between(900, 7_200) as u32),
                ..Limits::default()
            }
        } else {
            Limits::default()
        };
        let workers = if large { 40 + random.below(160) } else { 2 + random.below(7) };
        let handling_seconds = random.between(60, 1_200);
        // Half of the Workers are on duty; from idle to a little more than they can do.
        let busiest = (handling_seconds * 2 / workers as i64).max(2);
        let mix = Mix {
            tasking: if random.chance(20) { Tasking::Single } else { Tasking::Multi },
            prioritize: if random.chance(20) { Ordering::Lifo } else { Ordering::Fifo },
            limits,
            skills: 1 + random.below(if large { 12 } else { 4 }),
            arrival_seconds: random.between(busiest, busiest * 4),
            handling_seconds,
            lifo: random.chance(30),
            several_offers: random.chance(40),
            chat: random.chance(60),
            callbacks: random.chance(50),
            setups: random.chance(30),
            transfers: random.chance(40),
            direct: random.chance(30),
            meddling: random.chance(60),
            rejecting_percent: random.between(0, 30) as u32,
            ignoring_percent: random.between(0, 25) as u32,
        };
        let queues = if large { 3 + random.below(20) } else { 1 + random.below(4) };
        let mut building = vec![Building::Worker; workers];
        building.extend([Building::Workflow; 2]);
        building.extend(vec![Building::Queue; queues]);
        let days = if large { 1 } else { random.between(1, 3) };
        let mut workload = Self {
            random,
            size,
            mix,
            building,
            now: START,
            ends: Timestamp(START.0 + days * 86_400_000),
            agenda: BTreeMap::new(),
            noted: 0,
            due: None,
            names: 0,
            instants: 0,
        };
        workload.note(60_000, Happening::Arrival);
        if workload.mix.meddling {
            workload.note(1_200_000, Happening::Meddling);
        }
        workload
    }

    pub(super) fn script(&self) -> Script {
        Script {
            start: START,
            tasking: self.mix.tasking,
            prioritize: self.mix.prioritize,
            limits: self.mix.limits,
            canary: Canary::None,
            steps: Vec::new(),
        }
    }

    fn note(&mut self, after_ms: i64, happening: Happening) {
        self.noted += 1;
        self.agenda.insert((Timestamp(self.now.0 + after_ms), self.noted), happening);
    }

    /// Between a half and one and a half of a mean, in milliseconds; sometimes much longer.
    fn around(&mut self, mean_seconds: i64) -> i64 {
        let mean = mean_seconds * 1000;
        let span = self.random.between(mean / 2, mean + mean / 2);
        if self.random.chance(3) { span * 8 } else { span }
    }

    /// The next instant at which anything happens; `None` at the end.
    pub(super) fn when(&mut self, deadline: Option<Timestamp>) -> Option<Timestamp> {
        if !self.building.is_empty() {
            return Some(self.now);
        }
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        // Mostly every deadline is met by itself; now and then several pass in one turn.
        let at = match (next, deadline) {
            (Some(next), Some(deadline)) if deadline < next && self.random.chance(85) => deadline,
            (Some(next), _) => next,
            (None, _) => return None,
        };
        self.instants += 1;
        if self.ends <= at || INSTANTS_MAX < self.instants {
            return None;
        }
        self.now = at.max(self.now);
        let is_now = next.is_some_and(|next| next <= self.now);
        self.due = if is_now { self.agenda.pop_first().map(|(_, happening)| happening) } else { None };
        Some(self.now)
    }

    /// What is to be done now, if anything.
    pub(super) fn what(&mut self, state: &State) -> Option<Command> {
        if let Some(building) = self.building.pop() {
            return Some(self.build(building, state));
        }
        match self.due.take()? {
            Happening::Arrival => {
                // Twice as many in the middle of the day.
                let hour = self.now.0.rem_euclid(86_400_000) / 3_600_000;
                let mean =
                    if (9..15).contains(&hour) { self.mix.arrival_seconds / 2 } else { self.mix.arrival_seconds };
                let after = self.around(mean.max(1));
                self.note(after, Happening::Arrival);
                Some(self.arrive(state))
            }
            Happening::ShiftStart(worker) => {
                let length = self.around(4 * 3_600);
                self.note(length, Happening::ShiftEnd(worker));
                self.move_worker(state, worker, true, false)
            }
            Happening::ShiftEnd(worker) => {
                let pause = self.around(2 * 3_600);
                self.note(pause, Happening::ShiftStart(worker));
                let rejects = self.random.chance(50);
                self.move_worker(state, worker, false, rejects)
            }
            Happening::Callback(reservation) => {
                state.reservation(reservation)?;
                // An outage of twenty minutes every seven hours.
                let down = self.now.0.rem_euclid(25_200_000) < 1_200_000;
                Some(if down || self.random.chance(3) {
                    Command::FailCallback { reservation }
                } else {
                    Command::AnswerCallback { reservation }
                })
            }
            Happening::Decision(id) => self.decide(state, id),
            Happening::SetupEnd(reservation) => {
                state.reservation(reservation).filter(|row| row.is_on_hold())?;
                let outcome = if self.random.chance(80) {
                    SetupOutcome::Accepted
                } else {
                    SetupOutcome::Failed { reason_code: Some(13_223) }
                };
                Some(Command::EndSetup { reservation, outcome })
            }
            Happening::LegEnd(id) => {
                let row = state.reservation(id)?;
                if row.status != ReservationStatus::Accepted {
                    return None;
                }
                if self.mix.transfers && self.random.chance(25) {
                    return self.transfer(state, id);
                }
                let after = self.around(30);
                self.note(after, Happening::Finish(id));
                match self.random.below(4) {
                    0 if self.mix.tasking == Tasking::Multi => Some(Command::WrapReservation { id }),
                    1 if state.task(row.task).is_some_and(|task| task.status == TaskStatus::Assigned) => {
                        Some(task_update(state, id, RequestedStatus::Wrapping)?)
                    }
                    _ => Some(Command::EndLeg { reservation: id, activity: None }),
                }
            }
            Happening::Finish(id) => {
                let row = state.reservation(id)?;
                if !matches!(row.status, ReservationStatus::Accepted | ReservationStatus::Wrapping) {
                    return None;
                }
                // Some are forgotten: the limit of the assigned time takes them.
                match self.random.below(50) {
                    0 => None,
                    1..=25 => task_update(state, id, RequestedStatus::Completed),
                    _ => Some(Command::CompleteReservation { id }),
                }
            }
            Happening::Meddling => {
                let after = self.around(1_200);
                self.note(after, Happening::Meddling);
                self.meddle(state)
            }
        }
    }

    /// What people make of the events.
    pub(super) fn follow(&mut self, published: &[PublicEvent], state: &State) {
        for event in published {
            let reservation = event.reservation.as_ref().and_then(|facts| state.find_reservation(facts.sid));
            match (event.kind, reservation) {
                (EventKind::ReservationCreated, Some(row)) => {
                    let id = row.id;
                    if self.mix.callbacks {
                        let after = self.random.between(20, 2_000);
                        self.note(after, Happening::Callback(id));
                    }
                    if !self.random.chance(self.mix.ignoring_percent) {
                        let after = self.around(12);
                        self.note(after, Happening::Decision(id));
                    }
                }
                (EventKind::ReservationAccepted, Some(row)) => {
                    let id = row.id;
                    let after = self.around(self.mix.handling_seconds);
                    self.note(after, Happening::LegEnd(id));
                    // Single-tasking Workers must be freed by the application.
                    if self.mix.tasking == Tasking::Single {
                        let worker = row.worker;
                        self.note(after + 120_000, Happening::ShiftStart(worker));
                    }
                }
                (EventKind::ReservationTimeout, Some(row)) => {
                    let (worker, after) = (row.worker, self.around(600));
                    self.note(after, Happening::ShiftStart(worker));
                }
                (EventKind::WorkerCreated, _) => {
                    if let Some(worker) = event.worker.as_ref().and_then(|facts| state.find_worker(facts.sid)) {
                        let (worker, after) = (worker.id, self.random.between(0, 7_200_000));
                        self.note(after, Happening::ShiftStart(worker));
                    }
                }
                _ => {}
            }
        }
    }

    fn name(&mut self, kind: &str) -> Arc<str> {
        self.names += 1;
        format!("{kind}{}", self.names).into()
    }

    fn skill(&mut self) -> usize {
        self.random.below(self.mix.skills)
    }

    fn build(&mut self, building: Building, state: &State) -> Command {
        match building {
            Building::Queue => Command::CreateTaskQueue(CreateTaskQueue {
                friendly_name: self.name("queue"),
                target_workers: Some(self.queue_expression().into()),
                max_reserved_workers: self.mix.several_offers.then(|| self.random.between(1, 4) as u32),
                task_order: (self.mix.lifo && self.random.chance(40)).then_some(Ordering::Lifo),
                reservation_activity: None,
                assignment_activity: None,
            }),
            Building::Workflow => Command::CreateWorkflow(CreateWorkflow {
                friendly_name: self.name("workflow"),
                configuration: self.configuration(state),
                assignment_callback_url: self.mix.callbacks.then(|| "https://app.example.org/assign".into()),
                fallback_assignment_callback_url: None,
                task_reservation_timeout_seconds: Some(*self.random.pick(&[20, 30, 60, 120])),
            }),
            Building::Worker => Command::CreateWorker {
                friendly_name: self.name("worker"),
                attributes: self.worker_attributes(),
                activity: None,
            },
        }
    }

    fn worker_attributes(&mut self) -> Attributes {
        let skills: Vec<String> =
            (0..self.mix.skills).filter(|_| self.random.chance(40)).map(|skill| format!("s{skill}")).collect();
        let text = format!("{{\"skills\":{skills:?},\"lvl\":{}}}", self.random.below(10));
        Attributes::parse(&text).expect("written as JSON")
    }

    fn queue_expression(&mut self) -> String {
        match self.random.below(4) {
            0 => "1==1".to_string(),
            1 => format!("lvl >= {}", self.random.below(6)),
            _ => format!("skills HAS 's{}'", self.skill()),
        }
    }

    fn configuration(&mut self, state: &State) -> Arc<str> {
        let queues: Vec<String> = state.task_queues().map(|queue| queue.sid.to_string()).collect();
        let mut text = String::from("{\"task_routing\":{\"filters\":[");
        for skill in 0..self.mix.skills {
            let separator = if skill == 0 { "" } else { "," };
            let queue = self.random.pick(&queues);
            let _ =
                write!(text, "{separator}{{\"expression\":\"need == 's{skill}'\",\"targets\":[{{\"queue\":\"{queue}\"");
            if self.random.chance(50) {
                text.push_str(",\"expression\":\"worker.lvl >= task.min\"");
            }
            if self.random.chance(30) {
                text.push_str(",\"order_by\":\"worker.lvl DESC\"");
            }
            if self.random.chance(30) {
                text.push_str(",\"skip_if\":\"workers.available == 0\"");
            }
            let _ = write!(text, ",\"timeout\":{}}}", self.random.pick(&[30, 120, 600]));
            let next = self.random.pick(&queues);
            let priority = self.random.below(20);
            let _ = write!(text, ",{{\"queue\":\"{next}\",\"priority\":{priority}");
            if self.random.chance(30) {
                text.push_str(",\"timeout\":1800");
            }
            text.push_str("}]}");
        }
        let _ = write!(text, "],\"default_filter\":{{\"queue\":\"{}\"}}}}}}", self.random.pick(&queues));
        text.into()
    }

    fn task_attributes(&mut self) -> Attributes {
        let text = format!("{{\"need\":\"s{}\",\"min\":{}}}", self.skill(), self.random.below(8));
        Attributes::parse(&text).expect("written as JSON")
    }

    fn arrive(&mut self, state: &State) -> Command {
        let workflows: Vec<_> = state.workflows().map(|workflow| workflow.sid).collect();
        let direct = self.mix.direct && self.random.chance(10);
        let worker = self.worker(state).and_then(|id| state.worker(id)).map(|worker| worker.sid).filter(|_| direct);
        Command::CreateTask(CreateTask {
            attributes: self.task_attributes(),
            workflow: self.random.choose(&workflows),
            timeout_seconds: self.random.chance(15).then(|| self.random.between(60, 3_600) as u32),
            priority: self.random.chance(30).then(|| Priority(self.random.below(30) as u32)),
            task_channel: (self.mix.chat && self.random.chance(50)).then(|| "chat".to_string()),
            virtual_start_time: None,
            routing_target: worker.map(RoutingTargetSid::Worker),
            ignore_capacity: worker.map(|_| self.random.chance(40)),
            task_queue: None,
            enqueue_action: None,
        })
    }

    fn worker(&mut self, state: &State) -> Option<Id<Worker>> {
        let workers: Vec<_> = state.workers().map(|worker| worker.id).collect();
        self.random.choose(&workers)
    }

    fn activity(state: &State, available: bool) -> Option<Sid<Activity>> {
        // "Reserved" and "Busy" are the engine's in a single-tasking Workspace.
        state.activities().find(|activity| activity.available == available).map(|activity| activity.sid)
    }

    fn move_worker(&mut self, state: &State, id: Id<Worker>, available: bool, rejects: bool) -> Option<Command> {
        state.workers().find(|worker| worker.id == id)?;
        Some(Command::UpdateWorker(UpdateWorker {
            id,
            friendly_name: None,
            attributes: self.random.chance(3).then(|| self.worker_attributes()),
            activity: Self::activity(state, available),
            reject_pending_reservations: rejects,
        }))
    }

    fn decide(&mut self, state: &State, id: Id<Reservation>) -> Option<Command> {
        state.reservation(id).filter(|row| row.status == ReservationStatus::Pending && !row.is_on_hold())?;
        if self.random.chance(self.mix.rejecting_percent) {
            let activity = if self.random.chance(20) { Self::activity(state, false) } else { None };
            return Some(Command::RejectReservation { id, activity });
        }
        if self.mix.setups && self.random.chance(50) {
            // Some are never heard of again.
            if !self.random.chance(5) {
                let after = self.around(15);
                self.note(after, Happening::SetupEnd(id));
            }
            return Some(Command::BeginSetup { reservation: id, instruction: Instruction::Conference });
        }
        Some(Command::AcceptReservation { id })
    }

    fn transfer(&mut self, state: &State, reservation: Id<Reservation>) -> Option<Command> {
        let queues: Vec<_> = state.task_queues().map(|queue| queue.sid).collect();
        let to_worker = self.worker(state).and_then(|id| state.worker(id)).filter(|_| self.random.chance(50));
        let target = match to_worker {
            Some(worker) => TransferTargetSid::Worker(worker.sid),
            None => TransferTargetSid::TaskQueue(self.random.choose(&queues)?),
        };
        // The initiator comes back to it in any case.
        self.note(300_000, Happening::LegEnd(reservation));
        Some(Command::InitiateTransfer(InitiateTransfer {
            task: state.reservation(reservation)?.task,
            reservation,
            target,
            mode: if self.random.chance(50) { TransferMode::Warm } else { TransferMode::Cold },
            attributes: None,
            priority: None,
        }))
    }

    fn meddle(&mut self, state: &State) -> Option<Command> {
        let waiting: Vec<_> = state.tasks().filter(|task| task.status.is_waiting()).map(|task| task.id).collect();
        match self.random.below(10) {
            0 => Some(Command::UpdateTask(UpdateTask {
                id: self.random.choose(&waiting)?,
                attributes: Some(self.task_attributes()),
                status: None,
                reason: None,
                priority: self.random.chance(30).then(|| Priority(self.random.below(30) as u32)),
                task_channel: None,
                virtual_start_time: None,
            })),
            1 => Some(Command::UpdateTask(UpdateTask {
                id: self.random.choose(&waiting)?,
                attributes: None,
                status: Some(RequestedStatus::Canceled),
                reason: Some("not needed any more".into()),
                priority: None,
                task_channel: None,
                virtual_start_time: None,
            })),
            2 => {
                let tasks: Vec<_> = state.tasks().map(|task| task.id).collect();
                Some(Command::DeleteTask { id: self.random.choose(&tasks)? })
            }
            3 => {
                let workflows: Vec<_> = state.workflows().map(|workflow| workflow.id).collect();
                Some(Command::UpdateWorkflow(UpdateWorkflow {
                    id: self.random.choose(&workflows)?,
                    friendly_name: None,
                    configuration: Some(self.configuration(state)),
                    assignment_callback_url: None,
                    fallback_assignment_callback_url: None,
                    task_reservation_timeout_seconds: None,
                    re_evaluate_tasks: self.random.chance(50),
                }))
            }
            4 => {
                let queues: Vec<_> = state.task_queues().map(|queue| queue.id).collect();
                Some(Command::UpdateTaskQueue(UpdateTaskQueue {
                    id: self.random.choose(&queues)?,
                    friendly_name: None,
                    target_workers: Some(self.queue_expression().into()),
                    max_reserved_workers: None,
                    task_order: None,
                    reservation_activity: None,
                    assignment_activity: None,
                }))
            }
            5 => {
                let away = state
                    .workers()
                    .filter(|worker| state.activity(worker.activity).is_some_and(|activity| !activity.available));
                let away: Vec<_> = away.map(|worker| worker.id).collect();
                let keeps = self.size == Size::Small && state.workers_count() < 3;
                if keeps { None } else { Some(Command::DeleteWorker { id: self.random.choose(&away)? }) }
            }
            6 => Some(self.build(Building::Worker, state)),
            7 => {
                let open = state.transfers().filter(|transfer| transfer.status == TransferStatus::Initiated);
                let open: Vec<_> = open.map(|transfer| transfer.id).collect();
                Some(Command::CancelTransfer { id: self.random.choose(&open)? })
            }
            _ => {
                let channels =
                    state.task_channels().filter(|channel| matches!(&*channel.unique_name, "default" | "chat"));
                let channels: Vec<_> = channels.map(|channel| channel.id).collect();
                Some(Command::UpdateWorkerChannel {
                    worker: self.worker(state)?,
                    task_channel: self.random.choose(&channels)?,
                    capacity: Some(self.random.below(5) as u32),
                    available: self.random.chance(20).then(|| self.random.chance(70)),
                })
            }
        }
    }
}

fn task_update(state: &State, id: Id<Reservation>, status: RequestedStatus) -> Option<Command> {
    Some(Command::UpdateTask(UpdateTask {
        id: state.reservation(id)?.task,
        attributes: None,
        status: Some(status),
        reason: None,
        priority: None,
        task_channel: None,
        virtual_start_time: None,
    }))
}
