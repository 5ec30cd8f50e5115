//! The tree of an expression.
//!
//! `AND` and `OR` hold any number of members, `NOT` never holds another `NOT`, and `NOT HAS`, `NOT CONTAINS` are a `NOT` around the
//! plain comparison, so that different spellings of one thing are equal.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use smol_str::SmolStr;

use crate::clock::ClockName;
use crate::explain::{self, Clause};
use crate::parse;
use crate::reads::Reads;
use crate::scope::{Builtin, Counter, Place, Scope};
use crate::specialize;
use crate::syntax_error::{Span, SyntaxError};
use crate::value::Value;

/// A parsed expression.
///
/// - Equality, order and hash look at what is compared with what, not at spelling: `a = 1` and `(A == 1.0)` differ only in the name.
/// - `Display` prints text that parses to an equal expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expression {
    pub(crate) root: Node,
}

impl Expression {
    /// Parses an expression. Which names exist depends on where it is evaluated, so any name is accepted.
    ///
    /// - Errors: the first fault of the text; a blank text is one (for many callers it means "absent": see [`Expression::parse_optional`]).
    /// - Limits: [`EXPRESSION_CHARS_MAX`](crate::limits::EXPRESSION_CHARS_MAX), [`EXPRESSION_DEPTH_MAX`](crate::limits::EXPRESSION_DEPTH_MAX),
    ///   [`LIST_ITEMS_MAX`](crate::limits::LIST_ITEMS_MAX).
    /// - Source: routing, sections 1.2, 1.3, 1.8.
    pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
        parse::expression(text).map(|root| Expression { root })
    }

    /// As [`Expression::parse`], but a text of nothing but white space is `None`.
    pub fn parse_optional(text: &str) -> Result<Option<Expression>, SyntaxError> {
        if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            return Ok(None);
        }
        Expression::parse(text).map(Some)
    }

    /// Whether it is true in `scope`. Never fails, never allocates. Source: routing, sections 1.4 to 1.7.
    pub fn eval(&self, scope: &Scope<'_>) -> bool {
        self.root.eval(scope)
    }

    /// What remains of a target expression once the task is known: a predicate on the worker, and on the time if it asks for that.
    ///
    /// - `eval` of the result in [`Scope::remainder`] equals `eval` of this in [`Scope::target`], for every worker and time.
    /// - Normalized: tasks that ask the same of a worker give equal results.
    #[must_use]
    pub fn specialize(&self, task: &Value) -> Expression {
        Expression { root: specialize::specialize(&self.root, task) }
    }

    /// The outcome, if nothing outside of the expression has a say in it. Cheap; exact for what [`Expression::specialize`] returns.
    pub fn as_constant(&self) -> Option<bool> {
        specialize::constant(&self.root)
    }

    /// The comparisons that make the outcome in `scope` what it is, in the order of the text.
    ///
    /// - Of an `AND` that is false the false members, of an `OR` that is true the true ones, otherwise all.
    /// - Source: extensions, section 3.4.
    pub fn explain(&self, scope: &Scope<'_>) -> Vec<Clause> {
        let mut found = Vec::new();
        explain::clauses(&self.root, scope, &mut found);
        found
    }

    /// What the outcome at `place` depends on.
    pub fn reads(&self, place: Place) -> Reads {
        let mut reads = Reads::default();
        self.root.for_each_reference(&mut |reference| reads.add(reference, place));
        reads
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    /// Made by specialization only.
    Constant(bool),
    Compare(Comparison),
    /// Around anything but a `Not`.
    Not(Box<Node>),
    /// Two members or more, none an `All`.
    All(Box<[Node]>),
    /// Two members or more, none an `Any`.
    Any(Box<[Node]>),
}

impl Node {
    pub(crate) fn not(self) -> Node {
        match self {
            Node::Not(inner) => *inner,
            node @ (Node::Constant(_) | Node::Compare(_) | Node::All(_) | Node::Any(_)) => Node::Not(Box::new(node)),
        }
    }

