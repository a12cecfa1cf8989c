//! One instance kept in plain maps, driven as its owner would drive it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sanntid_engine::{
    ActivityIdentity, Claim, EntityTable, Overlay, Owner, PatchProfile, Record, SourceActivity,
    StoredActivity, Switch, TenantState, View, ViewError, compose_redirects, patch_profile,
    profile,
};
use sanntid_types::{
    ActivityId, AlternateKey, Attribute, AttributeRole, EdmType, EntityName, EntitySchema,
    EntityType, Incarnation, InstanceId, Instant, Literal, ProfileId, Row, RowBuilder, TableId,
};

/// Holds what a store would, in the plainest form.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) rows: BTreeMap<ProfileId, Row>,
    pub(crate) redirects: BTreeMap<ProfileId, (ProfileId, Instant)>,
    pub(crate) overlays: BTreeMap<ProfileId, Overlay>,
}

impl View for Stored {
    fn profile(&self, _: TableId, id: &ProfileId) -> Result<Option<Row>, ViewError> {
        Ok(self.rows.get(id).cloned())
    }
    fn profiles<'a>(
        &'a self,
        _: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Result<(ProfileId, Row), ViewError>> + 'a> {
        let after = after.cloned();
        let rows = self.rows.iter();
        let rows = rows.filter(move |(id, _)| after.as_ref().is_none_or(|after| *id > after));
        Box::new(rows.map(|(id, row)| Ok((id.clone(), row.clone()))))
    }
    fn realtime_activity(
        &self,
        _: &Owner,
        _: Instant,
        _: &ActivityId,
    ) -> Result<Option<StoredActivity>, ViewError> {
        Ok(None)
    }
    fn resolve_key(&self, _: TableId, _: &str, _: &str) -> Result<Option<ProfileId>, ViewError> {
        Ok(None)
    }
    fn redirect(&self, _: TableId, id: &ProfileId) -> Result<Option<ProfileId>, ViewError> {
        Ok(self.redirects.get(id).map(|(new, _)| new.clone()))
    }
    fn former_ids(&self, _: TableId, id: &ProfileId) -> Result<Vec<ProfileId>, ViewError> {
        let formers = self.redirects.iter().filter(|(_, (new, _))| new == id);
        Ok(formers.map(|(old, _)| old.clone()).collect())
    }
    fn overlay(&self, id: &ProfileId) -> Result<Option<Overlay>, ViewError> {
        Ok(self.overlays.get(id).cloned())
    }
    fn identity(&self, _: &ActivityId) -> Result<Option<ActivityIdentity>, ViewError> {
        Ok(None)
    }
    fn source_activity(
        &self,
        _: TableId,
        _: &ActivityId,
    ) -> Result<Option<SourceActivity>, ViewError> {
        Ok(None)
    }
    fn source_timeline<'a>(
        &'a self,
        _: TableId,
        _: &ProfileId,
        _: Instant,
    ) -> Box<dyn Iterator<Item = Result<SourceActivity, ViewError>> + 'a> {
        Box::new(std::iter::empty())
    }
    fn realtime_timeline<'a>(
        &'a self,
        _: &Owner,
        _: Instant,
    ) -> Box<dyn Iterator<Item = Result<StoredActivity, ViewError>> + 'a> {
        Box::new(std::iter::empty())
    }
}

pub(crate) fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("id")
}

pub(crate) fn at(seconds: u64) -> Instant {
    Instant::from_millis(0).plus(Duration::from_secs(seconds))
}

pub(crate) fn schema(score: EdmType) -> Arc<EntitySchema> {
    let role = |name: &str, role| Attribute {
        role,
        ..Attribute::plain(name, EdmType::String)
    };
    let shop = AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    };
    Arc::new(EntitySchema {
        name: EntityName::parse("Customer").expect("name"),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes: vec![
            role("CustomerId", AttributeRole::Key),
            Attribute::plain("City", EdmType::String),
            Attribute::plain("Score", score),
            role("ShopId", AttributeRole::AlternateKey(shop)),
            role("PreviousCustomerId", AttributeRole::PreviousId),
            role("Value", AttributeRole::Computed),
        ],
        key: Some(0),
    })
}

