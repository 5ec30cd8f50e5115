//! Numbers of attributes and expressions: compared by value, integers exactly.
//!
//! A number has one representation: what is a whole number and fits 64 bits is an integer, so `1`, `1.0` and `1e0` are the same
//! `Number`, equal, hashed and printed alike.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A finite number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    form: Form,
    /// It was written with a fraction or an exponent. No part of its value.
    fractional_text: bool,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Integer(i64),
    /// Above `i64::MAX`.
    Large(u64),
    /// Finite, and either with a fraction or outside of what the other two can hold.
    Float(f64),
}

impl Number {
    /// Takes a double: `None` for infinities and NaN.
    pub fn from_f64(number: f64) -> Option<Number> {
        if !number.is_finite() {
            return None;
        }
        let whole = number as i128; // saturates, so far larger doubles fail the conversions below
        let rounded = whole as f64;
        if rounded < number || number < rounded {
            return Some(Number { form: Form::Float(number), fractional_text: true });
        }
        let form = match (i64::try_from(whole), u64::try_from(whole)) {
            (Ok(integer), _) => Form::Integer(integer),
            (_, Ok(large)) => Form::Large(large),
            _ => Form::Float(number),
        };
        Some(Number { form, fractional_text: true })
    }

    /// Reads a text that has the form of a number token as a whole: `-`? digits (`.` digits)?.
    ///
    /// Beyond the range of a double the result is the largest double of that sign. Reference: routing, sections 1.2 and 1.5.
    pub fn from_token(text: &str) -> Option<Number> {
        if !is_number_token(text) {
            return None;
        }
        if let Ok(integer) = text.parse::<i64>() {
            return Some(integer.into());
        }
        if let Ok(large) = text.parse::<u64>() {
            return Some(large.into());
        }
        let double: f64 = text.parse().expect("digits with at most one point are a double");
        Number::from_f64(double.clamp(f64::MIN, f64::MAX))
    }

    /// Whether it has no fraction; `10.0` has none.
    pub fn is_integer(self) -> bool {
        match self.form {
            Form::Integer(_) | Form::Large(_) => true,
            Form::Float(double) => double.abs() >= 9_007_199_254_740_992.0, // 2^53: no fractions from here on
        }
    }

    /// The integer, if it was written as one (`10`, not `10.0` or `1e1`) and fits.
    pub fn written_integer(self) -> Option<i64> {
        self.as_i64().filter(|_| !self.fractional_text)
    }

    /// The integer, if it is one and fits.
    pub fn as_i64(self) -> Option<i64> {
        match self.form {
            Form::Integer(integer) => Some(integer),
            Form::Large(_) | Form::Float(_) => None,
        }
    }

    /// The nearest double.
    pub fn as_f64(self) -> f64 {
        match self.form {
            Form::Integer(integer) => integer as f64,
            Form::Large(large) => large as f64,
            Form::Float(double) => double,
        }
    }
}

/// Whether the whole text is `-`? digits (`.` digits)?.
fn is_number_token(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(unsigned),
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Number {
        Number { form: Form::Integer(integer), fractional_text: false }
    }
}

impl From<u64> for Number {
    fn from(integer: u64) -> Number {
        let form = i64::try_from(integer).map_or(Form::Large(integer), Form::Integer);
        Number { form, fractional_text: false }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match (self.form, other.form) {
            (Form::Integer(left), Form::Integer(right)) => left.cmp(&right),
            (Form::Large(left), Form::Large(right)) => left.cmp(&right),
            (Form::Float(left), Form::Float(right)) => left.total_cmp(&right),
            (Form::Integer(_), Form::Large(_)) => Ordering::Less,
            (Form::Large(_), Form::Integer(_)) => Ordering::Greater,
            (Form::Integer(left), Form::Float(right)) => compare_whole(left.into(), right),
            (Form::Large(left), Form::Float(right)) => compare_whole(left.into(), right),
            (Form::Float(left), Form::Integer(right)) => compare_whole(right.into(), left).reverse(),
            (Form::Float(left), Form::Large(right)) => compare_whole(right.into(), left).reverse(),
        }
    }
}

/// Orders a 64-bit integer and a double that is never equal to one, without rounding either.
fn compare_whole(whole: i128, double: f64) -> Ordering {
    let sign_decides = if double < 0.0 { Ordering::Greater } else { Ordering::Less };
    whole.cmp(&(double as i128)).then(sign_decides)
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.form {
            Form::Integer(integer) => integer.hash(state),
            Form::Large(large) => large.hash(state),
            Form::Float(double) => double.to_bits().hash(state),
        }
    }
}

/// Shortest decimal form that reads back as the same number, without an exponent.
impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Integer(integer) => integer.fmt(formatter),
            Form::Large(large) => large.fmt(formatter),
            Form::Float(double) => double.fmt(formatter),
        }
    }
}
