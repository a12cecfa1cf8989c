//! One instance kept in plain maps, driven as its owner would drive it.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sanntid_engine::{
    ActivityIdentity, AppendActivity, Appended, EntityTable, OnUnknownCustomer, Overlay, Owner,
    Record, SourceActivity, SourceContent, StoredActivity, Switch, TenantState, TimelineEntry,
    TimelineQuery, View, ViewError, append_activity, project_row, timeline,
};
use sanntid_types::{
    ActivityConfig, ActivityId, AlternateKey, Attribute, AttributeRole, EdmType, EntityName,
    EntitySchema, EntityType, Error, Incarnation, InstanceId, Instant, Literal, ProfileId,
    Relationship, Row, RowBuilder, TableId,
};

pub(crate) const ORDERS: &str = "Shop_Orders";
pub(crate) const CUSTOMERS: TableId = TableId(1);
pub(crate) const TIMELINE: TableId = TableId(2);

/// Holds what a store would, in the plainest form.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) profiles: BTreeMap<ProfileId, Row>,
    /// Customer ids by key; the rows of the profiles hold the same keys.
    pub(crate) keys: BTreeMap<String, ProfileId>,
    pub(crate) redirects: BTreeMap<ProfileId, ProfileId>,
    pub(crate) identities: BTreeMap<ActivityId, ActivityIdentity>,
    pub(crate) source: BTreeMap<ActivityId, SourceActivity>,
    pub(crate) realtime: BTreeMap<(Owner, Reverse<Instant>, ActivityId), StoredActivity>,
    /// How many activities have been read from the iterators.
    pub(crate) reads: Cell<usize>,
    pub(crate) broken: bool,
}

impl View for Stored {
    fn profile(&self, table: TableId, id: &ProfileId) -> Result<Option<Row>, ViewError> {
        assert_eq!(table, CUSTOMERS);
        Ok(self.profiles.get(id).cloned())
    }
    fn resolve_key(
        &self,
        table: TableId,
        entity: &str,
        key: &str,
    ) -> Result<Option<ProfileId>, ViewError> {
        assert_eq!((table, entity), (CUSTOMERS, "Shop_Contacts"));
        Ok(self.keys.get(key).cloned())
    }
    fn redirect(&self, _: TableId, id: &ProfileId) -> Result<Option<ProfileId>, ViewError> {
        Ok(self.redirects.get(id).cloned())
    }
    fn former_ids(&self, _: TableId, id: &ProfileId) -> Result<Vec<ProfileId>, ViewError> {
        let formers = self.redirects.iter().filter(|(_, new)| *new == id);
        Ok(formers.map(|(old, _)| old.clone()).collect())
    }
    fn overlay(&self, _: &ProfileId) -> Result<Option<Overlay>, ViewError> {
        Ok(None)
    }
    fn identity(&self, id: &ActivityId) -> Result<Option<ActivityIdentity>, ViewError> {
        Ok(self.identities.get(id).cloned())
    }
    fn source_activity(
        &self,
        table: TableId,
        id: &ActivityId,
    ) -> Result<Option<SourceActivity>, ViewError> {
        assert_eq!(table, TIMELINE);
        Ok(self.source.get(id).cloned())
    }
    fn source_timeline<'a>(
        &'a self,
        table: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<SourceActivity, ViewError>> + 'a> {
        assert_eq!(table, TIMELINE);
        let mut found: Vec<_> = self
            .source
            .values()
            .filter(|source| source.profile.as_ref() == Some(profile) && source.time <= until)
            .cloned()
            .collect();
        found.sort_by_key(|source| (Reverse(source.time), source.id.clone()));
        Box::new(found.into_iter().map(|source| self.read(source)))
    }
    fn profiles<'a>(
        &'a self,
        _: TableId,
        _: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Result<(ProfileId, Row), ViewError>> + 'a> {
        Box::new(std::iter::empty())
    }
    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Result<Option<StoredActivity>, ViewError> {
        let place = (owner.clone(), Reverse(time), id.clone());
        Ok(self.realtime.get(&place).cloned())
    }
    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<StoredActivity, ViewError>> + 'a> {
        let owner = owner.clone();
        Box::new(
            self.realtime
                .iter()
                .filter(move |((of, time, _), _)| *of == owner && time.0 <= until)
                .map(|(_, stored)| self.read(stored.clone())),
        )
    }
}

