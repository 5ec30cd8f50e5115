//! Which callback is sent next, and what follows from a result.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_api::event_fields::event_callback_form;
use pointsman_api::instruction::{CallbackAnswer, Instruction};
use pointsman_dispatcher::{
    AssignmentOutcome, Attempt, AttemptResult, Content, Deliveries, Delivery, DeliverySettings, Effect, Input,
    OutboxChange, limits,
};
use pointsman_engine::{
    Command, CreateTask, CreateWorkspace, DurationMs, Engine, EventKind, Limits, Ordering, PublicEvent, Sid, Tasking,
    Template, Timestamp,
};
use pointsman_expression::Attributes;
use pointsman_record::delivery;

const NOW: Timestamp = Timestamp(1_760_000_000_000);

/// The events of a Task that is offered to the only Worker.
fn events() -> Vec<PublicEvent> {
    let create = CreateWorkspace {
        seed: [7; 16],
        sid: Sid::from_bytes([1; 16]),
        number: 1,
        account: Sid::from_bytes([9; 16]),
        friendly_name: "W".into(),
        event_callback_url: None,
        events_filter: None,
        tasking: Tasking::Multi,
        prioritize_queue_order: Ordering::Fifo,
        template: Template::Fifo,
        source_ip: None,
    };
    let (mut engine, _) = Engine::create_workspace(NOW, Limits::default(), create);
    let activity = engine.state().activity_named("Available").map(|activity| activity.sid);
    let worker = Command::CreateWorker { friendly_name: "Ann".into(), attributes: Attributes::default(), activity };
    let mut turn = engine.begin(NOW);
    turn.apply(worker).unwrap();
    turn.apply(Command::CreateTask(CreateTask::default())).unwrap();
    turn.finish().published
}

fn event_of_kind(kind: EventKind) -> PublicEvent {
    events().into_iter().find(|event| event.kind == kind).unwrap()
}

/// A `task.created` with this SID, of the Task with that one.
fn event(number: u8, task: u8) -> Arc<Delivery> {
    event_of(1, number, task, "http://127.0.0.1:9/events")
}

fn event_of(workspace: u8, number: u8, task: u8, url: &str) -> Arc<Delivery> {
    let mut event = event_of_kind(EventKind::TaskCreated);
    event.sid = Sid::from_bytes([number; 16]);
    event.task.as_mut().unwrap().sid = Sid::from_bytes([task; 16]);
    delivery_of(workspace, Content::Event(Arc::new(event)), url)
}

fn assignment(fallback: Option<&str>) -> Arc<Delivery> {
    let event = Arc::new(event_of_kind(EventKind::ReservationCreated));
    let content = Content::Assignment { event, fallback_url: fallback.map(Into::into) };
    delivery_of(1, content, "http://127.0.0.1:9/assign")
}

fn delivery_of(workspace: u8, content: Content, url: &str) -> Arc<Delivery> {
    Arc::new(Delivery {
        workspace: Sid::from_bytes([workspace; 16]),
        account: Sid::from_bytes([9; 16]),
        url: url.into(),
        content,
        failure: None,
    })
}

/// The number that the event of a request has in its SID.
fn number(attempt: &Attempt) -> u8 {
    let sid = attempt.form.as_ref().unwrap().split("Sid=EV").nth(1).unwrap();
    u8::from_str_radix(&sid[..2], 16).unwrap()
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
        Effect::Input { input: Input::Assigned { outcome, .. }, .. } => Some(outcome),
        Effect::Outbox(_) | Effect::Input { .. } | Effect::Warn { .. } => None,
    });
    assigned.unwrap_or_else(|| panic!("no outcome in {effects:?}"))
}

fn codes(effects: &[Effect]) -> Vec<u32> {
    warnings(effects).into_iter().map(|(code, _)| code).collect()
}

