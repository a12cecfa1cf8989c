//! Filters and names meet a schema: names become ordinals, literals take the attribute's type.
//!
//! Owns which literals and operands fit together, so that evaluation can't fail.
//! A date fits an `Edm.DateTimeOffset` as its midnight in UTC; integers and decimals compare by
//! value; nothing else is converted. Must not evaluate.

use std::cmp::Ordering;

use sanntid_types::{
    Attribute, AttributeRole, EdmType, EntitySchema, EntityType, Error, Literal, Result,
};

use crate::ast::{At, CompareOp, Expr, IN_SEGMENT, Name, Value};
use crate::constant::Constant;
use crate::lexer::{error, shorten};

const FILTER: &str = "$filter";

/// Holds a filter that is ready to be evaluated over the rows of one schema.
#[derive(Clone, Debug)]
pub struct BoundFilter {
    pub(crate) root: Condition,
}

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Truth(Operand),
    /// Invariant: a constant and an attribute stand with the attribute on the left.
    Compare(Operand, CompareOp, Operand),
    /// The constants are sorted and of one type.
    In(Operand, Vec<Constant>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    InSegment(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Field(Field),
    Constant(Constant),
    Condition(Box<Condition>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) ordinal: usize,
    pub(crate) edm: EdmType,
    /// Whether `eq`, `ne` and `in` look at the `;`-joined members.
    pub(crate) has_members: bool,
}

impl BoundFilter {
    /// Binds `expr` to `schema`; an error names the place and what was expected there.
    pub fn bind(expr: &Expr, schema: &EntitySchema) -> Result<Self> {
        let root = Binder { schema }.condition(expr)?;
        Ok(Self { root })
    }
}

/// Finds the ordinals of names that `option` gave, each once, in order.
pub fn bind_names(option: &str, names: &[Name], schema: &EntitySchema) -> Result<Vec<usize>> {
    let mut ordinals = Vec::with_capacity(names.len());
    for name in names {
        let (ordinal, _) = find(option, name, schema)?;
        if !ordinals.contains(&ordinal) {
            ordinals.push(ordinal);
        }
    }
    Ok(ordinals)
}

pub(crate) fn find<'s>(
    option: &str,
    name: &Name,
    schema: &'s EntitySchema,
) -> Result<(usize, &'s Attribute)> {
    schema.find(&name.text).ok_or_else(|| {
        let (text, entity) = (shorten(&name.text), schema.name.as_str());
        let message = format!("expected an attribute of {entity}, got `{text}`");
        error(option, name.at, message)
    })
}

struct Binder<'s> {
    schema: &'s EntitySchema,
}

impl Binder<'_> {
    fn condition(&self, expr: &Expr) -> Result<Condition> {
        Ok(match expr {
            Expr::Name(_) | Expr::Value(..) => {
                match self.type_of(expr)? {
                    None | Some(EdmType::Boolean) => {}
                    Some(other) => return Err(no_condition(expr, other)),
                }
                Condition::Truth(self.operand(expr, EdmType::Boolean)?)
            }
            Expr::Compare(left, op, right) => self.compare(left, *op, right)?,
            Expr::In(left, list) => self.member(left, list)?,
            Expr::And(members) => Condition::And(self.all(members)?),
            Expr::Or(members) => Condition::Or(self.all(members)?),
            Expr::Not(inner) => Condition::Not(Box::new(self.condition(inner)?)),
            Expr::InSegment(name, at) => {
                if self.schema.entity_type != EntityType::Profile {
                    let entity = self.schema.name.as_str();
                    let message = format!("{IN_SEGMENT} is for customers, not for {entity}");
                    return Err(error(FILTER, *at, message));
                }
                Condition::InSegment(name.clone())
            }
        })
    }

    fn all(&self, members: &[Expr]) -> Result<Vec<Condition>> {
        members
            .iter()
            .map(|member| self.condition(member))
            .collect()
    }

    fn compare(&self, left: &Expr, op: CompareOp, right: &Expr) -> Result<Condition> {
        let (left_type, right_type) = (self.type_of(left)?, self.type_of(right)?);
        let (left_as, right_as) = match (left_type, right_type) {
            (Some(a), Some(b)) if kind(a) == kind(b) => (a, b),
            (Some(a), Some(b)) => {
                let (a, b) = (a.name(), b.name());
                let message = format!("{a} on the left and {b} on the right don't compare");
                return Err(error(FILTER, left.at(), message));
            }
            (Some(edm), None) | (None, Some(edm)) => (edm, edm),
            (None, None) => {
                let edm = natural_type(left).or(natural_type(right));
                let edm = edm.unwrap_or(EdmType::String);
                (edm, edm)
            }
        };
        let left = self.operand(left, left_as)?;
        let right = self.operand(right, right_as)?;
        Ok(match (left, right) {
            (constant @ Operand::Constant(_), field @ Operand::Field(_)) => {
                Condition::Compare(field, op.flipped(), constant)
            }
            (left, right) => Condition::Compare(left, op, right),
        })
    }

    fn member(&self, left: &Expr, list: &[(Value, At)]) -> Result<Condition> {
        let natural = || {
            let first = list.iter().find_map(|(value, _)| natural_type_of(value));
            natural_type(left).or(first).unwrap_or(EdmType::String)
        };
        let edm = self.type_of(left)?.unwrap_or_else(natural);
        let about = name_of(left);
        let mut constants = list
            .iter()
            .map(|(value, at)| constant(value, *at, edm, about))
            .collect::<Result<Vec<_>>>()?;
        constants.sort_by(|a, b| {
            let order = a.scalar().compare(&b.scalar());
            order.unwrap_or(Ordering::Equal)
        });
        Ok(Condition::In(self.operand(left, edm)?, constants))
    }

    /// The type that an operand has by itself; a literal has none.
    fn type_of(&self, expr: &Expr) -> Result<Option<EdmType>> {
        Ok(match expr {
            Expr::Name(name) => Some(find(FILTER, name, self.schema)?.1.data_type),
            Expr::Value(..) => None,
            Expr::Compare(..)
            | Expr::In(..)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::InSegment(..) => Some(EdmType::Boolean),
        })
    }

    fn operand(&self, expr: &Expr, edm: EdmType) -> Result<Operand> {
        Ok(match expr {
            Expr::Name(name) => {
                let (ordinal, attribute) = find(FILTER, name, self.schema)?;
                Operand::Field(Field {
                    ordinal,
                    edm: attribute.data_type,
                    has_members: attribute.data_type == EdmType::String
                        && matches!(attribute.role, AttributeRole::AlternateKey(_)),
                })
            }
            Expr::Value(value, at) => Operand::Constant(constant(value, *at, edm, None)?),
            Expr::Compare(..)
            | Expr::In(..)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::InSegment(..) => Operand::Condition(Box::new(self.condition(expr)?)),
        })
    }
}

