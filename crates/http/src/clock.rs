//! The clock of the server: whether it is trusted, and an operator's word that it is right.

use actix_web::HttpRequest;
use actix_web::web::Data;
use sanntid_engine::ClockState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::query::Query;
use crate::reply::{Reply, ok};
use crate::server::Shared;

/// What the server takes the time to be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Clock {
    /// The present instant, UTC.
    #[schema(example = "2026-11-23T12:00:00.000Z")]
    now: String,
    /// False from a jump of more than a minute on, until the clock is back or was confirmed.
    #[schema(example = true)]
    is_trusted: bool,
}

impl From<ClockState> for Clock {
    fn from(state: ClockState) -> Self {
        Self {
            now: state.now.to_string(),
            is_trusted: state.is_trusted,
        }
    }
}

/// Tell what time it is for the server, and whether it trusts its clock.
#[utoipa::path(
    get,
    path = "/manage/clock",
    operation_id = "get_clock",
    tag = "Service",
    responses((status = 200, description = "The clock", body = Clock))
)]
pub(crate) async fn get(shared: Data<Shared>, _caller: Caller, query: Query) -> Reply {
    query.finish()?;
    ok(&Clock::from(shared.tenants.clock()))
}

/// Confirm that the clock is right as it is now.
///
/// A clock that jumps by more than a minute stops writes, refreshes and reclamation (503
/// `clockJumped`) until it is back where it was expected, or until this is called. What has
/// expired by the confirmed time is gone from then on, so look at `now` first.
#[utoipa::path(
    post,
    path = "/manage/clock/confirm",
    operation_id = "confirm_clock",
    tag = "Service",
    responses((status = 200, description = "The clock as it was confirmed", body = Clock))
)]
pub(crate) async fn confirm(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    query: Query,
) -> Reply {
    query.finish()?;
    let before = shared.tenants.clock();
    let by = caller.actor(&request);
    let state = shared.tenants.confirm_clock(by).await?;
    tracing::warn!(
        caller = caller.name(), now = %state.now, was_trusted = before.is_trusted,
        "the clock was confirmed by an operator"
    );
    ok(&Clock::from(state))
}
