//! Any text, as an expression, an order, a known-worker reference and JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/parse.rs"]
mod check;

fuzz_target!(|text: &str| check::parse(text));
