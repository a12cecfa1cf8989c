//! One instance over plain maps, driven by the core as its owner would drive it.

use std::cmp::Reverse;

use sanntid_engine::{
    ActivityTypeCount, AppendActivity, Appended, Claim, EntityTable, FieldOrigin,
    OnUnknownCustomer, OverlayEffect, Owner, PatchProfile, Record, SourceActivity, SourceContent,
    Switch, TenantState, TimelineQuery, activity_counts, append_activity, check_activities,
    compose_redirects, needs_reprojection, overlay_effect, owner_profile, patch_profile, profile,
    project_row, timeline,
};
use sanntid_types::{
    CallerName, ErrorCode, Incarnation, InstanceId, Instant, Position, ProfileId, RefreshClears,
    Settings, TableId,
};

use crate::entities::{IDS, KEYS, config, customer_schema, order_row, orders_schema, row, spelled};
use crate::model::{Accepted, Answer, Entry, Shown};
use crate::steps::{Document, Field, Load, Orders, Value, seconds};
use crate::stored::{Stored, read_back};

pub(crate) struct Instance {
    pub(crate) stored: Stored,
    pub(crate) tenant: TenantState,
    pub(crate) clock: Instant,
    /// The latest instant that the clock has shown.
    latest: Instant,
    tables: u64,
    loads: u64,
}

fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("id")
}

fn number_of(id: &ProfileId) -> usize {
    let found = IDS.iter().position(|known| *known == id.as_str());
    found.expect("one of the profiles")
}

impl Instance {
    /// Before its first snapshot, with the orders configured ahead.
    pub(crate) fn new() -> Self {
        let instance = InstanceId::parse("00000000-0000-0000-0000-000000000001").expect("uuid");
        let mut tenant = TenantState::new(instance, Incarnation(1));
        tenant.activities = config(Orders::Shown);
        let clock = Instant::parse("2026-11-23T12:00:00Z").expect("time");
        Self {
            stored: Stored::default(),
            tenant,
            clock,
            latest: clock,
            tables: 0,
            loads: 0,
        }
    }

    fn now(&self) -> Instant {
        self.tenant.now(self.clock)
    }

    fn table(&mut self) -> TableId {
        self.tables += 1;
        TableId(self.tables)
    }

    pub(crate) fn wait(&mut self, count: u64) {
        self.clock = self.clock.plus(seconds(count));
        self.latest = self.latest.max(self.clock);
    }

    pub(crate) fn step_back(&mut self, count: u64) {
        self.clock = self.latest.minus(seconds(count));
    }

    pub(crate) fn restart(&mut self) {
        self.tenant = read_back(&self.tenant);
        self.stored.restart();
    }

    /// Removes what became final a minute ago; the clock never goes back that far.
    pub(crate) fn reclaim(&mut self) {
        let then = self.latest.minus(seconds(60));
        self.stored.reclaim(&self.tenant, then);
    }

    pub(crate) fn open(&mut self, as_of: Instant) -> Result<Instant, ErrorCode> {
        let checked = self.tenant.check_as_of(as_of, self.now());
        let as_of = checked.map_err(|error| error.code)?;
        self.tenant.open_refresh(as_of);
        Ok(as_of)
    }

    pub(crate) fn set(&mut self, always: bool, margin: u64) {
        let clears = [RefreshClears::Never, RefreshClears::Always];
        self.tenant.set_settings(Settings {
            refresh_clears: clears[usize::from(always)],
            as_of_margin: seconds(margin),
            ..Settings::default()
        });
    }

