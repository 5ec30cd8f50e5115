//! Requests through a shard: answers, records, deliveries, recovery, and the wall between accounts.

use pointsman_api::event_fields::{assignment_callback_form, event_callback_form};
use pointsman_api::instruction::{CallbackAnswer, Instruction};
use pointsman_dispatcher::{AssignmentOutcome, Content, Delivery, Input, OutboxChange, Shard, Telephony};
use pointsman_engine::{Limits, Sid, Timestamp};

use crate::bench::{Bench, MINE, THEIRS, facts, text};

#[test]
fn the_answer_of_a_write_shows_the_object_before_the_matching_and_the_next_read_after_it() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    let made = bench.request(MINE, "POST", &format!("{path}/Tasks"), "");
    assert_eq!((made.status, text(&made, "assignment_status")), (201, "pending".to_string()));
    assert_eq!(made.header("ETag"), Some("\"0\""));
    let read = bench.request(MINE, "GET", &format!("{path}/Tasks/{}", text(&made, "sid")), "");
    assert_eq!(text(&read, "assignment_status"), "reserved");
    assert_eq!(read.header("ETag"), Some("\"1\""));
    assert!(bench.batch.is_committed(), "a read stores nothing");
}

#[test]
fn a_workspace_of_another_account_is_not_there() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    let task = text(&bench.request(MINE, "POST", &format!("{path}/Tasks"), ""), "sid");
    let workers = format!("{path}/Workers");
    let task = format!("{path}/Tasks/{task}");
    for (method, path) in
        [("GET", &path), ("POST", &path), ("DELETE", &path), ("GET", &workers), ("GET", &task), ("DELETE", &task)]
    {
        let answer = bench.request(THEIRS, method, path, "");
        assert_eq!(answer.status, 404, "{method} {path}");
        assert!(bench.batch.is_committed(), "{method} {path}");
    }
    // Nor is an object of one Workspace below another.
    let other = bench.set_up(MINE, "");
    let foreign = task.replace(&path, &other);
    assert_eq!(bench.request(MINE, "GET", &foreign, "").status, 404);
}

#[test]
fn a_refused_request_stores_nothing() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    for (method, path, body) in [
        ("POST", format!("{path}/Workers"), "FriendlyName=ann"),
        ("POST", format!("{path}/Workers"), "FriendlyName=Bob&Attributes=nonsense"),
        ("POST", format!("{path}/Tasks"), "Priority=-1"),
        ("DELETE", format!("{path}/Activities/WA00000000000000000000000000000000"), ""),
    ] {
        let answer = bench.request(MINE, method, &path, body);
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.body);
        assert!(bench.batch.is_committed(), "{method} {path}");
    }
}

#[test]
fn events_go_to_the_callback_that_asked_for_them_and_into_the_outbox() {
    let mut bench = Bench::new();
    let more = "&EventCallbackUrl=http://127.0.0.1:9/events&EventsFilter=task.created,%20reservation.created";
    let path = bench.set_up(MINE, more);
    assert!(bench.sends().is_empty(), "worker.created was not asked for");
    bench.request(MINE, "POST", &format!("{path}/Tasks"), "Attributes={}");
    let types: Vec<_> = bench.sends().iter().map(|delivery| value(delivery, "EventType")).collect();
    assert_eq!(types, ["task.created", "reservation.created"]);
    let lines: Vec<_> = bench.sends().iter().map(|delivery| delivery.line()).collect();
    assert_eq!(lines[0], lines[1], "events of one task leave in order");
}

fn parameters(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let Delivery { workspace, account, ref content, .. } = *delivery;
    match content {
        Content::Event(event) => event_callback_form(event, account, workspace),
        Content::Assignment { event, .. } => assignment_callback_form(event, account, workspace),
        Content::Voice { .. } | Content::Report { .. } => panic!("no callback: {delivery:?}"),
    }
}

fn value(delivery: &Delivery, name: &str) -> String {
    let found = parameters(delivery).into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no {name} in {delivery:?}")).1
}

