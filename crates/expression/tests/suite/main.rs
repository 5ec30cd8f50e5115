//! Tests of the expression language at its border: text in, outcome out.

mod fixtures;
mod table;
