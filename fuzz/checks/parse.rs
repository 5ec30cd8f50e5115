//! What holds for every text that somebody may send as an expression.
//!
//! The text is `expression`, or `expression`, task and worker with a line `%%` between them; what is not JSON is an empty object.
//! Used by the fuzz target and, over the committed corpus and random texts, by the tests of `pointsman-expression`.

use pointsman_expression::{AttributesOnly, Expression, KnownWorker, OrderBy, Scope, SyntaxError, Value};

/// 2026-02-03 08:05 UTC.
const NOW_MS: i64 = 1_770_105_900_000;

/// Panics if a parser accepts what it cannot print, misplaces a fault, or if the task's part of an expression is decided wrongly.
pub(crate) fn parse(text: &str) {
    let mut parts = text.splitn(3, "\n%%\n");
    let mut part = || parts.next().unwrap_or_default();
    let (source, task, worker) = (part(), json(part()), json(part()));
    json(source);
    match Expression::parse(source) {
        Ok(expression) => check_expression(&expression, &task, &worker),
        Err(error) => check_error(source, &error),
    }
    match OrderBy::parse(source) {
        Ok(order) => {
            assert_eq!(OrderBy::parse(&order.to_string()).as_ref(), Ok(&order));
            assert_eq!(order.keys(&AttributesOnly(&worker)).0.len(), order.clauses_count());
        }
        Err(error) => check_error(source, &error),
    }
    match KnownWorker::parse(source) {
        Ok(known) => {
            assert_eq!(KnownWorker::parse(&known.to_string()).as_ref(), Ok(&known));
            known.resolve(&task);
        }
        Err(error) => check_error(source, &error),
    }
}

fn check_expression(expression: &Expression, task: &Value, worker: &Value) {
    let printed = expression.to_string();
    // What is printed can be longer than what was read, by spaces and escapes.
    match Expression::parse(&printed) {
        Ok(again) => assert_eq!(&again, expression, "{printed}"),
        Err(error) => assert!(error.message.contains("characters, at most"), "{error} in {printed}"),
    }
    let worker = AttributesOnly(worker);
    let whole = expression.eval(&Scope::target(task, &worker, NOW_MS));
    assert!(!expression.explain(&Scope::target(task, &worker, NOW_MS)).is_empty());
    let rest = expression.specialize(task);
    assert_eq!(rest.eval(&Scope::remainder(&worker, NOW_MS)), whole, "{rest} is left of {printed}");
    assert_eq!(rest.specialize(task), rest);
    if let Some(constant) = expression.as_constant() {
        assert_eq!(expression.eval(&Scope::worker(&worker)), constant, "{printed}");
        assert_eq!(expression.eval(&Scope::filter(task, NOW_MS)), constant, "{printed}");
    }
}

/// A fault can be shown, and its place lies in the text.
fn check_error(source: &str, error: &SyntaxError) {
    let covered = error.span.start as usize..error.span.end as usize;
    assert!(source.get(covered).is_some(), "{error:?} of {source:?}");
    assert!(error.caret(source).contains(&error.message));
}

/// The value that a text says, which survives being printed; an empty object if it says none.
fn json(text: &str) -> Value {
    let Ok(value) = Value::parse_json(text) else { return Value::parse_json("{}").expect("valid") };
    assert_eq!(Value::parse_json(&value.to_string()).as_ref(), Ok(&value));
    value
}
