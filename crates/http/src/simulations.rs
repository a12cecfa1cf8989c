//! Simulated refreshes: the current generation once more, as of another instant (rules 6.9).
//! Owns the request and what a dry run answers.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use sanntid_types::{ClearedField, Instant, JobReport, SimulationRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::error::ErrorBody;
use crate::job_model::GraphJobInfo;
use crate::query::Query;
use crate::reply::{Reply, json, ok};
use crate::request::{Instance, check_workflow};
use crate::server::Shared;

/// Says what to simulate; everything may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Simulation {
    /// The instant up to which the source would have been read (RFC 3339); by default now.
    #[schema(value_type = Option<String>, format = "date-time")]
    as_of: Option<Instant>,
    /// Only says what the switch would do.
    dry_run: bool,
    /// The new generation takes in what was accepted up to `asOf`, as if the source had picked it up.
    absorb: bool,
    /// The job takes so many seconds at least, 0 to 3600; writes go on meanwhile.
    #[schema(maximum = 3600)]
    duration_seconds: u32,
}

/// The report that the switch would give.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryRunReport {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    report: JobReport,
    /// The first 100 of the fields that it would clear.
    #[schema(value_type = Vec<Object>)]
    clears: Vec<ClearedField>,
}

/// Simulate a refresh.
///
/// Needs no data source: a job switches to the current generation once more, as one that was read up
/// to `asOf`. Its generation is marked simulated and can't be exported until a refresh brings
/// customers again. An instance of the type `production` takes dry runs only.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/workflows/{workflowName}/simulations",
    operation_id = "simulate_a_refresh",
    tag = "Jobs",
    request_body(content = Option<Simulation>, example = json!({
        "asOf": "2026-11-23T12:00:00Z", "dryRun": false, "absorb": true, "durationSeconds": 5
    })),
    responses(
        (status = 202, description = "The job", body = GraphJobInfo),
        (status = 200, description = "With `dryRun`: what the switch would do", body = DryRunReport,
            example = json!({
                "asOf": "2026-11-23T12:00:00.000Z", "rowsRead": 0, "rowsRejected": 0,
                "profiles": 5003, "activities": 52387, "activitiesUnmatched": 26,
                "overlayFieldsCleared": 1, "overlayFieldsKept": 4, "activitiesSuperseded": 2,
                "activitiesAttached": 0, "profilesMoved": 0, "profilesVanished": 0, "generation": 8,
                "clears": [{"profileId": "C00001", "field": "City"}]
            })),
        (status = 409, description = "`asOf` is before that of the last real generation",
            body = ErrorBody)
    )
)]
pub(crate) async fn simulate(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let asked = if body::is_sent(request.headers()) {
        let body = body::read_default(&request, payload, &shared).await?;
        body::parse_object(&body)?
    } else {
        Simulation::default()
    };
    let wanted = SimulationRequest {
        as_of: asked.as_of,
        absorb: asked.absorb,
        duration_secs: asked.duration_seconds,
    };
    wanted.check()?;
    if asked.dry_run {
        let found = shared.tenants.dry_run(instance.0, wanted).await?;
        return ok(&DryRunReport {
            report: found.report,
            clears: found.clears,
        });
    }
    let by = caller.actor(&request);
    let job = shared.tenants.simulate(instance.0, wanted, by).await?;
    json(StatusCode::ACCEPTED, &GraphJobInfo::new(job, true))
}
