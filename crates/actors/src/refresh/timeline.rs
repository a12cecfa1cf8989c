//! Owns the activity stage: rows become the timeline of the profiles that their keys name.

use sanntid_engine::{EntityTable, Owner, View, project_row};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{ActivityConfig, CUSTOMER, RejectionKind, RowRejection, StageName, TableId};

use super::{
    load::new_tables,
    run::{Failure, Run},
};

/// Rows between two looks at the wish to stop.
const ROWS_TOGETHER: u64 = 2_000;

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
    let view = TenantView::new(run.shared.kv.snapshot()?, run.state.incarnation);
    let customers = entities
        .iter()
        .find(|entity| entity.schema.name.as_str() == CUSTOMER);
    let of = |config: &ActivityConfig| {
        entities
            .iter()
            .find(|entity| entity.schema.name == config.entity_name)
    };
    let total = configs
        .iter()
        .filter_map(of)
        .map(|entity| entity.rows)
        .sum();
    run.progress.begin(StageName::Activity, Some(total));
    let mut built = Built {
        table,
        projected_with: configs.to_vec(),
        matched: 0,
        unmatched: 0,
    };
    for (config, entity) in configs
        .iter()
        .filter_map(|config| Some((config, of(config)?)))
    {
        let mut together = 0;
        for row in view.rows(entity.table) {
            let row = row?;
            let rejection = match project_row(config, &entity.schema, &row) {
                Ok((activity, owner)) => {
                    let profile = match (customers, &owner) {
                        (Some(customers), Owner::Key { entity, key }) => {
                            view.resolve_key(customers.table, &declared(customers, entity), key)?
                        }
                        _ => None,
                    };
                    let (name, time) = (&entity.schema.name, activity.time);
                    loader.activity(table, name, &activity.id, time, profile.as_ref(), &row)?;
                    built.matched += u64::from(profile.is_some());
                    built.unmatched += u64::from(profile.is_none());
                    let is_unmatched = profile.is_none();
                    is_unmatched.then(|| unmatched(config, &activity, &owner))
                }
                Err(error) => Some(unprojectable(config, &error)),
            };
            rejection
                .into_iter()
                .for_each(|rejection| run.reject(rejection));
            together += 1;
            if together == ROWS_TOGETHER {
                run.progress.rows(StageName::Activity, together);
                run.progress.check()?;
                together = 0;
            }
        }
        run.progress.rows(StageName::Activity, together);
    }
    run.progress.done(StageName::Activity);
    Ok(built)
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
        row: None,
        key: None,
        column: detail.map(|detail| detail.target.clone()),
        reason: detail.map_or(error.message.clone(), |detail| detail.message.clone()),
    }
}
