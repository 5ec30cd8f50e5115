//! Known-worker references. Reference: routing, section 2.6.

use pointsman_expression::KnownWorker;

use crate::fixtures::json;

const SID: &str = "WK0123456789abcdef0123456789abcdef";

#[test]
fn a_reference_is_looked_up_in_the_task() {
    let task = json(r#"{"agent": "WK01", "list": [{"name": "ann"}], "none": null, "number": 7}"#);
    let resolved = |text: &str| KnownWorker::parse(text).unwrap().resolve(&task).to_string();
    assert_eq!(resolved("task.agent"), "\"WK01\"");
    assert_eq!(resolved(" task . list [0] . name "), "\"ann\"");
    assert_eq!(resolved("task.none"), "null");
    assert_eq!(resolved("task.absent.too"), "null");
    assert_eq!(resolved("task.number"), "7");
    assert_eq!(resolved(SID), format!("\"{SID}\""));
    assert_eq!(resolved(&format!("\n{SID} ")), format!("\"{SID}\""));
}

#[test]
fn anything_else_is_refused() {
    for (text, fault) in [
        ("", "line 1:1 mismatched input '<EOF>' expecting {'task.', WORKER_SID}"),
        ("task", "line 1:1 mismatched input 'task' expecting {'task.', WORKER_SID}"),
        ("agent", "line 1:1 mismatched input 'agent' expecting {'task.', WORKER_SID}"),
        ("worker.sid", "line 1:1 mismatched input 'worker.sid' expecting {'task.', WORKER_SID}"),
        ("WK01", "line 1:1 mismatched input 'WK01' expecting {'task.', WORKER_SID}"),
        ("'WK01'", "line 1:1 mismatched input ''WK01'' expecting {'task.', WORKER_SID}"),
        ("task.a == 1", "line 1:8 extraneous input '==' expecting <EOF>"),
        ("task.a task.b", "line 1:8 extraneous input 'task.b' expecting <EOF>"),
        (
            "{{task.agent}}",
            "line 1:1 mismatched input '{{task.agent}}' expecting 'task.' (templates are not filled in here: write task.<name>)",
        ),
    ] {
        assert_eq!(KnownWorker::parse(text).unwrap_err().to_string(), fault, "{text}");
    }
}
