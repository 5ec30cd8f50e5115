//! Partial evaluation of a target expression: what does the task decide, and what is left to ask of the workers?
//!
//! Equal questions must become equal trees, for the engine keeps the tasks that ask the same of the workers together.
//! Hence the normal form: no constant beside anything else, references before literals, `IN` for `HAS`, members of `AND` and `OR` sorted
//! and without repetition, and no comparison left whose outcome is the same for every worker because of its known side.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::evaluate::{Datum, Items, compare, walk};
use crate::expression::{Comparison, Item, Node, Operand, Operator, Reference};
use crate::scope::{Place, Root, Segments};
use crate::syntax_error::Span;
use crate::value::Value;

/// Replaces, at [`Place::Target`], whatever does not depend on the worker or the time.
pub(crate) fn specialize(node: &Node, task: &Value) -> Node {
    reduce(node, &|reference| match Place::Target.root(reference.prefix) {
        Root::Null => Some(Value::Null),
        Root::Task(Segments::All) => Some(walk(task, &reference.steps).clone()),
        Root::Task(Segments::AfterPrefix) => Some(walk(task, reference.stripped()).clone()),
        Root::Worker(_) | Root::Workers | Root::Clock => None,
    })
}

/// The outcome, if it is the same whatever the references stand for.
pub(crate) fn constant(node: &Node) -> Option<bool> {
    match node {
        Node::Constant(outcome) => Some(*outcome),
        Node::Compare(Comparison { left, operator, right, span: _ }) => decided(left, *operator, right),
        Node::Not(inner) => constant(inner).map(|outcome| !outcome),
        Node::All(members) => constant_of_members(members, true),
        Node::Any(members) => constant_of_members(members, false),
    }
}

/// `neutral`: see [`reduce_members`].
fn constant_of_members(members: &[Node], neutral: bool) -> Option<bool> {
    let mut outcome = Some(neutral);
    for member in members {
        match constant(member) {
            Some(member) if member == neutral => {}
            Some(member) => return Some(member),
            None => outcome = None,
        }
    }
    outcome
}

/// Tells what a reference stands for, if that is known.
type Known<'a> = &'a dyn Fn(&Reference) -> Option<Value>;

fn reduce(node: &Node, known: Known<'_>) -> Node {
    match node {
        Node::Constant(outcome) => Node::Constant(*outcome),
        Node::Compare(comparison) => reduce_comparison(comparison, known),
        Node::Not(inner) => match reduce(inner, known) {
            Node::Constant(outcome) => Node::Constant(!outcome),
            node => node.not(),
        },
        Node::All(members) => reduce_members(members, known, true, Node::all),
        Node::Any(members) => reduce_members(members, known, false, Node::any),
    }
}

/// `neutral`: the outcome of a member that the others make up for, and of no member at all.
fn reduce_members(members: &[Node], known: Known<'_>, neutral: bool, join: fn(Vec<Node>) -> Node) -> Node {
    let mut rest = Vec::with_capacity(members.len());
    for member in members {
        match reduce(member, known) {
            Node::Constant(outcome) if outcome == neutral => {}
            Node::Constant(outcome) => return Node::Constant(outcome),
            node => rest.push(node),
        }
    }
    if rest.is_empty() {
        return Node::Constant(neutral);
    }
    match join(rest) {
        Node::All(members) if neutral => join(sorted(members)),
        Node::Any(members) if !neutral => join(sorted(members)),
        single => single,
    }
}

fn sorted(members: Box<[Node]>) -> Vec<Node> {
    let mut members = members.into_vec();
    members.sort();
    members.dedup();
    members
}

fn reduce_comparison(comparison: &Comparison, known: Known<'_>) -> Node {
    let Comparison { left, operator, right, span } = comparison;
    let (left, operator, right) = oriented(substitute(left, known), *operator, substitute(right, known));
    simplified(Comparison { left, operator, right, span: *span })
}

fn substitute(operand: &Operand, known: Known<'_>) -> Operand {
    match operand {
        Operand::Literal(_) | Operand::Set(_) => operand.clone(),
        Operand::Reference(reference) => match known(reference) {
            None => operand.clone(),
            // Only membership can be asked of an array, and only scalars are members of anything.
            Some(Value::Array(items)) => Operand::set(items.iter().filter(|item| item.is_scalar()).cloned().collect()),
            Some(value) => Operand::Literal(value),
        },
        Operand::List(items) => {
            let substituted = items.iter().map(|item| match item {
                Item::Literal(_) => item.clone(),
                Item::Reference(reference) => known(reference).map_or_else(|| item.clone(), Item::Literal),
            });
            let is_member = |item: &Item| !matches!(item, Item::Literal(value) if !value.is_scalar());
            let mut items: Vec<Item> = substituted.filter(is_member).collect();
            items.sort();
            items.dedup();
            Operand::list(items)
        }
    }
}

