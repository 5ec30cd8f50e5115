//! Runs a scenario on the engine and compares what happens with what it says.
//!
//! Beside the engine run two shadows that must agree with it after every turn: a state that only folds the events,
//! and an engine that is [restarted](crate::restarted) before each turn. So every scenario is a test of replay and of
//! restart, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pointsman_engine::{Engine, Event, Limits, State, Timestamp, TurnRecord};

use crate::command::{self, Request};
use crate::language::{Check, CheckKind, Fault, Line, Plan, Step, When, pair, seconds, split_word, words};
use crate::names::Names;
use crate::report::{Difference, Rewrite};
use crate::restarted::Restarted;
use crate::show;

/// Monday 2026-02-02, 00:00 UTC: the week that scenarios play in.
const MONDAY_MS: i64 = 1_769_990_400_000;

/// What came of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) differences: Vec<Difference>,
    /// What its file would say instead.
    pub(crate) rewrites: Vec<Rewrite>,
}

/// Runs a scenario. It stops at the first step that differs, unless `rewrite` is set.
pub(crate) fn run(plan: &Plan, rewrite: bool) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let mut at_line = None;
    let ran = catch_unwind(AssertUnwindSafe(|| steps(plan, rewrite, &mut outcome, &mut at_line)));
    match ran {
        Ok(result) => result?,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            let line = at_line.unwrap_or(Line { file: "?".into(), number: 0, text: String::new() });
            outcome.differences.push(Difference::panic(&plan.name, &line, text));
        }
    }
    Ok(outcome)
}

fn steps(plan: &Plan, rewrite: bool, outcome: &mut Outcome, at_line: &mut Option<Line>) -> Result<(), Fault> {
    let seconds = i64::from(plan.zero.weekday) * 86_400 + i64::from(plan.zero.second_of_day);
    let mut world = World::new(Timestamp(MONDAY_MS + seconds * 1000));
    for step in &plan.steps {
        *at_line = Some(step.line.clone());
        let happened = world.step(step)?;
        if step.given {
            if let Some(refusal) = happened.refusal {
                return Err(Fault::at(&step.line, format_args!("set-up was refused: {refusal}")));
            }
            continue;
        }
        let difference = compare(plan, step, &happened, &world)?;
        if rewrite && step.own {
            outcome.rewrites.push(rewritten(step, &happened, &world)?);
        }
        if let Some(difference) = difference {
            outcome.differences.push(difference);
            if !rewrite {
                break;
            }
        }
    }
    if let Some(run) = &world.run {
        run.check_whole_replay();
    }
    Ok(())
}

/// What a step made happen.
#[derive(Debug, Default)]
struct Happened {
    /// Public events, each with its members at hand.
    record: TurnRecord,
    refusal: Option<String>,
    /// Facts for each `answer` line, looked up before the matching.
    answers: Vec<String>,
}

struct World {
    zero: Timestamp,
    now: Timestamp,
    names: Names,
    run: Option<Running>,
}

struct Running {
    engine: Engine,
    turns: u32,
    folded: State,
    restarted: Option<Restarted>,
    events: Vec<Event>,
    published: u64,
    event_sids: BTreeSet<String>,
}

impl World {
    fn new(zero: Timestamp) -> Self {
        Self { zero, now: Timestamp(zero.0 - 3_600_000), names: Names::default(), run: None }
    }

