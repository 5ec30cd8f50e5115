//! What the provider tells of calls and conferences. Reference: events-and-callbacks, sections 11.5 to 11.7.

use std::sync::Arc;

use pointsman_api::instruction::VoiceVerb;
use pointsman_api::{Answer, ApiError};
use pointsman_engine::{Id, Reservation, ReservationStatus, State, Task, VoiceCall};

use super::addresses::{ReservationCallback, VoiceCallback};
use super::dial::dial_reservation;
use super::{Bridge, HANG_UP, ReservationCall, requests, twiml};

/// What the provider asks, or tells, about a reservation.
pub(super) fn of_reservation(
    bridge: &mut Bridge<'_, '_>,
    callback: &VoiceCallback,
    about: ReservationCallback,
    id: Id<Reservation>,
) -> Result<Answer, ApiError> {
    Ok(match about {
        ReservationCallback::WorkerLeg => bridge.with(id, |call| {
            if call.is_former(callback) {
                return twiml(HANG_UP);
            }
            call.progress(callback, "in-progress");
            call.worker_leg(callback)
        }),
        ReservationCallback::Status => bridge.with(id, |call| {
            let status = callback.value("CallStatus").unwrap_or_default();
            if call.is_former(callback) {
                call.end_stray_call(callback, status);
            } else if !call.knows_call_report(callback) {
                call.progress(callback, status);
                call.report_call(callback);
            }
            Answer::no_content()
        }),
        ReservationCallback::Conference => {
            conference(bridge, callback, id);
            Answer::no_content()
        }
        ReservationCallback::CustomerStatus => {
            customer_progress(bridge, callback, id);
            Answer::no_content()
        }
        ReservationCallback::DialReservation => return dial_reservation(bridge, callback, id),
        ReservationCallback::DialResult => {
            bridge.with(id, |call| call.worker_is_gone(None));
            twiml(HANG_UP)
        }
    })
}

/// Something happened in a conference. The provider tells the address that came with its first participant; it is for
/// every reservation that meets there.
fn conference(bridge: &mut Bridge<'_, '_>, callback: &VoiceCallback, id: Id<Reservation>) {
    let told = bridge.with(id, |call| {
        if !call.is_former(callback) {
            if call.knows_conference_report(callback) {
                return None;
            }
            call.conference_event(callback);
            call.report_conference(callback);
        }
        let room = callback.value("FriendlyName").map_or_else(|| call.room_name(), Arc::from);
        Some((with_calls(call.state(), call.task(), &room), room))
    });
    let Some((others, room)) = told else { return };
    for other in others.into_iter().filter(|other| *other != id) {
        // One that ended meanwhile may be gone with its Task.
        if bridge.state().reservation(other).is_some() {
            bridge.with(other, |call| {
                if call.meets_in(&room, callback) {
                    call.conference_event(callback);
                }
            });
        }
    }
}

/// Follows the call to the customer of an outbound Task, who may be on the way to another Worker than was first meant.
fn customer_progress(bridge: &mut Bridge<'_, '_>, callback: &VoiceCallback, id: Id<Reservation>) {
    let Some(call) = callback.call() else { return };
    let status = callback.value("CallStatus").unwrap_or_default();
    bridge.with(id, |own| {
        // The first that tells of the call is either the API's answer or a report of it.
        let is_awaited = own.call.is_customer_sent_for && own.call.customer_call.is_none();
        if is_awaited && !own.is_former(callback) && (is_live(status) || is_over(status)) {
            own.call.is_customer_sent_for = false;
            if is_live(status) {
                own.customer_is_called(call.into());
            } else {
                own.customer_is_not_reached(status, error_code(callback));
            }
        }
    });
    let state = bridge.state();
    // It may have gone with its Task.
    let task = state.reservation(id).and_then(|reservation| state.task(reservation.task));
    let Some(task) = task else { return };
    let meets = |other: &&Reservation| {
        let known = other.call.as_deref().filter(|known| known.is_customer_called);
        known.is_some_and(|known| known.customer_call.as_deref() == Some(call))
    };
    let reservations = task.reservations.iter().filter_map(|id| state.reservation(*id));
    let met: Vec<_> = reservations.filter(meets).map(|reservation| reservation.id).collect();
    if met.is_empty() {
        bridge.with(id, |own| own.end_stray_call(callback, status));
    }
    for reservation in met {
        bridge.with(reservation, |own| match status {
            "in-progress" | "answered" => own.call.has_customer_answered = true,
            status if is_over(status) => own.customer_is_over(status),
            _ => {}
        });
    }
}

fn error_code(callback: &VoiceCallback) -> Option<u32> {
    callback.value("ErrorCode").and_then(|code| code.parse().ok())
}

