//! Why an expression is false, or true. Reference: extensions, section 3.4.

use pointsman_expression::{Expression, Hint, Scope};

use crate::fixtures::{NOW_MS, Worker, task};

/// The deciding clauses of a target expression, one per line: span, text, outcome, operands, hint.
fn explained(text: &str) -> Vec<String> {
    let (task, worker) = (task(), Worker::ann());
    let expression = Expression::parse(text).unwrap();
    let clauses = expression.explain(&Scope::target(&task, &worker, NOW_MS));
    let shown = clauses.iter().map(|clause| {
        let operands = clause.operands.each_ref().map(|operand| {
            let value = if operand.missing { "missing".to_owned() } else { operand.value.to_string() };
            format!("{} is {value}", operand.text)
        });
        let hint = clause.hint.map_or_else(String::new, |hint| format!("; {hint:?}"));
        format!("[{}] {} {}: {}{hint}", clause.span.text(text), clause.text, clause.result, operands.join(", "))
    });
    shown.collect()
}

#[test]
fn a_clause_shows_what_was_read() {
    assert_eq!(
        explained("task.need in worker.skillz"),
        [
            "[task.need in worker.skillz] task.need IN worker.skillz false: task.need is \"billing\", worker.skillz is missing; Missing(1)"
        ]
    );
    assert_eq!(
        explained("worker.sid IN ['b', 'a'] OR [task.lvl, 'x'] HAS taskrouter.currentHour"),
        [
            "[worker.sid IN ['b', 'a']] worker.sid IN ['a', 'b'] false: worker.sid is \"WK01\", ['a', 'b'] is [\"a\",\"b\"]",
            "[[task.lvl, 'x'] HAS taskrouter.currentHour] [task.lvl, 'x'] HAS taskrouter.currentHour false: [task.lvl, 'x'] is [3,\"x\"], taskrouter.currentHour is \"08\"",
        ]
    );
    assert_eq!(explained("task.none == 1"), ["[task.none == 1] task.none == 1 false: task.none is null, 1 is 1"]);
    assert_eq!(
        explained("worker.channel.chat.assigned_tasks > 1"),
        [
            "[worker.channel.chat.assigned_tasks > 1] worker.channel.chat.assigned_tasks > 1 false: worker.channel.chat.assigned_tasks is 1, 1 is 1"
        ]
    );
}

/// The texts of the deciding clauses.
fn deciding(text: &str) -> Vec<String> {
    let (task, worker) = (task(), Worker::ann());
    let clauses = Expression::parse(text).unwrap().explain(&Scope::target(&task, &worker, NOW_MS));
    clauses.into_iter().map(|clause| clause.text).collect()
}

#[test]
fn only_the_clauses_that_decide_are_shown() {
    assert_eq!(deciding("1 == 1 AND 1 == 2 AND 1 == 3"), ["1 == 2", "1 == 3"]);
    assert_eq!(deciding("1 == 2 OR 1 == 3"), ["1 == 2", "1 == 3"]);
    assert_eq!(deciding("1 == 1 OR 1 == 2"), ["1 == 1"]);
    assert_eq!(deciding("1 == 1 AND 2 == 2"), ["1 == 1", "2 == 2"]);
    assert_eq!(deciding("NOT (1 == 2 OR 1 == 1)"), ["1 == 1"]);
    assert_eq!(deciding("1 == 1 AND (1 == 2 OR 2 == 2 AND 1 == 3)"), ["1 == 2", "1 == 3"]);
}

#[test]
fn comparisons_of_things_that_do_not_go_together_are_hinted_at() {
    let hint = |text: &str| {
        let (task, worker) = (task(), Worker::ann());
        Expression::parse(text).unwrap().explain(&Scope::target(&task, &worker, NOW_MS))[0].hint
    };
    for (text, expected) in [
        ("task.lang HAS 'en'", Some(Hint::NotAnArray)),
        ("task.lang IN 'english'", Some(Hint::NotAnArray)),
        ("task.lang NOT IN 'english'", Some(Hint::NotAnArray)),
        ("task.langs CONTAINS 'en'", Some(Hint::Compound)),
        ("task.langs != 'en'", Some(Hint::Compound)),
        ("task.langs IN task.langs", Some(Hint::Compound)),
        ("task.langs HAS task.langs", Some(Hint::Compound)),
        ("task.lvl == '3'", Some(Hint::KindsDiffer)),
        ("task.vip == 'true'", Some(Hint::KindsDiffer)),
        ("task.type > 5", Some(Hint::KindsDiffer)),
        ("task.vip > 5", Some(Hint::KindsDiffer)),
        ("task.type CONTAINS true", Some(Hint::KindsDiffer)),
        ("taskrouter.dayOfWeek == 2", Some(Hint::KindsDiffer)),
        ("bare == 7", Some(Hint::Missing(0))),
        ("7 == worker.absent", Some(Hint::Missing(1))),
        ("task.rows[2].k == 'v1'", Some(Hint::Missing(0))),
        ("taskrouter.currentHour == 9", None),
        ("taskrouter.currentHour == '9'", None),
        ("task.zip < 2000", None),
        ("task.none == 1", None),
        ("task.langs HAS 'de'", None),
        ("task.lvl == 3", None),
    ] {
        assert_eq!(hint(text), expected, "{text}");
    }
}
