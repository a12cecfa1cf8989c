//! Real-time writes: `PATCH …/data/Customer(…)` and `POST …/data/{entity}`.
//! Owns which address takes which verb; what a document means is the instance's part.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LOCATION, HeaderName, HeaderValue, LOCATION};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sanntid_engine::{
    AppendAnswer, AppendCall, OnUnknownCustomer, PatchCall, document_text, parse_valid_until,
};
use sanntid_query::{DataPath, activity_json, embedded_pairs, parse_path};
use sanntid_types::{ActivityState, CallerName, Error, ErrorCode, Instant};

use crate::body::{self, Limit};
use crate::caller::Caller;
use crate::error::Failure;
use crate::limits;
use crate::query::{Query, shown};
use crate::reply::{Reply, json_text, no_content};
use crate::request::{self, DataCall, Instance};
use crate::server::Shared;
use crate::unserved;

/// What stays as it is in the key of a link.
const KEY_CHARACTERS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What an address under `/data/` takes.
const TAKES_READS: &str = "GET";
const TAKES_PATCHES: &str = "GET, PATCH";
const TAKES_ACTIVITIES: &str = "GET, POST";

/// Update a profile.
///
/// Changes some fields of one profile until `validUntil` (by default 4 hours from now, at most 30
/// days). The body names the fields with their new values; `null` means "no value". The published
/// client's form, a JSON string that holds the document, is taken too. Only `Customer` can be
/// updated, by `Customer('id')` or `Customer/id`; every other address answers 405.
#[utoipa::path(
    patch,
    path = "/instances/{instanceId}/data/{relativePath}",
    operation_id = "update_an_entity",
    tag = "Real-time",
    params(
        ("relativePath" = String, Path, description = "`Customer('id')` or `Customer/id`", example = "Customer('c1')"),
        ("validUntil" = Option<String>, Query, description = "RFC 3339; until when the change holds", example = "2026-11-23T16:00:00Z"),
        ("caller" = Option<String>, Query, description = "Names the writer, at most 256 characters", example = "crm"),
        ("If-Match" = Option<String>, Header, description = "Change it only where this is still the profile's ETag; else 412"),
    ),
    request_body(content = Object, example = json!({"City": "Bergen", "Income": 52000.5})),
    responses((status = 204, description = "Stored durably; every read shows it. `Content-Location` names the profile where the id was moved."))
)]
pub(crate) async fn update(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    let data = DataCall::of(&request, &shared, instance)?;
    let call = patch_call(&data, query)?;
    let body = body::read_default(&request, payload, &shared).await?;
    patch(&shared, &data, PatchCall { body, ..call }).await
}

/// Reads what a PATCH asks for besides its body.
pub(crate) fn patch_call(data: &DataCall<'_>, mut query: Query) -> Result<PatchCall, Failure> {
    let path = target(&data.tail, &mut query)?;
    if !path.is_customer() {
        return Err(not_allowed(TAKES_ACTIVITIES));
    }
    let Some(profile) = path.profile_id()? else {
        return Err(not_allowed(TAKES_READS));
    };
    let call = PatchCall {
        profile,
        valid_until: valid_until(&mut query)?,
        caller: caller_name(&mut query)?,
        if_match: request::header(data.headers, "if-match")?,
        body: Bytes::new(),
    };
    query.finish()?;
    Ok(call)
}

