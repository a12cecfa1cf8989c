//! Sorting by attributes.
//! Owns the order of rows: nulls lowest, text by code point (rules 5.1); `desc` reverses both.
//! Must not break ties: a total order needs the caller's key behind it.

use std::cmp::Ordering;

use sanntid_types::{EdmType, EntitySchema, Result, Scalar, scalar_of};

use crate::ast::OrderKey;
use crate::bind::find;
use crate::eval::Fields;

/// Holds an order that is ready to compare rows of one schema.
#[derive(Clone, Debug)]
pub struct BoundOrder {
    keys: Vec<BoundKey>,
}

#[derive(Clone, Copy, Debug)]
struct BoundKey {
    ordinal: usize,
    edm: EdmType,
    descending: bool,
}

impl BoundOrder {
    /// Binds `keys` to `schema`; an unknown attribute is an error that names it.
    pub fn bind(keys: &[OrderKey], schema: &EntitySchema) -> Result<Self> {
        let bind = |key: &OrderKey| {
            let (ordinal, attribute) = find("$orderby", &key.name, schema)?;
            Ok(BoundKey {
                ordinal,
                edm: attribute.data_type,
                descending: key.descending,
            })
        };
        let keys = keys.iter().map(bind).collect::<Result<_>>()?;
        Ok(Self { keys })
    }

    /// The ordinals to sort by, first first, each with whether it descends.
    pub fn keys(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.keys.iter().map(|key| (key.ordinal, key.descending))
    }

    /// Compares two rows; `Equal` where all keys are.
    pub fn compare(&self, a: &dyn Fields, b: &dyn Fields) -> Ordering {
        for key in &self.keys {
            let left = scalar_of(key.edm, a.json(key.ordinal)).unwrap_or(Scalar::Null);
            let right = scalar_of(key.edm, b.json(key.ordinal)).unwrap_or(Scalar::Null);
            let order = left.compare(&right).unwrap_or(Ordering::Equal);
            if order.is_ne() {
                return if key.descending {
                    order.reverse()
                } else {
                    order
                };
            }
        }
        Ordering::Equal
    }
}
