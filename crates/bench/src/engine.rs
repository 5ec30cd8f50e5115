//! Life cycles per second: create, reserve, accept, complete, and the purge five minutes later.

use std::time::Instant;

use pointsman_expression::Attributes;

use crate::world::World;

#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
pub(crate) fn run(cycles: u32, rounds: u32) {
    let mut world = World::new();
    let queue = world.queue("Support", "skills HAS 'support'");
    world.workflow(&format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"type == 'support'","targets":[{{"queue":"{queue}","priority":5,"timeout":60}}]}}],"default_filter":{{"queue":"{queue}"}}}}}}"#
    ));
    for number in 0..100 {
        world.worker(number, r#"{"skills":["support","billing"],"level":5}"#, true);
    }
    let attributes = Attributes::parse(
        r#"{"type":"support","customer":"Ada Lovelace","tier":"gold","language":"en","order":"A-1001","amount":99.5}"#,
    )
    .expect("benchmarks write JSON");
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