/// Changes a profile and answers.
pub(crate) async fn patch(shared: &Shared, data: &DataCall<'_>, call: PatchCall) -> Reply {
    limits::check_profile(shared, data.instance, &call.profile)?;
    let asked = call.profile.clone();
    let answer = shared.tenants.patch(data.instance, call).await?;
    let mut response = no_content();
    if answer.profile != asked {
        let moved = entity_url(&data.base, "Customer", answer.profile.as_str());
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

/// Create an activity.
///
/// `relativePath` is `UnifiedActivity` or a configured activity source such as
/// `Ecommerce_OnlinePurchases`. The same activity sent again is answered as the first time, with
/// the header `Sanntid-Replayed: true`; another document under the same id is 409.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/data/{relativePath}",
    operation_id = "create_an_entity",
    tag = "Real-time",
    params(
        ("relativePath" = String, Path, description = "The entity", example = "UnifiedActivity"),
        ("validUntil" = Option<String>, Query, description = "RFC 3339; until when the activity shows (by default 30 days)", example = "2026-12-23T12:00:00Z"),
        ("caller" = Option<String>, Query, description = "Names the writer, at most 256 characters", example = "webshop"),
        ("onUnknownCustomer" = Option<String>, Query, description = "`hold` keeps an activity of a customer who is not known yet (202) instead of refusing it", example = "hold"),
    ),
    request_body(content = Object, example = json!({
        "CustomerId": "c1", "ActivityTime": "2026-11-23T12:00:00Z", "ActivityType": "SalesOrder",
        "Title": "Bought a lamp"
    })),
    responses(
        (status = 201, description = "Stored durably; the timeline shows it", example = json!({
            "location": "http://localhost:8080/api/instances/5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001/data/UnifiedActivity('a1')",
            "statusCode": 201,
            "value": {"ActivityId": "a1", "ActivityType": "SalesOrder", "state": "stored"}
        })),
        (status = 202, description = "Held until its customer is known")
    )
)]
pub(crate) async fn create(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    let data = DataCall::of(&request, &shared, instance)?;
    let call = append_call(&data, query)?;
    let limit = activity_limit(&shared);
    let body = body::read(&request, payload, limit, shared.config.body_stall_timeout).await?;
    append(&shared, &data, AppendCall { body, ..call }).await
}

/// Reads what a POST asks for besides its body.
pub(crate) fn append_call(data: &DataCall<'_>, mut query: Query) -> Result<AppendCall, Failure> {
    let call = AppendCall {
        entity: activity_entity(&data.tail, &mut query)?,
        valid_until: valid_until(&mut query)?,
        caller: caller_name(&mut query)?,
        on_unknown: on_unknown(query.option("onUnknownCustomer")?.as_deref())?,
        body: Bytes::new(),
    };
    query.finish()?;
    Ok(call)
}

/// The largest body of an activity.
pub(crate) fn activity_limit(shared: &Shared) -> Limit {
    let bytes = shared.config.activity_body_bytes_max;
    Limit::new("activity_body_bytes_max", bytes)
}

/// Adds an activity and answers.
pub(crate) async fn append(shared: &Shared, data: &DataCall<'_>, call: AppendCall) -> Reply {
    check_document(&call.body, shared.config.document_bytes_max)?;
    let answer = shared.tenants.append(data.instance, call).await?;
    Ok(created(&data.base, &answer))
}

/// Refuse every other verb on data: only reads, updates of profiles and new activities exist.
pub(crate) async fn refuse(request: HttpRequest, _caller: Caller) -> Reply {
    Err(refusal(&request::data_tail(&request)?))
}

/// Says which verbs the address takes.
pub(crate) fn refusal(tail: &str) -> Failure {
    not_allowed(match parse_path(tail) {
        Ok((path, _)) if path.is_customer() && path.key().is_some() => TAKES_PATCHES,
        Ok((path, _)) if path.is_customer() || path.key().is_some() => TAKES_READS,
        Ok(_) => TAKES_ACTIVITIES,
        Err(_) => TAKES_READS,
    })
}

/// The address that a patch names; a query inside of it joins the request's own.
fn target(tail: &str, query: &mut Query) -> Result<DataPath, Error> {
    unserved::check_data_path(tail)?;
    let (path, embedded) = parse_path(tail)?;
    query.extend(
        embedded
            .map(|text| embedded_pairs(&text))
            .unwrap_or_default(),
    );
    Ok(path)
}

