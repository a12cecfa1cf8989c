//! Owns the first refresh of a copied instance: the current generation of another one, as it is.
//!
//! Must not take real-time data along: what callers wrote stays with the instance they wrote to.

use sanntid_engine::{EntityTable, Switch, TenantState};
use sanntid_store::{Loader, Snapshot, catalog, records_after};
use sanntid_types::{Error, ErrorCode, InstanceId, JobReport, StageName, TableId};

use super::{
    load::{Plan, new_tables},
    run::{Failure, Run},
};

/// Records between two looks at the wish to stop.
const RECORDS_TOGETHER: usize = 2_000;

/// Loads the current generation of `source` beside the (empty) one of the run's instance.
///
/// It is that of the moment when the job runs; what the source does meanwhile has no effect
/// for as long as its replaced tables are kept; a copy that takes longer fails.
pub(crate) fn load(run: &Run, source: InstanceId) -> Result<Plan, Failure> {
    let from = generation_of(&*run.shared.kv.snapshot()?, source)?;
    let total = from.entities.iter().map(|entity| entity.rows).sum();
    run.progress.begin(StageName::Ingestion, Some(total));
    let mut copy = Copy::new(run, &from);
    let mut entities = Vec::with_capacity(from.entities.len());
    for entity in &from.entities {
        let table = copy.table(entity.table)?;
        run.progress.rows(StageName::Ingestion, entity.rows);
        entities.push(EntityTable {
            table,
            ..entity.clone()
        });
    }
    run.progress.done(StageName::Ingestion);
    // What these stages make is copied with the tables.
    for stage in [StageName::Map, StageName::Merge, StageName::Search] {
        run.progress.done(stage);
    }
    run.progress.begin(StageName::Activity, None);
    let timeline = from.timeline.map(|table| copy.table(table)).transpose()?;
    run.progress.done(StageName::Activity);
    let report = copy.report();
    let new_tables = copy.finish()?;
    Ok(Plan {
        report,
        switch: Switch {
            entities,
            timeline,
            projected_with: from.projected_with.clone(),
            simulated: from.simulated,
        },
        new_tables,
        brings_data: true,
    })
}

fn generation_of(snapshot: &dyn Snapshot, source: InstanceId) -> Result<TenantState, Failure> {
    let gone = || {
        let text = format!("the instance {source}, which was to be copied, is gone");
        Error::new(ErrorCode::InstanceNotFound, text)
    };
    let record = catalog::instance(snapshot, source)?.ok_or_else(gone)?;
    let state = catalog::tenant(snapshot, record.incarnation)?;
    Ok(state.ok_or_else(gone)?)
}

/// Tables on their way from one generation into another.
pub(super) struct Copy<'a> {
    run: &'a Run,
    from: &'a TenantState,
    pub(super) loader: Loader<'a>,
    new_tables: Vec<TableId>,
    activities: u64,
    in_timelines: u64,
}

impl<'a> Copy<'a> {
    pub(super) fn new(run: &'a Run, from: &'a TenantState) -> Self {
        Self {
            run,
            from,
            loader: Loader::new(&*run.shared.kv, run.state.incarnation),
            new_tables: Vec::new(),
            activities: 0,
            in_timelines: 0,
        }
    }

    /// Gives a table a number.
    pub(super) fn new_table(&mut self) -> Result<TableId, Failure> {
        let new = new_tables(self.run, 1)?.into_iter().next();
        let new = new.ok_or_else(|| Error::new(ErrorCode::Internal, "no table could be made"))?;
        self.new_tables.push(new);
        Ok(new)
    }

    /// Makes the tables durable and names them.
    pub(super) fn finish(mut self) -> Result<Vec<TableId>, Failure> {
        self.run.settle(&mut self.loader)?;
        Ok(self.new_tables)
    }

    /// Copies one table; gives its number in the run's instance.
    pub(super) fn table(&mut self, table: TableId) -> Result<TableId, Failure> {
        let new = self.new_table()?;
        let mut last = None;
        loop {
            self.run.progress.check()?;
            let snapshot = self.run.shared.kv.snapshot()?;
            self.check_kept(&*snapshot, table)?;
            let mut together = 0;
            let behind = records_after(&*snapshot, self.from.incarnation, table, last.as_ref());
            for record in behind.take(RECORDS_TOGETHER) {
                let record = record?;
                self.activities += u64::from(record.is_activity());
                self.in_timelines += u64::from(record.is_in_timeline());
                self.loader.copy(new, &record)?;
                last = Some(record);
                together += 1;
            }
            if together == 0 {
                return Ok(new);
            }
        }
    }

    /// Whether the table is still whole: one that the source has replaced goes after a while.
    fn check_kept(&self, snapshot: &dyn Snapshot, table: TableId) -> Result<(), Failure> {
        let now = self.run.shared.clock.now();
        if catalog::is_kept(snapshot, self.from.incarnation, table, now)? {
            return Ok(());
        }
        let text = "the instance to be copied was refreshed, reset or deleted long ago, and its \
                    generation of then is gone; copy it again";
        Err(Error::new(ErrorCode::Interrupted, text).into())
    }

    /// Counts what the copied generation holds; a copy rejects nothing and touches no overlay.
    fn report(&self) -> JobReport {
        let customer = self.from.customer();
        let now = self.run.shared.clock.now();
        JobReport {
            as_of: customer.map_or(now, |customer| customer.as_of),
            rows_read: self.from.entities.iter().map(|entity| entity.rows).sum(),
            rows_rejected: 0,
            profiles: customer.map_or(0, |customer| customer.rows),
            activities: self.in_timelines,
            activities_unmatched: self.activities.saturating_sub(self.in_timelines),
            overlay_fields_cleared: 0,
            overlay_fields_kept: 0,
            activities_superseded: 0,
            activities_attached: 0,
            profiles_moved: 0,
            profiles_vanished: 0,
            generation: self.run.state.generation.next(),
        }
    }
}
