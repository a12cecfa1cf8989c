//! Owns which profiles moved and which vanished between two generations (rules 6.6, 6.7).

use std::collections::BTreeMap;

use sanntid_engine::{Claim, EntityTable, View, compose_redirects};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{ProfileId, StageName};

use super::run::{Failure, Run};

/// Rows looked at between two looks at the wish to stop.
const ROWS_TOGETHER: u64 = 2_000;

/// How many profiles moved or vanished with a refresh.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) moved: u64,
    pub(crate) vanished: u64,
}

/// Writes the redirects of a new generation of customers.
pub(crate) fn load(
    run: &Run,
    loader: &mut Loader<'_>,
    before: Option<&EntityTable>,
    now_loaded: &EntityTable,
    claims: &[Claim],
) -> Result<Moved, Failure> {
    let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
    let mut redirects = BTreeMap::new();
    if let Some(before) = before {
        for redirect in view.redirects(before.table) {
            let (old, target) = redirect?;
            redirects.insert(old, target);
        }
    }
    let now = run.shared.clock.now();
    // A store that can't be read must not pass for a profile that is gone.
    let unreadable = std::cell::Cell::new(None);
    let composed = compose_redirects(&redirects, claims, now, |id: &ProfileId| {
        match view.profile(now_loaded.table, id) {
            Ok(found) => found.is_some(),
            Err(error) => {
                unreadable.set(Some(error));
                false
            }
        }
    });
    unreadable.take().map_or(Ok(()), Err)?;
    for (old, (new, since)) in &composed {
        loader.redirect(now_loaded.table, old, new, *since)?;
    }
    let mut moved = Moved::default();
    let Some(before) = before else {
        return Ok(moved);
    };
    let mut together = 0;
    for row in view.profiles(before.table, None) {
        let (id, _) = row?;
        if view.profile(now_loaded.table, &id)?.is_none() {
            let is_moved = composed
                .get(&id)
                .is_some_and(|_| !redirects.contains_key(&id));
            if is_moved {
                moved.moved += 1;
            } else {
                moved.vanished += 1;
            }
        }
        together += 1;
        if together == ROWS_TOGETHER {
            run.progress.rows(StageName::Merge, together);
            run.progress.check()?;
            together = 0;
        }
    }
    run.progress.rows(StageName::Merge, together);
    Ok(moved)
}
