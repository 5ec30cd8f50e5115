//! Attribute values and the expression language. Reference: routing, section 1.
//!
//! An expression is one comparison or several joined by `AND`, `OR`, `NOT`: `task.need IN worker.skills`.
//! It is parsed once ([`Expression::parse`]), then evaluated against a [`Scope`], which says what the names in it mean at that
//! [`Place`]: in a task queue a bare name is a worker's attribute, in a workflow filter a task's.
//!
//! - Values: [`Value`] is what JSON becomes, [`Attributes`] is such a value together with the text it was posted as.
//! - Evaluation never fails and never allocates: whatever is odd is false.
//! - [`Expression::specialize`] replaces everything that a task decides by its outcome; what is left is a predicate on workers.
//! - [`Expression::reads`] tells which changes can alter the outcome, [`Expression::explain`] which comparisons made it.
//! - [`OrderBy`] and [`KnownWorker`] are the two small relatives of the language in a workflow's targets.
//!
//! Deliberately absent: clocks (time is an argument), input and output, and any knowledge of what a worker or a task is beyond
//! [`WorkerView`] and [`WorkersView`].
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod limits;

mod attributes;
mod clock;
mod evaluate;
mod explain;
mod expression;
mod json;
mod known_worker;
mod number;
mod order_by;
mod parse;
mod print;
mod reads;
mod scope;
mod specialize;
mod syntax_error;
mod token;
mod value;

pub use crate::attributes::{Attributes, AttributesError};
pub use crate::explain::{Clause, ClauseOperand, Hint};
pub use crate::expression::Expression;
pub use crate::json::JsonError;
pub use crate::known_worker::KnownWorker;
pub use crate::number::Number;
pub use crate::order_by::{Key, Keys, OrderBy};
pub use crate::reads::Reads;
pub use crate::scope::{AttributesOnly, Builtin, Counter, Place, Scope, WorkerView, WorkersCount, WorkersView};
pub use crate::syntax_error::{Span, SyntaxError};
pub use crate::value::{Object, Value};
