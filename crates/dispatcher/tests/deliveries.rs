//! Which callback is sent next, and what follows from a result.

use std::sync::Arc;

use pointsman_api::instruction::{CallbackAnswer, Instruction};
use pointsman_dispatcher::{
    AssignmentOutcome, Attempt, AttemptResult, Deliveries, Delivery, DeliveryKind, DeliverySettings, Effect,
    OutboxChange, limits,
};
use pointsman_engine::{EventKind, Sid, Timestamp};

const NOW: Timestamp = Timestamp(1_760_000_000_000);

fn event(number: u8, key: u8) -> Arc<Delivery> {
    event_of(1, number, key, "http://127.0.0.1:9/events")
}

fn event_of(workspace: u8, number: u8, key: u8, url: &str) -> Arc<Delivery> {
    Arc::new(Delivery {
        sid: [number; 16],
        workspace: Sid::from_bytes([workspace; 16]),
        account: Sid::from_bytes([9; 16]),
        key: [key; 16],
        kind: DeliveryKind::Event { event: EventKind::TaskCreated },
        url: url.into(),
        parameters: vec![("EventType".into(), "task.created".to_string()), ("N".into(), number.to_string())],
        at: NOW,
    })
}

fn assignment(fallback: Option<&str>) -> Arc<Delivery> {
    Arc::new(Delivery {
        sid: [7; 16],
        workspace: Sid::from_bytes([1; 16]),
        account: Sid::from_bytes([9; 16]),
        key: [7; 16],
        kind: DeliveryKind::Assignment {
            reservation: Sid::from_bytes([7; 16]),
            fallback_url: fallback.map(Into::into),
        },
        url: "http://127.0.0.1:9/assign".into(),
        parameters: vec![("TaskSid".into(), "WT1".to_string())],
        at: NOW,
    })
}

fn deliveries(waiting: impl IntoIterator<Item = Arc<Delivery>>) -> Deliveries {
    let mut deliveries = Deliveries::new(DeliverySettings::default());
    for delivery in waiting {
        deliveries.add(delivery, "token".into());
    }
    deliveries
}

fn start(deliveries: &mut Deliveries) -> Vec<Attempt> {
    let (attempts, effects) = deliveries.next_attempts(NOW);
    assert!(effects.is_empty(), "{effects:?}");
    attempts
}

fn answered(status: u16, content_type: &str, body: &str) -> AttemptResult {
    AttemptResult::Answered { status, content_type: Some(content_type.to_string()), body: body.into() }
}

fn refused() -> AttemptResult {
    AttemptResult::ConnectFailed { reason: "refused".to_string() }
}

fn outcome(effects: &[Effect]) -> &AssignmentOutcome {
    let assigned = effects.iter().find_map(|effect| match effect {
        Effect::Assigned { outcome, .. } => Some(outcome),
        Effect::Outbox(_) | Effect::Warn { .. } => None,
    });
    assigned.unwrap_or_else(|| panic!("no outcome in {effects:?}"))
}

fn codes(effects: &[Effect]) -> Vec<u32> {
    let code = |effect: &Effect| match effect {
        Effect::Warn { code, .. } => Some(*code),
        Effect::Outbox(_) | Effect::Assigned { .. } => None,
    };
    effects.iter().filter_map(code).collect()
}

#[test]
fn deliveries_of_one_key_leave_one_after_the_other_and_keys_side_by_side() {
    let mut deliveries = deliveries([event(1, 1), event(2, 1), event(3, 2)]);
    let first = start(&mut deliveries);
    let bodies: Vec<&str> = first.iter().map(|attempt| attempt.body.as_str()).collect();
    assert_eq!(bodies, ["EventType=task.created&N=1", "EventType=task.created&N=3"]);
    assert!(start(&mut deliveries).is_empty());
    let effects = deliveries.finished(first[0].id, answered(204, "", ""), 3, NOW);
    assert!(matches!(effects[..], [Effect::Outbox(OutboxChange::Done { sid })] if sid == [1; 16]));
    assert_eq!(start(&mut deliveries)[0].body, "EventType=task.created&N=2");
    assert_eq!(deliveries.outstanding(), 2);
}

