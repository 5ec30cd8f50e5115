//! What the voice API answers a request.

use std::sync::Arc;

use pointsman_expression::Value;
use pointsman_record::delivery::VoiceStep;

use crate::batch::{VoiceOutcome, is_of_gateway};
use crate::limits::REASON_CHARS_MAX;

/// The voice API's own number for a call that is over.
const CALL_NOT_LIVE: u32 = 21_220;

/// The voice API did what it was asked for.
pub(super) struct Success {
    /// The call that was placed, if the step was to place one whose end the bridge must hear of.
    pub(super) placed: Option<Arc<str>>,
    pub(super) conference: Option<Arc<str>>,
}

/// It did not, or nobody knows.
pub(super) struct Refusal {
    /// It was asked and has not answered itself.
    pub(super) is_unknown: bool,
    /// `None`: there was no answer.
    pub(super) status: Option<u16>,
    /// The provider's own error number.
    pub(super) code: Option<u32>,
    /// For the log.
    pub(super) problem: String,
}

/// Reads what became of a step. A call that is not named cannot be followed, so such a success is none.
pub(super) fn read(step: VoiceStep, outcome: &VoiceOutcome) -> Result<Success, Refusal> {
    let silence = |is_unknown, reason: &str| Refusal { is_unknown, status: None, code: None, problem: reason.into() };
    let (status, document) = match outcome {
        VoiceOutcome::Failed { reason } => return Err(silence(false, reason)),
        VoiceOutcome::Unanswered { reason } => return Err(silence(true, reason)),
        VoiceOutcome::Answered { status, body } => {
            let document = std::str::from_utf8(body).ok().and_then(|text| Value::parse_json(text).ok());
            (*status, document.unwrap_or(Value::Null))
        }
    };
    let text = |member: &str| document.member(member).as_text().filter(|text| !text.is_empty()).map(Arc::from);
    let refusal = |problem: String| {
        let code = document.member("code").as_number().and_then(|number| number.to_string().parse().ok());
        Refusal { is_unknown: is_of_gateway(status), status: Some(status), code, problem }
    };
    if !(200..300).contains(&status) {
        let message = document.member("message").as_text().unwrap_or_default();
        let message: String = message.chars().take(REASON_CHARS_MAX).collect();
        return Err(refusal(format!("the voice API answered with status {status} {message}").trim_end().to_string()));
    }
    let is_placed = matches!(step, VoiceStep::CallWorker | VoiceStep::CallCustomer);
    let call = text("call_sid").or_else(|| text("sid")).filter(|call: &Arc<str>| is_call_sid(call));
    if is_placed && call.is_none() {
        return Err(refusal(format!("the voice API answered with status {status}, but named no call")));
    }
    Ok(Success { placed: call.filter(|_| is_placed), conference: text("conference_sid") })
}

impl Success {
    /// Of a step that places a call.
    pub(super) fn call(&self) -> Arc<str> {
        self.placed.clone().expect("without it the step has not succeeded")
    }
}

impl Refusal {
    /// The call is not live any more.
    pub(super) fn is_gone(&self) -> bool {
        match self.status {
            Some(404 | 410) => true,
            Some(400 | 409) => self.code == Some(CALL_NOT_LIVE),
            Some(_) | None => false,
        }
    }

    /// A call that is over cannot be hung up.
    pub(super) const fn is_hung_up(&self) -> bool {
        matches!(self.status, Some(400 | 404 | 409 | 410))
    }
}

/// `CA` and 32 hexadecimal digits.
pub(super) fn is_call_sid(text: &str) -> bool {
    text.strip_prefix("CA")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_voice_api_says_is_kept_up_to_a_bound() {
        for (given, kept) in [(REASON_CHARS_MAX, REASON_CHARS_MAX), (REASON_CHARS_MAX + 1, REASON_CHARS_MAX)] {
            let body = format!(r#"{{"code":21211,"message":"{}"}}"#, "é".repeat(given)).into_bytes();
            let outcome = VoiceOutcome::Answered { status: 400, body };
            let refusal = read(VoiceStep::CallWorker, &outcome).err().expect("it is refused");
            assert_eq!(refusal.problem, format!("the voice API answered with status 400 {}", "é".repeat(kept)));
        }
    }
}
