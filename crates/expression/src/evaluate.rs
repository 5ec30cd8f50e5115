//! Evaluation: two-valued, total, without allocation. Reference: routing, sections 1.4 and 1.5.

use core::cmp::Ordering;
use core::fmt::{self, Write};

use crate::clock::ClockValue;
use crate::expression::{Comparison, Item, Name, Node, Operand, Operator, Reference, Step};
use crate::number::Number;
use crate::scope::{Root, Scope, Segments, WorkerView, WorkersCount};
use crate::value::{NULL, Value};

/// What an operand turns out to be. Borrows from the expression and the scope.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Datum<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    Array(Items<'a>),
    Object,
    Clock(ClockValue),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Items<'a> {
    Values(&'a [Value]),
    /// Scalars, sorted.
    Set(&'a [Value]),
    List(&'a [Item], &'a Scope<'a>),
}

impl Node {
    pub(crate) fn eval(&self, scope: &Scope<'_>) -> bool {
        match self {
            Node::Constant(outcome) => *outcome,
            Node::Compare(comparison) => comparison.eval(scope),
            Node::Not(inner) => !inner.eval(scope),
            Node::All(members) => members.iter().all(|member| member.eval(scope)),
            Node::Any(members) => members.iter().any(|member| member.eval(scope)),
        }
    }
}

impl Comparison {
    fn eval(&self, scope: &Scope<'_>) -> bool {
        compare(Datum::of(&self.left, scope), self.operator, Datum::of(&self.right, scope))
    }
}

impl<'a> Datum<'a> {
    pub(crate) fn of(operand: &'a Operand, scope: &'a Scope<'a>) -> Datum<'a> {
        match operand {
            Operand::Literal(value) => value.into(),
            Operand::Reference(reference) => resolve(reference, scope),
            Operand::Set(values) => Datum::Array(Items::Set(values)),
            Operand::List(items) => Datum::Array(Items::List(items, scope)),
        }
    }

    pub(crate) fn is_compound(&self) -> bool {
        matches!(self, Datum::Array(_) | Datum::Object)
    }
}

impl<'a> From<&'a Value> for Datum<'a> {
    fn from(value: &'a Value) -> Datum<'a> {
        match value {
            Value::Null => Datum::Null,
            Value::Bool(bool) => Datum::Bool(*bool),
            Value::Number(number) => Datum::Number(*number),
            Value::Text(text) => Datum::Text(text),
            Value::Array(items) => Datum::Array(Items::Values(items)),
            Value::Object(_) => Datum::Object,
        }
    }
}

pub(crate) fn resolve<'a>(reference: &'a Reference, scope: &Scope<'a>) -> Datum<'a> {
    match scope.place.root(reference.prefix) {
        Root::Null => Datum::Null,
        Root::Task(Segments::All) => walk(scope.task, &reference.steps).into(),
        Root::Task(Segments::AfterPrefix) => walk(scope.task, reference.stripped()).into(),
        Root::Worker(Segments::All) => resolve_worker(reference, &reference.steps, scope),
        Root::Worker(Segments::AfterPrefix) => resolve_worker(reference, reference.stripped(), scope),
        Root::Workers => resolve_workers(reference, scope),
        Root::Clock => match reference.name {
            Name::Clock(name) => Datum::Clock(name.at(scope.now_ms)),
            _ => Datum::Null,
        },
    }
}

fn resolve_worker<'a>(reference: &Reference, steps: &[Step], scope: &Scope<'a>) -> Datum<'a> {
    let attribute = || walk(scope.attributes, steps);
    match reference.name {
        Name::Builtin(builtin) => match attribute() {
            Value::Null => scope.worker.and_then(|worker| worker.builtin(builtin)).map_or(Datum::Null, Datum::Text),
            value => value.into(),
        },
        Name::Channel(counter) => {
            let Some(Step::Key(unique_name)) = steps.get(1) else { unreachable!("channel.<unique name>.<counter>") };
            match scope.worker.and_then(|worker| worker.channel(unique_name, counter)) {
                Some(count) => Datum::Number(count.into()),
                None => attribute().into(),
            }
        }
        _ => attribute().into(),
    }
}

/// What a reference that begins with `worker` means to a worker.
pub(crate) fn reference_of_worker<'a>(reference: &'a Reference, worker: &'a dyn WorkerView) -> Datum<'a> {
    resolve(reference, &Scope::worker(worker))
}

fn resolve_workers<'a>(reference: &Reference, scope: &Scope<'a>) -> Datum<'a> {
    let which = match (reference.name, reference.stripped()) {
        (Name::WorkersAvailable, _) => WorkersCount::Available,
        (Name::WorkersUnavailable, _) => WorkersCount::Unavailable,
        (Name::WorkersActivity, [Step::Key(sid)]) => WorkersCount::Activity(sid),
        _ => return Datum::Null,
    };
    scope.workers.map_or(Datum::Null, |workers| Datum::Number(workers.count(which).into()))
}

/// Follows a path into a value; a path that leads nowhere leads to null.
pub(crate) fn walk<'a>(value: &'a Value, steps: &[Step]) -> &'a Value {
    find(value, steps).unwrap_or(&NULL)
}

/// Follows a path into a value, if it leads anywhere.
pub(crate) fn find<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Index(index) => value.as_array()?.get(*index as usize),
    })
}

