//! Tests of the expression language at its border: text in, outcome out.

#[path = "../../../../fuzz/checks/parse.rs"]
mod check;
mod corpus;
mod document;
mod explanation;
mod fixtures;
mod generators;
mod known_worker;
mod limits;
mod order_by;
mod properties;
mod reads;
mod specialization;
mod syntax;
mod table;
mod time;
mod values;
