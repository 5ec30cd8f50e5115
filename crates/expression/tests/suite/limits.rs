//! Every limit: at it, and one past it.

use pointsman_expression::limits::{
    ATTRIBUTES_CHARS_MAX, EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX, JSON_DEPTH_MAX, LIST_ITEMS_MAX,
};
use pointsman_expression::{Attributes, AttributesError, Expression, JsonError, KnownWorker, OrderBy, Value};

/// `prefix`, and behind it as many two-byte letters as make `chars` characters.
fn padded(prefix: &str, chars: usize, suffix: &str) -> String {
    let padding = chars - prefix.len() - suffix.len();
    format!("{prefix}{}{suffix}", "é".repeat(padding))
}

#[test]
fn an_expression_has_at_most_16384_characters() {
    assert!(Expression::parse(&padded("a == '", EXPRESSION_CHARS_MAX, "'")).is_ok());
    let text = padded("a == '", EXPRESSION_CHARS_MAX + 1, "'");
    let error = Expression::parse(&text).unwrap_err();
    assert_eq!(error.message, "16385 characters, at most 16384 are allowed");
    assert_eq!(error.span.text(&text), "'");
}

#[test]
fn an_order_and_a_known_worker_have_at_most_16384_characters() {
    assert!(OrderBy::parse(&padded("worker.", EXPRESSION_CHARS_MAX, "")).is_ok());
    assert!(OrderBy::parse(&padded("worker.", EXPRESSION_CHARS_MAX + 1, "")).is_err());
    assert!(KnownWorker::parse(&padded("task.", EXPRESSION_CHARS_MAX, "")).is_ok());
    assert!(KnownWorker::parse(&padded("task.", EXPRESSION_CHARS_MAX + 1, "")).is_err());
}

#[test]
fn parentheses_nest_at_most_200_deep() {
    let nested = |depth: usize| format!("{}1 == 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(EXPRESSION_DEPTH_MAX)).is_ok());
    let error = Expression::parse(&nested(EXPRESSION_DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error.to_string(), "line 1:201 nested deeper than 200 parentheses");
}

#[test]
fn parentheses_that_are_closed_do_not_count_as_nested() {
    let groups = ["(1 == 1)"; EXPRESSION_DEPTH_MAX + 1];
    assert!(Expression::parse(&groups.join(" AND ")).is_ok());
}

#[test]
fn a_text_at_the_limits_is_printed_evaluated_and_specialized() {
    let deepest = (0..EXPRESSION_DEPTH_MAX).fold("task.a == 1".to_owned(), |inner, level| {
        format!("({inner} {} a == {level})", if level % 2 == 0 { "OR" } else { "AND NOT" })
    });
    let expression = Expression::parse(&deepest).unwrap();
    assert_eq!(Expression::parse(&expression.to_string()), Ok(expression.clone()));
    assert_eq!(expression.specialize(&Value::Null).as_constant(), Some(false));
    let negations = format!("{}1 == 1", "NOT ".repeat(4_000));
    assert_eq!(Expression::parse(&negations).unwrap().as_constant(), Some(true));
}

#[test]
fn a_list_has_at_most_1000_items() {
    let list = |items: usize| format!("a IN [{}]", vec!["1"; items].join(","));
    assert!(Expression::parse(&list(LIST_ITEMS_MAX)).is_ok());
    let error = Expression::parse(&list(LIST_ITEMS_MAX + 1)).unwrap_err();
    assert_eq!(error.message, "more than 1000 items in a list");
}

#[test]
fn attributes_have_at_most_4096_characters() {
    assert!(Attributes::parse(&padded("{\"a\":\"", ATTRIBUTES_CHARS_MAX, "\"}")).is_ok());
    let error = Attributes::parse(&padded("{\"a\":\"", ATTRIBUTES_CHARS_MAX + 1, "\"}")).unwrap_err();
    assert_eq!(error, AttributesError::TooLong { chars: ATTRIBUTES_CHARS_MAX + 1 });
    let spaces = format!("{{}}{}", " ".repeat(ATTRIBUTES_CHARS_MAX - 2));
    assert!(Attributes::parse(&spaces).is_ok());
    assert!(Attributes::parse(&format!("{spaces} ")).is_err());
}

#[test]
fn json_nests_at_most_200_levels_the_outermost_being_the_first() {
    let arrays = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Value::parse_json(&arrays(JSON_DEPTH_MAX)).is_ok());
    assert_eq!(Value::parse_json(&arrays(JSON_DEPTH_MAX + 1)), Err(JsonError::TooDeep));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(Attributes::parse(&objects(JSON_DEPTH_MAX)).is_ok());
    assert_eq!(Attributes::parse(&objects(JSON_DEPTH_MAX + 1)).unwrap_err(), AttributesError::TooDeep);
}

#[test]
fn endless_brackets_are_refused_at_the_limit() {
    assert_eq!(Value::parse_json(&"[".repeat(1_000_000)), Err(JsonError::TooDeep));
}
