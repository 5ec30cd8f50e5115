//! Instructions that need calls, whatever order the provider's answers and reports come in.
//! Reference: events-and-callbacks, section 11.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_dispatcher::{
    Content, Delivery, Input, ReservationCallback, Shard, Telephony, Ticket, VoiceApi, VoiceCallback,
    VoiceCallbackKind, VoiceOutcome, VoiceRequest, VoiceStep,
};
use pointsman_engine::{Limits, Sid};
use proptest::prelude::*;

use crate::bench::{Bench, MINE, facts, text};

const CALLER: &str = "CAcccccccccccccccccccccccccccccccc";
/// The Worker's call, and another.
const FIRST: &str = "CA11111111111111111111111111111111";
const SECOND: &str = "CA22222222222222222222222222222222";
const ATTRIBUTES: &str = "%7B%22call_sid%22%3A%22CAcccccccccccccccccccccccccccccccc%22%2C%22to%22%3A%22%2B15550100%22\
     %2C%22from%22%3A%22%2B15550111%22%7D";
const OUTBOUND: &str = "%7B%22outbound_to%22%3A%22%2B15550123%22%2C%22from%22%3A%22%2B15550100%22%7D";

fn telephony() -> Telephony {
    Telephony::Bridged(VoiceApi {
        account_url: "https://voice.example/2010-04-01/Accounts/AC1".to_string(),
        callback_url: "https://router.example".to_string(),
    })
}

