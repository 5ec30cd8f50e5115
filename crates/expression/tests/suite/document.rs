//! The examples of the users' page, `docs/expressions.md`.

use std::path::Path;

use pointsman_expression::{Expression, Scope, Value};

use crate::fixtures::{NOW_MS, Worker, json};

#[test]
fn the_examples_of_the_document_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/expressions.md");
    let document = std::fs::read_to_string(path).unwrap();
    let task = json(block(&document, "json task"));
    let worker = Worker::with(block(&document, "json worker"));
    let examples: Vec<(&str, &str)> = document.lines().filter_map(example).collect();
    assert!(50 < examples.len(), "the page has examples");
    for (text, expected) in examples {
        assert_eq!(outcome(text, &task, &worker), expected, "{text}");
    }
}

#[test]
fn the_fault_shown_in_the_document_is_shown_so() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/expressions.md");
    let document = std::fs::read_to_string(path).unwrap();
    let text = "worker.skill-level > 3";
    assert_eq!(block(&document, "text").trim_end(), Expression::parse(text).unwrap_err().caret(text));
}

/// What a fenced block with this heading holds.
fn block<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("```{heading}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// A row whose first cell is an expression and whose second is an outcome.
fn example(line: &str) -> Option<(&str, &str)> {
    let (text, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let (expected, _) = rest.split_once(" |")?;
    matches!(expected, "true" | "false" | "error").then_some((text, expected))
}

fn outcome(text: &str, task: &Value, worker: &Worker) -> &'static str {
    match Expression::parse(text) {
        Err(_) => "error",
        Ok(expression) if expression.eval(&Scope::target(task, worker, NOW_MS)) => "true",
        Ok(_) => "false",
    }
}
