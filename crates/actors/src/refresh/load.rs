//! Owns loading: from the parts of an upload to the tables of a new generation, beside the current.
//!
//! Must not change what anybody sees: nothing refers to the new tables before the switch.

use std::sync::Arc;

use sanntid_engine::{Claim, EntityTable, Switch};
use sanntid_store::{
    Loader, TenantView, WriteBatch,
    catalog::{self, TableState},
};
use sanntid_types::{
    CUSTOMER, Error, ErrorCode, JobReport, RejectionKind, RowRejection, StageName, TableId,
};

use super::{
    ahead::{Ahead, Next},
    input::{EntityInput, InputFile},
    moves,
    profiles::{ProfileRows, previous_ids},
    rows::OtherRows,
    run::{Failure, Run},
    timeline,
};

/// A generation that is loaded and waits for its switch.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) switch: Switch,
    /// Tables that the switch makes current.
    pub(crate) new_tables: Vec<TableId>,
    pub(crate) report: JobReport,
    /// Whether it holds newer data, and not only another look at the same.
    pub(crate) brings_data: bool,
}

/// Takes the rows of one entity.
pub(crate) trait TakeRows {
    /// Says why the row can't be used, or writes it.
    fn take(
        &mut self,
        loader: &mut Loader<'_>,
        row: &sanntid_types::Row,
    ) -> Result<Option<Unusable>, Failure>;

    /// Lets go of the store until the next row.
    fn rest(&mut self) {}

    /// Writes what can be said once all rows are taken.
    fn finish(&mut self, _loader: &mut Loader<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Rows and bytes written.
    fn written(&self) -> (u64, u64);
}

/// Says why a row can't be used.
pub(crate) struct Unusable {
    pub(crate) key: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

/// Gives tables numbers that were never used, and notes which job fills them.
pub(crate) fn new_tables(run: &Run, count: usize) -> Result<Vec<TableId>, Failure> {
    let incarnation = run.state.incarnation;
    let mut tables = Vec::with_capacity(count);
    for _ in 0..count {
        let mut batch = WriteBatch::new();
        let snapshot = run.shared.kv.snapshot()?;
        let table = catalog::next_table(&*snapshot, &mut batch, incarnation)?;
        drop(snapshot);
        catalog::put_table(&mut batch, incarnation, table, TableState::Loading(run.job));
        run.shared.kv.commit(batch)?;
        tables.push(table);
    }
    Ok(tables)
}

/// Loads entities; without any, makes the timeline of the present rows anew.
pub(crate) fn load(run: &Run, mut inputs: Vec<EntityInput>) -> Result<Plan, Failure> {
    let progress = &run.progress;
    let mut loader = Loader::new(&*run.shared.kv, run.state.incarnation);
    let mut entities = run.state.entities.clone();
    let mut new = Vec::new();
    let mut claims = Vec::new();
    let mut redirects = moves::Redirects::default();
    let mut rows_read = 0;
    let customer_before = run.state.customer().cloned();

    progress.begin(StageName::Ingestion, None);
    // Keys of customers are needed before anything that refers to them.
    inputs.sort_by_key(|input| input.schema.name.as_str() != CUSTOMER);
    let brings_data = !inputs.is_empty();
    // Only new customers make a generation real again: the others show what a simulation made.
    let is_customer = |input: &EntityInput| input.schema.name.as_str() == CUSTOMER;
    let simulated = run.state.simulated && !inputs.iter().any(is_customer);
    let latest = inputs.iter().map(|input| input.as_of).max();
    let mut ahead = Ahead::new(run, &inputs)?;
    for input in &inputs {
        let table = new_tables(run, 1)?
            .into_iter()
            .next()
            .ok_or_else(no_table)?;
        new.push(table);
        let mut entity = Ingestion {
            run,
            input,
            table,
            rows_read: 0,
        };
        let loaded = entity.load(&mut ahead, &mut loader, &mut claims)?;
        if is_customer(input) {
            // With the profiles, that the store need not merge them later.
            let table = loaded.table;
            redirects =
                moves::redirect(run, &mut loader, customer_before.as_ref(), table, &claims)?;
        }
        run.settle(&mut loader)?;
        rows_read += entity.rows_read;
        let name = loaded.schema.name.as_str();
        entities.retain(|before| !before.schema.name.as_str().eq_ignore_ascii_case(name));
        entities.push(loaded);
    }
    drop(ahead);
    progress.done(StageName::Ingestion);

    let customer = entities
        .iter()
        .find(|entity| entity.schema.name.as_str() == CUSTOMER)
        .cloned();
    progress.begin(StageName::Map, None);
    progress.done(StageName::Map);
    progress.begin(StageName::Merge, None);
    let is_new = |entity: &EntityTable| new.contains(&entity.table);
    let moved = match (&customer, &customer_before) {
        (Some(customer), Some(before)) if is_new(customer) => {
            moves::count(run, before.table, customer.table, &redirects)?
        }
        _ => moves::Moved::default(),
    };
    progress.done(StageName::Merge);

    run.rejections.lock().ingestion_is_done();
    let built = timeline::build(run, &mut loader, &run.state.activities, &entities)?;
    let built = match run.state.timeline.filter(|_| simulated) {
        Some(before) => {
            let is_brought = |entity: &_| inputs.iter().any(|input| input.schema.name == *entity);
            timeline::carry_absorbed(run, &mut loader, (before, None), built, is_brought)?
        }
        None => built,
    };
    new.push(built.table);
    run.settle(&mut loader)?;
    progress.done(StageName::Activity);
    progress.begin(StageName::Search, None);
    progress.done(StageName::Search);

    let of_customer = customer.as_ref().map(|customer| customer.as_of);
    let brings_customer = inputs
        .first()
        .is_none_or(|first| first.schema.name.as_str() == CUSTOMER);
    let as_of = of_customer.filter(|_| brings_customer).or(latest);
    Ok(Plan {
        report: JobReport {
            as_of: as_of.unwrap_or(run.shared.clock.now()),
            rows_read,
            rows_rejected: run.rejections.lock().rejected(),
            profiles: customer.map_or(0, |customer| customer.rows),
            activities: built.matched,
            activities_unmatched: built.unmatched,
            overlay_fields_cleared: 0,
            overlay_fields_kept: 0,
            activities_superseded: 0,
            activities_attached: 0,
            profiles_moved: moved.moved,
            profiles_vanished: moved.vanished,
            generation: run.state.generation.next(),
        },
        switch: Switch {
            entities,
            timeline: Some(built.table),
            projected_with: built.projected_with,
            simulated,
        },
        new_tables: new,
        brings_data,
    })
}

/// One entity on its way into its table.
struct Ingestion<'a> {
    run: &'a Run,
    input: &'a EntityInput,
    table: TableId,
    rows_read: u64,
}

impl Ingestion<'_> {
    fn load(
        &mut self,
        ahead: &mut Ahead<'_>,
        loader: &mut Loader<'_>,
        claims: &mut Vec<Claim>,
    ) -> Result<EntityTable, Failure> {
        let is_customer = self.input.schema.name.as_str() == CUSTOMER;
        let mut profiles;
        let mut others;
        let rows: &mut dyn TakeRows = if is_customer {
            let claims = previous_ids(self.run, &self.input.schema, claims);
            profiles = ProfileRows::new(self.table, &self.input.schema, claims);
            &mut profiles
        } else {
            let config = self
                .run
                .state
                .activity_config(&self.input.schema.name)
                .cloned();
            others = OtherRows::new(self.table, &self.input.schema, config);
            &mut others
        };
        let rejected_before = self.run.rejections.lock().rejected();
        let input = self.input;
        for file in &input.files {
            self.load_file((file, ahead), rows, loader)?;
        }
        rows.finish(loader)?;
        let rejected = self.run.rejections.lock().rejected() - rejected_before;
        self.check_rejected(rejected)?;
        let (count, size) = rows.written();
        Ok(EntityTable {
            schema: Arc::clone(&self.input.schema),
            table: self.table,
            as_of: self.input.as_of,
            rows: count,
            size,
        })
    }

