//! What one assignment costs as a Workspace grows.

use std::time::{Duration, Instant};

use pointsman_engine::{Command, Sid, UpdateWorker};
use pointsman_expression::Attributes;

use crate::world::World;

const SKILLS: u32 = 20;

pub(crate) fn run(quick: bool) {
    let (backlogs, workers): (&[u32], &[u32]) = if quick {
        (&[1_000, 10_000, 100_000], &[100, 1_000, 10_000])
    } else {
        (&[1_000, 10_000, 100_000, 1_000_000], &[100, 1_000, 10_000, 100_000])
    };
    println!("cost of one assignment (a worker completes, the next task is offered and accepted)");
    table("waiting tasks", backlogs, |tasks| with_backlog(tasks, 100));
    println!(
        "cost of one assignment (a task arrives, the longest idle worker with its skill gets it, and completes it)"
    );
    table("idle workers", workers, with_idle_workers);
    println!("cost of one change of a worker's attributes");
    table("queues", if quick { &[50, 500] } else { &[50, 500, 5_000] }, with_queues);
}

fn table(what: &str, sizes: &[u32], measure: impl Fn(u32) -> Duration) {
    let mut first = None;
    println!("  {what:>14} | µs each | ratio");
    for size in sizes {
        let cost = measure(*size).as_secs_f64() * 1e6;
        let base = *first.get_or_insert(cost);
        println!("  {size:>14} | {cost:>7.2} | {:>5.2}", cost / base);
    }
}

fn routed_by_skill(world: &mut World) {
    let queue = world.queue("Everyone", "1==1");
    world.workflow(&format!(
        r#"{{"task_routing":{{"default_filter":{{"queue":"{queue}","expression":"task.need IN worker.skills"}}}}}}"#
    ));
}

fn task_attributes(number: u32) -> Attributes {
    Attributes::parse(&format!(r#"{{"need":"skill{}","n":{number}}}"#, number % SKILLS)).expect("benchmarks write JSON")
}

fn worker_attributes(number: u32) -> String {
    format!(r#"{{"skills":["skill{}","skill{}"]}}"#, number % SKILLS, (number + 7) % SKILLS)
}

#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
fn timed(times: u32, mut action: impl FnMut()) -> Duration {
    let mut rounds: Vec<Duration> = (0..5)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..times {
                action();
            }
            began.elapsed() / times
        })
        .collect();
    rounds.sort();
    rounds[rounds.len() / 2]
}

/// Everybody is busy and `tasks` wait: each completion brings the next offer.
fn with_backlog(tasks: u32, workers: u32) -> Duration {
    let mut world = World::new();
    routed_by_skill(&mut world);
    // Tasks first: to make a million takes longer than reservations wait.
    for number in 0..tasks + 2_000 {
        world.task(&task_attributes(number));
    }
    let workers: Vec<_> = (0..workers).map(|number| world.worker(number, &worker_attributes(number), true)).collect();
    let mut turn = 0;
    timed(200, || {
        let worker = world.engine.state().worker(workers[turn % workers.len()]).expect("live");
        turn += 1;
        let offered = *worker.active.first().expect("everybody is busy");
        world.run(Command::AcceptReservation { id: offered });
        world.run(Command::CompleteReservation { id: offered });
    })
}

/// Everybody is idle: each Task finds the Worker that is idle longest.
fn with_idle_workers(workers: u32) -> Duration {
    let mut world = World::new();
    routed_by_skill(&mut world);
    for number in 0..workers {
        world.worker(number, &worker_attributes(number), true);
    }
    let mut number = 0;
    timed(500, || {
        number += 1;
        let task = world.task(&task_attributes(number));
        world.handle(task);
    })
}

/// One Worker's attributes change, and every queue is asked whether it is still a member.
fn with_queues(queues: u32) -> Duration {
    let mut world = World::new();
    for number in 0..queues {
        world.queue(&format!("Queue {number}"), &format!("skills HAS 'skill{number}' AND level >= {}", number % 10));
    }
    for number in 0..100 {
        world.worker(number, &worker_attributes(number), true);
    }
    let id = world.worker(1_000, &worker_attributes(1), true);
    let mut level = 0;
    timed(20, || {
        level += 1;
        let attributes = format!(r#"{{"skills":["skill{}","skill2"],"level":{level}}}"#, level % 20);
        let update = UpdateWorker {
            id,
            friendly_name: None,
            attributes: Some(Attributes::parse(&attributes).expect("benchmarks write JSON")),
            activity: None::<Sid<_>>,
            reject_pending_reservations: false,
        };
        world.run(Command::UpdateWorker(update));
    })
}