#[test]
fn a_request_is_signed_and_keeps_its_idempotency_token_over_a_retry() {
    let mut deliveries = deliveries([event(1, 1)]);
    let first = start(&mut deliveries).remove(0);
    let header = |attempt: &Attempt, name: &str| {
        attempt.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let signature = pointsman_token::signature::sign(
        "token",
        "http://127.0.0.1:9/events",
        &[("EventType", "task.created"), ("N", "1")],
    );
    assert_eq!(header(&first, "X-Twilio-Signature"), Some(signature));
    assert_eq!(header(&first, "User-Agent").as_deref(), Some("TwilioProxy/1.1"));
    assert!(deliveries.finished(first.id, refused(), 10, NOW).is_empty());
    let second = start(&mut deliveries).remove(0);
    assert_eq!(header(&first, "I-Twilio-Idempotency-Token"), header(&second, "I-Twilio-Idempotency-Token"));
}

#[test]
fn only_a_failed_connection_is_tried_again_and_only_once() {
    let mut deliveries = deliveries([event(1, 1)]);
    for retried in [true, false] {
        let attempt = start(&mut deliveries).remove(0);
        let effects = deliveries.finished(attempt.id, refused(), 10, NOW);
        assert_eq!(effects.is_empty(), retried);
    }
    assert_eq!(deliveries.outstanding(), 0);
    let mut deliveries = self::deliveries([event(1, 1)]);
    let attempt = start(&mut deliveries).remove(0);
    let effects = deliveries.finished(attempt.id, answered(500, "", ""), 10, NOW);
    assert_eq!(codes(&effects), [11_200]);
    assert!(matches!(effects[1], Effect::Outbox(OutboxChange::Dead { .. })));
}

#[test]
fn the_fragment_of_the_address_asks_for_other_retries() {
    let url = "http://127.0.0.1:9/events#rc=2&rp=5xx&tt=3000";
    let mut deliveries = deliveries([event_of(1, 1, 1, url)]);
    for retried in [true, true, false] {
        let attempt = start(&mut deliveries).remove(0);
        let effects = deliveries.finished(attempt.id, answered(503, "", ""), 100, NOW);
        assert_eq!(effects.is_empty(), retried);
    }
    // The time for everything is over before the retries are.
    let mut deliveries = self::deliveries([event_of(1, 1, 1, url)]);
    let attempt = start(&mut deliveries).remove(0);
    assert_eq!(attempt.total_timeout_ms, 3_000);
    assert!(!deliveries.finished(attempt.id, answered(503, "", ""), 3_000, NOW).is_empty());
}

#[test]
fn one_slow_workspace_cannot_take_every_place() {
    let slow = (0..100).map(|number| event_of(1, number, number, "http://127.0.0.1:9/"));
    let mut deliveries = deliveries(slow.chain([event_of(2, 200, 200, "http://127.0.0.1:9/")]));
    let attempts = start(&mut deliveries);
    assert_eq!(attempts.len(), limits::ATTEMPTS_PER_WORKSPACE_MAX + 1);
    deliveries.finished(attempts[0].id, answered(204, "", ""), 1, NOW);
    assert_eq!(start(&mut deliveries).len(), 1);
}

#[test]
fn an_address_that_makes_no_sense_is_a_dead_letter() {
    let mut deliveries = deliveries([event_of(1, 1, 1, "nonsense")]);
    let (attempts, effects) = deliveries.next_attempts(NOW);
    assert!(attempts.is_empty());
    assert!(matches!(effects[..], [Effect::Warn { .. }, Effect::Outbox(OutboxChange::Dead { .. })]));
}

#[test]
fn an_assignment_answer_is_read_once_and_handed_on() {
    let mut deliveries = deliveries([assignment(None)]);
    let attempt = start(&mut deliveries).remove(0);
    assert_eq!(attempt.total_timeout_ms, limits::ASSIGNMENT_TIMEOUT_MS);
    let answer = answered(200, "application/json; charset=utf-8", r#"{"instruction": "Accept"}"#);
    let effects = deliveries.finished(attempt.id, answer, 20, NOW);
    let accept = AssignmentOutcome::Answered(CallbackAnswer::Instruction(Instruction::Accept));
    assert_eq!(*outcome(&effects), accept);
}

#[test]
fn an_empty_answer_is_no_instruction() {
    for answer in [answered(200, "text/plain", " \n"), answered(204, "", ""), answered(202, "application/json", "{}")] {
        let mut deliveries = deliveries([assignment(Some("http://127.0.0.1:9/fallback"))]);
        let attempt = start(&mut deliveries).remove(0);
        let effects = deliveries.finished(attempt.id, answer, 20, NOW);
        assert_eq!(*outcome(&effects), AssignmentOutcome::Answered(CallbackAnswer::NoInstruction));
    }
}

#[test]
fn a_failed_assignment_callback_goes_to_the_fallback_with_time_of_its_own() {
    let mut deliveries = deliveries([assignment(Some("http://127.0.0.1:9/fallback"))]);
    let attempt = start(&mut deliveries).remove(0);
    let effects = deliveries.finished(attempt.id, AttemptResult::TimedOut, 5_000, NOW);
    assert_eq!(codes(&effects), [11_205]);
    let fallback = start(&mut deliveries).remove(0);
    assert_eq!(fallback.url.request_url().path(), "/fallback");
    assert_eq!(fallback.total_timeout_ms, limits::ASSIGNMENT_TIMEOUT_MS);
    let effects = deliveries.finished(fallback.id, answered(500, "", ""), 5, NOW);
    assert_eq!(*outcome(&effects), AssignmentOutcome::Failed);
    assert_eq!(deliveries.outstanding(), 0);
}

#[test]
fn an_answer_that_is_not_called_json_keeps_the_offer_unless_the_fallback_fails() {
    let html = || answered(200, "text/html", "<p>hello</p>");
    let mut without = deliveries([assignment(None)]);
    let attempt = start(&mut without).remove(0);
    let effects = without.finished(attempt.id, html(), 5, NOW);
    assert_eq!(codes(&effects), [40_000]);
    assert_eq!(*outcome(&effects), AssignmentOutcome::Answered(CallbackAnswer::NoInstruction));

    let mut with = deliveries([assignment(Some("http://127.0.0.1:9/fallback"))]);
    let attempt = start(&mut with).remove(0);
    assert_eq!(codes(&with.finished(attempt.id, html(), 5, NOW)), [40_000]);
    let attempt = start(&mut with).remove(0);
    let effects = with.finished(attempt.id, html(), 5, NOW);
    assert_eq!(*outcome(&effects), AssignmentOutcome::Failed);
}

#[test]
fn what_waits_of_a_deleted_workspace_is_forgotten_but_for_what_is_under_way() {
    let mut deliveries = deliveries([event(1, 1), event(2, 1), event(3, 2)]);
    let attempts = start(&mut deliveries);
    deliveries.forget(Sid::from_bytes([1; 16]));
    assert_eq!(deliveries.outstanding(), 2);
    for attempt in attempts {
        deliveries.finished(attempt.id, answered(204, "", ""), 1, NOW);
    }
    assert_eq!(deliveries.outstanding(), 0);
    assert!(start(&mut deliveries).is_empty());
}

#[test]
fn a_delivery_is_read_back_as_it_was_written() {
    for delivery in [event(1, 2), assignment(None), assignment(Some("http://127.0.0.1:9/fallback#tt=100"))] {
        assert_eq!(Delivery::decode(&delivery.encode()).as_ref(), Ok(&*delivery));
    }
    assert!(Delivery::decode(b"nonsense").is_err());
}
