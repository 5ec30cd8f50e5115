//! Instructions that need telephony, carried out through a voice API. Reference: events-and-callbacks, section 11.
//!
//! ```text
//! instruct ──► request to the API ──► answered ──► reports of the provider (calls) ──► accepted, canceled, wrapping
//! ```
//!
//! Nothing is remembered here: what a call came to is a fact of its reservation ([`VoiceCall`]), and a request stands
//! in the outbox until its answer is part of the state. So a restart loses nothing; at worst a request is made twice.

mod calls;
mod members;
mod requests;

use std::sync::Arc;

use pointsman_api::instruction::{VoiceInstruction, VoiceVerb};
use pointsman_api::{Instructed, json};
use pointsman_engine::limits::TASK_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{
    AbandonedCall, Activity, Command, Id, Reservation, ReservationStatus, SetupOutcome, Sid, Task, Timestamp, Turn,
    UpdateWorker, VoiceCall, Worker, Workspace,
};
use pointsman_expression::{Attributes, Value};
use pointsman_record::delivery::{About, Content, Delivery, Form, ReportMethod, VoiceStep};

pub use self::calls::{VoiceCallback, VoiceCallbackKind};
pub(crate) use self::calls::{called, called_in_vain};
use crate::batch::{VoiceOutcome, VoiceRequest};
use crate::limits::{REASON_CHARS_MAX, TWIML_CHARS_MAX};

/// How instructions that need telephony are carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Telephony {
    /// They fail like a leg that could not be set up.
    #[default]
    None,
    /// They count as carried out at once, for tests without calls (reference: routing, section 5).
    Assumed,
    Bridged(VoiceApi),
}

/// A voice API and the way back from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceApi {
    /// Address of the account there, such as `https://voice.example/2010-04-01/Accounts/AC…`.
    pub account_url: String,
    /// What the provider calls back: scheme and host of this server.
    pub callback_url: String,
}

// Numbers of the error dictionary: what the voice API refused.
const CALL_REFUSED: u32 = 40_113;
const REDIRECT_REFUSED: u32 = 40_122;
const DEQUEUE_REFUSED: u32 = 40_133;
const CONFERENCE_REFUSED: u32 = 40_145;

/// The voice API's own number for a call that is over.
const CALL_NOT_LIVE: u32 = 21_220;

/// Number of a request that a reservation makes once, beside those that it counts.
const ABANDONED: u64 = u64::MAX;

/// Begins to carry out an instruction that was checked and, where it holds, has put its reservation on hold.
///
/// - Returns what is to be sent once the turn is durable.
pub(crate) fn instruct(turn: &mut Turn<'_>, telephony: &Telephony, instructed: &Instructed) -> Vec<Arc<Delivery>> {
    let Instructed { reservation, ref instruction, ignored, .. } = *instructed;
    if let Some(ignored) = ignored {
        let reservation_sid = turn.state().reservation(reservation).expect("found in this turn").sid;
        tracing::warn!(code = ignored.code, %reservation_sid, reason = ignored.message, "a part of an instruction is ignored");
    }
    match telephony {
        Telephony::Assumed => {
            end_setup(turn, reservation, SetupOutcome::Accepted);
            Vec::new()
        }
        Telephony::None => {
            refuse(turn, reservation, instruction.verb, None, "there is no voice API: see the settings voice.*");
            Vec::new()
        }
        Telephony::Bridged(api) => {
            let mut leg = Leg::of(turn, api, reservation);
            leg.begin(instruction);
            leg.end()
        }
    }
}

/// Goes on after the voice API answered a step, or did not.
pub(crate) fn answered(
    turn: &mut Turn<'_>,
    telephony: &Telephony,
    request: &VoiceRequest,
    outcome: &VoiceOutcome,
) -> Vec<Arc<Delivery>> {
    let VoiceRequest { step, about, .. } = *request;
    // Without a bridge, or without the reservation, nobody is left to go on for.
    let Telephony::Bridged(api) = telephony else { return Vec::new() };
    let Some(id) = turn.state().find_reservation(about.reservation).map(|reservation| reservation.id) else {
        // Its Task was deleted meanwhile.
        return hang_up_late(api, request, outcome, turn.state().now()).into_iter().collect();
    };
    let mut leg = Leg::of(turn, api, id);
    if leg.is_own(about.sid) {
        leg.answered(step, outcome);
    } else {
        leg.answered_too_late(step, outcome);
    }
    leg.end()
}

