//! Owns the tests of the switch: after a crash at any moment a reader sees exactly one generation.
//!
//! Must not open a store that is open: a crash is an image of its files.

use std::path::Path;

use sanntid_engine::{SourceContent, View};
use sanntid_store::{FjallKv, Kv, Loader, catalog, sweep};
use sanntid_types::{Incarnation, Instant, TableId};

use crate::{
    life,
    samples::{
        at, commit, crash_image, fill_table, load_table, on_every_store, open, profile_id, row,
        tenant, view,
    },
};

pub(crate) const LIFE: Incarnation = Incarnation(1);
pub(crate) const OLD: TableId = TableId(1);
pub(crate) const NEW: TableId = TableId(2);

/// Reads the current generation as a reader does and says whose it is.
fn generation(kv: &dyn Kv) -> TableId {
    let state = catalog::tenant(&*kv.snapshot().expect("readable"), LIFE);
    let state = state.expect("readable").expect("a tenant");
    let table = state.customer().expect("profiles").table;
    assert_eq!(state.timeline, Some(table));
    let tag = if table == OLD { "old" } else { "new" };
    let view = view(kv, LIFE);
    let profiles = view
        .profiles(table, None)
        .map(|entry| entry.expect("readable").1);
    assert_eq!(
        profiles.collect::<Vec<_>>(),
        [row(tag), row(&format!("{tag} b"))]
    );
    let a = profile_id("a");
    let found = view
        .resolve_key(table, "Shop_Contacts", "k1")
        .expect("readable");
    assert_eq!(found.as_ref(), Some(&a));
    let moved = view.redirect(table, &profile_id("old")).expect("readable");
    assert_eq!(moved.as_ref(), Some(&a));
    assert_eq!(
        view.former_ids(table, &a).expect("readable"),
        [profile_id("old")]
    );
    assert_eq!(view.rows(table).count(), 1);
    let timeline = view.source_timeline(table, &a, Instant::MAX);
    let rows = timeline.filter_map(|activity| match activity.expect("readable").content {
        SourceContent::Row { row, .. } => Some(row),
        SourceContent::Absorbed { .. } => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [row(tag)]);
    table
}

pub(crate) fn begin(kv: &dyn Kv) {
    load_table(kv, LIFE, OLD, "old");
    commit(kv, |batch| {
        catalog::put_tenant(batch, &tenant(LIFE, OLD));
        catalog::put_table(batch, LIFE, OLD, catalog::TableState::Live);
        catalog::put_job(batch, LIFE, &life::queued_job());
        let loading = catalog::TableState::Loading(life::queued_job().id);
        catalog::put_table(batch, LIFE, NEW, loading);
    });
}

pub(crate) fn switch(kv: &dyn Kv) {
    commit(kv, |batch| {
        let mut state = tenant(LIFE, NEW);
        state.generation = state.generation.next();
        catalog::put_tenant(batch, &state);
        catalog::put_table(batch, LIFE, NEW, catalog::TableState::Live);
        catalog::give_up_table(batch, LIFE, OLD, at(0));
        let mut job = life::queued_job();
        job.status = sanntid_types::JobStatus::Successful;
        catalog::put_job(batch, LIFE, &job);
    });
}

/// What an owner does after a start: tables of interrupted jobs are given up, then swept.
fn recover(kv: &dyn Kv) {
    let snapshot = kv.snapshot().expect("readable");
    let tables = catalog::tables(&*snapshot, LIFE).expect("readable");
    drop(snapshot);
    commit(kv, |batch| {
        for (table, state) in tables {
            if matches!(state, catalog::TableState::Loading(_)) {
                catalog::give_up_table(batch, LIFE, table, at(0));
            }
        }
    });
    while sweep(kv, Instant::MAX, 2).expect("swept") {}
}

fn tables_with_rows(kv: &dyn Kv) -> Vec<TableId> {
    let view = view(kv, LIFE);
    let has_rows = |table: &TableId| view.profiles(*table, None).next().is_some();
    [OLD, NEW].into_iter().filter(has_rows).collect()
}

/// Opens the image and checks that exactly this generation is there, and alone after recovery.
pub(crate) fn check_image(image: &Path, expected: TableId) {
    let kv: FjallKv = open(image);
    assert_eq!(generation(&kv), expected);
    recover(&kv);
    assert_eq!(generation(&kv), expected);
    assert_eq!(tables_with_rows(&kv), [expected]);
}

#[test]
fn a_kill_after_any_step_of_a_refresh_leaves_the_old_generation_until_the_switch() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let check = |expected| check_image(crash_image(directory.path()).path(), expected);
    begin(&kv);
    check(OLD);
    let mut loader = Loader::new(&kv, LIFE);
    fill_table(&mut loader, NEW, "new");
    check(OLD);
    loader.finish().unwrap();
    check(OLD);
    switch(&kv);
    check(NEW);
    recover(&kv);
    check(NEW);
    assert_eq!(generation(&kv), NEW);
}

#[test]
fn a_reader_of_the_old_generation_goes_on_with_it_through_the_switch() {
    on_every_store(|kv| {
        begin(kv);
        let snapshot = kv.snapshot().unwrap();
        let state = catalog::tenant(&*snapshot, LIFE).unwrap().unwrap();
        let reader = sanntid_store::TenantView::new(snapshot, LIFE);
        load_table(kv, LIFE, NEW, "new");
        switch(kv);
        recover(kv);
        assert_eq!((generation(kv), tables_with_rows(kv)), (NEW, vec![NEW]));
        let table = state.customer().unwrap().table;
        let found = reader.profile(table, &profile_id("a")).unwrap();
        assert_eq!((table, found), (OLD, Some(row("old"))));
        assert!(reader.profiles(NEW, None).next().is_none());
    });
}
