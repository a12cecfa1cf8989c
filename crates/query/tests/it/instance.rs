//! One instance, written to and refreshed through the core, and asked as a front door would.

use std::cmp::Reverse;
use std::time::Duration;

use sanntid_engine::{
    AppendActivity, Appended, EntityTable, OnUnknownCustomer, Owner, PatchProfile, Record,
    SourceActivity, SourceContent, Switch, TenantState, append_activity, patch_profile,
    project_row,
};
use sanntid_query::{
    Answer, Context, Limits, Moment, ReadOptions, embedded_pairs, parse_path, read,
};
use sanntid_types::{
    CallerName, EdmType, Error, Incarnation, InstanceId, Instant, Literal, ProfileId, Row,
    RowBuilder, TableId,
};
use serde_json::Value;

use crate::fixtures::{
    ORDERS, Profile, customer_schema, name, orders_config, orders_schema, person,
};
use crate::stored::Stored;

/// More rows than any test has: who finds as many goes in circles.
pub(crate) const ROWS_MAX: usize = 1000;
pub(crate) const BASE: &str = "http://h/v1/instances/i/data";
pub(crate) const OPTIONS: ReadOptions = ReadOptions {
    source_only: false,
    explain: false,
};
pub(crate) struct Instance {
    pub(crate) stored: Stored,
    pub(crate) tenant: TenantState,
    pub(crate) clock: Instant,
    pub(crate) limits: Limits,
}

pub(crate) fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("id")
}

pub(crate) fn at(text: &str) -> Instant {
    Instant::parse(text).expect(text)
}

pub(crate) fn pairs(options: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.iter().map(owned).collect()
}

impl Instance {
    /// Before its first snapshot.
    pub(crate) fn empty() -> Self {
        let instance = InstanceId::parse("00000000-0000-0000-0000-000000000001").expect("uuid");
        let mut tenant = TenantState::new(instance, Incarnation(1));
        tenant.activities = vec![orders_config()];
        Self {
            stored: Stored::default(),
            tenant,
            clock: at("2026-11-23T12:00:00Z"),
            limits: Limits::default(),
        }
    }

    /// With the profiles `a` (Oslo, 30), `b` (Bergen, 40) and `c` (nulls), and no activity.
    pub(crate) fn new() -> Self {
        let mut instance = Self::empty();
        let profiles = [
            person("a", Some("Oslo"), Some(30)),
            person("b", Some("Bergen"), Some(40)),
            person("c", None, None),
        ];
        instance.refresh(&profiles, &[], &[]);
        instance
    }

    /// Loads a generation: profiles, redirects old → new, orders.
    pub(crate) fn refresh(
        &mut self,
        profiles: &[Profile],
        redirects: &[(&str, &str)],
        orders: &[Row],
    ) {
        self.clock = self.clock.plus(Duration::from_secs(1));
        let stored = &mut self.stored;
        stored.profiles.clear();
        stored.keys.clear();
        for profile in profiles {
            let mut row = RowBuilder::default();
            row.push(&Literal::text(&profile.id));
            let city = profile.city.as_deref();
            row.push(&city.map_or_else(Literal::null, Literal::text));
            let age = profile
                .age
                .map_or_else(|| "null".to_owned(), |age| age.to_string());
            row.push(&Literal::from_json(EdmType::Int32, &age).expect("age"));
            row.push(&Literal::from_json(EdmType::Decimal, "12.50").expect("income"));
            row.push(&Literal::text(&profile.keys));
            row.push(&Literal::from_json(EdmType::Double, "1e3").expect("value"));
            stored.profiles.insert(id(&profile.id), row.finish());
            for key in profile.keys.split(';').map(str::trim) {
                stored.keys.insert(key.to_owned(), id(&profile.id));
            }
        }
        stored.redirects = redirects
            .iter()
            .map(|(old, new)| (id(old), id(new)))
            .collect();
        stored.source.clear();
        for row in orders {
            let (activity, owner) =
                project_row(&orders_config(), &orders_schema(), row).expect("projects");
            let Owner::Key { key, .. } = owner else {
                panic!("a source row has a key")
            };
            let source = SourceActivity {
                id: activity.id,
                time: activity.time,
                profile: stored.keys.get(&key).cloned(),
                content: SourceContent::Row {
                    entity: name(ORDERS),
                    row: row.clone(),
                },
            };
            stored.source.insert(source.id.clone(), source);
        }
        let as_of = self.clock.minus(Duration::from_secs(1));
        let table = |schema, table, rows: usize| EntityTable {
            schema,
            table: TableId(table),
            as_of,
            rows: rows as u64,
            size: 0,
        };
        self.tenant.switch(Switch {
            entities: vec![
                table(customer_schema(), 1, profiles.len()),
                table(orders_schema(), 3, orders.len()),
            ],
            timeline: Some(TableId(2)),
            projected_with: vec![orders_config()],
            simulated: false,
        });
    }

    pub(crate) fn patch(&mut self, profile: &str, body: &str) {
        self.patch_until(profile, body, None, None);
    }