/// Lets the calls of ended offers ring no longer.
pub(crate) fn hang_up(state: &pointsman_engine::State, api: &VoiceApi, call: &AbandonedCall) -> Arc<Delivery> {
    let reservation = call.reservation;
    let about = About { sid: derived(reservation, ABANDONED), reservation, at: state.now() };
    delivery(state.workspace(), requests::call_url(api, &call.worker_call), end_of_call(about))
}

/// Ends a call that was placed when its reservation, or the whole Workspace, was gone already.
pub(crate) fn hang_up_late(
    api: &VoiceApi,
    request: &VoiceRequest,
    outcome: &VoiceOutcome,
    at: Timestamp,
) -> Option<Arc<Delivery>> {
    let VoiceRequest { workspace, account, step, about } = *request;
    let call = placed_call(step, &ApiAnswer::of(outcome))?;
    // A reservation may have more than one such call.
    let sid = derived(Sid::from_bytes(about.sid), 0);
    let content = end_of_call(About { sid, at, ..about });
    Some(Arc::new(Delivery { workspace, account, url: requests::call_url(api, &call).into(), content, failure: None }))
}

fn end_of_call(about: About) -> Content {
    Content::Voice { step: VoiceStep::HangUp, form: requests::form([("Status", "completed")]), about }
}

/// Whether a step brings the customer to the Worker.
const fn is_for_customer(step: VoiceStep) -> bool {
    matches!(step, VoiceStep::MoveCaller | VoiceStep::CallCustomer)
}

/// The call that a step has placed.
fn placed_call(step: VoiceStep, answer: &ApiAnswer) -> Option<Arc<str>> {
    let places = matches!(step, VoiceStep::CallWorker | VoiceStep::CallCustomer);
    answer.call().filter(|_| places && answer.is_success())
}

/// What the voice API said: identifiers and codes.
struct ApiAnswer {
    status: Option<u16>,
    document: Value,
    problem: String,
}

impl ApiAnswer {
    fn of(outcome: &VoiceOutcome) -> Self {
        match outcome {
            VoiceOutcome::Failed { reason } => Self { status: None, document: Value::Null, problem: reason.clone() },
            VoiceOutcome::Answered { status, body } => {
                let document = std::str::from_utf8(body).ok().and_then(|text| Value::parse_json(text).ok());
                let document = document.unwrap_or(Value::Null);
                let message = document.member("message").as_text().unwrap_or_default();
                let message: String = message.chars().take(REASON_CHARS_MAX).collect();
                let problem = format!("the voice API answered with status {status} {message}");
                Self { status: Some(*status), problem: problem.trim_end().to_string(), document }
            }
        }
    }

    fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The call is not live any more.
    fn is_gone(&self) -> bool {
        match self.status {
            Some(404 | 410) => true,
            Some(400 | 409) => self.code() == Some(CALL_NOT_LIVE),
            Some(_) | None => false,
        }
    }

    fn text(&self, member: &str) -> Option<Arc<str>> {
        self.document.member(member).as_text().filter(|text| !text.is_empty()).map(Arc::from)
    }

    /// The call that it tells of: `CA` and 32 hexadecimal digits.
    fn call(&self) -> Option<Arc<str>> {
        self.text("call_sid").or_else(|| self.text("sid")).filter(|call| is_call_sid(call))
    }

    /// A success that names no call cannot be followed: nobody would hear of its end.
    fn without_call(self) -> Self {
        let status = self.status.unwrap_or_default();
        Self { problem: format!("the voice API answered with status {status}, but named no call"), ..self }
    }

    /// The provider's own error number.
    fn code(&self) -> Option<u32> {
        self.document.member("code").as_number().and_then(|number| number.to_string().parse().ok())
    }
}

/// `CA` and 32 hexadecimal digits.
fn is_call_sid(text: &str) -> bool {
    text.strip_prefix("CA")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The telephony of one reservation within a turn.
struct Leg<'t, 'a, 'v> {
    turn: &'t mut Turn<'a>,
    api: &'v VoiceApi,
    id: Id<Reservation>,
    call: VoiceCall,
    instruction: Option<VoiceInstruction>,
    sends: Vec<Arc<Delivery>>,
}

impl<'t, 'a, 'v> Leg<'t, 'a, 'v> {
    fn of(turn: &'t mut Turn<'a>, api: &'v VoiceApi, id: Id<Reservation>) -> Self {
        let reservation = turn.state().reservation(id).expect("found in this turn");
        let call = reservation.call.as_deref().cloned().unwrap_or_default();
        let instruction = VoiceInstruction::from_json(&call.instruction);
        Self { turn, api, id, call, instruction, sends: Vec::new() }
    }

