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

use pointsman_api::instruction::{self, VoiceInstruction, VoiceVerb};
use pointsman_api::{Answer, Header, Instructed, json};
use pointsman_engine::{
    AbandonedCall, Command, Id, Reservation, ReservationStatus, SetupOutcome, Sid, State, Task, Timestamp, Turn,
    VoiceCall, Workspace,
};
use pointsman_expression::Attributes;
use pointsman_record::delivery::{About, Content, Delivery, Form, VoiceStep};

pub use self::addresses::{ReservationCallback, VoiceCallback, VoiceCallbackKind};
use self::api_answer::{Refusal, Success};
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
            let mut bridge = Bridge::of(turn, api);
            bridge.with(reservation, |call| call.begin(instruction));
            bridge.sends
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
    let mut bridge = Bridge::of(turn, api);
    bridge.with(id, |call| {
        if call.is_own(about.sid) {
            call.answered(step, outcome);
        } else {
            call.answered_too_late(step, outcome);
        }
    });
    bridge.sends
}

/// Lets the calls of ended offers ring no longer.
pub(crate) fn hang_up(state: &State, api: &VoiceApi, call: &AbandonedCall) -> Arc<Delivery> {
    let reservation = call.reservation;
    let about = About { sid: derived(reservation, ABANDONED), reservation, at: state.now() };
    delivery(state.workspace(), requests::hang_up_url(api, &call.worker_call), end_of_call(about))
}

/// Ends a call that was placed when its reservation, or the whole Workspace, was gone already.
pub(crate) fn hang_up_late(
    api: &VoiceApi,
    request: &VoiceRequest,
    outcome: &VoiceOutcome,
    at: Timestamp,
) -> Option<Arc<Delivery>> {
    let VoiceRequest { workspace, account, step, about } = *request;
    let call = match api_answer::read(step, outcome) {
        Ok(success) => success.placed?,
        Err(refusal) => {
            if step == VoiceStep::HangUp && !refusal.is_hung_up() {
                warn(DEQUEUE_REFUSED, workspace, about.reservation, &refusal.problem);
            }
            return None;
        }
    };
    // A reservation may have more than one such call.
    let sid = derived(Sid::from_bytes(about.sid), 0);
    let content = end_of_call(About { sid, at, ..about });
    let url = requests::hang_up_url(api, &call).into();
    Some(Arc::new(Delivery { workspace, account, url, content, failure: None }))
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
    let mut bridge = Bridge::of(turn, api);
    let answer = match callback.kind {
        VoiceCallbackKind::Enqueue(workflow) => enqueue(&mut bridge, callback, workflow),
        VoiceCallbackKind::EnqueueResult(task) => Ok(enqueue_result(&mut bridge, callback, task)),
        VoiceCallbackKind::Reservation(sid, about) => {
            let id = bridge.state().find_reservation(sid)?.id;
            of_reservation(&mut bridge, callback, about, id)
        }
    };
    Some((answer.unwrap_or_else(|error| error.answer()), bridge.sends))
}

/// Whether a step brings the customer to the Worker.
const fn is_for_customer(step: VoiceStep) -> bool {
    matches!(step, VoiceStep::MoveCaller | VoiceStep::CallCustomer)
}

/// The bridge within a turn, and what is to be sent once that is durable.
struct Bridge<'t, 'a> {
    turn: &'t mut Turn<'a>,
    api: &'t VoiceApi,
    sends: Vec<Arc<Delivery>>,
}

impl<'t, 'a> Bridge<'t, 'a> {
    const fn of(turn: &'t mut Turn<'a>, api: &'t VoiceApi) -> Self {
        Self { turn, api, sends: Vec::new() }
    }

    fn state(&self) -> &State {
        self.turn.state()
    }

    /// Acts for a reservation, and takes down what has become of its call.
    fn with<R>(&mut self, id: Id<Reservation>, act: impl FnOnce(&mut ReservationCall<'_, 't, 'a>) -> R) -> R {
        let call = noted_call(self.state(), id);
        let instruction = VoiceInstruction::from_json(&call.instruction);
        let mut call = ReservationCall { bridge: self, id, call, instruction };
        let done = act(&mut call);
        call.note();
        done
    }
}

fn noted_call(state: &State, id: Id<Reservation>) -> VoiceCall {
    let reservation = state.reservation(id).expect("found in this turn");
    reservation.call.as_deref().cloned().unwrap_or_default()
}

/// The telephony of one reservation within a turn.
struct ReservationCall<'b, 't, 'a> {
    bridge: &'b mut Bridge<'t, 'a>,
    id: Id<Reservation>,
    call: VoiceCall,
    instruction: Option<VoiceInstruction>,
}

