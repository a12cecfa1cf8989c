//! What an index may use of a filter.
//!
//! Owns the extraction of value sets and ranges. It may only be conservative: every row that
//! matches lies inside what is extracted, and the filter is still evaluated on each candidate.
//! Must not choose an index.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use crate::ast::CompareOp;
use crate::bind::{BoundFilter, Condition, Field, Operand};
use crate::constant::Constant;

type Range<'c> = (Bound<&'c Constant>, Bound<&'c Constant>);

impl BoundFilter {
    /// The texts one of which a matching row's attribute equals, sorted; for an alternate key, one
    /// of which is among its members. `None` where the filter does not say.
    ///
    /// Looks at `eq` and `in`, through `and` (the smaller set counts) and `or`.
    pub fn equalities(&self, ordinal: usize) -> Option<Vec<String>> {
        let texts = texts_of(&self.root, ordinal)?;
        Some(texts.into_iter().map(str::to_owned).collect())
    }

    /// Whether the filter asks for segments.
    pub fn has_segments(&self) -> bool {
        has_segments(&self.root)
    }

    /// The range that a matching row's value lies in, by [`sanntid_types::Scalar::compare`].
    ///
    /// Looks at comparisons and `in` that are joined by `and`. Where these contradict each other
    /// the start lies behind the end: no row matches, and a sorted map must not be asked. Alternate
    /// keys have no range. A bounded range excludes null.
    pub fn range(&self, ordinal: usize) -> (Bound<Constant>, Bound<Constant>) {
        let (start, end) = range_of(&self.root, ordinal);
        (start.cloned(), end.cloned())
    }
}

fn has_segments(condition: &Condition) -> bool {
    let nested = |operand: &Operand| match operand {
        Operand::Condition(inner) => has_segments(inner),
        Operand::Field(_) | Operand::Constant(_) => false,
    };
    match condition {
        Condition::InSegment(_) => true,
        Condition::Truth(operand) | Condition::In(operand, _) => nested(operand),
        Condition::Compare(left, _, right) => nested(left) || nested(right),
        Condition::And(members) | Condition::Or(members) => members.iter().any(has_segments),
        Condition::Not(inner) => has_segments(inner),
    }
}

fn is_about(operand: &Operand, ordinal: usize) -> Option<&Field> {
    match operand {
        Operand::Field(field) if field.ordinal == ordinal => Some(field),
        Operand::Field(_) | Operand::Constant(_) | Operand::Condition(_) => None,
    }
}

fn texts_of(condition: &Condition, ordinal: usize) -> Option<BTreeSet<&str>> {
    match condition {
        Condition::Compare(left, CompareOp::Eq, Operand::Constant(constant)) => {
            is_about(left, ordinal)?;
            Some(BTreeSet::from([constant.text()?]))
        }
        Condition::In(left, list) => {
            is_about(left, ordinal)?;
            list.iter().map(Constant::text).collect()
        }
        Condition::And(members) => {
            // Not the intersection: an alternate key may have a member in each of the sets.
            let sets = members
                .iter()
                .filter_map(|member| texts_of(member, ordinal));
            sets.min_by_key(BTreeSet::len)
        }
        Condition::Or(members) => {
            let mut all = BTreeSet::new();
            for member in members {
                all.extend(texts_of(member, ordinal)?);
            }
            Some(all)
        }
        Condition::Compare(..)
        | Condition::Truth(_)
        | Condition::Not(_)
        | Condition::InSegment(_) => None,
    }
}

fn range_of(condition: &Condition, ordinal: usize) -> Range<'_> {
    const ALL: Range<'_> = (Bound::Unbounded, Bound::Unbounded);
    let has_range = |left| is_about(left, ordinal).is_some_and(|field| !field.has_members);
    match condition {
        Condition::Compare(left, op, Operand::Constant(constant))
            if has_range(left) && !constant.is_null() =>
        {
            match op {
                CompareOp::Eq => (Bound::Included(constant), Bound::Included(constant)),
                CompareOp::Ne => ALL,
                CompareOp::Gt => (Bound::Excluded(constant), Bound::Unbounded),
                CompareOp::Ge => (Bound::Included(constant), Bound::Unbounded),
                CompareOp::Lt => (Bound::Unbounded, Bound::Excluded(constant)),
                CompareOp::Le => (Bound::Unbounded, Bound::Included(constant)),
            }
        }
        Condition::In(left, list) if has_range(left) => match (list.first(), list.last()) {
            // Sorted, so a null would be the first.
            (Some(first), Some(last)) if !first.is_null() => {
                (Bound::Included(first), Bound::Included(last))
            }
            _ => ALL,
        },
        Condition::And(members) => members.iter().fold(ALL, |(start, end), member| {
            let (other_start, other_end) = range_of(member, ordinal);
            (
                tighter(start, other_start, Ordering::Greater),
                tighter(end, other_end, Ordering::Less),
            )
        }),
        Condition::Compare(..)
        | Condition::In(..)
        | Condition::Or(_)
        | Condition::Truth(_)
        | Condition::Not(_)
        | Condition::InSegment(_) => ALL,
    }
}

/// The bound that lets fewer values through; a start is tighter where it is `Greater`.
fn tighter<'c>(
    a: Bound<&'c Constant>,
    b: Bound<&'c Constant>,
    wanted: Ordering,
) -> Bound<&'c Constant> {
    let value = |bound| match bound {
        Bound::Included(constant) | Bound::Excluded(constant) => Some(constant),
        Bound::Unbounded => None,
    };
    let (Some(left), Some(right)): (Option<&Constant>, Option<&Constant>) = (value(a), value(b))
    else {
        return if matches!(a, Bound::Unbounded) { b } else { a };
    };
    match left.scalar().compare(&right.scalar()) {
        Some(Ordering::Equal) if matches!(b, Bound::Excluded(_)) => b,
        Some(order) if order == wanted.reverse() => b,
        _ => a,
    }
}