    /// Takes down what has changed.
    fn end(self) -> Vec<Arc<Delivery>> {
        let Self { turn, id, call, sends, .. } = self;
        // The reservation goes with its Task.
        if turn.state().reservation(id).is_some() {
            run(turn, Command::NoteCall { reservation: id, call: Box::new(call) });
        }
        sends
    }

    fn reservation(&self) -> &Reservation {
        self.turn.state().reservation(self.id).expect("found in this turn")
    }

    fn task(&self) -> &Task {
        self.turn.state().task(self.reservation().task).expect("a reservation has its Task")
    }

    /// An attribute of the Task.
    fn attribute(&self, path: &[&str]) -> Option<Arc<str>> {
        let value = path.iter().fold(self.task().attributes.value(), |value, name| value.member(name));
        value.as_text().filter(|text| !text.is_empty()).map(Arc::from)
    }

    fn verb(&self) -> Option<VoiceVerb> {
        self.instruction.as_ref().map(|instruction| instruction.verb)
    }

    fn is_conference(&self) -> bool {
        self.verb() == Some(VoiceVerb::Conference)
    }

    /// On hold for the Worker's call. A redirect beside a `call` without `accept` has a hold of its own.
    fn is_held(&self) -> bool {
        let reservation = self.reservation();
        let holds = self.instruction.as_ref().is_some_and(VoiceInstruction::holds);
        holds && reservation.status == ReservationStatus::Pending && reservation.is_on_hold()
    }

    /// The conference in which the caller is already, when the Task is offered as a transfer.
    fn transferred_conference(&self) -> Option<Arc<str>> {
        self.reservation().transfer.and_then(|_| self.existing_conference())
    }

    /// The conference that the attributes name, of an accepted reservation or of whoever wrote them.
    fn existing_conference(&self) -> Option<Arc<str>> {
        let named = self.attribute(&["conference", "sid"]).or_else(|| self.attribute(&["conference_sid"]));
        // Dots alone would lead elsewhere in a path.
        named.filter(|name| !matches!(&**name, "." | ".."))
    }

    /// Where the parties are: a name or an identifier.
    fn present_conference(&self) -> Arc<str> {
        match self.verb() {
            Some(VoiceVerb::Dequeue) => self.reservation().sid.to_string().into(),
            Some(VoiceVerb::Conference) => self.call.conference.clone().unwrap_or_else(|| self.room_name()),
            // The Worker accepted without a call of ours.
            Some(VoiceVerb::Call | VoiceVerb::Redirect | VoiceVerb::Supervise) | None => {
                self.existing_conference().unwrap_or_else(|| self.task().sid.to_string().into())
            }
        }
    }

    // Sending

    fn about(&mut self) -> About {
        self.call.requests += 1;
        let (reservation, at) = (self.reservation().sid, self.turn.state().now());
        About { sid: derived(reservation, self.call.requests), reservation, at }
    }

    fn ask(&mut self, step: VoiceStep, url: String, form: Form) {
        self.call.is_customer_sent_for |= is_for_customer(step);
        let about = self.about();
        let content = Content::Voice { step, form, about };
        self.sends.push(delivery(self.turn.state().workspace(), url, content));
    }

    fn report(&mut self, method: ReportMethod, url: String, form: Form) {
        let about = self.about();
        let content = Content::Report { method, form, about };
        self.sends.push(delivery(self.turn.state().workspace(), url, content));
    }

    // Steps

