//! `pointsman-simulator`: runs ranges of worlds and seeds, and tells what it found.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use pointsman_simulator::compare::{self, Figures};
use pointsman_simulator::simulate::{self, Size, Tamper};

#[derive(Debug, Parser)]
#[command(version, about = "Proof that the fast router does what a simple one would")]
struct Options {
    #[command(subcommand)]
    command: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Runs the engine beside the naive router over random small worlds.
    Oracle {
        /// Seeds, as FROM..TO without TO.
        #[arg(long, default_value = "0..10000")]
        worlds: String,
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Stop after this many failures.
        #[arg(long, default_value_t = 5)]
        failures: usize,
    },
    /// Runs whole Workspaces over days of virtual time, under checkers.
    Simulate {
        /// Seeds, as FROM..TO without TO.
        #[arg(long, default_value = "0..200")]
        seeds: String,
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Up to 200 Workers; costly checks only now and then.
        #[arg(long)]
        large: bool,
        /// Stop after this many failures.
        #[arg(long, default_value_t = 5)]
        failures: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    // A panic is a result here, and reported with its script.
    compare::keep_panics_quiet();
    match Options::parse().command {
        Mode::Oracle { worlds, jobs, failures } => {
            let range = range(&worlds)?;
            let total = Mutex::new(Figures::default());
            let failed = sweep(range.clone(), jobs, failures, |seed| match compare::run_world(seed) {
                Ok(figures) => {
                    *total.lock().expect("no panic while held") += figures;
                    None
                }
                Err(found) => Some(compare::explain(seed, found.0, &found.1)),
            });
            let total = total.into_inner().expect("no panic while held");
            println!("{} worlds, {failed} failures, {total}", range.end - range.start);
            Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Mode::Simulate { seeds, jobs, large, failures } => {
            let range = range(&seeds)?;
            let size = if large { Size::Large } else { Size::Small };
            let (failed, total) = simulate_seeds(range.clone(), jobs, size, failures);
            println!(
                "{} seeds, {failed} failures, {} virtual hours, {} turns, {} events, {} offers, {} accepted, digest {:016x}",
                range.end - range.start,
                total.hours,
                total.turns,
                total.events,
                total.offers,
                total.accepted,
                total.digest
            );
            Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn simulate_seeds(range: std::ops::Range<u64>, jobs: usize, size: Size, failures: usize) -> (usize, simulate::Figures) {
    let total = Mutex::new(simulate::Figures::default());
    let failed = sweep(range, jobs, failures, |seed| match simulate::simulate(seed, size, Tamper::None) {
        Ok(figures) => {
            *total.lock().expect("no panic while held") += figures;
            None
        }
        Err(failure) => Some(failure.explain(seed)),
    });
    (failed, total.into_inner().expect("no panic while held"))
}

fn range(text: &str) -> anyhow::Result<std::ops::Range<u64>> {
    let (from, to) = text.split_once("..").context("a range is written FROM..TO")?;
    let (from, to) = (from.parse()?, to.parse()?);
    if to <= from {
        bail!("{text} is empty");
    }
    Ok(from..to)
}

/// Runs every seed of a range on some threads; prints each failure and counts them.
fn sweep(
    range: std::ops::Range<u64>,
    jobs: usize,
    failures_max: usize,
    run: impl Fn(u64) -> Option<String> + Sync,
) -> usize {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}").expect("a valid template");
    let bar = ProgressBar::new(range.end - range.start).with_style(style);
    let next = AtomicU64::new(range.start);
    let failures = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while failures.load(Ordering::Relaxed) < failures_max {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if range.end <= seed {
                        break;
                    }
                    if let Some(report) = run(seed) {
                        failures.fetch_add(1, Ordering::Relaxed);
                        bar.suspend(|| println!("{report}"));
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    failures.into_inner()
}
