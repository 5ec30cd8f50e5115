//! The scenarios of `scenarios/`, run on the engine.
//!
//! `SCENARIO=S13 cargo test -p pointsman-engine --test suite` runs one; `UPDATE_EXPECT=1` writes what the engine does
//! into the files, to be read before it is committed.

mod command;
mod language;
mod names;
mod report;
mod restarted;
mod runner;
mod show;
mod wrong;

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use crate::language::{Fault, Library};
use crate::runner::Outcome;

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    folder.canonicalize().expect("the scenarios stand beside the crates")
}

#[test]
fn the_engine_does_what_the_scenarios_say() {
    let library = Library::open(&folder()).unwrap_or_else(|fault| panic!("{}", fault.0));
    let only = env::var("SCENARIO").ok();
    let update = env::var("UPDATE_EXPECT").is_ok();
    let names: Vec<_> = library.scenarios().filter(|name| only.as_deref().is_none_or(|only| only == *name)).collect();
    let count = names.len();
    let (mut failed, mut report, mut rewrites) = (0, String::new(), Vec::new());
    for outcome in run_all(&library, &names, update) {
        match outcome {
            Err(fault) => {
                failed += 1;
                writeln!(report, "{}\n", fault.0).expect("text");
            }
            Ok(outcome) => {
                failed += u32::from(!outcome.differences.is_empty());
                for difference in &outcome.differences {
                    writeln!(report, "{difference}").expect("text");
                }
                rewrites.extend(outcome.rewrites);
            }
        }
    }
    assert!(count > 0, "there is no such scenario");
    if update {
        report::rewrite(&rewrites);
        return;
    }
    assert!(failed == 0, "{failed} of {count} scenarios went differently\n\n{report}");
}

#[test]
fn the_catalogue_of_the_reference_is_complete() {
    let library = Library::open(&folder()).unwrap_or_else(|fault| panic!("{}", fault.0));
    let names: BTreeSet<_> = library.scenarios().collect();
    let missing: Vec<_> =
        (1..=85).map(|number| format!("S{number:02}")).filter(|s| !names.contains(s.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Runs scenarios on all processors; the outcomes are in the order of the names.
fn run_all(library: &Library, names: &[&str], update: bool) -> Vec<Result<Outcome, Fault>> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let run = |name: &&str| library.plan(name).and_then(|plan| runner::run(&plan, update));
    let portions = names.chunks(names.len().div_ceil(processors).max(1));
    thread::scope(|scope| {
        let running: Vec<_> =
            portions.map(|portion| scope.spawn(move || portion.iter().map(run).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("panics are caught")).collect()
    })
}
