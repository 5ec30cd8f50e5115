//! Decoding of queries and forms: names and values in the order in which they came.
//!
//! `+` is a blank, `%` and two hexadecimal digits are a byte, any other `%` stands for itself. What is not UTF-8 or
//! contains U+0000 is refused as a whole. Reference: rest-contract, sections 1.3 and 4.2.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use serde_json::Value;

use crate::errors::{self, ApiError};
use crate::limits::FORM_FIELDS_MAX;

/// Decoded fields.
pub type Fields = Vec<(String, String)>;

/// Decodes a query string or an `application/x-www-form-urlencoded` body.
pub fn decode_urlencoded(text: &[u8]) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        push(&mut fields, unescape(name), unescape(value))?;
    }
    Ok(fields)
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let blanks: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>().into()
    } else {
        text.into()
    };
    percent_decode(&blanks).collect()
}

fn push(fields: &mut Fields, name: Vec<u8>, value: Vec<u8>) -> Result<(), ApiError> {
    if fields.len() == FORM_FIELDS_MAX {
        return Err(ApiError::new(&errors::TOO_MANY_FIELDS, &[("max", &FORM_FIELDS_MAX)]));
    }
    let shown = String::from_utf8_lossy(&name).replace('\0', "\u{fffd}");
    match (clean_text(name), clean_text(value)) {
        (Some(name), Some(value)) => fields.push((name, value)),
        _ => return Err(ApiError::new(&errors::NOT_TEXT, &[("name", &shown)])),
    }
    Ok(())
}

/// Decodes a JSON object: its members are the parameters, an array is a parameter that is given several times.
///
/// - Members that are null count as absent.
pub fn decode_json(body: &[u8]) -> Result<Fields, ApiError> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err(ApiError::new(&errors::JSON_BODY, &[]));
    };
    let mut fields = Fields::new();
    for (name, value) in object {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            push(&mut fields, name.clone().into_bytes(), text.into_bytes())?;
        }
    }
    Ok(fields)
}

/// Bytes as text, unless they are not UTF-8 or contain U+0000.
pub(crate) fn clean_text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Decodes a `multipart/form-data` body.
///
/// - `content_type`: with its `boundary` parameter.
/// - Files are taken for the text that they hold; headers of parts other than the name are ignored.
pub fn decode_multipart(content_type: &str, body: &[u8]) -> Result<Fields, ApiError> {
    let malformed = || ApiError::new(&errors::MULTIPART_MALFORMED, &[]);
    let boundary = header_parameter(content_type, "boundary").filter(|text| !text.is_empty()).ok_or_else(malformed)?;
    let mut fields = Fields::new();
    // Every delimiter but the first is preceded by a line break that belongs to it.
    let opening = format!("--{boundary}");
    let delimiter = format!("\r\n--{boundary}");
    let start = find(body, opening.as_bytes()).filter(|at| *at == 0 || body[..*at].ends_with(b"\r\n"));
    let mut rest = &body[start.ok_or_else(malformed)? + opening.len()..];
    while !rest.starts_with(b"--") {
        let part = after_line_break(rest).ok_or_else(malformed)?;
        let head_end = find(part, b"\r\n\r\n").ok_or_else(malformed)?;
        let content = &part[head_end + 4..];
        let end = find(content, delimiter.as_bytes()).ok_or_else(malformed)?;
        let name = part_name(&part[..head_end]).ok_or_else(malformed)?;
        push(&mut fields, name.into_bytes(), content[..end].to_vec())?;
        rest = &content[end + delimiter.len()..];
    }
    Ok(fields)
}

/// What follows the line break after a delimiter; blanks may stand before it.
fn after_line_break(text: &[u8]) -> Option<&[u8]> {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text[blanks..].strip_prefix(b"\r\n")
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    text.windows(piece.len()).position(|window| window == piece)
}

fn part_name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, disposition) = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("Content-Disposition"))?;
    header_parameter(disposition, "name")
}

/// A parameter of a header value, `form-data; name="x"`, quoted or not.
fn header_parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        let after = after.trim_start();
        let (key, value) = after.split_once('=')?;
        let (value, tail) = if let Some(quoted) = value.strip_prefix('"') {
            quoted_text(quoted)?
        } else {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim().to_string(), &value[end..])
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = tail;
    }
    None
}

/// Text up to the closing quote, and what follows it; a backslash takes the next character as it is.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
    }

    #[test]
    fn names_and_values_are_decoded_once_in_order() {
        let fields = decode_urlencoded(b"A=1+2&B=%7B%22x%22%7D&&C&=d&A=%2541%zz%").unwrap();
        assert_eq!(fields, pairs(&[("A", "1 2"), ("B", "{\"x\"}"), ("C", ""), ("", "d"), ("A", "%41%zz%")]));
    }

    #[test]
    fn what_is_not_text_is_refused_by_name() {
        for body in [&b"Attributes=%ff"[..], b"Attributes=%00", b"Attributes=\xff"] {
            assert_eq!(decode_urlencoded(body).unwrap_err().message, "Attributes is not valid UTF-8 text");
        }
        assert_eq!(decode_urlencoded(b"A%00=x").unwrap_err().message, "A\u{fffd} is not valid UTF-8 text");
    }

    #[test]
    fn a_form_has_at_most_a_thousand_fields() {
        let fields = |count: usize| vec!["a=1"; count].join("&");
        assert_eq!(decode_urlencoded(fields(1_000).as_bytes()).unwrap().len(), 1_000);
        assert_eq!(
            decode_urlencoded(fields(1_001).as_bytes()).unwrap_err().message,
            "A request may have at most 1000 parameters"
        );
    }

    #[test]
    fn a_multipart_form_is_the_same_as_an_encoded_one() {
        let body = b"preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"FriendlyName\"\r\n\r\nAda\r\nL.\r\n--xyz \r\nContent-Type: text/plain\r\ncontent-disposition: form-data; filename=a; name=Attributes\r\n\r\n{}\r\n--xyz--\r\n";
        let fields = decode_multipart("multipart/form-data; boundary=\"xyz\"", body).unwrap();
        assert_eq!(fields, pairs(&[("FriendlyName", "Ada\r\nL."), ("Attributes", "{}")]));
    }

    #[test]
    fn a_broken_multipart_form_is_refused() {
        for (content_type, body) in [
            ("multipart/form-data", "--x--"),
            ("multipart/form-data; boundary=x", ""),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1"),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--"),
        ] {
            assert!(decode_multipart(content_type, body.as_bytes()).is_err(), "{content_type} {body}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics(content_type in ".{0,40}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_urlencoded(&body);
            let _ = decode_multipart(&content_type, &body);
            let _ = decode_multipart("multipart/form-data; boundary=a", &body);
        }

        #[test]
        fn multipart_values_come_back(value in "[^-]{0,60}") {
            let body = format!("--b\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\n{value}\r\n--b--\r\n");
            let fields = decode_multipart("multipart/form-data; boundary=b", body.as_bytes());
            if value.contains('\0') {
                prop_assert!(fields.is_err());
            } else {
                prop_assert_eq!(fields.unwrap(), vec![("v".to_string(), value)]);
            }
        }
    }
}
