//! Properties over random filters, rows and bytes.

use std::cmp::Ordering;
use std::ops::Bound;

use proptest::prelude::*;
use proptest::sample::select;
use sanntid_types::{Scalar, scalar_of};

use super::*;
use crate::{At, BoundOrder, CompareOp, Expr, Name, QueryOptions, Value, parse_order};

const TEXTS: [&str; 6] = ["a", "b", "c", "", "ab", "å"];
const TIMES: [&str; 4] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00+01:00",
    "2026-01-02T00:00:00.500Z",
    "2025-12-31T23:59:59-05:00",
];

fn name(text: &str) -> Expr {
    let text = text.to_owned();
    Expr::Name(Name { text, at: At(1) })
}

fn op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    select(vec![Eq, Eq, Ne, Gt, Ge, Lt, Le])
}

/// A literal that fits the attribute, or null.
fn literal(attribute: &'static str) -> BoxedStrategy<Value> {
    let some = match attribute {
        "Age" | "Score" => select(vec!["-1", "0", "1", "1.5", "2", "2.0", "20e-1"])
            .prop_map(|text| Value::Number(text.to_owned()))
            .boxed(),
        "Vip" => any::<bool>().prop_map(Value::Boolean).boxed(),
        "Seen" => prop_oneof![
            select(&TIMES[..]).prop_map(|text| Value::Instant(text.to_owned())),
            Just(Value::Date("2026-01-01".to_owned())),
        ]
        .boxed(),
        _ => select(&TEXTS[..])
            .prop_map(|text| Value::Text(text.to_owned()))
            .boxed(),
    };
    prop_oneof![6 => some, 1 => Just(Value::Null)].boxed()
}

fn atom() -> impl Strategy<Value = Expr> {
    let attribute = select(vec![
        "CustomerId",
        "Shop_Contacts_Id",
        "AGE",
        "vip",
        "Seen",
        "Score",
    ]);
    let compared = attribute.prop_flat_map(|written| {
        let attribute = match written {
            "AGE" => "Age",
            "vip" => "Vip",
            other => other,
        };
        let at = At(1);
        let list = prop::collection::vec(literal(attribute), 1..4);
        prop_oneof![
            4 => (op(), literal(attribute), any::<bool>()).prop_map(move |(op, value, flip)| {
                let (left, right) = (Box::new(name(written)), Box::new(Expr::Value(value, at)));
                if flip {
                    Expr::Compare(right, op, left)
                } else {
                    Expr::Compare(left, op, right)
                }
            }),
            2 => list.prop_map(move |list| {
                let list = list.into_iter().map(|value| (value, at)).collect();
                Expr::In(Box::new(name(written)), list)
            }),
        ]
    });
    let pairs = select(vec![
        ("CustomerId", "Shop_Contacts_Id"),
        ("Shop_Contacts_Id", "Shop_Contacts_Id"),
        ("Age", "Score"),
        ("Seen", "Seen"),
    ]);
    prop_oneof![
        8 => compared,
        1 => Just(name("Vip")),
        1 => literal("Vip").prop_map(|value| Expr::Value(value, At(1))),
        1 => (pairs, op()).prop_map(|((a, b), op)| {
            Expr::Compare(Box::new(name(a)), op, Box::new(name(b)))
        }),
    ]
}

fn filter() -> impl Strategy<Value = Expr> {
    atom().prop_recursive(4, 24, 4, |inner| {
        let members = || prop::collection::vec(inner.clone(), 2..4);
        let equality = select(vec![CompareOp::Eq, CompareOp::Ne]);
        prop_oneof![
            3 => members().prop_map(Expr::And),
            2 => members().prop_map(Expr::Or),
            1 => inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            1 => (inner.clone(), equality, inner).prop_map(|(a, op, b)| {
                Expr::Compare(Box::new(a), op, Box::new(b))
            }),
        ]
    })
}

fn test_row() -> impl Strategy<Value = TestRow> {
    let alternates = [
        "null",
        "\"a\"",
        "\"a;b\"",
        "\" c ; a\"",
        "\";;\"",
        "\"å\"",
        "\"ab;;b\"",
    ];
    let texts = ["null", "\"a\"", "\"b\"", "\"c\"", "\"\"", "\"å\""];
    let times: Vec<String> = TIMES.iter().map(|time| format!("\"{time}\"")).collect();
    let seen = prop_oneof![4 => select(times), 1 => Just("null".to_owned())];
    (
        select(texts.to_vec()),
        select(alternates.to_vec()),
        select(vec!["null", "-1", "0", "1", "2"]),
        select(vec!["null", "true", "false"]),
        seen,
        select(vec!["null", "-1.0", "0", "1.5", "2", "2.50"]),
    )
        .prop_map(|(id, alternate, age, vip, seen, score)| {
            let mut texts = [id, alternate, age, vip].map(str::to_owned).to_vec();
            texts.extend([seen, score.to_owned()]);
            TestRow(texts)
        })
}

