//! What is left of a target expression once the task is known, and what names mean by place.

use pointsman_expression::{Expression, Scope};

use crate::fixtures::{NOW_MS, Queue, Worker, json};

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

/// What a task leaves of an expression.
fn left(text: &str, task: &str) -> String {
    parse(text).specialize(&json(task)).to_string()
}

const TRUE: &str = "1 == 1";
const FALSE: &str = "1 == 0";

#[test]
fn what_depends_on_the_task_alone_is_decided() {
    for (text, expected) in [
        ("task.a == 1", TRUE),
        ("task.a == 2", FALSE),
        ("task.a == 1 AND worker.b == 2", "worker.b == 2"),
        ("task.a == 2 AND worker.b == 2", FALSE),
        ("task.a == 1 OR worker.b == 2", TRUE),
        ("task.a == 2 OR worker.b == 2", "worker.b == 2"),
        ("NOT (task.a == 2 AND worker.b == 2)", TRUE),
        ("NOT (task.a == 1 AND worker.b == 2)", "NOT worker.b == 2"),
        ("worker.level >= task.a", "worker.level >= 1"),
        ("task.a <= worker.level", "worker.level >= 1"),
        ("worker.skills HAS task.need", "'x' IN worker.skills"),
        ("task.need IN worker.skills", "'x' IN worker.skills"),
        ("worker.sid IN task.list", "worker.sid IN ['p', 'q']"),
        ("worker.sid IN task.one", "worker.sid == 'p'"),
        ("worker.sid NOT IN task.one", "worker.sid NOT IN ['p']"),
        ("worker.sid IN task.absent", FALSE),
        ("worker.sid NOT IN task.absent", FALSE),
        ("worker.sid != task.absent", "worker.sid != null"),
        ("worker.a IN [task.need, 'a', task.list]", "worker.a IN ['a', 'x']"),
        ("worker.a IN [worker.b, task.need]", "worker.a IN ['x', worker.b]"),
        ("task.need IN [worker.b, 'x']", TRUE),
        ("task.need NOT IN [worker.b, 'x']", FALSE),
        ("task.need IN [worker.b, 'y']", "'x' IN [worker.b]"),
        ("worker.a == bare", "worker.a == null"),
        ("worker.a == workers.available", "worker.a == null"),
        ("taskrouter.currentHour > task.a", "taskrouter.currentHour > 1"),
    ] {
        let task = r#"{"a": 1, "need": "x", "list": ["q", ["z"], "p", "q"], "one": ["p"]}"#;
        assert_eq!(left(text, task), expected, "{text}");
    }
}

