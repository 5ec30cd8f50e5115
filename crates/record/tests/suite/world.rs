//! A Workspace in which a lot happens: random commands, the same for the same seed.

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Engine, Id, InitiateTransfer, Instruction,
    Limits, Ordering, Priority, RequestedStatus, Reservation, RoutingTargetSid, SetupOutcome, Sid, State, Tasking,
    Template, Timestamp, TransferMode, TransferTargetSid, TurnRecord, UpdateTask, UpdateTaskQueue, UpdateWorker,
    UpdateWorkflow, UpdateWorkspace,
};
use pointsman_expression::Attributes;

/// Small pseudo-random numbers (SplitMix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % end as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T>(&mut self, from: Vec<T>) -> Option<T> {
        if from.is_empty() { None } else { from.into_iter().nth_back(self.below_or_first(16)) }
    }

    /// Mostly one of the last few: what is new is what commands are about.
    fn below_or_first(&mut self, end: usize) -> usize {
        self.below(end).min(self.below(end))
    }
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    /// What every turn made, in order; the first is that of the creation.
    pub(crate) records: Vec<TurnRecord>,
    now: i64,
}

impl World {
    pub(crate) fn new(tasking: Tasking) -> Self {
        let create = CreateWorkspace {
            number: 1,
            seed: [7; 16],
            sid: Sid::from_bytes([1; 16]),
            account: Sid::from_bytes([2; 16]),
            friendly_name: "Support".into(),
            event_callback_url: Some("https://example.com/events".into()),
            events_filter: None,
            tasking,
            prioritize_queue_order: Ordering::Fifo,
            template: Template::Fifo,
            source_ip: None,
        };
        let now = 1_760_000_000_000;
        let (engine, record) = Engine::create_workspace(Timestamp(now), Limits::default(), create);
        Self { engine, records: vec![record], now }
    }

    /// A Workspace after `turns` random commands, the last of which told the time.
    pub(crate) fn lively(seed: u64, turns: usize) -> Self {
        let mut draw = Draw::new(seed);
        let tasking = if seed.is_multiple_of(3) { Tasking::Single } else { Tasking::Multi };
        let mut world = Self::new(tasking);
        for turn in 0..turns {
            let name = format!("{turn}");
            let pause = if draw.one_in(30) { 400_000 } else { draw.below(20_000) as i64 };
            world.run(
                pause,
                |state| {
                    if turn < 40 { setup(state, &mut draw, &name) } else { command(state, &mut draw, &name) }
                },
            );
        }
        let last = UpdateWorkspace { friendly_name: Some("Last".into()), ..UpdateWorkspace::default() };
        world.run(1, |_| Some(Command::UpdateWorkspace(last)));
        world
    }

    /// Runs one turn; `command` sees the state after the timers that are due.
    pub(crate) fn run(&mut self, pause_ms: i64, command: impl FnOnce(&State) -> Option<Command>) {
        self.now += pause_ms;
        let mut turn = self.engine.begin(Timestamp(self.now));
        turn.caused_by(Some("192.0.2.1".into()));
        if let Some(command) = command(turn.state()) {
            // Refusals are a part of life; they leave no events.
            let _ = turn.apply(command);
        }
        self.records.push(turn.finish());
    }
}

fn setup(state: &State, draw: &mut Draw, name: &str) -> Option<Command> {
    match draw.below(4) {
        0 => Some(create_worker(state, draw, name)),
        1 => Some(create_task_queue(state, draw, name)),
        2 => create_workflow(state, draw, name),
        _ => create_task(state, draw),
    }
}