    fn load_file(
        &mut self,
        (file, ahead): (&InputFile, &mut Ahead<'_>),
        rows: &mut dyn TakeRows,
        loader: &mut Loader<'_>,
    ) -> Result<(), Failure> {
        loop {
            let together = match ahead.next()? {
                Next::Rows(together) => together,
                Next::End => return Ok(()),
                Next::Failed(error) => {
                    return Err(file.unreadable(&self.input.schema.name, &error).into());
                }
            };
            let count = together.len() as u64;
            for item in together {
                self.rows_read += 1;
                self.take(item, file, rows, loader)?;
            }
            self.step(count, rows)?;
        }
    }

    fn take(
        &self,
        item: sanntid_sources::Item,
        file: &InputFile,
        rows: &mut dyn TakeRows,
        loader: &mut Loader<'_>,
    ) -> Result<(), Failure> {
        let (row, unusable) = match item {
            sanntid_sources::Item::Row { number, row } => (number, rows.take(loader, &row)?),
            sanntid_sources::Item::Rejected(rejection) => {
                let unusable = Unusable {
                    key: None,
                    column: rejection.column,
                    reason: rejection.reason,
                };
                (rejection.row, Some(unusable))
            }
        };
        if let Some(unusable) = unusable {
            self.run.reject(RowRejection {
                kind: RejectionKind::Rejected,
                entity: self.input.schema.name.to_string(),
                part: file.part,
                file: file.name.clone(),
                row: Some(row),
                key: unusable.key,
                column: unusable.column,
                reason: unusable.reason,
            });
        }
        Ok(())
    }

    fn step(&self, count: u64, rows: &mut dyn TakeRows) -> Result<(), Failure> {
        self.run.progress.rows(StageName::Ingestion, count);
        self.run.progress.check()?;
        rows.rest();
        Ok(())
    }

    fn check_rejected(&self, rejected: u64) -> Result<(), Failure> {
        let limit = self.run.state.settings.rows_rejected_max_percent;
        if rejected == 0 || percent(rejected, self.rows_read) <= limit {
            return Ok(());
        }
        let text = format!(
            "{rejected} of {} rows of {} were rejected, more than {limit} %; nothing was changed",
            self.rows_read, self.input.schema.name
        );
        let error = Error::new(ErrorCode::TooManyRowsRejected, text);
        Err(error.with_target(self.input.schema.name.as_str()).into())
    }
}

/// The view over what is stored at present.
pub(crate) type StoreView = TenantView<Box<dyn sanntid_store::Snapshot>>;

fn percent(part: u64, of: u64) -> f64 {
    let float = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    // Counts beyond 32 bits are scaled down together, which keeps their ratio.
    let scale = (of >> 31).max(1);
    100.0 * float(part.div_ceil(scale)) / float((of / scale).max(1))
}

fn no_table() -> Failure {
    Error::new(ErrorCode::Internal, "no table could be made").into()
}