#[test]
fn comparisons_that_no_worker_can_satisfy_are_false() {
    for text in [
        "worker.a == task.list",
        "worker.a == task.object",
        "worker.a > task.absent",
        "worker.a < task.object",
        "worker.a CONTAINS task.yes",
        "worker.a IN task.object",
        "worker.a HAS task.object",
        "task.object NOT IN worker.a",
        "worker.a IN task.empty",
    ] {
        assert_eq!(left(text, r#"{"list": [1], "object": {"x": 1}, "yes": true, "empty": []}"#), FALSE, "{text}");
    }
    assert_eq!(left("worker.a != task.list", r#"{"list": [1]}"#), "worker.a == null");
    assert_eq!(left("worker.a NOT IN task.list", r#"{"list": []}"#), "worker.a NOT IN []");
}

#[test]
fn equal_questions_are_equal_expressions() {
    for (one, other) in [
        ("worker.a == 1 AND worker.b == 2", "worker.b == 2 AND 1.0 = worker.a AND worker.a == 1"),
        ("worker.skills HAS 'x'", "'x' IN worker.skills"),
        ("worker.a < worker.b", "worker.b > worker.a"),
        ("worker.a IN ['x', 'y']", "worker.a IN task.list"),
        ("NOT (NOT worker.a == 1)", "(task.list HAS 'x' AND worker.a == 1)"),
        ("(worker.a == 1 OR worker.b == 1) OR worker.c == 1", "worker.a == 1 OR (worker.c == 1 OR worker.b == 1)"),
        (
            "(task.no == 1 OR (worker.a == 1 AND worker.b == 1)) AND worker.c == 1",
            "worker.c == 1 AND worker.b == 1 AND worker.a == 1",
        ),
        ("task.no == null AND (worker.a == 1 OR worker.b == 1)", "worker.b == 1 OR worker.a == 1"),
    ] {
        let task = json(r#"{"list": ["y", "x"]}"#);
        assert_eq!(parse(one).specialize(&task), parse(other).specialize(&task), "{one}");
    }
}

#[test]
fn a_constant_is_known_without_a_scope() {
    for (text, constant) in [
        ("1 == 1", Some(true)),
        ("1==0", Some(false)),
        ("'a' IN ['a'] AND NOT 2 < 1", Some(true)),
        ("a == 1 AND 1 == 0", Some(false)),
        ("a == 1 OR 1 == 1", Some(true)),
        ("a IN 'english'", Some(false)),
        ("a == 1", None),
        ("a == a", None),
    ] {
        assert_eq!(parse(text).as_constant(), constant, "{text}");
    }
}

#[test]
fn a_name_means_what_its_place_says() {
    let task = json(
        r#"{"x": "task", "task": {"x": "task.task"}, "worker": {"x": "task.worker"}, "workers": {"x": "task.workers"}}"#,
    );
    let worker = Worker::with(
        r#"{"x": "worker", "task": {"x": "worker.task"}, "worker": {"x": "worker.worker"}, "workers": {"x": "worker.workers"}, "taskrouter": {"x": 1}}"#,
    );
    let scopes = [
        ("worker", Scope::worker(&worker)),
        ("filter", Scope::filter(&task, NOW_MS)),
        ("target", Scope::target(&task, &worker, NOW_MS)),
        ("skip_if", Scope::skip_if(&task, &Queue, NOW_MS)),
        ("task", Scope::task(&task)),
    ];
    for (place, scope) in scopes {
        let mut found = Vec::new();
        for name in ["x", "task.x", "worker.x", "workers.x", "taskrouter.x"] {
            for value in
                ["null", "'task'", "'task.worker'", "'task.workers'", "'worker'", "'worker.task'", "'worker.workers'"]
            {
                if parse(&format!("{name} == {value}")).eval(&scope) {
                    found.push(value.trim_matches('\''));
                }
            }
        }
        let expected = match place {
            "worker" => ["worker", "worker.task", "worker", "worker.workers", "null"],
            "filter" => ["task", "task", "null", "null", "null"],
            "target" => ["null", "task", "worker", "null", "null"],
            "skip_if" => ["null", "task", "null", "null", "null"],
            _ => ["task", "task", "task.worker", "task.workers", "null"],
        };
        assert_eq!(found, expected, "{place}");
    }
}

#[test]
fn an_attribute_hides_a_built_in_name_unless_it_is_null() {
    let holds = |attributes: &str, text: &str| {
        let worker = Worker::with(attributes);
        parse(text).eval(&Scope::worker(&worker))
    };
    assert!(holds("{}", "sid == 'WK01' AND worker.sid == 'WK01' AND activity_sid == 'WA01'"));
    assert!(holds(r#"{"sid": 7}"#, "sid == 7 AND worker.sid == 7"));
    assert!(holds(r#"{"sid": null}"#, "sid == 'WK01'"));
    assert!(holds(r#"{"a": {"sid": 7}}"#, "a.sid == 7 AND sid.a == null"));
    assert!(holds(r#"{"channel": {"voice": {"assigned_tasks": 9}}}"#, "channel.voice.assigned_tasks == 1"));
    assert!(holds(r#"{"channel": {"fax": {"assigned_tasks": 9}}}"#, "worker.channel.fax.assigned_tasks == 9"));
    assert!(holds(r#"{"channel": {"voice": {"noise": 9}}}"#, "worker.channel.voice.noise == 9"));
}

#[test]
fn a_prefix_alone_is_the_whole_object() {
    let (task, worker) = (json("{}"), Worker::ann());
    let holds = |text: &str| parse(text).eval(&Scope::target(&task, &worker, NOW_MS));
    assert!(holds("task != null AND worker != null AND worker[0] == null"));
    assert!(!holds("worker == 'x' OR worker != 'x' OR worker IN [worker]"));
}
