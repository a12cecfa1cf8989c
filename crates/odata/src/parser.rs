//! The grammar of `$filter`, `$orderby` and lists of names.
//!
//! Owns precedence (OData 4.01 part 2, 5.1.1: `in`, `not`, `gt ge lt le`, `eq ne`, `and`, `or`,
//! tightest first, so `not A eq B` is `(not A) eq B`) and the limits on what is read.
//! Must not know any schema. Comparisons don't chain: `A eq B eq C` needs parentheses.

use sanntid_types::{Error, Result};

use crate::ast::{At, CompareOp, Expr, IN_SEGMENT, Name, OrderKey, Value};
use crate::lexer::{Lexer, Token, error, shorten};

/// The longest text of one option, in bytes.
pub const OPTION_BYTES_MAX: usize = 8 * 1024;
/// How deep parentheses and `not` nest.
pub const DEPTH_MAX: usize = 64;
/// The most literals of one `in (…)`.
pub const LIST_LEN_MAX: usize = 1000;

/// Operators of OData that this grammar knows only to refuse them by name.
const OTHER_OPERATORS: [&str; 7] = ["add", "sub", "mul", "div", "divby", "mod", "has"];

/// Reads the text of `$filter`.
pub fn parse_filter(text: &str) -> Result<Expr> {
    let mut parser = Parser::new("$filter", text)?;
    let expr = parser.any_of()?;
    parser.end("an operator or the end")?;
    Ok(expr)
}

/// Reads the text of `$orderby`: `Name [asc|desc]`, separated by commas.
pub fn parse_order(text: &str) -> Result<Vec<OrderKey>> {
    let mut parser = Parser::new("$orderby", text)?;
    let mut keys = Vec::new();
    loop {
        let name = parser.name()?;
        let descending = parser.takes_word("desc")?;
        if !descending {
            parser.takes_word("asc")?;
        }
        keys.push(OrderKey { name, descending });
        if !parser.takes(&Token::Comma)? {
            parser.end("`asc`, `desc`, `,` or the end")?;
            return Ok(keys);
        }
    }
}

/// Reads the text of `option` as names separated by commas.
pub fn parse_names(option: &str, text: &str) -> Result<Vec<Name>> {
    let mut parser = Parser::new(option, text)?;
    let mut names = Vec::new();
    loop {
        names.push(parser.name()?);
        if !parser.takes(&Token::Comma)? {
            parser.end("`,` or the end")?;
            return Ok(names);
        }
    }
}