fn no_condition(expr: &Expr, edm: EdmType) -> Error {
    let message = format!(
        "expected a condition, got `{}` of type {} (`not` binds tighter than a comparison)",
        shorten(&expr.to_string()),
        edm.name()
    );
    error(FILTER, expr.at(), message)
}

fn name_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(&name.text),
        Expr::Value(..)
        | Expr::Compare(..)
        | Expr::In(..)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::InSegment(..) => None,
    }
}

fn natural_type(expr: &Expr) -> Option<EdmType> {
    match expr {
        Expr::Value(value, _) => natural_type_of(value),
        Expr::Name(_)
        | Expr::Compare(..)
        | Expr::In(..)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::InSegment(..) => None,
    }
}

fn natural_type_of(value: &Value) -> Option<EdmType> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(_) => EdmType::Boolean,
        Value::Number(text) if is_finite(text) => EdmType::Decimal,
        Value::Number(_) => EdmType::Double,
        Value::Text(_) => EdmType::String,
        Value::Date(_) => EdmType::Date,
        Value::Instant(_) => EdmType::DateTimeOffset,
        Value::Time(_) => EdmType::TimeOfDay,
        Value::Guid(_) => EdmType::Guid,
    })
}

/// The type that stands for all that compare with each other.
fn kind(edm: EdmType) -> EdmType {
    match edm {
        EdmType::Int16 | EdmType::Int32 | EdmType::Int64 | EdmType::Decimal | EdmType::Double => {
            EdmType::Decimal
        }
        EdmType::String
        | EdmType::Boolean
        | EdmType::Date
        | EdmType::DateTimeOffset
        | EdmType::TimeOfDay
        | EdmType::Guid => edm,
    }
}

fn is_finite(number: &str) -> bool {
    !matches!(number, "INF" | "-INF" | "NaN")
}

fn constant(value: &Value, at: At, edm: EdmType, about: Option<&str>) -> Result<Constant> {
    // All integers compare as decimals: `Int eq 1.5` is a question with an answer.
    let read_as = match (kind(edm), edm) {
        (EdmType::Decimal, EdmType::Double) => EdmType::Double,
        (kind, _) => kind,
    };
    let from_text = |text: &str| Literal::from_text(read_as, None, text).ok();
    let literal = match (read_as, value) {
        (_, Value::Null) => Some(Literal::null()),
        (EdmType::Boolean, Value::Boolean(value)) => from_text(&value.to_string()),
        (EdmType::Decimal, Value::Number(text)) if is_finite(text) => from_text(text),
        (EdmType::String, Value::Text(text)) => Some(Literal::text(text)),
        (EdmType::DateTimeOffset, Value::Date(text)) => from_text(&format!("{text}T00:00:00Z")),
        (EdmType::Double, Value::Number(text))
        | (EdmType::Date, Value::Date(text))
        | (EdmType::DateTimeOffset, Value::Instant(text))
        | (EdmType::TimeOfDay, Value::Time(text))
        | (EdmType::Guid, Value::Guid(text)) => from_text(text),
        _ => None,
    };
    let read = literal.and_then(|literal| Constant::new(read_as, literal));
    read.ok_or_else(|| {
        let about = about.map_or_else(String::new, |name| format!(" for `{}`", shorten(name)));
        let message = format!(
            "expected {}{about} ({}), got `{}`",
            example(read_as),
            edm.name(),
            shorten(&value.to_string())
        );
        error(FILTER, at, message)
    })
}

fn example(edm: EdmType) -> &'static str {
    match edm {
        EdmType::String => "a string in single quotes",
        EdmType::Boolean => "true or false",
        EdmType::Int16 | EdmType::Int32 | EdmType::Int64 | EdmType::Decimal => "a number",
        EdmType::Double => "a number, INF, -INF or NaN",
        EdmType::Date => "a date like 2026-11-23 without quotes",
        EdmType::DateTimeOffset => "a time like 2026-11-23T12:00:00Z without quotes",
        EdmType::TimeOfDay => "a time of day like 13:45:00 without quotes",
        EdmType::Guid => "a UUID without quotes",
    }
}
