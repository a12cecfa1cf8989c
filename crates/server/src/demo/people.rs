//! Owns the made-up customers: the same seed and instant give the same files, byte by byte.
//! Must not know how they are uploaded.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use sanntid_types::Instant;
use serde_json::{Value, json};

use crate::push::{Part, PartKind, PartPacking};

/// How many customers there are.
pub(crate) const CUSTOMERS: usize = 2_000;
const ORDERS: usize = 7_000;
const REVIEWS: usize = 3_000;
const SEED: u64 = 0x5A11_71D0;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The customer of the story.
pub(crate) const HERO: &str = "C00001";
pub(crate) const ORDERS_ENTITY: &str = "Ecommerce_OnlinePurchases";
pub(crate) const REVIEWS_ENTITY: &str = "Website_Reviews";

const FIRST: [&str; 24] = [
    "Kari", "Ola", "Ingrid", "Lars", "Astrid", "Henrik", "Maja", "Jonas", "Nora", "Emil", "Sofie",
    "Oskar", "Thea", "Magnus", "Ida", "Filip", "Ada", "Jakob", "Frida", "Aksel", "Signe", "Elias",
    "Tuva", "Mikkel",
];
const LAST: [&str; 24] = [
    "Nordmann", "Hansen", "Johansen", "Olsen", "Larsen", "Andersen", "Pedersen", "Nilsen", "Berg",
    "Haugen", "Hagen", "Solberg", "Dahl", "Lund", "Moen", "Strand", "Lie", "Eide", "Bakke", "Aas",
    "Vik", "Ruud", "Myhre", "Brekke",
];
pub(crate) const CITIES: [&str; 10] = [
    "Oslo",
    "Bergen",
    "Trondheim",
    "Stavanger",
    "Tromsø",
    "Bodø",
    "Ålesund",
    "Hamar",
    "Molde",
    "Narvik",
];
pub(crate) const OCCUPATIONS: [&str; 8] = [
    "Teacher",
    "Nurse",
    "Carpenter",
    "Engineer",
    "Fisher",
    "Chef",
    "Pilot",
    "Baker",
];
pub(crate) const TIERS: [&str; 3] = ["bronze", "silver", "gold"];
const PRODUCTS: [&str; 8] = [
    "espresso machine",
    "grinder",
    "kettle",
    "travel mug",
    "beans 1 kg",
    "filter papers",
    "scale",
    "milk frother",
];
const VERDICTS: [&str; 4] = ["Works well", "Arrived late", "Great taste", "A bit loud"];

/// One customer, as the source knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) first: &'static str,
    pub(crate) last: &'static str,
    pub(crate) city: &'static str,
    pub(crate) occupation: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) born: String,
    pub(crate) income: u32,
    pub(crate) points: u32,
    pub(crate) contact: String,
    pub(crate) loyalty: String,
}

/// One purchase.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) contact: String,
    pub(crate) at: Instant,
    pub(crate) product: &'static str,
    pub(crate) price: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Review {
    id: String,
    contact: String,
    at: Instant,
    text: &'static str,
    stars: u32,
}

/// Everything that the made-up source holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct People {
    pub(crate) persons: Vec<Person>,
    pub(crate) orders: Vec<Order>,
    reviews: Vec<Review>,
}

impl People {
    /// Makes them; all activities lie in the year before `until`.
    pub(crate) fn make(until: Instant) -> Self {
        let mut rng = Rng::with_seed(SEED);
        let mut persons: Vec<Person> = (1..=CUSTOMERS).map(|n| person(&mut rng, n)).collect();
        if let Some(hero) = persons.first_mut() {
            hero.first = "Kari";
            hero.last = "Nordmann";
            hero.city = "Oslo";
            hero.tier = "silver";
            hero.occupation = "Teacher";
        }
        let contact = |rng: &mut Rng| format!("CNT{:05}", rng.usize(1..=CUSTOMERS));
        let at = |rng: &mut Rng| {
            let ago = Duration::from_secs(rng.u64(3600..365 * DAY.as_secs()));
            Instant::from_millis(until.minus(ago).as_millis() / 1000 * 1000)
        };
        let orders = (1..=ORDERS)
            .map(|n| Order {
                id: format!("OP{n:05}"),
                contact: contact(&mut rng),
                at: at(&mut rng),
                product: one_of(&mut rng, &PRODUCTS),
                price: rng.u32(49..4_000),
            })
            .collect();
        let reviews = (1..=REVIEWS)
            .map(|n| Review {
                id: format!("RV{n:05}"),
                contact: contact(&mut rng),
                at: at(&mut rng),
                text: one_of(&mut rng, &VERDICTS),
                stars: rng.u32(1..=5),
            })
            .collect();
        Self {
            persons,
            orders,
            reviews,
        }
    }

