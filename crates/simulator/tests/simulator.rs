//! The simulator at a size for every day, and proof that it would notice.

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, Entity, EventKind, Id, Limits, Ordering, Reply, Sid, Tasking,
    Timestamp, UpdateWorker, derive_sid,
};
use pointsman_expression::Attributes;
use pointsman_simulator::compare::{self, DifferenceKind, Outcome, Pair};
use pointsman_simulator::naive::Canary;
use pointsman_simulator::script::{Script, WORKSPACE_SEED};
use pointsman_simulator::simulate::{self, Size, Tamper};
use pointsman_simulator::world::World;

/// Worlds and seeds of an ordinary run; `RUN_SLOW_TESTS=1` takes ten times as many.
fn count(ordinary: u64) -> u64 {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    if slow { ordinary * 10 } else { ordinary }
}

#[test]
fn the_engine_does_what_the_naive_router_does_on_small_worlds() {
    for seed in 0..count(1_200) {
        if let Err(found) = compare::run_world(seed) {
            panic!("{}", compare::explain(seed, found.0, &found.1));
        }
    }
}

fn sid<E: Entity>(id: Id<E>) -> Sid<E> {
    derive_sid(WORKSPACE_SEED, id.number())
}

fn both(pair: &mut Pair, at: i64, command: Option<&Command>) -> Outcome {
    pair.step(Timestamp(at), command).unwrap_or_else(|difference| panic!("{}", difference.report))
}

/// Two Tasks run out of the same step into one that skips, in the instant in which the hold-off of the first one ends.
/// Reference: routing, section 3.1.
#[test]
fn both_routers_test_a_task_for_skipping_in_the_place_of_its_entry_when_its_hold_off_ends_later_in_the_instant() {
    let script = Script {
        start: Timestamp(0),
        tasking: Tasking::Multi,
        prioritize: Ordering::Fifo,
        limits: Limits::default(),
        canary: Canary::None,
        steps: Vec::new(),
    };
    let mut pair = Pair::new(&script);
    let activity = |name: &str| {
        let named = pair.naive.activities.values().find(|activity| &*activity.name == name);
        derive_sid(WORKSPACE_SEED, named.expect("every Workspace begins with it").number)
    };
    let (available, offline) = (activity("Available"), activity("Offline"));
    let worker = Command::CreateWorker {
        friendly_name: "Ann".into(),
        attributes: Attributes::default(),
        activity: Some(available),
    };
    let Some(Reply::Worker(worker)) = both(&mut pair, 0, Some(&worker)).reply else { panic!("a Worker") };
    let queue = Command::CreateTaskQueue(CreateTaskQueue {
        friendly_name: "All".into(),
        target_workers: None,
        max_reserved_workers: None,
        task_order: None,
        reservation_activity: None,
        assignment_activity: None,
    });
    let Some(Reply::TaskQueue(queue)) = both(&mut pair, 0, Some(&queue)).reply else { panic!("a TaskQueue") };
    let configuration = format!(
        r#"{{"task_routing": {{"filters": [{{"expression": "1==1", "targets": [
            {{"queue": "{}", "timeout": 1}}, {{"skip_if": "1==1"}}, {{}}]}}]}}}}"#,
        sid(queue)
    );
    let workflow = Command::CreateWorkflow(CreateWorkflow {
        friendly_name: "Workflow".into(),
        configuration: configuration.into(),
        assignment_callback_url: Some("https://app.example/assign".into()),
        fallback_assignment_callback_url: None,
        task_reservation_timeout_seconds: None,
    });
    let Some(Reply::Workflow(workflow)) = both(&mut pair, 0, Some(&workflow)).reply else { panic!("a Workflow") };
    let task = Command::CreateTask(CreateTask { workflow: Some(sid(workflow)), ..CreateTask::default() });
    let offers = both(&mut pair, 0, Some(&task)).offers;
    both(&mut pair, 0, Some(&task));
    let leave = Command::UpdateWorker(UpdateWorker {
        id: worker,
        friendly_name: None,
        attributes: None,
        activity: Some(offline),
        reject_pending_reservations: false,
    });
    both(&mut pair, 0, Some(&leave));
    let fail = Command::FailCallback { reservation: Id::new(offers[0].reservation) };
    both(&mut pair, 0, Some(&fail));
    let events = both(&mut pair, 1_000, None).events;
    let (out, matched) = (EventKind::TaskQueueTimeout, EventKind::WorkflowTargetMatched);
    assert_eq!(events, [out, matched, out, matched, matched, matched]);
}

