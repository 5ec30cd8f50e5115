//! The life of a Task through the public interface of the engine.

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Engine, Limits, Ordering, Reply, Sid,
    TaskStatus, Tasking, Template, Timestamp,
};
use pointsman_expression::Attributes;

fn engine() -> Engine {
    let create = CreateWorkspace {
        seed: [7; 16],
        sid: Sid::from_bytes([1; 16]),
        number: 1,
        account: Sid::from_bytes([2; 16]),
        friendly_name: "W".into(),
        event_callback_url: None,
        events_filter: None,
        tasking: Tasking::Multi,
        prioritize_queue_order: Ordering::Fifo,
        template: Template::None,
    };
    Engine::create_workspace(Timestamp(0), Limits::default(), create).0
}

fn run(engine: &mut Engine, at: i64, command: Command) -> Reply {
    let mut turn = engine.begin(Timestamp(at));
    let reply = turn.apply(command).unwrap();
    let record = turn.finish();
    for event in &record.published {
        println!("{at} {:?}", event.kind);
    }
    engine.check_invariants();
    reply
}

#[test]
fn a_task_is_reserved_accepted_and_completed() {
    let mut engine = engine();
    let available = engine.state().activity_named("available").unwrap().sid;
    let worker = Command::CreateWorker {
        friendly_name: "ann".into(),
        attributes: Attributes::parse(r#"{"skills":["support"]}"#).unwrap(),
        activity: Some(available),
    };
    run(&mut engine, 1, worker);
    let queue = CreateTaskQueue {
        friendly_name: "q".into(),
        target_workers: Some("skills HAS 'support'".into()),
        max_reserved_workers: None,
        task_order: None,
        reservation_activity: None,
        assignment_activity: None,
    };
    let Reply::TaskQueue(queue) = run(&mut engine, 2, Command::CreateTaskQueue(queue)) else { panic!() };
    let sid = engine.state().task_queue(queue).unwrap().sid;
    let workflow = CreateWorkflow {
        friendly_name: "wf".into(),
        configuration: format!(r#"{{"task_routing":{{"default_filter":{{"queue":"{sid}"}}}}}}"#).into(),
        assignment_callback_url: None,
        fallback_assignment_callback_url: None,
        task_reservation_timeout_seconds: None,
    };
    run(&mut engine, 3, Command::CreateWorkflow(workflow));
    let Reply::Task(task) = run(&mut engine, 4, Command::CreateTask(CreateTask::default())) else { panic!() };
    assert_eq!(engine.state().task(task).unwrap().status, TaskStatus::Reserved);
    let reservation = engine.state().task(task).unwrap().reservations[0];
    run(&mut engine, 5, Command::AcceptReservation { id: reservation });
    run(&mut engine, 6, Command::CompleteReservation { id: reservation });
    assert_eq!(engine.state().task(task).unwrap().status, TaskStatus::Completed);
    assert_eq!(engine.next_deadline(), Some(Timestamp(300_006)));
    let turn = engine.begin(Timestamp(300_006));
    turn.finish();
    assert!(engine.state().task(task).is_none());
    engine.check_invariants();
}
