//! Owns the activity stage: rows become the timeline of the profiles that their keys name.

use sanntid_engine::{EntityTable, Owner, SourceContent, View, project_row, unmatched_reason};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{
    ActivityConfig, CUSTOMER, EntityName, RejectionKind, Row, RowRejection, StageName, TableId,
};

use super::{
    load::{StoreView, new_tables},
    run::{Failure, Run},
};

/// Rows between two looks at the wish to stop.
const ROWS_TOGETHER: usize = 2_000;

/// A timeline that was loaded.
pub(crate) struct Built {
    pub(crate) table: TableId,
    pub(crate) projected_with: Vec<ActivityConfig>,
    pub(crate) matched: u64,
    pub(crate) unmatched: u64,
}

/// Makes the timeline of all rows, with the configuration `configs`. The stage is done when the
/// caller has settled it.
pub(crate) fn build(
    run: &Run,
    loader: &mut Loader<'_>,
    configs: &[ActivityConfig],
    entities: &[EntityTable],
) -> Result<Built, Failure> {
    let table = new_tables(run, 1)?.into_iter().next();
    let table = table.ok_or_else(|| {
        sanntid_types::Error::new(sanntid_types::ErrorCode::Internal, "no table could be made")
    })?;
    // A source may have been configured before its entity said how it spells itself.
    let of = |config: &ActivityConfig| {
        let name = config.entity_name.as_str();
        entities
            .iter()
            .find(|entity| entity.schema.name.as_str().eq_ignore_ascii_case(name))
    };
    let total = configs
        .iter()
        .filter_map(of)
        .map(|entity| entity.rows)
        .sum();
    run.progress.begin(StageName::Activity, Some(total));
    let mut projection = Projection {
        run,
        customers: entities
            .iter()
            .find(|entity| entity.schema.name.as_str() == CUSTOMER),
        built: Built {
            table,
            projected_with: configs.to_vec(),
            matched: 0,
            unmatched: 0,
        },
    };
    for (config, entity) in configs
        .iter()
        .filter_map(|config| Some((config, of(config)?)))
    {
        projection.add(loader, config, entity)?;
    }
    Ok(projection.built)
}

/// Takes what a simulation absorbed along from a timeline into one that was made anew, except where
/// that holds an activity of the same id, or `is_brought` says that the entity's rows are newer.
///
/// Where the current timeline is given, what is not in it was erased since and stays out.
pub(crate) fn carry_absorbed(
    run: &Run,
    loader: &mut Loader<'_>,
    (from, current): (TableId, Option<TableId>),
    mut built: Built,
    is_brought: impl Fn(&EntityName) -> bool,
) -> Result<Built, Failure> {
    let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
    let mut together = 0;
    for absorbed in view.absorbed(from) {
        let absorbed = absorbed?;
        together += 1;
        if together == ROWS_TOGETHER {
            run.progress.check()?;
            together = 0;
        }
        let is_newer = match &absorbed.content {
            SourceContent::Absorbed { entity, .. } => entity.as_ref().is_some_and(&is_brought),
            SourceContent::Row { .. } => true,
        };
        let is_erased = match current {
            Some(current) => view.source_activity(current, &absorbed.id)?.is_none(),
            None => false,
        };
        let is_taken = loader.has_activity(built.table, &absorbed.id)?;
        if !is_newer && !is_erased && !is_taken {
            loader.absorbed(built.table, &absorbed)?;
            built.matched += 1;
        }
    }
    Ok(built)
}

/// A timeline while it is made.
struct Projection<'a> {
    run: &'a Run,
    customers: Option<&'a EntityTable>,
    built: Built,
}