/// Words that make up most of the texts near the grammar.
fn near_filters() -> impl Strategy<Value = String> {
    let words = vec![
        "Age",
        "Vip",
        "eq",
        "gt",
        "in",
        "(",
        ")",
        ",",
        "and",
        "or",
        "not",
        "null",
        "'a'",
        "'",
        "''",
        "1",
        "-1.5e3",
        "1e999999999",
        "2026-01-01",
        "2026-01-01T10:00",
        "10:00",
        "å",
        "INF",
        "/",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "\0",
        "+",
        "-",
        ".",
        ":",
        "T",
        "Seen",
        "Score",
    ];
    let blank = select(vec!["", " "]);
    prop::collection::vec((select(words), blank), 0..30).prop_map(|parts| {
        parts
            .iter()
            .flat_map(|(word, blank)| [*word, *blank])
            .collect()
    })
}

fn try_all(text: &str) {
    if let Ok(expr) = parse_filter(text) {
        assert_eq!(
            parse_filter(&expr.to_string()).as_ref(),
            Ok(&expr),
            "{text:?}"
        );
        if let Ok(filter) = BoundFilter::bind(&expr, &schema()) {
            filter.matches(&row(&[("Age", "1")]));
            filter.equalities(ID);
            filter.range(AGE);
        }
    }
    for option in [
        "$select", "$orderby", "$top", "$count", "$search", "$expand", text,
    ] {
        if let Ok(options) = QueryOptions::parse([(option, text)], &[])
            && let Ok(order) = BoundOrder::bind(&options.order, &schema())
        {
            assert_eq!(order.compare(&row(&[]), &row(&[])), Ordering::Equal);
        }
    }
}

fn inside(value: &Scalar<'_>, range: &(Bound<crate::Constant>, Bound<crate::Constant>)) -> bool {
    let order = |constant: &crate::Constant| value.compare(&constant.scalar()).unwrap();
    let above = match &range.0 {
        Bound::Included(start) => order(start).is_ge(),
        Bound::Excluded(start) => order(start).is_gt(),
        Bound::Unbounded => true,
    };
    let below = match &range.1 {
        Bound::Included(end) => order(end).is_le(),
        Bound::Excluded(end) => order(end).is_lt(),
        Bound::Unbounded => true,
    };
    above && below
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn printed_filters_parse_to_themselves(expr in filter()) {
        prop_assert_eq!(parse_filter(&expr.to_string()), Ok(expr));
    }

    #[test]
    fn any_text_in_quotes_survives(text in any::<String>()) {
        let value = Expr::Value(Value::Text(text), At(1));
        prop_assert_eq!(parse_filter(&value.to_string()), Ok(value));
    }

    #[test]
    fn arbitrary_texts_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn texts_near_the_grammar_never_panic(text in near_filters()) {
        try_all(&text);
    }

    #[test]
    fn evaluation_agrees_with_a_naive_one(
        expr in filter(),
        rows in prop::collection::vec(test_row(), 8),
    ) {
        let filter = BoundFilter::bind(&expr, &schema()).expect("generated to fit");
        for row in &rows {
            prop_assert_eq!(filter.matches(row), naive::matches(&expr, row), "{} {:?}", expr, row);
        }
    }

    #[test]
    fn matching_rows_lie_inside_what_an_index_is_asked(
        expr in filter(),
        rows in prop::collection::vec(test_row(), 16),
    ) {
        let filter = BoundFilter::bind(&expr, &schema()).expect("generated to fit");
        let schema = schema();
        for row in rows.iter().filter(|row| filter.matches(*row)) {
            for (ordinal, attribute) in schema.attributes.iter().enumerate() {
                let value = scalar_of(attribute.data_type, row.json(ordinal)).unwrap();
                prop_assert!(inside(&value, &filter.range(ordinal)), "{expr} {row:?}");
                let Some(texts) = filter.equalities(ordinal) else { continue };
                let Scalar::Text(text) = value else {
                    panic!("{expr} {row:?}: {texts:?} leave out null");
                };
                let found = if ordinal == ALT {
                    text.split(';').any(|member| texts.iter().any(|t| t == member.trim()))
                } else {
                    texts.iter().any(|t| *t == text)
                };
                prop_assert!(found, "{expr} {row:?}: not in {texts:?}");
            }
        }
    }

    #[test]
    fn orders_are_total(rows in prop::collection::vec(test_row(), 3), desc in any::<bool>()) {
        let text = if desc { "Age desc,Seen,Score desc" } else { "Score,Vip desc,CustomerId" };
        let order = BoundOrder::bind(&parse_order(text).unwrap(), &schema()).unwrap();
        let [a, b, c] = &rows[..] else { panic!("three rows") };
        prop_assert_eq!(order.compare(a, b), order.compare(b, a).reverse());
        if order.compare(a, b).is_le() && order.compare(b, c).is_le() {
            prop_assert!(order.compare(a, c).is_le());
        }
    }
}
