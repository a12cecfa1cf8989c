//! Owns loading: from the parts of an upload to the tables of a new generation, beside the current.
//!
//! Must not change what anybody sees: nothing refers to the new tables before the switch.

use std::{fs::File, sync::Arc};

use sanntid_engine::{Claim, EntityTable, Switch};
use sanntid_sources::{FileFormat, FileKind};
use sanntid_store::{
    Loader, TenantView, WriteBatch,
    catalog::{self, PartEncoding, PartRecord, TableState, UploadRecord},
};
use sanntid_types::{
    CUSTOMER, EntitySchema, Error, ErrorCode, JobReport, RejectionKind, RowRejection, StageName,
    TableId,
};

use super::{
    moves,
    profiles::{ProfileRows, previous_ids},
    rows::OtherRows,
    run::{Failure, Run},
    timeline,
};

/// Rows that are checked together before they are written.
const ROWS_TOGETHER: u64 = 2_000;

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

    /// Looks at what has been written so far.
    fn refresh(&mut self) -> Result<(), Failure>;

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

/// Loads an upload; without one, makes the timeline of the present rows anew.
pub(crate) fn load(run: &Run, upload: Option<&UploadRecord>) -> Result<Plan, Failure> {
    let progress = &run.progress;
    let mut loader = Loader::new(&*run.shared.kv, run.state.incarnation);
    let mut entities = run.state.entities.clone();
    let mut new = Vec::new();
    let mut claims = Vec::new();
    let mut rows_read = 0;
    let customer_before = run.state.customer().cloned();

    progress.begin(StageName::Ingestion, None);
    if let Some(upload) = upload {
        let mut schemas = upload.manifest.schemas()?;
        // Keys of customers are needed before anything that refers to them.
        schemas.sort_by_key(|schema| schema.name.as_str() != CUSTOMER);
        for schema in schemas {
            let table = new_tables(run, 1)?
                .into_iter()
                .next()
                .ok_or_else(no_table)?;
            new.push(table);
            let mut entity = Ingestion {
                run,
                upload,
                schema: Arc::new(schema),
                table,
                rows_read: 0,
            };
            let loaded = entity.load(&mut loader, &mut claims)?;
            rows_read += entity.rows_read;
            entities.retain(|before| {
                !before
                    .schema
                    .name
                    .as_str()
                    .eq_ignore_ascii_case(loaded.schema.name.as_str())
            });
            entities.push(loaded);
        }
    }
    progress.done(StageName::Ingestion);

    let customer = entities
        .iter()
        .find(|entity| entity.schema.name.as_str() == CUSTOMER)
        .cloned();
    progress.begin(StageName::Map, None);
    progress.done(StageName::Map);
    progress.begin(StageName::Merge, None);
    loader.flush()?;
    let is_new = |entity: &EntityTable| new.contains(&entity.table);
    let moved = match &customer {
        Some(customer) if is_new(customer) => moves::load(
            run,
            &mut loader,
            customer_before.as_ref(),
            customer,
            &claims,
        )?,
        _ => moves::Moved::default(),
    };
    progress.done(StageName::Merge);

    run.rejections.lock().ingestion_is_done();
    let built = timeline::build(run, &mut loader, &run.state.activities, &entities)?;
    new.push(built.table);
    progress.begin(StageName::Search, None);
    progress.done(StageName::Search);
    loader.finish()?;

    let as_of = upload.map(|upload| upload.manifest.as_of);
    let as_of = as_of.or(customer.as_ref().map(|customer| customer.as_of));
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
            simulated: upload.is_none() && run.state.simulated,
        },
        new_tables: new,
        brings_data: upload.is_some(),
    })
}

/// One entity of an upload on its way into its table.
struct Ingestion<'a> {
    run: &'a Run,
    upload: &'a UploadRecord,
    schema: Arc<EntitySchema>,
    table: TableId,
    rows_read: u64,
}

