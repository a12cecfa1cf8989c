//! Owns which profiles moved and which vanished between two generations (rules 6.6, 6.7).

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use sanntid_engine::{Claim, EntityTable, View, compose_redirects};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{ProfileId, StageName, TableId};

use super::run::{Failure, Run};

/// Rows looked at between two looks at the wish to stop.
const ROWS_TOGETHER: usize = 2_000;

/// How many profiles moved or vanished with a refresh.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) moved: u64,
    pub(crate) vanished: u64,
}

/// The ids that a new generation redirects and the present one did not.
#[derive(Default)]
pub(crate) struct Redirects(BTreeSet<ProfileId>);

/// Adds the redirects of a new generation of customers, whose profiles were added and are not settled
/// yet.
pub(crate) fn redirect(
    run: &Run,
    loader: &mut Loader<'_>,
    before: Option<&EntityTable>,
    table: TableId,
    claims: &[Claim],
) -> Result<Redirects, Failure> {
    let mut present = BTreeMap::new();
    if let Some(before) = before {
        let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
        for redirect in view.redirects(before.table) {
            let (old, target) = redirect?;
            present.insert(old, target);
        }
    }
    let now = run.shared.clock.now();
    // What can't be read must not pass for a profile that is gone.
    let unreadable = Cell::new(None);
    let added = RefCell::new(&mut *loader);
    let composed = compose_redirects(&present, claims, now, |id: &ProfileId| {
        let found = added.borrow_mut().has_profile(table, id);
        found.unwrap_or_else(|error| {
            unreadable.set(Some(error));
            false
        })
    });
    unreadable.take().map_or(Ok(()), Err)?;
    for (old, (new, since)) in &composed {
        loader.redirect(table, old, new, *since)?;
    }
    let is_new = |old: &ProfileId| !present.contains_key(old);
    Ok(Redirects(composed.into_keys().filter(is_new).collect()))
}

/// Counts the profiles that the new table has no more.
pub(crate) fn count(
    run: &Run,
    before: TableId,
    now_loaded: TableId,
    redirects: &Redirects,
) -> Result<Moved, Failure> {
    let mut moved = Moved::default();
    let mut last: Option<ProfileId> = None;
    loop {
        // Taken anew: as long as one is held, the store keeps what others replace.
        let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
        let mut together = 0;
        for row in view.profiles(before, last.as_ref()).take(ROWS_TOGETHER) {
            let (id, _) = row?;
            if view.profile(now_loaded, &id)?.is_none() {
                if redirects.0.contains(&id) {
                    moved.moved += 1;
                } else {
                    moved.vanished += 1;
                }
            }
            last = Some(id);
            together += 1;
        }
        run.progress.rows(StageName::Merge, together);
        run.progress.check()?;
        if together == 0 {
            return Ok(moved);
        }
    }
}
