//! The engine and the naive router side by side.

pub(crate) mod report;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use pointsman_engine::{Command, Engine, EventKind, PublicEvent, Rejection, Reply, Timestamp};

use crate::naive::{Naive, picture_of_engine};
use crate::script::{Existing, Offer, Renames, Script};
use crate::shrink::shrink;
use crate::world::World;

thread_local! {
    /// The last panic of this thread, with its place.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From here on panics are not printed but kept for the report: to the comparison they are results.
pub fn keep_panics_quiet() {
    panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
}

/// The panic that was kept last on this thread.
pub(crate) fn take_panic() -> String {
    PANIC.with_borrow_mut(std::mem::take)
}

/// Both routers after the same commands.
#[derive(Debug)]
pub struct Pair {
    pub engine: Engine,
    pub naive: Naive,
}

/// What a step made.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// `None`: refused by both, or nothing was asked.
    pub reply: Option<Reply>,
    pub refused: Option<String>,
    pub offers: Vec<Offer>,
    pub events: Vec<EventKind>,
}

/// The routers do not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub report: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    Refusal,
    Answer,
    Events,
    State,
    Panic,
}

/// The first difference of a run.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Index of the step.
    pub step: usize,
    pub difference: Difference,
    /// The steps up to there, in words.
    pub log: Vec<String>,
}

/// What runs were made of.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub steps: usize,
    /// By the name of the refusal.
    pub refused: BTreeMap<String, usize>,
    pub events: BTreeMap<EventKind, usize>,
}

impl Figures {
    fn add(&mut self, outcome: &Outcome) {
        self.steps += 1;
        for kind in &outcome.events {
            *self.events.entry(*kind).or_default() += 1;
        }
        if let Some(name) = &outcome.refused {
            *self.refused.entry(name.clone()).or_default() += 1;
        }
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        for (name, count) in other.refused {
            *self.refused.entry(name).or_default() += count;
        }
        for (kind, count) in other.events {
            *self.events.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (refused, events) = (self.refused.values().sum::<usize>(), self.events.values().sum::<usize>());
        writeln!(out, "{} steps, {refused} refused, {events} events", self.steps)?;
        for (kind, count) in &self.events {
            writeln!(out, "  {count:>10} {kind:?}")?;
        }
        for (name, count) in &self.refused {
            writeln!(out, "  {count:>10} refused: {name}")?;
        }
        Ok(())
    }
}

impl Pair {
    pub fn new(script: &Script) -> Self {
        let workspace = script.workspace();
        let mut naive = Naive::create(script.start, script.limits, &workspace);
        naive.canary = script.canary;
        naive.take_events();
        let (engine, _) = Engine::create_workspace(script.start, script.limits, workspace);
        Self { engine, naive }
    }

    /// Moves both to an instant and runs a command on both.
    pub fn step(&mut self, at: Timestamp, command: Option<&Command>) -> Result<Outcome, Difference> {
        let before = self.naive.reservations.keys().last().copied().unwrap_or(0);
        let run = catch_unwind(AssertUnwindSafe(|| self.run(at, command)));
        let mut outcome = match run {
            Ok(result) => result?,
            Err(_) => {
                return Err(Difference { kind: DifferenceKind::Panic, report: take_panic() });
            }
        };
        outcome.offers = Existing::from(&self.naive).offers_since(before);
        Ok(outcome)
    }