#[test]
fn an_assignment_callback_asks_with_exactly_twelve_parameters_and_its_answer_is_followed() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    let workflow = text(&bench.request(MINE, "GET", &format!("{path}/Workflows"), ""), "sid");
    let urls = "AssignmentCallbackUrl=http://127.0.0.1:9/a&FallbackAssignmentCallbackUrl=http://127.0.0.1:9/b";
    assert_eq!(bench.request(MINE, "POST", &format!("{path}/Workflows/{workflow}"), urls).status, 200);
    bench.request(MINE, "POST", &format!("{path}/Tasks"), "Priority=3");
    let delivery = bench.sends().pop().expect("the offer is asked about");
    assert_eq!(parameters(&delivery).len(), 12);
    assert_eq!(value(&delivery, "TaskPriority"), "3");
    let Content::Assignment { fallback_url, event } = &delivery.content else { panic!("{delivery:?}") };
    let reservation = event.reservation.as_ref().unwrap().sid;
    assert_eq!(fallback_url.as_deref(), Some("http://127.0.0.1:9/b"));

    let outcome = AssignmentOutcome::Answered(CallbackAnswer::Instruction(Instruction::Accept));
    bench.handle(Input::Assigned { workspace: delivery.workspace, reservation, outcome });
    let done = |change: &OutboxChange| matches!(change, OutboxChange::Done { sid } if *sid == reservation.bytes());
    assert!(bench.batch.outbox.iter().any(done), "what it does and that it is done are stored together");
    assert_eq!(bench.batch.records.len(), 1);
    let tasks = bench.request(MINE, "GET", &format!("{path}/Tasks"), "");
    assert_eq!(text(&tasks, "assignment_status"), "assigned");
}

#[test]
fn an_offer_that_is_decided_is_not_asked_about_after_a_restart() {
    let canceled = ("POST", "AssignmentStatus=canceled", 200);
    let deleted = ("DELETE", "", 204);
    for (url_at_the_end, (method, form, status)) in [("http://127.0.0.1:9/a", canceled), ("", canceled), ("", deleted)]
    {
        let mut bench = Bench::new();
        let path = bench.set_up(MINE, "");
        let workflow = text(&bench.request(MINE, "GET", &format!("{path}/Workflows"), ""), "sid");
        let ask_at = |bench: &mut Bench, url: &str| {
            let form = format!("AssignmentCallbackUrl={url}");
            assert_eq!(bench.request(MINE, "POST", &format!("{path}/Workflows/{workflow}"), &form).status, 200);
        };
        ask_at(&mut bench, "http://127.0.0.1:9/a");
        let task = text(&bench.request(MINE, "POST", &format!("{path}/Tasks"), ""), "sid");
        let asked = bench.sends().pop().expect("the offer is asked about").sid();
        ask_at(&mut bench, url_at_the_end);
        let done = |change: &OutboxChange| matches!(change, OutboxChange::Done { sid } if *sid == asked);
        assert!(!bench.batch.outbox.iter().any(done), "it is still pending");
        assert_eq!(bench.request(MINE, method, &format!("{path}/Tasks/{task}"), form).status, status);
        assert!(bench.batch.outbox.iter().any(done), "{method} with '{url_at_the_end}'");
    }
}

#[test]
fn a_failed_assignment_callback_takes_the_offer_back_and_holds_the_task_off() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    let workflow = text(&bench.request(MINE, "GET", &format!("{path}/Workflows"), ""), "sid");
    let url = "AssignmentCallbackUrl=http://127.0.0.1:9/a";
    bench.request(MINE, "POST", &format!("{path}/Workflows/{workflow}"), url);
    bench.request(MINE, "POST", &format!("{path}/Tasks"), "");
    let delivery = bench.sends().pop().expect("the offer is asked about");
    let reservation = Sid::from_bytes(delivery.sid());
    let outcome = AssignmentOutcome::Failed;
    bench.handle(Input::Assigned { workspace: delivery.workspace, reservation, outcome });
    assert!(bench.sends().is_empty(), "no new offer for a second");
    assert_eq!(bench.shard.next_deadline(), Some(Timestamp(bench.now + 1_000)));
    bench.now += 1_000;
    bench.handle(Input::Tick);
    assert_eq!(bench.sends().len(), 1, "the next offer is asked about again");
}

#[test]
fn what_was_stored_makes_the_same_workspaces_again() {
    let mut bench = Bench::new();
    let path = bench.set_up(MINE, "");
    for number in 0..20 {
        bench.request(MINE, "POST", &format!("{path}/Tasks"), &format!("Priority={number}"));
    }
    let gone = bench.set_up(MINE, "");
    assert_eq!(bench.request(MINE, "DELETE", &gone, "").status, 204);
    assert_eq!(bench.batch.deleted.len(), 1);

    let mut restored = Shard::new(Limits::default(), Telephony::None);
    let exist: Vec<bool> =
        bench.stored.values().map(|records| restored.restore(None, records.iter().cloned()).unwrap()).collect();
    assert_eq!(exist, [true, false], "a deleted Workspace does not come back");
    restored.check_invariants();
    assert_eq!(facts(&restored), facts(&bench.shard));
}

#[test]
fn records_that_do_not_begin_with_a_creation_are_refused() {
    let mut bench = Bench::new();
    bench.set_up(MINE, "");
    let records = bench.stored.values().next().unwrap()[1..].to_vec();
    let mut shard = Shard::new(Limits::default(), Telephony::None);
    assert!(shard.restore(None, records.into_iter()).is_err());
    assert!(shard.restore(None, [(1, b"nonsense".to_vec())].into_iter()).is_err());
}
