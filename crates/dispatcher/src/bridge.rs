//! Instructions that need telephony, carried out through a voice API. Reference: events-and-callbacks, section 11.
//!
//! ```text
//! instruct ──► request to the API ──► answered ──► reports of the provider ──► accepted, canceled, wrapping
//! ```
//!
//! Nothing is remembered here: what a call came to is a fact of its reservation ([`VoiceCall`]), and a request stands
//! in the outbox until its answer is part of the state. So a restart loses nothing; at worst a request is made twice.

mod addresses;
mod api_answer;
mod customer;
mod dial;
mod enqueue;
mod members;
mod reports;
mod requests;
mod worker;

use std::sync::Arc;

use pointsman_api::instruction::{VoiceInstruction, VoiceVerb};
use pointsman_api::{Answer, Header, Instructed, json};
use pointsman_engine::{
    AbandonedCall, Command, Id, Reservation, ReservationStatus, SetupOutcome, Sid, Task, Timestamp, Turn, VoiceCall,
    Workspace,
};
use pointsman_expression::Attributes;
use pointsman_record::delivery::{About, Content, Delivery, Form, ReportMethod, VoiceStep};

pub use self::addresses::{ReservationCallback, VoiceCallback, VoiceCallbackKind};
use self::api_answer::{ApiAnswer, placed_call};
use self::enqueue::{enqueue, enqueue_result};
use self::reports::of_reservation;
use crate::batch::{VoiceOutcome, VoiceRequest};

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
            let mut bridging = Bridging::of(turn, api, reservation);
            bridging.begin(instruction);
            bridging.end()
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
    let mut bridging = Bridging::of(turn, api, id);
    if bridging.is_own(about.sid) {
        bridging.answered(step, outcome);
    } else {
        bridging.answered_too_late(step, outcome);
    }
    bridging.end()
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

/// Does what the provider asks.
///
/// - Returns what to answer at once, and what is to be sent once the turn is durable. `None`: the Workspace does not have
///   what is asked about.
pub(crate) fn called(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
) -> Option<(Answer, Vec<Arc<Delivery>>)> {
    if !callback.kind.is_in(turn.state()) {
        return None;
    }
    let outcome = match callback.kind {
        VoiceCallbackKind::Enqueue(workflow) => {
            enqueue(turn, api, callback, workflow).map(|answer| (answer, Vec::new()))
        }
        VoiceCallbackKind::EnqueueResult(task) => Ok(enqueue_result(turn, api, callback, task)),
        VoiceCallbackKind::Reservation(sid, about) => {
            let id = turn.state().find_reservation(sid)?.id;
            of_reservation(turn, api, callback, about, id)
        }
    };
    Some(outcome.unwrap_or_else(|error| (error.answer(), Vec::new())))
}

/// Whether a step brings the customer to the Worker.
const fn is_for_customer(step: VoiceStep) -> bool {
    matches!(step, VoiceStep::MoveCaller | VoiceStep::CallCustomer)
}

/// The telephony of one reservation within a turn.
struct Bridging<'t, 'a, 'v> {
    turn: &'t mut Turn<'a>,
    api: &'v VoiceApi,
    id: Id<Reservation>,
    call: VoiceCall,
    instruction: Option<VoiceInstruction>,
    sends: Vec<Arc<Delivery>>,
}

impl<'t, 'a, 'v> Bridging<'t, 'a, 'v> {
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

fn twiml(body: &str) -> Answer {
    let body = format!(r#"<?xml version="1.0" encoding="UTF-8"?>{body}"#);
    Answer { status: 200, headers: vec![Header::new("Content-Type", "text/xml; charset=utf-8")], body }
}
