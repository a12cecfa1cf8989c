//! The tree of a filter as it was written, and how it prints.
//! Owns no meaning: names are not looked up and literals have no attribute's type yet.

use std::fmt;

/// The only function of filters that is known.
pub(crate) const IN_SEGMENT: &str = "IsMemberOfSegment";

/// Holds a place in an option's text: the number of a character, from 1.
///
/// All places are equal, so that trees compare by what they say and not by where they say it.
#[derive(Clone, Copy, Debug)]
pub struct At(pub usize);

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

/// Names an attribute (or, in `$expand`, a navigation property), in the caller's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub at: At,
}

/// Holds a literal. All but `Text` keep their text, which is valid for its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// A decimal number without a leading `+`, or `INF`, `-INF`, `NaN`.
    Number(String),
    /// A string, without quotes and with `''` read as `'`.
    Text(String),
    /// `YYYY-MM-DD`.
    Date(String),
    /// RFC 3339; without a zone it is UTC.
    Instant(String),
    /// `HH:MM`, `HH:MM:SS` or with a fraction.
    Time(String),
    Guid(String),
}

/// Says how two operands compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl CompareOp {
    /// The operator as it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// The operator that says the same with the operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Eq | Self::Ne => self,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
        }
    }
}

/// Holds an expression of `$filter`.
///
/// Invariant of parsed trees: `And` and `Or` have two or more members, `In` has a literal or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    Name(Name),
    Value(Value, At),
    Compare(Box<Self>, CompareOp, Box<Self>),
    In(Box<Self>, Vec<(Value, At)>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// `IsMemberOfSegment('…')`: whether the row's customer is in a segment of exactly this name.
    InSegment(String, At),
}

impl Expr {
    /// Where the expression's first operand stands.
    pub fn at(&self) -> At {
        match self {
            Self::Name(name) => name.at,
            Self::Value(_, at) | Self::InSegment(_, at) => *at,
            Self::Compare(left, ..) | Self::In(left, _) => left.at(),
            Self::And(members) | Self::Or(members) => members.first().map_or(At(1), Self::at),
            Self::Not(inner) => inner.at(),
        }
    }
}

/// Says by what to sort, and in which direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKey {
    pub name: Name,
    pub descending: bool,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Number(text)
            | Self::Date(text)
            | Self::Instant(text)
            | Self::Time(text)
            | Self::Guid(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Expr {
    /// Prints a text that parses to the same tree; every nested operand stands in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.text),
            Self::Value(value, _) => write!(f, "{value}"),
            Self::Compare(left, op, right) => {
                write!(f, "{} {} {}", Operand(left), op.word(), Operand(right))
            }
            Self::In(left, list) => {
                write!(f, "{} in (", Operand(left))?;
                for (index, (value, _)) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(")")
            }
            Self::And(members) => joined(f, members, " and "),
            Self::Or(members) => joined(f, members, " or "),
            Self::Not(inner) => write!(f, "not {}", Operand(inner)),
            Self::InSegment(name, _) => {
                write!(f, "{IN_SEGMENT}('{}')", name.replace('\'', "''"))
            }
        }
    }
}

struct Operand<'a>(&'a Expr);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Name(_) | Expr::Value(..) | Expr::InSegment(..) => write!(f, "{}", self.0),
            Expr::Compare(..) | Expr::In(..) | Expr::And(_) | Expr::Or(_) | Expr::Not(_) => {
                write!(f, "({})", self.0)
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, members: &[Expr], word: &str) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        write!(f, "{}", Operand(member))?;
    }
    Ok(())
}
