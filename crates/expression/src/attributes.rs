//! Attributes of workers and tasks: the text as it was posted, and what it says. Reference: rest-contract, section 4.3.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::json::JsonError;
use crate::limits::{ATTRIBUTES_CHARS_MAX, JSON_DEPTH_MAX};
use crate::value::{Object, Value};

/// A JSON object and its text, which is returned byte for byte. Cloning copies two pointers.
#[derive(Clone, Debug)]
pub struct Attributes {
    text: Arc<str>,
    value: Value,
}

/// Why a text is not an attributes document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributesError {
    /// More than [`ATTRIBUTES_CHARS_MAX`] characters.
    TooLong {
        /// Characters given.
        chars: usize,
    },
    /// Not JSON.
    Syntax {
        /// What is wrong there.
        message: String,
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
        /// Bytes before the place.
        offset: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// Nested more than [`JSON_DEPTH_MAX`] levels.
    TooDeep,
}

/// The same document to the byte; whether two say the same is [`Attributes::same_json`].
impl PartialEq for Attributes {
    fn eq(&self, other: &Attributes) -> bool {
        self.text == other.text
    }
}

impl Eq for Attributes {}

impl Attributes {
    /// Reads an attributes document.
    ///
    /// - Errors, in this order: too long; not JSON or too deep, whichever comes first in the text; not an object.
    pub fn parse(text: &str) -> Result<Attributes, AttributesError> {
        let chars = text.chars().count();
        if ATTRIBUTES_CHARS_MAX < chars {
            return Err(AttributesError::TooLong { chars });
        }
        let value = Value::parse_json(text).map_err(|error| match error {
            JsonError::Syntax { message, line, column, offset } => {
                AttributesError::Syntax { message, line, column, offset }
            }
            JsonError::TooDeep => AttributesError::TooDeep,
        })?;
        if value.as_object().is_none() {
            return Err(AttributesError::NotAnObject);
        }
        Ok(Attributes { text: text.into(), value })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as it was given, to be shared.
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// What it says; always an object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether both say the same: numbers by value, objects without regard to the order of keys, white space ignored.
    pub fn same_json(&self, other: &Attributes) -> bool {
        self.value == other.value
    }
}

/// `{}`.
impl Default for Attributes {
    fn default() -> Attributes {
        Attributes { text: "{}".into(), value: Value::Object(Object::from_iter([])) }
    }
}

impl fmt::Display for AttributesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributesError::TooLong { chars } => {
                write!(formatter, "{chars} characters, at most {ATTRIBUTES_CHARS_MAX} are allowed")
            }
            AttributesError::Syntax { message, line, column, offset: _ } => {
                write!(formatter, "not JSON: {message} at line {line} column {column}")
            }
            AttributesError::NotAnObject => formatter.write_str("not a JSON object"),
            AttributesError::TooDeep => write!(formatter, "nested deeper than {JSON_DEPTH_MAX} levels"),
        }
    }
}

impl core::error::Error for AttributesError {}