    /// Loads a snapshot beside the current generation, switches, and says what that did.
    pub(crate) fn load(&mut self, as_of: Instant, load: &Load) -> Result<OverlayEffect, ErrorCode> {
        let now = self.now();
        let checked = self.tenant.check_as_of(as_of, now);
        let as_of = checked.map_err(|error| error.code)?;
        self.loads += 1;
        let current = self.tenant.customer().map(|customer| customer.table);
        let (customers, orders) = (self.table(), self.table());
        self.load_customers(customers, load);
        let before = current.and_then(|table| self.stored.redirects.get(&table).cloned());
        let claims: Vec<_> = load
            .claims
            .iter()
            .map(|(old, new, keys_held)| Claim {
                old: id(IDS[*old]),
                new: id(IDS[*new]),
                keys_held: *keys_held,
            })
            .collect();
        let exists = |id: &ProfileId| load.present[number_of(id)];
        let redirects = compose_redirects(&before.unwrap_or_default(), &claims, now, exists);
        self.stored.redirects.insert(customers, redirects);
        let table = |schema, table, rows| EntityTable {
            schema,
            table,
            as_of,
            rows,
            size: 0,
        };
        let mut entities = vec![table(customer_schema(load.score), customers, 4)];
        if let Some(rows) = &load.orders {
            for order in rows {
                let place = (orders, id(&order.number.to_string()));
                self.stored.rows.insert(place, order_row(order));
            }
            entities.push(table(orders_schema(), orders, rows.len() as u64));
        }
        let before = self.tenant.clone();
        self.switch(entities, load.simulated);
        let mut effect = OverlayEffect::default();
        for overlay in self.stored.overlays.values() {
            effect += overlay_effect(&before, &self.tenant, overlay, now);
        }
        Ok(effect)
    }

    fn load_customers(&mut self, table: TableId, load: &Load) {
        let schema = customer_schema(load.score);
        let (city, score) = (format!("city {}", self.loads), self.loads.to_string());
        for (number, name) in IDS.iter().enumerate().filter(|(at, _)| load.present[*at]) {
            let held = (0..4).filter(|key| load.holders[*key] == number);
            let held: Vec<_> = held.map(|key| KEYS[key]).collect();
            for key in &held {
                let place = (table, "Shop_Contacts".to_owned(), (*key).to_owned());
                self.stored.keys.insert(place, id(name));
            }
            let row = row(&schema, &[name, &city, &held.join("; "), &score]);
            self.stored.rows.insert((table, id(name)), row);
        }
    }

    /// Makes the timeline of the entities with the present configuration, and switches to both.
    fn switch(&mut self, entities: Vec<EntityTable>, simulated: bool) {
        let timeline = self.table();
        let customers = entities[0].table;
        if let ([config], [_, orders]) = (&self.tenant.activities[..], &entities[..]) {
            let rows: Vec<_> = self
                .stored
                .rows
                .iter()
                .filter(|((table, _), _)| *table == orders.table)
                .map(|(_, row)| row.clone())
                .collect();
            for row in rows {
                let projected = project_row(config, &orders.schema, &row);
                let (activity, Owner::Key { key, .. }) = projected.expect("projects") else {
                    panic!("a row names its customer by a key")
                };
                let holder = (customers, "Shop_Contacts".to_owned(), key);
                let source = SourceActivity {
                    id: activity.id.clone(),
                    time: activity.time,
                    profile: self.stored.keys.get(&holder).cloned(),
                    content: SourceContent::Row {
                        entity: orders.schema.name.clone(),
                        row,
                    },
                };
                self.stored.source.insert((timeline, activity.id), source);
            }
        }
        self.tenant.switch(Switch {
            entities,
            timeline: Some(timeline),
            projected_with: self.tenant.activities.clone(),
            simulated,
        });
        assert_eq!(self.tenant.simulated, simulated);
    }

    /// Says whether the timeline had to be made anew, which is then done.
    pub(crate) fn configure(&mut self, orders: Orders) -> bool {
        let checked = check_activities(&self.tenant, config(orders));
        self.tenant.activities = checked.expect("valid");
        let anew = needs_reprojection(&self.tenant, &self.tenant.activities);
        if anew {
            self.switch(self.tenant.entities.clone(), self.tenant.simulated);
        }
        anew
    }

    fn caller(&self) -> Option<CallerName> {
        let crm = CallerName::parse("crm").expect("caller");
        self.tenant
            .position
            .next()
            .0
            .is_multiple_of(2)
            .then_some(crm)
    }

    pub(crate) fn patch(
        &mut self,
        asked: usize,
        fields: &[(Field, Value)],
        ttl: Option<u64>,
    ) -> Result<(usize, Accepted), ErrorCode> {
        let members = fields
            .iter()
            .map(|(field, value)| format!("\"{field:?}\": {}", value.json()));
        let body = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
        let command = PatchProfile {
            profile: &id(IDS[asked]),
            body: body.as_bytes(),
            valid_until: ttl.map(|ttl| self.now().plus(seconds(ttl))),
            caller: self.caller(),
            if_match: None,
        };
        let patched = patch_profile(&self.stored, &self.tenant, self.clock, &command);
        let patched = patched.map_err(|error| error.code)?;
        let mut written = None;
        for record in patched.records {
            if let Record::Overlay { overlay, .. } = &record {
                let newest = overlay.iter().max_by_key(|(_, change)| change.position);
                written = newest.map(|(_, change)| accepted(change.position, change));
            }
            self.apply(record);
        }
        Ok((number_of(&patched.profile), written.expect("an overlay")))
    }

