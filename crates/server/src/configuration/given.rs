//! A value as it was given, before it is known what it must be.

use std::fmt;
use std::ops::RangeInclusive;

use toml::de::DeValue;

/// Text from an option or the environment, or a value of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    /// Whole numbers by name.
    Table(Vec<(String, i64)>),
    /// Something that no setting takes, as written.
    Other(String),
}

impl Given {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Given {
        let integer = |value: &DeValue<'_>| match value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let given = match value {
            DeValue::String(text) => Some(Given::Text(text.to_string())),
            DeValue::Boolean(value) => Some(Given::Boolean(*value)),
            DeValue::Integer(_) => integer(value).map(Given::Integer),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map(Given::List)
            }
            DeValue::Table(table) => {
                let rows =
                    table.iter().map(|(name, value)| Some((name.get_ref().to_string(), integer(value.get_ref())?)));
                rows.collect::<Option<_>>().map(Given::Table)
            }
            DeValue::Float(_) | DeValue::Datetime(_) => None,
        };
        given.unwrap_or_else(|| Given::Other(format!("a {}", value.type_str())))
    }

    /// The value that [`crate::configuration::Setting::show`] shows; nothing for null.
    pub fn from_json(value: &serde_json::Value) -> Option<Given> {
        match value {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(value) => Some(Given::Boolean(*value)),
            serde_json::Value::Number(number) => Some(Given::Integer(number.as_i64()?)),
            serde_json::Value::String(text) => Some(Given::Text(text.clone())),
            serde_json::Value::Array(items) => {
                Some(Given::List(items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?))
            }
            serde_json::Value::Object(members) => Some(Given::Table(
                members.iter().map(|(name, value)| Some((name.clone(), value.as_i64()?))).collect::<Option<_>>()?,
            )),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Given::Text(text) => Some(text),
            Given::Integer(_) | Given::Boolean(_) | Given::List(_) | Given::Table(_) | Given::Other(_) => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Given::Boolean(value) => Some(*value),
            Given::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            },
            Given::Integer(_) | Given::List(_) | Given::Table(_) | Given::Other(_) => None,
        }
    }

    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let value = match self {
            Given::Integer(value) => u32::try_from(*value).ok()?,
            Given::Text(text) => text.trim().parse().ok()?,
            Given::Boolean(_) | Given::List(_) | Given::Table(_) | Given::Other(_) => return None,
        };
        range.contains(&value).then_some(value)
    }

    /// Items of a list; of a text, what stands between its commas.
    pub(super) fn list(&self) -> Option<Vec<String>> {
        match self {
            Given::List(items) => Some(items.clone()),
            Given::Text(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(str::to_owned).collect())
            }
            Given::Integer(_) | Given::Boolean(_) | Given::Table(_) | Given::Other(_) => None,
        }
    }

    /// Rows of a table; of a text, `name=number` between its commas.
    pub(super) fn table(&self) -> Option<Vec<(String, i64)>> {
        if let Given::Table(rows) = self {
            return Some(rows.clone());
        }
        let rows = self.list()?.into_iter().map(|row| {
            let (name, number) = row.split_once('=')?;
            Some((name.trim().to_owned(), number.trim().parse().ok()?))
        });
        rows.collect()
    }
}

impl fmt::Display for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Text(text) => write!(formatter, "{text:?}"),
            Given::Integer(value) => write!(formatter, "{value}"),
            Given::Boolean(value) => write!(formatter, "{value}"),
            Given::List(items) => write!(formatter, "{items:?}"),
            Given::Table(rows) => {
                let rows: Vec<String> = rows.iter().map(|(name, value)| format!("{name:?} = {value}")).collect();
                write!(formatter, "{{ {} }}", rows.join(", "))
            }
            Given::Other(text) => formatter.write_str(text),
        }
    }
}