    fn step(&mut self, step: &Step) -> Result<Happened, Fault> {
        let at = match step.when {
            When::At(after) => Timestamp(self.zero.0 + after),
            When::After(later) => Timestamp(self.now.0 + later),
        };
        if at < self.now {
            return Err(Fault::at(&step.line, "time does not run backwards"));
        }
        self.now = at;
        // Names are resolved as of this instant, after the timers that are due.
        let mut happened = Happened::default();
        let Some(run) = &mut self.run else {
            let request = command::parse(step, &self.names, self.zero, None);
            match request.map_err(|what| Fault::at(&step.line, what))? {
                Request::CreateWorkspace(create) => {
                    let (engine, record) = Engine::create_workspace(at, Limits::default(), create);
                    self.run = Some(Running::new(engine, &record, &mut self.names));
                }
                Request::Wait | Request::Run { .. } | Request::NotFound => {
                    return Err(Fault::at(&step.line, "a Workspace comes first"));
                }
            }
            return Ok(happened);
        };
        let (zero, names) = (self.zero, &mut self.names);
        if step.given {
            // Timers first, in a turn of their own: the command may name what they make.
            let record = run.engine.begin(at).finish();
            run.restarted = None;
            run.follow(&record, names);
        }
        let mut other = run.is_thorough().then(|| Restarted::new(run.engine.state()));
        let mut turn = run.engine.begin(at);
        let mut asked = None;
        let request = command::parse(step, names, zero, Some(turn.state()));
        match request.map_err(|what| Fault::at(&step.line, what))? {
            Request::Wait => {}
            Request::CreateWorkspace(_) => return Err(Fault::at(&step.line, "there is a Workspace")),
            Request::NotFound => happened.refusal = Some("404".to_string()),
            Request::Run { command, creates, if_match } => {
                if if_match.is_some_and(|version| version_of(turn.engine(), step, names) != Some(version)) {
                    happened.refusal = Some("412".to_string());
                } else {
                    let reply = turn.apply(command.clone());
                    asked = Some((command, reply.clone()));
                    match reply {
                        Ok(reply) => {
                            if let Some(sid) = show::replied(turn.engine(), reply) {
                                if let Some(name) = creates {
                                    names.add(&name, &sid);
                                }
                                answers(step, turn.engine(), &sid, names, zero, &mut happened)?;
                            }
                        }
                        Err(rejection) => happened.refusal = Some(show::refusal(&rejection)),
                    }
                }
            }
        }
        let record = turn.finish();
        if let Some(other) = &mut other {
            let (command, reply) = asked.unzip();
            assert_eq!(other.run(at, command), reply, "a restarted engine answers alike");
            other.compare(&record);
        }
        run.restarted = other;
        run.follow(&record, names);
        happened.record = record;
        Ok(happened)
    }
}

/// The version of the object that a command names.
fn version_of(engine: &Engine, step: &Step, names: &Names) -> Option<u64> {
    let name = words(&step.command).into_iter().find(|word| names.sid(word).is_ok())?;
    let facts = show::facts(engine, &name, names, Timestamp(0)).ok()??;
    facts.get("version")?.parse().ok()
}

fn answers(
    step: &Step,
    engine: &Engine,
    sid: &str,
    names: &Names,
    zero: Timestamp,
    happened: &mut Happened,
) -> Result<(), Fault> {
    for check in step.checks.iter().filter(|check| check.kind == CheckKind::Answer) {
        happened.answers.push(facts_asked(engine, &names.name(sid), &check.text, check, names, zero)?);
    }
    Ok(())
}

impl Running {
    fn new(engine: Engine, record: &TurnRecord, names: &mut Names) -> Self {
        let [Event::TimeAdvanced { at }, first, rest @ ..] = &record.events[..] else { panic!("no creation") };
        let mut folded = State::create(*at, first).expect("the first event creates the Workspace");
        for event in rest {
            folded.evolve(event);
        }
        folded.count_published(record.published.len() as u64);
        let state = engine.state();
        for activity in state.activities() {
            names.add(&activity.friendly_name, &activity.sid.to_string());
        }
        for channel in state.task_channels() {
            names.add(&channel.unique_name, &channel.sid.to_string());
        }
        let mut run = Self {
            restarted: None,
            folded,
            engine,
            turns: 0,
            events: record.events.clone(),
            published: 0,
            event_sids: BTreeSet::new(),
        };
        run.check(record);
        run
    }

    /// Invariants and whole snapshots are looked at after each of the first turns, then now and then: long scenarios are many turns
    /// of the same kind.
    const fn is_thorough(&self) -> bool {
        self.turns < 64 || self.turns.is_multiple_of(128)
    }