/// Reservations that may meet in a conference: those of the Task, or if the application has named it, those of all.
///
/// - Cost: Tasks of the Workspace if it has such a name; otherwise reservations of the Task.
fn with_calls(state: &State, task: &Task, room: &str) -> Vec<Id<Reservation>> {
    let is_shared = room != task.sid.to_string();
    let tasks = state.tasks().filter(|other| is_shared && other.id != task.id && !other.active.is_empty());
    let reservations = std::iter::once(task).chain(tasks).flat_map(|task| &task.reservations);
    let reservations = reservations.filter_map(|id| state.reservation(*id));
    reservations.filter(|reservation| reservation.call.is_some()).map(|reservation| reservation.id).collect()
}

impl ReservationCall<'_, '_, '_> {
    /// Whether its parties meet in the conference that is told of: the one that it knows, or one with its name.
    fn meets_in(&self, room: &str, callback: &VoiceCallback) -> bool {
        let is_it = match (&self.call.conference, callback.value("ConferenceSid")) {
            (Some(known), Some(told)) => **known == *told,
            // It has not heard of a beginning: what ends there is an earlier conference of that name.
            (None, Some(_)) if is_event(callback, "conference-end") => false,
            _ => *self.room_name() == *room,
        };
        self.verb() == Some(VoiceVerb::Conference) && is_it
    }

    /// Whether it tells of a conference that is not the one where the parties meet now.
    fn is_of_another(&self, callback: &VoiceCallback) -> bool {
        let (known, told) = (self.call.conference.as_deref(), callback.value("ConferenceSid"));
        known.is_some() && told.is_some() && known != told
    }

    /// Whether it tells of a call that an earlier instruction of the reservation has made.
    fn is_former(&self, callback: &VoiceCallback) -> bool {
        let request = callback.query_value("request").and_then(|number| number.parse::<u64>().ok());
        request.is_some_and(|number| number <= self.call.requests_before)
    }

    /// Whether a report of the Worker's call was told before: a provider that heard no answer tells it again. From here
    /// on it is known.
    fn knows_call_report(&mut self, callback: &VoiceCallback) -> bool {
        // The first report may come before the answer to the request for the call.
        let call = callback.value("CallSid");
        let is_own = match &self.call.worker_call {
            Some(known) => Some(&**known) == call,
            None => call != self.call.customer_call.as_deref(),
        };
        is_own && is_known(&mut self.call.call_reports, callback)
    }

    /// The same of a report of the conference.
    fn knows_conference_report(&mut self, callback: &VoiceCallback) -> bool {
        self.learn_conference(callback);
        !self.is_of_another(callback) && is_known(&mut self.call.conference_reports, callback)
    }

    /// Another conference of that name counts its reports from the beginning. What ends an earlier one may come late.
    fn learn_conference(&mut self, callback: &VoiceCallback) {
        let conference = callback.value("ConferenceSid");
        let is_end = is_event(callback, "conference-end") || is_event(callback, "participant-leave");
        if conference.is_some() && conference != self.call.conference.as_deref() && !is_end {
            self.call.conference_reports = 0;
            self.call.customer_report = 0;
            self.call.conference = conference.map(Arc::from);
        }
    }

    /// Follows the Worker's call. What is told of another call, or late, does not change the reservation.
    fn progress(&mut self, callback: &VoiceCallback, status: &str) {
        let Some(call) = callback.call() else { return };
        if self.call.customer_call.as_deref() == Some(call) {
            if is_over(status) {
                self.caller_is_gone();
            }
            return;
        }
        if self.call.worker_call.is_none() && !self.call.instruction.is_empty() {
            self.learn_worker_call(call);
            // The offer ended before anybody knew what to hang up.
            if !self.reservation().status.is_active() && !is_over(status) {
                self.hang_up();
            }
        }
        if self.call.worker_call.as_deref() != Some(call) {
            return self.end_stray_call(callback, status);
        }
        match status {
            "in-progress" | "answered" => self.worker_has_answered(),
            status if is_over(status) => self.worker_is_gone(error_code(callback)),
            _ => {}
        }
    }

    /// Lets a call ring no longer that nobody waits for: that of an instruction before which nobody knew, or a second one
    /// of a request that was made twice.
    fn end_stray_call(&mut self, callback: &VoiceCallback, status: &str) {
        let Some(call) = callback.call() else { return };
        let VoiceCall { worker_call, customer_call, .. } = &self.call;
        let is_known = [worker_call, customer_call].into_iter().flatten().any(|known| **known == *call);
        if is_live(status) && !is_known {
            self.end_call(call);
        }
    }

    /// What a Worker who has answered is connected to. A second call of a request is not.
    fn worker_leg(&self, callback: &VoiceCallback) -> Answer {
        let reservation = self.reservation();
        let is_its = self.call.worker_call.as_deref() == callback.value("CallSid");
        let is_wanted = reservation.status == ReservationStatus::Accepted || self.call.is_answered && self.is_held();
        if is_wanted && is_its && !self.call.is_over {
            twiml(&requests::bridge_twiml(&reservation.sid.to_string(), None))
        } else {
            twiml(HANG_UP)
        }
    }

    fn conference_event(&mut self, callback: &VoiceCallback) {
        self.learn_conference(callback);
        if self.is_of_another(callback) {
            return;
        }
        let call = callback.value("CallSid");
        let is_customer = call.is_some() && call == self.call.customer_call.as_deref();
        match callback.value("StatusCallbackEvent") {
            Some("participant-join") if is_customer => {
                self.note_customer(callback, true);
                if self.call.is_customer_there && self.call.is_answered && self.is_held() {
                    self.note_conference();
                    self.accept();
                }
            }
            Some("participant-leave") if is_customer => {
                self.note_customer(callback, false);
                // One who is on the line still was sent elsewhere. Where nobody says so, that is not to be believed of
                // an offer that has ended.
                let is_gone = callback.value("ParticipantCallStatus").map_or(self.is_held(), is_over);
                if is_gone {
                    self.caller_is_gone();
                }
            }
            Some("participant-leave") if call.is_some() && call == self.call.worker_call.as_deref() => {
                self.worker_is_gone(None);
            }
            Some("conference-end") => {
                self.call.is_customer_there = false;
                if self.call.is_answered {
                    self.worker_is_gone(None);
                } else {
                    // One whose telephone still rings was not in it, and will begin another.
                    self.call.conference = None;
                }
            }
            Some(_) | None => {}
        }
    }

    /// Where the customer is: what was told later counts, also when it comes first.
    fn note_customer(&mut self, callback: &VoiceCallback, is_there: bool) {
        let number = callback.value("SequenceNumber").and_then(|number| number.parse::<u64>().ok());
        if number.is_none_or(|number| self.call.customer_report <= number) {
            self.call.customer_report = number.unwrap_or(self.call.customer_report);
            self.call.is_customer_there = is_there;
        }
        self.call.was_customer_there |= is_there;
    }

    /// Passes the progress of the Worker's call on, as far as the application wants to know.
    fn report_call(&mut self, callback: &VoiceCallback) {
        let Some(instruction) = self.instruction.clone() else { return };
        // Of another call, say that of an instruction before.
        if callback.value("CallSid") != self.call.worker_call.as_deref() {
            return;
        }
        let event = match callback.value("CallStatus") {
            Some("queued" | "initiated") => "initiated",
            Some("ringing") => "ringing",
            Some("in-progress") => "answered",
            Some(_) => "completed",
            None => return,
        };
        let is_wanted = |field| instruction.list(field).map_or(event == "completed", |list| list.contains(&event));
        if let Some(url) = instruction.text("status_callback_url").filter(|_| is_wanted("status_callback_events")) {
            let task_call = self.attribute(&["call_sid"]).unwrap_or_default();
            let pairs = callback.form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let url = requests::with_query(url, pairs.chain([("taskCallSid", &*task_call)]));
            self.report(url, None);
        }
        if let Some(url) = instruction.text("status_callback").filter(|_| is_wanted("status_callback_event")) {
            self.pass_on(callback, url, instruction.text("status_callback_method"));
        }
    }

    fn report_conference(&mut self, callback: &VoiceCallback) {
        let Some(instruction) = self.instruction.clone() else { return };
        let event = match callback.value("StatusCallbackEvent") {
            Some("conference-start") => "start",
            Some("conference-end") => "end",
            Some("participant-join") => "join",
            Some("participant-leave") => "leave",
            Some("participant-mute" | "participant-unmute") => "mute",
            Some("participant-hold" | "participant-unhold") => "hold",
            Some("participant-speech-start" | "participant-speech-stop") => "speaker",
            Some(_) | None => return,
        };
        let wanted = instruction.list("conference_status_callback_event").unwrap_or(&["start", "end"]);
        if let Some(url) = instruction.text("conference_status_callback").filter(|_| wanted.contains(&event)) {
            self.pass_on(callback, url, instruction.text("conference_status_callback_method"));
        }
    }

    /// The same form, by the method that the application chose.
    fn pass_on(&mut self, callback: &VoiceCallback, url: &str, method: Option<&str>) {
        if method == Some("GET") {
            let pairs = callback.form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            self.report(requests::with_query(url, pairs), None);
        } else {
            let form = callback.form.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            self.report(url.to_string(), Some(form.collect()));
        }
    }
}

fn is_event(callback: &VoiceCallback, event: &str) -> bool {
    callback.value("StatusCallbackEvent") == Some(event)
}

/// Whether a call with this status rings or goes on.
fn is_live(call_status: &str) -> bool {
    matches!(call_status, "queued" | "initiated" | "ringing" | "in-progress" | "answered")
}

/// Whether a call with this status has ended.
pub(super) fn is_over(call_status: &str) -> bool {
    matches!(call_status, "completed" | "busy" | "failed" | "no-answer" | "canceled")
}

/// Whether a report with this number was noted before; notes it. Beyond 63, which only conferences have, none is.
fn is_known(reports: &mut u64, callback: &VoiceCallback) -> bool {
    let number = callback.value("SequenceNumber").and_then(|number| number.parse::<u32>().ok());
    let Some(bit) = number.and_then(|number| 1_u64.checked_shl(number)) else { return false };
    let is_known = *reports & bit != 0;
    *reports |= bit;
    is_known
}
