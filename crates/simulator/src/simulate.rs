//! One Workspace over days of virtual time, with people in it and checkers around it.
//!
//! The checkers know the promises (DESIGN, section 7) and nothing of how the engine keeps them: [`ledger`] follows
//! the public events alone, [`rest`] looks at the state by brute force, [`checkers`] replays and compares bytes.
//! A seed runs a second time on a store that fails ([`journal`]).

mod checkers;
mod harness;
mod journal;
mod ledger;
mod picture;
mod rest;
mod workload;

use std::fmt;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pointsman_engine::Timestamp;

use self::harness::Harness;
use self::workload::Workload;
use crate::compare::{report, take_panic};
use crate::limits::DRAIN_TURNS_MAX;
use crate::script::{Existing, Renames, Script, Step};
use crate::shrink::shrink;

/// How much happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A handful of Workers; everything is checked after every turn.
    Small,
    /// Up to 200 Workers; what costs much is checked now and then.
    Large,
}

/// A lie told to the checkers, to show that they would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tamper {
    #[default]
    None,
    /// One public event is lost.
    LostEvent,
    /// An offer that was rescinded is told as accepted.
    SecondAcceptance,
    /// A reservation times out a second before its time.
    EarlyTimeout,
    /// A Worker is said to have been offered more than it was.
    ExtraLoad,
    /// Every Worker is thought to have room for one more.
    ImaginedRoom,
    /// Younger Tasks are thought to come first.
    YoungestFirst,
    /// One event is left out of the replay.
    LostFact,
    /// One turn is committed without what happened in it.
    LostWrite,
}

/// What is beside the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Checkers {
        size: Size,
        tamper: Tamper,
    },
    /// A store that fails as drawn from a seed.
    Store {
        seed: u64,
        tamper: Tamper,
    },
}

/// A promise was not kept.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The promise.
    pub rule: &'static str,
    pub text: String,
}

impl Violation {
    fn new(rule: &'static str, text: impl fmt::Display) -> Self {
        Self { rule, text: text.to_string() }
    }
}

/// What a simulation was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub turns: usize,
    pub events: usize,
    pub offers: usize,
    pub accepted: usize,
    /// Ends of the process on a store that failed, each with a restart.
    pub crashes: usize,
    /// Virtual time.
    pub hours: i64,
    /// A digest of every record, in order.
    pub digest: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.turns += other.turns;
        self.events += other.events;
        self.offers += other.offers;
        self.accepted += other.accepted;
        self.crashes += other.crashes;
        self.hours += other.hours;
        self.digest ^= other.digest;
    }
}

/// A simulation that failed, with the steps that led there.
#[derive(Debug)]
pub struct Failure {
    pub violation: Violation,
    pub script: Script,
    size: Size,
    beside: Beside,
}

/// Runs a seed twice: beside the checkers, then on a store that fails, with restarts. The bytes must be the same.
pub fn simulate(seed: u64, size: Size, tamper: Tamper) -> Result<Figures, Box<Failure>> {
    let checked = run(seed, size, Beside::Checkers { size, tamper })?;
    let beside = Beside::Store { seed, tamper };
    let stored = run(seed, size, beside)?;
    if checked.digest != stored.digest {
        let violation = Violation::new("two runs of a seed give the same bytes", "the digests differ");
        let script = Workload::new(seed, size).script();
        return Err(Box::new(Failure { violation, script, size, beside }));
    }
    Ok(stored)
}

fn run(seed: u64, size: Size, beside: Beside) -> Result<Figures, Box<Failure>> {
    let mut workload = Workload::new(seed, size);
    let mut script = workload.script();
    let run = catch_unwind(AssertUnwindSafe(|| play(&mut workload, &mut script, beside)));
    let violation = match run {
        Ok(Ok(figures)) => return Ok(figures),
        Ok(Err(violation)) => violation,
        Err(_) => Violation::new("the engine never panics", take_panic()),
    };
    Err(Box::new(Failure { violation, script, size, beside }))
}

