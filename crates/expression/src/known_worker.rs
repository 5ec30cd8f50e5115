//! `known_worker_sid` and `known_worker_friendly_name` of a workflow's target. Reference: routing, section 2.6.

use alloc::format;
use core::fmt;

use crate::evaluate::walk;
use crate::expression::{Prefix, Reference};
use crate::parse::check_length;
use crate::syntax_error::{Span, SyntaxError};
use crate::token::{Lexer, Token};
use crate::value::Value;

/// Which worker a task asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KnownWorker(Form);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// `task.<path>`
    Reference(Reference),
    /// A worker's SID, as text.
    Sid(Value),
}

impl KnownWorker {
    /// Parses `task.<path>` or the SID of a worker.
    ///
    /// - Errors: anything else; among it templates such as `{{task.agent}}`.
    pub fn parse(text: &str) -> Result<KnownWorker, SyntaxError> {
        check_length(text)?;
        let whole = Span::new(0, text.len());
        let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
        if trimmed.contains("{{") {
            let error = SyntaxError::new(text, whole, format!("mismatched input '{trimmed}' expecting 'task.'"));
            return Err(error.with_hint("templates are not filled in here: write task.<name>"));
        }
        if is_worker_sid(trimmed) {
            return Ok(KnownWorker(Form::Sid(trimmed.into())));
        }
        let mut lexer = Lexer::new(text);
        let reference = match lexer.next()? {
            (Token::Reference(reference), _)
                if reference.prefix == Prefix::Task && !reference.stripped().is_empty() =>
            {
                reference
            }
            (token, span) => {
                let given = if token == Token::End { "<EOF>" } else { span.text(text) };
                let message = format!("mismatched input '{given}' expecting {{'task.', WORKER_SID}}");
                return Err(SyntaxError::new(text, span, message));
            }
        };
        match lexer.next()? {
            (Token::End, _) => Ok(KnownWorker(Form::Reference(reference))),
            (_, span) => {
                let message = format!("extraneous input '{}' expecting <EOF>", span.text(text));
                Err(SyntaxError::new(text, span, message))
            }
        }
    }

    /// The value that names the worker, given the task's attributes; null if there is none.
    pub fn resolve<'a>(&'a self, task: &'a Value) -> &'a Value {
        match &self.0 {
            Form::Reference(reference) => walk(task, reference.stripped()),
            Form::Sid(sid) => sid,
        }
    }
}

fn is_worker_sid(text: &str) -> bool {
    text.strip_prefix("WK").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Canonical text; it parses to an equal reference.
impl fmt::Display for KnownWorker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Reference(reference) => reference.fmt(out),
            Form::Sid(sid) => out.write_str(sid.as_text().unwrap_or_default()),
        }
    }
}