    pub(crate) fn patch_until(
        &mut self,
        profile: &str,
        body: &str,
        valid_until: Option<Instant>,
        caller: Option<&str>,
    ) {
        let command = PatchProfile {
            profile: &id(profile),
            body: body.as_bytes(),
            valid_until,
            caller: caller.map(|caller| CallerName::parse(caller).expect("caller")),
            if_match: None,
        };
        let patched = patch_profile(&self.stored, &self.tenant, self.clock, &command);
        self.apply(patched.expect(body).records);
    }

    /// Appends to `UnifiedActivity`, or to `Shop_Orders` where the body has an `OrderId`.
    pub(crate) fn append(&mut self, body: &str) {
        self.append_until(body, None);
    }

    pub(crate) fn append_until(&mut self, body: &str, valid_until: Option<Instant>) {
        let command = AppendActivity {
            entity: if body.contains("OrderId") {
                ORDERS
            } else {
                "UnifiedActivity"
            },
            body: body.as_bytes(),
            valid_until,
            caller: Some(CallerName::parse("crm").expect("caller")),
            on_unknown: OnUnknownCustomer::Hold,
        };
        let appended = append_activity(&self.stored, &self.tenant, self.clock, &command);
        match appended.expect(body) {
            Appended::New { records, .. } => self.apply(records),
            Appended::Replayed { .. } => panic!("{body} is there already"),
        }
    }

    fn apply(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Overlay { profile, overlay } => {
                    self.stored.overlays.insert(profile, overlay);
                }
                Record::Activity { activity, identity } => {
                    let id = activity.activity.id.clone();
                    let time = Reverse(activity.activity.time);
                    let key = (activity.owner.clone(), time, id.clone());
                    self.stored.realtime.insert(key, *activity);
                    self.stored.identities.insert(id, identity);
                }
                Record::Head {
                    position,
                    accepted_at,
                } => {
                    self.tenant.position = position;
                    self.tenant.accepted_at = Some(accepted_at);
                }
            }
        }
    }

    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment {
            tenant: &self.tenant,
            view: &self.stored,
            now: self.clock,
        }
    }

    /// Asks as a front door would.
    pub(crate) fn ask(
        &self,
        path: &str,
        options: &[(&str, &str)],
        own: ReadOptions,
    ) -> Result<Answer, Error> {
        let (path, embedded) = parse_path(path)?;
        let mut given = pairs(options);
        given.extend(embedded.iter().flat_map(|query| embedded_pairs(query)));
        let context = Context { base_url: BASE };
        let (moment, limits) = (self.moment(), &self.limits);
        read(&moment, &context, &path, &given, &own, limits)
    }

    pub(crate) fn collection(&self, path: &str, options: &[(&str, &str)]) -> Value {
        match self.ask(path, options, OPTIONS) {
            Ok(Answer::Collection { json }) => serde_json::from_str(&json).expect("JSON"),
            other => panic!("{path} {options:?}: {other:?}"),
        }
    }

    pub(crate) fn refusal(&self, path: &str, options: &[(&str, &str)]) -> Error {
        match self.ask(path, options, OPTIONS) {
            Err(error) => error,
            Ok(answer) => panic!("{path} {options:?}: {answer:?}"),
        }
    }

    /// The ids of the profiles or activities of all pages, and how many each page has.
    pub(crate) fn all_ids(&self, path: &str, options: &[(&str, &str)]) -> Vec<String> {
        let mut page = self.collection(path, options);
        let mut found = ids(&page);
        while let Some(next) = next_of(&page) {
            page = self.follow(&next);
            found.extend(ids(&page));
            assert!(found.len() < ROWS_MAX, "pages without end: {options:?}");
        }
        found
    }

    /// Follows a next link.
    pub(crate) fn follow(&self, link: &str) -> Value {
        let (path, mut options) = link_parts(link);
        let mut own = OPTIONS;
        options.retain(|(name, value)| match (name.as_str(), value.as_str()) {
            ("view", "source") => {
                own.source_only = true;
                false
            }
            ("explain", "true") => {
                own.explain = true;
                false
            }
            _ => true,
        });
        let options: Vec<(&str, &str)> = options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        match self.ask(&path, &options, own) {
            Ok(Answer::Collection { json }) => serde_json::from_str(&json).expect("JSON"),
            other => panic!("{link}: {other:?}"),
        }
    }
}

/// The path and the decoded options of a link below `BASE`.
pub(crate) fn link_parts(link: &str) -> (String, Vec<(String, String)>) {
    let rest = link.strip_prefix(BASE).expect("absolute, below the base");
    split_link(rest.strip_prefix('/').expect("a slash"))
}

pub(crate) fn split_link(link: &str) -> (String, Vec<(String, String)>) {
    assert!(link.is_ascii() && !link.contains([' ', '"', '+']), "{link}");
    let (path, query) = link.split_once('?').expect("a query");
    let pairs = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').expect("a value");
        (decoded(name), decoded(value))
    });
    (decoded(path), pairs.collect())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).expect("hex")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

pub(crate) fn next_of(page: &Value) -> Option<String> {
    let link = page.get("@odata.nextLink")?;
    Some(link.as_str().expect("a text").to_owned())
}

/// The ids of the rows of a page.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    let rows = page["value"].as_array().expect("rows");
    rows.iter()
        .map(|row| {
            let id = row.get("ActivityId").unwrap_or(&row["CustomerId"]);
            id.as_str().expect("an id").to_owned()
        })
        .collect()
}