fn play(workload: &mut Workload, script: &mut Script, beside: Beside) -> Result<Figures, Violation> {
    let mut harness = Harness::new(script, beside);
    let mut last = script.start;
    while let Some(at) = workload.when(harness.engine.next_deadline()) {
        script.steps.push(Step { at, command: None, created: None, offers: Vec::new() });
        let passed = harness.turn(at, None)?;
        workload.follow(&passed.published, harness.engine.state());
        script.steps.last_mut().expect("just pushed").offers = harness.offers(&passed.published);
        if let Some(command) = workload.what(harness.engine.state()) {
            script.steps.push(Step { at, command: Some(command.clone()), created: None, offers: Vec::new() });
            let done = harness.turn(at, Some(&command))?;
            workload.follow(&done.published, harness.engine.state());
            let step = script.steps.last_mut().expect("just pushed");
            step.offers = harness.offers(&done.published);
            step.created = done.reply;
        }
        last = at;
    }
    drain(&mut harness, script)?;
    Ok(Figures { hours: (last.0 - script.start.0) / 3_600_000, ..harness.figures() })
}

/// Nobody comes and nobody acts any more: time alone must bring everything to its end.
fn drain(harness: &mut Harness, script: &mut Script) -> Result<(), Violation> {
    for _ in 0..DRAIN_TURNS_MAX {
        let Some(at) = harness.engine.next_deadline() else {
            return harness.end();
        };
        script.steps.push(Step { at, command: None, created: None, offers: Vec::new() });
        harness.turn(at, None)?;
    }
    Err(Violation::new("every reservation ends", "timers go on for ever"))
}

/// Runs a script under the checkers.
fn replay(script: &Script, beside: Beside) -> Option<(usize, Violation, Vec<String>)> {
    let mut log = Vec::new();
    let mut last = 0;
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut harness = Harness::new(script, beside);
        let mut renames = Renames::default();
        for (index, step) in script.steps.iter().enumerate() {
            last = index;
            let existing = Existing::from(harness.engine.state());
            let command = match &step.command {
                None => None,
                Some(command) => match renames.translate(command, &existing) {
                    Some(command) => Some(command),
                    None => continue,
                },
            };
            log.push(existing.readable(&report::step(script.start, step.at, command.as_ref())));
            match harness.turn(step.at, command.as_ref()) {
                Ok(done) => renames.learn(step, done.reply),
                Err(mut violation) => {
                    violation.text = Existing::from(harness.engine.state()).readable(&violation.text);
                    return Some(violation);
                }
            }
        }
        None
    }));
    match run {
        Ok(violation) => violation.map(|violation| (last, violation, log)),
        Err(_) => Some((last, Violation::new("the engine never panics", take_panic()), log)),
    }
}

impl Failure {
    /// The line to reproduce it, the promise that was broken, and the shortest script.
    pub fn explain(self, seed: u64) -> String {
        let large = if self.size == Size::Large { " --large" } else { "" };
        let mut text = format!(
            "seed {seed}: {}; reproduce with: pointsman-simulator --seeds {seed}..{}{large}\n",
            self.violation.rule,
            seed + 1
        );
        let rule = self.violation.rule;
        let again = |script: &Script| replay(script, self.beside).filter(|(_, violation, _)| violation.rule == rule);
        if again(&self.script).is_none() {
            text.push_str(&self.violation.text);
            return text;
        }
        let (script, (_, violation, log)) = shrink(self.script, again, |(step, ..)| *step);
        let _ = writeln!(text, "  {:?}, {:?} first", script.tasking, script.prioritize);
        for line in log {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str(&violation.text);
        text
    }
}

/// Tuesday 2026-02-03, 06:00 UTC.
const START: Timestamp = Timestamp(1_770_098_400_000);