/// What the operator is told: the code, and whom the attempt went to.
fn warnings(effects: &[Effect]) -> Vec<(u32, &str)> {
    let warning = |effect| match effect {
        &Effect::Warn { code, ref receiver, .. } => Some((code, &**receiver)),
        Effect::Outbox(_) | Effect::Input { .. } => None,
    };
    effects.iter().filter_map(warning).collect()
}

#[test]
fn deliveries_of_one_key_leave_one_after_the_other_and_keys_side_by_side() {
    let mut deliveries = deliveries([event(1, 1), event(2, 1), event(3, 2)]);
    let first = start(&mut deliveries);
    assert_eq!(first.iter().map(number).collect::<Vec<_>>(), [1, 3]);
    assert!(start(&mut deliveries).is_empty());
    let effects = deliveries.finished(first[0].id, answered(204, "", ""), 3, NOW);
    assert!(matches!(effects[..], [Effect::Outbox(OutboxChange::Done { sid })] if sid == [1; 16]));
    assert_eq!(number(&start(&mut deliveries)[0]), 2);
    assert_eq!(deliveries.outstanding(), 2);
}

#[test]
fn a_request_is_signed_and_keeps_its_idempotency_token_over_a_retry() {
    let mut deliveries = deliveries([event(1, 1)]);
    let first = start(&mut deliveries).remove(0);
    let header = |attempt: &Attempt, name: &str| {
        attempt.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let told = event(1, 1);
    let form = event_callback_form(told.event().unwrap(), told.account, told.workspace);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let signature = pointsman_token::signature::sign("token", "http://127.0.0.1:9/events", &form);
    assert_eq!(header(&first, "X-Twilio-Signature"), Some(signature));
    assert_eq!(header(&first, "User-Agent").as_deref(), Some("TwilioProxy/1.1"));
    assert!(deliveries.finished(first.id, refused(), 10, NOW).is_empty());
    let second = start(&mut deliveries).remove(0);
    assert_eq!(header(&first, "I-Twilio-Idempotency-Token"), header(&second, "I-Twilio-Idempotency-Token"));
    let token = header(&first, "I-Twilio-Idempotency-Token").unwrap();
    assert_eq!((&token[14..15], &token[8..9], token.len()), ("4", "-", 36), "a UUID of version 4: {token}");
    assert!("89ab".contains(&token[19..20]), "its variant: {token}");
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
    assert_eq!(attempts.len(), limits::ATTEMPTS_PER_LANE_MAX + 1);
    deliveries.finished(attempts[0].id, answered(204, "", ""), 1, NOW);
    assert_eq!(start(&mut deliveries).len(), 1);
}

#[test]
fn one_receiver_that_hangs_leaves_places_for_the_others_of_its_workspace() {
    let hanging = (0..100).map(|number| event_of(1, number, number, "http://127.0.0.1:9/"));
    let mut deliveries = deliveries(hanging.chain([event_of(1, 200, 200, "http://127.0.0.1:10/")]));
    let attempts = start(&mut deliveries);
    assert_eq!(attempts.len(), limits::ATTEMPTS_PER_LANE_MAX + 1);
    assert!(attempts.iter().any(|attempt| attempt.url.request_url().port() == Some(10)));
}

/// Callbacks of one Workspace to so many receivers.
fn to_receivers(workspace: u8, count: u16) -> impl Iterator<Item = Arc<Delivery>> {
    let event = event(1, 1);
    (1..=count).map(move |port| {
        let (workspace, url) = (Sid::from_bytes([workspace; 16]), format!("http://127.0.0.1:{port}/").into());
        Arc::new(Delivery { workspace, url, ..(*event).clone() })
    })
}

/// How many places of so many a Workspace gets that fills them one by one.
fn share(places: usize) -> usize {
    (0..=places).find(|taken| (places - taken) / limits::FREE_PLACES_PER_WORKSPACE < *taken).unwrap()
}

#[test]
fn a_workspace_whose_receivers_hang_takes_its_share_of_the_places_and_no_more() {
    let mut deliveries = deliveries(to_receivers(1, 3_000));
    let taken = start(&mut deliveries);
    assert_eq!(taken.len(), share(limits::ATTEMPTS_MAX));
    assert_eq!(taken.len(), 171);
    deliveries.add(event_of(2, 1, 1, "http://127.0.0.1:1/"), "token".into());
    let of_other = start(&mut deliveries);
    assert_eq!(
        of_other.iter().map(|attempt| attempt.delivery.workspace).collect::<Vec<_>>(),
        [Sid::from_bytes([2; 16])]
    );
    deliveries.finished(of_other[0].id, answered(204, "", ""), 1, NOW);
    assert!(start(&mut deliveries).is_empty(), "the place of another is none of its own");
    deliveries.finished(taken[0].id, answered(204, "", ""), 1, NOW);
    assert_eq!(start(&mut deliveries).len(), 1, "one ended and one more started");
    assert_eq!(deliveries.outstanding(), 3_000 - 1);
}

#[test]
fn whoever_has_no_place_gets_the_next_one() {
    let (mut deliveries, mut taken) = (deliveries([]), Vec::new());
    let mut hanging = 0;
    while taken.len() < limits::ATTEMPTS_MAX {
        hanging += 1;
        for delivery in to_receivers(hanging, 200) {
            deliveries.add(delivery, "token".into());
        }
        let started = start(&mut deliveries);
        assert_eq!(started.len(), share(limits::ATTEMPTS_MAX - taken.len()));
        taken.extend(started);
    }
    assert_eq!(hanging, 14, "so many Workspaces one after the other leave no place");
    for workspace in 201..=203 {
        deliveries.add(event_of(workspace, 1, 1, "http://127.0.0.1:1/"), "token".into());
    }
    assert!(start(&mut deliveries).is_empty());
    let first = Sid::from_bytes([1; 16]);
    let mut ends = taken.iter().filter(|attempt| attempt.delivery.workspace == first);
    for workspace in 201..=203 {
        deliveries.finished(ends.next().unwrap().id, answered(204, "", ""), 1, NOW);
        let started = start(&mut deliveries);
        let of: Vec<_> = started.iter().map(|attempt| attempt.delivery.workspace).collect();
        assert_eq!(of, [Sid::from_bytes([workspace; 16])]);
    }
}

#[test]
fn the_receivers_of_a_workspace_take_turns() {
    let many = (0..200).map(|number| event_of(1, number, number, "http://127.0.0.1:9/"));
    let mut deliveries = deliveries(many.chain(to_receivers(1, 5)));
    let ports: Vec<_> =
        start(&mut deliveries).iter().map(|attempt| attempt.url.request_url().port().unwrap()).collect();
    assert_eq!(ports[..8], [9, 1, 2, 3, 4, 5, 9, 9]);
    assert_eq!(ports.len(), limits::ATTEMPTS_PER_LANE_MAX + 5);
}

#[test]
fn an_address_that_is_dead_holds_up_nothing_that_goes_elsewhere() {
    let old = |number| event_of(1, number, 1, "http://127.0.0.1:9/events");
    let new = |number| event_of(1, number, 1, "http://127.0.0.1:10/events");
    let mut deliveries = deliveries([old(1), old(2), new(3), new(4)]);
    let started = start(&mut deliveries);
    assert_eq!(started.iter().map(number).collect::<Vec<_>>(), [1, 3], "the same Task");
    deliveries.finished(started[1].id, answered(204, "", ""), 1, NOW);
    let next = start(&mut deliveries);
    assert_eq!(next.iter().map(number).collect::<Vec<_>>(), [4]);
    deliveries.finished(started[0].id, answered(204, "", ""), 1, NOW);
    assert_eq!(start(&mut deliveries).iter().map(number).collect::<Vec<_>>(), [2]);
}

/// What comes in at random, for every order of ends: nothing gets stuck, and each line keeps its order.
#[test]
fn everything_is_sent_in_the_end_and_in_order() {
    let event = event(1, 1);
    for seed in 1..=8_u64 {
        let mut random = Random(seed);
        let settings = DeliverySettings { guaranteed: Some(DurationMs(3_600_000)), ..DeliverySettings::default() };
        let mut deliveries = Deliveries::new(settings);
        let (mut now, mut running, mut added) = (NOW, Vec::new(), 0_u32);
        let mut ended: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        let workspaces = 1 + random.below(40);
        while added < 2_000 || 0 < deliveries.outstanding() {
            for _ in 0..random.below(80).min(2_000 - u64::from(added)) {
                added += 1;
                let workspace = if random.below(2) == 0 { 1 } else { random.below(workspaces) as u8 };
                let url = format!("http://127.0.0.1:{}/{}?{added}", 1 + random.below(400), random.below(2));
                let Content::Event(told) = &event.content else { unreachable!("it is one") };
                let mut told = (**told).clone();
                told.task.as_mut().unwrap().sid = Sid::from_bytes([random.below(3) as u8; 16]);
                let url = if random.below(50) == 0 { "nonsense".into() } else { url.into() };
                let content = Content::Event(Arc::new(told));
                let delivery =
                    Delivery { workspace: Sid::from_bytes([workspace; 16]), url, content, ..(*event).clone() };
                deliveries.add(Arc::new(delivery), "token".into());
            }
            let (attempts, _) = deliveries.next_attempts(now);
            running.extend(attempts);
            assert!(running.len() <= limits::ATTEMPTS_MAX);
            assert_eq!(deliveries.is_quiet(), running.is_empty(), "seed {seed}: what waits could go");
            for _ in 0..random.below(100).min(running.len() as u64) {
                let attempt = running.swap_remove(random.below(running.len() as u64) as usize);
                let result = match random.below(4) {
                    0 => refused(),
                    1 => answered(500, "", ""),
                    _ => answered(204, "", ""),
                };
                let effects = deliveries.finished(attempt.id, result, 1, now);
                if effects.iter().any(|effect| matches!(effect, Effect::Outbox(_))) {
                    let number = attempt.url.request_url().query().unwrap().parse().unwrap();
                    let line = (attempt.delivery.workspace, attempt.delivery.line(), attempt.url.destination());
                    ended.entry(line).or_default().push(number);
                }
            }
            if running.is_empty() {
                now = deliveries.next_deadline().unwrap_or(now);
            }
        }
        for (line, numbers) in ended {
            assert!(numbers.is_sorted(), "seed {seed}, {line:?}: {numbers:?}");
        }
    }
}

/// Numbers that look random and are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn what_routing_waits_for_has_places_of_its_own_when_all_others_are_taken() {
    let hanging = (0..limits::ATTEMPTS_MAX + 50).map(|number| {
        let delivery = event(1, 1);
        let mut workspace = [0; 16];
        workspace[..8].copy_from_slice(&(number as u64 + 10).to_be_bytes());
        Arc::new(Delivery { workspace: Sid::from_bytes(workspace), ..(*delivery).clone() })
    });
    let mut deliveries = deliveries(hanging);
    let taken = start(&mut deliveries);
    assert_eq!(taken.len(), limits::ATTEMPTS_MAX);
    deliveries.add(assignment(None), "token".into());
    let attempts = start(&mut deliveries);
    assert_eq!(attempts.iter().map(|attempt| attempt.delivery.kind()).collect::<Vec<_>>(), ["assignment"]);
    deliveries.finished(taken[0].id, answered(204, "", ""), 1, NOW);
    assert_eq!(start(&mut deliveries).len(), 1, "who waits for a place gets the one that is free");
}

