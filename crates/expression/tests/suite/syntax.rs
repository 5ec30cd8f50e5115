//! What is an expression, how it is printed, and how a fault is told. Reference: routing, sections 1.2, 1.3, 1.8.

use pointsman_expression::{Expression, Scope};

use crate::fixtures::{NOW_MS, json};

/// The canonical text, or the fault with its place.
fn shown(text: &str) -> String {
    match Expression::parse(text) {
        Ok(expression) => expression.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn spellings_of_one_thing_are_equal_and_printed_alike() {
    for (text, canonical) in [
        ("a=1", "a == 1"),
        ("a<>'x'", "a != 'x'"),
        ("( ( a ) == 1", "line 1:7 mismatched input ')' expecting OPERATOR"),
        ("((a == 1.0))", "a == 1"),
        ("a\t.\r\nb [ 007 ]>= -0", "a.b[7] >= 0"),
        ("a not in [1,2]", "a NOT IN [1, 2]"),
        ("a NOT HAS 1", "NOT a HAS 1"),
        ("NOT a NOT CONTAINS 'x'", "a CONTAINS 'x'"),
        ("not not not a has TRUE", "NOT a HAS true"),
        ("a == 1 and b == 2 AND c == 3 or d == NULL", "a == 1 AND b == 2 AND c == 3 OR d == null"),
        ("(a == 1 AND b == 2) AND (c == 3 OR d == 4)", "a == 1 AND b == 2 AND (c == 3 OR d == 4)"),
        ("NOT (a == 1 AND b == 2) OR (c == 3 OR d == 4)", "NOT (a == 1 AND b == 2) OR c == 3 OR d == 4"),
        ("a IN ['b', 'a', 2, 'b', null, 1.0, true]", "a IN [null, true, 1, 2, 'a', 'b']"),
        ("a IN [b, 1, worker.c[0]]", "a IN [b, 1, worker.c[0]]"),
        ("a IN []", "a IN []"),
        ("[1] == a", "[1] == a"),
        ("\"it's\" == 'a\\\\b\\n\\u0007\\x'", "'it\\'s' == 'a\\\\b\\n\\u0007x'"),
        ("größe.$x._1 == 'ö'", "größe.$x._1 == 'ö'"),
        ("task.in.NOT.null == worker.levels.988ENsk", "task.in.NOT.null == worker.levels.988ENsk"),
        ("a.1.5 == 1.5", "a.1.5 == 1.5"),
        ("lvl>-1", "lvl > -1"),
        ("android == 1", "android == 1"),
        ("a[99999999999] == 1", "a[4294967295] == 1"),
    ] {
        assert_eq!(shown(text), canonical, "{text}");
    }
}

#[test]
fn faults_are_told_with_their_place() {
    for (text, fault) in [
        ("", "line 1:1 mismatched input '<EOF>' expecting OPERAND"),
        ("level", "line 1:6 mismatched input '<EOF>' expecting OPERATOR"),
        ("level > ", "line 1:9 mismatched input '<EOF>' expecting OPERAND"),
        ("a == 1 AND\n  level >", "line 2:10 mismatched input '<EOF>' expecting OPERAND"),
        ("a == 1 AND", "line 1:11 mismatched input '<EOF>' expecting OPERAND"),
        ("(a == 1", "line 1:8 mismatched input '<EOF>' expecting {AND, OR, ')'}"),
        ("a == 1)", "line 1:7 extraneous input ')' expecting {AND, OR, <EOF>}"),
        ("a < b < c", "line 1:7 extraneous input '<' expecting {AND, OR, <EOF>}"),
        ("a b", "line 1:3 extraneous input 'b' expecting OPERATOR"),
        ("a NOT == 1", "line 1:7 mismatched input '==' expecting {IN, HAS, CONTAINS}"),
        ("a NOT b", "line 1:7 mismatched input 'b' expecting {IN, HAS, CONTAINS}"),
        ("a IN (1, 2)", "line 1:6 mismatched input '(' expecting OPERAND (write a list in brackets: ['a', 'b'])"),
        ("a IN [1, ]", "line 1:10 mismatched input ']' expecting ITEM"),
        ("a IN [[1]]", "line 1:7 mismatched input '[' expecting ITEM"),
        ("a IN [1 2]", "line 1:9 mismatched input '2' expecting {',', ']'}"),
        ("a IN [1", "line 1:8 mismatched input '<EOF>' expecting {',', ']'}"),
        ("a['b'] == 1", "line 1:3 mismatched input ''' expecting INDEX"),
        ("a[-1] == 1", "line 1:3 mismatched input '-' expecting INDEX"),
        ("a[1 == 1", "line 1:5 mismatched input '=' expecting ']'"),
        ("a. == 1", "line 1:4 mismatched input '=' expecting IDENTIFIER"),
        ("in.x == 1", "line 1:1 mismatched input 'in' expecting OPERAND"),
        ("true", "line 1:5 mismatched input '<EOF>' expecting OPERATOR"),
        ("a == 1e5", "line 1:7 extraneous input 'e5' expecting {AND, OR, <EOF>}"),
        ("a == 1.", "line 1:7 token recognition error at: '.'"),
        ("a == .5", "line 1:6 token recognition error at: '.'"),
        ("a == 'x", "line 1:6 missing ' at the end of the string"),
        ("a == \"x\\\"", "line 1:6 missing \" at the end of the string"),
        ("a == 'x\\", "line 1:6 missing ' at the end of the string"),
        ("1 + 1 == 2", "line 1:3 token recognition error at: '+' (there is no arithmetic)"),
        ("a - 1 == 2", "line 1:3 token recognition error at: '-' (there is no arithmetic)"),
        ("a -1 == 2", "line 1:3 extraneous input '-1' expecting OPERATOR"),
        ("a == 1 && b == 1", "line 1:8 token recognition error at: '&' (write AND)"),
        ("a == 1 || b == 1", "line 1:8 token recognition error at: '|' (write OR)"),
        ("!(a == 1)", "line 1:1 token recognition error at: '!' (write NOT)"),
        ("a == 1;", "line 1:7 token recognition error at: ';'"),
        ("a == `x`", "line 1:6 token recognition error at: '`'"),
        ("\u{a0}a == 1", "line 1:1 token recognition error at: '\u{a0}'"),
    ] {
        assert_eq!(shown(text), fault, "{text}");
    }
}

#[test]
fn a_hyphen_in_a_name_is_told_as_taskrouter_tells_it() {
    const HINT: &str = "(a name cannot contain a hyphen, and there is no arithmetic)";
    assert_eq!(shown("skill-level > 3"), format!("line 1:6 extraneous input 'evel' expecting OPERATOR {HINT}"));
    assert_eq!(shown("a-b > 3"), format!("line 1:2 token recognition error at: '-b' {HINT}"));
}

#[test]
fn carets_stand_under_the_fault() {
    let caret = |text: &str| Expression::parse(text).unwrap_err().caret(text);
    assert_eq!(caret("level >"), "1 | level >\n  |        ^ mismatched input '<EOF>' expecting OPERAND");
    assert_eq!(
        caret("größe == 'é' AND\r\n\tskill-level > 3\r\nAND a == 1"),
        "2 | \tskill-level > 3\n  | \t     ^^^^^^ extraneous input 'evel' expecting OPERATOR\n  = a name cannot contain a hyphen, and there is no arithmetic"
    );
    assert_eq!(caret("a == 'x\ny"), "1 | a == 'x\n  |      ^^ missing ' at the end of the string");
}

#[test]
fn blank_text_is_absent_where_that_is_allowed() {
    assert_eq!(Expression::parse_optional(" \t\r\n"), Ok(None));
    assert_eq!(Expression::parse_optional(""), Ok(None));
    assert!(Expression::parse_optional("a == 1").unwrap().is_some());
    assert!(Expression::parse_optional("()").is_err());
    assert!(Expression::parse(" ").is_err());
}

#[test]
fn escapes_in_strings_are_those_of_json() {
    let task = json(r#"{"s": "\\ ' \" \n \r \t é 😀 u x"}"#);
    let holds = |text: &str| Expression::parse(text).unwrap().eval(&Scope::filter(&task, NOW_MS));
    assert!(holds(r#"s == '\\ \' \" \n \r \t \u00e9 \uD83D\uDE00 \u \x'"#));
    assert!(holds(r#"s == "\\ ' \" \n \r \t \u00E9 \ud83d\ude00 \u \x""#));
    assert!(holds("s CONTAINS '\n'"));
    assert_eq!(shown(r"a == '\uD83D'"), "a == '\u{fffd}'");
    assert_eq!(shown(r"a == '\uDE00\uD83D'"), "a == '\u{fffd}\u{fffd}'");
    assert_eq!(shown(r"a == '\u00zz'"), "a == 'u00zz'");
}
