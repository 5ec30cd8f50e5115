//! Text to tokens, one at a time, each with its span. Reference: routing, section 1.2.
//!
//! A path (`worker.levels.988ENsk[0]`) is one token: after a dot other rules hold than elsewhere (digits first, keywords as keys).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::expression::{Operator, Reference, Step};
use crate::number::Number;
use crate::syntax_error::{Span, SyntaxError};
use crate::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    And,
    Or,
    Not,
    /// Any operator but the `NOT ..` ones.
    Operator(Operator),
    Literal(Value),
    Reference(Reference),
    End,
}

pub(crate) struct Lexer<'a> {
    source: &'a str,
    offset: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(source: &'a str) -> Lexer<'a> {
        Lexer { source, offset: 0 }
    }

    pub(crate) fn source(&self) -> &'a str {
        self.source
    }

    pub(crate) fn next(&mut self) -> Result<(Token, Span), SyntaxError> {
        self.skip_white_space();
        let start = self.offset;
        let token = match self.peek() {
            None => Token::End,
            Some('(') => self.single(Token::Open),
            Some(')') => self.single(Token::Close),
            Some('[') => self.single(Token::ListOpen),
            Some(']') => self.single(Token::ListClose),
            Some(',') => self.single(Token::Comma),
            Some(quote @ ('\'' | '"')) => self.string(quote)?,
            Some('0'..='9') => self.number(),
            Some('-') if self.rest()[1..].starts_with(|next: char| next.is_ascii_digit()) => self.number(),
            Some(first) if is_name_start(first) => self.word()?,
            Some(_) => match OPERATORS.iter().find(|(spelling, _)| self.rest().starts_with(spelling)) {
                Some((spelling, operator)) => {
                    self.offset += spelling.len();
                    Token::Operator(*operator)
                }
                None => return Err(self.unrecognized()),
            },
        };
        Ok((token, Span::new(start, self.offset)))
    }

    /// Reads `name { "." segment | "[" digits "]" }`.
    pub(crate) fn path(&mut self) -> Result<Vec<Step>, SyntaxError> {
        let mut steps = alloc::vec![Step::Key(self.name().into())];
        loop {
            let before = self.offset;
            self.skip_white_space();
            match self.peek() {
                Some('.') => {
                    self.offset += 1;
                    self.skip_white_space();
                    if !self.peek().is_some_and(is_name_part) {
                        return Err(self.mismatched("IDENTIFIER"));
                    }
                    steps.push(Step::Key(self.name().into()));
                }
                Some('[') => {
                    self.offset += 1;
                    self.skip_white_space();
                    let digits = self.take_while(|char| char.is_ascii_digit());
                    if digits.is_empty() {
                        return Err(self.mismatched("INDEX"));
                    }
                    // What does not fit is past the end of every array, and so is the largest index.
                    steps.push(Step::Index(digits.parse().unwrap_or(u32::MAX)));
                    self.skip_white_space();
                    if self.peek() != Some(']') {
                        return Err(self.mismatched("']'"));
                    }
                    self.offset += 1;
                }
                _ => {
                    self.offset = before;
                    return Ok(steps);
                }
            }
        }
    }

    pub(crate) fn skip_white_space(&mut self) {
        self.take_while(|char| matches!(char, ' ' | '\t' | '\r' | '\n'));
    }

    fn rest(&self) -> &'a str {
        &self.source[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn single(&mut self, token: Token) -> Token {
        self.offset += 1;
        token
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|char| !accept(char)).unwrap_or(rest.len())];
        self.offset += taken.len();
        taken
    }

    fn name(&mut self) -> &'a str {
        self.take_while(is_name_part)
    }

    fn word(&mut self) -> Result<Token, SyntaxError> {
        let start = self.offset;
        let name = self.name();
        if let Some((_, token)) = KEYWORDS.iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(name)) {
            return Ok(token.clone());
        }
        self.offset = start;
        Ok(Token::Reference(Reference::new(self.path()?)))
    }

    fn number(&mut self) -> Token {
        let start = self.offset;
        if self.peek() == Some('-') {
            self.offset += 1;
        }
        self.take_while(|char| char.is_ascii_digit());
        let fraction =
            self.rest().strip_prefix('.').is_some_and(|after| after.starts_with(|next: char| next.is_ascii_digit()));
        if fraction {
            self.offset += 1;
            self.take_while(|char| char.is_ascii_digit());
        }
        let number =
            Number::from_token(&self.source[start..self.offset]).expect("it has just been read as a number token");
        Token::Literal(Value::Number(number))
    }

    fn string(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let start = self.offset;
        self.offset += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|char| char != quote && char != '\\'));
            match self.peek() {
                None => {
                    let span = Span::new(start, self.offset);
                    return Err(SyntaxError::new(
                        self.source,
                        span,
                        format!("missing {quote} at the end of the string"),
                    ));
                }
                Some('\\') => {
                    self.offset += 1;
                    text.extend(self.escaped());
                }
                Some(_) => {
                    self.offset += 1;
                    return Ok(Token::Literal(Value::Text(text.into())));
                }
            }
        }
    }

    /// Reads what follows a backslash; nothing at the end of the text.
    fn escaped(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.offset += char.len_utf8();
        Some(match char {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.code_point().unwrap_or('u'),
            other => other,
        })
    }

    /// Reads the four digits after `\u`, or a surrogate pair of two such escapes; a lone surrogate becomes U+FFFD, for
    /// strings are text.
    fn code_point(&mut self) -> Option<char> {
        let first = self.code_unit(0)?;
        self.offset += 4;
        let second = self.rest().strip_prefix("\\u").and_then(|_| self.code_unit(2));
        let units = [first, second.unwrap_or_default()];
        match char::decode_utf16(units).next() {
            Some(Ok(char)) => {
                if 0xffff < u32::from(char) {
                    self.offset += 6;
                }
                Some(char)
            }
            _ => Some(char::REPLACEMENT_CHARACTER),
        }
    }

    fn code_unit(&self, after: usize) -> Option<u16> {
        let digits = self.rest().get(after..after + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u16::from_str_radix(digits, 16).ok()
    }

    /// Complains about what stands here, whatever it is.
    fn mismatched(&self, expected: &str) -> SyntaxError {
        let start = self.offset;
        let mut end = start + self.rest().find(|char| !is_name_part(char)).unwrap_or(self.rest().len());
        if start == end {
            end += self.peek().map_or(0, char::len_utf8);
        }
        let given = if start == end { "<EOF>" } else { &self.source[start..end] };
        SyntaxError::new(self.source, Span::new(start, end), format!("mismatched input '{given}' expecting {expected}"))
    }

    /// Complains about a character that begins no token.
    ///
    /// TaskRouter reads `-x` as a number that failed and goes on behind it, hence the mangled name in its message (seen).
    fn unrecognized(&self) -> SyntaxError {
        let start = self.offset;
        let mut chars = self.rest().chars();
        let first = chars.next().expect("called at a character");
        if first == '-' && chars.as_str().starts_with(is_name_part) {
            let letter = chars.next().expect("it starts with one");
            let mangled = chars.as_str();
            let name = &mangled[..mangled.find(|char| !is_name_part(char)).unwrap_or(mangled.len())];
            let end = start + first.len_utf8() + letter.len_utf8() + name.len();
            let message = match name {
                "" => format!("token recognition error at: '-{letter}'"),
                _ => format!("extraneous input '{name}' expecting OPERATOR"),
            };
            let error = SyntaxError::new(self.source, Span::new(start, end), message);
            return error.with_hint("a name cannot contain a hyphen, and there is no arithmetic");
        }
        let span = Span::new(start, start + first.len_utf8());
        let error = SyntaxError::new(self.source, span, format!("token recognition error at: '{first}'"));
        match first {
            '&' => error.with_hint("write AND"),
            '|' => error.with_hint("write OR"),
            '!' => error.with_hint("write NOT"),
            '+' | '-' | '*' | '/' | '%' => error.with_hint("there is no arithmetic"),
            _ => error,
        }
    }
}

/// Longer spellings before those that they begin with.
const OPERATORS: [(&str, Operator); 8] = [
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
];

const KEYWORDS: [(&str, Token); 9] = [
    ("AND", Token::And),
    ("OR", Token::Or),
    ("NOT", Token::Not),
    ("IN", Token::Operator(Operator::In)),
    ("HAS", Token::Operator(Operator::Has)),
    ("CONTAINS", Token::Operator(Operator::Contains)),
    ("true", Token::Literal(Value::Bool(true))),
    ("false", Token::Literal(Value::Bool(false))),
    ("null", Token::Literal(Value::Null)),
];

pub(crate) fn is_name_start(char: char) -> bool {
    char.is_ascii_alphabetic() || matches!(char, '_' | '$') || (!char.is_ascii() && char.is_alphabetic())
}

pub(crate) fn is_name_part(char: char) -> bool {
    is_name_start(char) || char.is_ascii_digit()
}
