//! Owns the made-up customers and orders: the n-th is always the same, wherever it is asked for.

use sanntid_types::{EdmType, Instant, Literal, Row, RowBuilder};
use serde_json::{Value, json};

/// The instance of a measurement.
pub(crate) const INSTANCE: &str = "5a11d000-0000-4000-8000-000000000001";
/// Its data source.
pub(crate) const SOURCE_ID: &str = "5a11d000-0000-4000-8000-00000000000a";
/// Its activities.
pub(crate) const ORDERS: &str = "Shop_Orders";
/// When what the data set tells has been true.
pub(crate) const AS_OF: &str = "2026-01-01T00:00:00Z";

const SEED: u64 = 0x5A11_7EED;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// 2024-01-01, the first day of orders and of customers.
const FIRST_DAY_MILLIS: i64 = 1_704_067_200_000;
const DAYS: u64 = 730;
const NOTE_CHARS: usize = 146;

/// The attributes of `Customer`, in their order.
pub(crate) const CUSTOMER: [(&str, EdmType); 20] = [
    ("CustomerId", EdmType::String),
    ("FullName", EdmType::String),
    ("FirstName", EdmType::String),
    ("LastName", EdmType::String),
    ("Email", EdmType::String),
    ("Phone", EdmType::String),
    ("Street", EdmType::String),
    ("City", EdmType::String),
    ("PostalCode", EdmType::String),
    ("Country", EdmType::String),
    ("Language", EdmType::String),
    ("DateOfBirth", EdmType::Date),
    ("CreatedOn", EdmType::DateTimeOffset),
    ("Income", EdmType::Double),
    ("LoyaltyTier", EdmType::String),
    ("LoyaltyPoints", EdmType::Int64),
    ("Newsletter", EdmType::Boolean),
    ("Notes", EdmType::String),
    ("LifetimeValue", EdmType::Double),
    ("ContactId", EdmType::String),
];

/// The attributes of the orders, in their order.
pub(crate) const ORDER: [(&str, EdmType); 6] = [
    ("OrderId", EdmType::String),
    ("ContactId", EdmType::String),
    ("OrderedOn", EdmType::DateTimeOffset),
    ("Subject", EdmType::String),
    ("Amount", EdmType::Double),
    ("ProductId", EdmType::String),
];

const FIRST_NAMES: [&str; 12] = [
    "Kari", "Ola", "Ingrid", "Lars", "Åse", "Bjørn", "Maria", "José", "Anna", "Li", "Fatima",
    "John",
];
const LAST_NAMES: [&str; 10] = [
    "Nordmann", "Hansen", "Østby", "Garcia", "Smith", "Nguyen", "Müller", "Rossi", "Berg", "Lie",
];
const PLACES: [(&str, &str, &str); 8] = [
    ("Oslo", "Norway", "nb-NO"),
    ("Bergen", "Norway", "nn-NO"),
    ("Tromsø", "Norway", "se-NO"),
    ("Stockholm", "Sweden", "sv-SE"),
    ("Berlin", "Germany", "de-DE"),
    ("Madrid", "Spain", "es-ES"),
    ("London", "United Kingdom", "en-GB"),
    ("Seattle", "United States", "en-US"),
];
const TIERS: [&str; 4] = ["bronze", "silver", "gold", "platinum"];
const WORDS: [&str; 16] = [
    "prefers", "mail", "called", "about", "delivery", "asked", "for", "invoice", "likes", "blue",
    "returned", "shoes", "in", "the", "store", "twice",
];

/// Mixes a number so that neighbours have nothing in common; no two numbers give the same.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number
        .wrapping_add(SEED)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The id of the n-th customer: a hash, as unification makes them, so in no order.
pub(crate) fn customer_id(number: u64) -> String {
    let first = mixed(number);
    format!("{first:016x}{:016x}", mixed(first))
}

/// The n-th customer's key in the source.
pub(crate) fn contact_id(number: u64) -> String {
    format!("K{number:09}")
}

/// The n-th customer.
pub(crate) fn customer(number: u64) -> Row {
    let mut dice = Dice(mixed(number));
    let (first, last) = (dice.of(&FIRST_NAMES), dice.of(&LAST_NAMES));
    let (city, country, language) = dice.of(&PLACES);
    let mut row = Cells::default();
    row.text(&customer_id(number));
    row.text(&format!("{first} {last}"));
    row.text(first);
    row.text(last);
    row.text(&format!("{}.{number}@example.com", first.to_lowercase()));
    row.text(&format!("+47 {:08}", dice.below(100_000_000)));
    row.text(&format!("{last} gate {}", 1 + dice.below(200)));
    row.text(city);
    row.text(&format!("{:05}", dice.below(100_000)));
    row.text(country);
    row.text(language);
    let born = format!(
        "{}-{:02}-{:02}",
        1940 + dice.below(70),
        1 + dice.below(12),
        1 + dice.below(28)
    );
    row.quoted(EdmType::Date, &born);
    row.quoted(EdmType::DateTimeOffset, &dice.time());
    row.plain(
        EdmType::Double,
        &format!("{}.5", 20_000 + dice.below(90_000)),
    );
    row.text(dice.of(&TIERS));
    row.plain(EdmType::Int64, &dice.below(100_000).to_string());
    let takes_mail = dice.below(2) == 0;
    row.plain(EdmType::Boolean, if takes_mail { "true" } else { "false" });
    row.text(&note(&mut dice));
    row.plain(EdmType::Double, &format!("{}.25", dice.below(50_000)));
    row.text(&contact_id(number));
    row.0.finish()
}

