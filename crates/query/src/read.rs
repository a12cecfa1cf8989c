//! Entry of all reads under `/data/`: finds the entity, reads the options, lets the entity answer.
//! Owns which entities and options are served. Must not touch rows.

use sanntid_odata::QueryOptions;
use sanntid_types::{Error, ErrorCode, Result, UNIFIED_ACTIVITY};

use crate::collection::Request;
use crate::message::{invalid, not_served, shown};
use crate::moment::{Answer, Context, Limits, Moment, ReadOptions};
use crate::path::DataPath;
use crate::{activities, customers, tables};

/// Answers `GET …/data/{path}`.
///
/// `pairs` are the query options, decoded, without our own (those are `options`). Errors:
/// `EntityNotFound`, `ProfileNotFound`, `ActivityNotFound`; `NotServed` for entities and options
/// that are known but not served; `InvalidArgument` for what can't be read, with the option as
/// target; `FilterNeedsIndex` for what would read more than `limits` let it.
pub fn read(
    moment: &Moment<'_>,
    context: &Context<'_>,
    path: &DataPath,
    pairs: &[(String, String)],
    options: &ReadOptions,
    limits: &Limits,
) -> Result<Answer> {
    let is_activity = path.entity().eq_ignore_ascii_case(UNIFIED_ACTIVITY);
    let table = tables::readable(moment, path.entity());
    if !is_activity && !path.is_customer() && table.is_none() {
        return Err(unserved(moment, path.entity()));
    }
    let given = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let query = QueryOptions::parse(given, &[])?;
    check_served(&query)?;
    if !path.is_customer() && !query.expand.is_empty() {
        let message = "$expand is for Customer: its activities and the rows of its tables";
        return Err(invalid("$expand", message));
    }
    if path.key().is_some() {
        check_one(&query)?;
    }
    let request = Request {
        moment,
        context,
        limits,
        options: *options,
        pairs,
        query,
    };
    if is_activity {
        match path.activity_id()? {
            Some(id) => activities::entity(&request, &id),
            None => activities::collection(&request).map(|json| Answer::Collection { json }),
        }
    } else if let Some(table) = table {
        tables::answer(&request, table, path)
    } else {
        match path.profile_id()? {
            Some(id) => customers::entity(&request, &id),
            None => customers::collection(&request).map(|json| Answer::Collection { json }),
        }
    }
}

fn unserved(moment: &Moment<'_>, entity: &str) -> Error {
    match moment.tenant.entity(entity) {
        Some(table) => {
            let message = format!("reading {} is not served", table.schema.name);
            not_served(entity, message)
        }
        None => {
            let message = format!("there is no entity {}", shown(entity));
            Error::new(ErrorCode::EntityNotFound, message).with_target(entity)
        }
    }
}

fn check_served(query: &QueryOptions) -> Result<()> {
    match &query.search {
        Some(_) => Err(not_served("$search", "$search is not served")),
        None => Ok(()),
    }
}

/// Of the options, only `$select` and `$expand` say something about one row.
fn check_one(query: &QueryOptions) -> Result<()> {
    let given = [
        ("$filter", query.filter.is_some()),
        ("$orderby", !query.order.is_empty()),
        ("$top", query.top.is_some()),
        ("$skip", query.skip.is_some()),
        ("$skiptoken", query.skip_token.is_some()),
        ("$count", query.count),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            let message = format!(
                "{option} is for collections; one row by its key takes $select and $expand"
            );
            Err(invalid(option, message))
        }
        None => Ok(()),
    }
}
