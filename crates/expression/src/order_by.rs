//! `order_by` of a workflow's target: `worker.level DESC, worker.age`. Reference: routing, section 2.7.
//!
//! A worker's [`Keys`] are computed once and compared as they are: the direction of each clause is in them.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use crate::evaluate::{Datum, reference_of_worker};
use crate::expression::{Prefix, Reference};
use crate::number::Number;
use crate::parse::check_length;
use crate::print;
use crate::reads::Reads;
use crate::scope::{Place, WorkerView};
use crate::syntax_error::{Span, SyntaxError};
use crate::token::{Lexer, Token};

/// The clauses of an order, the most significant first; at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderBy {
    clauses: Box<[Clause]>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Clause {
    reference: Reference,
    direction: Direction,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Direction {
    /// The least first; the default.
    Ascending,
    /// The greatest first.
    Descending,
}

/// What a worker has for one clause. Ordered: who comes first is the lesser; who lacks the attribute comes last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An integer, of an ascending clause.
    Ascending(Number),
    /// An integer, of a descending clause.
    Descending(Reverse<Number>),
    /// Nothing, or null.
    Missing,
    /// Something that is not an integer: if any candidate has one, the whole order is ignored for this match.
    Unusable,
}

/// A worker's keys, one per clause. Ordered: who is to be preferred is the lesser. Compare keys of the same [`OrderBy`] only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keys(pub Box<[Key]>);

impl Keys {
    /// Whether no clause spoils the order.
    pub fn is_usable(&self) -> bool {
        !self.0.contains(&Key::Unusable)
    }
}

impl OrderBy {
    /// Parses `worker.<path> [ASC | DESC] {, ..}`.
    ///
    /// - Errors: the first fault; a blank text is one (the caller treats it as absent).
    pub fn parse(text: &str) -> Result<OrderBy, SyntaxError> {
        check_length(text)?;
        let mut lexer = Lexer::new(text);
        let mut clauses = Vec::new();
        loop {
            let reference = match lexer.next()? {
                (Token::Reference(reference), _) if reference.prefix == Prefix::Worker => reference,
                (token, span) => return Err(mismatched(text, &token, span, "'worker.'")),
            };
            let (mut token, mut span) = lexer.next()?;
            let direction = direction(&token, span.text(text));
            if direction.is_some() {
                (token, span) = lexer.next()?;
            }
            clauses.push(Clause { reference, direction: direction.unwrap_or(Direction::Ascending) });
            match token {
                Token::Comma => {}
                Token::End => return Ok(OrderBy { clauses: clauses.into() }),
                _ if direction.is_some() => return Err(mismatched(text, &token, span, "{',', <EOF>}")),
                _ => return Err(mismatched(text, &token, span, "{ASC, DESC, ',', <EOF>}")),
            }
        }
    }

    /// The number of clauses.
    pub fn clauses_count(&self) -> usize {
        self.clauses.len()
    }

    /// What `worker` has for each clause.
    pub fn keys(&self, worker: &dyn WorkerView) -> Keys {
        Keys(self.clauses.iter().map(|clause| clause.key(worker)).collect())
    }

    /// What the order depends on.
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        self.clauses.iter().for_each(|clause| reads.add(&clause.reference, Place::Target));
        reads
    }
}

impl Clause {
    fn key(&self, worker: &dyn WorkerView) -> Key {
        match (reference_of_worker(&self.reference, worker), self.direction) {
            (Datum::Number(number), Direction::Ascending) if number.is_integer() => Key::Ascending(number),
            (Datum::Number(number), Direction::Descending) if number.is_integer() => Key::Descending(Reverse(number)),
            (Datum::Null, _) => Key::Missing,
            _ => Key::Unusable,
        }
    }
}

fn direction(token: &Token, text: &str) -> Option<Direction> {
    match token {
        Token::Reference(_) if text.eq_ignore_ascii_case("ASC") => Some(Direction::Ascending),
        Token::Reference(_) if text.eq_ignore_ascii_case("DESC") => Some(Direction::Descending),
        _ => None,
    }
}

fn mismatched(source: &str, token: &Token, span: Span, expected: &str) -> SyntaxError {
    let given = if *token == Token::End { "<EOF>" } else { span.text(source) };
    SyntaxError::new(source, span, format!("mismatched input '{given}' expecting {expected}"))
}

/// Canonical text; it parses to an equal order.
impl fmt::Display for OrderBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.clauses.iter().enumerate() {
            if 0 < index {
                out.write_str(", ")?;
            }
            print::path(&clause.reference.steps, out)?;
            out.write_str(match clause.direction {
                Direction::Ascending => " ASC",
                Direction::Descending => " DESC",
            })?;
        }
        Ok(())
    }
}