impl Ingestion<'_> {
    fn load(
        &mut self,
        loader: &mut Loader<'_>,
        claims: &mut Vec<Claim>,
    ) -> Result<EntityTable, Failure> {
        let kv = &*self.run.shared.kv;
        let is_customer = self.schema.name.as_str() == CUSTOMER;
        let mut profiles;
        let mut others;
        let rows: &mut dyn TakeRows = if is_customer {
            let claims = previous_ids(self.run, &self.schema, claims);
            profiles = ProfileRows::new(
                kv,
                self.run.state.incarnation,
                self.table,
                &self.schema,
                claims,
            )?;
            &mut profiles
        } else {
            let config = self.run.state.activity_config(&self.schema.name).cloned();
            others = OtherRows::new(
                kv,
                self.run.state.incarnation,
                self.table,
                &self.schema,
                config,
            )?;
            &mut others
        };
        let rejected_before = self.run.rejections.lock().rejected();
        let mut parts: Vec<&PartRecord> = self
            .upload
            .parts
            .iter()
            .filter(|part| part.entity == self.schema.name)
            .collect();
        parts.sort_by_key(|part| part.number);
        for part in parts {
            self.load_part(part, rows, loader)?;
        }
        loader.flush()?;
        let rejected = self.run.rejections.lock().rejected() - rejected_before;
        self.check_rejected(rejected)?;
        let (count, size) = rows.written();
        Ok(EntityTable {
            schema: Arc::clone(&self.schema),
            table: self.table,
            as_of: self.upload.manifest.as_of,
            rows: count,
            size,
        })
    }

    fn load_part(
        &mut self,
        part: &PartRecord,
        rows: &mut dyn TakeRows,
        loader: &mut Loader<'_>,
    ) -> Result<(), Failure> {
        let shared = &self.run.shared;
        let path = shared.part_file(self.run.state.incarnation, self.upload.id, &part.file);
        let shown = format!("{} part {}", part.entity, part.number);
        let file = File::open(path).map_err(|error| {
            tracing::error!(%error, "an upload's part can't be read");
            Error::new(ErrorCode::Internal, format!("{shown} can't be read"))
        })?;
        let unreadable = |error: sanntid_sources::Error| {
            Error::new(ErrorCode::InvalidBody, format!("{shown}: {error}"))
                .with_target(part.entity.as_str())
        };
        let items = sanntid_sources::open(Box::new(file), format_of(part.encoding), &self.schema);
        let mut together = 0;
        for item in items.map_err(unreadable)? {
            self.rows_read += 1;
            together += 1;
            let (row, unusable) = match item.map_err(unreadable)? {
                sanntid_sources::Item::Row { number, row } => (number, rows.take(loader, &row)?),
                sanntid_sources::Item::Rejected(rejection) => {
                    let (column, reason) = (rejection.column, rejection.reason);
                    (
                        rejection.row,
                        Some(Unusable {
                            key: None,
                            column,
                            reason,
                        }),
                    )
                }
            };
            if let Some(unusable) = unusable {
                self.run.reject(RowRejection {
                    kind: RejectionKind::Rejected,
                    entity: self.schema.name.to_string(),
                    part: Some(part.number),
                    row: Some(row),
                    key: unusable.key,
                    column: unusable.column,
                    reason: unusable.reason,
                });
            }
            if together == ROWS_TOGETHER {
                self.step(together, rows, loader)?;
                together = 0;
            }
        }
        self.step(together, rows, loader)
    }

    fn step(
        &self,
        count: u64,
        rows: &mut dyn TakeRows,
        loader: &mut Loader<'_>,
    ) -> Result<(), Failure> {
        self.run.progress.rows(StageName::Ingestion, count);
        self.run.progress.check()?;
        loader.flush()?;
        rows.refresh()
    }

    fn check_rejected(&self, rejected: u64) -> Result<(), Failure> {
        let limit = self.run.state.settings.rows_rejected_max_percent;
        if rejected == 0 || percent(rejected, self.rows_read) <= limit {
            return Ok(());
        }
        let text = format!(
            "{rejected} of {} rows of {} were rejected, more than {limit} %; nothing was changed",
            self.rows_read, self.schema.name
        );
        let error = Error::new(ErrorCode::TooManyRowsRejected, text);
        Err(error.with_target(self.schema.name.as_str()).into())
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

fn format_of(encoding: PartEncoding) -> FileFormat {
    let (kind, gzip) = match encoding {
        PartEncoding::Csv => (FileKind::Csv, false),
        PartEncoding::CsvGzip => (FileKind::Csv, true),
        PartEncoding::Ndjson => (FileKind::Ndjson, false),
        PartEncoding::NdjsonGzip => (FileKind::Ndjson, true),
    };
    FileFormat { kind, gzip }
}

fn no_table() -> Failure {
    Error::new(ErrorCode::Internal, "no table could be made").into()
}