    /// Looks at what a turn made.
    fn follow(&mut self, record: &TurnRecord, names: &mut Names) {
        for event in &record.events {
            self.folded.evolve(event);
        }
        self.folded.count_published(record.published.len() as u64);
        self.events.extend(record.events.iter().cloned());
        for event in &record.published {
            names.follow(event);
        }
        self.check(record);
    }

    fn check(&mut self, record: &TurnRecord) {
        let mut now = None;
        for event in &record.events {
            if let Event::TimeAdvanced { at } = event {
                assert!(now <= Some(*at), "time never runs backwards");
                now = Some(*at);
            }
            assert!(now.is_some(), "the first event of a turn tells the time");
        }
        for event in &record.published {
            self.published += 1;
            assert_eq!(event.id.number(), self.published, "public events are numbered without gaps");
            assert!(self.event_sids.insert(event.sid.to_string()), "public events have SIDs of their own");
        }
        assert_eq!(self.engine.state().published(), self.published);
        let thorough = self.is_thorough();
        self.turns += 1;
        if !thorough {
            return;
        }
        if !self.engine.state().is_deleted() {
            self.engine.check_invariants();
        }
        let live = self.engine.state();
        // A state only learns the time from events.
        self.folded.evolve(&Event::TimeAdvanced { at: live.now() });
        assert_same("replayed events", &self.folded, live);
        if let Some(restarted) = &self.restarted {
            assert_same("a restarted engine", restarted.state(), live);
        }
    }

    /// Folds everything again from the beginning.
    fn check_whole_replay(&self) {
        let [Event::TimeAdvanced { at }, first, rest @ ..] = &self.events[..] else { panic!("no creation") };
        let mut state = State::create(*at, first).expect("the first event creates the Workspace");
        for event in rest {
            state.evolve(event);
        }
        state.count_published(self.published);
        state.evolve(&Event::TimeAdvanced { at: self.engine.state().now() });
        assert_same("all events", &state, self.engine.state());
    }
}

/// Panics with the first line that differs.
fn assert_same(what: &str, other: &State, live: &State) {
    let (other, live) = (other.snapshot(), live.snapshot());
    if format!("{other:?}") == format!("{live:?}") {
        return;
    }
    let (other, live) = (format!("{other:#?}"), format!("{live:#?}"));
    let differing = other.lines().zip(live.lines()).enumerate().find(|(_, (other, live))| other != live);
    let (number, (other, live)) = differing.expect("one line differs at least");
    panic!("{what} should give the state that is: line {number}: {} is not {}", other.trim(), live.trim());
}

// What was expected and what happened, as lines of the scenario language.

fn compare(plan: &Plan, step: &Step, happened: &Happened, world: &World) -> Result<Option<Difference>, Fault> {
    let mut difference = Difference::new(&plan.name, &step.line);
    let expected: Vec<_> = of_kind(step, CheckKind::Expect).collect();
    let actual: Vec<_> = happened.record.published.iter().map(|event| head(event, world)).collect();
    let heads: Vec<_> = expected.iter().map(|check| expected_head(&check.text)).collect();
    for (expected_at, actual_at) in align(&heads, &actual) {
        match (expected_at, actual_at) {
            (Some(expected_at), Some(actual_at)) => {
                let check = expected[expected_at];
                let shown = with_members(check, &happened.record.published[actual_at], world)?;
                difference.row(&normal(&check.text), &shown);
            }
            (Some(expected_at), None) => difference.row(&normal(&expected[expected_at].text), ""),
            (None, Some(actual_at)) => difference.row("", &actual[actual_at]),
            (None, None) => {}
        }
    }
    let alerts: Vec<_> = of_kind(step, CheckKind::Alert).map(|check| check.text.clone()).collect();
    let raised = alerts_raised(happened, world);
    for index in 0..alerts.len().max(raised.len()) {
        let line = |lines: &[String]| lines.get(index).map(|text| format!("alert {text}")).unwrap_or_default();
        difference.row(&line(&alerts), &line(&raised));
    }
    compare_refusal(step, happened, &mut difference);
    let mut answers = happened.answers.iter();
    for check in &step.checks {
        match check.kind {
            CheckKind::Answer => {
                let shown = answers.next().map_or("no answer", String::as_str);
                difference.row(&format!("answer {}", normal(&check.text)), &format!("answer {shown}"));
            }
            CheckKind::State => {
                let shown = state_line(check, world)?;
                difference.row(&format!("state {}", normal(&check.text)), &format!("state {shown}"));
            }
            CheckKind::Next => {
                difference.row(&format!("next {}", check.text), &format!("next {}", next(world)));
            }
            CheckKind::Expect | CheckKind::Alert | CheckKind::Refused => {}
        }
    }
    Ok(difference.is_real().then_some(difference))
}

