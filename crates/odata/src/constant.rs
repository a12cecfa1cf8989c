//! Literals of a bound filter, read once.
//! Owns a value that outlives the filter's text. Must not decide which literals fit an attribute.

use std::borrow::Cow;

use sanntid_types::{EdmType, Literal, Scalar};

/// Holds a literal that was checked against a type, ready to compare.
#[derive(Clone, Debug)]
pub struct Constant {
    edm: EdmType,
    literal: Literal,
    ready: Ready,
}

#[derive(Clone, Debug)]
enum Ready {
    Read(Scalar<'static>),
    /// A number borrows its literal's text; finding its digits there costs next to nothing.
    Number,
}

impl Constant {
    /// Takes a literal that was read as `edm`; `None` where it is none of that type.
    pub(crate) fn new(edm: EdmType, literal: Literal) -> Option<Self> {
        let ready = match literal.scalar(edm)? {
            Scalar::Number(_) => Ready::Number,
            Scalar::Null => Ready::Read(Scalar::Null),
            Scalar::Boolean(value) => Ready::Read(Scalar::Boolean(value)),
            Scalar::Double(value) => Ready::Read(Scalar::Double(value)),
            Scalar::Text(text) => Ready::Read(Scalar::Text(Cow::Owned(text.into_owned()))),
            Scalar::Date(value) => Ready::Read(Scalar::Date(value)),
            Scalar::Instant(value) => Ready::Read(Scalar::Instant(value)),
            Scalar::Time(value) => Ready::Read(Scalar::Time(value)),
            Scalar::Guid(value) => Ready::Read(Scalar::Guid(value)),
        };
        Some(Self {
            edm,
            literal,
            ready,
        })
    }

    /// The type as which the literal was read; `Edm.Decimal` for all integer types.
    pub fn edm(&self) -> EdmType {
        self.edm
    }

    /// The literal.
    pub fn literal(&self) -> &Literal {
        &self.literal
    }

    /// The value for comparing.
    pub fn scalar(&self) -> Scalar<'_> {
        match &self.ready {
            Ready::Number => self.literal.scalar(self.edm).unwrap_or(Scalar::Null),
            Ready::Read(Scalar::Text(text)) => Scalar::Text(Cow::Borrowed(text)),
            Ready::Read(other) => other.clone(),
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.ready {
            Ready::Read(Scalar::Text(text)) => Some(text),
            Ready::Read(_) | Ready::Number => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.literal.is_null()
    }
}
