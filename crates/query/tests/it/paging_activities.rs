//! Pages of `UnifiedActivity` against a plain filter and sort, also with writes and refreshes
//! between them (rules 5.6).

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::fixtures::{order, person, visit};
use crate::instance::{Instance, ROWS_MAX, at, ids, next_of};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    id: String,
    customer: &'static str,
    second: u8,
    is_order: bool,
}

type Filter = (&'static str, fn(&Shown) -> bool);
type Order = (&'static str, fn(&Shown, &Shown) -> Ordering);

const FILTERS: [Filter; 8] = [
    ("", |_| true),
    ("CustomerId eq 'b'", |row| row.customer == "b"),
    ("CustomerId in ('a', 'd')", |row| {
        ["a", "d"].contains(&row.customer)
    }),
    ("ActivityType eq 'Visit'", |row| !row.is_order),
    (
        "ActivityTime ge 2026-11-01T00:00:02Z and ActivityTime lt 2026-11-01T00:00:05Z",
        |row| (2..5).contains(&row.second),
    ),
    (
        "CustomerId eq 'a' and ActivityTime gt 2026-11-01T00:00:01Z",
        |row| row.customer == "a" && row.second > 1,
    ),
    (
        "ActivityId in ('v0', 'v3', 'Shop_Orders:1', 'Shop_Orders:2')",
        |row| ["v0", "v3", "Shop_Orders:1", "Shop_Orders:2"].contains(&row.id.as_str()),
    ),
    ("Title ne null or CustomerId eq 'c'", |row| {
        row.is_order || row.customer == "c"
    }),
];

const ORDERS: [Order; 7] = [
    ("", |_, _| Ordering::Equal),
    ("ActivityTime desc", |a, b| b.second.cmp(&a.second)),
    ("ActivityTime", |a, b| a.second.cmp(&b.second)),
    ("CustomerId,ActivityTime desc", |_, _| Ordering::Equal),
    ("CustomerId desc", |a, b| b.customer.cmp(a.customer)),
    ("ActivityType desc,ActivityTime", |a, b| {
        a.is_order.cmp(&b.is_order).then(a.second.cmp(&b.second))
    }),
    ("Title,ActivityId desc", |a, b| {
        let title = |row: &Shown| row.is_order.then(|| format!("bought {}", row.number()));
        title(a).cmp(&title(b)).then_with(|| b.id.cmp(&a.id))
    }),
];

const CUSTOMERS: [&str; 4] = ["a", "b", "c", "d"];

impl Shown {
    fn number(&self) -> &str {
        self.id.trim_start_matches("Shop_Orders:")
    }
}

/// A customer and a second.
type Place = (usize, u8);

#[derive(Clone, Debug)]
struct Source {
    customers: BTreeSet<usize>,
    /// By their number.
    orders: BTreeMap<usize, Place>,
}

#[derive(Clone, Debug)]
enum Step {
    Append(Place),
    Refresh(Source),
}

fn place() -> impl Strategy<Value = Place> {
    (0..CUSTOMERS.len(), 0_u8..7)
}

fn source() -> impl Strategy<Value = Source> {
    let customers = prop::collection::btree_set(0..CUSTOMERS.len(), 1..=CUSTOMERS.len());
    let orders = prop::collection::btree_map(0..12_usize, place(), 0..12);
    (customers, orders).prop_map(|(customers, orders)| Source { customers, orders })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => place().prop_map(Step::Append),
        1 => source().prop_map(Step::Refresh),
    ]
}

struct World {
    instance: Instance,
    source: Source,
    appended: Vec<Place>,
}

impl World {
    fn new(source: Source, page: u64) -> Self {
        let mut instance = Instance::empty();
        instance.limits.page_rows_default = page;
        let mut world = Self {
            instance,
            source: source.clone(),
            appended: Vec::new(),
        };
        world.take(Step::Refresh(source));
        world
    }

    fn take(&mut self, step: Step) {
        let time = |second: u8| format!("2026-11-01T00:00:0{second}Z");
        match step {
            // Of a customer who is not there, an activity is held.
            Step::Append((customer, second)) => {
                let id = format!("v{}", self.appended.len());
                self.instance
                    .append(&visit(&id, CUSTOMERS[customer], &time(second)));
                self.appended.push((customer, second));
            }
            Step::Refresh(source) => {
                let customers = source.customers.iter();
                let profiles: Vec<_> = customers
                    .map(|customer| person(CUSTOMERS[*customer], None, None))
                    .collect();
                let orders: Vec<_> = source
                    .orders
                    .iter()
                    .map(|(number, (customer, second))| {
                        let key = format!("{}2", CUSTOMERS[*customer]);
                        order(&number.to_string(), at(&time(*second)), &key)
                    })
                    .collect();
                self.instance.refresh(&profiles, &[], &orders);
                self.source = source;
            }
        }
    }

    fn expected(&self, filter: usize, order: usize) -> Vec<Shown> {
        let row = |id: String, (customer, second): Place, is_order| {
            let exists = self.source.customers.contains(&customer);
            exists.then(|| Shown {
                id,
                customer: CUSTOMERS[customer],
                second,
                is_order,
            })
        };
        let orders = self.source.orders.iter();
        let orders =
            orders.filter_map(|(number, at)| row(format!("Shop_Orders:{number}"), *at, true));
        let visits = self.appended.iter().enumerate();
        let visits = visits.filter_map(|(number, at)| row(format!("v{number}"), *at, false));
        let (_, matches) = FILTERS[filter];
        let (_, compare) = ORDERS[order];
        let mut rows: Vec<Shown> = orders.chain(visits).filter(matches).collect();
        let key = |row: &Shown| (row.customer, Reverse(row.second), row.id.clone());
        rows.sort_by(|a, b| compare(a, b).then_with(|| key(a).cmp(&key(b))));
        rows
    }

    fn page(&self, filter: usize, order: usize, more: &[(&str, &str)]) -> serde_json::Value {
        let given = [
            ("$filter", FILTERS[filter].0),
            ("$orderby", ORDERS[order].0),
        ];
        let given = given.into_iter().filter(|(_, text)| !text.is_empty());
        let options: Vec<_> = given.chain(more.iter().copied()).collect();
        self.instance.collection("UnifiedActivity", &options)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn all_pages_together_are_the_rows_that_match_in_order(
        source in source(),
        appended in prop::collection::vec(place(), 0..8),
        (filter, order) in (0..FILTERS.len(), 0..ORDERS.len()),
        (page_rows, skip) in (1_u64..6, 0_usize..6),
    ) {
        let mut world = World::new(source, page_rows);
        for place in appended {
            world.take(Step::Append(place));
        }
        let all: Vec<String> =
            world.expected(filter, order).into_iter().map(|row| row.id).collect();
        let skip_text = skip.to_string();
        let options = [("$count", "true"), ("$skip", skip_text.as_str())];
        let mut page = world.page(filter, order, &options);
        let mut found = Vec::new();
        loop {
            prop_assert_eq!(&page["@odata.count"], all.len());
            found.extend(ids(&page));
            prop_assert!(found.len() < ROWS_MAX, "pages without end");
            let Some(next) = next_of(&page) else { break };
            prop_assert_eq!(ids(&page).len() as u64, page_rows);
            page = world.instance.follow(&next);
            prop_assert!(!ids(&page).is_empty(), "a link to nothing");
        }
        prop_assert_eq!(found, all.get(skip..).unwrap_or_default());
    }

    #[test]
    fn a_row_that_keeps_its_place_appears_once_across_writes_and_refreshes(
        source in source(),
        steps in prop::collection::vec(prop::collection::vec(step(), 0..3), 0..12),
        (filter, order) in (0..FILTERS.len(), 0..ORDERS.len()),
        page_rows in 1_u64..6,
    ) {
        let mut world = World::new(source, page_rows);
        let mut steady = world.expected(filter, order);
        let mut steps = steps.into_iter();
        let mut page = world.page(filter, order, &[]);
        let mut found = ids(&page);
        while let Some(next) = next_of(&page) {
            prop_assert_eq!(ids(&page).len() as u64, page_rows, "full until the last");
            for step in steps.next().unwrap_or_default() {
                world.take(step);
                let now = world.expected(filter, order);
                steady.retain(|row| now.contains(row));
            }
            page = world.instance.follow(&next);
            found.extend(ids(&page));
            prop_assert!(found.len() < ROWS_MAX, "pages without end");
        }
        let steady: Vec<&str> = steady.iter().map(|row| row.id.as_str()).collect();
        found.retain(|id| steady.contains(&id.as_str()));
        prop_assert_eq!(found, steady);
    }
}
