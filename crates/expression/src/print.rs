//! Canonical text: one spelling per operator, single quotes, no parentheses but the needed ones. It parses to an equal expression.

use core::fmt::{self, Display, Formatter, Write};

use crate::expression::{Comparison, Expression, Item, Node, Operand, Operator, Reference, Step};
use crate::value::Value;

/// Of the outcome of a specialization, `true` and `false` are printed as `1 == 1` and `1 == 0`, and lists can be longer than the
/// parser admits.
impl Display for Expression {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.root.fmt(out)
    }
}

impl Display for Node {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Node::Constant(true) => out.write_str("1 == 1"),
            Node::Constant(false) => out.write_str("1 == 0"),
            Node::Compare(comparison) => comparison.fmt(out),
            Node::Not(inner) => {
                out.write_str("NOT ")?;
                nested(inner, matches!(**inner, Node::All(_) | Node::Any(_)), out)
            }
            Node::All(members) => joined(members, " AND ", |member| matches!(member, Node::Any(_)), out),
            Node::Any(members) => joined(members, " OR ", |_| false, out),
        }
    }
}

fn joined(
    members: &[Node],
    word: &str,
    in_parentheses: impl Fn(&Node) -> bool,
    out: &mut Formatter<'_>,
) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if 0 < index {
            out.write_str(word)?;
        }
        nested(member, in_parentheses(member), out)?;
    }
    Ok(())
}

fn nested(node: &Node, in_parentheses: bool, out: &mut Formatter<'_>) -> fmt::Result {
    if !in_parentheses {
        return node.fmt(out);
    }
    write!(out, "({node})")
}

impl Display for Comparison {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.left, self.operator, self.right)
    }
}

impl Display for Operator {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "IN",
            Operator::NotIn => "NOT IN",
            Operator::Has => "HAS",
            Operator::Contains => "CONTAINS",
        })
    }
}

impl Display for Operand {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Literal(value) => literal(value, out),
            Operand::Reference(reference) => reference.fmt(out),
            Operand::Set(values) => list(values, literal, out),
            Operand::List(items) => list(items, Item::fmt, out),
        }
    }
}

impl Display for Item {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Item::Literal(value) => literal(value, out),
            Item::Reference(reference) => reference.fmt(out),
        }
    }
}

impl Display for Reference {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        path(&self.steps, out)
    }
}

pub(crate) fn path(steps: &[Step], out: &mut Formatter<'_>) -> fmt::Result {
    for (position, step) in steps.iter().enumerate() {
        match step {
            Step::Key(key) if position == 0 => out.write_str(key)?,
            Step::Key(key) => write!(out, ".{key}")?,
            Step::Index(index) => write!(out, "[{index}]")?,
        }
    }
    Ok(())
}

fn list<T>(
    items: &[T],
    item_fmt: impl Fn(&T, &mut Formatter<'_>) -> fmt::Result,
    out: &mut Formatter<'_>,
) -> fmt::Result {
    out.write_char('[')?;
    for (index, item) in items.iter().enumerate() {
        if 0 < index {
            out.write_str(", ")?;
        }
        item_fmt(item, out)?;
    }
    out.write_char(']')
}

fn literal(value: &Value, out: &mut Formatter<'_>) -> fmt::Result {
    let Value::Text(text) = value else { return value.fmt(out) };
    out.write_char('\'')?;
    for char in text.chars() {
        match char {
            '\'' => out.write_str("\\'")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\0'..='\u{1f}' => write!(out, "\\u{:04x}", u32::from(char))?,
            _ => out.write_char(char)?,
        }
    }
    out.write_char('\'')
}
