//! Owns one instance with a record of every kind: how it is written and how it all reads back.
//!
//! Must not skip a kind: reclamation, formats and corruption are tested with it.

use sanntid_engine::{Owner, Record, View, ViewError};
use sanntid_store::{Error, Kv, Snapshot, TenantView, catalog};
use sanntid_types::{
    EntityType, Incarnation, InstanceInfo, InstanceName, InstanceType, Instant, Job, JobKind,
    JobStatus, Manifest, ManifestEntity, Position, RowRejection, TableId,
};

use crate::samples::{
    activity, activity_id, at, commit, instance_id, job_id, load_table, overlay, owner_key,
    profile_id, put_overlay, snapshot_id, tenant,
};

const MONTH_SECS: i64 = 30 * 24 * 3600;

/// Writes at least one record of every kind into the life; its tables are 1 and 2.
pub(crate) fn write_life(kv: &dyn Kv, incarnation: Incarnation) {
    let (first, second) = (TableId(1), TableId(2));
    load_table(kv, incarnation, first, "first");
    load_table(kv, incarnation, second, "second");
    let snapshot = kv.snapshot().expect("readable");
    commit(kv, |batch| {
        catalog::put_instance(batch, &instance(incarnation));
        catalog::put_tenant(batch, &tenant(incarnation, first));
        catalog::next_table(&*snapshot, batch, incarnation).expect("a number");
        catalog::put_table(batch, incarnation, first, catalog::TableState::Live);
        let loading = catalog::TableState::Loading(job_id(2));
        catalog::put_table(batch, incarnation, second, loading);
        catalog::give_up_table(batch, incarnation, TableId(3), at(4));
        catalog::put_job(batch, incarnation, &ended_job());
        catalog::put_job(batch, incarnation, &queued_job());
        catalog::put_rejection(batch, incarnation, job_id(1), 1, &rejection(17));
        catalog::put_upload(batch, incarnation, &upload());
        let owner = owner_key("Shop_Contacts", "k1");
        let records = [
            put_overlay("a", overlay(&[(at(1), at(100)), (at(2), at(50))])),
            activity(
                &Owner::Profile(profile_id("a")),
                at(3),
                "unified",
                at(MONTH_SECS),
            ),
            activity(&owner, at(4), "source", at(MONTH_SECS)),
            Record::Head {
                position: Position(9),
                accepted_at: at(5),
            },
        ];
        catalog::put_records(batch, incarnation, &records);
    });
}

/// Writes a life and the records that belong to none.
pub(crate) fn write_store(kv: &dyn Kv, incarnation: Incarnation) {
    write_life(kv, incarnation);
    let snapshot = kv.snapshot().expect("readable");
    commit(kv, |batch| {
        catalog::next_incarnation(&*snapshot, batch).expect("a number");
        catalog::drop_incarnation(batch, Incarnation(77), at(4));
    });
}

pub(crate) fn instance(incarnation: Incarnation) -> catalog::InstanceRecord {
    let info = InstanceInfo {
        id: instance_id(u128::from(incarnation.0)),
        name: InstanceName::parse("Contoso \"Ålesund\"").expect("a valid name"),
        instance_type: InstanceType::Production,
        version: 2,
        created_at: at(0),
        created_by: "root".to_owned(),
        updated_at: at(1),
        updated_by: "é".to_owned(),
    };
    catalog::InstanceRecord {
        info,
        incarnation,
        log: None,
    }
}

/// Reads a sample from JSON: what a job reports grows, and old records lack the new fields.
fn sample<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a valid sample")
}

pub(crate) fn ended_job() -> Job {
    let job: Job = sample(
        r#"{"id": "00000000-0000-0000-0000-000000000000",
            "kind": {"Upload": "00000000-0000-0000-0000-000000000008"}, "status": "failed",
            "submitted_at": "2026-11-24T00:00:00Z", "started_at": "2026-11-24T00:00:01Z",
            "ended_at": "2026-11-24T00:00:02.5Z",
            "stages": [{"name": "profileStore", "status": "successful", "rows": 10,
                        "durationMs": 12}],
            "report": null, "error": {"code": "interrupted", "message": "interrupted",
                                      "target": null, "details": []}}"#,
    );
    Job {
        id: job_id(1),
        ..job
    }
}

pub(crate) fn queued_job() -> Job {
    Job {
        id: job_id(2),
        kind: JobKind::Reproject,
        submission: sanntid_types::JobSubmission::OnDemand,
        status: JobStatus::Queued,
        submitted_at: at(3),
        started_at: None,
        ended_at: None,
        stages: Vec::new(),
        report: None,
        error: None,
    }
}

pub(crate) fn rejection(row: u64) -> RowRejection {
    let rejection: RowRejection = sample(
        r#"{"kind": "rejected", "entity": "Shop_Orders", "column": "At", "reason": "not a time"}"#,
    );
    RowRejection {
        row: Some(row),
        ..rejection
    }
}