    /// Gives the activity's id and the answer.
    pub(crate) fn post(
        &mut self,
        document: &Document,
        ttl: Option<u64>,
        hold: bool,
    ) -> Result<(String, Answer), ErrorCode> {
        let (entity, body) = spelled(document);
        let on_unknown = match hold {
            true => OnUnknownCustomer::Hold,
            false => OnUnknownCustomer::Reject,
        };
        let command = AppendActivity {
            entity,
            body: body.as_bytes(),
            valid_until: ttl.map(|ttl| self.now().plus(seconds(ttl))),
            caller: self.caller(),
            on_unknown,
        };
        let appended = append_activity(&self.stored, &self.tenant, self.clock, &command);
        let (id, state, customer, write) = match appended.map_err(|error| error.code)? {
            Appended::Replayed {
                state,
                activity,
                customer,
            } => (activity.id, state, customer, None),
            Appended::New { records, activity } => {
                records.into_iter().for_each(|record| self.apply(record));
                let customer = owner_profile(&self.stored, &self.tenant, &activity.owner);
                let write = Accepted {
                    position: activity.position.0,
                    accepted_at: activity.accepted_at,
                    expires_at: activity.expires_at,
                    named_caller: activity.caller.is_some(),
                };
                let customer = customer.expect("reads");
                (activity.activity.id, activity.state, customer, Some(write))
            }
        };
        let customer = customer.as_ref().map(number_of);
        let answer = Answer {
            state,
            customer,
            write,
        };
        Ok((id.to_string(), answer))
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Overlay { profile, overlay } => {
                self.stored.overlays.insert(profile, overlay);
            }
            Record::Activity { activity, identity } => {
                let id = activity.activity.id.clone();
                let time = Reverse(activity.activity.time);
                let place = (activity.owner.clone(), time, id.clone());
                self.stored.realtime.insert(place, *activity);
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

    /// The id that is read, its city and its score.
    pub(crate) fn read(&self, asked: &str) -> Option<(String, (Shown, Option<Shown>))> {
        let read = profile(&self.stored, &self.tenant, self.clock, &id(asked));
        let merged = read.expect("reads")?;
        let mut shown = merged.fields().map(|(ordinal, json, origin)| {
            assert_eq!(merged.json(ordinal), json);
            let origin = match origin {
                FieldOrigin::Source => None,
                FieldOrigin::Realtime { change, source } => {
                    Some((accepted(change.position, change), source.to_owned()))
                }
            };
            (json.to_owned(), origin)
        });
        let (city, score) = (shown.nth(1).expect("a city"), shown.nth(1));
        Some((merged.id.to_string(), (city, score)))
    }

    pub(crate) fn timeline(&self, profile: &str, query: TimelineQuery) -> Vec<Entry> {
        let entries = timeline(&self.stored, &self.tenant, self.clock, &id(profile), query);
        let entries = entries.expect("opens").map(|entry| {
            let entry = entry.expect("reads");
            let write = entry.realtime.map(|origin| Accepted {
                position: origin.position.0,
                accepted_at: origin.accepted_at,
                expires_at: origin.expires_at,
                named_caller: origin.caller.is_some(),
            });
            let activity = entry.activity;
            (
                activity.time,
                activity.id.to_string(),
                activity.activity_type,
                write,
            )
        });
        entries.collect()
    }

    pub(crate) fn counts(&self, profile: &str) -> Vec<ActivityTypeCount> {
        activity_counts(&self.stored, &self.tenant, self.clock, &id(profile)).expect("reads")
    }
}

fn accepted(position: Position, change: &sanntid_engine::Override) -> Accepted {
    Accepted {
        position: position.0,
        accepted_at: change.accepted_at,
        expires_at: change.expires_at,
        named_caller: change.caller.is_some(),
    }
}
