//! The JSON body of the bulk real-time statistics. Reference: statistics, section 8.4.

use pointsman_engine::{Entity, TaskQueue};
use pointsman_expression::Value;

use crate::errors::{self, ApiError};
use crate::limits::BULK_TASK_QUEUES_MAX;
use crate::parameters::parse_sid;

/// Reads `{"QueueSids": ["WQ..", ..]}`; the name in any case, also wrapped as `{"body": {..}}`.
///
/// - Gives each SID once, in the order of the request.
pub(crate) fn read_body(body: &[u8]) -> Result<Vec<[u8; 16]>, ApiError> {
    let refused = || ApiError::new(&errors::BULK_BODY, &[("max", &BULK_TASK_QUEUES_MAX)]);
    let text = std::str::from_utf8(body).map_err(|_| ApiError::new(&errors::NOT_TEXT, &[("name", &"The body")]))?;
    let document = Value::parse_json(text).map_err(|_| refused())?;
    let list = member(&document).or_else(|| member(document.member("body"))).ok_or_else(refused)?;
    let Value::Array(items) = list else { return Err(refused()) };
    if items.is_empty() || BULK_TASK_QUEUES_MAX < items.len() {
        return Err(refused());
    }
    let mut sids = Vec::with_capacity(items.len());
    for item in items.iter() {
        let Value::Text(text) = item else { return Err(refused()) };
        let Some(sid) = parse_sid(TaskQueue::PREFIX, text) else {
            return Err(ApiError::new(&errors::INVALID_VALUE, &[("value", text), ("name", &"QueueSids")]));
        };
        if !sids.contains(&sid) {
            sids.push(sid);
        }
    }
    Ok(sids)
}

fn member(document: &Value) -> Option<&Value> {
    let mut members = document.as_object()?.iter();
    members.find(|(name, _)| name.eq_ignore_ascii_case("QueueSids")).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<usize, &str>) {
        let found = read_body(body.as_bytes()).map(|sids| sids.len()).map_err(|error| error.error.name);
        assert_eq!(found, expected, "{body}");
    }

    fn list(count: usize) -> String {
        let sids: Vec<String> = (0..count).map(|number| format!("\"WQ{number:032x}\"")).collect();
        format!("{{\"queueSids\":[{}]}}", sids.join(","))
    }

    #[test]
    fn both_spellings_and_the_wrapped_form_are_read() {
        let sid = "WQ000000000000000000000000000000AB";
        check(&format!("{{\"QueueSids\":[\"{sid}\"]}}"), Ok(1));
        check(&format!("{{\"queueSids\":[\"{sid}\"],\"TaskChannel\":1}}"), Ok(1));
        check(&format!("{{\"body\":{{\"queueSids\":[\"{sid}\"]}}}}"), Ok(1));
        check(&format!("{{\"queueSids\":[\"{sid}\",\"{}\"]}}", sid.replace("AB", "ab")), Ok(1));
    }

    #[test]
    fn one_to_fifty_queues_are_asked_for() {
        check(&list(0), Err("BULK_BODY"));
        check(&list(1), Ok(1));
        check(&list(50), Ok(50));
        check(&list(51), Err("BULK_BODY"));
    }

    #[test]
    fn anything_else_is_refused() {
        for body in ["", "[]", "{}", "{\"queueSids\":\"WQ1\"}", "{\"queueSids\":[1]}", "{\"queueSids\":{}}"] {
            check(body, Err("BULK_BODY"));
        }
        check("{\"queueSids\":[\"WQ1\"]}", Err("INVALID_VALUE"));
        assert_eq!(read_body(b"\xff").unwrap_err().error.name, "NOT_TEXT");
    }
}
