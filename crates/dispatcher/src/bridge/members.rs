//! Members of a JSON object in the words of whoever wrote them: order, spaces and the digits of numbers stay.

use std::ops::Range;

use pointsman_api::json;
use pointsman_expression::Value;

/// A member, and where its value stands in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) value: Range<usize>,
}

/// The members of an object in the order of the text.
///
/// - `text`: that of a JSON object, which was checked before.
pub(super) fn members(text: &str) -> Vec<Member> {
    let mut members = Vec::new();
    let (mut depth, mut start, mut name) = (0_usize, 0, None);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if is_in_string {
            is_in_string = byte != b'"' || is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            continue;
        }
        match byte {
            b'"' => is_in_string = true,
            b':' if depth == 1 => {
                name =
                    Value::parse_json(text[start..at].trim()).ok().and_then(|name| Some(name.as_text()?.to_string()));
                start = at + 1;
            }
            b',' | b'}' if depth == 1 => {
                let value = trimmed(text, start..at);
                members.extend(name.take().map(|name| Member { name, value }));
                start = at + 1;
                depth -= usize::from(byte == b'}');
            }
            b'{' | b'[' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    members
}

/// The range without the spaces around it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = text[range.clone()].trim_start();
    let start = range.end - inner.len();
    start..start + inner.trim_end().len()
}

/// The text of an object with one member set: where it was, else at the end.
///
/// - `text`: that of a JSON object, which was checked before.
pub(super) fn with_member(text: &str, name: &str, json: &str) -> String {
    let named: Vec<_> = members(text).into_iter().filter(|member| member.name == name).collect();
    if !named.is_empty() {
        let mut out = text.to_string();
        for member in named.into_iter().rev() {
            out.replace_range(member.value, json);
        }
        return out;
    }
    let mut out = text.trim_end().strip_suffix('}').expect("an object ends with a brace").to_string();
    if !out.trim_end().ends_with('{') {
        out.push(',');
    }
    json::text(&mut out, name);
    out.push(':');
    out.push_str(json);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_set_and_the_rest_stays_as_it_was_written() {
        for (before, after) in [
            ("{}", r#"{"n":1}"#),
            (" { } ", r#" { "n":1}"#),
            (r#"{"b":10.10, "a":1e3}"#, r#"{"b":10.10, "a":1e3,"n":1}"#),
            (r#"{"b":10.10, "n" : {"n":[2]} , "a":{"n":3}}"#, r#"{"b":10.10, "n" : 1 , "a":{"n":3}}"#),
            (r#"{"x":"\"n\":2,}","\u006e":"\\"}"#, r#"{"x":"\"n\":2,}","\u006e":1}"#),
            (r#"{"n":9007199254740993,"é":"é","n":"x"}"#, r#"{"n":1,"é":"é","n":1}"#),
        ] {
            assert_eq!(with_member(before, "n", "1"), after);
        }
    }

    #[test]
    fn members_are_those_of_the_object_itself() {
        let text = r#"{ "a" : [ {"b":1} , "c:d" ] , "e":"" }"#;
        let found: Vec<_> = members(text).into_iter().map(|member| (member.name, &text[member.value])).collect();
        assert_eq!(found, [("a".to_string(), r#"[ {"b":1} , "c:d" ]"#), ("e".to_string(), r#""""#)]);
    }
}