/// The n-th order, of one of so many customers.
pub(crate) fn order(number: u64, customers: u64) -> Row {
    let mut dice = Dice(mixed(number ^ (1 << 60)));
    let mut row = Cells::default();
    row.text(&format!("O{:016x}", mixed(number)));
    row.text(&contact_id(dice.below(customers.max(1))));
    row.quoted(EdmType::DateTimeOffset, &dice.time());
    row.text(&format!("Order of {} things", 1 + dice.below(9)));
    row.plain(EdmType::Double, &format!("{}.95", dice.below(2_000)));
    row.text(&format!("P{:05}", dice.below(20_000)));
    row.0.finish()
}

/// The manifest of so many customers; `files` names the files of an entity.
pub(crate) fn manifest(as_of: &str, files: impl Fn(&str) -> String, with_orders: bool) -> Value {
    let plain = |(name, edm): &(&str, EdmType)| json!({"name": name, "dataType": edm.name()});
    let mut attributes: Vec<Value> = CUSTOMER.iter().map(plain).collect();
    for attribute in attributes.iter_mut().filter_map(Value::as_object_mut) {
        match attribute.get("name").and_then(Value::as_str) {
            Some("LifetimeValue") => {
                attribute.insert("computed".to_owned(), json!(true));
            }
            Some("ContactId") => {
                let key = json!({"dataSourceName": "Shop", "entityName": "Contacts"});
                attribute.insert("alternateKey".to_owned(), key);
            }
            _ => {}
        }
    }
    let mut entities = vec![json!({
        "name": "Customer", "entityType": "profile", "key": "CustomerId",
        "files": [files("Customer")], "attributes": attributes,
    })];
    if with_orders {
        let attributes: Vec<Value> = ORDER.iter().map(plain).collect();
        entities.push(json!({
            "name": ORDERS, "entityType": "activity", "key": "OrderId",
            "files": [files(ORDERS)], "attributes": attributes,
        }));
    }
    json!({"asOf": as_of, "entities": entities})
}

/// How orders become activities.
pub(crate) fn activity_configuration() -> Value {
    json!([{
        "entityName": ORDERS, "primaryKey": "OrderId", "timestamp": "OrderedOn",
        "title": "Subject", "description": "ProductId", "activityType": "SalesOrder",
        "activityName": "Order",
        "relationship": {"foreignKey": "ContactId", "toEntity": "Shop_Contacts"},
        "semanticFields": {"SalesOrderId": "OrderId", "TotalAmount": "Amount"}
    }])
}

/// Some words of about the same length.
fn note(dice: &mut Dice) -> String {
    let mut note = String::with_capacity(NOTE_CHARS + 16);
    while note.len() < NOTE_CHARS {
        note.push_str(dice.of(&WORDS));
        note.push(' ');
    }
    note
}

#[derive(Default)]
struct Cells(RowBuilder);

impl Cells {
    fn text(&mut self, text: &str) {
        self.0.push(&Literal::text(text));
    }

    fn quoted(&mut self, edm: EdmType, text: &str) {
        self.plain(edm, &format!("\"{text}\""));
    }

    fn plain(&mut self, edm: EdmType, json: &str) {
        let literal = Literal::from_json(edm, json);
        self.0
            .push(&literal.expect("the made-up value has its type"));
    }
}

/// Numbers without order that are the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = mixed(self.0);
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    fn of<T: Copy, const N: usize>(&mut self, list: &[T; N]) -> T {
        let index = usize::try_from(self.below(N as u64)).unwrap_or(0);
        *list
            .get(index)
            .or(list.first())
            .expect("a list with entries")
    }

    fn time(&mut self) -> String {
        let day = i64::try_from(self.below(DAYS)).unwrap_or(0);
        let millis = i64::try_from(self.below(86_400)).unwrap_or(0) * 1000;
        Instant::from_millis(FIRST_DAY_MILLIS + day * DAY_MILLIS + millis).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_customer_has_twenty_values_in_about_400_bytes_and_is_always_the_same() {
        let count = 2_000;
        let bytes: usize = (0..count).map(|n| customer(n).as_bytes().len()).sum();
        let mean = bytes as f64 / count as f64;
        assert!((380.0..420.0).contains(&mean), "{mean}");
        for number in [0, 1, 77] {
            let row = customer(number);
            assert_eq!(row, customer(number));
            assert_eq!(row.iter().count(), CUSTOMER.len());
            assert_eq!(row.get(0), format!("\"{}\"", customer_id(number)));
            for (ordinal, (name, edm)) in CUSTOMER.iter().enumerate() {
                assert!(row.scalar(ordinal, *edm).is_some(), "{name}");
            }
        }
        assert_eq!(customer_id(0), "c427790ae7dec5a2308aa2064422366a");
    }

    #[test]
    fn ids_are_different_and_in_no_order() {
        let ids: Vec<String> = (0..20_000).map(customer_id).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let ascending = ids.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((9_000..11_000).contains(&ascending), "{ascending}");
    }

    #[test]
    fn orders_are_of_customers_that_are_there() {
        let customers: HashSet<String> =
            (0..50).map(|n| format!("\"{}\"", contact_id(n))).collect();
        for number in 0..500 {
            let row = order(number, 50);
            assert!(customers.contains(row.get(1)), "{}", row.get(1));
            for (ordinal, (name, edm)) in ORDER.iter().enumerate() {
                assert!(row.scalar(ordinal, *edm).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn dice_reach_all_and_nothing_else() {
        let mut dice = Dice(1);
        let seen: HashSet<u64> = (0..200).map(|_| dice.below(6)).collect();
        assert_eq!(seen, (0..6).collect());
        assert_eq!(dice.below(1), 0);
    }
}
