//! What a bound filter says about a row.
//!
//! Owns the meaning of null (OData 4.01 part 2, 5.1.1.1): `eq` and `ne` take null as a value equal
//! to itself alone; `gt ge lt le` with a null on either side are false, also between two nulls;
//! `in` is `eq` with any of the list. So only a boolean attribute or the literal can be null as a
//! condition; `and or not` then follow Kleene: `false and null` is false, `true or null` is true,
//! every other combination with null is null. A row matches where the whole is true.
//! Must not fail: a value that is none of its attribute's type counts as null.

use std::borrow::Cow;
use std::cmp::Ordering;

use sanntid_types::{Row, Scalar, scalar_of};

use crate::ast::CompareOp;
use crate::bind::{BoundFilter, Condition, Operand};
use crate::constant::Constant;

/// Gives the values of one row.
pub trait Fields {
    /// The JSON text of the value at `ordinal`; `null` where there is none.
    fn json(&self, ordinal: usize) -> &str;

    /// Whether the row's customer is in the segment; only asked for those that
    /// [`BoundFilter::has_segments`] announces.
    fn is_in_segment(&self, _name: &str) -> bool {
        false
    }
}

impl Fields for Row {
    fn json(&self, ordinal: usize) -> &str {
        self.get(ordinal)
    }
}

impl BoundFilter {
    /// Whether the filter is true of `row`; false and null both are not.
    pub fn matches(&self, row: &dyn Fields) -> bool {
        self.root.truth(row) == Some(true)
    }
}

impl Condition {
    fn truth(&self, row: &dyn Fields) -> Option<bool> {
        match self {
            Self::Truth(operand) => match operand.value(row) {
                Scalar::Boolean(value) => Some(value),
                _ => None,
            },
            Self::Compare(left, op, right) => Some(compare(left, *op, right, row)),
            Self::In(left, list) => Some(is_in(left, list, row)),
            Self::And(members) => decided(members, row, false),
            Self::Or(members) => decided(members, row, true),
            Self::Not(inner) => inner.truth(row).map(|value| !value),
            Self::InSegment(name) => Some(row.is_in_segment(name)),
        }
    }
}

/// One member that is `decisive` decides; else null where one is null.
fn decided(members: &[Condition], row: &dyn Fields, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for member in members {
        match member.truth(row) {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

impl Operand {
    fn value<'r>(&'r self, row: &'r dyn Fields) -> Scalar<'r> {
        match self {
            Self::Field(field) => {
                scalar_of(field.edm, row.json(field.ordinal)).unwrap_or(Scalar::Null)
            }
            Self::Constant(constant) => constant.scalar(),
            Self::Condition(condition) => {
                condition.truth(row).map_or(Scalar::Null, Scalar::Boolean)
            }
        }
    }

    fn has_members(&self) -> bool {
        matches!(self, Self::Field(field) if field.has_members)
    }
}

fn compare(left: &Operand, op: CompareOp, right: &Operand, row: &dyn Fields) -> bool {
    let (a, b) = (left.value(row), right.value(row));
    let equal = || match (&a, &b) {
        (Scalar::Text(a), Scalar::Text(b)) if left.has_members() || right.has_members() => {
            members(a, left.has_members()).any(|a| members(b, right.has_members()).any(|b| a == b))
        }
        _ => a == b,
    };
    let order = || match (a.is_null(), b.is_null()) {
        (false, false) => a.compare(&b),
        _ => None,
    };
    match op {
        CompareOp::Eq => equal(),
        CompareOp::Ne => !equal(),
        CompareOp::Gt => order() == Some(Ordering::Greater),
        CompareOp::Ge => order().is_some_and(Ordering::is_ge),
        CompareOp::Lt => order() == Some(Ordering::Less),
        CompareOp::Le => order().is_some_and(Ordering::is_le),
    }
}

fn is_in(left: &Operand, list: &[Constant], row: &dyn Fields) -> bool {
    let holds = |value: &Scalar<'_>| {
        let order = |constant: &Constant| constant.scalar().compare(value);
        list.binary_search_by(|constant| order(constant).unwrap_or(Ordering::Less))
            .is_ok()
    };
    match left.value(row) {
        Scalar::Text(text) if left.has_members() => {
            members(&text, true).any(|member| holds(&Scalar::Text(Cow::Borrowed(member))))
        }
        value => holds(&value),
    }
}

/// The members of an alternate key's text, or the text as its only member.
fn members(text: &str, joined: bool) -> impl Iterator<Item = &str> {
    text.split(move |c| joined && c == ';')
        .map(move |member| if joined { member.trim() } else { member })
        .filter(move |member| !(joined && member.is_empty()))
}