/// Of the two ways to write a comparison takes the one with the reference, or the lesser reference, on the left.
fn oriented(left: Operand, operator: Operator, right: Operand) -> (Operand, Operator, Operand) {
    let mirrored = match operator {
        Operator::Equal | Operator::NotEqual => operator,
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        Operator::Has => return (right, Operator::In, left),
        Operator::In | Operator::NotIn | Operator::Contains => return (left, operator, right),
    };
    let is_mirrored = match (&left, &right) {
        (Operand::Reference(left), Operand::Reference(right)) => right < left,
        (_, Operand::Reference(_)) => true,
        _ => false,
    };
    if is_mirrored { (right, mirrored, left) } else { (left, operator, right) }
}

/// The outcome of a comparison, if what is known of its operands settles it.
fn decided(left: &Operand, operator: Operator, right: &Operand) -> Option<bool> {
    if let (Some(left), Some(right)) = (known_datum(left), known_datum(right)) {
        return Some(compare(left, operator, right));
    }
    match operator {
        Operator::Equal => (is_compound(left) || is_compound(right)).then_some(false),
        Operator::NotEqual => match (is_compound(left), is_compound(right)) {
            (true, true) => Some(false),
            (true, false) => known_datum(right).map(|right| matches!(right, Datum::Null)),
            (false, true) => known_datum(left).map(|left| matches!(left, Datum::Null)),
            (false, false) => None,
        },
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual | Operator::Contains => {
            (is_wordless(left) || is_wordless(right)).then_some(false)
        }
        Operator::Has => decided(right, Operator::In, left),
        Operator::In | Operator::NotIn if is_compound(left) => Some(false),
        Operator::In | Operator::NotIn => match (left, right) {
            (_, Operand::Literal(_)) => Some(false),
            (_, Operand::Set(values)) => (operator == Operator::In && values.is_empty()).then_some(false),
            (Operand::Literal(left), Operand::List(items)) => {
                let is_left = |item: &Item| matches!(item, Item::Literal(value) if value == left);
                items.iter().any(is_left).then_some(operator == Operator::In)
            }
            _ => None,
        },
    }
}

/// Decides a comparison, or leaves it in its simplest form.
fn simplified(comparison: Comparison) -> Node {
    let Comparison { left, operator, right, span } = &comparison;
    if let Some(outcome) = decided(left, *operator, right) {
        return Node::Constant(outcome);
    }
    match (left, operator, right) {
        (_, Operator::NotEqual, _) if is_compound(left) => Node::Compare(is_null(right, *span)),
        (_, Operator::NotEqual, _) if is_compound(right) => Node::Compare(is_null(left, *span)),
        (_, Operator::In, Operand::Set(values)) if values.len() == 1 => {
            let right = Operand::Literal(values[0].clone());
            Node::Compare(Comparison { operator: Operator::Equal, right, ..comparison })
        }
        (Operand::Literal(_), Operator::In | Operator::NotIn, Operand::List(items)) => {
            let references = items.iter().filter(|item| matches!(item, Item::Reference(_))).cloned().collect();
            Node::Compare(Comparison { right: Operand::List(references), ..comparison })
        }
        _ => Node::Compare(comparison),
    }
}

fn is_null(operand: &Operand, span: Span) -> Comparison {
    Comparison { left: operand.clone(), operator: Operator::Equal, right: Operand::Literal(Value::Null), span }
}

fn known_datum(operand: &Operand) -> Option<Datum<'_>> {
    match operand {
        Operand::Literal(value) => Some(value.into()),
        Operand::Set(values) => Some(Datum::Array(Items::Set(values))),
        Operand::Reference(_) | Operand::List(_) => None,
    }
}

/// Whether it is certainly an array or an object.
fn is_compound(operand: &Operand) -> bool {
    match operand {
        Operand::Literal(value) => !value.is_scalar(),
        Operand::Set(_) | Operand::List(_) => true,
        Operand::Reference(_) => false,
    }
}

/// Whether it certainly has neither an order nor a text.
fn is_wordless(operand: &Operand) -> bool {
    is_compound(operand) || matches!(operand, Operand::Literal(Value::Null | Value::Bool(_)))
}
