//! Why bytes are not a record.

use std::fmt;

use pointsman_engine::configuration::ConfigurationError;
use pointsman_expression::{AttributesError, SyntaxError};

/// Bytes that are not a record of a format known to this program.
#[derive(Clone, Debug, PartialEq)]
pub enum DecodeError {
    /// Written by a newer program.
    Version {
        found: u8,
        known: u8,
    },
    /// No bytes at all.
    Empty,
    /// Not a message of the format.
    Message(prost::DecodeError),
    /// A part without which the record says nothing.
    Missing {
        part: &'static str,
    },
    /// A number that stands for nothing.
    Unknown {
        part: &'static str,
        number: u64,
    },
    /// A place in the record's table of texts or SIDs that the table does not have.
    OutsideTable {
        part: &'static str,
        place: u32,
    },
    Attributes {
        part: &'static str,
        source: AttributesError,
    },
    /// `TargetWorkers` of a TaskQueue.
    Expression(SyntaxError),
    Configuration(Box<ConfigurationError>),
    /// Rows of a table do not stand in the order of their creation.
    RowOrder {
        part: &'static str,
        number: u64,
    },
    /// Chunks of a snapshot are missing or not in order.
    ChunkOrder {
        found: u64,
        expected: u64,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Version { found, known } => {
                write!(formatter, "written in format {found}; this program reads up to {known}")
            }
            DecodeError::Empty => formatter.write_str("empty record"),
            DecodeError::Message(_) => formatter.write_str("malformed message"),
            DecodeError::Missing { part } => write!(formatter, "{part} is missing"),
            DecodeError::Unknown { part, number } => write!(formatter, "{part} has the unknown number {number}"),
            DecodeError::OutsideTable { part, place } => {
                write!(formatter, "{part} refers to entry {place}, which its table does not have")
            }
            DecodeError::Attributes { part, source: _ } => write!(formatter, "{part} is not an attributes document"),
            DecodeError::Expression(_) => formatter.write_str("the expression of a task queue does not parse"),
            DecodeError::Configuration(error) => {
                write!(formatter, "the configuration of a workflow is not valid at \"{}\"", error.path)
            }
            DecodeError::RowOrder { part, number } => {
                write!(formatter, "{part} with number {number} is not in the order of creation")
            }
            DecodeError::ChunkOrder { found, expected } => {
                write!(formatter, "chunk {found} of a snapshot stands in the place of chunk {expected}")
            }
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::Message(source) => Some(source),
            DecodeError::Attributes { part: _, source } => Some(source),
            DecodeError::Expression(source) => Some(source),
            DecodeError::Version { .. }
            | DecodeError::Empty
            | DecodeError::Missing { .. }
            | DecodeError::Unknown { .. }
            | DecodeError::OutsideTable { .. }
            | DecodeError::Configuration(_)
            | DecodeError::RowOrder { .. }
            | DecodeError::ChunkOrder { .. } => None,
        }
    }
}