fn compare_refusal(step: &Step, happened: &Happened, difference: &mut Difference) {
    let expected = of_kind(step, CheckKind::Refused).next();
    match (expected, &happened.refusal) {
        (None, None) => {}
        (Some(check), None) => difference.row(&format!("refused {}", check.text), ""),
        (None, Some(refusal)) => difference.row("", &format!("refused {refusal}")),
        (Some(check), Some(refusal)) => {
            let (status, fragment) = split_word(&check.text);
            let (given, text) = split_word(refusal);
            let same = status == given && text.to_lowercase().contains(&fragment.to_lowercase());
            let shown = if same { &check.text } else { refusal };
            difference.row(&format!("refused {}", check.text), &format!("refused {shown}"));
        }
    }
}

fn of_kind(step: &Step, kind: CheckKind) -> impl Iterator<Item = &Check> {
    step.checks.iter().filter(move |check| check.kind == kind)
}

fn head(event: &pointsman_engine::PublicEvent, world: &World) -> String {
    let text = show::event(event, &world.names);
    if event.at == world.now { text } else { format!("{text} @ {}", seconds(event.at.0 - world.zero.0)) }
}

/// `R1(` is `R(`: numbers of repeated steps begin at 1. Values are quoted only where they need to be.
fn normal(text: &str) -> String {
    let requoted = |word: String| match pair(&word) {
        Some((key, value)) => format!("{key}={}", quoted(&value)),
        None => word,
    };
    let words: Vec<_> = words(text).into_iter().map(requoted).collect();
    words.join(" ").replace(" R1(", " R(").replace(" X1(", " X(")
}

fn expected_head(text: &str) -> String {
    normal(text.split_once(" with ").map_or(text, |(head, _)| head).trim())
}

/// An expected line as it would read with the members that the event really has.
fn with_members(check: &Check, event: &pointsman_engine::PublicEvent, world: &World) -> Result<String, Fault> {
    let mut shown = head(event, world);
    if let Some((_, members)) = check.text.split_once(" with ") {
        shown.push_str(" with");
        for word in words(members) {
            let (key, _) = pair(&word).ok_or_else(|| Fault::at(&check.line, "expected key=value after `with`"))?;
            let value = show::member(event, key, &world.names, world.zero);
            let value = value.map_err(|what| Fault::at(&check.line, what))?;
            let _ = write!(shown, " {key}={}", quoted(&value));
        }
    }
    Ok(shown)
}

/// A value as it is written in a scenario.
fn quoted(value: &str) -> String {
    let plain = !value.contains(char::is_whitespace) && !value.contains('"') && !value.is_empty();
    if plain || value.starts_with('{') { value.to_string() } else { format!("\"{}\"", value.replace('"', "\\\"")) }
}

fn alerts_raised(happened: &Happened, world: &World) -> Vec<String> {
    let Some(run) = &world.run else { return Vec::new() };
    let task = |id| run.engine.state().task(id).map_or_else(|| "?".to_string(), |task| task.sid.to_string());
    let alerts = happened.record.alerts.iter();
    alerts.map(|alert| format!("{} {}", alert.code, world.names.name(&task(alert.task)))).collect()
}

