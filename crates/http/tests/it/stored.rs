//! What the mock's instance holds: two profiles, a source of activities, a job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sanntid_engine::{
    ActivityIdentity, EntityTable, Overlay, Override, Owner, SourceActivity, StoredActivity,
    TenantState, View, ViewError,
};
use sanntid_types::{
    ActivityId, ActivityState, AlternateKey, Attribute, AttributeRole, DataSource, DataSourceId,
    EdmType, EntityName, EntitySchema, EntityType, Generation, Incarnation, InstanceId, Instant,
    Job, JobId, JobKind, JobReport, JobStatus, Literal, Location, Position, ProfileId, Row,
    RowBuilder, SnapshotId, Stage, StageName, TableId, UnifiedActivity,
};

use crate::client::INSTANCE;

/// Where scans can be made to wait.
#[derive(Default)]
pub(crate) struct Gate {
    /// How many have come to it.
    pub(crate) entered: Mutex<usize>,
    /// Held by a test, it lets nobody through.
    pub(crate) door: Mutex<()>,
}

impl Gate {
    fn pass(&self) {
        *self.entered.lock().unwrap() += 1;
        drop(self.door.lock().unwrap());
    }

    pub(crate) fn entered(&self) -> usize {
        *self.entered.lock().unwrap()
    }
}

pub(crate) fn instance() -> InstanceId {
    InstanceId::parse(INSTANCE).expect("a UUID")
}

pub(crate) fn at(text: &str) -> Instant {
    Instant::parse(text).expect("an instant")
}

pub(crate) fn profile_id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("an id")
}

pub(crate) fn activity(id: &str) -> UnifiedActivity {
    UnifiedActivity {
        id: ActivityId::parse(id).expect("an id"),
        time: at("2026-11-23T11:00:00Z"),
        activity_type: "SalesOrder".to_owned(),
        activity_type_display: Some("Online purchase".to_owned()),
        activity_name: None,
        title: Some("Bought a \"lamp\"".to_owned()),
        description: None,
        external_url: None,
        entity_name: None,
        actual_activity_id: None,
        semantic_data: None,
    }
}

/// A job in the middle of its work.
pub(crate) fn job() -> Job {
    let stage = |name, status, rows| Stage {
        name,
        status,
        rows,
        rows_total: Some(100),
        duration_ms: 5,
    };
    Job {
        id: JobId(uuid::Uuid::from_u128(9)),
        kind: JobKind::Upload(SnapshotId(uuid::Uuid::from_u128(7))),
        submission: sanntid_types::JobSubmission::OnDemand,
        status: JobStatus::Running,
        submitted_at: at("2026-11-23T11:00:00Z"),
        started_at: Some(at("2026-11-23T11:00:01Z")),
        ended_at: None,
        stages: vec![
            stage(StageName::Ingestion, JobStatus::Successful, 100),
            stage(StageName::Map, JobStatus::Running, 40),
        ],
        report: None,
        error: None,
    }
}

pub(crate) fn report() -> JobReport {
    JobReport {
        as_of: at("2026-11-23T02:00:00Z"),
        rows_read: 57_416,
        rows_rejected: 0,
        profiles: 5003,
        activities: 52_387,
        activities_unmatched: 26,
        overlay_fields_cleared: 12,
        overlay_fields_kept: 4,
        activities_superseded: 2,
        activities_attached: 1,
        profiles_moved: 0,
        profiles_vanished: 0,
        generation: Generation(7),
    }
}

/// The state before any snapshot.
pub(crate) fn unloaded() -> TenantState {
    TenantState::new(instance(), Incarnation(1))
}

/// Two profiles and a source of activities, as a snapshot has brought them.
pub(crate) fn loaded() -> TenantState {
    let alternate = AlternateKey {
        data_source_name: "Ecommerce".to_owned(),
        entity_name: "Contacts".to_owned(),
    };
    let with_role = |name, role| Attribute {
        role,
        ..Attribute::plain(name, EdmType::String)
    };
    let table = |name: &str, entity_type, attributes, table, rows| EntityTable {
        schema: Arc::new(EntitySchema {
            name: EntityName::parse(name).expect("a name"),
            friendly_name: None,
            entity_type,
            attributes,
            key: Some(0),
        }),
        table: TableId(table),
        as_of: at("2026-11-23T02:00:00Z"),
        rows,
        size: 40 * rows,
    };
    let customer = vec![
        with_role("CustomerId", AttributeRole::Key),
        Attribute::plain("City", EdmType::String),
        with_role("ContactId", AttributeRole::AlternateKey(alternate)),
    ];
    let measures = vec![
        with_role("CustomerId", AttributeRole::Key),
        Attribute::plain("LifetimeValue", EdmType::Decimal),
    ];
    let purchases = vec![
        with_role("PurchaseId", AttributeRole::Key),
        Attribute::plain("PurchasedOn", EdmType::Date),
        Attribute::plain("Subject", EdmType::String),
        Attribute::plain("ContactId", EdmType::String),
    ];
    let mut tenant = unloaded();
    tenant.generation = Generation(7);
    tenant.entities = vec![
        table("Customer", EntityType::Profile, customer, 1, 2),
        table(
            "Ecommerce_OnlinePurchases",
            EntityType::Activity,
            purchases,
            2,
            5,
        ),
        table("Customer_Measure", EntityType::ProfileKpi, measures, 3, 0),
    ];
    tenant
}