pub(crate) fn upload() -> catalog::UploadRecord {
    let customer = ManifestEntity {
        name: "Customer".to_owned(),
        entity_type: EntityType::Profile,
        key: Some("CustomerId".to_owned()),
        files: Vec::new(),
        attributes: Vec::new(),
    };
    catalog::UploadRecord {
        id: snapshot_id(8),
        manifest: Manifest {
            as_of: at(0),
            entities: vec![customer],
        },
        opened_at: at(1),
        expires_at: at(7200),
        job: Some(job_id(1)),
        parts: vec![catalog::PartRecord {
            entity: crate::samples::entity("Customer"),
            number: 1,
            encoding: catalog::PartEncoding::NdjsonGzip,
            bytes: 123,
            hash: String::new(),
            file: "8-Customer-1".to_owned(),
        }],
    }
}

/// Collects what was read, or stops at the first error with its text.
#[derive(Default)]
struct Pages(Vec<String>);

impl Pages {
    fn add<T: std::fmt::Debug, E: std::fmt::Display>(
        &mut self,
        name: &str,
        read: Result<T, E>,
    ) -> Result<(), String> {
        let found = read.map_err(|error| error.to_string())?;
        self.0.push(format!("{name}: {found:?}"));
        Ok(())
    }
}

/// Reads all that `write_life` wrote in every way there is, as text.
pub(crate) fn read_life(kv: &dyn Kv, incarnation: Incarnation) -> Result<Vec<String>, String> {
    let snapshot = kv.snapshot().expect("readable");
    let mut pages = Pages::default();
    read_catalog(&mut pages, kv, &*snapshot, incarnation)?;
    let view = TenantView::new(snapshot, incarnation);
    for table in [TableId(1), TableId(2)] {
        read_table(&mut pages, &view, table)?;
    }
    read_realtime(&mut pages, &view)?;
    Ok(pages.0)
}

fn all<T>(read: impl Iterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    read.collect()
}

fn all_viewed<T>(read: impl Iterator<Item = Result<T, ViewError>>) -> Result<Vec<T>, ViewError> {
    read.collect()
}

fn read_catalog(
    pages: &mut Pages,
    kv: &dyn Kv,
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> Result<(), String> {
    let id = instance(incarnation).info.id;
    let mut unused = sanntid_store::WriteBatch::new();
    pages.add("instance", catalog::instance(snapshot, id))?;
    pages.add("instances", all(catalog::instances(snapshot)))?;
    pages.add("dropped", catalog::dropped(snapshot))?;
    // Reads what has ended, and removes nothing of it this early.
    pages.add("due", sanntid_store::sweep(kv, Instant::MIN, 0))?;
    let next = catalog::next_incarnation(snapshot, &mut unused);
    pages.add("next incarnation", next)?;
    let next = catalog::next_table(snapshot, &mut unused, incarnation);
    pages.add("next table", next)?;
    pages.add("tenant", catalog::tenant(snapshot, incarnation))?;
    pages.add("tables", catalog::tables(snapshot, incarnation))?;
    pages.add("jobs", all(catalog::jobs(snapshot, incarnation)))?;
    pages.add("job", catalog::job(snapshot, incarnation, job_id(1)))?;
    pages.add("active", catalog::active_jobs(snapshot))?;
    pages.add("own", catalog::active_jobs_of(snapshot, incarnation))?;
    let rejections = catalog::rejections(snapshot, incarnation, job_id(1));
    pages.add("rejections", all(rejections))?;
    let upload = catalog::upload(snapshot, incarnation, snapshot_id(8));
    pages.add("upload", upload)?;
    pages.add("uploads", all(catalog::uploads(snapshot, incarnation)))
}

fn read_table<S: Snapshot>(
    pages: &mut Pages,
    view: &TenantView<S>,
    table: TableId,
) -> Result<(), String> {
    let (a, old) = (profile_id("a"), profile_id("old"));
    pages.add("profile", view.profile(table, &a))?;
    pages.add("profiles", all_viewed(view.profiles(table, None)))?;
    let long = "k".repeat(600);
    for key in ["k1", long.as_str()] {
        pages.add("key", view.resolve_key(table, "Shop_Contacts", key))?;
    }
    pages.add("redirect", view.redirect(table, &old))?;
    pages.add("redirects", all(view.redirects(table)))?;
    pages.add("former", view.former_ids(table, &a))?;
    pages.add("rows", all(view.rows(table)))?;
    for id in ["one", "two"] {
        let found = view.source_activity(table, &activity_id(id));
        pages.add("source activity", found)?;
    }
    let timeline = view.source_timeline(table, &a, Instant::MAX);
    pages.add("source timeline", all_viewed(timeline))
}

fn read_realtime<S: Snapshot>(pages: &mut Pages, view: &TenantView<S>) -> Result<(), String> {
    let profile = Owner::Profile(profile_id("a"));
    pages.add("overlay", view.overlay(&profile_id("a")))?;
    pages.add("overlays", all(view.overlays()))?;
    pages.add("activities", all(view.realtime_activities()))?;
    let found = view.realtime_activity(&profile, at(3), &activity_id("unified"));
    pages.add("activity", found)?;
    for owner in [profile, owner_key("Shop_Contacts", "k1")] {
        let timeline = view.realtime_timeline(&owner, Instant::MAX);
        pages.add("timeline", all_viewed(timeline))?;
    }
    for id in ["unified", "source"] {
        pages.add("identity", view.identity(&activity_id(id)))?;
    }
    Ok(())
}
