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

/// Normalizes without knowing any reference.
pub(crate) fn fold(node: &Node) -> Node {
    reduce(node, &|_| None)
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

/// Decides a comparison by what is known of it, or leaves it in its simplest form.
fn simplified(comparison: Comparison) -> Node {
    let Comparison { left, operator, right, span } = &comparison;
    if let (Some(left), Some(right)) = (known_datum(left), known_datum(right)) {
        return Node::Constant(compare(left, *operator, right));
    }
    match operator {
        Operator::Equal if is_compound(left) || is_compound(right) => Node::Constant(false),
        Operator::NotEqual if is_compound(left) => simplified(is_null(right, *span)),
        Operator::NotEqual if is_compound(right) => simplified(is_null(left, *span)),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual | Operator::Contains
            if is_wordless(left) || is_wordless(right) =>
        {
            Node::Constant(false)
        }
        Operator::In | Operator::NotIn if is_compound(left) => Node::Constant(false),
        Operator::In | Operator::NotIn => simplified_membership(comparison),
        _ => Node::Compare(comparison),
    }
}

fn simplified_membership(comparison: Comparison) -> Node {
    let Comparison { left, operator, right, span } = &comparison;
    match right {
        Operand::Literal(_) => Node::Constant(false),
        Operand::Set(values) => match (operator, &**values) {
            (Operator::In, []) => Node::Constant(false),
            (Operator::In, [single]) => Node::Compare(Comparison {
                left: left.clone(),
                operator: Operator::Equal,
                right: Operand::Literal(single.clone()),
                span: *span,
            }),
            _ => Node::Compare(comparison),
        },
        Operand::List(items) => {
            let Operand::Literal(left) = left else { return Node::Compare(comparison) };
            let is_left = |item: &Item| matches!(item, Item::Literal(value) if value == left);
            if items.iter().any(is_left) {
                return Node::Constant(*operator == Operator::In);
            }
            let open = items.iter().filter(|item| matches!(item, Item::Reference(_))).cloned().collect();
            Node::Compare(Comparison { right: Operand::List(open), ..comparison.clone() })
        }
        Operand::Reference(_) => Node::Compare(comparison),
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