    fn begin(&mut self, instruction: &VoiceInstruction) {
        // A redirect moves the caller and a supervisor joins: the Worker's call goes on as it was.
        if !matches!(instruction.verb, VoiceVerb::Redirect | VoiceVerb::Supervise) {
            // The call of an instruction that this one replaces need not ring any longer.
            self.hang_up();
            let requests = self.call.requests;
            self.call = VoiceCall {
                instruction: instruction.to_json().into(),
                requests,
                requests_before: requests,
                // As it is now: what becomes of the attributes meanwhile does not change who waits.
                customer_call: self.attribute(&["call_sid"]),
                ..VoiceCall::default()
            };
            self.instruction = Some(instruction.clone());
        }
        let (step, url, form) = match instruction.verb {
            VoiceVerb::Dequeue => {
                (VoiceStep::CallWorker, requests::calls_url(self.api), self.dequeue_form(instruction))
            }
            VoiceVerb::Call => (VoiceStep::CallWorker, requests::calls_url(self.api), self.call_form(instruction)),
            VoiceVerb::Redirect => {
                let call = instruction.text("call_sid").expect("checked with the instruction");
                let url = instruction.text("url").expect("checked with the instruction");
                let form = requests::form([("Url", url), ("Method", "POST")]);
                self.take_out(call);
                let step = if instruction.holds() { VoiceStep::Redirect } else { VoiceStep::RedirectOnly };
                (step, requests::call_url(self.api, call), form)
            }
            VoiceVerb::Conference if !self.fits(instruction) => {
                let reason = "the room name and the action make TwiML that no voice API takes";
                return refuse(self.turn, self.id, instruction.verb, None, reason);
            }
            VoiceVerb::Conference => {
                let conference = self.transferred_conference().unwrap_or_else(|| self.room_name());
                let url = requests::participants_url(self.api, &conference);
                (VoiceStep::CallWorker, url, self.conference_form(instruction))
            }
            VoiceVerb::Supervise => {
                let Some(form) = self.supervise_form(instruction) else {
                    return self.warn(CONFERENCE_REFUSED, "no call of the worker is known to whom to whisper");
                };
                let url = requests::participants_url(self.api, &self.present_conference());
                (VoiceStep::Supervise, url, form)
            }
        };
        self.ask(step, url, form);
    }

    /// Whether a request was made for the present instruction: another may have taken its place meanwhile.
    fn is_own(&self, request: [u8; 16]) -> bool {
        let reservation = self.reservation().sid;
        (self.call.requests_before + 1..=self.call.requests).any(|number| derived(reservation, number) == request)
    }

    /// Nobody waits for the answer any more; a call that it tells of must not go on ringing.
    fn answered_too_late(&mut self, step: VoiceStep, outcome: &VoiceOutcome) {
        let answer = ApiAnswer::of(outcome);
        if let Some(call) = placed_call(step, &answer) {
            self.end_call(&call);
        }
    }

    fn answered(&mut self, step: VoiceStep, outcome: &VoiceOutcome) {
        self.call.is_customer_sent_for &= !is_for_customer(step);
        let mut answer = ApiAnswer::of(outcome);
        let is_call = matches!(step, VoiceStep::CallWorker | VoiceStep::CallCustomer);
        let is_success = answer.is_success() && !(is_call && answer.call().is_none());
        if answer.is_success() && !is_success {
            answer = answer.without_call();
        }
        match step {
            VoiceStep::CallWorker if is_success => self.worker_is_called(&answer),
            VoiceStep::Redirect if is_success => self.accept(),
            VoiceStep::CallCustomer if is_success => self.customer_is_called(&answer),
            VoiceStep::MoveCaller if is_success => self.caller_is_moved(),
            VoiceStep::Supervise | VoiceStep::HangUp | VoiceStep::RedirectOnly if is_success => {}
            VoiceStep::CallWorker => {
                let verb = self.verb().unwrap_or(VoiceVerb::Dequeue);
                if self.is_held() {
                    refuse(self.turn, self.id, verb, answer.code(), &answer.problem);
                } else {
                    self.warn(refused_code(verb), &answer.problem);
                }
            }
            VoiceStep::Redirect => {
                refuse(self.turn, self.id, VoiceVerb::Redirect, answer.code(), &answer.problem);
            }
            VoiceStep::RedirectOnly => self.warn(REDIRECT_REFUSED, &answer.problem),
            VoiceStep::MoveCaller => self.caller_is_lost(&answer),
            VoiceStep::CallCustomer => self.customer_is_lost(&answer),
            VoiceStep::Supervise => self.warn(CONFERENCE_REFUSED, &answer.problem),
            // A call that is over cannot be hung up.
            VoiceStep::HangUp if matches!(answer.status, Some(400 | 404 | 409 | 410)) => {}
            VoiceStep::HangUp => self.warn(DEQUEUE_REFUSED, &answer.problem),
        }
    }

    /// The Worker's call exists; it may be over already, and its offer too.
    fn worker_is_called(&mut self, answer: &ApiAnswer) {
        if let Some(conference) = answer.text("conference_sid") {
            self.call.conference = Some(conference);
        }
        // A report may have told of it before; then it was hung up with its offer.
        let is_new = self.call.worker_call.is_none();
        if let Some(call) = answer.call() {
            self.learn_worker_call(&call);
        }
        match self.verb() {
            Some(VoiceVerb::Call) if self.is_held() => self.accept(),
            Some(_) | None if is_new && !self.reservation().status.is_active() => self.hang_up(),
            Some(_) | None => {}
        }
    }

