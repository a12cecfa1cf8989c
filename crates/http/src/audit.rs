//! Audit logs: read by administrators and the operator, and told of what was refused.
//! Owns their JSON shape, and which refusals are noted. Must not wait for a note.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sanntid_engine::{AuditLog, AuditPage, AuditPlace, AuditQuery, RefusedAttempt};
use sanntid_types::{
    AuditId, AuditOutcome, AuditRecord as Record, Error, ErrorCode, InstanceId, Instant, Role,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::authorize::Needs;
use crate::caller::{Caller, actor};
use crate::error::Failure;
use crate::observe::Operations;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::routes;
use crate::server::Shared;

const RECORDS_DEFAULT: usize = 100;
const RECORDS_MAX: usize = 1000;

/// Who an attempt is by that has no good credential.
const NOBODY: &str = "nobody";
/// Who an attempt is by that has a key of another instance: which one is not for others to know.
const OTHERS_KEY: &str = "key of another instance";

/// What somebody did, or was refused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditRecord {
    #[schema(value_type = String, format = "uuid")]
    audit_id: AuditId,
    #[schema(value_type = String, format = "date-time")]
    at: Instant,
    /// Such as `administrator`, `key:primary`, `user:…`, `server`, or `nobody`.
    #[schema(example = "administrator")]
    actor: String,
    /// The network address that the request came from; null for what the server did by itself.
    address: Option<String>,
    request_id: Option<String>,
    /// The operation, by its id in this document; of what the server does by itself, a name.
    #[schema(example = "set_realtime_settings")]
    action: String,
    /// What it was done to, within the instance.
    target: Option<String>,
    /// `done` or `refused`.
    #[schema(example = "done")]
    outcome: &'static str,
    /// Why it was refused.
    #[schema(value_type = Option<String>)]
    error_code: Option<ErrorCode>,
    /// What was changed.
    details: BTreeMap<String, String>,
}

/// Some records, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditRecords {
    value: Vec<AuditRecord>,
    /// Leads to older ones; null at the end. A page may have few records, or none, and lead on.
    next_link: Option<String>,
}

impl From<Record> for AuditRecord {
    fn from(record: Record) -> Self {
        let (outcome, error_code) = match record.outcome {
            AuditOutcome::Done => ("done", None),
            AuditOutcome::Refused(code) => ("refused", Some(code)),
        };
        Self {
            audit_id: record.id,
            at: record.at,
            actor: record.by.name,
            address: record.by.address,
            request_id: record.by.request_id,
            action: record.by.operation,
            target: record.note.target,
            outcome,
            error_code,
            details: record.note.details,
        }
    }
}

/// List what was done in an instance, and what was refused.
///
/// Every change of configuration, keys, roles and limits, every refresh, reset and erasure is here,
/// durable with what it changed; refused attempts are, too, as long as they are not too many: the
/// rest is counted by a record `omit_refused_attempts`. While new records come, pages neither repeat
/// nor leave out those that were there.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/audit",
    operation_id = "get_audit",
    tag = "Access",
    params(
        ("from" = Option<String>, Query, description = "None that is older", example = "2026-11-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "None of this instant or later"),
        ("actor" = Option<String>, Query, description = "Only those of this caller", example = "administrator"),
        ("action" = Option<String>, Query, description = "Only those of this operation", example = "set_realtime_settings"),
        ("outcome" = Option<String>, Query, description = "`done` or `refused`", example = "done"),
        ("top" = Option<u32>, Query, description = "How many, 1 to 1000; by default 100", example = 100),
        ("skipToken" = Option<String>, Query, description = "From `nextLink`"),
    ),
    responses((status = 200, description = "Newest first", body = AuditRecords))
)]
pub(crate) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    let (asked, filter) = read(query)?;
    let page = shared.audit.records(AuditLog::Instance(instance), asked);
    let base = request::instance_url(&request, &shared, instance);
    page_of(page.await?, &format!("{base}/manage/audit"), &filter)
}

/// List what was done to the server, and what was refused.
///
/// Instances made and deleted, and the clock confirmed; what is done in an instance is in its own.
#[utoipa::path(
    get,
    path = "/manage/audit",
    operation_id = "get_server_audit",
    tag = "Service",
    params(
        ("from" = Option<String>, Query, description = "None that is older", example = "2026-11-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "None of this instant or later"),
        ("actor" = Option<String>, Query, description = "Only those of this caller", example = "administrator"),
        ("action" = Option<String>, Query, description = "Only those of this operation", example = "delete_an_instance"),
        ("outcome" = Option<String>, Query, description = "`done` or `refused`", example = "done"),
        ("top" = Option<u32>, Query, description = "How many, 1 to 1000; by default 100", example = 100),
        ("skipToken" = Option<String>, Query, description = "From `nextLink`"),
    ),
    responses((status = 200, description = "Newest first", body = AuditRecords))
)]
pub(crate) async fn list_of_server(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    query: Query,
) -> Reply {
    let (asked, filter) = read(query)?;
    let page = shared.audit.records(AuditLog::Server, asked);
    let base = request::api_url(&request, &shared);
    page_of(page.await?, &format!("{base}/manage/audit"), &filter)
}

