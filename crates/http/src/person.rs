//! What a person may ask of whoever keeps data about them: all of it as one document, and that what
//! callers wrote be erased. Owns the streaming; the crate `query` makes the document.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CONTENT_LOCATION;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use sanntid_engine::{CallError, Erased, Reading, TenantState};
use sanntid_query::{Moment, PersonDocument};
use sanntid_types::{Error, ErrorCode, Instant, JobId, ProfileId};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::card::{customer_url, no_profile, profile_id};
use crate::error::ErrorBody;
use crate::query::Query;
use crate::reply::{Reply, ok};
use crate::request::{Instance, instance_url};
use crate::server::Shared;
use crate::write::set;

/// How many of an instance's jobs are asked for rows that they rejected; no more are kept.
const JOBS_MAX: usize = 10_000;
/// How many rejected rows of one job are asked for; no more are kept.
const REJECTIONS_MAX: usize = 100_000;
/// How long tables that were replaced can be read; they are reclaimed after an hour.
const REPLACED_KEPT: Duration = Duration::from_secs(50 * 60);

/// What was erased: what had not ended, also where nothing showed it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasedResponse {
    #[schema(value_type = String, example = "c1")]
    profile_id: ProfileId,
    /// Fields with updates, counted under each id that the profile had.
    #[schema(example = 2)]
    overlay_fields: u64,
    /// Activities that came by calls.
    #[schema(example = 3)]
    activities: u64,
    /// Rows of this profile that jobs had rejected.
    #[schema(example = 1)]
    rejections: u64,
}

impl From<Erased> for ErasedResponse {
    fn from(erased: Erased) -> Self {
        Self {
            profile_id: erased.profile,
            overlay_fields: erased.overlay_fields,
            activities: erased.activities,
            rejections: erased.rejections,
        }
    }
}