    /// The first that tells of the Worker's call is either the API's answer or a report of the call.
    fn learn_worker_call(&mut self, call: &str) {
        if self.call.worker_call.is_some() {
            return;
        }
        self.call.worker_call = Some(call.into());
        let (state, status) = (self.turn.state(), self.reservation().status);
        let is_taken = state
            .active_reservations(self.task())
            .any(|other| other.id != self.id && other.status == ReservationStatus::Accepted);
        if status == ReservationStatus::Accepted || status == ReservationStatus::Pending && !is_taken {
            self.note_worker_call();
        }
    }

    /// Tells the application which call is that of the Worker.
    fn note_worker_call(&mut self) {
        let Some(call) = self.call.worker_call.clone() else { return };
        let is_named = self.attribute(&["worker_call_sid"]).as_ref() == Some(&call);
        if !is_named && matches!(self.verb(), Some(VoiceVerb::Dequeue | VoiceVerb::Call)) {
            self.write_attribute("worker_call_sid", &quoted(&call));
        }
    }

    /// The Worker has answered: now for the customer.
    fn worker_has_answered(&mut self) {
        if self.call.is_answered || self.call.is_over {
            return;
        }
        self.call.is_answered = true;
        if !self.is_held() {
            // A `call` without `accept` is the application's business. With an offer that ended its call was hung up.
            if self.reservation().status == ReservationStatus::Completed {
                self.hang_up();
            }
            return;
        }
        match self.verb() {
            Some(VoiceVerb::Conference) if self.transferred_conference().is_some() => self.accept(),
            Some(VoiceVerb::Conference) => self.send_for_customer(),
            Some(VoiceVerb::Dequeue) => {
                // Several may have been called for the Task.
                self.note_worker_call();
                self.accept();
                self.bring_customer();
            }
            Some(VoiceVerb::Call | VoiceVerb::Redirect | VoiceVerb::Supervise) | None => {}
        }
    }

    /// The customer is sent for once. Whoever answers while one is on the way, maybe to one who has hung up meanwhile,
    /// waits for the arrival.
    fn send_for_customer(&mut self) {
        if self.call.is_customer_there || self.others_of_room().any(|other| other.1.is_customer_there) {
            self.note_conference();
            return self.accept();
        }
        let is_sent_for = self.rivals().any(|(_, call, _)| call.is_customer_sent_for);
        if !is_sent_for && self.waiting_for_customer().is_empty() {
            self.bring_customer();
        }
    }

    fn bring_customer(&mut self) {
        if !self.is_conference() {
            let conference = self.reservation().sid.to_string();
            return self.move_caller(&requests::bridge_twiml(&conference, Some(&self.afterwards())));
        }
        let instruction = self.instruction.clone().expect("it has a verb");
        let room = self.room_name();
        let customer = self.attribute(&["outbound_to"]).filter(|_| self.call.customer_call.is_none());
        if let Some(customer) = customer {
            let from = self.attribute(&["from"]).unwrap_or_default();
            let url = requests::participants_url(self.api, &room);
            let form = requests::customer_form(&from, &customer, &instruction);
            self.ask(VoiceStep::CallCustomer, url, form);
        } else {
            let afterwards = self.afterwards();
            self.move_caller(&requests::customer_twiml(&room, &instruction, &afterwards));
        }
    }

    /// The voice API has sent the caller to the Worker. In a conference the arrival tells of it.
    fn caller_is_moved(&mut self) {
        if !self.reservation().status.is_active() {
            self.hand_over();
        }
    }

    /// The customer is on the way to a Worker who is not there any more: the next who waits is the one to go to.
    fn hand_over(&mut self) {
        let waits_there = self.is_conference() && self.others_of_room().any(|other| waits(&other));
        let next = self.waiting_for_customer().first().copied().filter(|_| !waits_there);
        if let Some(next) = next {
            let mut leg = Leg::of(self.turn, self.api, next);
            leg.bring_customer();
            let sends = leg.end();
            self.sends.extend(sends);
        }
    }

    /// Whether the TwiML for the customer is short enough, however long the call waits.
    fn fits(&self, instruction: &VoiceInstruction) -> bool {
        let afterwards = self.afterwards_of(i64::from(TASK_TIMEOUT_SECONDS_MAX));
        let room = room_name(Some(instruction), self.task());
        requests::customer_twiml(&room, instruction, &afterwards).chars().count() <= TWIML_CHARS_MAX
    }