fn command(state: &State, draw: &mut Draw, name: &str) -> Option<Command> {
    let some_reservation = |draw: &mut Draw| -> Option<Id<Reservation>> {
        let active = state.reservations().filter(|reservation| reservation.status.is_active());
        draw.pick(active.map(|reservation| reservation.id).collect())
    };
    match draw.below(40) {
        0..=9 => create_task(state, draw),
        10..=14 => Some(Command::AcceptReservation { id: some_reservation(draw)? }),
        15..=17 => Some(Command::CompleteReservation { id: some_reservation(draw)? }),
        18 => Some(Command::WrapReservation { id: some_reservation(draw)? }),
        19 => Some(Command::RejectReservation { id: some_reservation(draw)?, activity: None }),
        20..=22 => {
            let id = draw.pick(state.workers().map(|worker| worker.id).collect())?;
            let activity = draw.pick(state.activities().map(|activity| activity.sid).collect())?;
            Some(Command::UpdateWorker(UpdateWorker {
                id,
                friendly_name: draw.one_in(4).then(|| format!("worker {name}").into()),
                attributes: draw.one_in(3).then(|| attributes(draw)),
                activity: (!draw.one_in(4)).then_some(activity),
                reject_pending_reservations: draw.one_in(2),
            }))
        }
        23 => Some(Command::UpdateTask(UpdateTask {
            id: draw.pick(state.tasks().map(|task| task.id).collect())?,
            attributes: draw.one_in(2).then(|| attributes(draw)),
            status: draw.one_in(2).then_some(RequestedStatus::Canceled),
            reason: draw.one_in(2).then(|| "over".into()),
            priority: draw.one_in(2).then_some(Priority(5)),
            task_channel: draw.one_in(3).then(|| "voice".into()),
            virtual_start_time: None,
        })),
        24 => Some(Command::DeleteTask { id: draw.pick(state.tasks().map(|task| task.id).collect())? }),
        25 => Some(Command::UpdateTaskQueue(UpdateTaskQueue {
            id: draw.pick(state.task_queues().map(|queue| queue.id).collect())?,
            friendly_name: Some(format!("queue {name}").into()),
            target_workers: draw.one_in(2).then(|| "languages HAS 'fr'".into()),
            max_reserved_workers: Some(2),
            task_order: Some(Ordering::Lifo),
            reservation_activity: None,
            assignment_activity: None,
        })),
        26 => Some(Command::DeleteTaskQueue { id: draw.pick(state.task_queues().map(|queue| queue.id).collect())? }),
        27..=28 => {
            let Some(Command::CreateWorkflow(create)) = create_workflow(state, draw, name) else { return None };
            Some(Command::UpdateWorkflow(UpdateWorkflow {
                id: draw.pick(state.workflows().map(|workflow| workflow.id).collect())?,
                friendly_name: None,
                configuration: Some(create.configuration),
                assignment_callback_url: Some(Some("https://example.com/assign".into())),
                fallback_assignment_callback_url: Some(None),
                task_reservation_timeout_seconds: Some(60),
                re_evaluate_tasks: draw.one_in(3),
            }))
        }
        29 => Some(Command::DeleteWorkflow { id: draw.pick(state.workflows().map(|flow| flow.id).collect())? }),
        30 => Some(Command::DeleteWorker { id: draw.pick(state.workers().map(|worker| worker.id).collect())? }),
        31 => Some(Command::CreateActivity { friendly_name: name.into(), available: draw.one_in(2) }),
        32 => {
            let id = draw.pick(state.activities().map(|activity| activity.id).collect())?;
            Some(if draw.one_in(2) {
                Command::UpdateActivity { id, friendly_name: Some(format!("activity {name}").into()) }
            } else {
                Command::DeleteActivity { id }
            })
        }
        33 => Some(Command::CreateTaskChannel {
            friendly_name: name.into(),
            unique_name: format!("channel{name}").into(),
            optimized_routing: draw.one_in(2),
        }),
        34 => {
            let id = draw.pick(state.task_channels().map(|channel| channel.id).collect())?;
            Some(if draw.one_in(2) {
                Command::UpdateTaskChannel { id, friendly_name: None, optimized_routing: Some(true) }
            } else {
                Command::DeleteTaskChannel { id }
            })
        }
        35 => Some(Command::UpdateWorkerChannel {
            worker: draw.pick(state.workers().map(|worker| worker.id).collect())?,
            task_channel: draw.pick(state.task_channels().map(|channel| channel.id).collect())?,
            capacity: Some(draw.below(4) as u32),
            available: Some(!draw.one_in(4)),
        }),
        36..=37 => {
            let reservation = state.reservation(some_reservation(draw)?)?;
            let worker = draw.pick(state.workers().map(|worker| worker.sid).collect())?;
            let queue = draw.pick(state.task_queues().map(|queue| queue.sid).collect())?;
            Some(Command::InitiateTransfer(InitiateTransfer {
                task: reservation.task,
                reservation: reservation.id,
                target: if draw.one_in(2) {
                    TransferTargetSid::Worker(worker)
                } else {
                    TransferTargetSid::TaskQueue(queue)
                },
                mode: if draw.one_in(2) { TransferMode::Warm } else { TransferMode::Cold },
                attributes: None,
                priority: None,
            }))
        }
        38 => {
            let reservation = some_reservation(draw)?;
            Some(match draw.below(5) {
                0 => Command::BeginSetup { reservation, instruction: Instruction::Call },
                1 => Command::EndSetup { reservation, outcome: SetupOutcome::Accepted },
                2 => Command::EndSetup { reservation, outcome: SetupOutcome::Failed { reason_code: Some(13_223) } },
                3 => Command::FailCallback { reservation },
                _ => Command::AnswerCallback { reservation },
            })
        }
        _ => Some(Command::UpdateWorkspace(UpdateWorkspace {
            friendly_name: Some(format!("Support {name}").into()),
            events_filter: Some("task.created".into()),
            ..UpdateWorkspace::default()
        })),
    }
}