/// Something that happens around a call.
#[derive(Clone, Debug)]
enum Happening {
    Instruct(&'static str),
    /// The voice API answers the oldest request that it has not answered.
    Answer(u16),
    Unreachable,
    Unanswered,
    Progress(&'static str),
    Conference(&'static str, bool),
    CustomerProgress(&'static str),
    WorkerLeg,
    DialReservation,
    DialResult,
    /// How the caller goes on: what the provider says.
    EnqueueResult(&'static str, &'static str),
    Update(&'static str),
    Delete,
    /// Of the Worker, of the Activity after the call, or of the Workflow, if nothing needs it.
    DeleteFor(&'static str),
    Wait(i64),
    /// From here on it is the other of the two newest reservations that things happen to.
    Other,
}

fn happening() -> impl Strategy<Value = Happening> {
    let instructions = [
        "Instruction=dequeue&DequeueTo=client:ann&DequeueStatusCallbackUrl=https://app.example/d",
        "Instruction=dequeue&DequeueTo=client:ann&DequeuePostWorkActivitySid={after}",
        "Instruction=conference&To=client:ann&StatusCallback=https://app.example/c",
        "Instruction=call&CallTo=client:ann&CallFrom=1&CallUrl=https://app.example/x",
        "Instruction=call&CallTo=client:ann&CallFrom=1&CallUrl=https://app.example/x&CallAccept=true",
        "Instruction=redirect&RedirectCallSid=CAcccccccccccccccccccccccccccccccc&RedirectUrl=https://app.example/x",
        "Instruction=redirect&RedirectCallSid=CAcccccccccccccccccccccccccccccccc&RedirectUrl=https://app.example/x\
         &RedirectAccept=true",
        "Instruction=supervise&Supervisor=client:bob",
        "ReservationStatus=accepted",
        "ReservationStatus=rejected",
        "ReservationStatus=completed",
    ];
    let events = ["participant-join", "participant-leave", "conference-start", "conference-end", "participant-mute"];
    let statuses = ["initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled", "x"];
    let updates = ["AssignmentStatus=canceled", "AssignmentStatus=wrapping", "AssignmentStatus=completed"];
    prop_oneof![
        4 => proptest::sample::select(instructions.to_vec()).prop_map(Happening::Instruct),
        4 => proptest::sample::select(vec![201_u16, 200, 400, 404, 500]).prop_map(Happening::Answer),
        1 => Just(Happening::Unreachable),
        1 => Just(Happening::Unanswered),
        4 => proptest::sample::select(statuses.to_vec()).prop_map(Happening::Progress),
        3 => (proptest::sample::select(events.to_vec()), any::<bool>())
            .prop_map(|(event, of_worker)| Happening::Conference(event, of_worker)),
        1 => Just(Happening::WorkerLeg),
        1 => Just(Happening::DialReservation),
        2 => proptest::sample::select(statuses.to_vec()).prop_map(Happening::CustomerProgress),
        1 => Just(Happening::DialResult),
        1 => proptest::sample::select(vec![("QueueResult", "hangup"), ("CallStatus", "completed"), ("CallStatus", "x")])
            .prop_map(|(name, value)| Happening::EnqueueResult(name, value)),
        1 => proptest::sample::select(updates.to_vec()).prop_map(Happening::Update),
        1 => Just(Happening::Delete),
        1 => proptest::sample::select(vec!["Workers", "Activities", "Workflows"]).prop_map(Happening::DeleteFor),
        2 => Just(Happening::Other),
        1 => proptest::sample::select(vec![0_i64, 1_000, 121_000, 601_000]).prop_map(Happening::Wait),
    ]
}

/// A Workspace with one Task that is offered to one Worker, and what was asked of the voice API.
struct Call {
    bench: Bench,
    path: String,
    task: String,
    /// Collections of the Workspace, with the one object of each that may be deleted; the Worker may be where this is.
    deletable: BTreeMap<&'static str, String>,
    offline: String,
    /// Of the reservation that things happen to.
    worker_call: &'static str,
    asked: Vec<Arc<Delivery>>,
    steps: Vec<VoiceStep>,
}

impl Call {
    fn new(attributes: &str) -> Self {
        let mut bench = Bench::with(telephony());
        let path = bench.set_up(MINE, "");
        let made = bench.request(MINE, "POST", &format!("{path}/Tasks"), &format!("Attributes={attributes}"));
        let task = text(&made, "sid");
        let after = bench.request(MINE, "POST", &format!("{path}/Activities"), "FriendlyName=After");
        let offline = bench.request(MINE, "GET", &format!("{path}/Activities?FriendlyName=Offline"), "");
        let first =
            |bench: &mut Bench, list: &str| text(&bench.request(MINE, "GET", &format!("{path}/{list}"), ""), "sid");
        let deletable = BTreeMap::from([
            ("Workers", first(&mut bench, "Workers")),
            ("Workflows", first(&mut bench, "Workflows")),
            ("Activities", text(&after, "sid")),
        ]);
        let offline = text(&offline, "sid");
        Self { bench, path, task, deletable, offline, worker_call: FIRST, asked: Vec::new(), steps: Vec::new() }
    }

    /// A second Worker, to whom the Task is offered as well.
    fn with_two(attributes: &str) -> Self {
        let mut call = Self::new("");
        let first = |call: &mut Self, list: &str| {
            let path = format!("{}/{list}", call.path);
            text(&call.bench.request(MINE, "GET", &path, ""), "sid")
        };
        let (available, queue) =
            (first(&mut call, "Activities?FriendlyName=Available"), first(&mut call, "TaskQueues"));
        let worker = format!("FriendlyName=Bob&ActivitySid={available}");
        let (workers, tasks) = (format!("{}/Workers", call.path), format!("{}/Tasks", call.path));
        call.request("DELETE", &format!("{tasks}/{}", call.task.clone()), "");
        assert_eq!(
            call.request("POST", &format!("{}/TaskQueues/{queue}", call.path.clone()), "MaxReservedWorkers=2"),
            200
        );
        assert_eq!(call.request("POST", &workers, &worker), 201);
        let made = call.bench.request(MINE, "POST", &tasks, &format!("Attributes={attributes}"));
        call.collect();
        call.task = text(&made, "sid");
        call
    }

    /// The newest reservation of the Task, or the one before.
    fn reservation(&mut self) -> Option<String> {
        let path = format!("{}/Tasks/{}/Reservations?PageSize=1000", self.path, self.task);
        let list = self.bench.request(MINE, "GET", &path, "");
        self.collect();
        let mut sids = list.body.rsplit("/Reservations/").map(|rest| rest.get(..34).unwrap_or_default());
        let is_other = self.worker_call == SECOND;
        sids.nth(usize::from(is_other)).filter(|sid| sid.starts_with("WR")).map(str::to_string)
    }

    fn status(&mut self) -> String {
        let Some(reservation) = self.reservation() else { return String::new() };
        let path = format!("{}/Tasks/{}/Reservations/{reservation}", self.path, self.task);
        text(&self.bench.request(MINE, "GET", &path, ""), "reservation_status")
    }

    fn request(&mut self, method: &str, path: &str, body: &str) -> u16 {
        let status = self.bench.request(MINE, method, path, body).status;
        self.collect();
        status
    }

    fn handle(&mut self, input: Input) {
        self.bench.handle(input);
        self.collect();
        self.bench.shard.check_invariants();
    }

    /// Takes what the turn wants sent.
    fn collect(&mut self) {
        for delivery in self.bench.sends() {
            if let Content::Voice { step, .. } = delivery.content {
                self.steps.push(step);
                self.asked.push(delivery);
            }
        }
    }

    fn voice(&mut self, kind: VoiceCallbackKind, form: &[(&str, &str)]) {
        self.voice_with(kind, &[], form);
    }

    fn voice_with(&mut self, kind: VoiceCallbackKind, query: &[(&str, String)], form: &[(&str, &str)]) {
        let query = query.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
        let form = form.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
        let callback = VoiceCallback { kind, path: "/pointsman/v1/voice".into(), query, form };
        self.handle(Input::Voice { ticket: Ticket(0), callback: Box::new(callback) });
    }

    fn answer(&mut self, outcome: VoiceOutcome) {
        if self.asked.is_empty() {
            return;
        }
        let delivery = self.asked.remove(0);
        let Content::Voice { step, about, .. } = delivery.content else { unreachable!("only these are kept") };
        let Delivery { workspace, account, .. } = *delivery;
        self.handle(Input::VoiceAnswered { request: VoiceRequest { workspace, account, step, about }, outcome });
    }

    fn happens(&mut self, happening: &Happening) {
        let reservation = self.reservation();
        let sid = || reservation.as_deref().and_then(Sid::parse).unwrap_or(Sid::from_bytes([0; 16]));
        let path = format!("{}/Tasks/{}", self.path, self.task);
        match happening {
            Happening::Instruct(body) => {
                let body = body.replace("{after}", &self.deletable["Activities"]);
                if let Some(reservation) = reservation {
                    self.request("POST", &format!("{path}/Reservations/{reservation}"), &body);
                }
            }
            Happening::Answer(status) => {
                let call = self.worker_call;
                let body = format!(
                    r#"{{"sid":"{call}","call_sid":"{call}","conference_sid":"CF1","code":21215,"message":"no"}}"#
                );
                self.answer(VoiceOutcome::Answered { status: *status, body: body.into_bytes() });
            }
            Happening::Unreachable => self.answer(VoiceOutcome::Failed { reason: "refused".to_string() }),
            Happening::Unanswered => self.answer(VoiceOutcome::Unanswered { reason: "late".to_string() }),
            Happening::Progress(status) => {
                let form = [("CallSid", self.worker_call), ("CallStatus", status)];
                self.voice(VoiceCallbackKind::Reservation(sid(), ReservationCallback::Status), &form);
            }
            Happening::Conference(event, of_worker) => {
                let call = if *of_worker { self.worker_call } else { CALLER };
                let form = [("ConferenceSid", "CF1"), ("StatusCallbackEvent", event), ("CallSid", call)];
                self.voice(VoiceCallbackKind::Reservation(sid(), ReservationCallback::Conference), &form);
            }
            Happening::CustomerProgress(status) => {
                let form = [("CallSid", self.worker_call), ("CallStatus", status)];
                self.voice(VoiceCallbackKind::Reservation(sid(), ReservationCallback::CustomerStatus), &form);
            }
            Happening::WorkerLeg => self.voice(
                VoiceCallbackKind::Reservation(sid(), ReservationCallback::WorkerLeg),
                &[("CallSid", self.worker_call)],
            ),
            Happening::Other => self.worker_call = if self.worker_call == FIRST { SECOND } else { FIRST },
            Happening::DialReservation => {
                let query = [("postWorkActivitySid", self.deletable["Activities"].clone())];
                self.voice_with(
                    VoiceCallbackKind::Reservation(sid(), ReservationCallback::DialReservation),
                    &query,
                    &[("CallSid", FIRST)],
                );
            }
            Happening::DialResult => self
                .voice(VoiceCallbackKind::Reservation(sid(), ReservationCallback::DialResult), &[("CallSid", FIRST)]),
            Happening::EnqueueResult(name, value) => {
                let task = Sid::parse(&self.task).expect("it is that of a Task");
                self.voice(VoiceCallbackKind::EnqueueResult(task), &[("CallSid", CALLER), (name, value)]);
            }
            Happening::Update(body) => {
                self.request("POST", &path, body);
            }
            Happening::Delete => {
                self.request("DELETE", &path, "");
            }
            Happening::DeleteFor(list) => {
                let path = format!("{}/{list}/{}", self.path, self.deletable[list]);
                if *list == "Workers" {
                    self.request("POST", &path, &format!("ActivitySid={}", self.offline));
                }
                self.request("DELETE", &path, "");
            }
            Happening::Wait(duration) => {
                self.bench.now += duration;
                self.handle(Input::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Nothing breaks an assertion or an invariant, and a restart finds the same state.
    #[test]
    fn any_order_of_answers_and_reports_leaves_a_consistent_workspace(
        outbound in any::<bool>(),
        two in any::<bool>(),
        happenings in proptest::collection::vec(happening(), 1..30),
    ) {
        let attributes = if outbound { OUTBOUND } else { ATTRIBUTES };
        let mut call = if two { Call::with_two(attributes) } else { Call::new(attributes) };
        for happening in &happenings {
            call.happens(happening);
        }
        // Reads move the clock without a record; the last turn is to be one that is stored.
        prop_assert_eq!(call.request("POST", &format!("{}/Activities", call.path.clone()), "FriendlyName=Last"), 201);
        let mut restored = Shard::new(Limits::default(), telephony());
        for records in call.bench.stored.values() {
            restored.restore(None, records.iter().cloned()).unwrap();
        }
        prop_assert_eq!(facts(&restored), facts(&call.bench.shard));
    }
}

#[test]
fn a_dequeue_goes_from_the_call_of_the_worker_to_the_end_of_the_conversation() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    assert_eq!(call.status(), "pending");
    assert_eq!(call.steps, [VoiceStep::CallWorker]);
    call.happens(&Happening::Answer(201));
    call.happens(&Happening::Progress("in-progress"));
    assert_eq!(call.status(), "accepted");
    assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::MoveCaller]);
    call.happens(&Happening::Answer(200));
    call.happens(&Happening::Progress("completed"));
    assert_eq!(call.status(), "wrapping");
    assert_eq!(call.steps.len(), 2);
}

#[test]
fn a_worker_who_was_deleted_before_the_call_ends_is_not_moved() {
    for dialed in [false, true] {
        let mut call = Call::new(ATTRIBUTES);
        let reservation = call.reservation().as_deref().and_then(Sid::parse).unwrap();
        if dialed {
            call.happens(&Happening::DialReservation);
        } else {
            call.happens(&Happening::Instruct(
                "Instruction=dequeue&DequeueTo=client:ann&DequeuePostWorkActivitySid={after}",
            ));
            call.happens(&Happening::Answer(201));
            call.happens(&Happening::Progress("in-progress"));
        }
        call.happens(&Happening::Update("AssignmentStatus=completed"));
        call.happens(&Happening::DeleteFor("Workers"));
        assert_eq!(
            call.request("GET", &format!("{}/Workers/{}", call.path.clone(), call.deletable["Workers"]), ""),
            404
        );
        if dialed {
            call.voice(
                VoiceCallbackKind::Reservation(reservation, ReservationCallback::DialResult),
                &[("CallSid", FIRST)],
            );
        } else {
            call.happens(&Happening::Progress("completed"));
        }
        assert_eq!(call.status(), "completed");
    }
}

#[test]
fn a_report_that_comes_before_the_answer_of_the_voice_api_counts() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Progress("in-progress"));
    assert_eq!(call.status(), "accepted");
    call.happens(&Happening::Answer(201));
    call.happens(&Happening::Answer(200));
    assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::MoveCaller]);
}

#[test]
fn the_first_worker_who_answers_a_dequeue_has_the_task_and_the_other_is_hung_up() {
    let mut call = Call::with_two(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Answer(201));
    call.happens(&Happening::Other);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:bob"));
    call.happens(&Happening::Answer(201));
    call.happens(&Happening::Progress("in-progress"));
    assert_eq!(call.status(), "accepted");
    call.happens(&Happening::Other);
    assert_eq!(call.status(), "rescinded");
    call.happens(&Happening::Progress("in-progress"));
    assert_eq!(call.status(), "rescinded");
    assert_eq!(call.steps.iter().filter(|step| **step == VoiceStep::MoveCaller).count(), 1);
}

#[test]
fn reports_of_another_call_change_nothing() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Answer(201));
    let reservation = call.reservation().as_deref().and_then(Sid::parse).unwrap();
    for status in ["in-progress", "completed", "busy"] {
        call.voice(
            VoiceCallbackKind::Reservation(reservation, ReservationCallback::Status),
            &[("CallSid", SECOND), ("CallStatus", status)],
        );
        assert_eq!(call.status(), "pending");
    }
}

#[test]
fn a_worker_whose_offer_ended_before_the_call_was_placed_is_not_left_ringing() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Update("AssignmentStatus=canceled"));
    assert_eq!(call.steps, [VoiceStep::CallWorker], "nobody knows the call yet");
    call.happens(&Happening::Answer(201));
    assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::HangUp]);
}

