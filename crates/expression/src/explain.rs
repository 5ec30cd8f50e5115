//! Why an expression has the outcome it has. Reference: extensions, section 3.4.
//!
//! Uses the resolution and the comparison of [`evaluate`](crate::evaluate), so that it cannot disagree with them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::evaluate::{Datum, compare, find, order, resolve};
use crate::expression::{Comparison, Item, Node, Operand, Operator, Reference};
use crate::scope::{Root, Scope, Segments};
use crate::syntax_error::Span;
use crate::value::Value;

/// One comparison, with what it read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Canonical text; without the `NOT` of `NOT HAS` and `NOT CONTAINS`, which is around the comparison.
    pub text: String,
    /// Where it stands in the text that was parsed.
    pub span: Span,
    /// Its outcome.
    pub result: bool,
    /// What stands left and right of the operator.
    pub operands: [ClauseOperand; 2],
    /// What is probably wrong with a comparison that is false.
    pub hint: Option<Hint>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseOperand {
    /// Canonical text.
    pub text: String,
    /// What it stands for.
    pub value: Value,
    /// Whether it is a name that leads nowhere; of a null attribute this is false.
    pub missing: bool,
}

/// Why a comparison cannot be true of such operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The operand with this index is missing.
    Missing(usize),
    /// `IN`, `NOT IN` or `HAS` on what is not an array (PL201).
    NotAnArray,
    /// A scalar operator on an array or object (PL202).
    Compound,
    /// Two kinds that are never equal or in order (PL203).
    KindsDiffer,
}

/// The comparisons that decide: of an `AND` that is false the false members, of an `OR` that is true the true ones, else all.
pub(crate) fn clauses(node: &Node, scope: &Scope<'_>, found: &mut Vec<Clause>) {
    match node {
        Node::Constant(_) => {}
        Node::Compare(comparison) => found.push(clause(comparison, scope)),
        Node::Not(inner) => clauses(inner, scope, found),
        Node::All(members) => clauses_of_members(members, node.eval(scope), true, scope, found),
        Node::Any(members) => clauses_of_members(members, node.eval(scope), false, scope, found),
    }
}

/// `unanimous`: the outcome that needs all members.
fn clauses_of_members(members: &[Node], outcome: bool, unanimous: bool, scope: &Scope<'_>, found: &mut Vec<Clause>) {
    for member in members {
        if outcome == unanimous || member.eval(scope) == outcome {
            clauses(member, scope, found);
        }
    }
}

fn clause(comparison: &Comparison, scope: &Scope<'_>) -> Clause {
    let Comparison { left, operator, right, span } = comparison;
    let (left_datum, right_datum) = (Datum::of(left, scope), Datum::of(right, scope));
    let result = compare(left_datum, *operator, right_datum);
    let operands = [operand(left, left_datum, scope), operand(right, right_datum, scope)];
    let hint = if result { None } else { hint(*operator, &operands, left_datum, right_datum) };
    Clause { text: comparison.to_string(), span: *span, result, operands, hint }
}

fn operand(operand: &Operand, datum: Datum<'_>, scope: &Scope<'_>) -> ClauseOperand {
    let missing = match operand {
        Operand::Reference(reference) => matches!(datum, Datum::Null) && attribute(reference, scope).is_none(),
        Operand::Literal(_) | Operand::Set(_) | Operand::List(_) => false,
    };
    let value = match operand {
        Operand::Literal(value) => value.clone(),
        Operand::Set(values) => Value::Array(values.clone()),
        Operand::List(items) => Value::Array(items.iter().map(|item| item_value(item, scope)).collect()),
        Operand::Reference(reference) => reference_value(reference, datum, scope),
    };
    ClauseOperand { text: operand.to_string(), value, missing }
}

fn item_value(item: &Item, scope: &Scope<'_>) -> Value {
    match item {
        Item::Literal(value) => value.clone(),
        Item::Reference(reference) => reference_value(reference, resolve(reference, scope), scope),
    }
}

fn reference_value(reference: &Reference, datum: Datum<'_>, scope: &Scope<'_>) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(bool) => Value::Bool(bool),
        Datum::Number(number) => Value::Number(number),
        Datum::Text(text) => text.into(),
        Datum::Clock(clock) => clock.text().into(),
        Datum::Array(_) | Datum::Object => attribute(reference, scope).cloned().unwrap_or_default(),
    }
}

/// The attribute that a reference leads to, built-in names left aside.
fn attribute<'a>(reference: &Reference, scope: &Scope<'a>) -> Option<&'a Value> {
    let steps = |segments| match segments {
        Segments::All => &reference.steps,
        Segments::AfterPrefix => reference.stripped(),
    };
    match scope.place.root(reference.prefix) {
        Root::Task(segments) => find(scope.task, steps(segments)),
        Root::Worker(segments) => find(scope.attributes, steps(segments)),
        Root::Null | Root::Workers | Root::Clock => None,
    }
}

fn hint(operator: Operator, operands: &[ClauseOperand; 2], left: Datum<'_>, right: Datum<'_>) -> Option<Hint> {
    if let Some(index) = operands.iter().position(|operand| operand.missing) {
        return Some(Hint::Missing(index));
    }
    if matches!(left, Datum::Null) || matches!(right, Datum::Null) {
        return None;
    }
    match operator {
        Operator::In | Operator::NotIn if !matches!(right, Datum::Array(_)) => Some(Hint::NotAnArray),
        Operator::Has if !matches!(left, Datum::Array(_)) => Some(Hint::NotAnArray),
        Operator::In | Operator::NotIn if left.is_compound() => Some(Hint::Compound),
        Operator::Has if right.is_compound() => Some(Hint::Compound),
        Operator::In | Operator::NotIn | Operator::Has => None,
        _ if left.is_compound() || right.is_compound() => Some(Hint::Compound),
        Operator::Equal | Operator::NotEqual => (!is_same_kind(left, right)).then_some(Hint::KindsDiffer),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            order(left, right).is_none().then_some(Hint::KindsDiffer)
        }
        Operator::Contains => {
            let is_bool = matches!(left, Datum::Bool(_)) || matches!(right, Datum::Bool(_));
            is_bool.then_some(Hint::KindsDiffer)
        }
    }
}

/// Whether two scalars can be equal at all.
fn is_same_kind(left: Datum<'_>, right: Datum<'_>) -> bool {
    matches!(
        (left, right),
        (Datum::Bool(_), Datum::Bool(_))
            | (Datum::Number(_), Datum::Number(_))
            | (Datum::Text(_) | Datum::Clock(_), Datum::Text(_) | Datum::Clock(_))
    ) || order(left, right).is_some_and(|_| matches!(left, Datum::Clock(_)) || matches!(right, Datum::Clock(_)))
}