    /// Joins at least one member with `AND`.
    pub(crate) fn all(members: Vec<Node>) -> Node {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Node::All(inner) => flat.extend(inner),
                node @ (Node::Constant(_) | Node::Compare(_) | Node::Not(_) | Node::Any(_)) => flat.push(node),
            }
        }
        match <[Node; 1]>::try_from(flat) {
            Ok([single]) => single,
            Err(flat) => Node::All(flat.into()),
        }
    }

    /// Joins at least one member with `OR`.
    pub(crate) fn any(members: Vec<Node>) -> Node {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Node::Any(inner) => flat.extend(inner),
                node @ (Node::Constant(_) | Node::Compare(_) | Node::Not(_) | Node::All(_)) => flat.push(node),
            }
        }
        match <[Node; 1]>::try_from(flat) {
            Ok([single]) => single,
            Err(flat) => Node::Any(flat.into()),
        }
    }

    fn for_each_reference(&self, visit: &mut impl FnMut(&Reference)) {
        match self {
            Node::Constant(_) => {}
            Node::Compare(comparison) => {
                for operand in [&comparison.left, &comparison.right] {
                    match operand {
                        Operand::Literal(_) | Operand::Set(_) => {}
                        Operand::Reference(reference) => visit(reference),
                        Operand::List(items) => items.iter().for_each(|item| {
                            if let Item::Reference(reference) = item {
                                visit(reference);
                            }
                        }),
                    }
                }
            }
            Node::Not(inner) => inner.for_each_reference(visit),
            Node::All(members) | Node::Any(members) => {
                members.iter().for_each(|member| member.for_each_reference(visit));
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Has,
    Contains,
}

/// `left operator right`. The span is no part of its identity.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) left: Operand,
    pub(crate) operator: Operator,
    pub(crate) right: Operand,
    pub(crate) span: Span,
}

impl Comparison {
    fn identity(&self) -> (&Operand, Operator, &Operand) {
        let Comparison { left, operator, right, span: _ } = self;
        (left, *operator, right)
    }
}

impl PartialEq for Comparison {
    fn eq(&self, other: &Comparison) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Comparison {}

impl PartialOrd for Comparison {
    fn partial_cmp(&self, other: &Comparison) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Comparison {
    fn cmp(&self, other: &Comparison) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for Comparison {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operand {
    /// A scalar; during specialization any value.
    Literal(Value),
    Reference(Reference),
    /// A list of scalars, sorted, without repetition: only membership can be asked of it.
    Set(Arc<[Value]>),
    /// A list with at least one reference, in the order written.
    List(Arc<[Item]>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Literal(Value),
    Reference(Reference),
}

impl Operand {
    pub(crate) fn list(items: Vec<Item>) -> Operand {
        let literal = |item: &Item| match item {
            Item::Literal(value) => Some(value.clone()),
            Item::Reference(_) => None,
        };
        match items.iter().map(literal).collect::<Option<Vec<Value>>>() {
            Some(values) => Operand::set(values),
            None => Operand::List(items.into()),
        }
    }

    pub(crate) fn set(mut values: Vec<Value>) -> Operand {
        values.sort();
        values.dedup();
        Operand::Set(values.into())
    }
}

/// A path such as `worker.skills[0]`, split when it is parsed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    /// All segments as written, a prefix included; the first is a key.
    pub(crate) steps: Arc<[Step]>,
    /// What the first segment is, wherever it is in scope.
    pub(crate) prefix: Prefix,
    /// What the segments after the prefix name, besides an attribute.
    pub(crate) name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Key(SmolStr),
    Index(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Prefix {
    /// None of the others: a bare name.
    Bare,
    Task,
    Worker,
    Workers,
    Taskrouter,
}

/// Names that are not only attributes. Reference: routing, sections 1.6 and 1.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Name {
    Attribute,
    Builtin(Builtin),
    /// `channel.<unique name>.<counter>`: the second step after the prefix is the unique name.
    Channel(Counter),
    WorkersAvailable,
    WorkersUnavailable,
    /// `workers.WA..`: the step after the prefix is the activity's SID.
    WorkersActivity,
    Clock(ClockName),
}

impl Reference {
    pub(crate) fn new(steps: Vec<Step>) -> Reference {
        let Some(Step::Key(first)) = steps.first() else { unreachable!("a path begins with a name") };
        let prefix = match first.as_str() {
            "task" => Prefix::Task,
            "worker" => Prefix::Worker,
            "workers" => Prefix::Workers,
            "taskrouter" => Prefix::Taskrouter,
            _ => Prefix::Bare,
        };
        let name = match prefix {
            Prefix::Bare => worker_name(&steps),
            Prefix::Task => Name::Attribute,
            Prefix::Worker => worker_name(&steps[1..]),
            Prefix::Workers => workers_name(&steps[1..]),
            Prefix::Taskrouter => clock_name(&steps[1..]),
        };
        Reference { steps: steps.into(), prefix, name }
    }

    /// The segments after the prefix; of a bare name all.
    pub(crate) fn stripped(&self) -> &[Step] {
        match self.prefix {
            Prefix::Bare => &self.steps,
            Prefix::Task | Prefix::Worker | Prefix::Workers | Prefix::Taskrouter => &self.steps[1..],
        }
    }
}

fn worker_name(steps: &[Step]) -> Name {
    match steps {
        [Step::Key(key)] => match key.as_str() {
            "sid" => Name::Builtin(Builtin::Sid),
            "friendly_name" => Name::Builtin(Builtin::FriendlyName),
            "activity_name" => Name::Builtin(Builtin::ActivityName),
            "activity_sid" => Name::Builtin(Builtin::ActivitySid),
            _ => Name::Attribute,
        },
        [Step::Key(channel), Step::Key(_), Step::Key(counter)] if channel == "channel" => match counter.as_str() {
            "configured_capacity" => Name::Channel(Counter::ConfiguredCapacity),
            "assigned_tasks" => Name::Channel(Counter::AssignedTasks),
            "available_capacity_percentage" => Name::Channel(Counter::AvailableCapacityPercentage),
            _ => Name::Attribute,
        },
        _ => Name::Attribute,
    }
}

fn workers_name(steps: &[Step]) -> Name {
    match steps {
        [Step::Key(key)] => match key.as_str() {
            "available" => Name::WorkersAvailable,
            "unavailable" => Name::WorkersUnavailable,
            sid if sid.starts_with("WA") => Name::WorkersActivity,
            _ => Name::Attribute,
        },
        _ => Name::Attribute,
    }
}

fn clock_name(steps: &[Step]) -> Name {
    match steps {
        [Step::Key(key)] => match key.as_str() {
            "currentTime" => Name::Clock(ClockName::CurrentTime),
            "currentHour" => Name::Clock(ClockName::CurrentHour),
            "currentMin" => Name::Clock(ClockName::CurrentMin),
            "dayOfWeek" => Name::Clock(ClockName::DayOfWeek),
            _ => Name::Attribute,
        },
        _ => Name::Attribute,
    }
}