/// Refuses a text that is longer than any honest one.
pub(crate) fn check_length(option: &str, text: &str) -> Result<()> {
    if text.len() <= OPTION_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "expected at most {OPTION_BYTES_MAX} bytes, got {}",
        text.len()
    );
    let kept = text
        .char_indices()
        .take_while(|(at, _)| *at < OPTION_BYTES_MAX);
    let at = kept.count() + 1;
    Err(error(option, At(at), message))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    at: At,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(option: &'a str, text: &'a str) -> Result<Self> {
        check_length(option, text)?;
        let mut lexer = Lexer::new(option, text);
        let (token, at) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            at,
            depth: 0,
        })
    }

    fn any_of(&mut self) -> Result<Expr> {
        self.joined("or", Expr::Or, Self::all_of)
    }

    fn all_of(&mut self) -> Result<Expr> {
        self.joined("and", Expr::And, Self::equality)
    }

    fn joined(
        &mut self,
        word: &str,
        join: fn(Vec<Expr>) -> Expr,
        member: fn(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let first = member(self)?;
        if !self.takes_word(word)? {
            return Ok(first);
        }
        let mut members = vec![first];
        loop {
            members.push(member(self)?);
            if !self.takes_word(word)? {
                return Ok(join(members));
            }
        }
    }

    fn equality(&mut self) -> Result<Expr> {
        self.comparison(&[CompareOp::Eq, CompareOp::Ne], Self::relation)
    }

    fn relation(&mut self) -> Result<Expr> {
        use CompareOp::{Ge, Gt, Le, Lt};
        self.comparison(&[Gt, Ge, Lt, Le], Self::unary)
    }

    fn comparison(
        &mut self,
        ops: &[CompareOp],
        operand: fn(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let left = operand(self)?;
        let Some(op) = self.takes_operator(ops)? else {
            return Ok(left);
        };
        let right = operand(self)?;
        let at = self.at;
        if let Some(second) = self.takes_operator(ops)? {
            let word = second.word();
            let message = format!("a second `{word}`: comparisons don't chain, use parentheses");
            return Err(error(self.lexer.option, at, message));
        }
        Ok(Expr::Compare(Box::new(left), op, Box::new(right)))
    }

    fn unary(&mut self) -> Result<Expr> {
        if self.takes_word("not")? {
            return self.deeper(|parser| Ok(Expr::Not(Box::new(parser.unary()?))));
        }
        let operand = self.primary()?;
        if !self.takes_word("in")? {
            return Ok(operand);
        }
        self.expect(&Token::Open, "`(` and a list of literals")?;
        let mut list = Vec::new();
        loop {
            if list.len() == LIST_LEN_MAX {
                let message = format!("expected at most {LIST_LEN_MAX} literals in one list");
                return Err(error(self.lexer.option, self.at, message));
            }
            let at = self.at;
            let Some(value) = self.takes_value()? else {
                return Err(self.unexpected("a literal"));
            };
            list.push((value, at));
            if !self.takes(&Token::Comma)? {
                self.expect(&Token::Close, "`,` or `)`")?;
                return Ok(Expr::In(Box::new(operand), list));
            }
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        let at = self.at;
        if self.takes(&Token::Open)? {
            return self.deeper(|parser| {
                let inner = parser.any_of()?;
                parser.expect(&Token::Close, "an operator or `)`")?;
                Ok(inner)
            });
        }
        if let Some(value) = self.takes_value()? {
            return Ok(Expr::Value(value, at));
        }
        let Token::Word(word) = self.token else {
            return Err(self.unexpected("an attribute, a literal, `not` or `(`"));
        };
        self.advance()?;
        if self.token == Token::Open {
            if word.eq_ignore_ascii_case(IN_SEGMENT) {
                return self.segment(at);
            }
            let message = format!("function {} is not supported", shorten(word));
            return Err(error(self.lexer.option, at, message));
        }
        let text = word.to_owned();
        Ok(Expr::Name(Name { text, at }))
    }

    /// What stands behind the name of the function: one string in parentheses.
    fn segment(&mut self, at: At) -> Result<Expr> {
        self.advance()?;
        let Token::Value(Value::Text(name)) = &self.token else {
            return Err(self.unexpected("the name of a segment in single quotes"));
        };
        let name = name.clone();
        self.advance()?;
        self.expect(&Token::Close, "`)`")?;
        Ok(Expr::InSegment(name, at))
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Result<Expr>) -> Result<Expr> {
        if self.depth == DEPTH_MAX {
            let message = format!("expected at most {DEPTH_MAX} levels of parentheses and `not`");
            return Err(error(self.lexer.option, self.at, message));
        }
        self.depth += 1;
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn name(&mut self) -> Result<Name> {
        let Token::Word(word) = self.token else {
            return Err(self.unexpected("a name"));
        };
        let (text, at) = (word.to_owned(), self.at);
        self.advance()?;
        Ok(Name { text, at })
    }

    fn takes_value(&mut self) -> Result<Option<Value>> {
        let value = match &self.token {
            Token::Value(value) => value.clone(),
            Token::Word(word @ ("INF" | "NaN")) => Value::Number((*word).to_owned()),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Value::Null,
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Token::Word(_) | Token::Open | Token::Close | Token::Comma | Token::End => {
                return Ok(None);
            }
        };
        self.advance()?;
        Ok(Some(value))
    }

    fn takes_operator(&mut self, ops: &[CompareOp]) -> Result<Option<CompareOp>> {
        for op in ops {
            if self.takes_word(op.word())? {
                return Ok(Some(*op));
            }
        }
        Ok(None)
    }

    /// Operators are case-insensitive (OData 4.01).
    fn takes_word(&mut self, wanted: &str) -> Result<bool> {
        let found = matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn takes(&mut self, wanted: &Token<'_>) -> Result<bool> {
        let found = self.token == *wanted;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, wanted: &Token<'_>, expected: &str) -> Result<()> {
        if self.takes(wanted)? {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    fn end(&mut self, expected: &str) -> Result<()> {
        if self.token == Token::End {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    fn advance(&mut self) -> Result<()> {
        (self.token, self.at) = self.lexer.next()?;
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> Error {
        let message = match self.token {
            Token::Word(word)
                if expected.starts_with("an operator")
                    && OTHER_OPERATORS
                        .iter()
                        .any(|other| word.eq_ignore_ascii_case(other)) =>
            {
                format!("operator {word} is not supported")
            }
            _ => format!("expected {expected}, got {}", self.token.shown()),
        };
        error(self.lexer.option, self.at, message)
    }
}
