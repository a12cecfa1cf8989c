//! Owns the sample records that the tests store, and the stores that they are run on.
//!
//! Must not hold expectations: the tests do.

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt, path::Path, time::Duration};

use bytes::Bytes;
use sanntid_engine::{
    ActivityIdentity, EntityTable, Overlay, Override, Owner, Record, StoredActivity, TenantState,
};
use sanntid_store::{FjallKv, Kv, Loader, MemoryKv, Order, Space, TenantView, WriteBatch};
use sanntid_types::{
    ActivityId, ActivityState, Attribute, CallerName, EdmType, EntityName, EntitySchema,
    EntityType, Generation, Incarnation, InstanceId, Instant, JobId, Literal, Position, ProfileId,
    Row, RowBuilder, Settings, SnapshotId, TableId,
};

use crate::conformance::small_config;

static ZEROS: [u8; 1 << 14] = [0; 1 << 14];

/// What has ended stays for this long.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Runs a case on every implementation, each time on an empty store.
pub(crate) fn on_every_store(case: impl Fn(&dyn Kv)) {
    case(&MemoryKv::new());
    let directory = tempfile::tempdir().expect("created");
    case(&open(directory.path()));
}

pub(crate) fn open(directory: &Path) -> FjallKv {
    FjallKv::open(directory, small_config(), None).expect("a sound store opens")
}

/// Copies the files of a store as they are: what a kill at this moment leaves.
pub(crate) fn crash_image(directory: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().expect("created");
    copy_files(directory, image.path());
    image
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy_files(&entry.path(), &target);
        } else {
            copy_sparsely(&entry.path(), &target).expect("copied");
        }
    }
}

/// Journals are allocated ahead: most of their bytes are zeros that need not be written.
fn copy_sparsely(from: &Path, to: &Path) -> std::io::Result<()> {
    let (bytes, target) = (fs::read(from)?, fs::File::create(to)?);
    target.set_len(bytes.len() as u64)?;
    let mut offset = 0;
    for block in bytes.chunks(ZEROS.len()) {
        if !ZEROS.starts_with(block) {
            target.write_all_at(block, offset)?;
        }
        offset += block.len() as u64;
    }
    Ok(())
}

/// The end of what is not allocated ahead.
pub(crate) fn data_end(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks(ZEROS.len());
    let empty = blocks.rev().take_while(|block| ZEROS.starts_with(block));
    let empty: usize = empty.map(<[u8]>::len).sum();
    let (data, _) = bytes.split_at(bytes.len() - empty);
    data.iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// Everything that a store holds.
pub(crate) fn dump(kv: &dyn Kv) -> BTreeMap<(Space, Bytes), Bytes> {
    let snapshot = kv.snapshot().expect("readable");
    let mut all = BTreeMap::new();
    for space in Space::ALL {
        for entry in snapshot.prefix(space, b"", Order::Ascending) {
            let (key, value) = entry.expect("readable");
            all.insert((space, key), value);
        }
    }
    all
}

pub(crate) fn commit(kv: &dyn Kv, fill: impl FnOnce(&mut WriteBatch)) {
    let mut batch = WriteBatch::new();
    fill(&mut batch);
    kv.commit(batch)
        .expect("a healthy store accepts a small batch");
}

pub(crate) fn view(
    kv: &dyn Kv,
    incarnation: Incarnation,
) -> TenantView<Box<dyn sanntid_store::Snapshot>> {
    TenantView::new(kv.snapshot().expect("readable"), incarnation)
}

pub(crate) fn at(seconds: i64) -> Instant {
    Instant::from_millis(1_800_000_000_000 + seconds * 1000)
}

pub(crate) fn profile_id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("a valid id")
}

pub(crate) fn activity_id(text: &str) -> ActivityId {
    ActivityId::parse(text).expect("a valid id")
}

pub(crate) fn entity(text: &str) -> EntityName {
    EntityName::parse(text).expect("a valid name")
}

pub(crate) fn row(text: &str) -> Row {
    let mut builder = RowBuilder::default();
    builder.push(&Literal::text(text));
    builder.push(&Literal::null());
    builder.finish()
}

/// Ids of which some are prefixes of others, with all that an id may hold, in their order.
pub(crate) fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        " ", "!", "\"", "'", "'')", "/", "0", "A", "A b", "a", "a/b", "a?b=c", "aa", "ab", "a{",
        "~", "é", "éa", "\u{FFFF}", "😀",
    ]
    .map(str::to_owned)
    .into();
    ids.push("x".repeat(99));
    ids.push("x".repeat(100));
    ids.push("å".repeat(100));
    ids.sort();
    ids
}

pub(crate) fn owner_key(entity: &str, key: &str) -> Owner {
    Owner::Key {
        entity: entity.to_owned(),
        key: key.to_owned(),
    }
}

