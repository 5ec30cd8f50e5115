//! Random worlds and what happens in them. Each seed draws a mix of features first, so that some worlds are all
//! transfers and others have none; the same small vocabulary everywhere makes things meet.

mod things;

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, Id, InitiateTransfer, Instruction, Limits, Ordering,
    Priority, RequestedStatus, ReservationStatus, RoutingTargetSid, SetupOutcome, TaskStatus, Tasking, Timestamp,
    TransferMode, TransferStatus, TransferTargetSid, UpdateTask, UpdateTaskQueue, UpdateWorker, UpdateWorkflow,
    UpdateWorkspace,
};
use pointsman_engine::{DurationMs, Sid};

use crate::naive::{Canary, Naive, Number};
use crate::random::Random;
use crate::script::{Existing, Script};

/// What may occur in a world; each on or off.
#[derive(Clone, Debug)]
pub struct Features {
    pub single_tasking: bool,
    pub many_channels: bool,
    pub optimized_channels: bool,
    pub lifo: bool,
    pub several_offers: bool,
    pub step_timeouts: bool,
    pub priorities: bool,
    pub skips: bool,
    pub orders: bool,
    pub known_workers: bool,
    pub counters: bool,
    pub clock: bool,
    pub activities: bool,
    pub direct: bool,
    pub transfers: bool,
    pub setups: bool,
    pub callbacks: bool,
    pub re_evaluation: bool,
    pub attribute_updates: bool,
    pub configuration_updates: bool,
    pub deletions: bool,
    pub short_limits: bool,
    pub mode_switches: bool,
}

/// A world in the making.
#[derive(Clone, Debug)]
pub struct World {
    random: Random,
    pub features: Features,
    pub canary: Canary,
    limits: Limits,
    prioritize: Ordering,
    tasking: Tasking,
    now: Timestamp,
    building: Vec<Building>,
    steps: usize,
    names: usize,
    tasks_max: usize,
}

/// What the world is furnished with first.
#[derive(Clone, Copy, Debug)]
enum Building {
    Activity,
    Channel,
    Worker,
    Queue,
    Workflow,
    Capacity,
}

/// Tuesday 2026-02-03, 08:58:50 UTC: the hour changes soon.
pub const START: Timestamp = Timestamp(1_770_109_130_000);

