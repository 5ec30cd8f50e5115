//! Tokens to tree: one function per rule of the grammar. Reference: routing, section 1.3.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::expression::{Comparison, Item, Node, Operand, Operator};
use crate::limits::{EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX, LIST_ITEMS_MAX};
use crate::syntax_error::{Span, SyntaxError};
use crate::token::{Lexer, Token};

/// `expression = disjunction , EOF`
pub(crate) fn expression(source: &str) -> Result<Node, SyntaxError> {
    check_length(source)?;
    let mut parser = Parser::new(source)?;
    let node = parser.disjunction()?;
    match parser.token {
        Token::End => Ok(node),
        Token::And | Token::Or => unreachable!("the rules take these as long as there are any"),
        _ => Err(parser.extraneous("{AND, OR, <EOF>}")),
    }
}

/// Refuses a text of more than [`EXPRESSION_CHARS_MAX`] characters.
pub(crate) fn check_length(source: &str) -> Result<(), SyntaxError> {
    let Some((excess, _)) = source.char_indices().nth(EXPRESSION_CHARS_MAX) else { return Ok(()) };
    let chars = source.chars().count();
    let message = format!("{chars} characters, at most {EXPRESSION_CHARS_MAX} are allowed");
    Err(SyntaxError::new(source, Span::new(excess, source.len()), message))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    span: Span,
    /// End of the token before.
    previous_end: u32,
    /// Parentheses open.
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Result<Parser<'a>, SyntaxError> {
        let mut lexer = Lexer::new(source);
        let (token, span) = lexer.next()?;
        Ok(Parser { lexer, token, span, previous_end: 0, depth: 0 })
    }

    /// Moves on by one token and returns the one left behind.
    fn advance(&mut self) -> Result<Token, SyntaxError> {
        let (token, span) = self.lexer.next()?;
        self.previous_end = self.span.end;
        self.span = span;
        Ok(core::mem::replace(&mut self.token, token))
    }

    /// `disjunction = conjunction , { OR , conjunction }`
    fn disjunction(&mut self) -> Result<Node, SyntaxError> {
        let mut members = Vec::from([self.conjunction()?]);
        while self.token == Token::Or {
            self.advance()?;
            members.push(self.conjunction()?);
        }
        Ok(Node::any(members))
    }

    /// `conjunction = negation , { AND , negation }`
    fn conjunction(&mut self) -> Result<Node, SyntaxError> {
        let mut members = Vec::from([self.negation()?]);
        while self.token == Token::And {
            self.advance()?;
            members.push(self.negation()?);
        }
        Ok(Node::all(members))
    }

    /// `negation = { NOT } , primary`
    fn negation(&mut self) -> Result<Node, SyntaxError> {
        let mut negated = false;
        while self.token == Token::Not {
            self.advance()?;
            negated = !negated;
        }
        let primary = self.primary()?;
        Ok(if negated { primary.not() } else { primary })
    }

    /// `primary = "(" , disjunction , ")" | comparison`
    fn primary(&mut self) -> Result<Node, SyntaxError> {
        if self.token != Token::Open {
            return self.comparison();
        }
        if self.depth == EXPRESSION_DEPTH_MAX {
            let message = format!("nested deeper than {EXPRESSION_DEPTH_MAX} parentheses");
            return Err(SyntaxError::new(self.lexer.source(), self.span, message));
        }
        self.depth += 1;
        self.advance()?;
        let inner = self.disjunction()?;
        if self.token != Token::Close {
            return Err(self.mismatched("{AND, OR, ')'}"));
        }
        self.advance()?;
        self.depth -= 1;
        Ok(inner)
    }

    /// `comparison = operand , operator , operand`
    fn comparison(&mut self) -> Result<Node, SyntaxError> {
        let start = self.span.start;
        let left = self.operand()?;
        let (operator, negated) = self.operator()?;
        let right = self.operand()?;
        let span = Span { start, end: self.previous_end };
        let node = Node::Compare(Comparison { left, operator, right, span });
        Ok(if negated { node.not() } else { node })
    }

    /// The operator, and whether its result is to be negated.
    fn operator(&mut self) -> Result<(Operator, bool), SyntaxError> {
        match self.token {
            Token::Operator(operator) => {
                self.advance()?;
                Ok((operator, false))
            }
            Token::Not => {
                self.advance()?;
                let negated = match self.token {
                    Token::Operator(Operator::In) => (Operator::NotIn, false),
                    Token::Operator(operator @ (Operator::Has | Operator::Contains)) => (operator, true),
                    _ => return Err(self.mismatched("{IN, HAS, CONTAINS}")),
                };
                self.advance()?;
                Ok(negated)
            }
            Token::Literal(_) | Token::Reference(_) => Err(self.extraneous("OPERATOR")),
            _ => Err(self.mismatched("OPERATOR")),
        }
    }

    /// `operand = string | number | boolean | null | list | reference`
    fn operand(&mut self) -> Result<Operand, SyntaxError> {
        match self.token {
            Token::Literal(_) | Token::Reference(_) => Ok(match self.item()? {
                Item::Literal(value) => Operand::Literal(value),
                Item::Reference(reference) => Operand::Reference(reference),
            }),
            Token::ListOpen => self.list(),
            Token::Open => Err(self.mismatched("OPERAND").with_hint("write a list in brackets: ['a', 'b']")),
            _ => Err(self.mismatched("OPERAND")),
        }
    }

    /// `list = "[" , [ item , { "," , item } ] , "]"`
    fn list(&mut self) -> Result<Operand, SyntaxError> {
        self.advance()?;
        let mut items = Vec::new();
        if self.token != Token::ListClose {
            items.push(self.item()?);
            while self.token == Token::Comma {
                self.advance()?;
                if items.len() == LIST_ITEMS_MAX {
                    let message = format!("more than {LIST_ITEMS_MAX} items in a list");
                    return Err(SyntaxError::new(self.lexer.source(), self.span, message));
                }
                items.push(self.item()?);
            }
        }
        if self.token != Token::ListClose {
            return Err(self.mismatched("{',', ']'}"));
        }
        self.advance()?;
        Ok(Operand::list(items))
    }

    /// `item = string | number | boolean | null | reference`
    fn item(&mut self) -> Result<Item, SyntaxError> {
        if !matches!(self.token, Token::Literal(_) | Token::Reference(_)) {
            return Err(self.mismatched("ITEM"));
        }
        Ok(match self.advance()? {
            Token::Literal(value) => Item::Literal(value),
            Token::Reference(reference) => Item::Reference(reference),
            _ => unreachable!("looked at above"),
        })
    }

    /// The token is of the wrong kind.
    fn mismatched(&self, expected: &str) -> SyntaxError {
        self.unexpected("mismatched", expected)
    }

    /// Without the token the text could go on.
    fn extraneous(&self, expected: &str) -> SyntaxError {
        self.unexpected("extraneous", expected)
    }

    fn unexpected(&self, fault: &str, expected: &str) -> SyntaxError {
        let source = self.lexer.source();
        let given = match self.token {
            Token::End => "<EOF>",
            _ => self.span.text(source),
        };
        let message: String = format!("{fault} input '{given}' expecting {expected}");
        SyntaxError::new(source, self.span, message)
    }
}
