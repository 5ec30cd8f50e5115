//! Workspaces of any size, made through the engine's commands.

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Engine, Id, Limits, Ordering, Reply, Sid,
    Task, Tasking, Template, Timestamp, TurnRecord, Worker,
};
use pointsman_expression::Attributes;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: i64,
}

impl World {
    pub(crate) fn new() -> Self {
        let create = CreateWorkspace {
            seed: [9; 16],
            sid: Sid::from_bytes([1; 16]),
            number: 1,
            account: Sid::from_bytes([2; 16]),
            friendly_name: "Bench".into(),
            event_callback_url: None,
            events_filter: None,
            tasking: Tasking::Multi,
            prioritize_queue_order: Ordering::Fifo,
            template: Template::None,
            source_ip: None,
        };
        let now = 1_760_000_000_000;
        Self { engine: Engine::create_workspace(Timestamp(now), Limits::default(), create).0, now }
    }

    /// Runs one command, one millisecond later.
    pub(crate) fn run(&mut self, command: Command) -> (Reply, TurnRecord) {
        self.now += 1;
        let mut turn = self.engine.begin(Timestamp(self.now));
        let reply = turn.apply(command).expect("benchmarks ask for nothing that is refused");
        (reply, turn.finish())
    }

    pub(crate) fn queue(&mut self, name: &str, target_workers: &str) -> String {
        let create = CreateTaskQueue {
            friendly_name: name.into(),
            target_workers: Some(target_workers.into()),
            max_reserved_workers: None,
            task_order: None,
            reservation_activity: None,
            assignment_activity: None,
        };
        let (Reply::TaskQueue(id), _) = self.run(Command::CreateTaskQueue(create)) else { unreachable!() };
        self.engine.state().task_queue(id).expect("just made").sid.to_string()
    }

    pub(crate) fn workflow(&mut self, configuration: &str) {
        let create = CreateWorkflow {
            friendly_name: "Bench".into(),
            configuration: configuration.into(),
            assignment_callback_url: None,
            fallback_assignment_callback_url: None,
            task_reservation_timeout_seconds: None,
        };
        self.run(Command::CreateWorkflow(create));
    }

    pub(crate) fn worker(&mut self, number: u32, attributes: &str, available: bool) -> Id<Worker> {
        let activity = if available { "Available" } else { "Offline" };
        let create = Command::CreateWorker {
            friendly_name: format!("worker {number}").into(),
            attributes: Attributes::parse(attributes).expect("benchmarks write JSON"),
            activity: self.engine.state().activity_named(activity).map(|activity| activity.sid),
        };
        let (Reply::Worker(id), _) = self.run(create) else { unreachable!() };
        id
    }

    pub(crate) fn task(&mut self, attributes: &Attributes) -> Id<Task> {
        let create = CreateTask { attributes: attributes.clone(), ..CreateTask::default() };
        let (Reply::Task(id), _) = self.run(Command::CreateTask(create)) else { unreachable!() };
        id
    }

    /// Accepts and completes the open offer of a Task.
    pub(crate) fn handle(&mut self, task: Id<Task>) {
        let task = self.engine.state().task(task).expect("offered Tasks exist");
        let reservation = *task.reservations.last().expect("it was offered");
        self.run(Command::AcceptReservation { id: reservation });
        self.run(Command::CompleteReservation { id: reservation });
    }
}
