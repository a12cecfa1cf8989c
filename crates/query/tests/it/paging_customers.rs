//! Pages of `Customer` against a plain filter and sort, also with writes and refreshes between them
//! (rules 5.6).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::fixtures::person;
use crate::instance::{Instance, ROWS_MAX, ids, next_of};

/// What a profile shows, as the test keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    id: String,
    city: Option<&'static str>,
    age: Option<i32>,
}

type Filter = (&'static str, fn(&Shown) -> bool);
type Order = (&'static str, fn(&Shown, &Shown) -> Ordering);

const FILTERS: [Filter; 9] = [
    ("", |_| true),
    ("City eq 'Oslo'", |row| row.city == Some("Oslo")),
    ("City ne 'Oslo' and Age ne null", |row| {
        row.city != Some("Oslo") && row.age.is_some()
    }),
    ("Age ge 2", |row| row.age >= Some(2)),
    ("not (Age lt 10)", |row| row.age.is_none_or(|age| age >= 10)),
    ("CustomerId in ('a', 'c', 'd', 'x')", |row| {
        ["a", "c", "d"].contains(&row.id.as_str())
    }),
    ("CustomerId ge 'c' and City ne null", |row| {
        row.id.as_str() >= "c" && row.city.is_some()
    }),
    ("ShopId in ('a2', 'c1', 'f1', 'no')", |row| {
        ["a", "c", "f"].contains(&row.id.as_str())
    }),
    ("ShopId eq 'b1' or CustomerId eq 'e'", |row| {
        ["b", "e"].contains(&row.id.as_str())
    }),
];

const ORDERS: [Order; 7] = [
    ("", |_, _| Ordering::Equal),
    ("CustomerId", |_, _| Ordering::Equal),
    ("CustomerId desc,City", |a, b| b.id.cmp(&a.id)),
    ("City", |a, b| a.city.cmp(&b.city)),
    ("Age desc", |a, b| b.age.cmp(&a.age)),
    ("City desc,Age", |a, b| {
        b.city.cmp(&a.city).then(a.age.cmp(&b.age))
    }),
    ("Income,Age", |a, b| a.age.cmp(&b.age)),
];

const IDS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
const CITIES: [Option<&str>; 4] = [None, Some("Oslo"), Some("Bergen"), Some("Ås")];
const AGES: [Option<i32>; 4] = [None, Some(1), Some(2), Some(10)];

/// The values of one profile, as places in the tables above.
type Values = (usize, usize);

#[derive(Clone, Debug)]
enum Step {
    Patch(usize, Values),
    Refresh(BTreeMap<usize, Values>),
}

#[derive(Clone, Debug)]
struct Case {
    filter: usize,
    order: usize,
    page: usize,
    page_max: usize,
    top: Option<usize>,
    skip: Option<usize>,
}

fn values() -> impl Strategy<Value = Values> {
    (0..CITIES.len(), 0..AGES.len())
}

fn source() -> impl Strategy<Value = BTreeMap<usize, Values>> {
    prop::collection::btree_map(0..IDS.len(), values(), 0..=IDS.len())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..IDS.len(), values()).prop_map(|(id, values)| Step::Patch(id, values)),
        1 => source().prop_map(Step::Refresh),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let few = || prop::option::of(0_usize..12);
    (
        0..FILTERS.len(),
        0..ORDERS.len(),
        1_usize..6,
        1_usize..6,
        few(),
        few(),
    )
        .prop_map(|(filter, order, page, page_max, top, skip)| Case {
            filter,
            order,
            page,
            page_max,
            top,
            skip,
        })
}

/// The instance, and what the test knows of it.
struct World {
    instance: Instance,
    shown: BTreeMap<usize, Values>,
}

impl World {
    fn new(source: BTreeMap<usize, Values>, case: &Case) -> Self {
        let mut instance = Instance::empty();
        instance.limits.page_rows_default = case.page as u64;
        instance.limits.page_rows_max = case.page_max as u64;
        let mut world = Self {
            instance,
            shown: BTreeMap::new(),
        };
        world.take(Step::Refresh(source));
        world
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Patch(id, values) if self.shown.contains_key(&id) => {
                let city = serde_json::to_string(&CITIES[values.0]).expect("JSON");
                let age = serde_json::to_string(&AGES[values.1]).expect("JSON");
                let body = format!(r#"{{"City": {city}, "Age": {age}}}"#);
                self.instance.patch(IDS[id], &body);
                self.shown.insert(id, values);
            }
            Step::Patch(..) => {}
            Step::Refresh(source) => {
                let profiles: Vec<_> = source
                    .iter()
                    .map(|(id, values)| person(IDS[*id], CITIES[values.0], AGES[values.1]))
                    .collect();
                self.instance.refresh(&profiles, &[], &[]);
                self.shown = source;
            }
        }
    }

    /// The rows that match, in order.
    fn expected(&self, case: &Case) -> Vec<Shown> {
        let (_, matches) = FILTERS[case.filter];
        let (_, compare) = ORDERS[case.order];
        let mut rows: Vec<Shown> = self
            .shown
            .iter()
            .map(|(id, values)| Shown {
                id: IDS[*id].to_owned(),
                city: CITIES[values.0],
                age: AGES[values.1],
            })
            .filter(matches)
            .collect();
        rows.sort_by(|a, b| compare(a, b).then_with(|| a.id.cmp(&b.id)));
        rows
    }
}

impl Case {
    fn options(&self) -> Vec<(&'static str, String)> {
        let (filter, _) = FILTERS[self.filter];
        let (order, _) = ORDERS[self.order];
        let mut options = vec![("$count", "true".to_owned())];
        options.extend((!filter.is_empty()).then(|| ("$filter", filter.to_owned())));
        options.extend((!order.is_empty()).then(|| ("$orderby", order.to_owned())));
        options.extend(self.top.map(|top| ("$top", top.to_string())));
        options.extend(self.skip.map(|skip| ("$skip", skip.to_string())));
        options
    }

    fn rows_of_page(&self, left: Option<usize>) -> usize {
        left.map_or(self.page, |left| left.min(self.page_max))
    }
}

fn first_page(world: &World, case: &Case) -> serde_json::Value {
    let options = case.options();
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    world.instance.collection("Customer", &options)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn all_pages_together_are_the_rows_that_match_in_order(
        source in source(),
        patches in prop::collection::vec((0..IDS.len(), values()), 0..8),
        case in case(),
    ) {
        let mut world = World::new(source, &case);
        for (id, values) in patches {
            world.take(Step::Patch(id, values));
        }
        let all: Vec<String> = world.expected(&case).into_iter().map(|row| row.id).collect();
        let skip = case.skip.unwrap_or(0);
        let top = case.top.unwrap_or(usize::MAX);
        let mut rest: &[String] = all.get(skip..).unwrap_or_default();
        rest = &rest[..top.min(rest.len())];
        let mut left = case.top;
        let mut page = first_page(&world, &case);
        loop {
            let rows = case.rows_of_page(left).min(rest.len());
            prop_assert_eq!(ids(&page), &rest[..rows], "{:?}", case);
            prop_assert_eq!(&page["@odata.count"], all.len());
            rest = &rest[rows..];
            left = left.map(|left| left - rows);
            let Some(next) = next_of(&page) else { break };
            prop_assert!(!rest.is_empty(), "a link to nothing: {:?}", case);
            page = world.instance.follow(&next);
        }
        prop_assert!(rest.is_empty(), "rows left without a link: {:?}", case);
    }

    #[test]
    fn a_row_that_keeps_its_place_appears_once_across_writes_and_refreshes(
        source in source(),
        steps in prop::collection::vec(prop::collection::vec(step(), 0..3), 0..12),
        case in case(),
    ) {
        let case = Case { top: None, skip: None, ..case };
        let mut world = World::new(source, &case);
        let mut steady = world.expected(&case);
        let mut steps = steps.into_iter();
        let mut page = first_page(&world, &case);
        let mut found = ids(&page);
        while let Some(next) = next_of(&page) {
            prop_assert_eq!(ids(&page).len(), case.page, "a page is full until the last");
            for step in steps.next().unwrap_or_default() {
                world.take(step);
                let now = world.expected(&case);
                steady.retain(|row| now.contains(row));
            }
            page = world.instance.follow(&next);
            found.extend(ids(&page));
            prop_assert!(found.len() < ROWS_MAX, "pages without end");
        }
        let steady: Vec<&str> = steady.iter().map(|row| row.id.as_str()).collect();
        found.retain(|id| steady.contains(&id.as_str()));
        prop_assert_eq!(found, steady, "{:?}", case);
    }
}