/// Overrides `Tier`: each `(accepted_at, expires_at)` on top of the one before.
pub(crate) fn overlay(changes: &[(Instant, Instant)]) -> Overlay {
    let mut overlay = Overlay::default();
    for (position, (accepted_at, expires_at)) in (1..).zip(changes) {
        let change = Override {
            value: Literal::text("gold"),
            data_type: EdmType::String,
            accepted_at: *accepted_at,
            expires_at: *expires_at,
            position: Position(position),
            caller: CallerName::parse("crm").ok(),
        };
        overlay.push(&format!("Tier{position}"), change);
    }
    overlay
}

pub(crate) fn put_overlay(id: &str, overlay: Overlay) -> Record {
    Record::Overlay {
        profile: profile_id(id),
        overlay,
    }
}

pub(crate) fn activity(owner: &Owner, time: Instant, id: &str, expires_at: Instant) -> Record {
    let identity = ActivityIdentity {
        content: *blake3::hash(id.as_bytes()).as_bytes(),
        state: ActivityState::Held,
        expires_at,
        owner: owner.clone(),
        time,
    };
    let activity = sanntid_types::UnifiedActivity {
        id: activity_id(id),
        time,
        activity_type: "Purchase".to_owned(),
        activity_type_display: None,
        activity_name: Some("Order".to_owned()),
        title: Some(format!("title of {id}")),
        description: None,
        external_url: None,
        entity_name: None,
        actual_activity_id: None,
        semantic_data: Some(r#"{"a":1}"#.to_owned()),
    };
    let activity = StoredActivity {
        activity,
        owner: owner.clone(),
        source_entity: Some(entity("Shop_Orders")),
        state: ActivityState::Held,
        accepted_at: at(1),
        expires_at,
        position: Position(7),
        caller: None,
    };
    Record::Activity {
        activity: Box::new(activity),
        identity,
    }
}

pub(crate) fn instance_id(number: u128) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(number))
}

/// A job's id as it is made at an instant; later ones are greater.
pub(crate) fn job_id(seconds: u64) -> JobId {
    let millis = 1_800_000_000_000 + seconds * 1000;
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]);
    JobId(id.into_uuid())
}

pub(crate) fn snapshot_id(number: u128) -> SnapshotId {
    SnapshotId(uuid::Uuid::from_u128(number))
}

fn schema() -> EntitySchema {
    let id = Attribute {
        role: sanntid_types::AttributeRole::Key,
        ..Attribute::plain("CustomerId", EdmType::String)
    };
    EntitySchema {
        name: entity("Customer"),
        friendly_name: Some("Customer \u{1F600}".to_owned()),
        entity_type: EntityType::Profile,
        attributes: vec![id, Attribute::plain("Tier", EdmType::String)],
        key: Some(0),
    }
}

/// A tenant with a generation whose profiles stand in `table`.
pub(crate) fn tenant(incarnation: Incarnation, table: TableId) -> TenantState {
    let customer = EntityTable {
        schema: schema().into(),
        table,
        as_of: at(0),
        rows: 2,
        size: 40,
    };
    TenantState {
        generation: Generation(3),
        entities: vec![customer],
        timeline: Some(table),
        settings: Settings {
            as_of_margin: Duration::from_millis(1500),
            ..Settings::default()
        },
        cleared_through: Some(Instant::MIN),
        as_of_real: Some(at(0)),
        as_of_open: Some(Instant::MAX),
        ..TenantState::new(instance_id(5), incarnation)
    }
}

/// Loads a small generation into one table; `tag` tells its rows from another's.
pub(crate) fn load_table(kv: &dyn Kv, incarnation: Incarnation, table: TableId, tag: &str) {
    let mut loader = Loader::new(kv, incarnation);
    fill_table(&mut loader, table, tag);
    loader.finish().expect("loaded");
}

pub(crate) fn fill_table(loader: &mut Loader<'_>, table: TableId, tag: &str) {
    let (a, b, old) = (profile_id("a"), profile_id("b/é"), profile_id("old"));
    let (first, second) = (activity_id("one"), activity_id("two"));
    let orders = entity("Shop_Orders");
    let filled = loader
        .profile(table, &a, &row(tag))
        .and_then(|()| loader.profile(table, &b, &row(&format!("{tag} b"))))
        .and_then(|()| loader.key_of(table, "Shop_Contacts", "k1", &a))
        .and_then(|()| loader.key_of(table, "Shop_Contacts", &"k".repeat(600), &b))
        .and_then(|()| loader.redirect(table, &old, &a, at(-5)))
        .and_then(|()| loader.row(table, "r1", &row(&format!("{tag} r1"))))
        .and_then(|()| loader.activity(table, &orders, &first, at(-9), Some(&a), &row(tag)))
        .and_then(|()| loader.activity(table, &orders, &second, at(-8), None, &row(tag)));
    filled.expect("accepted");
}