fn next(world: &World) -> String {
    let next = world.run.as_ref().and_then(|run| run.engine.next_deadline());
    next.map_or_else(|| "none".to_string(), |at| seconds(at.0 - world.zero.0))
}

fn state_line(check: &Check, world: &World) -> Result<String, Fault> {
    let (name, asked) = split_word(&check.text);
    let run = world.run.as_ref().ok_or_else(|| Fault::at(&check.line, "a Workspace comes first"))?;
    let facts = facts_asked(&run.engine, name, asked, check, &world.names, world.zero)?;
    Ok(format!("{name} {facts}").trim_end().to_string())
}

/// What a `state` or `answer` line asks for, with the values that hold.
fn facts_asked(
    engine: &Engine,
    name: &str,
    asked: &str,
    check: &Check,
    names: &Names,
    zero: Timestamp,
) -> Result<String, Fault> {
    let facts = show::facts(engine, name, names, zero).map_err(|what| Fault::at(&check.line, what))?;
    let Some(facts) = facts else { return Ok("gone".to_string()) };
    let mut shown = Vec::new();
    for word in words(asked) {
        shown.push(match pair(&word) {
            None => facts.bare().to_string(),
            Some((key, _)) => {
                let value = facts.get(key);
                let value = value.ok_or_else(|| Fault::at(&check.line, format_args!("{name} has no {key}")))?;
                format!("{key}={}", quoted(value))
            }
        });
    }
    Ok(shown.join(" "))
}

/// Pairs equal lines of two lists, keeping their order (longest common subsequence).
fn align(expected: &[String], actual: &[String]) -> Vec<(Option<usize>, Option<usize>)> {
    let (rows, columns) = (expected.len(), actual.len());
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if expected[row] == actual[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut pairs = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && expected[row] == actual[column] {
            pairs.push((Some(row), Some(column)));
            (row, column) = (row + 1, column + 1);
        } else if column == columns || (row < rows && common[row + 1][column] >= common[row][column + 1]) {
            pairs.push((Some(row), None));
            row += 1;
        } else {
            pairs.push((None, Some(column)));
            column += 1;
        }
    }
    pairs
}

/// The lines that the file should have for this step to agree with the engine.
fn rewritten(step: &Step, happened: &Happened, world: &World) -> Result<Rewrite, Fault> {
    let after = step.rules.last().map_or(&step.line, |line| line);
    let mut rewrite = Rewrite::new(after);
    let expected: Vec<_> = of_kind(step, CheckKind::Expect).collect();
    let heads: Vec<_> = expected.iter().map(|check| expected_head(&check.text)).collect();
    let actual: Vec<_> = happened.record.published.iter().map(|event| head(event, world)).collect();
    for (expected_at, actual_at) in align(&heads, &actual) {
        let Some(actual_at) = actual_at else { continue };
        let line = match expected_at {
            Some(index) => with_members(expected[index], &happened.record.published[actual_at], world)?,
            None => actual[actual_at].clone(),
        };
        rewrite.line(&format!("expect {line}"));
    }
    for alert in alerts_raised(happened, world) {
        rewrite.line(&format!("engine: alert {alert}"));
    }
    if let Some(refusal) = &happened.refusal {
        rewrite.line(&format!("refused {refusal}"));
    }
    let mut answers = happened.answers.iter();
    for check in &step.checks {
        rewrite.replaces(&check.line);
        let engine_only = if check.line.text.trim().starts_with("engine:") { "engine: " } else { "" };
        match check.kind {
            CheckKind::Answer => {
                let shown = answers.next().map_or("no answer", String::as_str);
                rewrite.line(&format!("answer {shown}"));
            }
            CheckKind::State => rewrite.line(&format!("{engine_only}state {}", state_line(check, world)?)),
            CheckKind::Next => rewrite.line(&format!("next {}", next(world))),
            CheckKind::Expect | CheckKind::Alert | CheckKind::Refused => {}
        }
    }
    Ok(rewrite)
}