#[test]
fn every_promise_is_kept_over_days_of_virtual_time() {
    for seed in 1..=count(6) {
        if let Err(failure) = simulate::simulate(seed, Size::Small, Tamper::None) {
            panic!("{}", failure.explain(seed));
        }
    }
}

#[test]
fn a_broken_rule_in_one_router_is_noticed_and_told_in_a_short_script() {
    for canary in [Canary::YoungestFirst, Canary::WrappingIsFree, Canary::RejectionKeepsIdleness] {
        let found = (0..2_000).find_map(|seed| {
            let mut world = World::new(seed);
            world.canary = canary;
            compare::run_drawn(world).err().map(|found| (seed, found))
        });
        let (seed, found) = found.unwrap_or_else(|| panic!("{canary:?} was not noticed"));
        let (script, failure) = *found;
        assert_ne!(failure.difference.kind, DifferenceKind::Panic, "{canary:?}");
        let steps = script.steps.len();
        let told = compare::explain(seed, script, &failure);
        assert!(told.contains(&format!("pointsman-simulator --worlds {seed}..{}", seed + 1)), "{told}");
        let lines = told.lines().filter(|line| line.contains("s  ")).count();
        assert!(lines <= steps, "{told}");
        assert!(lines <= 25, "{canary:?} takes {lines} steps to tell:\n{told}");
    }
}

#[test]
fn every_lie_to_the_checkers_breaks_the_promise_that_it_is_about() {
    // The seed of each is the first in which what it lies about occurs.
    let lies = [
        (Tamper::LostEvent, 0, "events are complete and in order"),
        (Tamper::SecondAcceptance, 1, "at most one accepted reservation per offer round"),
        (Tamper::EarlyTimeout, 0, "every timer fires once and never early"),
        (Tamper::ExtraLoad, 0, "capacity is never exceeded"),
        (Tamper::ImaginedRoom, 0, "no eligible idle Worker beside an eligible waiting Task"),
        (Tamper::YoungestFirst, 0, "order is priority, then age"),
        (Tamper::LostFact, 3, "replaying the events gives the live state"),
        (Tamper::LostWrite, 0, "what was acknowledged is there after a restart, and nothing else"),
    ];
    for (tamper, seed, rule) in lies {
        let found = (seed..40).find_map(|seed| simulate::simulate(seed, Size::Small, tamper).err());
        let failure = found.unwrap_or_else(|| panic!("{tamper:?} was not noticed"));
        assert_eq!(failure.violation.rule, rule, "{tamper:?}: {}", failure.violation.text);
    }
}

#[test]
fn a_failure_of_a_simulation_is_told_by_a_line_to_reproduce_it_and_a_short_script() {
    let found = (0..40).find_map(|seed| Some((seed, simulate::simulate(seed, Size::Small, Tamper::ExtraLoad).err()?)));
    let (seed, failure) = found.expect("it is noticed");
    let steps = failure.script.steps.len();
    let told = failure.explain(seed);
    assert!(told.contains(&format!("pointsman-simulator --seeds {seed}..{}", seed + 1)), "{told}");
    let lines = told.lines().filter(|line| line.contains("s  ")).count();
    assert!(lines < steps && lines <= 12, "{told}");
}

#[test]
fn a_world_is_the_same_every_time_it_is_drawn() {
    let figures = |seed| compare::run_world(seed).map(|figures| figures.to_string()).ok();
    for seed in 0..20 {
        assert_eq!(figures(seed), figures(seed), "world {seed}");
    }
}
