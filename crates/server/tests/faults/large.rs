//! A data directory with many waiting Tasks, for measurements: docs/benchmarks/store.md says how they are made.
//!
//! `POINTSMAN_WRITE_LARGE=DIR` writes one with `POINTSMAN_WRITE_LARGE_TASKS` Tasks.

use std::path::PathBuf;

use pointsman_dispatcher::Batch;
use pointsman_server::admin;
use pointsman_store::{Options, SqliteStore, Store};

use crate::world::{World, append, number_of};

const TASKS_PER_COMMIT: u64 = 500;

#[test]
fn a_large_directory_is_written_when_asked_for() {
    let Some(directory) = std::env::var_os("POINTSMAN_WRITE_LARGE") else { return };
    let tasks = number_of("POINTSMAN_WRITE_LARGE_TASKS", 1_000_000);
    let store = SqliteStore::open(&PathBuf::from(directory), &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut batch = Batch::default();
    let mut world = World::create_with(1, "", &mut batch);
    append(&store, epoch, &batch).unwrap();
    // Else every Task would time out at the start.
    world.now_ms = pointsman_server::real_time().0;
    for commit in 0..tasks.div_ceil(TASKS_PER_COMMIT) {
        let mut batch = Batch::default();
        for number in 0..TASKS_PER_COMMIT {
            let form = format!(
                "Timeout=864000&Priority={}&Attributes=%7B%22skill%22%3A%22{}%22%2C%22caller%22%3A%22%2B49{number}%22%7D",
                number % 10,
                number % 37
            );
            world.call("POST", "Tasks", &form, &mut batch);
        }
        world.now_ms += 20;
        append(&store, epoch, &batch).unwrap();
        if commit % 40 == 39 {
            admin::project(&store).unwrap();
        }
    }
    world.save_snapshot(&store);
    admin::project(&store).unwrap();
    println!("{} tasks, {} records", world.state().tasks_count(), store.last_position().0);
}
