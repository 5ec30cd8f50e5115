//! The Worker's call, from the answer of the voice API to its end. Reference: events-and-callbacks, sections 11.4 to 11.6.

use pointsman_api::instruction::VoiceVerb;
use pointsman_engine::{
    Activity, Command, Id, Reservation, ReservationStatus, SetupOutcome, Sid, UpdateWorker, Worker,
};
use pointsman_record::delivery::VoiceStep;

use super::api_answer::{Refusal, Success};
use super::{ReservationCall, quoted, refused_code, requests};

impl ReservationCall<'_, '_, '_> {
    /// The Worker's call exists; it may be over already, and its offer too.
    pub(super) fn worker_is_called(&mut self, success: &Success) {
        if let Some(conference) = &success.conference {
            self.call.conference = Some(conference.clone());
        }
        // A report may have told of it before; then it was hung up with its offer.
        let is_new = self.call.worker_call.is_none();
        let call = success.call();
        self.learn_worker_call(&call);
        if self.call.worker_call.as_ref() != Some(&call) {
            // A request that was made twice has placed two calls. The one that was told of first goes on.
            self.end_call(&call);
        }
        match self.verb() {
            Some(VoiceVerb::Call) if self.is_held() => self.accept(),
            Some(_) | None if is_new && !self.reservation().status.is_active() => self.hang_up(),
            Some(_) | None => {}
        }
    }

    pub(super) fn worker_is_not_called(&mut self, refusal: &Refusal) {
        let verb = self.verb().expect("a Worker is called for an instruction");
        if self.call.worker_call.is_some() {
            // A report has told of it, so it is only the answer that was lost.
            self.warn(refused_code(verb), &refusal.problem);
            if verb == VoiceVerb::Call && self.is_held() {
                self.accept();
            }
        } else if self.is_held() {
            self.refuse(verb, refusal.code, &refusal.problem);
        } else {
            self.warn(refused_code(verb), &refusal.problem);
        }
    }

    /// The first that tells of the Worker's call is either the API's answer or a report of the call.
    pub(super) fn learn_worker_call(&mut self, call: &str) {
        if self.call.worker_call.is_some() {
            return;
        }
        self.call.worker_call = Some(call.into());
        let (state, status) = (self.state(), self.reservation().status);
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
    pub(super) fn worker_has_answered(&mut self) {
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

    /// The Worker's call is over, whoever ended it.
    pub(super) fn worker_is_gone(&mut self, reason_code: Option<u32>) {
        if self.call.is_over {
            return;
        }
        self.call.is_over = true;
        if self.is_held() {
            self.end_setup(SetupOutcome::Failed { reason_code });
        }
        // A customer who is on the way is handed over when the request for that is answered.
        let is_for_nobody = !self.reservation().status.is_active() && self.is_conference() && self.call.is_answered;
        if is_for_nobody && !self.call.is_customer_sent_for {
            self.hand_over();
        }
        self.let_customer_go();
        let activity = self.instruction.as_ref().and_then(|instruction| instruction.text("post_work_activity_sid"));
        let activity = activity.and_then(Sid::parse);
        let Reservation { status, worker, .. } = *self.reservation();
        match status {
            ReservationStatus::Wrapping | ReservationStatus::Completed => self.move_worker(worker, activity),
            _ => self.run(Command::EndLeg { reservation: self.id, activity }),
        }
    }

    /// The application has ended the work before the call was over; the Worker goes on to the Activity all the same.
    fn move_worker(&mut self, id: Id<Worker>, activity: Option<Sid<Activity>>) {
        // A past reservation keeps its Worker, also one that was deleted since.
        let state = self.state();
        let is_live = state.worker(id).is_some_and(|worker| state.find_worker(worker.sid).is_some());
        if activity.is_none() || !is_live || self.is_engaged(id) {
            return;
        }
        let update =
            UpdateWorker { id, friendly_name: None, attributes: None, activity, reject_pending_reservations: false };
        if let Err(rejection) = self.bridge.turn.apply(Command::UpdateWorker(update)) {
            tracing::debug!(?rejection, "a worker stays in its activity after a call");
        }
    }

    /// Whether a single-tasking Worker is offered, or works on, another Task meanwhile: the Activity is that of it.
    fn is_engaged(&self, worker: Id<Worker>) -> bool {
        let state = self.state();
        let worker = state.worker(worker).expect("a reservation keeps its Worker");
        let others = worker.active.iter().filter(|id| **id != self.id).filter_map(|id| state.reservation(*id));
        let is_open =
            |other: &Reservation| matches!(other.status, ReservationStatus::Pending | ReservationStatus::Accepted);
        !state.is_multitask() && others.into_iter().any(is_open)
    }

    pub(super) fn hang_up(&mut self) {
        // It is over when the provider says so: that is when an accepted reservation goes on to wrapping.
        if let Some(call) = self.call.worker_call.clone().filter(|_| !self.call.is_over) {
            self.end_call(&call);
        }
    }

    pub(super) fn end_call(&mut self, call: &str) {
        let url = requests::hang_up_url(self.bridge.api, call);
        self.ask(VoiceStep::HangUp, url, requests::form([("Status", "completed")]));
    }
}
