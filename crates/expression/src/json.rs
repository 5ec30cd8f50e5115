//! JSON text to [`Value`] and back.
//!
//! `serde_json` reads; its own limit of levels is replaced by ours, because the contract names one (rest-contract, section 4.3).
//! Its feature `float_roundtrip` matters: without it a double can differ in the last bit from the same digits in an expression.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;

use crate::limits::JSON_DEPTH_MAX;
use crate::number::Number;
use crate::value::{Object, Value};

/// Why a text is not the JSON that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON at all.
    Syntax {
        /// What is wrong there.
        message: String,
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
        /// Bytes before the place, at most the length of the text.
        offset: usize,
    },
    /// Arrays and objects nested more than [`JSON_DEPTH_MAX`] levels.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax { message, line, column, offset: _ } => {
                write!(formatter, "{message} at line {line} column {column}")
            }
            JsonError::TooDeep => write!(formatter, "nested deeper than {JSON_DEPTH_MAX} levels"),
        }
    }
}

impl core::error::Error for JsonError {}

pub(crate) fn parse(text: &str) -> Result<Value, JsonError> {
    let too_deep = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    let level = Level { depth: 0, too_deep: &too_deep };
    let parsed = level.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| if too_deep.get() { JsonError::TooDeep } else { syntax_error(text, &error) })
}

fn syntax_error(text: &str, error: &serde_json::Error) -> JsonError {
    let (line, column) = (error.line().max(1), error.column().max(1));
    let line_start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let described = error.to_string();
    let message = match described.rsplit_once(" at line ") {
        Some((message, _)) => message.to_string(),
        None => described,
    };
    JsonError::Syntax { message, line, column, offset: (line_start + column - 1).min(text.len()) }
}

/// Reads one value that stands inside `depth` arrays and objects.
#[derive(Clone, Copy)]
struct Level<'a> {
    depth: usize,
    too_deep: &'a Cell<bool>,
}

impl Level<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == JSON_DEPTH_MAX {
            self.too_deep.set(true);
            return Err(E::custom("too deep"));
        }
        Ok(Level { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::Number(integer.into()))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::Number(integer.into()))
    }

    fn visit_f64<E: Error>(self, double: f64) -> Result<Value, E> {
        Number::from_f64(double).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut pairs: Vec<(SmolStr, Value)> = Vec::new();
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            pairs.push((key.into(), members.next_value_seed(inner)?));
        }
        Ok(Value::Object(pairs.into_iter().collect::<Object>()))
    }
}

pub(crate) fn print(value: &Value, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Number(number) => write!(out, "{number}"),
        Value::Text(text) => print_text(text, out),
        Value::Array(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                if 0 < index {
                    out.write_char(',')?;
                }
                print(item, out)?;
            }
            out.write_char(']')
        }
        Value::Object(object) => {
            out.write_char('{')?;
            for (index, (key, member)) in object.iter().enumerate() {
                if 0 < index {
                    out.write_char(',')?;
                }
                print_text(key, out)?;
                out.write_char(':')?;
                print(member, out)?;
            }
            out.write_char('}')
        }
    }
}

fn print_text(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\0'..='\u{1f}' => write!(out, "\\u{:04x}", u32::from(char))?,
            _ => out.write_char(char)?,
        }
    }
    out.write_char('"')
}