#[test]
fn every_call_that_is_placed_after_its_task_was_deleted_is_ended_by_a_request_of_its_own() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=call&CallTo=client:ann&CallFrom=1&CallUrl=https://app.example/x"));
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Delete);
    call.happens(&Happening::Answer(201));
    call.answer(VoiceOutcome::Answered { status: 201, body: format!(r#"{{"sid":"{SECOND}"}}"#).into_bytes() });
    assert_eq!(call.steps[2..], [VoiceStep::HangUp, VoiceStep::HangUp]);
    let [first, second] = &call.asked[..] else { panic!("both are under way: {:?}", call.asked) };
    assert!(first.url.contains(FIRST) && second.url.contains(SECOND));
    assert_ne!(first.sid(), second.sid(), "else the voice API takes the second for the first, sent again");
}

#[test]
fn the_late_answer_to_an_instruction_that_was_replaced_is_not_taken_for_the_present_one() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=call&CallTo=client:ann&CallFrom=1&CallUrl=https://app.example/x"));
    call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
    call.happens(&Happening::Answer(201));
    assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::CallWorker, VoiceStep::HangUp], "nobody waits for it");
    let answer = format!(r#"{{"sid":"{SECOND}"}}"#).into_bytes();
    call.answer(VoiceOutcome::Answered { status: 201, body: answer });
    call.happens(&Happening::Progress("in-progress"));
    assert_eq!(call.status(), "pending", "that was the call of the first");
    let reservation = call.reservation().as_deref().and_then(Sid::parse).unwrap();
    call.voice(
        VoiceCallbackKind::Reservation(reservation, ReservationCallback::Status),
        &[("CallSid", SECOND), ("CallStatus", "in-progress")],
    );
    assert_eq!(call.steps.last(), Some(&VoiceStep::MoveCaller));
}

