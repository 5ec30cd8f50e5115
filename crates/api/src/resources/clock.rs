//! `/pointsman/v1/Clock`: time under control. Reference: extensions, section 2.

use std::sync::Arc;

use pointsman_engine::{Account, DurationMs, Sid, Timestamp};

use crate::account::AccountCall;
use crate::dates;
use crate::errors::{self, ApiError};
use crate::http::Answer;
use crate::limits::ADVANCE_SECONDS_MAX;
use crate::parameters::{Param, text};
use crate::request::Call;
use crate::table::{Context, Method, Mount, NamedBy, Resource, Scalar, Shape, account, field};

const ADVANCE: Param<Arc<str>> =
    text("Advance", "Seconds to move on, with up to 3 decimals; 0 only waits until nothing is left to do.");
const UNTIL: Param<Arc<str>> = text("Until", "The instant to move to, as in RFC 3339.");

/// What the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    pub now: Timestamp,
    pub is_virtual: bool,
    pub next_deadline: Option<Timestamp>,
}

/// Where to move the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMove {
    Advance(DurationMs),
    Until(Timestamp),
}

pub static CLOCK: Resource<ClockReading> = Resource {
    name: "Clock",
    schema: "pointsman.v1.clock",
    doc: "The clock of the server. An extension: see docs/behaviour/extensions.md, section 2.",
    fields: &[
        field("now", Shape::Date, "The present instant, with milliseconds.", |clock, _| instant(clock.now)),
        field(
            "mode",
            Shape::Words(&["system", "virtual"]),
            "Whether time stands still until it is moved.",
            |clock, _| {
                if clock.is_virtual { "virtual".into() } else { "system".into() }
            },
        ),
        field("next_deadline", Shape::Date, "When the next timer of any Workspace is due.", |clock, _| {
            clock.next_deadline.map_or(Scalar::Null, instant)
        }),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[Mount {
        path: "/pointsman/v1/Clock",
        list_key: "",
        find: |_, _| None,
        operations: &[
            account("FetchClock", "Shows the clock.", Method::Get, &[], AccountCall::FetchClock),
            account(
                "MoveClock",
                "Moves time through every timer in order; answers when nothing is left to do. Exactly one parameter.",
                Method::Post,
                &[ADVANCE.spec, UNTIL.spec],
                AccountCall::MoveClock,
            ),
        ],
    }],
};

fn instant(at: Timestamp) -> Scalar<'static> {
    Scalar::Json(format!("\"{}\"", dates::format_ms(at)))
}

/// The answer of both calls.
pub fn render_clock(clock: &ClockReading) -> Answer {
    let mut out = String::new();
    CLOCK.render(&mut out, clock, &Context::without_workspace(Sid::<Account>::from_bytes([0; 16])));
    Answer::json(200, out)
}

/// What a `MoveClock` call asks for.
pub fn clock_move(call: &Call) -> Result<ClockMove, ApiError> {
    call.check_parameters()?;
    let refused = |problem: &str| ApiError::new(&errors::CLOCK_MOVE, &[("problem", &problem)]);
    match (call.get(&ADVANCE), call.get(&UNTIL)) {
        (Some(text), None) => seconds(&text).map(ClockMove::Advance).ok_or_else(|| {
            refused(&format!(
                "Advance must be a number of seconds from 0 to {ADVANCE_SECONDS_MAX} with at most 3 decimals"
            ))
        }),
        (None, Some(text)) => match text.trim().parse::<jiff::Timestamp>() {
            Ok(instant) => Ok(ClockMove::Until(Timestamp(instant.as_millisecond()))),
            Err(_) => Err(refused("Until must be an instant as in RFC 3339, such as 2026-02-03T08:05:00.000Z")),
        },
        (None, None) | (Some(_), Some(_)) => Err(refused("Exactly one of Advance and Until is required")),
    }
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
    use crate::http::HttpRequest;
    use crate::request::parse;

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

    fn asked(content_type: &str, body: &str) -> Result<ClockMove, (u16, String)> {
        let request = HttpRequest {
            method: "POST",
            path: "/pointsman/v1/Clock",
            content_type: Some(content_type),
            body: body.as_bytes(),
            ..HttpRequest::default()
        };
        parse(&request).and_then(|call| clock_move(&call)).map_err(|error| (error.status(), error.message))
    }

    #[test]
    fn exactly_one_parameter_is_taken_from_a_form_or_from_json() {
        const FORM: &str = "application/x-www-form-urlencoded";
        const JSON: &str = "application/json";
        assert_eq!(asked(FORM, "Advance=1"), Ok(ClockMove::Advance(DurationMs(1_000))));
        assert_eq!(asked(JSON, r#"{"Advance": 1.5}"#), Ok(ClockMove::Advance(DurationMs(1_500))));
        let until = Ok(ClockMove::Until(Timestamp(1_770_105_600_000)));
        assert_eq!(asked(FORM, "Until=2026-02-03T08:00:00.000Z"), until);
        assert_eq!(asked(JSON, r#"{"Until": "2026-02-03T09:00:00+01:00", "Advance": null}"#), until);
        for (content_type, wrong) in [
            (FORM, ""),
            (FORM, "Advance=1&Until=2026-02-03T08:00:00Z"),
            (FORM, "advance=1"),
            (FORM, "Until=tomorrow"),
            (JSON, "[1]"),
            (JSON, "{"),
        ] {
            assert_eq!(asked(content_type, wrong).unwrap_err().0, 400, "{wrong:?}");
        }
        assert_eq!(asked("text/plain", "Advance=1").unwrap_err().0, 415);
    }
}
