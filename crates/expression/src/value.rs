//! JSON as a value: ordered, comparable, cheap to clone.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use crate::json::{self, JsonError};
use crate::number::Number;

/// A JSON value.
///
/// Equality is JSON equality: numbers by value, objects without regard to the order of keys, arrays with it.
/// Cloning copies a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// JSON `null`, and everything that is missing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string; a short one, as most keys and values of attributes are, stands here and not behind a pointer.
    Text(SmolStr),
    /// An array.
    Array(Arc<[Value]>),
    /// An object.
    Object(Object),
}

/// What a missing value borrows.
pub(crate) static NULL: Value = Value::Null;

impl Value {
    /// Reads a JSON text.
    ///
    /// - Duplicate keys: the last wins. Levels: at most [`limits::JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
    pub fn parse_json(text: &str) -> Result<Value, JsonError> {
        json::parse(text)
    }

    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value under `key`; `Null` if there is none or this is not an object.
    pub fn member(&self, key: &str) -> &Value {
        self.as_object().and_then(|object| object.get(key)).unwrap_or(&NULL)
    }

    /// The item at `index`; `Null` if there is none or this is not an array.
    pub fn item(&self, index: u32) -> &Value {
        self.as_array().and_then(|items| items.get(index as usize)).unwrap_or(&NULL)
    }

    /// Whether it is neither an array nor an object.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Value::Array(_) | Value::Object(_))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Value {
        Value::Number(integer.into())
    }
}

/// Compact JSON, keys in order.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::print(self, formatter)
    }
}

/// The members of a JSON object, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object(Arc<[(SmolStr, Value)]>);

/// Up to so many members are looked at one by one: keys mostly differ in length, which is cheaper to see than their order.
const SCANNED_MAX: usize = 16;

impl Object {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        if self.0.len() <= SCANNED_MAX {
            return self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value);
        }
        let index = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        Some(&self.0[index].1)
    }

    /// The members, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of members with the same key the last wins.
impl FromIterator<(SmolStr, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (SmolStr, Value)>>(members: I) -> Object {
        let mut members: Vec<(SmolStr, Value)> = members.into_iter().collect();
        members.sort_by(|left, right| left.0.cmp(&right.0)); // stable: of equal keys the last given stays last
        members.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                core::mem::swap(later, earlier);
            }
            same
        });
        Object(members.into())
    }
}