pub(crate) struct Instance {
    pub(crate) stored: Stored,
    pub(crate) tenant: TenantState,
    pub(crate) clock: Instant,
    pub(crate) loads: u64,
}

impl Instance {
    pub(crate) fn new() -> Self {
        let instance = InstanceId::parse("00000000-0000-0000-0000-000000000001").expect("uuid");
        Self {
            stored: Stored::default(),
            tenant: TenantState::new(instance, Incarnation(1)),
            clock: at(1_000_000),
            loads: 0,
        }
    }

    pub(crate) fn with_profiles(ids: &[&str]) -> Self {
        let mut instance = Self::new();
        let as_of = instance.clock;
        instance
            .refresh(as_of, EdmType::Int32, ids, &[])
            .expect("loads");
        instance.clock = instance.clock.plus(Duration::from_secs(1));
        instance
    }

    pub(crate) fn refresh(
        &mut self,
        as_of: Instant,
        score: EdmType,
        ids: &[&str],
        claims: &[Claim],
    ) -> Result<(), sanntid_types::Error> {
        let as_of = self
            .tenant
            .check_as_of(as_of, self.tenant.now(self.clock))?;
        self.loads += 1;
        self.stored.rows = ids
            .iter()
            .map(|text| {
                let mut row = RowBuilder::default();
                row.push(&Literal::text(text));
                row.push(&Literal::text(&format!("source {}", self.loads)));
                (id(text), row.finish())
            })
            .collect();
        let rows = &self.stored.rows;
        self.stored.redirects =
            compose_redirects(&self.stored.redirects, claims, self.clock, |id| {
                rows.contains_key(id)
            });
        self.tenant.switch(Switch {
            entities: vec![EntityTable {
                schema: schema(score),
                table: TableId(self.loads),
                as_of,
                rows: ids.len() as u64,
                size: 0,
            }],
            timeline: None,
            projected_with: Vec::new(),
            simulated: false,
        });
        Ok(())
    }

    pub(crate) fn patch(
        &mut self,
        profile: &str,
        body: &str,
        ttl: Option<u64>,
    ) -> Result<ProfileId, sanntid_types::Error> {
        let now = self.tenant.now(self.clock);
        let command = PatchProfile {
            profile: &id(profile),
            body: body.as_bytes(),
            valid_until: ttl.map(|ttl| now.plus(Duration::from_secs(ttl))),
            caller: None,
            if_match: None,
        };
        let patched = patch_profile(&self.stored, &self.tenant, self.clock, &command)?;
        for record in patched.records {
            match record {
                Record::Overlay { profile, overlay } => {
                    self.stored.overlays.insert(profile, overlay);
                }
                Record::Head {
                    position,
                    accepted_at,
                } => {
                    assert_eq!(
                        position,
                        self.tenant.position.next(),
                        "positions have no gap"
                    );
                    assert!(
                        self.tenant.accepted_at <= Some(accepted_at),
                        "never backwards"
                    );
                    self.tenant.position = position;
                    self.tenant.accepted_at = Some(accepted_at);
                }
                Record::Activity { .. } => panic!("a patch stores no activity"),
            }
        }
        Ok(patched.profile)
    }

    pub(crate) fn city(&self, profile_id: &str) -> Option<String> {
        self.read(profile_id).map(|fields| fields[1].clone())
    }

    pub(crate) fn read(&self, profile_id: &str) -> Option<Vec<String>> {
        let merged =
            profile(&self.stored, &self.tenant, self.clock, &id(profile_id)).expect("reads")?;
        Some(
            merged
                .fields()
                .map(|(_, text, _)| text.to_owned())
                .collect(),
        )
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.clock = self.clock.plus(Duration::from_secs(seconds));
    }
}
