//! JSON values and attributes. Reference: rest-contract, section 4.3.

use pointsman_expression::{Attributes, AttributesError, JsonError, Number, Value};

use crate::fixtures::json;

#[test]
fn numbers_are_equal_by_value() {
    assert_eq!(json("[1, 10, 0]"), json("[1.0, 1e1, -0.0]"));
    assert_ne!(json("9007199254740993"), json("9007199254740992"));
    assert_ne!(json("9007199254740993"), json("9007199254740992.0"));
    assert_ne!(json("18446744073709551615"), json("18446744073709551616"));
    assert_ne!(json("1"), json("\"1\""));
}

#[test]
fn the_order_of_keys_does_not_matter_and_that_of_items_does() {
    assert_eq!(json(r#"{"a": 1, "b": [1, 2]}"#), json(r#"{"b": [1, 2], "a": 1}"#));
    assert_ne!(json("[1, 2]"), json("[2, 1]"));
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    let value = json(r#"{"a": 1, "b": 2, "a": {"c": 3}, "a": "last"}"#);
    assert_eq!(value, json(r#"{"a": "last", "b": 2}"#));
    assert_eq!(value.as_object().unwrap().len(), 2);
}

#[test]
fn a_fault_of_json_is_shown_with_its_place() {
    let fault = |text: &str| match Value::parse_json(text).unwrap_err() {
        JsonError::Syntax { message, line, column, offset } => format!("{line}:{column} {offset} {message}"),
        JsonError::TooDeep => unreachable!("a handful of brackets"),
    };
    assert_eq!(fault("{\"a\": 1,\n \"b\": x}"), "2:7 15 expected value");
    assert_eq!(fault("{} x"), "1:4 3 trailing characters");
    assert_eq!(fault("[1,"), "1:3 2 EOF while parsing a value");
    assert_eq!(fault(""), "1:1 0 EOF while parsing a value");
    assert_eq!(fault("[1e999]"), "1:6 5 number out of range");
    assert_eq!(fault("'a'"), "1:1 0 expected value");
    assert_eq!(fault("NaN"), "1:1 0 expected value");
}

#[test]
fn json_is_printed_compactly_with_keys_in_order() {
    let text = "{\"b\": [1.0, 2.50, 1e3, -0.25, 1e21], \"a\": {\"q\\\"\\\\\": \"l1\\nl2\\u0001\\u00e9\"}, \"n\": null, \"t\": true}";
    assert_eq!(
        json(text).to_string(),
        "{\"a\":{\"q\\\"\\\\\":\"l1\\nl2\\u0001é\"},\"b\":[1,2.5,1000,-0.25,1000000000000000000000],\"n\":null,\"t\":true}"
    );
}

#[test]
fn values_are_reached_by_key_and_index() {
    let value = json(r#"{"rows": [{"k": "v"}], "n": null}"#);
    assert_eq!(value.member("rows").item(0).member("k").as_text(), Some("v"));
    assert!(value.member("rows").item(1).is_null());
    assert!(value.member("rows").member("k").is_null());
    assert!(value.item(0).is_null());
    assert!(value.member("n").member("x").is_null());
}

#[test]
fn members_are_found_in_objects_of_any_size() {
    for size in 0..40_i64 {
        let members: Vec<String> = (0..size).map(|number| format!("\"key {number}\": {number}")).collect();
        let value = json(&format!("{{{}}}", members.join(",")));
        for number in 0..size {
            assert_eq!(value.member(&format!("key {number}")), &Value::from(number));
        }
        assert!(value.member("key").is_null());
        assert!(value.member("key 40").is_null());
    }
}

#[test]
fn attributes_keep_their_text() {
    let text = " {\"b\" : 1,\n\"a\":2.50}\n";
    let attributes = Attributes::parse(text).unwrap();
    assert_eq!(attributes.text(), text);
    assert_eq!(attributes.value(), &json(r#"{"a": 2.5, "b": 1}"#));
    assert_eq!(Attributes::default().text(), "{}");
    assert!(Attributes::default().same_json(&Attributes::parse(" { } ").unwrap()));
}

#[test]
fn attributes_are_compared_by_what_they_say() {
    let same = |left: &str, right: &str| Attributes::parse(left).unwrap().same_json(&Attributes::parse(right).unwrap());
    assert!(same(r#"{"a": 1.0, "b": {"x": [], "y": null}}"#, r#"{"b":{"y":null,"x":[]},"a":1}"#));
    assert!(!same(r#"{"a": null}"#, "{}"));
    assert!(!same(r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#));
}

#[test]
fn attributes_that_are_no_json_object_are_refused() {
    for text in ["[]", "null", "1", "\"{}\"", "true"] {
        assert_eq!(Attributes::parse(text).unwrap_err(), AttributesError::NotAnObject, "{text}");
    }
    for text in ["", "{", "{}{}", "{'a': 1}", "{\"a\": 01}", "{\"a\": \"\u{1}\"}"] {
        assert!(matches!(Attributes::parse(text).unwrap_err(), AttributesError::Syntax { .. }), "{text}");
    }
}

#[test]
fn a_number_token_is_read_as_a_whole_or_not_at_all() {
    let read = |text: &str| Number::from_token(text).map(|number| number.to_string());
    assert_eq!(read("0800").as_deref(), Some("800"));
    assert_eq!(read("-1.50").as_deref(), Some("-1.5"));
    assert_eq!(read("-0").as_deref(), Some("0"));
    assert_eq!(read("18446744073709551615").as_deref(), Some("18446744073709551615"));
    assert_eq!(Number::from_token(&"9".repeat(400)).unwrap().as_f64().to_bits(), f64::MAX.to_bits());
    for text in ["", "-", "+1", "1.", ".5", "1e5", " 1", "1 ", "1.2.3", "--1", "٣", "0x10", "inf", "NaN"] {
        assert_eq!(read(text), None, "{text}");
    }
}
