//! The customer, who is brought to one Worker at a time. Reference: events-and-callbacks, sections 11.4 and 11.5.

use std::sync::Arc;

use pointsman_api::instruction::{VoiceInstruction, VoiceVerb};
use pointsman_engine::limits::TASK_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{Id, Reservation, ReservationStatus, SetupOutcome, Task, TaskStatus, VoiceCall};
use pointsman_record::delivery::VoiceStep;

use super::addresses::ReservationCallback;
use super::api_answer::Refusal;
use super::{CONFERENCE_REFUSED, DEQUEUE_REFUSED, ReservationCall, quoted, requests};
use crate::limits::TWIML_CHARS_MAX;

impl ReservationCall<'_, '_, '_> {
    /// The customer is sent for once. Whoever answers while one is on the way, maybe to one who has hung up meanwhile,
    /// waits for the arrival.
    pub(super) fn send_for_customer(&mut self) {
        if self.call.is_customer_there || self.others_of_room().any(|other| other.1.is_customer_there) {
            self.note_conference();
            return self.accept();
        }
        let is_sent_for = self.rivals().any(|(_, call, _)| call.is_customer_sent_for);
        if !is_sent_for && self.waiting_for_customer().is_empty() {
            self.bring_customer();
        }
    }

    pub(super) fn bring_customer(&mut self) {
        if !self.is_conference() {
            let conference = self.reservation().sid.to_string();
            return self.move_caller(&requests::bridge_twiml(&conference, Some(&self.afterwards())));
        }
        let instruction = self.instruction.clone().expect("it has a verb");
        let room = self.room_name();
        let customer = self.attribute(&["outbound_to"]).filter(|_| self.call.customer_call.is_none());
        if let Some(customer) = customer {
            let from = self.attribute(&["from"]).unwrap_or_default();
            let url = requests::participants_url(self.bridge.api, &room);
            let mut form = requests::customer_form(&from, &customer, &instruction);
            self.status_callback(&mut form, ReservationCallback::CustomerStatus);
            self.ask(VoiceStep::CallCustomer, url, form);
        } else {
            let afterwards = self.afterwards();
            let told = self.callback_url(ReservationCallback::Conference);
            let twiml = requests::customer_twiml(&room, &instruction, &afterwards, Some(&told));
            let is_short = twiml.chars().count() <= TWIML_CHARS_MAX;
            // A long address to go on to leaves no place for another; it is needed only where the caller comes first.
            let twiml = if is_short { twiml } else { requests::customer_twiml(&room, &instruction, &afterwards, None) };
            self.move_caller(&twiml);
        }
    }

    /// The voice API has sent the caller to the Worker. In a conference the arrival tells of it.
    pub(super) fn caller_is_moved(&mut self) {
        let (status, task) = (self.reservation().status, self.task().status);
        // The application may end the work before the conversation is over.
        let is_waited_for = !self.call.is_over && (status.is_active() || status == ReservationStatus::Completed);
        let is_in =
            |call: &VoiceCall| call.is_customer_sent_for || call.is_customer_there || call.is_answered && !call.is_over;
        if is_waited_for || self.hand_over() || self.rivals().any(|(_, call, _)| is_in(call)) {
            return;
        }
        // The answer comes late: the caller may talk to others there, or has gone on from there.
        if self.has_caller_come() {
            return;
        }
        match task {
            // The next Worker meets the caller there.
            TaskStatus::Pending | TaskStatus::Reserved | TaskStatus::Assigned => {}
            TaskStatus::Wrapping | TaskStatus::Completed | TaskStatus::Canceled => self.send_on(None),
        }
    }

    /// The voice API was asked to send the caller to the Worker, and has not answered: reports will tell.
    pub(super) fn caller_may_be_moved(&mut self, refusal: &Refusal) {
        self.warn(self.move_refused(), &refusal.problem);
        self.caller_is_moved();
    }

    /// Sends a caller for whom nobody waits to where a call goes on after its conversation.
    ///
    /// - `result`: what became of the waiting, where it is not the end of a conversation.
    fn send_on(&mut self, result: Option<&str>) {
        let Some(caller) = self.call.customer_call.clone() else { return };
        let url = requests::with_query(&self.afterwards(), result.map(|result| ("QueueResult", result)));
        self.take_out(&caller);
        let form = requests::form([("Url", &*url), ("Method", "POST")]);
        self.ask(VoiceStep::RedirectOnly, requests::move_url(self.bridge.api, &caller), form);
    }

    /// The customer is on the way to a Worker who is not there any more: the next who waits is the one to go to.
    ///
    /// - Returns whether there is one.
    pub(super) fn hand_over(&mut self) -> bool {
        let waits_there = self.is_conference() && self.others_of_room().any(|other| waits(&other));
        let next = self.waiting_for_customer().first().copied().filter(|_| !waits_there);
        if let Some(next) = next {
            self.with(next, |call| {
                call.bring_customer();
            });
        }
        waits_there || next.is_some()
    }

    /// Whether the TwiML for the customer is short enough, however long the call waits.
    pub(super) fn fits(&self, instruction: &VoiceInstruction) -> bool {
        let afterwards = self.afterwards_of(i64::from(TASK_TIMEOUT_SECONDS_MAX));
        let room = room_name(Some(instruction), self.task());
        requests::customer_twiml(&room, instruction, &afterwards, None).chars().count() <= TWIML_CHARS_MAX
    }

    /// The address that tells the caller how to go on after the conversation.
    pub(super) fn afterwards(&self) -> String {
        self.afterwards_of((self.state().now().0 - self.task().date_created.0) / 1_000)
    }

    fn afterwards_of(&self, waited_seconds: i64) -> String {
        let task = self.task();
        let action = task.enqueue_action.as_deref();
        requests::afterwards_url(self.bridge.api, self.state().workspace().sid, task.sid, action, waited_seconds)
    }

    pub(super) fn move_caller(&mut self, twiml: &str) {
        let Some(caller) = self.call.customer_call.clone() else { return self.hang_up() };
        self.take_out(&caller);
        self.call.was_customer_there = false;
        let url = requests::move_url(self.bridge.api, &caller);
        self.ask(VoiceStep::MoveCaller, url, requests::form([("Twiml", twiml)]));
    }

    /// A caller who is sent elsewhere is not in a conference of the Task any more, whenever that is told.
    pub(super) fn take_out(&mut self, caller: &str) {
        let is_in = |call: &VoiceCall| call.is_customer_there && call.customer_call.as_deref() == Some(caller);
        if is_in(&self.call) {
            self.call.is_customer_there = false;
        }
        let others = self.task().reservations.iter().filter_map(|id| self.state().reservation(*id));
        let left = others.filter(|other| other.id != self.id && other.call.as_deref().is_some_and(is_in));
        for other in left.map(|other| other.id).collect::<Vec<_>>() {
            self.with(other, |call| call.call.is_customer_there = false);
        }
    }

    /// Whether reports have told that the caller came to where this reservation has sent them.
    fn has_caller_come(&self) -> bool {
        let has_come = self.call.is_customer_there || self.call.was_customer_there;
        // A dequeue has a conference of its own.
        has_come || self.is_conference() && self.others_of_room().any(|(_, call, _)| call.is_customer_there)
    }

    /// The caller who waits could not be sent to the Worker.
    pub(super) fn caller_is_lost(&mut self, refusal: &Refusal) {
        let code = self.move_refused();
        self.warn(code, &refusal.problem);
        // It was done, and what is refused is to do it again: only the first answer was lost.
        if !refusal.is_gone() && self.has_caller_come() {
            return;
        }
        // With its offer the Worker's call ends too.
        if !self.is_held() {
            self.hang_up();
        }
        if refusal.is_gone() {
            return self.cancel_task("hangup");
        }
        let reason_code = Some(refusal.code.unwrap_or(code));
        let waiting = self.waiting_for_customer();
        let is_accepted = self.reservation().status == ReservationStatus::Accepted;
        // The Task of a conference is routed again.
        let is_over = is_accepted && self.verb() == Some(VoiceVerb::Dequeue);
        for reservation in self.is_held().then_some(self.id).into_iter().chain(waiting) {
            self.end_setup_of(reservation, SetupOutcome::Failed { reason_code });
        }
        // No other Worker will be found, and waiting is over.
        if is_over && refusal.status.is_some_and(|status| (400..500).contains(&status)) {
            self.send_on(Some("error"));
        }
    }

    pub(super) fn move_refused(&self) -> u32 {
        if self.is_conference() { CONFERENCE_REFUSED } else { DEQUEUE_REFUSED }
    }

    /// The caller has hung up: on the way to the Worker, between two offers or in the conversation.
    pub(super) fn caller_is_gone(&mut self) {
        let status = self.reservation().status;
        if self.is_held() || !status.is_active() {
            self.cancel_task("hangup");
        } else if status == ReservationStatus::Accepted && self.verb() == Some(VoiceVerb::Dequeue) {
            // Who came into their conference first would wait there alone.
            self.hang_up();
        }
    }

    /// The customer of an outbound Task is being called: for the Worker who has answered or, if that one has hung up
    /// meanwhile, for another who waits.
    pub(super) fn customer_is_called(&mut self, customer: Arc<str>) {
        if self.is_held() {
            return self.meet(customer);
        }
        let next = self.others_of_room().find(waits).map(|(other, ..)| other.id);
        let Some(next) = next else {
            self.end_call(&customer);
            self.hand_over();
            return;
        };
        self.with(next, |call| call.meet(customer));
    }

    fn meet(&mut self, customer: Arc<str>) {
        self.call.customer_call = Some(customer);
        self.call.is_customer_called = true;
        self.note_conference();
        self.accept();
    }

    /// The customer of an outbound Task could not be called: the reservations that wait go, and then it.
    pub(super) fn customer_is_lost(&mut self, refusal: &Refusal) {
        self.warn(CONFERENCE_REFUSED, &refusal.problem);
        let held = self.is_held().then_some(self.id);
        let waiting: Vec<_> = held.into_iter().chain(self.waiting_for_customer()).collect();
        let reason_code = Some(refusal.code.unwrap_or(CONFERENCE_REFUSED));
        for reservation in &waiting {
            self.end_setup_of(*reservation, SetupOutcome::Failed { reason_code });
        }
        if !waiting.is_empty() {
            self.cancel_task(&refusal.problem);
        }
    }

    /// The voice API answers with the call of a customer when reports have told of one.
    pub(super) fn customer_was_called(&mut self, customer: &str) {
        let reservations = self.task().reservations.iter().filter_map(|id| self.state().reservation(*id));
        let mut calls = reservations.filter_map(|reservation| reservation.call.as_deref());
        // Nobody has met the customer, or a request that was made twice has placed two calls.
        if !calls.any(|call| call.customer_call.as_deref() == Some(customer)) {
            self.end_call(customer);
        }
    }

    /// The customer's call is over before the voice API has answered with its name.
    pub(super) fn customer_is_not_reached(&mut self, status: &str, code: Option<u32>) {
        let problem = format!("the call of the customer has ended: {status}");
        self.customer_is_lost(&Refusal { is_unknown: false, status: None, code, problem });
    }

    /// The call of the customer whom the Worker waits for, or talks to, is over.
    ///
    /// - `status`: only one that is completed was answered, if it was. Sound may come through before that.
    pub(super) fn customer_is_over(&mut self, status: &str) {
        self.call.is_customer_called = false;
        let has_come = self.call.was_customer_there || self.call.has_customer_answered;
        let has_come = status == "completed" && has_come;
        if !has_come && self.reservation().status == ReservationStatus::Accepted {
            self.hang_up();
        }
    }

    /// The customer's telephone rings for a Worker who is not there any more.
    pub(super) fn let_customer_go(&mut self) {
        let is_in = |call: &VoiceCall| call.is_answered && !call.is_over;
        let others = self.state().active_reservations(self.task()).filter(|other| other.id != self.id);
        let is_met = others.into_iter().any(|other| other.call.as_deref().is_some_and(is_in));
        let is_ringing = self.call.is_customer_called && !self.call.has_customer_answered;
        if let Some(customer) = self.call.customer_call.clone().filter(|_| is_ringing && !is_met) {
            self.end_call(&customer);
        }
    }

    /// Tells the application where the parties met.
    pub(super) fn note_conference(&mut self) {
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
    pub(super) fn room_name(&self) -> Arc<str> {
        room_name(self.instruction.as_ref(), self.task())
    }

    /// The other reservations of the Task that bring, or brought, its customer to their Worker.
    fn rivals(&self) -> impl Iterator<Item = Rival<'_>> {
        let (state, task) = (self.state(), self.task());
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
}

/// A reservation that competes for the customer, and its instruction.
type Rival<'r> = (&'r Reservation, &'r VoiceCall, VoiceInstruction);

/// Whether its Worker has answered and waits for the customer only.
fn waits((reservation, call, _): &Rival<'_>) -> bool {
    reservation.status == ReservationStatus::Pending && reservation.is_on_hold() && call.is_answered && !call.is_over
}

pub(super) fn room_name(instruction: Option<&VoiceInstruction>, task: &Task) -> Arc<str> {
    let named = instruction.and_then(|instruction| instruction.text("room_name"));
    named.map_or_else(|| task.sid.to_string().into(), Arc::from)
}
