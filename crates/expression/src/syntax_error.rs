//! Where and why a text does not parse.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// Bytes `start..end` of a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        let saturate = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX); // only over-long texts, refused anyway
        Span { start: saturate(start), end: saturate(end) }
    }

    /// The piece of `source` that it covers; empty if `source` is another text.
    pub fn text(self, source: &str) -> &str {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A text that is not an expression, an order or a known-worker reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, as `mismatched input '<EOF>' expecting OPERATOR`. Reference: routing, section 1.8 (seen).
    pub message: String,
    /// What the writer probably meant.
    pub hint: Option<&'static str>,
    /// The offending piece.
    pub span: Span,
    /// Line of its start, from 1.
    pub line: usize,
    /// Column of its start, from 1, in characters.
    pub column: usize,
    /// Two lines for people: the line of the source, at most 72 characters of it, and a caret below
    /// the column.
    pub excerpt: String,
}

/// Characters of the source that an excerpt shows at most.
const EXCERPT_CHARS_MAX: usize = 72;

impl SyntaxError {
    pub(crate) fn new(source: &str, span: Span, message: String) -> SyntaxError {
        let before = source.get(..span.start as usize).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        SyntaxError {
            message,
            hint: None,
            span,
            line: before.matches('\n').count() + 1,
            column,
            excerpt: excerpt(source[line_start..].lines().next().unwrap_or_default(), column),
        }
    }

    pub(crate) fn with_hint(self, hint: &'static str) -> SyntaxError {
        SyntaxError { hint: Some(hint), ..self }
    }

    /// Shows the line of `source` with carets under the offending piece, and the message.
    ///
    /// ```text
    /// 1 | level >
    ///   |        ^ mismatched input '<EOF>' expecting OPERAND
    /// ```
    pub fn caret(&self, source: &str) -> String {
        let line = source.split('\n').nth(self.line - 1).unwrap_or_default().trim_end_matches('\r');
        let before = self.column - 1;
        let covered = self.span.text(source).split('\n').next().unwrap_or_default().chars().count();
        let width = covered.clamp(1, line.chars().count().saturating_sub(before).max(1));
        let number = format!("{}", self.line);
        let gutter = " ".repeat(number.len());
        let indent: String = line.chars().take(before).map(|char| if char == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(width);
        let hint = self.hint.map_or_else(String::new, |hint| format!("\n{gutter} = {hint}"));
        format!("{number} | {line}\n{gutter} | {indent}{carets} {}{hint}", self.message)
    }
}

/// The part of a line around a column (from 1), and a caret below that column.
fn excerpt(line: &str, column: usize) -> String {
    let first = column.saturating_sub(EXCERPT_CHARS_MAX / 2 + 1);
    let cut = if first == 0 { "" } else { "…" };
    let mut rest = line.chars().skip(first);
    let shown = rest.by_ref().take(EXCERPT_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char });
    let shown: String = shown.collect();
    let more = if rest.next().is_some() { "…" } else { "" };
    let before = " ".repeat(cut.chars().count() + column - 1 - first);
    format!("{cut}{shown}{more}\n{before}^")
}

/// The message and its place, on one line.
impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}:{} {}", self.line, self.column, self.message)?;
        match self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for SyntaxError {}