impl<'t, 'a> ReservationCall<'_, 't, 'a> {
    fn state(&self) -> &State {
        self.bridge.state()
    }

    /// Takes down what has changed.
    fn note(&mut self) {
        // A reservation goes with its Task.
        if self.state().reservation(self.id).is_none() {
            return;
        }
        let call = Box::new(self.call.clone());
        run(self.bridge.turn, Command::NoteCall { reservation: self.id, call });
    }

    /// What the engine is asked for sees what has become of the call so far.
    fn run(&mut self, command: Command) {
        self.note();
        run(self.bridge.turn, command);
    }

    /// Acts for another reservation. Each sees what has become of the call of the other.
    fn with(&mut self, other: Id<Reservation>, act: impl FnOnce(&mut ReservationCall<'_, 't, 'a>)) {
        assert_ne!(other, self.id, "its own call is at hand already");
        self.note();
        self.bridge.with(other, act);
        self.call = noted_call(self.state(), self.id);
    }

    fn reservation(&self) -> &Reservation {
        self.state().reservation(self.id).expect("found in this turn")
    }

    fn task(&self) -> &Task {
        self.state().task(self.reservation().task).expect("a reservation has its Task")
    }

    /// An attribute of the Task.
    fn attribute(&self, path: &[&str]) -> Option<Arc<str>> {
        instruction::attribute(self.task().attributes.value(), path)
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
        let named = instruction::named_conference(self.task().attributes.value());
        named.filter(|name| instruction::is_path_segment(name))
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
        let (reservation, at) = (self.reservation().sid, self.state().now());
        About { sid: derived(reservation, self.call.requests), reservation, at }
    }

    fn ask(&mut self, step: VoiceStep, url: String, form: Form) {
        self.call.is_customer_sent_for |= is_for_customer(step);
        let about = self.about();
        self.send(url, Content::Voice { step, form, about });
    }

    fn report(&mut self, url: String, form: Option<Form>) {
        let about = self.about();
        self.send(url, Content::Report { form, about });
    }

    fn send(&mut self, url: String, content: Content) {
        let delivery = delivery(self.state().workspace(), url, content);
        self.bridge.sends.push(delivery);
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
                (VoiceStep::CallWorker, requests::calls_url(self.bridge.api), self.dequeue_form(instruction))
            }
            VoiceVerb::Call => {
                (VoiceStep::CallWorker, requests::calls_url(self.bridge.api), self.call_form(instruction))
            }
            VoiceVerb::Redirect => {
                let call = instruction.text("call_sid").expect("checked with the instruction");
                let url = instruction.text("url").expect("checked with the instruction");
                let form = requests::form([("Url", url), ("Method", "POST")]);
                self.take_out(call);
                let step = if instruction.holds() { VoiceStep::Redirect } else { VoiceStep::RedirectOnly };
                (step, requests::call_url(self.bridge.api, call), form)
            }
            VoiceVerb::Conference if !self.fits(instruction) => {
                let reason = "the room name and the action make TwiML that no voice API takes";
                return self.refuse(instruction.verb, None, reason);
            }
            VoiceVerb::Conference => {
                let conference = self.transferred_conference().unwrap_or_else(|| self.room_name());
                let url = requests::participants_url(self.bridge.api, &conference);
                (VoiceStep::CallWorker, url, self.conference_form(instruction))
            }
            VoiceVerb::Supervise => {
                let Some(form) = self.supervise_form(instruction) else {
                    return self.warn(CONFERENCE_REFUSED, "no call of the worker is known to whom to whisper");
                };
                let url = requests::participants_url(self.bridge.api, &self.present_conference());
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
        match api_answer::read(step, outcome) {
            // Its Worker has taken the caller with it.
            Ok(Success { placed: Some(call), .. }) if self.call.worker_call.as_ref() == Some(&call) => {}
            Ok(Success { placed: Some(call), .. }) => self.end_call(&call),
            Err(refusal) if step == VoiceStep::HangUp => self.is_refused(step, &refusal),
            Ok(_) | Err(_) => {}
        }
    }

    fn answered(&mut self, step: VoiceStep, outcome: &VoiceOutcome) {
        let is_late = is_for_customer(step) && !self.call.is_customer_sent_for;
        self.call.is_customer_sent_for &= !is_for_customer(step);
        match api_answer::read(step, outcome) {
            // The customer was there, and may have gone on already.
            Ok(Success { placed: Some(customer), .. }) if is_late => self.customer_was_called(&customer),
            Ok(_) if is_late => {}
            Err(refusal) if is_late && !(step == VoiceStep::MoveCaller && refusal.is_gone()) => {
                self.warn(self.move_refused(), &refusal.problem);
            }
            Ok(success) => self.is_done(step, &success),
            Err(refusal) => self.is_refused(step, &refusal),
        }
    }

    fn is_done(&mut self, step: VoiceStep, success: &Success) {
        match step {
            VoiceStep::CallWorker => self.worker_is_called(success),
            VoiceStep::CallCustomer => self.customer_is_called(success.call()),
            VoiceStep::MoveCaller => self.caller_is_moved(),
            VoiceStep::Redirect => self.accept(),
            VoiceStep::RedirectOnly | VoiceStep::Supervise | VoiceStep::HangUp => {}
        }
    }

    fn is_refused(&mut self, step: VoiceStep, refusal: &Refusal) {
        match step {
            VoiceStep::CallWorker => self.worker_is_not_called(refusal),
            VoiceStep::CallCustomer => self.customer_is_lost(refusal),
            VoiceStep::MoveCaller if refusal.is_unknown => self.caller_may_be_moved(refusal),
            VoiceStep::MoveCaller => self.caller_is_lost(refusal),
            VoiceStep::Redirect => self.refuse(VoiceVerb::Redirect, refusal.code, &refusal.problem),
            VoiceStep::RedirectOnly => self.warn(REDIRECT_REFUSED, &refusal.problem),
            VoiceStep::Supervise => self.warn(CONFERENCE_REFUSED, &refusal.problem),
            VoiceStep::HangUp if refusal.is_hung_up() => {}
            VoiceStep::HangUp => self.warn(DEQUEUE_REFUSED, &refusal.problem),
        }
    }

    // What the engine is asked for

    fn accept(&mut self) {
        self.end_setup(SetupOutcome::Accepted);
    }

    fn end_setup(&mut self, outcome: SetupOutcome) {
        self.run(Command::EndSetup { reservation: self.id, outcome });
    }

    /// Ends the set-up of any reservation of the Task.
    fn end_setup_of(&mut self, reservation: Id<Reservation>, outcome: SetupOutcome) {
        self.run(Command::EndSetup { reservation, outcome });
    }

    fn refuse(&mut self, verb: VoiceVerb, code: Option<u32>, reason: &str) {
        self.note();
        refuse(self.bridge.turn, self.id, verb, code, reason);
    }

    fn cancel_task(&mut self, reason: &str) {
        let task = self.task().id;
        self.run(Command::AbandonTask { id: task, reason: reason.into() });
    }

    fn write_attribute(&mut self, name: &str, json: &str) {
        let task = self.task();
        let (id, text) = (task.id, members::with_member(task.attributes.text(), name, json));
        match Attributes::parse(&text) {
            Ok(attributes) => self.run(Command::WriteTaskAttributes { id, attributes }),
            // The customer's attributes fill their bound to the brim.
            Err(error) => self.warn(DEQUEUE_REFUSED, &format!("{name} does not fit into the attributes: {error}")),
        }
    }

    fn warn(&self, code: u32, reason: &str) {
        warn(code, self.state().workspace().sid, self.reservation().sid, reason);
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

const HANG_UP: &str = "<Response><Hangup/></Response>";

fn twiml(body: &str) -> Answer {
    let body = format!(r#"<?xml version="1.0" encoding="UTF-8"?>{body}"#);
    Answer { status: 200, headers: vec![Header::new("Content-Type", "text/xml; charset=utf-8")], body }
}