    fn run(&mut self, at: Timestamp, command: Option<&Command>) -> Result<Outcome, Difference> {
        let mut turn = self.engine.begin(at);
        self.naive.begin(at);
        let (mut reply, mut refused) = (None, None);
        // What a command names may have gone while time passed; whoever serves requests looks first.
        if let Some(command) = command.filter(|command| Existing::from(&self.naive).has_what_it_names(command)) {
            let fast = turn.apply(command.clone());
            let simple = self.naive.apply(command);
            refused = fast.as_ref().err().map(name_of);
            if !agree(&fast, &simple) {
                let report = format!("engine: {fast:?}\nnaive:  {simple:?}");
                return Err(Difference { kind: DifferenceKind::Refusal, report });
            }
            if let Ok(fast) = fast {
                reply = Some(fast);
                let shown = report::answer_of_engine(turn.state(), fast);
                let expected = report::answer_of_naive(&self.naive, fast);
                if shown != expected {
                    let report = format!("engine: {shown}\nnaive:  {expected}");
                    return Err(Difference { kind: DifferenceKind::Answer, report });
                }
            }
        }
        let record = turn.finish();
        self.naive.finish();
        let simple = self.naive.take_events();
        let fast: Vec<PublicEvent> = record.published.into_iter().map(report::blurred).collect();
        let simple: Vec<PublicEvent> = simple.into_iter().map(report::blurred).collect();
        if fast != simple {
            let report = report::events(&fast, &simple);
            return Err(Difference { kind: DifferenceKind::Events, report });
        }
        if !self.naive.deleted {
            let (fast_lines, simple_lines) = (picture_of_engine(&self.engine), self.naive.picture());
            if fast_lines != simple_lines {
                let report = report::lines(&fast_lines, &simple_lines);
                return Err(Difference { kind: DifferenceKind::State, report });
            }
            self.engine.check_invariants();
        }
        Ok(Outcome { reply, refused, offers: Vec::new(), events: fast.iter().map(|event| event.kind).collect() })
    }
}

/// The variant of a refusal, and of its reason if it has one.
fn name_of(refused: &Rejection) -> String {
    let text = format!("{refused:?}");
    let end = text.find("Sid").or_else(|| text.find(": ")).unwrap_or(text.len()).min(40);
    text[..end].chars().take_while(|letter| !letter.is_ascii_digit()).collect()
}

/// The same answer, or the same refusal. Where several faults meet, which one is told is only compared by kind.
fn agree(fast: &Result<Reply, Rejection>, simple: &Result<Reply, Rejection>) -> bool {
    match (fast, simple) {
        (Err(Rejection::InUse(_) | Rejection::ConfigurationInvalid(_) | Rejection::TransferRefused { .. }), Err(_)) => {
            let (Err(fast), Err(simple)) = (fast, simple) else { return false };
            std::mem::discriminant(fast) == std::mem::discriminant(simple)
        }
        (fast, simple) => fast == simple,
    }
}

/// Runs a script from its beginning.
pub fn run(script: &Script) -> Result<Figures, Failure> {
    let mut pair = Pair::new(script);
    let mut renames = Renames::default();
    let mut figures = Figures::default();
    let mut log = Vec::new();
    for (index, step) in script.steps.iter().enumerate() {
        let command = step.command.as_ref().map(|command| renames.translate(command, &Existing::from(&pair.naive)));
        if let Some(None) = command {
            continue;
        }
        let command = command.flatten();
        log.push(report::step(script.start, step.at, command.as_ref()));
        match pair.step(step.at, command.as_ref()) {
            Ok(outcome) => {
                figures.add(&outcome);
                renames.learn(step, outcome.reply);
            }
            Err(mut difference) => {
                let existing = Existing::from(&pair.naive);
                difference.report = existing.readable(&difference.report);
                let log = log.iter().map(|line| existing.readable(line)).collect();
                return Err(Failure { step: index, difference, log });
            }
        }
    }
    Ok(figures)
}

/// Draws a world from a seed and runs it; a failure comes with the script that led to it.
pub fn run_world(seed: u64) -> Result<Figures, Box<(Script, Failure)>> {
    run_drawn(World::new(seed))
}

/// As [`run_world`], for a world that was prepared.
pub fn run_drawn(mut world: World) -> Result<Figures, Box<(Script, Failure)>> {
    let mut script = world.script();
    let mut pair = Pair::new(&script);
    let mut figures = Figures::default();
    while let Some((at, command)) = world.next(&pair.naive) {
        script.steps.push(crate::script::Step { at, command: command.clone(), created: None, offers: Vec::new() });
        match pair.step(at, command.as_ref()) {
            Ok(outcome) => {
                figures.add(&outcome);
                let step = script.steps.last_mut().expect("just pushed");
                step.created = outcome.reply;
                step.offers = outcome.offers;
            }
            Err(difference) => {
                let failure = Failure { step: script.steps.len() - 1, difference, log: Vec::new() };
                return Err(Box::new((script, failure)));
            }
        }
    }
    Ok(figures)
}

/// The report of a world that failed: the line to reproduce it, the shortest script, and where they part.
pub fn explain(seed: u64, script: Script, failure: &Failure) -> String {
    let kind = failure.difference.kind;
    let again = |script: &Script| run(script).err().filter(|again| again.difference.kind == kind);
    let (script, failure) = shrink(script, again, |failure| failure.step);
    let mut text = format!(
        "world {seed}: {:?} differ; reproduce with: pointsman-simulator --worlds {seed}..{}\n",
        failure.difference.kind,
        seed + 1
    );
    let _ = writeln!(text, "  {:?}, {:?} first, {:?}", script.tasking, script.prioritize, script.limits);
    for line in &failure.log {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str(&failure.difference.report);
    text
}