#[test]
fn events_that_hang_leave_places_for_what_routing_waits_for() {
    let hanging = (0..100).map(|number| event_of(1, number, number, "http://127.0.0.1:9/"));
    let mut deliveries = deliveries(hanging);
    assert_eq!(start(&mut deliveries).len(), limits::ATTEMPTS_PER_LANE_MAX);
    deliveries.add(assignment(None), "token".into());
    let attempts = start(&mut deliveries);
    assert_eq!(attempts.iter().map(|attempt| attempt.delivery.kind()).collect::<Vec<_>>(), ["assignment"]);
}

#[test]
fn a_workspace_with_nothing_under_way_finds_a_place_among_many_slow_ones() {
    let slow = (1..=100)
        .flat_map(|workspace| (0..40).map(move |number| event_of(workspace, number, number, "http://127.0.0.1:9/")));
    let mut deliveries = deliveries(slow);
    let taken = start(&mut deliveries).len();
    assert!(taken < limits::ATTEMPTS_MAX, "{taken} places are taken");
    deliveries.add(event_of(200, 1, 1, "http://127.0.0.1:9/"), "token".into());
    assert_eq!(start(&mut deliveries).len(), 1);
}

#[test]
fn an_assignment_callback_that_is_asked_again_after_a_restart_has_a_new_token() {
    let token = |epoch, delivery: Arc<Delivery>| {
        let mut deliveries = Deliveries::new(DeliverySettings { epoch, ..DeliverySettings::default() });
        deliveries.add(delivery, "token".into());
        let attempt = start(&mut deliveries).remove(0);
        let header = attempt.headers.iter().find(|(name, _)| *name == "I-Twilio-Idempotency-Token");
        header.map(|(_, value)| value.clone())
    };
    assert_ne!(token(1, assignment(None)), token(2, assignment(None)));
    assert_eq!(token(1, event(1, 1)), token(2, event(1, 1)), "an event is the same event");
}