/// Stored state: `c1` and `c2`, `old` moved to `c1`, two real-time activities of `c1`, a real-time
/// city of `c2`.
pub(crate) struct Stored(pub(crate) Arc<Gate>);

fn rows() -> BTreeMap<ProfileId, Row> {
    let row = |values: [&str; 3]| {
        let mut row = RowBuilder::default();
        values
            .iter()
            .for_each(|value| row.push(&Literal::text(value)));
        row.finish()
    };
    BTreeMap::from([
        (profile_id("c1"), row(["c1", "Oslo", "CNTID_1;CNTID_2"])),
        (profile_id("c2"), row(["c2", "Trondheim", ""])),
    ])
}

fn stored(id: &str, time: &str) -> StoredActivity {
    StoredActivity {
        activity: UnifiedActivity {
            time: at(time),
            ..activity(id)
        },
        owner: Owner::Profile(profile_id("c1")),
        source_entity: None,
        state: ActivityState::Stored,
        accepted_at: at("2026-11-23T11:00:00Z"),
        expires_at: at("2026-12-23T11:00:00Z"),
        position: Position(1),
        caller: None,
    }
}

impl View for Stored {
    fn profile(&self, _: TableId, id: &ProfileId) -> Result<Option<Row>, ViewError> {
        Ok(rows().remove(id))
    }

    fn profiles<'a>(
        &'a self,
        _: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Result<(ProfileId, Row), ViewError>> + 'a> {
        self.0.pass();
        let after = after.cloned();
        let rows = rows().into_iter();
        Box::new(
            rows.filter(move |(id, _)| Some(id) > after.as_ref())
                .map(Ok),
        )
    }

    fn resolve_key(
        &self,
        _: TableId,
        entity: &str,
        key: &str,
    ) -> Result<Option<ProfileId>, ViewError> {
        let known = entity == "Ecommerce_Contacts" && ["CNTID_1", "CNTID_2"].contains(&key);
        Ok(known.then(|| profile_id("c1")))
    }

    fn redirect(&self, _: TableId, id: &ProfileId) -> Result<Option<ProfileId>, ViewError> {
        Ok((id.as_str() == "old").then(|| profile_id("c1")))
    }

    fn former_ids(&self, _: TableId, _: &ProfileId) -> Result<Vec<ProfileId>, ViewError> {
        Ok(Vec::new())
    }

    fn segments(&self, table: TableId) -> Result<Option<Vec<(String, u64)>>, ViewError> {
        let counted = [("Best".to_owned(), 3), ("New ones".to_owned(), 1)];
        Ok((table == TableId(4)).then(|| counted.to_vec()))
    }

    fn overlay(&self, id: &ProfileId) -> Result<Option<Overlay>, ViewError> {
        if id.as_str() != "c2" {
            return Ok(None);
        }
        let mut overlay = Overlay::default();
        let change = Override {
            value: Literal::text("Bergen"),
            data_type: EdmType::String,
            accepted_at: at("2026-11-23T11:30:00Z"),
            expires_at: at("2026-11-23T16:00:00Z"),
            position: Position(4),
            caller: None,
        };
        overlay.push("City", change);
        Ok(Some(overlay))
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

    fn realtime_activity(
        &self,
        _: &Owner,
        _: Instant,
        _: &ActivityId,
    ) -> Result<Option<StoredActivity>, ViewError> {
        Ok(None)
    }

    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<StoredActivity, ViewError>> + 'a> {
        let all = match owner {
            Owner::Profile(id) if id.as_str() == "c1" => vec![
                stored("a2", "2026-11-23T11:00:00Z"),
                stored("a1", "2026-11-22T11:00:00Z"),
            ],
            Owner::Profile(_) | Owner::Key { .. } => Vec::new(),
        };
        let shown = all.into_iter().filter(move |a| a.activity.time <= until);
        Box::new(shown.map(Ok))
    }
}

/// A data source that was never refreshed from.
pub(crate) fn source() -> DataSource {
    DataSource {
        id: DataSourceId(uuid::Uuid::from_u128(
            0x6b1f0a7e_2c55_4d0a_9a43_9d1c6de1a904,
        )),
        revision: uuid::Uuid::from_u128(1),
        friendly_name: "nightly".to_owned(),
        location: Location::parse("file:///srv/contoso").expect("a location"),
        credentials: None,
        version: 1,
        created_at: at("2026-11-01T00:00:00Z"),
        created_by: "administrator".to_owned(),
        updated_at: at("2026-11-02T00:00:00Z"),
        updated_by: "administrator".to_owned(),
    }
}
