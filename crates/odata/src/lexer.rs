//! Words, literals and punctuation of an option's text.
//! Owns the shape of literals and the form of error messages. Must not know the grammar.

use std::fmt;

use sanntid_types::{EdmType, Error, ErrorCode, Literal, LiteralError, Result};

use crate::ast::{At, Value};

/// Makes the error of `option` at a character.
pub(crate) fn error(option: &str, at: At, message: impl fmt::Display) -> Error {
    let text = format!("{option}, character {}: {message}", at.0);
    Error::new(ErrorCode::InvalidArgument, text).with_target(option)
}

/// Cuts what a caller wrote to what a message may hold.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A name, an operator, or one of `null true false INF NaN`: the parser knows by the place.
    Word(&'a str),
    Value(Value),
    Open,
    Close,
    Comma,
    End,
}

impl Token<'_> {
    /// The token as a message shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", shorten(word)),
            Self::Value(value) => format!("`{}`", shorten(&value.to_string())),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    pub(crate) option: &'a str,
    rest: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(option: &'a str, text: &'a str) -> Self {
        Self {
            option,
            rest: text,
            at: 1,
        }
    }

    pub(crate) fn next(&mut self) -> Result<(Token<'a>, At)> {
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        let blanks = self.rest.len() - trimmed.len();
        self.take(blanks);
        let at = At(self.at);
        let Some(first) = self.rest.chars().next() else {
            return Ok((Token::End, at));
        };
        let mark = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            ',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = mark {
            self.take(1);
            return Ok((token, at));
        }
        if first == '\'' {
            return Ok((Token::Value(Value::Text(self.text(at)?)), at));
        }
        let length = self
            .rest
            .find(|c: char| !is_word(c))
            .unwrap_or(self.rest.len());
        let word = self.take(length);
        if word.is_empty() {
            return Err(error(self.option, at, unexpected(first)));
        }
        let token = classify(word).map_err(|message| error(self.option, at, message))?;
        Ok((token, at))
    }

    /// Reads a string literal; the next character is its first quote.
    fn text(&mut self, at: At) -> Result<String> {
        let mut value = String::new();
        self.take(1);
        loop {
            let Some(end) = self.rest.find('\'') else {
                return Err(error(
                    self.option,
                    at,
                    "the string that begins here has no closing `'` (a quote within is `''`)",
                ));
            };
            value.push_str(self.take(end));
            self.take(1);
            if !self.rest.starts_with('\'') {
                return Ok(value);
            }
            value.push('\'');
            self.take(1);
        }
    }

    /// Goes on by `bytes`, which end at a character, and gives what was passed.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.at += passed.chars().count();
        self.rest = rest;
        passed
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '+' | '-')
}

fn unexpected(first: char) -> String {
    let hint = match first {
        '"' => "strings stand in single quotes",
        '=' | '<' | '>' | '!' | '&' | '|' => {
            "the operators are eq, ne, gt, ge, lt, le, in, and, or, not"
        }
        '/' => "paths are not supported, attributes have plain names",
        _ => "expected a name, a literal or a parenthesis",
    };
    if first.is_control() {
        format!("unexpected `{}`: {hint}", first.escape_debug())
    } else {
        format!("unexpected `{first}`: {hint}")
    }
}

fn classify(word: &str) -> std::result::Result<Token<'_>, String> {
    if shape(word) == "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" {
        return Ok(Token::Value(Value::Guid(word.to_owned())));
    }
    let bare = word.strip_prefix('+').unwrap_or(word);
    let check = |edm, text: &str| {
        Literal::from_text(edm, None, text)
            .map(|_| text.to_owned())
            .map_err(|problem: LiteralError| problem.to_string())
    };
    let numeric = bare.strip_prefix('-').unwrap_or(bare);
    if numeric.starts_with(|c: char| c.is_ascii_digit()) {
        let shape = shape(word).replace('x', "d");
        if shape == "dddd-dd-dd" {
            return check(EdmType::Date, word).map(|text| Token::Value(Value::Date(text)));
        }
        if is_date_before_t(word) {
            let text = check(EdmType::DateTimeOffset, &with_seconds(word))?;
            return Ok(Token::Value(Value::Instant(text)));
        }
        if shape.starts_with("dd:") {
            return check(EdmType::TimeOfDay, word).map(|text| Token::Value(Value::Time(text)));
        }
        if check(EdmType::Decimal, bare).is_ok() {
            return Ok(Token::Value(Value::Number(bare.to_owned())));
        }
    }
    if word == "-INF" {
        return Ok(Token::Value(Value::Number(word.to_owned())));
    }
    if word.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(Token::Word(word));
    }
    Err(format!(
        "`{}` is neither a name nor a literal: expected a name of letters, digits and `_`, a \
         number, a date, a time, a UUID or a string in single quotes",
        shorten(word)
    ))
}

/// The word with each hexadecimal digit as `x`.
fn shape(word: &str) -> String {
    let mark = |c: char| if c.is_ascii_hexdigit() { 'x' } else { c };
    word.chars().map(mark).collect()
}

fn is_date_before_t(word: &str) -> bool {
    word.split_once(['T', 't']).is_some_and(|(date, _)| {
        date.len() == 10 && date.chars().all(|c| c.is_ascii_digit() || c == '-')
    })
}

/// OData lets the seconds of a time be left out, RFC 3339 does not.
fn with_seconds(text: &str) -> String {
    // `YYYY-MM-DDTHH:MM` has 16 characters.
    match text.split_at_checked(16) {
        Some((minutes, rest)) if minutes.ends_with(|c: char| c.is_ascii_digit()) => {
            let missing = !rest.starts_with(':');
            format!("{minutes}{}{rest}", if missing { ":00" } else { "" })
        }
        _ => text.to_owned(),
    }
}