impl World {
    /// A small world: 2 to 6 Workers, 1 to 4 queues, up to 12 Tasks at a time.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut on = |percent| random.chance(percent);
        let features = Features {
            single_tasking: on(25),
            many_channels: on(50),
            optimized_channels: on(40),
            lifo: on(40),
            several_offers: on(40),
            step_timeouts: on(60),
            priorities: on(60),
            skips: on(45),
            orders: on(40),
            known_workers: on(30),
            counters: on(40),
            clock: on(25),
            activities: on(40),
            direct: on(35),
            transfers: on(40),
            setups: on(30),
            callbacks: on(35),
            re_evaluation: on(35),
            attribute_updates: on(60),
            configuration_updates: on(35),
            deletions: on(40),
            short_limits: on(30),
            mode_switches: on(5),
        };
        let limits = if features.short_limits {
            Limits {
                task_assignments_max: random.between(2, 6) as u32,
                assigned_max: DurationMs::from_seconds(random.between(20, 300) as u32),
                finished_retention: DurationMs::from_seconds(random.between(5, 60) as u32),
                ..Limits::default()
            }
        } else {
            Limits::default()
        };
        let mut building = Vec::new();
        let mut add = |what, count| building.extend(std::iter::repeat_n(what, count));
        add(Building::Activity, random.below(3));
        add(Building::Channel, usize::from(features.many_channels) * random.below(3));
        add(Building::Worker, 2 + random.below(5));
        add(Building::Queue, 1 + random.below(4));
        add(Building::Workflow, 1 + random.below(2));
        add(Building::Capacity, random.below(8));
        building.reverse();
        let steps = 10 + random.below(80);
        let tasks_max = 1 + random.below(12);
        let prioritize = if features.lifo && random.chance(40) { Ordering::Lifo } else { Ordering::Fifo };
        let tasking = if features.single_tasking { Tasking::Single } else { Tasking::Multi };
        Self {
            random,
            features,
            canary: Canary::None,
            limits,
            prioritize,
            tasking,
            now: START,
            building,
            steps,
            names: 0,
            tasks_max,
        }
    }

    /// Its script, without steps.
    pub fn script(&self) -> Script {
        Script {
            start: START,
            tasking: self.tasking,
            prioritize: self.prioritize,
            limits: self.limits,
            canary: self.canary,
            steps: Vec::new(),
        }
    }

    /// What happens next, given what is; `None` at the end.
    pub fn next(&mut self, naive: &Naive) -> Option<(Timestamp, Option<Command>)> {
        if let Some(building) = self.building.pop() {
            self.now.0 += [0, 1, 1000][self.random.below(3)];
            return Some((self.now, Some(self.build(building, naive))));
        }
        if self.steps == 0 || naive.deleted {
            return None;
        }
        // Time passed since: deadlines may have taken what is chosen here, and then nothing is asked.
        self.steps -= 1;
        if self.random.chance(12) {
            self.pass_time(naive);
            return Some((self.now, None));
        }
        if self.random.chance(45) {
            self.pass_time(naive);
        }
        for _ in 0..20 {
            if let Some(command) = self.act(naive).filter(|command| Existing::from(naive).has_what_it_names(command)) {
                return Some((self.now, Some(command)));
            }
        }
        Some((self.now, None))
    }

    /// A little, or to a deadline, or around it, or far beyond.
    fn pass_time(&mut self, naive: &Naive) {
        let deadline = naive.next_deadline().map(|due| due.0);
        let now = self.now.0;
        let next = match (self.random.below(24), deadline) {
            (0..=2, Some(due)) => due,
            (3, Some(due)) => due - 1,
            (4, Some(due)) => due + 1,
            (5, Some(due)) => due + self.random.between(1, 120_000),
            (6, _) => now + self.random.between(60_000, 700_000),
            (7, _) if self.random.chance(15) => now + self.random.between(3_600_000, 90_000_000),
            (8..=13, _) => now + self.random.between(1, 20),
            (14..=20, _) => now + 1000 * self.random.between(1, 6),
            _ => now + self.random.between(1, 15_000),
        };
        self.now = Timestamp(next.max(now));
    }

    fn build(&mut self, building: Building, naive: &Naive) -> Command {
        match building {
            Building::Activity => {
                Command::CreateActivity { friendly_name: self.activity_name(), available: self.random.chance(60) }
            }
            Building::Channel => {
                let name = self.name("channel");
                let optimized_routing = self.features.optimized_channels && self.random.chance(50);
                Command::CreateTaskChannel { friendly_name: name.clone(), unique_name: name, optimized_routing }
            }
            Building::Worker => self.create_worker(naive),
            Building::Queue => self.create_queue(naive),
            Building::Workflow => self.create_workflow(naive),
            Building::Capacity => self.update_channel(naive).unwrap_or_else(|| self.create_worker(naive)),
        }
    }

    /// One thing that may happen, if it can.
    fn act(&mut self, naive: &Naive) -> Option<Command> {
        let pending = |status: ReservationStatus| -> Vec<Number> {
            naive.reservations.values().filter(|row| row.status == status).map(|row| row.number).collect()
        };
        if self.features.callbacks && self.random.chance(12) {
            return self.call_back(naive, &pending(ReservationStatus::Pending));
        }
        match self.random.below(100) {
            0..=15 => {
                let live = naive.tasks.values().filter(|task| !task.status.is_terminal()).count();
                (live < self.tasks_max).then(|| self.create_task(naive))
            }
            16..=33 => Some(Command::AcceptReservation { id: self.reservation(&pending(ReservationStatus::Pending))? }),
            34..=40 => {
                let activity = self.random.chance(25).then(|| self.activity(naive));
                Some(Command::RejectReservation {
                    id: self.reservation(&pending(ReservationStatus::Pending))?,
                    activity,
                })
            }
            41..=45 => {
                let id = self.reservation(&pending(ReservationStatus::Accepted))?;
                if self.random.chance(20) {
                    let activity = self.random.chance(50).then(|| self.activity(naive));
                    return Some(Command::EndLeg { reservation: id, activity });
                }
                Some(Command::WrapReservation { id })
            }
            46..=51 => {
                let mut accepted = pending(ReservationStatus::Accepted);
                accepted.extend(pending(ReservationStatus::Wrapping));
                Some(Command::CompleteReservation { id: self.reservation(&accepted)? })
            }
            52..=56 => self.request_status(naive),
            57..=64 => self.update_worker(naive),
            65..=67 => self.update_channel(naive),
            68..=74 if self.features.attribute_updates => self.update_task(naive),
            75..=83 if self.features.transfers => self.transfer(naive),
            84..=87 if self.features.setups => self.setup(naive),
            88..=90 if self.features.callbacks => self.call_back(naive, &pending(ReservationStatus::Pending)),
            91..=92 if self.features.re_evaluation || self.features.configuration_updates => {
                self.update_workflow(naive)
            }
            93..=94 if self.features.configuration_updates => self.configure(naive),
            95..=96 if self.features.deletions => self.delete(naive),
            97 => {
                // Whatever it is, it is refused or does nothing.
                let any: Vec<Number> = naive.reservations.keys().copied().collect();
                let id = self.reservation(&any)?;
                Some(match self.random.below(5) {
                    0 => Command::AcceptReservation { id },
                    1 => Command::RejectReservation { id, activity: None },
                    2 => Command::WrapReservation { id },
                    3 => Command::CompleteReservation { id },
                    _ => Command::BeginSetup { reservation: id, instruction: Instruction::Conference },
                })
            }
            _ => None,
        }
    }

    fn reservation(&mut self, among: &[Number]) -> Option<Id<pointsman_engine::Reservation>> {
        self.random.choose(among).map(Id::new)
    }

    fn task(&mut self, naive: &Naive, fits: impl Fn(TaskStatus) -> bool) -> Option<Number> {
        let fitting: Vec<Number> =
            naive.tasks.values().filter(|task| fits(task.status)).map(|task| task.number).collect();
        self.random.choose(&fitting)
    }

    fn request_status(&mut self, naive: &Naive) -> Option<Command> {
        let id = self.task(naive, |_| true)?;
        let status = match naive.tasks[&id].status {
            TaskStatus::Pending | TaskStatus::Reserved if self.random.chance(80) => {
                if self.random.chance(70) {
                    return None;
                }
                RequestedStatus::Canceled
            }
            TaskStatus::Assigned if self.random.chance(50) => RequestedStatus::Wrapping,
            TaskStatus::Assigned | TaskStatus::Wrapping if self.random.chance(90) => RequestedStatus::Completed,
            _ => *self.random.pick(&[RequestedStatus::Canceled, RequestedStatus::Wrapping, RequestedStatus::Completed]),
        };
        let attributes = self.random.chance(10).then(|| self.task_attributes(naive));
        Some(Command::UpdateTask(UpdateTask {
            id: Id::new(id),
            attributes,
            status: Some(status),
            reason: self.random.chance(50).then(|| "because".into()),
            priority: None,
            task_channel: None,
            virtual_start_time: None,
        }))
    }

    fn update_task(&mut self, naive: &Naive) -> Option<Command> {
        let waits = self.random.chance(80);
        let id = self.task(naive, |status| !waits || status.is_waiting())?;
        if self.random.chance(8) {
            return Some(Command::WriteTaskAttributes { id: Id::new(id), attributes: self.task_attributes(naive) });
        }
        if self.random.chance(3) {
            return Some(Command::AbandonTask { id: Id::new(id), reason: "hangup".into() });
        }
        let start = self.now.0 - 1000 * self.random.between(-1, 100);
        Some(Command::UpdateTask(UpdateTask {
            id: Id::new(id),
            attributes: self.random.chance(60).then(|| self.task_attributes(naive)),
            status: None,
            reason: self.random.chance(5).then(|| "noted".into()),
            priority: (self.features.priorities && self.random.chance(40)).then(|| self.priority()),
            task_channel: (self.features.many_channels && self.random.chance(15)).then(|| self.channel_name(naive)),
            virtual_start_time: self.random.chance(20).then_some(Timestamp(start)),
        }))
    }

    fn update_worker(&mut self, naive: &Naive) -> Option<Command> {
        let id = self.worker(naive)?;
        let activity = self.random.chance(75).then(|| {
            // Back to work more often than not, else everything stands still.
            let available: Vec<Number> =
                naive.activities.values().filter(|row| row.available && !row.deleted).map(|row| row.number).collect();
            match self.random.choose(&available) {
                Some(number) if self.random.chance(60) => naive.sid(number),
                _ => self.activity(naive),
            }
        });
        let goes = activity
            .is_some_and(|sid| naive.activities.values().any(|row| !row.available && naive.sid(row.number) == sid));
        Some(Command::UpdateWorker(UpdateWorker {
            id: Id::new(id),
            friendly_name: self.random.chance(4).then(|| self.name("renamed")),
            attributes: self.random.chance(25).then(|| self.worker_attributes()),
            activity,
            reject_pending_reservations: self.random.chance(if goes { 40 } else { 4 }),
        }))
    }

    fn update_channel(&mut self, naive: &Naive) -> Option<Command> {
        let worker = self.worker(naive)?;
        let channels: Vec<Number> = naive
            .channels
            .values()
            .filter(|row| !row.deleted && self.uses(&row.unique_name))
            .map(|row| row.number)
            .collect();
        let channel = self.random.choose(&channels)?;
        Some(Command::UpdateWorkerChannel {
            worker: Id::new(worker),
            task_channel: Id::new(channel),
            capacity: self.random.chance(80).then(|| *self.random.pick(&[0, 1, 1, 2, 2, 3, 4])),
            available: self.random.chance(30).then(|| self.random.chance(65)),
        })
    }

    fn transfer(&mut self, naive: &Naive) -> Option<Command> {
        let open: Vec<Number> = naive
            .transfers
            .values()
            .filter(|row| row.status == TransferStatus::Initiated)
            .map(|row| row.number)
            .collect();
        if !open.is_empty() && self.random.chance(35) {
            return Some(Command::CancelTransfer { id: Id::new(*self.random.pick(&open)) });
        }
        let accepted: Vec<(Number, Number)> = naive
            .reservations
            .values()
            .filter(|row| row.status == ReservationStatus::Accepted)
            .map(|row| (row.task, row.number))
            .collect();
        let (task, reservation) = self.random.choose(&accepted)?;
        let target = if self.random.chance(50) {
            TransferTargetSid::Worker(naive.sid(self.worker(naive)?))
        } else {
            TransferTargetSid::TaskQueue(naive.sid(self.queue(naive)?))
        };
        Some(Command::InitiateTransfer(InitiateTransfer {
            task: Id::new(task),
            reservation: Id::new(reservation),
            target,
            mode: if self.random.chance(50) { TransferMode::Warm } else { TransferMode::Cold },
            attributes: self.random.chance(15).then(|| self.task_attributes(naive)),
            priority: self.random.chance(15).then(|| self.priority()),
        }))
    }

    /// The application answers or fails; answers come late, too.
    fn call_back(&mut self, naive: &Naive, pending: &[Number]) -> Option<Command> {
        let held: Vec<Number> = naive
            .reservations
            .values()
            .filter(|row| naive.tasks[&row.task].held_until.is_some())
            .map(|row| row.number)
            .collect();
        if !held.is_empty() && self.random.chance(30) {
            return Some(Command::AnswerCallback { reservation: self.reservation(&held)? });
        }
        let late: Vec<Number> = naive.reservations.keys().copied().collect();
        let among = if self.random.chance(15) { &late } else { pending };
        let reservation = self.reservation(among)?;
        Some(if self.random.chance(75) {
            Command::FailCallback { reservation }
        } else {
            Command::AnswerCallback { reservation }
        })
    }

    fn setup(&mut self, naive: &Naive) -> Option<Command> {
        let held = |wanted: bool| -> Vec<Number> {
            let rows = naive.reservations.values().filter(|row| row.is_pending() && row.hold.is_some() == wanted);
            rows.map(|row| row.number).collect()
        };
        if let Some(reservation) = self.reservation(&held(true))
            && self.random.chance(60)
        {
            let reason_code = self.random.chance(50).then_some(13_223);
            let outcome = match () {
                () if self.random.chance(50) => SetupOutcome::Accepted,
                () if self.random.chance(20) => SetupOutcome::Released,
                () => SetupOutcome::Failed { reason_code },
            };
            return Some(Command::EndSetup { reservation, outcome });
        }
        let instruction = *self.random.pick(&[Instruction::Conference, Instruction::Dequeue]);
        Some(Command::BeginSetup { reservation: self.reservation(&held(false))?, instruction })
    }

    fn update_workflow(&mut self, naive: &Naive) -> Option<Command> {
        let id = self.workflow(naive)?;
        let configuration = self.random.chance(60).then(|| self.configuration(naive));
        Some(Command::UpdateWorkflow(UpdateWorkflow {
            id: Id::new(id),
            friendly_name: None,
            configuration,
            assignment_callback_url: None,
            fallback_assignment_callback_url: None,
            task_reservation_timeout_seconds: self.random.chance(40).then(|| self.reservation_timeout()),
            re_evaluate_tasks: self.features.re_evaluation && self.random.chance(60),
        }))
    }

    fn configure(&mut self, naive: &Naive) -> Option<Command> {
        Some(match self.random.below(8) {
            0..=3 => Command::UpdateTaskQueue(UpdateTaskQueue {
                id: Id::new(self.queue(naive)?),
                friendly_name: None,
                target_workers: self.random.chance(60).then(|| self.queue_expression(naive).into()),
                max_reserved_workers: self.random.chance(40).then(|| self.random.between(1, 4) as u32),
                task_order: self.random.chance(30).then(|| self.task_order()),
                reservation_activity: self.random.chance(15).then(|| Some(self.activity(naive))),
                assignment_activity: self.random.chance(15).then(|| Some(self.activity(naive))),
            }),
            4 => {
                let channels: Vec<Number> =
                    naive.channels.values().filter(|row| !row.deleted).map(|row| row.number).collect();
                Command::UpdateTaskChannel {
                    id: Id::new(self.random.choose(&channels)?),
                    friendly_name: None,
                    optimized_routing: Some(self.random.chance(50)),
                }
            }
            5 => Command::UpdateWorkspace(UpdateWorkspace {
                tasking: self
                    .features
                    .mode_switches
                    .then(|| if self.random.chance(50) { Tasking::Single } else { Tasking::Multi }),
                may_become_single_tasking: true,
                prioritize_queue_order: Some(self.task_order()),
                timeout_activity: self.random.chance(40).then(|| self.activity(naive)),
                default_activity: self.random.chance(40).then(|| self.activity(naive)),
                ..UpdateWorkspace::default()
            }),
            6 => {
                let rows: Vec<Number> =
                    naive.activities.values().filter(|row| !row.deleted).map(|row| row.number).collect();
                Command::UpdateActivity {
                    id: Id::new(self.random.choose(&rows)?),
                    friendly_name: Some(self.activity_name()),
                }
            }
            _ => {
                let building = *self.random.pick(&[
                    Building::Activity,
                    Building::Channel,
                    Building::Worker,
                    Building::Queue,
                    Building::Workflow,
                ]);
                self.build(building, naive)
            }
        })
    }

    fn delete(&mut self, naive: &Naive) -> Option<Command> {
        Some(match self.random.below(12) {
            0..=3 => Command::DeleteTask { id: Id::new(self.task(naive, |_| true)?) },
            4..=6 => Command::DeleteWorker { id: Id::new(self.worker(naive)?) },
            7 => Command::DeleteTaskQueue { id: Id::new(self.queue(naive)?) },
            8 => Command::DeleteWorkflow { id: Id::new(self.workflow(naive)?) },
            9..=10 => {
                let rows: Vec<Number> =
                    naive.activities.values().filter(|row| !row.deleted).map(|row| row.number).collect();
                Command::DeleteActivity { id: Id::new(self.random.choose(&rows)?) }
            }
            _ => {
                let rows: Vec<Number> =
                    naive.channels.values().filter(|row| !row.deleted).map(|row| row.number).collect();
                Command::DeleteTaskChannel { id: Id::new(self.random.choose(&rows)?) }
            }
        })
    }

    fn create_worker(&mut self, naive: &Naive) -> Command {
        let attributes = self.worker_attributes();
        let available = naive.activities.values().rfind(|row| row.available && !row.deleted);
        let activity = match available {
            Some(row) if self.random.chance(75) => Some(naive.sid(row.number)),
            _ if self.random.chance(50) => Some(self.activity(naive)),
            _ => None,
        };
        Command::CreateWorker { friendly_name: self.worker_name(), attributes, activity }
    }

    fn create_queue(&mut self, naive: &Naive) -> Command {
        let single = naive.is_single();
        Command::CreateTaskQueue(CreateTaskQueue {
            friendly_name: self.name("queue"),
            target_workers: self.random.chance(85).then(|| self.queue_expression(naive).into()),
            max_reserved_workers: (self.features.several_offers && self.random.chance(60))
                .then(|| self.random.between(1, 4) as u32),
            task_order: self.random.chance(50).then(|| self.task_order()),
            reservation_activity: (single && self.random.chance(30)).then(|| self.activity(naive)),
            assignment_activity: (single && self.random.chance(30)).then(|| self.activity(naive)),
        })
    }

    fn create_workflow(&mut self, naive: &Naive) -> Command {
        Command::CreateWorkflow(CreateWorkflow {
            friendly_name: self.name("workflow"),
            configuration: self.configuration(naive),
            assignment_callback_url: None,
            fallback_assignment_callback_url: None,
            task_reservation_timeout_seconds: self.random.chance(70).then(|| self.reservation_timeout()),
        })
    }

    fn create_task(&mut self, naive: &Naive) -> Command {
        let workflow = self.workflow(naive).filter(|_| self.random.chance(98)).map(|number| naive.sid(number));
        let mut create = CreateTask {
            attributes: self.task_attributes(naive),
            workflow,
            timeout_seconds: self.random.chance(25).then(|| self.random.between(1, 90) as u32),
            priority: (self.features.priorities && self.random.chance(60)).then(|| self.priority()),
            task_channel: (self.features.many_channels && self.random.chance(60)).then(|| self.channel_name(naive)),
            virtual_start_time: self
                .random
                .chance(15)
                .then(|| Timestamp(self.now.0 - 1000 * self.random.between(0, 200))),
            routing_target: None,
            ignore_capacity: None,
            task_queue: None,
            enqueue_action: None,
        };
        if self.features.direct && self.random.chance(35) {
            let worker = self.worker(naive).map(|number| RoutingTargetSid::Worker(naive.sid(number)));
            let queue = self.queue(naive).map(|number| RoutingTargetSid::TaskQueue(naive.sid(number)));
            create.routing_target = if self.random.chance(65) { worker } else { queue };
            if matches!(create.routing_target, Some(RoutingTargetSid::Worker(_))) {
                create.ignore_capacity = self.random.chance(60).then(|| self.random.chance(30));
                create.task_queue =
                    self.queue(naive).filter(|_| self.random.chance(40)).map(|number| naive.sid(number));
            }
        }
        Command::CreateTask(create)
    }

    fn worker(&mut self, naive: &Naive) -> Option<Number> {
        let rows: Vec<Number> = naive.workers.values().filter(|row| !row.deleted).map(|row| row.number).collect();
        self.random.choose(&rows)
    }

    fn queue(&mut self, naive: &Naive) -> Option<Number> {
        let rows: Vec<Number> = naive.queues.values().filter(|row| !row.deleted).map(|row| row.number).collect();
        self.random.choose(&rows)
    }

    fn workflow(&mut self, naive: &Naive) -> Option<Number> {
        let rows: Vec<Number> = naive.workflows.values().filter(|row| !row.deleted).map(|row| row.number).collect();
        self.random.choose(&rows)
    }

    fn activity(&mut self, naive: &Naive) -> Sid<pointsman_engine::Activity> {
        let rows: Vec<Number> = naive.activities.values().filter(|row| !row.deleted).map(|row| row.number).collect();
        naive.sid(*self.random.pick(&rows))
    }

    fn priority(&mut self) -> Priority {
        Priority(*self.random.pick(&[0, 1, 1, 2, 5, 10]))
    }

    fn task_order(&mut self) -> Ordering {
        if self.features.lifo && self.random.chance(50) { Ordering::Lifo } else { Ordering::Fifo }
    }

    fn reservation_timeout(&mut self) -> u32 {
        *self.random.pick(&[1, 5, 20, 30, 120, 120, 600])
    }
}