    /// Writes the snapshot's files into a folder.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<Vec<Part>> {
        fs::create_dir_all(folder)?;
        let files = [
            ("Customer", self.customers_csv()),
            (ORDERS_ENTITY, self.orders_csv()),
            (REVIEWS_ENTITY, self.reviews_csv()),
        ];
        let mut parts = Vec::new();
        for (entity, text) in files {
            let path = folder.join(format!("{entity}.csv"));
            fs::write(&path, &text)?;
            parts.push(Part {
                entity: entity.to_owned(),
                path,
                kind: PartKind::Csv,
                packing: PartPacking::None,
                bytes: text.len() as u64,
            });
        }
        Ok(parts)
    }

    fn customers_csv(&self) -> String {
        let mut text = "CustomerId,FullName,FirstName,LastName,Email,City,Occupation,LoyaltyTier,\
            DateOfBirth,Income,RewardPoints,LifetimeValue,Ecommerce_Contacts_ContactId,\
            Loyalty_Customers_LoyaltyId\n"
            .to_owned();
        for person in &self.persons {
            let Person {
                id,
                first,
                last,
                city,
                occupation,
                tier,
                born,
                ..
            } = person;
            let Person {
                income,
                points,
                contact,
                loyalty,
                ..
            } = person;
            let email = format!("{first}.{last}@example.com").to_lowercase();
            let value = points * 10;
            push_line(
                &mut text,
                format_args!(
                    "{id},{first} {last},{first},{last},{email},{city},{occupation},{tier},{born},\
                 {income},{points},{value},{contact},{loyalty}"
                ),
            );
        }
        text
    }

    fn orders_csv(&self) -> String {
        let mut text = "PurchaseId,ContactId,PurchasedOn,Subject,ProductId,TotalPrice\n".to_owned();
        for Order {
            id,
            contact,
            at,
            product,
            price,
        } in &self.orders
        {
            push_line(
                &mut text,
                format_args!("{id},{contact},{at},Purchased online,{product},{price}"),
            );
        }
        text
    }

    fn reviews_csv(&self) -> String {
        let mut text = "ReviewId,UserId,ReviewDate,ReviewText,ReviewRating\n".to_owned();
        for Review {
            id,
            contact,
            at,
            text: verdict,
            stars,
        } in &self.reviews
        {
            push_line(
                &mut text,
                format_args!("{id},{contact},{at},{verdict},{stars}"),
            );
        }
        text
    }
}

/// A purchase as an online caller sends it: the same row that the source would bring.
pub(crate) fn order_json(order: &Order) -> Value {
    json!({"PurchaseId": order.id, "ContactId": order.contact, "PurchasedOn": order.at,
        "Subject": "Purchased online", "ProductId": order.product, "TotalPrice": order.price})
}

pub(crate) fn one_of(rng: &mut Rng, words: &[&'static str]) -> &'static str {
    rng.choice(words).copied().unwrap_or_default()
}

/// Makes a purchase by some customer, at an instant.
pub(crate) fn order(rng: &mut Rng, id: String, contact: String, at: Instant) -> Order {
    Order {
        id,
        contact,
        at,
        product: one_of(rng, &PRODUCTS),
        price: rng.u32(49..4_000),
    }
}

fn person(rng: &mut Rng, number: usize) -> Person {
    Person {
        id: format!("C{number:05}"),
        first: one_of(rng, &FIRST),
        last: one_of(rng, &LAST),
        city: one_of(rng, &CITIES),
        occupation: one_of(rng, &OCCUPATIONS),
        tier: one_of(rng, &TIERS),
        born: format!(
            "{}-{:02}-{:02}",
            rng.u32(1940..2006),
            rng.u32(1..=12),
            rng.u32(1..=28)
        ),
        income: rng.u32(250..1_500) * 1_000,
        points: rng.u32(0..5_000),
        contact: format!("CNT{number:05}"),
        loyalty: format!("LOY{number:05}"),
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a text never fails");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::source::manifest;

    fn until() -> Instant {
        Instant::parse("2026-11-23T12:00:00Z").unwrap()
    }

    #[test]
    fn the_same_instant_gives_the_same_files_byte_by_byte() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = People::make(until()).write(one.path()).unwrap();
        let second = People::make(until()).write(two.path()).unwrap();
        assert_eq!(first.len(), 3);
        for (a, b) in first.iter().zip(&second) {
            let (text, again) = (fs::read(&a.path).unwrap(), fs::read(&b.path).unwrap());
            assert_eq!(text, again, "{}", a.entity);
            assert_eq!(a.bytes, text.len() as u64);
        }
        let later = People::make(until().plus(DAY));
        assert_eq!(later.persons, People::make(until()).persons);
    }

    #[test]
    fn every_file_has_the_columns_of_its_schema_and_no_broken_line() {
        let folder = tempfile::tempdir().unwrap();
        let people = People::make(until());
        let schemas = manifest(until()).schemas().unwrap();
        for (part, rows) in people
            .write(folder.path())
            .unwrap()
            .iter()
            .zip([CUSTOMERS, ORDERS, REVIEWS])
        {
            let schema = schemas
                .iter()
                .find(|s| s.name.as_str() == part.entity)
                .unwrap();
            let text = fs::read_to_string(&part.path).unwrap();
            let columns: Vec<&str> = text.lines().next().unwrap().split(',').collect();
            assert_eq!(columns.len(), schema.attributes.len(), "{}", part.entity);
            for column in &columns {
                assert!(schema.find(column).is_some(), "{column}");
            }
            assert_eq!(text.lines().count(), rows + 1);
            for line in text.lines() {
                assert_eq!(line.split(',').count(), columns.len(), "{line}");
                assert!(!line.contains('"'), "{line}");
            }
        }
        assert_eq!(people.persons[0].id, HERO);
        assert!(people.orders.iter().all(|order| order.at < until()));
    }
}
