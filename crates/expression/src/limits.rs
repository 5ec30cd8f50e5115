//! Every limit of this crate. Each is tested at the limit and one past it.

/// Characters (code points) of one expression, order or known-worker reference. Reference: routing, section 1.8 (decide).
pub const EXPRESSION_CHARS_MAX: usize = 16_384;

/// Parentheses open at one time in an expression. Reference: routing, section 1.8 (decide).
pub const EXPRESSION_DEPTH_MAX: usize = 200;

/// Items of one list literal. Reference: routing, section 1.8 (decide).
pub const LIST_ITEMS_MAX: usize = 1_000;

/// Characters (code points) of an attributes document, white space included. Reference: rest-contract, section 4.3 (doc).
pub const ATTRIBUTES_CHARS_MAX: usize = 4_096;

/// Levels of arrays and objects in a JSON text; the outermost is level 1. Reference: rest-contract, section 4.3 (decide).
pub const JSON_DEPTH_MAX: usize = 200;