pub(crate) fn compare(left: Datum<'_>, operator: Operator, right: Datum<'_>) -> bool {
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => not_equal(left, right),
        Operator::Less => order(left, right).is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right).is_some_and(Ordering::is_gt),
        Operator::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::In => is_in(left, right) == Some(true),
        Operator::NotIn => is_in(left, right) == Some(false),
        Operator::Has => is_in(right, left) == Some(true),
        Operator::Contains => contains(left, right),
    }
}

fn equal(left: Datum<'_>, right: Datum<'_>) -> bool {
    match (left, right) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Bool(left), Datum::Bool(right)) => left == right,
        (Datum::Number(left), Datum::Number(right)) => left == right,
        (Datum::Text(left), Datum::Text(right)) => left == right,
        (Datum::Clock(_), _) | (_, Datum::Clock(_)) => order(left, right) == Some(Ordering::Equal),
        _ => false,
    }
}

/// Not the negation of [`equal`]: an array or object differs from nothing but null.
fn not_equal(left: Datum<'_>, right: Datum<'_>) -> bool {
    match (left.is_compound(), right.is_compound()) {
        (false, false) => !equal(left, right),
        (true, _) => matches!(right, Datum::Null),
        (false, true) => matches!(left, Datum::Null),
    }
}

pub(crate) fn order(left: Datum<'_>, right: Datum<'_>) -> Option<Ordering> {
    match (left, right) {
        (Datum::Number(left), Datum::Number(right)) => Some(left.cmp(&right)),
        (Datum::Text(left), Datum::Text(right)) => Some(left.cmp(right)),
        (Datum::Number(left), Datum::Text(right)) => Some(left.cmp(&Number::from_token(right)?)),
        (Datum::Text(left), Datum::Number(right)) => Some(Number::from_token(left)?.cmp(&right)),
        (Datum::Clock(left), Datum::Number(right)) => left.cmp_number(right),
        (Datum::Number(left), Datum::Clock(right)) => right.cmp_number(left).map(Ordering::reverse),
        (Datum::Clock(left), Datum::Text(right)) => Some(left.cmp_text(right)),
        (Datum::Text(left), Datum::Clock(right)) => Some(right.cmp_text(left).reverse()),
        (Datum::Clock(left), Datum::Clock(right)) if right.ignores_case() => {
            Some(right.cmp_text(left.text()).reverse())
        }
        (Datum::Clock(left), Datum::Clock(right)) => Some(left.cmp_text(right.text())),
        _ => None,
    }
}

/// Whether an item of `array` equals `scalar`; `None` if they are not a scalar and an array.
fn is_in(scalar: Datum<'_>, array: Datum<'_>) -> Option<bool> {
    let Datum::Array(items) = array else { return None };
    if scalar.is_compound() {
        return None;
    }
    let found = match (items, scalar) {
        (Items::Set(values), Datum::Text(text)) => values
            .binary_search_by(|value| match value {
                Value::Text(item) => item.as_str().cmp(text),
                _ => Ordering::Less, // text is the last kind of scalar in the order of values
            })
            .is_ok(),
        (Items::Set(values) | Items::Values(values), _) => values.iter().any(|value| equal(scalar, value.into())),
        (Items::List(items, scope), _) => items.iter().any(|item| match item {
            Item::Literal(value) => equal(scalar, value.into()),
            Item::Reference(reference) => equal(scalar, resolve(reference, scope)),
        }),
    };
    Some(found)
}

fn contains(left: Datum<'_>, right: Datum<'_>) -> bool {
    if let (Datum::Text(left), Datum::Text(right)) = (left, right) {
        return left.contains(right);
    }
    let (mut left_buffer, mut right_buffer) = (Rendered::new(), Rendered::new());
    let ignores_case = [left, right].iter().any(|datum| matches!(datum, Datum::Clock(clock) if clock.ignores_case()));
    match (text_of(&left, &mut left_buffer), text_of(&right, &mut right_buffer)) {
        (Some(left), Some(right)) if ignores_case => contains_ignoring_case(left, right),
        (Some(left), Some(right)) => left.contains(right),
        _ => false,
    }
}

fn contains_ignoring_case(text: &str, piece: &str) -> bool {
    let (text, piece) = (text.as_bytes(), piece.as_bytes());
    piece.is_empty() || text.windows(piece.len()).any(|window| window.eq_ignore_ascii_case(piece))
}

/// The text of a scalar that has one: null and booleans have none.
fn text_of<'a>(datum: &'a Datum<'_>, buffer: &'a mut Rendered) -> Option<&'a str> {
    match datum {
        Datum::Text(text) => Some(text),
        Datum::Clock(clock) => Some(clock.text()),
        Datum::Number(number) => {
            write!(buffer, "{number}").expect("the buffer holds any double");
            Some(buffer.text())
        }
        Datum::Null | Datum::Bool(_) | Datum::Array(_) | Datum::Object => None,
    }
}

/// A number as text, without allocation.
struct Rendered {
    bytes: [u8; Rendered::BYTES_MAX],
    len: usize,
}

impl Rendered {
    /// A sign, `0.`, 323 zeros and 17 digits are the longest double.
    const BYTES_MAX: usize = 344;

    fn new() -> Rendered {
        Rendered { bytes: [0; Rendered::BYTES_MAX], len: 0 }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).expect("only whole strings are written")
    }
}

impl Write for Rendered {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