impl Stored {
    fn read<T>(&self, item: T) -> Result<T, ViewError> {
        self.reads.set(self.reads.get() + 1);
        if self.broken {
            Err(ViewError::Unavailable("gone".to_owned()))
        } else {
            Ok(item)
        }
    }
}

pub(crate) fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("id")
}

pub(crate) fn name(text: &str) -> EntityName {
    EntityName::parse(text).expect("name")
}

pub(crate) fn at(text: &str) -> Instant {
    Instant::parse(text).expect(text)
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn orders_schema() -> Arc<EntitySchema> {
    let formatted = Attribute {
        format: Some("%m/%d/%Y".to_owned()),
        ..Attribute::plain("PurchasedOn", EdmType::DateTimeOffset)
    };
    Arc::new(EntitySchema {
        name: name(ORDERS),
        friendly_name: None,
        entity_type: EntityType::Activity,
        attributes: vec![
            Attribute {
                role: AttributeRole::Key,
                ..Attribute::plain("OrderId", EdmType::Int64)
            },
            formatted,
            Attribute::plain("Subject", EdmType::String),
            Attribute::plain("Product", EdmType::String),
            Attribute::plain("Total", EdmType::Decimal),
            Attribute::plain("ContactId", EdmType::String),
        ],
        key: Some(0),
    })
}

pub(crate) fn orders_config() -> ActivityConfig {
    ActivityConfig {
        entity_name: name(ORDERS),
        primary_key: "OrderId".to_owned(),
        timestamp: "PurchasedOn".to_owned(),
        title: "Subject".to_owned(),
        description: Some("Product".to_owned()),
        url: None,
        activity_type: "SalesOrder".to_owned(),
        activity_name: Some("Online purchase".to_owned()),
        show_in_timeline: true,
        icon: None,
        relationship: Relationship {
            foreign_key: "ContactId".to_owned(),
            to_entity: "shop_contacts".to_owned(),
        },
        semantic_fields: [("Amount", "Total"), ("Order", "OrderId")]
            .map(|(field, column)| (field.to_owned(), column.to_owned()))
            .into(),
    }
}

fn customer_schema() -> Arc<EntitySchema> {
    let key = AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    };
    let role = |name, role| Attribute {
        role,
        ..Attribute::plain(name, EdmType::String)
    };
    Arc::new(EntitySchema {
        name: name("Customer"),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes: vec![
            role("CustomerId", AttributeRole::Key),
            role("ContactId", AttributeRole::AlternateKey(key)),
        ],
        key: Some(0),
    })
}