/// The entity that an activity is posted to.
fn activity_entity(tail: &str, query: &mut Query) -> Result<String, Failure> {
    match target(tail, query) {
        Ok(path) if path.key().is_some() && path.is_customer() => Err(not_allowed(TAKES_PATCHES)),
        Ok(path) if path.key().is_some() || path.is_customer() => Err(not_allowed(TAKES_READS)),
        Ok(path) => Ok(path.entity().to_owned()),
        // Not even a name: the instance says which ones it takes (rules 4.1: 400, not 404).
        Err(error) if error.code == ErrorCode::EntityNotFound => Ok(tail.to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn not_allowed(allow: &'static str) -> Failure {
    Failure::MethodNotAllowed {
        allow: allow.into(),
    }
}

fn valid_until(query: &mut Query) -> Result<Option<Instant>, Error> {
    let text = query.option("validUntil")?;
    text.map(|text| parse_valid_until(&text)).transpose()
}

fn caller_name(query: &mut Query) -> Result<Option<CallerName>, Error> {
    let name = query.option("caller")?;
    name.map(|name| CallerName::parse(&name).map_err(|error| error.with_target("caller")))
        .transpose()
}

/// Reads what is to become of an activity whose customer nobody knows.
pub(crate) fn on_unknown(text: Option<&str>) -> Result<OnUnknownCustomer, Error> {
    match text {
        None | Some("reject") => Ok(OnUnknownCustomer::Reject),
        Some("hold") => Ok(OnUnknownCustomer::Hold),
        Some(other) => {
            let text = format!("onUnknownCustomer is hold or reject, not {}", shown(other));
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("onUnknownCustomer"))
        }
    }
}

/// Refuses a document that is too large once decoded. Decoding never makes it larger, so that
/// almost no body is decoded here.
pub(crate) fn check_document(body: &[u8], bytes_max: usize) -> Result<(), Error> {
    if body.len() <= bytes_max {
        return Ok(());
    }
    let document = document_text(body)?;
    let length = u64::try_from(document.len()).unwrap_or(u64::MAX);
    Limit::new("document_bytes_max", bytes_max).check(length)
}

fn created(base: &str, answer: &AppendAnswer) -> HttpResponse {
    let (status, state) = match answer.state {
        ActivityState::Stored => (StatusCode::CREATED, "stored"),
        ActivityState::Held => (StatusCode::ACCEPTED, "held"),
    };
    let location = entity_url(base, "UnifiedActivity", answer.activity.id.as_str());
    let activity = activity_json(&answer.activity, answer.customer.as_ref());
    let value = with_state(&activity, state);
    let code = status.as_u16();
    let link = serde_json::Value::from(location.as_str());
    let text = format!(r#"{{"location":{link},"statusCode":{code},"value":{value}}}"#);
    let mut response = json_text(status, text);
    set(&mut response, LOCATION, &location);
    if answer.replayed {
        set(
            &mut response,
            HeaderName::from_static("sanntid-replayed"),
            "true",
        );
    }
    response
}

/// Adds the state as the last member of an activity's JSON object.
fn with_state(activity: &str, state: &str) -> String {
    let members = activity.strip_suffix('}').unwrap_or(activity);
    format!(r#"{members},"state":"{state}"}}"#)
}

/// The absolute URL of one row.
pub(crate) fn entity_url(base: &str, entity: &str, key: &str) -> String {
    let key = key.replace('\'', "''");
    let key = utf8_percent_encode(&key, KEY_CHARACTERS);
    format!("{base}/data/{entity}('{key}')")
}

/// Sets a header to a text; one that a header can't hold is left out.
pub(crate) fn set(response: &mut HttpResponse, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_any_key_apart_from_the_url() {
        for (key, link) in [
            ("a1", "x/data/E('a1')"),
            ("O'Hara", "x/data/E('O%27%27Hara')"),
            ("a/b?c#å\"", "x/data/E('a%2Fb%3Fc%23%C3%A5%22')"),
        ] {
            assert_eq!(entity_url("x", "E", key), link);
        }
    }

    #[test]
    fn the_state_comes_last_whatever_an_activity_ends_with() {
        assert_eq!(
            with_state(r#"{"A":1}"#, "held"),
            r#"{"A":1,"state":"held"}"#
        );
        let nested = r#"{"A":"x}"}"#;
        let text = with_state(nested, "stored");
        assert_eq!(text, r#"{"A":"x}","state":"stored"}"#);
    }

    #[test]
    fn only_the_decoded_document_counts() {
        let document = format!("{{\"A\":\"{}\"}}", "x".repeat(20));
        let sent = serde_json::to_string(&document).expect("text");
        assert!(sent.len() > document.len());
        assert!(check_document(sent.as_bytes(), document.len()).is_ok());
        let over = check_document(sent.as_bytes(), document.len() - 1).expect_err("too large");
        assert_eq!(over.code, ErrorCode::BodyTooLarge);
    }
}