    /// The address that tells the caller how to go on after the conversation.
    fn afterwards(&self) -> String {
        self.afterwards_of((self.turn.state().now().0 - self.task().date_created.0) / 1_000)
    }

    fn afterwards_of(&self, waited_seconds: i64) -> String {
        let task = self.task();
        let action = task.enqueue_action.as_deref();
        requests::afterwards_url(self.api, self.turn.state().workspace().sid, task.sid, action, waited_seconds)
    }

    fn move_caller(&mut self, twiml: &str) {
        let Some(caller) = self.call.customer_call.clone() else { return self.hang_up() };
        self.take_out(&caller);
        let url = requests::move_url(self.api, &caller);
        self.ask(VoiceStep::MoveCaller, url, requests::form([("Twiml", twiml)]));
    }

    /// A caller who is sent elsewhere is not in a conference of the Task any more, whenever that is told.
    fn take_out(&mut self, caller: &str) {
        let is_in = |call: &VoiceCall| call.is_customer_there && call.customer_call.as_deref() == Some(caller);
        if is_in(&self.call) {
            self.call.is_customer_there = false;
        }
        let others = self.task().reservations.iter().filter_map(|id| self.turn.state().reservation(*id));
        let left = others.filter(|other| other.id != self.id && other.call.as_deref().is_some_and(is_in));
        for other in left.map(|other| other.id).collect::<Vec<_>>() {
            let mut leg = Leg::of(self.turn, self.api, other);
            leg.call.is_customer_there = false;
            let sends = leg.end();
            self.sends.extend(sends);
        }
    }

    /// The caller who waits could not be sent to the Worker.
    fn caller_is_lost(&mut self, answer: &ApiAnswer) {
        let code = if self.verb() == Some(VoiceVerb::Conference) { CONFERENCE_REFUSED } else { DEQUEUE_REFUSED };
        self.warn(code, &answer.problem);
        // With its offer the Worker's call ends too.
        if !self.is_held() {
            self.hang_up();
        }
        if answer.is_gone() {
            return cancel_task(self.turn, self.reservation().task, "hangup");
        }
        let reason_code = Some(answer.code().unwrap_or(code));
        let waiting = self.waiting_for_customer();
        for reservation in self.is_held().then_some(self.id).into_iter().chain(waiting) {
            end_setup(self.turn, reservation, SetupOutcome::Failed { reason_code });
        }
    }

    /// The caller has hung up: on the way to the Worker, between two offers or in the conversation.
    fn caller_is_gone(&mut self) {
        let Reservation { status, task, .. } = *self.reservation();
        if self.is_held() || !status.is_active() {
            cancel_task(self.turn, task, "hangup");
        } else if status == ReservationStatus::Accepted && self.verb() == Some(VoiceVerb::Dequeue) {
            // Who came into their conference first would wait there alone.
            self.hang_up();
        }
    }

    /// The customer of an outbound Task is being called: for the Worker who has answered or, if that one has hung up
    /// meanwhile, for another who waits.
    fn customer_is_called(&mut self, answer: &ApiAnswer) {
        let customer = answer.call().expect("a success names the call");
        if self.is_held() {
            return self.meet(customer);
        }
        let next = self.others_of_room().find(waits).map(|(other, ..)| other.id);
        let Some(next) = next else {
            self.end_call(&customer);
            return self.hand_over();
        };
        let mut leg = Leg::of(self.turn, self.api, next);
        leg.meet(customer);
        let sends = leg.end();
        self.sends.extend(sends);
    }

    fn meet(&mut self, customer: Arc<str>) {
        self.call.customer_call = Some(customer);
        self.note_conference();
        self.accept();
    }

    /// The customer of an outbound Task could not be called: the reservations that wait go, and then it.
    fn customer_is_lost(&mut self, answer: &ApiAnswer) {
        self.warn(CONFERENCE_REFUSED, &answer.problem);
        let (task, held) = (self.reservation().task, self.is_held().then_some(self.id));
        let waiting: Vec<_> = held.into_iter().chain(self.waiting_for_customer()).collect();
        let reason_code = Some(answer.code().unwrap_or(CONFERENCE_REFUSED));
        for reservation in &waiting {
            end_setup(self.turn, *reservation, SetupOutcome::Failed { reason_code });
        }
        if !waiting.is_empty() {
            cancel_task(self.turn, task, &answer.problem);
        }
    }

