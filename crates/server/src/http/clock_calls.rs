//! `/pointsman/v1/Clock`: time under control. Reference: extensions, section 2.

use hyper::Method;
use hyper::header::CONTENT_TYPE;
use pointsman_api::errors::{self, ErrorCode};
use pointsman_api::form::{self, Fields};
use pointsman_api::json::Object;
use pointsman_api::{Answer, ApiError, dates};
use pointsman_engine::{DurationMs, Timestamp};

use super::{App, Received};
use crate::clock::Clock;
use crate::clock_control::MoveError;
use crate::configuration::ClockMode;
use crate::limits::ADVANCE_SECONDS_MAX;

/// Every mistake in a call of the clock.
static INVALID: ErrorCode = ErrorCode { name: "INVALID_CLOCK", code: 20001, status: 400, message: "{message}" };

/// Where to move the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Move {
    Advance(DurationMs),
    Until(Timestamp),
}

pub(super) async fn answer(app: &App, received: &Received<'_>) -> Answer {
    if received.method != Method::POST {
        return match app.clock_control.next_deadline().await {
            Ok(next_deadline) => shown(&app.clock, next_deadline),
            Err(error) => refused(error),
        };
    }
    if app.clock.mode() == ClockMode::System {
        return refused(MoveError::SystemMode);
    }
    let asked = match fields(received).and_then(|fields| read(&fields)) {
        Ok(asked) => asked,
        Err(error) => return error.answer(),
    };
    let moved = match asked {
        Move::Advance(duration) => app.clock_control.advance(duration).await,
        Move::Until(instant) => app.clock_control.until(instant).await,
    };
    match moved {
        Ok(next_deadline) => shown(&app.clock, next_deadline),
        Err(error) => refused(error),
    }
}

fn shown(clock: &Clock, next_deadline: Option<Timestamp>) -> Answer {
    let mode = match clock.mode() {
        ClockMode::System => "system",
        ClockMode::Virtual => "virtual",
    };
    let mut body = String::new();
    let mut object = Object::open(&mut body);
    object.text("now", &dates::format_ms(clock.now()));
    object.text("mode", mode);
    object.optional_text("next_deadline", next_deadline.map(dates::format_ms).as_deref());
    object.close();
    Answer::json(200, body)
}

fn refused(error: MoveError) -> Answer {
    let row = match error {
        MoveError::SystemMode => &errors::CONFLICT,
        MoveError::NotQuiet => &errors::GATEWAY_TIMEOUT,
        MoveError::TooFar => return invalid("the clock cannot be moved past the year 2200").answer(),
        MoveError::Past => return invalid("Until must not be before the present instant of the clock").answer(),
        MoveError::Unavailable => return ApiError::unavailable().answer(),
    };
    ApiError::new(row, &[("message", &error)]).answer()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(&INVALID, &[("message", &message)])
}

/// A form or a JSON object.
fn fields(received: &Received<'_>) -> Result<Fields, ApiError> {
    let media_type = received.header(&CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        _ if received.body.is_empty() => Ok(Fields::new()),
        "application/json" => {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(received.body).map_err(|_| invalid("The body must be a JSON object"))?;
            let text = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
        }
        "application/x-www-form-urlencoded" => form::decode_urlencoded(received.body),
        _ => Err(ApiError::new(
            &errors::MEDIA_TYPE,
            &[("expected", &"application/x-www-form-urlencoded or application/json")],
        )),
    }
}

fn read(fields: &Fields) -> Result<Move, ApiError> {
    const EXACTLY_ONE: &str = "Exactly one of Advance and Until is required";
    if let Some((name, _)) = fields.iter().find(|(name, _)| name != "Advance" && name != "Until") {
        return Err(invalid(&format!("Unknown parameter {name}: expected Advance or Until")));
    }
    let [(name, value)] = fields.as_slice() else { return Err(invalid(EXACTLY_ONE)) };
    if name == "Advance" {
        let duration = seconds(value).ok_or_else(|| {
            invalid(&format!(
                "Advance must be a number of seconds from 0 to {ADVANCE_SECONDS_MAX} with at most 3 decimals"
            ))
        })?;
        return Ok(Move::Advance(duration));
    }
    let instant: jiff::Timestamp = value
        .trim()
        .parse()
        .map_err(|_| invalid("Until must be an instant as in RFC 3339, such as 2026-02-03T08:05:00.000Z"))?;
    Ok(Move::Until(Timestamp(instant.as_millisecond())))
}

/// Decimal seconds without a sign or an exponent.
fn seconds(text: &str) -> Option<DurationMs> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || 3 < fraction.len() {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<3}").parse().ok()?;
    let total = whole.checked_mul(1_000)?.checked_add(fraction)?;
    (total <= ADVANCE_SECONDS_MAX * 1_000).then_some(DurationMs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimal_with_up_to_three_places() {
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            ("0.5", Some(500)),
            ("1.25", Some(1_250)),
            ("0.001", Some(1)),
            ("31622400", Some(31_622_400_000)),
            ("31622400.001", None),
            ("31622401", None),
            ("0.0001", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("", None),
            (".5", None),
            ("1.", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), expected.map(DurationMs), "{text:?}");
        }
    }

    #[test]
    fn exactly_one_parameter_is_taken() {
        let fields = |pairs: &[(&str, &str)]| -> Fields {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(read(&fields(&[("Advance", "1")])).unwrap(), Move::Advance(DurationMs(1_000)));
        let until = Move::Until(Timestamp(1_770_105_600_000));
        assert_eq!(read(&fields(&[("Until", "2026-02-03T08:00:00.000Z")])).unwrap(), until);
        assert_eq!(read(&fields(&[("Until", "2026-02-03T09:00:00+01:00")])).unwrap(), until);
        for wrong in [
            &[][..],
            &[("Advance", "1"), ("Until", "2026-02-03T08:00:00Z")],
            &[("Advance", "1"), ("Advance", "1")],
            &[("advance", "1")],
            &[("Until", "tomorrow")],
        ] {
            assert_eq!(read(&fields(wrong)).unwrap_err().status(), 400, "{wrong:?}");
        }
    }
}
