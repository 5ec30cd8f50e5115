//! The runner itself: what is wrong in a scenario must be reported.

use crate::language::Library;
use crate::report;
use crate::runner;

const SMALL: &str = "
fixture small
  given at -300 create workspace
  given at -200 create worker Ann ActivitySid=Available
  given create queue Q
  given create workflow WF
    default Q
";

/// The report on a scenario that uses the small fixture.
fn report_on(lines: &str) -> String {
    let mut library = Library::default();
    library.add("wrong", &format!("{SMALL}\nscenario W1 wrong\n  uses small\n{lines}")).unwrap();
    let outcome = library.plan("W1").and_then(|plan| runner::run(&plan, false));
    match outcome {
        Ok(outcome) => outcome.differences.iter().map(ToString::to_string).collect(),
        Err(fault) => fault.0,
    }
}

const CREATION: &str = "
  at 0  create task T1
    expect task.created T1
    expect workflow.entered T1 WF
    expect workflow.target-matched T1 default
    expect task-queue.entered T1 Q
    expect reservation.created R(T1,Ann) with task_assignment_status=reserved reservation_version=0
    answer pending version=0 queue=Q
    state T1 reserved version=1
";

#[test]
fn a_right_scenario_is_not_reported() {
    assert_eq!(report_on(CREATION), "");
}

#[test]
fn every_kind_of_wrong_line_is_reported() {
    for (right, wrong) in [
        ("    expect task-queue.entered T1 Q\n", ""),
        ("    expect task-queue.entered T1 Q\n", "    expect task-queue.entered T1 Q\n    expect task.updated T1\n"),
        ("entered T1 Q", "entered T1 R"),
        ("task_assignment_status=reserved", "task_assignment_status=pending"),
        ("version=0 queue=Q", "version=1 queue=Q"),
        ("T1 reserved version=1", "T1 assigned version=1"),
        ("    answer", "    engine: alert 40152 T1\n    answer"),
        ("    answer", "    refused 400\n    answer"),
        ("    answer", "    next 7\n    answer"),
        ("at 0 ", "at 0 complete T9\n  at 0 "),
        ("with task", "with nonsense=1 task"),
        ("create task T1", "create task T1 Nonsense=1"),
        ("create task T1", "create nonsense T1"),
    ] {
        assert!(CREATION.contains(right), "{right}");
        assert!(!report_on(&CREATION.replacen(right, wrong, 1)).is_empty(), "{wrong}");
    }
}

#[test]
fn the_order_of_events_matters() {
    let swapped = CREATION
        .replace("task.created", "X")
        .replace("workflow.entered", "task.created")
        .replace("X T1", "workflow.entered T1 WF")
        .replace("task.created T1 WF", "task.created T1");
    let report = report_on(&swapped);
    assert!(report.contains("expect"), "{report}");
}

#[test]
fn a_report_shows_where_what_and_what_instead() {
    let report = report_on(&CREATION.replace("entered T1 Q", "entered T1 QX"));
    assert!(report.starts_with("wrong:12: W1\n    at 0  create task T1\n"), "{report}");
    assert!(report.contains("! task-queue.entered T1 QX"), "{report}");
    assert!(report.contains("| task-queue.entered T1 Q\n"), "{report}");
}

#[test]
fn an_event_at_another_instant_is_reported() {
    let late = format!("{CREATION}  at 200 tick\n    expect reservation.timeout R(T1,Ann)\n");
    assert!(report_on(&late).contains("reservation.timeout R(T1,Ann) @ 120"), "{}", report_on(&late));
}

#[test]
fn a_set_up_that_is_refused_is_reported() {
    assert!(report_on("  given complete T1\n").contains("nothing is named T1"));
    assert!(report_on(&format!("{CREATION}  given complete T1\n")).contains("set-up was refused"));
}

#[test]
fn expectations_are_rewritten_to_what_happened() {
    let right = format!("{SMALL}\nscenario W1 wrong\n  uses small\n{CREATION}");
    let wrong = right
        .replace("    expect workflow.entered T1 WF\n", "")
        .replace("entered T1 Q\n", "entered T1 QX\n    expect task.updated T1\n    refused 400\n")
        .replace("status=reserved", "status=pending")
        .replace("reserved version=1", "pending version=7");
    assert_ne!(wrong, right);
    let mut library = Library::default();
    library.add("wrong", &wrong).unwrap();
    let outcome = library.plan("W1").and_then(|plan| runner::run(&plan, true)).unwrap();
    let rewrites: Vec<_> = outcome.rewrites.iter().collect();
    assert_eq!(report::rewritten(&wrong, &rewrites), right);
}
