//! A second evaluator, as plain as can be: it walks the unbound tree and reads every value anew.

use chrono::DateTime;

use super::{TestRow, schema};
use crate::{CompareOp, Expr, Fields, Value};

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Plain {
    Null,
    Boolean(bool),
    Number(f64),
    Text(String),
    Millis(i64),
    /// The trimmed members and the whole of an alternate key.
    Members(Vec<String>, String),
}

pub(super) fn matches(expr: &Expr, row: &TestRow) -> bool {
    value(expr, row) == Plain::Boolean(true)
}

fn millis(text: &str) -> Plain {
    Plain::Millis(
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_millis(),
    )
}

fn of_value(value: &Value) -> Plain {
    match value {
        Value::Null => Plain::Null,
        Value::Boolean(value) => Plain::Boolean(*value),
        Value::Number(text) => Plain::Number(text.parse().unwrap()),
        Value::Text(text) => Plain::Text(text.clone()),
        Value::Instant(text) => millis(text),
        Value::Date(text) => millis(&format!("{text}T00:00:00Z")),
        Value::Time(_) | Value::Guid(_) => unreachable!("not generated"),
    }
}

fn of_field(name: &str, row: &TestRow) -> Plain {
    let schema = schema();
    let (ordinal, _) = schema.find(name).unwrap();
    let json = row.json(ordinal);
    let text = || json.trim_matches('"').to_owned();
    match (json, name.to_ascii_lowercase().as_str()) {
        ("null", _) => Plain::Null,
        (_, "customerid") => Plain::Text(text()),
        (_, "shop_contacts_id") => {
            let text = text();
            let members = text
                .split(';')
                .map(str::trim)
                .filter(|member| !member.is_empty());
            Plain::Members(members.map(str::to_owned).collect(), text.clone())
        }
        (_, "vip") => Plain::Boolean(json == "true"),
        (_, "seen") => millis(&text()),
        _ => Plain::Number(json.parse().unwrap()),
    }
}

fn equal(a: &Plain, b: &Plain) -> bool {
    match (a, b) {
        (Plain::Members(a, _), Plain::Members(b, _)) => a.iter().any(|member| b.contains(member)),
        (Plain::Members(members, _), Plain::Text(text))
        | (Plain::Text(text), Plain::Members(members, _)) => members.contains(text),
        _ => a == b,
    }
}

fn whole(value: Plain) -> Plain {
    match value {
        Plain::Members(_, text) => Plain::Text(text),
        other => other,
    }
}

fn value(expr: &Expr, row: &TestRow) -> Plain {
    match expr {
        Expr::Name(name) => of_field(&name.text, row),
        Expr::Value(value, _) => of_value(value),
        Expr::Compare(left, op, right) => {
            let (a, b) = (value(left, row), value(right, row));
            let result = match op {
                CompareOp::Eq => equal(&a, &b),
                CompareOp::Ne => !equal(&a, &b),
                _ if a == Plain::Null || b == Plain::Null => false,
                CompareOp::Gt => whole(a) > whole(b),
                CompareOp::Ge => whole(a) >= whole(b),
                CompareOp::Lt => whole(a) < whole(b),
                CompareOp::Le => whole(a) <= whole(b),
            };
            Plain::Boolean(result)
        }
        Expr::In(left, list) => {
            let left = value(left, row);
            Plain::Boolean(
                list.iter()
                    .any(|(member, _)| equal(&left, &of_value(member))),
            )
        }
        Expr::InSegment(name, _) => Plain::Boolean(row.is_in_segment(name)),
        Expr::And(members) => kleene(members, row, false),
        Expr::Or(members) => kleene(members, row, true),
        Expr::Not(inner) => match value(inner, row) {
            Plain::Boolean(value) => Plain::Boolean(!value),
            other => other,
        },
    }
}

fn kleene(members: &[Expr], row: &TestRow, decisive: bool) -> Plain {
    let values: Vec<Plain> = members.iter().map(|member| value(member, row)).collect();
    if values.contains(&Plain::Boolean(decisive)) {
        Plain::Boolean(decisive)
    } else if values.contains(&Plain::Null) {
        Plain::Null
    } else {
        Plain::Boolean(!decisive)
    }
}
