//! Prints what records cost: bytes and nanoseconds of a life cycle's records, and of a snapshot of many waiting Tasks.
//!
//! `cargo run --release -p pointsman-record --example cost -- 1000000`

use std::hint::black_box;
use std::time::{Duration, Instant};

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Engine, Limits, Ordering, Reply, Sid, State,
    Tasking, Template, Timestamp, TurnRecord,
};
use pointsman_expression::Attributes;
use pointsman_record::{public_event, snapshot, turn};

/// About 200 bytes, as goals are stated for.
fn attributes(number: usize) -> Attributes {
    let text = format!(
        r#"{{"type":"support","language":"en","customer":"customer-{number:09}","channel":"web","product":"router","tier":"gold","subject":"The points are frozen again and the 8:15 waits","region":"north-{}"}}"#,
        number % 7
    );
    Attributes::parse(&text).expect("the attributes are valid")
}

fn engine(worker: bool) -> (Engine, Sid<pointsman_engine::Workflow>) {
    let create = CreateWorkspace {
        number: 1,
        seed: [7; 16],
        sid: Sid::from_bytes([1; 16]),
        account: Sid::from_bytes([2; 16]),
        friendly_name: "Support".into(),
        event_callback_url: None,
        events_filter: None,
        tasking: Tasking::Multi,
        prioritize_queue_order: Ordering::Fifo,
        template: Template::None,
        source_ip: None,
    };
    let mut engine = Engine::create_workspace(Timestamp(NOW), Limits::default(), create).0;
    if worker {
        let activity = engine.state().activity_named("available").map(|activity| activity.sid);
        let attributes = Attributes::parse(r#"{"languages":["en","fr"],"products":["router","signal"],"level":5}"#);
        let attributes = attributes.expect("the attributes are valid");
        run(&mut engine, 0, Command::CreateWorker { friendly_name: "alice".into(), attributes, activity });
    }
    let create = CreateTaskQueue {
        friendly_name: "English".into(),
        target_workers: Some("languages HAS 'en' AND level > 2".into()),
        max_reserved_workers: None,
        task_order: None,
        reservation_activity: None,
        assignment_activity: None,
    };
    let (Reply::TaskQueue(queue), _) = run(&mut engine, 0, Command::CreateTaskQueue(create)) else {
        unreachable!("creating a queue gives a queue")
    };
    let queue = engine.state().task_queue(queue).expect("it was just created").sid;
    let configuration = format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"language == 'en'","filter_friendly_name":"English","targets":[{{"queue":"{queue}","expression":"task.product IN worker.products"}}]}}],"default_filter":{{"queue":"{queue}"}}}}}}"#
    );
    let create = CreateWorkflow {
        friendly_name: "Everything".into(),
        configuration: configuration.into(),
        assignment_callback_url: None,
        fallback_assignment_callback_url: None,
        task_reservation_timeout_seconds: None,
    };
    let (Reply::Workflow(workflow), _) = run(&mut engine, 0, Command::CreateWorkflow(create)) else {
        unreachable!("creating a Workflow gives a Workflow")
    };
    let workflow = engine.state().workflow(workflow).expect("it was just created").sid;
    (engine, workflow)
}

const NOW: i64 = 1_760_000_000_000;

fn run(engine: &mut Engine, after_ms: i64, command: Command) -> (Reply, TurnRecord) {
    let mut turn = engine.begin(Timestamp(NOW + after_ms));
    turn.caused_by(Some("192.0.2.1".into()));
    let reply = turn.apply(command).expect("the command is fine");
    (reply, turn.finish())
}

#[expect(clippy::disallowed_methods, reason = "this program measures")]
fn time<T>(mut work: impl FnMut() -> T) -> Duration {
    const TIMES: u32 = 20_000;
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(work());
    }
    start.elapsed() / TIMES
}

#[expect(clippy::disallowed_methods, reason = "this program measures")]
fn time_once<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

fn life_cycle() {
    let (mut engine, workflow) = engine(true);
    let create = CreateTask { attributes: attributes(1), workflow: Some(workflow), ..CreateTask::default() };
    let (Reply::Task(task), created) = run(&mut engine, 3_600_000, Command::CreateTask(create)) else {
        unreachable!("creating a Task gives a Task")
    };
    let id = engine.state().task(task).expect("it was just created").reservations[0];
    let (_, accepted) = run(&mut engine, 3_605_000, Command::AcceptReservation { id });
    let (_, completed) = run(&mut engine, 3_900_000, Command::CompleteReservation { id });

    println!("{:<10} {:>6} {:>6} {:>7} {:>9} {:>9}", "turn", "events", "public", "bytes", "encode", "decode");
    for (name, record) in [("create", &created), ("accept", &accepted), ("complete", &completed)] {
        let bytes = turn::encode(record);
        println!(
            "{name:<10} {:>6} {:>6} {:>7} {:>9.2?} {:>9.2?}",
            record.events.len(),
            record.published.len(),
            bytes.len(),
            time(|| turn::encode(record)),
            time(|| turn::decode(&bytes)),
        );
    }
    println!();
    println!("{:<32} {:>7} {:>9} {:>9}", "history row", "bytes", "encode", "decode");
    for event in [&created, &accepted, &completed].into_iter().flat_map(|record| &record.published) {
        let bytes = public_event::encode(event);
        println!(
            "{:<32} {:>7} {:>9.2?} {:>9.2?}",
            format!("{:?}", event.kind),
            bytes.len(),
            time(|| public_event::encode(event)),
            time(|| public_event::decode(&bytes)),
        );
    }
}

fn waiting_tasks(count: usize) {
    let (mut engine, workflow) = engine(false);
    for number in 0..count {
        let create = CreateTask { attributes: attributes(number), workflow: Some(workflow), ..CreateTask::default() };
        run(&mut engine, number as i64, Command::CreateTask(create));
    }
    let (taking, taken) = time_once(|| engine.state().snapshot());
    drop(engine);
    let (encoding, chunks) = time_once(|| snapshot::encode(&taken).collect::<Vec<_>>());
    drop(taken);

    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let mut decoder = snapshot::Decoder::default();
    let (decoding, read) = time_once(|| {
        for chunk in chunks {
            decoder.add(&chunk).expect("it was just written");
        }
        decoder.finish().expect("it was just written")
    });
    let (restoring, state) = time_once(|| State::from_snapshot(read));
    let (indexing, _engine) = time_once(|| Engine::restore(state, Limits::default()));
    println!();
    println!("{count} waiting tasks: {bytes} bytes in a snapshot");
    println!(
        "take {taking:.2?}, encode {encoding:.2?}, decode {decoding:.2?}, restore {restoring:.2?}, index {indexing:.2?}"
    );
}

fn main() {
    let tasks = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10_000);
    life_cycle();
    waiting_tasks(tasks);
}
