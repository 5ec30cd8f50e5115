//! `order_by`. Reference: routing, section 2.7.

use pointsman_expression::{Keys, OrderBy};

use crate::fixtures::Worker;

fn shown(text: &str) -> String {
    OrderBy::parse(text).map_or_else(|error| error.to_string(), |order| order.to_string())
}

#[test]
fn clauses_are_paths_of_the_worker_with_a_direction() {
    for (text, canonical) in [
        ("worker.level", "worker.level ASC"),
        ("worker.level desc,worker . a [ 0 ] Asc", "worker.level DESC, worker.a[0] ASC"),
        ("worker.desc DESC", "worker.desc DESC"),
        ("worker", "worker ASC"),
        ("worker[0] ASC", "worker[0] ASC"),
        ("", "line 1:1 mismatched input '<EOF>' expecting 'worker.'"),
        ("level DESC", "line 1:1 mismatched input 'level' expecting 'worker.'"),
        ("task.level", "line 1:1 mismatched input 'task.level' expecting 'worker.'"),
        ("worker.level,", "line 1:14 mismatched input '<EOF>' expecting 'worker.'"),
        ("worker.level DOWN", "line 1:14 mismatched input 'DOWN' expecting {ASC, DESC, ',', <EOF>}"),
        ("worker.level ASC DESC", "line 1:18 mismatched input 'DESC' expecting {',', <EOF>}"),
        ("worker.level worker.age", "line 1:14 mismatched input 'worker.age' expecting {ASC, DESC, ',', <EOF>}"),
        ("worker.level == 1", "line 1:14 mismatched input '==' expecting {ASC, DESC, ',', <EOF>}"),
        ("worker.level asc.b", "line 1:14 mismatched input 'asc.b' expecting {ASC, DESC, ',', <EOF>}"),
    ] {
        assert_eq!(shown(text), canonical, "{text}");
    }
}

/// The workers in the order asked for, by position; ties stay as they are. `None` if the order is to be ignored.
fn order(order_by: &str, workers: &[&str]) -> Option<Vec<usize>> {
    let order_by = OrderBy::parse(order_by).unwrap();
    let mut keyed: Vec<(Keys, usize)> = workers
        .iter()
        .enumerate()
        .map(|(index, attributes)| (order_by.keys(&Worker::with(attributes)), index))
        .collect();
    if !keyed.iter().all(|(keys, _)| keys.is_usable()) {
        return None;
    }
    keyed.sort();
    Some(keyed.into_iter().map(|(_, index)| index).collect())
}

#[test]
fn workers_are_ordered_by_integers_and_those_without_come_last() {
    let workers = [r#"{"a": 2}"#, "{}", r#"{"a": 10.0}"#, r#"{"a": null}"#, r#"{"a": -1}"#];
    assert_eq!(order("worker.a", &workers), Some(vec![4, 0, 2, 1, 3]));
    assert_eq!(order("worker.a DESC", &workers), Some(vec![2, 0, 4, 1, 3]));
}

#[test]
fn the_next_clause_breaks_ties() {
    let workers = [r#"{"a": 1, "b": 1}"#, r#"{"a": 1, "b": 2}"#, r#"{"a": 2, "b": 3}"#, r#"{"b": 9}"#];
    assert_eq!(order("worker.a, worker.b DESC", &workers), Some(vec![1, 0, 2, 3]));
    assert_eq!(order("worker.a DESC, worker.b", &workers), Some(vec![2, 0, 1, 3]));
}

#[test]
fn one_value_that_is_no_integer_spoils_the_order() {
    for value in ["1.5", "\"1\"", "true", "[]", "{}"] {
        assert_eq!(order("worker.b, worker.a", &[r#"{"a": 1}"#, &format!("{{\"a\": {value}}}")]), None, "{value}");
    }
    assert_eq!(
        order("worker.a", &[r#"{"a": 1e300}"#, r#"{"a": 1e20}"#, r#"{"a": 18446744073709551615}"#]),
        Some(vec![2, 1, 0])
    );
}

#[test]
fn channel_counters_are_keys_and_names_spoil_the_order() {
    let keys = |text: &str| OrderBy::parse(text).unwrap().keys(&Worker::ann());
    assert_eq!(keys("worker.channel.chat.assigned_tasks"), keys("worker.channel.voice.assigned_tasks"));
    assert!(keys("worker.channel.chat.assigned_tasks").is_usable());
    assert!(!keys("worker.friendly_name").is_usable());
    assert!(!keys("worker").is_usable());
    assert_eq!(OrderBy::parse("worker.a, worker.b").unwrap().clauses_count(), 2);
}
