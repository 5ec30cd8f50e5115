//! A Worker who calls in takes the caller of a reservation. Reference: events-and-callbacks, sections 11.1 and 11.4.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_api::instruction::{FieldValue, VoiceInstruction, VoiceVerb};
use pointsman_api::{Answer, ApiError, errors};
use pointsman_engine::{Command, Id, Reservation, ReservationStatus, Sid, VoiceCall};

use super::addresses::{ReservationCallback, VoiceCallback, VoiceCallbackKind};
use super::{Bridge, ReservationCall, requests, twiml};

/// Accepts the reservation for a Worker who called in, and brings its caller along.
pub(super) fn dial_reservation(
    bridge: &mut Bridge<'_, '_>,
    callback: &VoiceCallback,
    id: Id<Reservation>,
) -> Result<Answer, ApiError> {
    let state = bridge.state();
    let activity = callback.query_value("postWorkActivitySid");
    if let Some(named) = activity
        && Sid::parse(named).and_then(|sid| state.find_activity(sid)).is_none()
    {
        return Err(ApiError::new(&errors::VOICE_WORKER_NOT_MOVED, &[("value", &named)]));
    }
    bridge.with(id, |call| {
        let sid = call.reservation().sid;
        if call.is_taken_in(callback) {
            // A provider that heard no answer asks again.
            return Ok(call.dial_twiml());
        }
        if call.attribute(&["call_sid"]).is_none() {
            return Err(ApiError::new(&errors::VOICE_CANNOT_DEQUEUE, &[("reservation", &sid)]));
        }
        if call.bridge.turn.apply(Command::AcceptReservation { id }).is_err() {
            return Err(ApiError::new(&errors::VOICE_NOT_ACCEPTABLE, &[("reservation", &sid)]));
        }
        call.take_in(callback, activity);
        call.move_caller(&requests::bridge_twiml(&sid.to_string(), Some(&call.afterwards())));
        Ok(call.dial_twiml())
    })
}

impl ReservationCall<'_, '_, '_> {
    /// Whether the call that asks has the caller already.
    fn is_taken_in(&self, callback: &VoiceCallback) -> bool {
        let is_its = callback.call().is_some() && callback.call() == self.call.worker_call.as_deref();
        let is_talking = self.call.is_answered && !self.call.is_over;
        is_its
            && is_talking
            && self.verb() == Some(VoiceVerb::Dequeue)
            && self.reservation().status == ReservationStatus::Accepted
    }

    /// Where the Worker who asks meets the caller, and whom to tell of the end.
    fn dial_twiml(&self) -> Answer {
        let sid = self.reservation().sid;
        let result = VoiceCallbackKind::Reservation(sid, ReservationCallback::DialResult);
        let over = requests::callback_url(self.bridge.api, result, self.state().workspace().sid);
        twiml(&requests::bridge_twiml(&sid.to_string(), Some(&over)))
    }

    /// Whether it is the call of a `call` whose TwiML leads here.
    fn is_called(&self, callback: &VoiceCallback) -> bool {
        let Some(call) = callback.call() else { return false };
        let is_its = match &self.call.worker_call {
            Some(known) => &**known == call,
            // It may ask before the voice API has answered with its name. A Worker who calls in is inbound.
            None => callback.value("Direction").is_some_and(|direction| direction.starts_with("outbound")),
        };
        self.verb() == Some(VoiceVerb::Call) && is_its && !self.call.is_over
    }

    /// The call that asks is the Worker's from now on, as if a `dequeue` had made it.
    fn take_in(&mut self, callback: &VoiceCallback, activity: Option<&str>) {
        let mut instruction = VoiceInstruction { verb: VoiceVerb::Dequeue, fields: BTreeMap::new() };
        let call = if self.is_called(callback) {
            // Its reports go on to count, and to be passed on.
            self.learn_worker_call(callback.call().expect("it is its own"));
            let told = self.instruction.as_ref().and_then(|call| call.fields.get_key_value("status_callback_url"));
            instruction.fields.extend(told.map(|(name, url)| (*name, url.clone())));
            self.call.clone()
        } else {
            // Where a `call` lets a telephone ring, nobody will answer it.
            self.hang_up();
            let worker_call = callback.call().map(Arc::from);
            let requests = self.call.requests;
            VoiceCall { worker_call, requests, requests_before: requests, ..VoiceCall::default() }
        };
        let activity = activity.map(|sid| ("post_work_activity_sid", FieldValue::Text(sid.into())));
        instruction.fields.extend(activity);
        self.call = VoiceCall {
            instruction: instruction.to_json().into(),
            customer_call: self.attribute(&["call_sid"]),
            is_answered: true,
            ..call
        };
        self.instruction = Some(instruction);
    }
}