pub(crate) struct Instance {
    pub(crate) stored: Stored,
    pub(crate) tenant: TenantState,
    pub(crate) clock: Instant,
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
        }
    }

    /// With the customers `a` (keys `k1`, `k2`) and `b` (key `k3`), and no activities.
    pub(crate) fn new() -> Self {
        let mut instance = Self::empty();
        instance.refresh(&[("a", "k1; k2"), ("b", "k3")], &[], &[]);
        instance
    }

    /// Loads a generation: profiles with their keys, redirects old → new, source rows.
    pub(crate) fn refresh(
        &mut self,
        profiles: &[(&str, &str)],
        redirects: &[(&str, &str)],
        rows: &[Row],
    ) {
        let stored = &mut self.stored;
        stored.profiles.clear();
        stored.keys.clear();
        for (profile, keys) in profiles {
            let mut row = RowBuilder::default();
            row.push(&Literal::text(profile));
            row.push(&Literal::text(keys));
            stored.profiles.insert(id(profile), row.finish());
            for key in keys.split(';').map(str::trim) {
                stored.keys.insert(key.to_owned(), id(profile));
            }
        }
        stored.redirects = redirects
            .iter()
            .map(|(old, new)| (id(old), id(new)))
            .collect();
        let (config, schema) = (orders_config(), orders_schema());
        stored.source.clear();
        for row in rows {
            let (activity, owner) = project_row(&config, &schema, row).expect("projects");
            let Owner::Key { key, .. } = owner else {
                panic!("a source row has a key")
            };
            let source = SourceActivity {
                id: activity.id,
                time: activity.time,
                profile: stored.keys.get(&key).cloned(),
                content: SourceContent::Row {
                    entity: config.entity_name.clone(),
                    row: row.clone(),
                },
            };
            stored.source.insert(source.id.clone(), source);
        }
        let table = |schema, table| EntityTable {
            schema,
            table,
            as_of: self.clock.minus(seconds(1)),
            rows: 0,
            size: 0,
        };
        self.tenant.switch(Switch {
            entities: vec![
                table(customer_schema(), CUSTOMERS),
                table(orders_schema(), TableId(3)),
            ],
            timeline: Some(TIMELINE),
            projected_with: vec![config],
            simulated: false,
        });
    }

    pub(crate) fn decide(&self, command: &AppendActivity<'_>) -> Result<Appended, Error> {
        append_activity(&self.stored, &self.tenant, self.clock, command)
    }

    pub(crate) fn post(&mut self, entity: &str, body: &str) -> Result<Appended, Error> {
        self.post_with(entity, body, None, OnUnknownCustomer::Reject)
    }

    pub(crate) fn post_with(
        &mut self,
        entity: &str,
        body: &str,
        ttl: Option<u64>,
        on_unknown: OnUnknownCustomer,
    ) -> Result<Appended, Error> {
        let now = self.tenant.now(self.clock);
        let command = AppendActivity {
            entity,
            body: body.as_bytes(),
            valid_until: ttl.map(|ttl| now.plus(seconds(ttl))),
            caller: None,
            on_unknown,
        };
        let appended = self.decide(&command)?;
        if let Appended::New { records, .. } = &appended {
            for record in records {
                self.apply(record);
            }
        }
        Ok(appended)
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Activity { activity, identity } => {
                let id = activity.activity.id.clone();
                let key = (
                    activity.owner.clone(),
                    Reverse(activity.activity.time),
                    id.clone(),
                );
                self.stored.realtime.insert(key, (**activity).clone());
                self.stored.identities.insert(id, identity.clone());
            }
            Record::Head {
                position,
                accepted_at,
            } => {
                assert_eq!(
                    *position,
                    self.tenant.position.next(),
                    "positions have no gap"
                );
                assert!(
                    self.tenant.accepted_at <= Some(*accepted_at),
                    "never backwards"
                );
                self.tenant.position = *position;
                self.tenant.accepted_at = Some(*accepted_at);
            }
            Record::Overlay { .. } => panic!("an activity stores no overlay"),
        }
    }

    pub(crate) fn entries(&self, profile: &str, query: TimelineQuery) -> Vec<TimelineEntry> {
        timeline(&self.stored, &self.tenant, self.clock, &id(profile), query)
            .expect("opens")
            .map(|entry| entry.expect("reads"))
            .collect()
    }

    /// The ids of the whole timeline in order.
    pub(crate) fn ids(&self, profile: &str) -> Vec<String> {
        let entries = self.entries(profile, TimelineQuery::default());
        entries
            .into_iter()
            .map(|entry| entry.activity.id.to_string())
            .collect()
    }

    pub(crate) fn wait(&mut self, count: u64) {
        self.clock = self.clock.plus(seconds(count));
    }
}

/// A source's row as a file would bring it.
pub(crate) fn order(number: u64, day: &str, subject: &str, contact: &str) -> Row {
    let texts = [&number.to_string(), day, subject, "", "12.50", contact];
    let mut row = RowBuilder::default();
    for (attribute, text) in orders_schema().attributes.iter().zip(texts) {
        let format = attribute.format.as_deref();
        row.push(&match text {
            "" => Literal::null(),
            text => Literal::from_text(attribute.data_type, format, text).expect(text),
        });
    }
    row.finish()
}

pub(crate) fn unified(id: &str, customer: &str, second: u64) -> String {
    format!(
        "{{\"ActivityId\": \"{id}\", \"CustomerId\": \"{customer}\", \"ActivityType\": \"Visit\", \
         \"ActivityTime\": \"2026-11-01T00:00:{second:02}Z\"}}"
    )
}
