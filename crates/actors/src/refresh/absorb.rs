//! Owns absorbing: what was accepted up to an instant becomes a part of the source's tables, as if the
//! source had picked it up (rules 6.9).
//!
//! Must not touch what it absorbs: overlays are cleared by the watermark, activities are superseded.

use sanntid_engine::{
    EntityTable, Owner, SourceActivity, StoredActivity, Switch, TenantState, View, absorbed_row,
    owner_profile,
};
use sanntid_types::{CUSTOMER, Instant, ProfileId, Row, StageName, TableId};

use super::{
    copy::Copy,
    load::StoreView,
    run::{Failure, Run},
};

/// Records between two looks at the wish to stop.
const RECORDS_TOGETHER: u64 = 2_000;

/// Up to when what was accepted is absorbed, and the instant at which it must be live.
pub(crate) type Times = (Instant, Instant);

/// The real-time activities that a simulation would absorb: live ones of a known customer that the
/// source has not brought itself.
pub(crate) fn activities<'a>(
    view: &'a StoreView,
    state: &'a TenantState,
    (as_of, now): Times,
) -> impl Iterator<Item = Result<SourceActivity, Failure>> + 'a {
    let absorbed = move |stored: StoredActivity| {
        if stored.expires_at <= now || stored.accepted_at > as_of {
            return Ok(None);
        }
        if let Some(table) = state.timeline
            && view.source_activity(table, &stored.activity.id)?.is_some()
        {
            return Ok(None);
        }
        let profile = owner_profile(view, state, &stored.owner)?;
        Ok(profile.map(|profile| SourceActivity::absorbed(stored, profile)))
    };
    let stored = view.realtime_activities();
    stored.filter_map(move |stored| match stored {
        Ok(stored) => absorbed(stored).transpose(),
        Err(error) => Some(Err(error.into())),
    })
}

/// The tables of a generation that absorbs, while they are made.
pub(crate) struct Absorption<'a> {
    run: &'a Run,
    /// One moment: what is written after it was accepted after `as_of`, too.
    view: &'a StoreView,
    times: Times,
    copy: Copy<'a>,
    together: u64,
}

impl<'a> Absorption<'a> {
    pub(crate) fn new(run: &'a Run, view: &'a StoreView, times: Times) -> Self {
        Self {
            run,
            view,
            times,
            copy: Copy::new(run, &run.state),
            together: 0,
        }
    }

    /// Makes the customers' table: the present one with what is absorbed in the place of its values.
    ///
    /// Overlays that meet in one profile are absorbed as they show.
    pub(crate) fn customers(&mut self, switch: &mut Switch) -> Result<(), Failure> {
        let is_customer = |entity: &&mut EntityTable| entity.schema.name.as_str() == CUSTOMER;
        let Some(customer) = switch.entities.iter_mut().find(is_customer) else {
            return Ok(());
        };
        let before = customer.table;
        customer.table = self.copy.table(before)?;
        self.run.progress.rows(StageName::Ingestion, customer.rows);
        for overlay in self.view.overlays() {
            let (written_to, _) = overlay?;
            self.step()?;
            let Some((id, row)) = self.first_met(before, written_to)? else {
                continue;
            };
            let (as_of, now) = self.times;
            let absorbed = absorbed_row(self.view, &self.run.state, now, as_of, &id, &row)?;
            if let Some(absorbed) = absorbed {
                let bytes = |row: &Row| row.as_bytes().len() as u64;
                customer.size = (customer.size + bytes(&absorbed)).saturating_sub(bytes(&row));
                self.copy.loader.profile(customer.table, &id, &absorbed)?;
                // An erasure brings it back; of several simulations the first has seen it.
                if self.view.original(before, &id)?.is_none() {
                    self.copy.loader.original(customer.table, &id, &row)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the timeline: the present one and what is absorbed; says how much that is.
    pub(crate) fn activities(&mut self, switch: &mut Switch) -> Result<u64, Failure> {
        let table = match switch.timeline {
            Some(table) => self.copy.table(table)?,
            None => self.copy.new_table()?,
        };
        switch.timeline = Some(table);
        let mut count = 0;
        for activity in activities(self.view, &self.run.state, self.times) {
            self.copy.loader.absorbed(table, &activity?)?;
            count += 1;
            self.run.progress.rows(StageName::Activity, 1);
            self.step()?;
        }
        Ok(count)
    }

    /// Makes the tables durable and names them.
    pub(crate) fn finish(self) -> Result<Vec<TableId>, Failure> {
        self.copy.finish()
    }

    /// The profile that shows what was written to an id, where no overlay before it shows there, too.
    fn first_met(
        &self,
        table: TableId,
        written_to: ProfileId,
    ) -> Result<Option<(ProfileId, Row)>, Failure> {
        let owner = Owner::Profile(written_to.clone());
        let Some(id) = owner_profile(self.view, &self.run.state, &owner)? else {
            return Ok(None);
        };
        let former = self.view.former_ids(table, &id)?.into_iter();
        for other in former.chain([id.clone()]) {
            if other < written_to && self.view.overlay(&other)?.is_some() {
                return Ok(None);
            }
        }
        let row = self.view.profile(table, &id)?;
        Ok(row.map(|row| (id, row)))
    }

    fn step(&mut self) -> Result<(), Failure> {
        self.together += 1;
        if self.together == RECORDS_TOGETHER {
            self.together = 0;
            self.run.progress.check()?;
        }
        Ok(())
    }
}