/// Erase what callers wrote about a customer.
///
/// All updates and activities that came by calls and were accepted before, under this id, its former
/// ids and its keys, whether they show or not, and rows of it that jobs had rejected. No read shows
/// them from the answer on, and no refresh brings them back; ids of erased activities are free. What
/// the source brought stays: it is erased there. Also for a profile that a refresh no longer brings;
/// 404 where nothing is kept of it, as after a first erasure.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/customers/{profileId}/realtime",
    operation_id = "erase_a_customer",
    tag = "Customers",
    responses(
        (status = 200, description = "It is erased, durably", body = ErasedResponse),
        (status = 404, description = "Nothing is kept of this id", body = ErrorBody)
    )
)]
pub(crate) async fn erase(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let asked = profile_id(&request)?;
    let by = caller.actor(&request);
    let erased = shared.tenants.erase(instance.0, asked.clone(), by).await?;
    let id = erased.profile.clone();
    let mut response = ok(&ErasedResponse::from(erased))?;
    if id != asked {
        let base = instance_url(&request, &shared, instance.0);
        let moved = format!("{}/realtime", customer_url(&base, &id));
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

/// Export all that is kept of a customer.
///
/// The source's row and keys, rows of other entities, every update and activity with where it came
/// from and what became of it, also those that no other read shows, and rows that jobs had rejected.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/customers/{profileId}/data",
    operation_id = "export_a_customer",
    tag = "Customers",
    responses(
        (status = 200, description = "One document, streamed", example = json!({
            "profileId": "c1", "formerIds": ["c0"], "exportedAt": "2026-11-23T12:00:00.000Z",
            "generation": 7, "asOf": "2026-11-23T02:00:00.000Z",
            "source": {"CustomerId": "c1", "City": "Oslo"},
            "keyRing": [{"dataSourceName": "Ecommerce", "entityName": "Contacts", "keys": ["CNTID_1"]}],
            "overlay": [{"profileId": "c1", "name": "City", "value": "Bergen", "state": "shown",
                "acceptedAt": "2026-11-23T12:00:00.000Z", "validUntil": "2026-11-23T16:00:00.000Z",
                "position": 41, "caller": "crm"}],
            "tables": [{"name": "LifetimeValue", "rows": []}],
            "activities": [], "rejections": []
        })),
        (status = 404, description = "Nothing is kept of this id", body = ErrorBody)
    )
)]
pub(crate) async fn export(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let asked = profile_id(&request)?;
    let place = shared.export()?;
    let reading = shared.tenants.read(instance.0).await?;
    let begun = PersonDocument::begin(&Moment::of(&reading), &asked)?;
    let document = begun.ok_or_else(|| no_profile(&asked))?;
    let moved = document.profile() != &asked;
    let moved = moved.then(|| {
        let base = instance_url(&request, &shared, instance.0);
        format!("{}/data", customer_url(&base, document.profile()))
    });
    let export = Export {
        document,
        began: reading.now,
        tenant: Arc::clone(&reading.tenant),
        first: Some(reading),
        jobs: None,
        _place: place,
    };
    let pieces = stream::try_unfold(Some(export), move |export| {
        let shared = shared.clone();
        async move {
            let Some(export) = export else {
                return Ok(None);
            };
            // An answer that has begun can only be cut off: what is cut off is no whole document.
            let piece = export.next(&shared, instance).await;
            piece
                .inspect_err(|error| tracing::warn!(%error, "an export was cut off"))
                .map(Some)
        }
    });
    let mut response = HttpResponse::Ok()
        .content_type("application/json")
        .streaming(pieces);
    if let Some(moved) = moved {
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

/// A document while it is streamed.
struct Export {
    document: PersonDocument,
    /// The instance when the export began.
    tenant: Arc<TenantState>,
    began: Instant,
    /// What the first piece is read from.
    first: Option<Reading>,
    /// Those whose rejected rows are still to be looked at; `None` before that.
    jobs: Option<VecDeque<JobId>>,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next bytes, and what is left behind them.
    async fn next(
        mut self,
        shared: &Shared,
        instance: Instance,
    ) -> Result<(Bytes, Option<Self>), Error> {
        loop {
            let mut out = String::new();
            let has_more = if self.jobs.is_none() {
                self = self.piece(shared, instance, &mut out).await?;
                true
            } else {
                self.rejections(shared, instance, &mut out).await?
            };
            if !has_more {
                return Ok((out.into(), None));
            }
            if !out.is_empty() {
                return Ok((out.into(), Some(self)));
            }
        }
    }

    /// Writes what the instance's tables and real-time data hold, one moment for each piece.
    async fn piece(
        mut self,
        shared: &Shared,
        instance: Instance,
        out: &mut String,
    ) -> Result<Self, Error> {
        let reading = match self.first.take() {
            Some(reading) => reading,
            None => answer(shared.tenants.read(instance.0).await)?,
        };
        self.check_kept(&reading)?;
        let work = move || {
            let moment = Moment {
                tenant: &self.tenant,
                view: &*reading.view,
                now: reading.now,
            };
            let mut text = String::new();
            let has_more = self.document.piece(&moment, &mut text)?;
            Ok::<_, Error>((self, text, has_more))
        };
        let done = web::block(work).await.map_err(|_| broken_off())?;
        let (mut export, text, has_more) = done?;
        out.push_str(&text);
        if !has_more {
            let jobs = answer(shared.tenants.jobs(instance.0, JOBS_MAX).await)?;
            export.jobs = Some(jobs.into_iter().map(|job| job.id).collect());
        }
        Ok(export)
    }

    /// Writes rows that one job rejected, or the end.
    async fn rejections(
        &mut self,
        shared: &Shared,
        instance: Instance,
        out: &mut String,
    ) -> Result<bool, Error> {
        let Some(job) = self.jobs.as_mut().and_then(VecDeque::pop_front) else {
            self.document.push_end(out);
            return Ok(false);
        };
        let rows = shared
            .tenants
            .job_rejections(instance.0, job, REJECTIONS_MAX);
        let rows = match answer(rows.await) {
            // It is so old that it was removed meanwhile.
            Err(error) if error.code == ErrorCode::JobNotFound => Vec::new(),
            rows => rows?,
        };
        for row in &rows {
            let json = serde_json::to_string(row).map_err(|_| broken_off())?;
            self.document.push_rejection(row, &json, out);
        }
        Ok(true)
    }

    /// Refuses to go on where tables may be gone, which would look like the end of them.
    fn check_kept(&self, reading: &Reading) -> Result<(), Error> {
        let now = &reading.tenant;
        let is_kept = now.generation == self.tenant.generation
            || reading.now <= self.began.plus(REPLACED_KEPT);
        if now.incarnation == self.tenant.incarnation && is_kept {
            return Ok(());
        }
        let text = "the generation was replaced too long ago, or the instance was reset";
        Err(Error::new(ErrorCode::Interrupted, text))
    }
}

fn answer<T>(answer: Result<T, CallError>) -> Result<T, Error> {
    answer.map_err(|error| match error {
        CallError::Refused(error) => error,
        CallError::Unknown => broken_off(),
    })
}

fn broken_off() -> Error {
    Error::new(ErrorCode::Internal, "the export was broken off")
}
