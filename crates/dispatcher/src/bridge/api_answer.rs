//! What the voice API answers a request.

use std::sync::Arc;

use pointsman_expression::Value;
use pointsman_record::delivery::VoiceStep;

use crate::batch::VoiceOutcome;
use crate::limits::REASON_CHARS_MAX;

/// The voice API's own number for a call that is over.
const CALL_NOT_LIVE: u32 = 21_220;

/// What the voice API said: identifiers and codes.
pub(super) struct ApiAnswer {
    pub(super) status: Option<u16>,
    document: Value,
    pub(super) problem: String,
}

impl ApiAnswer {
    pub(super) fn of(outcome: &VoiceOutcome) -> Self {
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

    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The call is not live any more.
    pub(super) fn is_gone(&self) -> bool {
        match self.status {
            Some(404 | 410) => true,
            Some(400 | 409) => self.code() == Some(CALL_NOT_LIVE),
            Some(_) | None => false,
        }
    }

    pub(super) fn text(&self, member: &str) -> Option<Arc<str>> {
        self.document.member(member).as_text().filter(|text| !text.is_empty()).map(Arc::from)
    }

    /// The call that it tells of: `CA` and 32 hexadecimal digits.
    pub(super) fn call(&self) -> Option<Arc<str>> {
        self.text("call_sid").or_else(|| self.text("sid")).filter(|call| is_call_sid(call))
    }

    /// A success that names no call cannot be followed: nobody would hear of its end.
    pub(super) fn without_call(self) -> Self {
        let status = self.status.unwrap_or_default();
        Self { problem: format!("the voice API answered with status {status}, but named no call"), ..self }
    }

    /// The provider's own error number.
    pub(super) fn code(&self) -> Option<u32> {
        self.document.member("code").as_number().and_then(|number| number.to_string().parse().ok())
    }
}

/// The call that a step has placed.
pub(super) fn placed_call(step: VoiceStep, answer: &ApiAnswer) -> Option<Arc<str>> {
    let places = matches!(step, VoiceStep::CallWorker | VoiceStep::CallCustomer);
    answer.call().filter(|_| places && answer.is_success())
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
            let answer = ApiAnswer::of(&VoiceOutcome::Answered { status: 400, body });
            assert_eq!(answer.problem, format!("the voice API answered with status 400 {}", "é".repeat(kept)));
        }
    }
}
