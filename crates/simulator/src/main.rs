//! `pointsman-simulator`: runs ranges of worlds and seeds, and tells what it found.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pointsman_simulator::compare::{self, Figures};
use pointsman_simulator::simulate::{self, Size, Tamper};

/// Proof that the fast router does what a simple one would.
///
/// Runs whole Workspaces over days of virtual time under checkers, or small random worlds beside the naive router.
/// A failure prints its seed and a shortened script; the exit code is 1 then.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Simulates these seeds, FROM..TO without TO.
    #[arg(long, default_value = "0..200", value_name = "FROM..TO")]
    seeds: String,
    /// Compares the routers on these worlds instead.
    #[arg(long, value_name = "FROM..TO", conflicts_with_all = ["seeds", "large"])]
    worlds: Option<String>,
    /// Simulates up to 200 Workers; costly checks only now and then.
    #[arg(long)]
    large: bool,
    /// Seeds that run at once.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Stop after this many failures.
    #[arg(long, default_value_t = 5)]
    failures: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    // A panic is a result here, and reported with its script.
    compare::keep_panics_quiet();
    let Options { seeds, worlds, large, jobs, failures } = Options::parse();
    let failed = match &worlds {
        Some(worlds) => compare_worlds(range(worlds)?, jobs, failures),
        None => simulate_seeds(range(&seeds)?, jobs, if large { Size::Large } else { Size::Small }, failures),
    };
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what the worlds of a range were made of; returns how many failed.
fn compare_worlds(range: std::ops::Range<u64>, jobs: usize, failures: usize) -> usize {
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
    failed
}

/// Prints what happened in the seeds of a range; returns how many failed.
fn simulate_seeds(range: std::ops::Range<u64>, jobs: usize, size: Size, failures: usize) -> usize {
    let total = Mutex::new(simulate::Figures::default());
    let failed = sweep(range.clone(), jobs, failures, |seed| match simulate::simulate(seed, size, Tamper::None) {
        Ok(figures) => {
            *total.lock().expect("no panic while held") += figures;
            None
        }
        Err(failure) => Some(failure.explain(seed)),
    });
    let total = total.into_inner().expect("no panic while held");
    println!(
        "{} seeds, {failed} failures, {} virtual hours, {} turns, {} events, {} offers, {} accepted, {} crashes, \
         digest {:016x}",
        range.end - range.start,
        total.hours,
        total.turns,
        total.events,
        total.offers,
        total.accepted,
        total.crashes,
        total.digest
    );
    failed
}

fn range(text: &str) -> anyhow::Result<std::ops::Range<u64>> {
    let (from, to) = text.split_once("..").context("a range is written FROM..TO")?;
    let (from, to) = (from.parse()?, to.parse()?);
    if to <= from {
        bail!("{text} is empty");
    }
    Ok(from..to)
}

/// Lines about progress.
const LINES_MAX: u64 = 100;

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
    let count = range.end - range.start;
    // Where no bar can be drawn, lines tell how far it is.
    let line_every = count.div_ceil(LINES_MAX);
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
                    if bar.is_hidden() && bar.position().is_multiple_of(line_every) {
                        let failed = failures.load(Ordering::Relaxed);
                        eprintln!("{} of {count} done, {failed} failed", bar.position());
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    failures.into_inner()
}