    /// The Worker's call is over, whoever ended it.
    fn worker_is_gone(&mut self, reason_code: Option<u32>) {
        if self.call.is_over {
            return;
        }
        self.call.is_over = true;
        if self.is_held() {
            // Noted before the offer ends, which hangs up whoever is still called.
            run(self.turn, Command::NoteCall { reservation: self.id, call: Box::new(self.call.clone()) });
            end_setup(self.turn, self.id, SetupOutcome::Failed { reason_code });
        }
        // A customer who is on the way is handed over when the request for that is answered.
        let is_for_nobody = !self.reservation().status.is_active() && self.is_conference() && self.call.is_answered;
        if is_for_nobody && !self.call.is_customer_sent_for {
            self.hand_over();
        }
        let activity = self.instruction.as_ref().and_then(|instruction| instruction.text("post_work_activity_sid"));
        let activity = activity.and_then(Sid::parse);
        let Reservation { status, worker, .. } = *self.reservation();
        match status {
            ReservationStatus::Wrapping | ReservationStatus::Completed => self.move_worker(worker, activity),
            _ => run(self.turn, Command::EndLeg { reservation: self.id, activity }),
        }
    }

    /// The application has ended the work before the call was over; the Worker goes on to the Activity all the same.
    fn move_worker(&mut self, id: Id<Worker>, activity: Option<Sid<Activity>>) {
        // A past reservation keeps its Worker, also one that was deleted since.
        let state = self.turn.state();
        let is_live = state.worker(id).is_some_and(|worker| state.find_worker(worker.sid).is_some());
        if activity.is_none() || !is_live {
            return;
        }
        let update =
            UpdateWorker { id, friendly_name: None, attributes: None, activity, reject_pending_reservations: false };
        if let Err(rejection) = self.turn.apply(Command::UpdateWorker(update)) {
            tracing::debug!(?rejection, "a worker stays in its activity after a call");
        }
    }

    fn hang_up(&mut self) {
        // It is over when the provider says so: that is when an accepted reservation goes on to wrapping.
        if let Some(call) = self.call.worker_call.clone().filter(|_| !self.call.is_over) {
            self.end_call(&call);
        }
    }

    fn end_call(&mut self, call: &str) {
        let url = requests::call_url(self.api, call);
        self.ask(VoiceStep::HangUp, url, requests::form([("Status", "completed")]));
    }

    fn accept(&mut self) {
        end_setup(self.turn, self.id, SetupOutcome::Accepted);
    }

    /// Tells the application where the parties met.
    fn note_conference(&mut self) {
        let room = self.room_name();
        let text = |text: &Option<Arc<str>>| quoted(text.as_deref().unwrap_or_default());
        let (sid, worker, customer) =
            (text(&self.call.conference), text(&self.call.worker_call), text(&self.call.customer_call));
        let room = quoted(&room);
        let json =
            format!(r#"{{"room_name":{room},"sid":{sid},"participants":{{"worker":{worker},"customer":{customer}}}}}"#);
        self.write_attribute("conference", &json);
    }

    /// A conference is named by its Task, unless an old document's `room_name` says otherwise.
    fn room_name(&self) -> Arc<str> {
        room_name(self.instruction.as_ref(), self.task())
    }

    /// The other reservations of the Task that bring, or brought, its customer to their Worker.
    fn rivals(&self) -> impl Iterator<Item = Rival<'_>> {
        let (state, task) = (self.turn.state(), self.task());
        let others = task.reservations.iter().filter(|id| **id != self.id).filter_map(|id| state.reservation(*id));
        let calls = others.filter_map(|other| {
            let call = other.call.as_deref()?;
            Some((other, call, VoiceInstruction::from_json(&call.instruction)?))
        });
        calls.filter(|(_, call, instruction)| {
            call.customer_call == self.call.customer_call
                && matches!(instruction.verb, VoiceVerb::Dequeue | VoiceVerb::Conference)
        })
    }