impl Projection<'_> {
    fn add(
        &mut self,
        loader: &mut Loader<'_>,
        config: &ActivityConfig,
        entity: &EntityTable,
    ) -> Result<(), Failure> {
        let may_repeat = may_repeat(config, entity);
        let mut last = None;
        loop {
            // Taken anew: as long as one is held, the store keeps in memory what is written beside it.
            let view = TenantView::new(self.run.shared.kv.snapshot()?, self.run.state.incarnation);
            let mut together: u64 = 0;
            for entry in view
                .rows_after(entity.table, last.as_deref())
                .take(ROWS_TOGETHER)
            {
                let (place, row) = entry?;
                let rejection = self.project(loader, &view, (config, entity), &row, may_repeat)?;
                rejection
                    .into_iter()
                    .for_each(|rejection| self.run.reject(rejection));
                last = Some(place);
                together += 1;
            }
            self.run.progress.rows(StageName::Activity, together);
            self.run.progress.check()?;
            if together == 0 {
                return Ok(());
            }
        }
    }

    fn project(
        &mut self,
        loader: &mut Loader<'_>,
        view: &StoreView,
        (config, entity): (&ActivityConfig, &EntityTable),
        row: &Row,
        may_repeat: bool,
    ) -> Result<Option<RowRejection>, Failure> {
        let (activity, owner) = match project_row(config, &entity.schema, row) {
            Ok(projected) => projected,
            Err(error) => return Ok(Some(unprojectable(config, &error))),
        };
        if may_repeat && loader.has_activity(self.built.table, &activity.id)? {
            return Ok(Some(repeated(config, &activity)));
        }
        let profile = match (self.customers, &owner) {
            (Some(customers), Owner::Key { entity, key }) => {
                let entity = declared(customers, entity);
                view.resolve_key(customers.table, &entity, key)?
            }
            _ => None,
        };
        let (name, time) = (&entity.schema.name, activity.time);
        let table = self.built.table;
        loader.activity(table, name, &activity.id, time, profile.as_ref(), row)?;
        if profile.is_some() {
            self.built.matched += 1;
            return Ok(None);
        }
        self.built.unmatched += 1;
        Ok(Some(unmatched(config, &activity, &owner)))
    }
}

/// Whether rows may name an activity that another row has named: only the entity's own key is known
/// to be unique, and an id names one activity (rules 4.5).
fn may_repeat(config: &ActivityConfig, entity: &EntityTable) -> bool {
    let configured = entity.schema.find(&config.primary_key).map(|(at, _)| at);
    configured != entity.schema.key
}

fn repeated(config: &ActivityConfig, activity: &sanntid_types::UnifiedActivity) -> RowRejection {
    RowRejection {
        kind: RejectionKind::Rejected,
        entity: config.entity_name.to_string(),
        part: None,
        file: None,
        row: None,
        key: activity.actual_activity_id.clone(),
        column: Some(config.primary_key.clone()),
        reason: "another row has the same configured primary key".to_owned(),
    }
}

/// Spells an alternate key's entity as `Customer` declares it: the key ring is kept so.
fn declared(customers: &EntityTable, entity: &str) -> String {
    let mut names = customers
        .schema
        .alternate_keys()
        .map(|(_, key)| key.qualified_name());
    let found = names.find(|name| name.eq_ignore_ascii_case(entity));
    found.unwrap_or_else(|| entity.to_owned())
}

fn unmatched(
    config: &ActivityConfig,
    activity: &sanntid_types::UnifiedActivity,
    owner: &Owner,
) -> RowRejection {
    RowRejection {
        kind: RejectionKind::Unmatched,
        entity: config.entity_name.to_string(),
        part: None,
        file: None,
        row: None,
        key: activity.actual_activity_id.clone(),
        column: Some(config.relationship.foreign_key.clone()),
        reason: unmatched_reason(owner),
    }
}

fn unprojectable(config: &ActivityConfig, error: &sanntid_types::Error) -> RowRejection {
    let detail = error.details.first();
    RowRejection {
        kind: RejectionKind::Rejected,
        entity: config.entity_name.to_string(),
        part: None,
        file: None,
        row: None,
        key: None,
        column: detail.map(|detail| detail.target.clone()),
        reason: detail.map_or(error.message.clone(), |detail| detail.message.clone()),
    }
}
