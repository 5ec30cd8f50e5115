//! Life cycles per second: create, reserve, accept, complete, and the purge five minutes later. And how long the
//! longest turn is while one Task after the other is made and waits: what grows must not make anybody wait.

use std::time::Instant;

use pointsman_expression::Attributes;

use crate::world::World;

#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
pub(crate) fn run(cycles: u32, rounds: u32) {
    let (mut world, attributes) = furnished(100);
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        for _ in 0..cycles {
            let task = world.task(&attributes);
            world.handle(task);
        }
        rates.push(f64::from(cycles) / began.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "engine alone, 100 workers, one core: {:.0} life cycles/s (min {:.0}, max {:.0}, {rounds} rounds of {cycles})",
        rates[rates.len() / 2],
        rates[0],
        rates[rates.len() - 1],
    );
}

/// Makes Tasks that nobody can take, and tells how long their turns were.
#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
pub(crate) fn grow(tasks: u32) {
    let (mut world, attributes) = furnished(0);
    let mut turns = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let began = Instant::now();
        world.task(&attributes);
        turns.push(began.elapsed());
    }
    turns.sort_unstable();
    let at = |share: f64| turns[((turns.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{tasks} tasks made and waiting, a turn each: p50 {:.4} ms, p99.9 {:.3} ms, longest {:.2} ms",
        at(0.5),
        at(0.999),
        at(1.0)
    );
}

/// A Workspace with one queue and so many Workers, and the attributes of its Tasks.
fn furnished(workers: u32) -> (World, Attributes) {
    let mut world = World::new();
    let queue = world.queue("Support", "skills HAS 'support'");
    world.workflow(&format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"type == 'support'","targets":[{{"queue":"{queue}","priority":5,"timeout":60}}]}}],"default_filter":{{"queue":"{queue}"}}}}}}"#
    ));
    for number in 0..workers {
        world.worker(number, r#"{"skills":["support","billing"],"level":5}"#, true);
    }
    let attributes = Attributes::parse(
        r#"{"type":"support","customer":"Ada Lovelace","tier":"gold","language":"en","order":"A-1001","amount":99.5}"#,
    )
    .expect("benchmarks write JSON");
    (world, attributes)
}