    /// Those of them whose parties meet in the same conference.
    fn others_of_room(&self) -> impl Iterator<Item = Rival<'_>> {
        let (task, room) = (self.task(), self.room_name());
        self.rivals().filter(move |(_, _, instruction)| {
            instruction.verb == VoiceVerb::Conference && room_name(Some(instruction), task) == room
        })
    }

    fn waiting_for_customer(&self) -> Vec<Id<Reservation>> {
        self.rivals().filter(waits).map(|(other, ..)| other.id).collect()
    }

    fn write_attribute(&mut self, name: &str, json: &str) {
        let task = self.task();
        let (id, text) = (task.id, members::with_member(task.attributes.text(), name, json));
        match Attributes::parse(&text) {
            Ok(attributes) => run(self.turn, Command::WriteTaskAttributes { id, attributes }),
            // The customer's attributes fill their bound to the brim.
            Err(error) => self.warn(DEQUEUE_REFUSED, &format!("{name} does not fit into the attributes: {error}")),
        }
    }

    fn warn(&self, code: u32, reason: &str) {
        warn(code, self.turn.state().workspace().sid, self.reservation().sid, reason);
    }
}

/// A reservation that competes for the customer, and its instruction.
type Rival<'r> = (&'r Reservation, &'r VoiceCall, VoiceInstruction);

/// Whether its Worker has answered and waits for the customer only.
fn waits((reservation, call, _): &Rival<'_>) -> bool {
    reservation.status == ReservationStatus::Pending && reservation.is_on_hold() && call.is_answered && !call.is_over
}

fn room_name(instruction: Option<&VoiceInstruction>, task: &Task) -> Arc<str> {
    let named = instruction.and_then(|instruction| instruction.text("room_name"));
    named.map_or_else(|| task.sid.to_string().into(), Arc::from)
}

/// The set-up failed before anybody was connected.
fn refuse(turn: &mut Turn<'_>, id: Id<Reservation>, verb: VoiceVerb, code: Option<u32>, reason: &str) {
    let refused = refused_code(verb);
    let reservation_sid = turn.state().reservation(id).expect("found in this turn").sid;
    warn(refused, turn.state().workspace().sid, reservation_sid, reason);
    match verb {
        // The reservation stays as it was (section 8.5).
        VoiceVerb::Redirect => end_setup(turn, id, SetupOutcome::Released),
        VoiceVerb::Supervise => {}
        VoiceVerb::Dequeue | VoiceVerb::Call | VoiceVerb::Conference => {
            end_setup(turn, id, SetupOutcome::Failed { reason_code: Some(code.unwrap_or(refused)) });
        }
    }
}

const fn refused_code(verb: VoiceVerb) -> u32 {
    match verb {
        VoiceVerb::Dequeue => DEQUEUE_REFUSED,
        VoiceVerb::Call => CALL_REFUSED,
        VoiceVerb::Redirect => REDIRECT_REFUSED,
        VoiceVerb::Conference | VoiceVerb::Supervise => CONFERENCE_REFUSED,
    }
}

fn warn(code: u32, workspace_sid: Sid<Workspace>, reservation_sid: Sid<Reservation>, reason: &str) {
    tracing::warn!(code, %workspace_sid, %reservation_sid, reason, "telephony failed");
}

/// Too late, or of a reservation that is not on hold, it changes nothing.
fn end_setup(turn: &mut Turn<'_>, reservation: Id<Reservation>, outcome: SetupOutcome) {
    run(turn, Command::EndSetup { reservation, outcome });
}

fn run(turn: &mut Turn<'_>, command: Command) {
    let outcome = turn.apply(command);
    assert!(outcome.is_ok(), "what telephony tells is never refused: {outcome:?}");
}

/// Cancels a Task if it still waits.
fn cancel_task(turn: &mut Turn<'_>, id: Id<Task>, reason: &str) {
    run(turn, Command::AbandonTask { id, reason: reason.into() });
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    json::text(&mut out, text);
    out
}

/// Identifiers of requests follow from the reservation and a count, so that a replay makes the same.
fn derived(reservation: Sid<Reservation>, number: u64) -> [u8; 16] {
    pointsman_engine::derive_sid::<Reservation>(reservation.bytes(), number).bytes()
}

fn delivery(workspace: &Workspace, url: String, content: Content) -> Arc<Delivery> {
    let Workspace { sid, account, .. } = *workspace;
    Arc::new(Delivery { workspace: sid, account, url: url.into(), content, failure: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_voice_api_says_is_kept_up_to_a_bound() {
        for (given, kept) in [(REASON_CHARS_MAX, REASON_CHARS_MAX), (REASON_CHARS_MAX + 1, REASON_CHARS_MAX)] {
            let body = format!(r#"{{"code":21211,"message":"{}"}}"#, "é".repeat(given)).into_bytes();
            let answer = ApiAnswer::of(&VoiceOutcome::Answered { status: 400, body });
            assert_eq!(answer.problem, format!("the voice API answered with status 400 {}", "é".repeat(kept)));
        }
    }
}