#[test]
fn a_redirect_that_is_under_way_is_not_decided_by_the_call_beside_it() {
    for (call_answer, progress) in [(400, None), (201, Some("busy")), (201, Some("in-progress"))] {
        let mut call = Call::new(ATTRIBUTES);
        call.happens(&Happening::Instruct(
            "Instruction=call&CallTo=client:ann&CallFrom=1&CallUrl=https://app.example/x",
        ));
        call.happens(&Happening::Instruct(
            "Instruction=redirect&RedirectCallSid=CAcccccccccccccccccccccccccccccccc\
             &RedirectUrl=https://app.example/x&RedirectAccept=true",
        ));
        let offer = call.reservation();
        call.happens(&Happening::Answer(call_answer));
        if let Some(status) = progress {
            call.happens(&Happening::Progress(status));
        }
        assert_eq!((call.reservation(), call.status().as_str()), (offer, "pending"), "{call_answer} {progress:?}");
        call.happens(&Happening::Answer(200));
        assert_eq!(call.status(), "accepted");
        assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::Redirect], "nobody is hung up");
    }
}

#[test]
fn a_call_is_given_up_after_ten_minutes() {
    let mut call = Call::new(ATTRIBUTES);
    call.happens(&Happening::Instruct("Instruction=conference&To=client:ann"));
    call.happens(&Happening::Answer(201));
    call.happens(&Happening::Wait(590_000));
    assert_eq!(call.steps, [VoiceStep::CallWorker]);
    call.happens(&Happening::Wait(10_000));
    assert_eq!(call.steps, [VoiceStep::CallWorker, VoiceStep::HangUp]);
}

