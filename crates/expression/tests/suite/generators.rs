//! Random values and expressions. Names and literals come from small pools, so that they meet.

use pointsman_expression::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use crate::fixtures::json;

/// The same cases in every run.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260_203),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const SCALARS: [&str; 16] = [
    "null", "true", "false", "0", "1", "2", "-1", "1.5", "8", "10.0", r#""""#, r#""a""#, r#""A""#, r#""08""#,
    r#""tue""#, r#""1.5""#,
];

const KEYS: [&str; 6] = ["a", "b", "sid", "channel", "task", "worker"];

/// JSON of a few levels.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    json_text().prop_map(|text| json(&text))
}

/// A JSON object, as attributes are.
pub(crate) fn attributes() -> impl Strategy<Value = Value> {
    object_text(json_text().boxed()).prop_map(|text| json(&text))
}

fn json_text() -> impl Strategy<Value = String> {
    select(&SCALARS[..]).prop_map(str::to_owned).prop_recursive(3, 12, 4, |inner| {
        let inner = inner.boxed();
        let array = vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        prop_oneof![array, object_text(inner)]
    })
}

fn object_text(member: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    vec((select(&KEYS[..]), member), 0..5).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", members.join(", "))
    })
}

const REFERENCES: [&str; 28] = [
    "a",
    "b",
    "sid",
    "a.b",
    "a[0]",
    "b [ 1 ] . a",
    "task",
    "worker",
    "task.a",
    "task.b",
    "task . a[1]",
    "task.a.b",
    "worker.a",
    "worker.b",
    "worker.a[0]",
    "worker.a.b",
    "worker.sid",
    "worker.activity_name",
    "worker.channel.chat.assigned_tasks",
    "worker.channel.a.assigned_tasks",
    "workers.available",
    "workers.WA01",
    "workers.a",
    "taskrouter.currentTime",
    "taskrouter.currentHour",
    "taskrouter.currentMin",
    "taskrouter.dayOfWeek",
    "taskrouter.a",
];

const LITERALS: [&str; 20] = [
    "null",
    "TRUE",
    "false",
    "0",
    "1",
    "2.0",
    "-1",
    "1.5",
    "0008",
    "99999999999999999999.25",
    "''",
    "\"\"",
    "'a'",
    "\"A\"",
    "'08'",
    "'it\\'s'",
    "'TUE'",
    "'\\u00e9\\n\\\\'",
    "\"1.5\"",
    "'805'",
];

const OPERATORS: [&str; 16] = [
    "==",
    "=",
    "!=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "IN",
    "in",
    "NOT IN",
    "HAS",
    "not has",
    "CONTAINS",
    "NOT contains",
    "has",
];

fn item() -> impl Strategy<Value = String> {
    prop_oneof![select(&REFERENCES[..]), select(&LITERALS[..])].prop_map(str::to_owned)
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![4 => item(), 1 => vec(item(), 0..4).prop_map(|items| format!("[{}]", items.join(",")))]
}

/// The text of a valid expression.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    let comparison = (operand(), select(&OPERATORS[..]), operand());
    comparison.prop_map(|(left, operator, right)| format!("{left} {operator} {right}")).prop_recursive(
        4,
        16,
        3,
        |inner| {
            let joined = |word: &'static str| {
                move |members: Vec<String>| {
                    members.iter().map(|member| format!("({member})")).collect::<Vec<_>>().join(word)
                }
            };
            prop_oneof![
                vec(inner.clone(), 1..4).prop_map(joined(" AND ")),
                vec(inner.clone(), 1..4).prop_map(joined("\nor ")),
                vec(inner.clone(), 1..4).prop_map(|members| members.join(" AND ")),
                vec(inner.clone(), 1..4).prop_map(|members| members.join(" OR ")),
                inner.prop_map(|member| format!("NOT ({member})")),
            ]
        },
    )
}

/// Pieces of expressions in any order: mostly no expression.
pub(crate) fn token_soup() -> impl Strategy<Value = String> {
    const MARKS: [&str; 18] =
        ["(", ")", "[", "]", ",", ".", "-", "'", "\"", "\\", "\\u", "\\ud83d", " ", "NOT", "AND", "é", "{{", "ASC"];
    let piece =
        prop_oneof![select(&REFERENCES[..]), select(&LITERALS[..]), select(&OPERATORS[..]), select(&MARKS[..]),];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
