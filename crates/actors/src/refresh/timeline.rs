//! Owns the activity stage: rows become the timeline of the profiles that their keys name.

use std::collections::HashSet;

use sanntid_engine::{EntityTable, Owner, SourceContent, View, project_row};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{
    ActivityConfig, ActivityId, CUSTOMER, EntityName, RejectionKind, Row, RowRejection, StageName,
    TableId,
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

/// Makes the timeline of all rows, with the configuration `configs`.
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
    loader.flush()?;
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
    run.progress.done(StageName::Activity);
    Ok(projection.built)
}

/// Takes what a simulation absorbed along from a timeline into one that was made anew, except where
/// that holds an activity of the same id, or `is_brought` says that the entity's rows are newer.
pub(crate) fn carry_absorbed(
    run: &Run,
    loader: &mut Loader<'_>,
    from: TableId,
    mut built: Built,
    is_brought: impl Fn(&EntityName) -> bool,
) -> Result<Built, Failure> {
    loader.flush()?;
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
        if !is_newer && view.source_activity(built.table, &absorbed.id)?.is_none() {
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
        let mut seen = Seen::new(self.run, self.built.table, config, entity)?;
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
                let rejection =
                    self.project(loader, &view, (config, entity), &row, seen.as_mut())?;
                rejection
                    .into_iter()
                    .for_each(|rejection| self.run.reject(rejection));
                last = Some(place);
                together += 1;
            }
            self.run.progress.rows(StageName::Activity, together);
            self.run.progress.check()?;
            if together == 0 {
                return Ok(loader.flush()?);
            }
            if let Some(seen) = &mut seen {
                loader.flush()?;
                seen.refresh(self.run)?;
            }
        }
    }

    fn project(
        &mut self,
        loader: &mut Loader<'_>,
        view: &StoreView,
        (config, entity): (&ActivityConfig, &EntityTable),
        row: &Row,
        seen: Option<&mut Seen>,
    ) -> Result<Option<RowRejection>, Failure> {
        let (activity, owner) = match project_row(config, &entity.schema, row) {
            Ok(projected) => projected,
            Err(error) => return Ok(Some(unprojectable(config, &error))),
        };
        if let Some(seen) = seen
            && !seen.is_new(&activity.id)?
        {
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

/// The ids that have an activity already, where the configured key is not the entity's own: only
/// that one is known to be unique, and an id names one activity (rules 4.5).
struct Seen {
    table: TableId,
    view: StoreView,
    /// Those since `view` was taken.
    ids: HashSet<ActivityId>,
}

impl Seen {
    fn new(
        run: &Run,
        table: TableId,
        config: &ActivityConfig,
        entity: &EntityTable,
    ) -> Result<Option<Self>, Failure> {
        let configured = entity.schema.find(&config.primary_key).map(|(at, _)| at);
        if configured == entity.schema.key {
            return Ok(None);
        }
        let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
        let ids = HashSet::new();
        Ok(Some(Self { table, view, ids }))
    }

    fn is_new(&mut self, id: &ActivityId) -> Result<bool, Failure> {
        let is_stored = self.view.source_activity(self.table, id)?.is_some();
        Ok(!is_stored && self.ids.insert(id.clone()))
    }

    /// Looks at what has been written so far.
    fn refresh(&mut self, run: &Run) -> Result<(), Failure> {
        self.view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
        self.ids.clear();
        Ok(())
    }
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
    let named = match owner {
        Owner::Key { entity, key } => format!("no customer has the key {key:?} of {entity}"),
        Owner::Profile(id) => format!("there is no customer {id}"),
    };
    RowRejection {
        kind: RejectionKind::Unmatched,
        entity: config.entity_name.to_string(),
        part: None,
        file: None,
        row: None,
        key: activity.actual_activity_id.clone(),
        column: Some(config.relationship.foreign_key.clone()),
        reason: named,
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