#[test]
fn an_answer_that_names_no_call_is_a_failure() {
    for body in ["", "{}", r#"{"sid":""}"#, r#"{"sid":"CA1"}"#, r#"{"sid":"CF11111111111111111111111111111111"}"#] {
        let mut call = Call::new(ATTRIBUTES);
        call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
        let first = call.reservation();
        call.answer(VoiceOutcome::Answered { status: 201, body: body.as_bytes().to_vec() });
        assert_ne!(call.reservation(), first, "it was canceled and offered anew: {body}");
    }
}

#[test]
fn a_worker_is_not_hung_up_for_a_move_of_which_nobody_knows_whether_it_was_made() {
    for (outcome, expected) in [
        (Happening::Unanswered, vec![VoiceStep::CallWorker, VoiceStep::MoveCaller]),
        (Happening::Unreachable, vec![VoiceStep::CallWorker, VoiceStep::MoveCaller, VoiceStep::HangUp]),
    ] {
        let mut call = Call::new(ATTRIBUTES);
        call.happens(&Happening::Instruct("Instruction=dequeue&DequeueTo=client:ann"));
        call.happens(&Happening::Answer(201));
        call.happens(&Happening::Progress("in-progress"));
        call.happens(&outcome);
        assert_eq!(call.steps, expected, "{outcome:?}");
        assert_eq!(call.status(), "accepted");
    }
}