/// Reads what is asked for; also gives the options that the next page repeats.
fn read(mut query: Query) -> Result<(AuditQuery, String), Error> {
    let mut filter = String::new();
    let mut taken = |query: &mut Query, name: &str| -> Result<Option<String>, Error> {
        let value = query.option(name)?;
        if let Some(value) = &value {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            filter.push_str(&format!("{name}={value}&"));
        }
        Ok(value)
    };
    let from = instant("from", taken(&mut query, "from")?)?;
    let to = instant("to", taken(&mut query, "to")?)?;
    let actor = taken(&mut query, "actor")?;
    let action = taken(&mut query, "action")?;
    let is_done = match taken(&mut query, "outcome")?.as_deref() {
        None => None,
        Some("done") => Some(true),
        Some("refused") => Some(false),
        Some(other) => {
            let text = format!("outcome is done or refused, not {}", shown(other));
            return Err(invalid("outcome", text));
        }
    };
    let top = query.number("top", 1..=RECORDS_MAX)?;
    let after = query.option("skipToken")?;
    query.finish()?;
    let top = top.unwrap_or(RECORDS_DEFAULT);
    filter.push_str(&format!("top={top}&"));
    let after = after.as_deref().map(place).transpose()?;
    let asked = AuditQuery {
        from,
        to,
        actor,
        action,
        is_done,
        after,
        top,
    };
    Ok((asked, filter))
}

fn page_of(page: AuditPage, url: &str, filter: &str) -> Reply {
    let link = |place: AuditPlace| {
        let (at, id) = (place.at.as_millis(), place.id);
        format!("{url}?{filter}skipToken={at}.{id}")
    };
    ok(&AuditRecords {
        value: page.records.into_iter().map(AuditRecord::from).collect(),
        next_link: page.next.map(link),
    })
}

fn instant(name: &str, text: Option<String>) -> Result<Option<Instant>, Error> {
    let read = |text: String| {
        let wrong = || {
            let text = format!(
                "{name} is an instant such as 2026-11-23T12:00:00Z, not {}",
                shown(&text)
            );
            invalid(name, text)
        };
        Instant::parse(&text).ok_or_else(wrong)
    };
    text.map(read).transpose()
}

/// Reads the place where a page has ended.
fn place(text: &str) -> Result<AuditPlace, Error> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some(AuditPlace {
            at: Instant::from_millis(at.parse().ok()?),
            id: AuditId::parse(id)?,
        })
    };
    read().ok_or_else(|| {
        invalid(
            "skipToken",
            "the skipToken is not from a nextLink".to_owned(),
        )
    })
}

fn invalid(target: &str, text: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, text).with_target(target)
}

/// Has a refusal noted, where it is one that a log must have: of somebody who may not do that, or of
/// a change of anything but real-time data.
pub(crate) fn note_refused(request: &HttpRequest, shared: &Shared, failure: &Failure) {
    let Failure::Refused(error) = failure else {
        return;
    };
    let caller = request.extensions().get::<Caller>().cloned();
    let has_no_role = error.code == ErrorCode::InstanceNotFound
        && caller.as_ref().is_some_and(|caller| !caller.is_operator());
    let is_unauthorized = error.code == ErrorCode::Unauthorized;
    let is_noted = is_unauthorized
        || error.code == ErrorCode::Forbidden
        || has_no_role
        || is_administrative(request);
    if !is_noted {
        return;
    }
    let log = match instance_of(request) {
        Some(instance) => AuditLog::Instance(instance),
        None => AuditLog::Server,
    };
    let mut by = match &caller {
        Some(Caller::Key(_)) if has_no_role => actor(OTHERS_KEY.to_owned(), request),
        Some(caller) => caller.actor(request),
        None => actor(NOBODY.to_owned(), request),
    };
    if is_unauthorized {
        // It was refused before its operation was looked for.
        by.operation = routes::name_of(request).to_owned();
    }
    let code = error.code;
    shared.audit.refused(RefusedAttempt { log, by, code });
}

/// Whether a request is to change something that only administrators or the operator may.
fn is_administrative(request: &HttpRequest) -> bool {
    let operations = request.app_data::<Operations>();
    let needs = operations.and_then(|operations| operations.needs(request.method()));
    let is_theirs = match needs {
        Some(Needs::Role(role)) => role == Role::Administrator,
        Some(Needs::Operator) => true,
        Some(Needs::Nothing | Needs::Known) | None => false,
    };
    is_theirs && *request.method() != Method::GET
}

/// The instance that a path names, also where its operation was not looked for.
fn instance_of(request: &HttpRequest) -> Option<InstanceId> {
    let (_, behind) = request.path().split_once("/instances/")?;
    InstanceId::parse(behind.split('/').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let id = "0192f7a0-0000-7000-8000-000000000001";
        let found = place(&format!("1764000000000.{id}")).unwrap();
        assert_eq!(
            (found.at.as_millis(), found.id.to_string().as_str()),
            (1_764_000_000_000, id)
        );
        for bad in ["", ".", "1", "1.x", &format!("x.{id}"), &format!("{id}.1")] {
            assert!(place(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn options_are_checked_and_the_next_page_repeats_them() {
        let read = |text: &str| read(Query::parse(text).unwrap());
        let (asked, filter) = read("actor=user%3Aa%26b&outcome=refused&top=5").unwrap();
        assert_eq!(filter, "actor=user%3Aa%26b&outcome=refused&top=5&");
        assert_eq!(
            (asked.actor.as_deref(), asked.is_done, asked.top),
            (Some("user:a&b"), Some(false), 5)
        );
        for bad in [
            "outcome=Done",
            "from=yesterday",
            "top=0",
            "top=1001",
            "skipToken=a",
            "x=1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