#[test]
fn an_address_that_makes_no_sense_is_a_dead_letter() {
    let mut deliveries = deliveries([event_of(1, 1, 1, "nonsense")]);
    let (attempts, effects) = deliveries.next_attempts(NOW);
    assert!(attempts.is_empty());
    assert!(matches!(effects[..], [Effect::Warn { .. }, Effect::Outbox(OutboxChange::Dead { .. })]));
    assert_eq!(warnings(&effects), [(11_200, "no address")]);
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
fn a_warning_names_whom_the_attempt_went_to() {
    let mut deliveries = deliveries([assignment(Some("http://ann:secret@127.0.0.1:10/fallback?token=secret"))]);
    let attempt = start(&mut deliveries).remove(0);
    let effects = deliveries.finished(attempt.id, answered(500, "", ""), 5, NOW);
    assert_eq!(warnings(&effects), [(11_200, "http://127.0.0.1:9")]);
    let fallback = start(&mut deliveries).remove(0);
    let effects = deliveries.finished(fallback.id, answered(503, "", ""), 5, NOW);
    assert_eq!(warnings(&effects), [(11_200, "http://127.0.0.1:10")]);

    // A fallback that is no address at all.
    let mut deliveries = self::deliveries([assignment(Some("nonsense"))]);
    let attempt = start(&mut deliveries).remove(0);
    deliveries.finished(attempt.id, answered(500, "", ""), 5, NOW);
    let (attempts, effects) = deliveries.next_attempts(NOW);
    assert!(attempts.is_empty());
    assert_eq!(warnings(&effects), [(11_200, "no address")]);
    assert_eq!(*outcome(&effects), AssignmentOutcome::Failed);
}

#[test]
fn an_answer_that_is_not_called_json_keeps_the_offer_unless_the_fallback_fails() {
    let html = || answered(200, "text/html", "<p>hello</p>");
    let mut without = deliveries([assignment(None)]);
    let attempt = start(&mut without).remove(0);
    let effects = without.finished(attempt.id, html(), 5, NOW);
    assert_eq!(codes(&effects), [40_000]);
    let content_type = Some("text/html".to_string());
    assert_eq!(*outcome(&effects), AssignmentOutcome::Answered(CallbackAnswer::NotJson { content_type }));

    let mut with = deliveries([assignment(Some("http://127.0.0.1:9/fallback"))]);
    let attempt = start(&mut with).remove(0);
    assert_eq!(codes(&with.finished(attempt.id, html(), 5, NOW)), [40_000]);
    let attempt = start(&mut with).remove(0);
    let effects = with.finished(attempt.id, html(), 5, NOW);
    assert_eq!(*outcome(&effects), AssignmentOutcome::Failed);
}

#[test]
fn a_guaranteed_callback_is_tried_again_after_growing_pauses_until_its_time_is_over() {
    let hour = DurationMs(3_600_000);
    let settings = DeliverySettings { guaranteed: Some(hour), ..DeliverySettings::default() };
    let mut deliveries = Deliveries::new(settings);
    deliveries.add(event(1, 1), "token".into());
    deliveries.add(event(2, 1), "token".into());
    let (mut now, mut attempts, mut longest) = (NOW, 0, 0);
    let dead = loop {
        let (mut started, _) = deliveries.next_attempts(now);
        let attempt = started.pop().expect("the pause is over");
        assert_eq!(number(&attempt), 1, "order is kept");
        attempts += 1;
        let effects = deliveries.finished(attempt.id, answered(503, "", ""), 5, now);
        assert_eq!(warnings(&effects), [(11_200, "http://127.0.0.1:9")], "every failure is told");
        if 1 < effects.len() {
            break effects;
        }
        assert!(deliveries.is_quiet(), "a pause is not waited for");
        let until = deliveries.next_deadline().expect("it pauses");
        assert!(now < until && until.since(now).0 <= limits::BACK_OFF_MS_MAX as i64);
        longest = longest.max(until.since(now).0);
        now = until;
    };
    assert!(NOW.plus(hour) <= now, "not given up early");
    assert!(longest > 60_000, "pauses grow");
    let Effect::Outbox(OutboxChange::Dead { delivery, .. }) = &dead[1] else { panic!("{dead:?}") };
    assert_eq!(delivery.failure.as_ref().map(|failure| failure.attempts), Some(attempts));
    assert_eq!(number(&deliveries.next_attempts(now).0[0]), 2);
}

#[test]
fn an_outage_that_ends_in_time_loses_nothing_when_guaranteed() {
    let settings = DeliverySettings { guaranteed: Some(DurationMs(3_600_000)), ..DeliverySettings::default() };
    let mut deliveries = Deliveries::new(settings);
    for number in 1..=20 {
        deliveries.add(event(number, number % 4), "token".into());
    }
    let (mut now, mut delivered) = (NOW, Vec::new());
    while deliveries.outstanding() > 0 {
        let (attempts, _) = deliveries.next_attempts(now);
        for attempt in attempts {
            let up = now.since(NOW).0 > 600_000;
            let sent = number(&attempt);
            let result = if up { answered(204, "", "") } else { refused() };
            let effects = deliveries.finished(attempt.id, result, 1, now);
            if effects.iter().any(|effect| matches!(effect, Effect::Outbox(OutboxChange::Done { .. }))) {
                delivered.push(sent);
            }
        }
        if deliveries.is_quiet() {
            now = deliveries.next_deadline().unwrap_or(now);
        }
    }
    for line in 0..4 {
        let of_line: Vec<u8> = delivered.iter().copied().filter(|number| number % 4 == line).collect();
        assert!(of_line.is_sorted() && of_line.len() == 5, "{of_line:?}");
    }
}

#[test]
fn a_delivery_is_read_back_as_it_was_written() {
    let mut dead = (*event(1, 2)).clone();
    dead.failure = Some(pointsman_dispatcher::DeliveryFailure { attempts: 3, reason: "refused".into(), status: None });
    let written =
        [event(1, 2), assignment(None), assignment(Some("http://127.0.0.1:9/fallback#tt=100")), Arc::new(dead)];
    for delivery in written {
        assert_eq!(delivery::decode(&delivery::encode(&delivery)).as_ref(), Ok(&*delivery));
    }
    assert!(delivery::decode(b"nonsense").is_err());
}