fn create_worker(state: &State, draw: &mut Draw, name: &str) -> Command {
    let activity = draw.pick(state.activities().map(|activity| activity.sid).collect());
    Command::CreateWorker { friendly_name: name.into(), attributes: attributes(draw), activity }
}

fn create_task_queue(state: &State, draw: &mut Draw, name: &str) -> Command {
    let activities: Vec<_> = state.activities().map(|activity| activity.sid).collect();
    let expression = ["languages HAS 'en'", "level > 3", "1==1", ""][draw.below(4)];
    Command::CreateTaskQueue(CreateTaskQueue {
        friendly_name: name.into(),
        target_workers: Some(expression.into()),
        max_reserved_workers: Some(1 + draw.below(3) as u32),
        task_order: None,
        reservation_activity: draw.one_in(3).then(|| activities[0]),
        assignment_activity: None,
    })
}

fn create_workflow(state: &State, draw: &mut Draw, name: &str) -> Option<Command> {
    let queues: Vec<_> = state.task_queues().map(|queue| queue.sid).collect();
    let (first, second) = (draw.pick(queues.clone())?, draw.pick(queues)?);
    let configuration = format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"level < 7","filter_friendly_name":"easy {name}","targets":[
            {{"queue":"{first}","timeout":15,"priority":3,"expression":"task.level <= worker.level"}},
            {{"queue":"{second}","timeout":600,"known_worker_friendly_name":"task.known"}}]}}],
            "default_filter":{{"queue":"{second}"}}}}}}"#
    );
    Some(Command::CreateWorkflow(CreateWorkflow {
        friendly_name: name.into(),
        configuration: configuration.into(),
        assignment_callback_url: None,
        fallback_assignment_callback_url: None,
        task_reservation_timeout_seconds: Some(30),
    }))
}

fn create_task(state: &State, draw: &mut Draw) -> Option<Command> {
    let target = match draw.below(8) {
        0 => RoutingTargetSid::Worker(draw.pick(state.workers().map(|worker| worker.sid).collect())?),
        1 => RoutingTargetSid::TaskQueue(draw.pick(state.task_queues().map(|queue| queue.sid).collect())?),
        _ => RoutingTargetSid::Workflow(draw.pick(state.workflows().map(|workflow| workflow.sid).collect())?),
    };
    Some(Command::CreateTask(CreateTask {
        attributes: attributes(draw),
        routing_target: Some(target),
        timeout_seconds: draw.one_in(4).then_some(90),
        priority: draw.one_in(4).then_some(Priority(9)),
        ..CreateTask::default()
    }))
}

fn attributes(draw: &mut Draw) -> Attributes {
    let language = ["en", "fr"][draw.below(2)];
    let level = draw.below(10);
    let text = format!(r#"{{"languages":["{language}"],"level":{level},"known":"1{level}","team":"blue"}}"#);
    Attributes::parse(&text).unwrap()
}
