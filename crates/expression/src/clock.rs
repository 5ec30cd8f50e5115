//! The four `taskrouter.*` names: what they are at a time, and their own rules of comparison. Reference: routing, section 1.7.
//!
//! Time is UTC. The names are text to a string and a number to a number, unlike anything else in the language.

use core::cmp::Ordering;

use crate::number::Number;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ClockName {
    /// Hour and minute, `HHMM`.
    CurrentTime,
    /// `HH`
    CurrentHour,
    /// `MM`
    CurrentMin,
    /// `Mon` to `Sun`; compared without regard to case.
    DayOfWeek,
}

/// The value of a clock name at a time: its text, and its number unless it is the day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockValue {
    text: [u8; 4],
    len: u8,
    number: Option<u16>,
}

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
/// From the day of the Unix epoch on.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl ClockName {
    pub(crate) fn at(self, now_ms: i64) -> ClockValue {
        let minutes = now_ms.div_euclid(MINUTE_MS);
        let minute_of_day = minutes.rem_euclid(DAY_MINUTES) as u16;
        let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
        match self {
            ClockName::CurrentTime => ClockValue::number(hour * 100 + minute, 4),
            ClockName::CurrentHour => ClockValue::number(hour, 2),
            ClockName::CurrentMin => ClockValue::number(minute, 2),
            ClockName::DayOfWeek => {
                let day = DAYS[minutes.div_euclid(DAY_MINUTES).rem_euclid(7) as usize].as_bytes();
                ClockValue { text: [day[0], day[1], day[2], 0], len: 3, number: None }
            }
        }
    }
}

impl ClockValue {
    fn number(number: u16, digits: u8) -> ClockValue {
        let mut text = [0; 4];
        let mut rest = number;
        for place in text[..digits as usize].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        ClockValue { text, len: digits, number: Some(number) }
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.text[..self.len as usize]).expect("digits and ASCII letters")
    }

    /// Whether comparisons with it ignore case.
    pub(crate) fn ignores_case(&self) -> bool {
        self.number.is_none()
    }

    /// The order against a number; the day of the week has none.
    pub(crate) fn cmp_number(&self, other: Number) -> Option<Ordering> {
        self.number.map(|number| Number::from(i64::from(number)).cmp(&other))
    }

    /// The order against a text: of numbers if both are digits, otherwise of text.
    pub(crate) fn cmp_text(&self, other: &str) -> Ordering {
        let is_digits = !other.is_empty() && other.bytes().all(|byte| byte.is_ascii_digit());
        match Number::from_token(other).filter(|_| is_digits).and_then(|other| self.cmp_number(other)) {
            Some(ordering) => ordering,
            None if self.ignores_case() => cmp_ignoring_case(self.text(), other),
            None => self.text().cmp(other),
        }
    }
}

fn cmp_ignoring_case(left: &str, right: &str) -> Ordering {
    left.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
}
