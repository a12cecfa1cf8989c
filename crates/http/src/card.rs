//! The customer card and the timeline. Owns their headers; the crate `query` makes their JSON.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LOCATION, ETAG};
use actix_web::web::Data;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sanntid_query::{Context, Limits, Moment, TimelineParams, card, timeline_page};
use sanntid_types::{Error, ErrorCode, ProfileId};

use crate::caller::Caller;
use crate::data_read::scan;
use crate::query::{Query, shown};
use crate::reply::{Reply, json_text};
use crate::request::{self, Instance, instance_url};
use crate::server::Shared;
use crate::write::set;

/// Show a customer's card.
///
/// Fields with where they came from, measures, segments and the newest part of the timeline, all
/// of one moment.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/customers/{profileId}/card",
    operation_id = "get_card",
    tag = "Customers",
    responses((status = 200, description = "The card; `ETag` is that of the profile's content", example = json!({
        "profileId": "c1", "etag": "\"3f2a\"", "fields": [
            {"name": "City", "value": "Bergen", "origin": "realtime", "sourceValue": "Oslo",
             "acceptedAt": "2026-11-23T12:00:00.000Z", "validUntil": "2026-11-23T16:00:00.000Z", "caller": "crm"},
            {"name": "FullName", "value": "Kari Nordmann", "origin": "source"}
        ],
        "measures": {"LifetimeValue": 1234.5}, "segments": ["High value"],
        "timeline": {"value": [], "nextLink": null}, "generation": 7, "asOf": "2026-11-23T02:00:00.000Z"
    })))
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let asked = profile_id(&request)?;
    let base = instance_url(&request, &shared, instance.0);
    let reading = shared.tenants.read(instance.0).await?;
    let base_url = format!("{base}/data");
    let context = Context {
        base_url: &base_url,
    };
    let made = card(&Moment::of(&reading), &context, &asked, &Limits::default())?;
    let found = made.ok_or_else(|| no_profile(&asked))?;
    let mut response = json_text(StatusCode::OK, found.json);
    set(&mut response, ETAG, &found.etag);
    if found.id != asked {
        let moved = format!("{}/card", customer_url(&base, &found.id));
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

/// Show a customer's timeline.
///
/// Newest first, then by id. Each entry says where it came from.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/customers/{profileId}/timeline",
    operation_id = "get_timeline",
    tag = "Customers",
    params(
        ("type" = Option<String>, Query, description = "Exactly this type, in any case", example = "SalesOrder"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("to" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("top" = Option<u32>, Query, description = "Entries of one page, 1 to 1000; by default 50", example = 50),
        ("skipToken" = Option<String>, Query, description = "From `nextLink`"),
    ),
    responses((status = 200, description = "A page", example = json!({"value": [], "nextLink": null})))
)]
pub(crate) async fn timeline(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    let params = TimelineParams::parse(&query.rest())?;
    let asked = profile_id(&request)?;
    let base = instance_url(&request, &shared, instance.0);
    let url = format!("{}/timeline", customer_url(&base, &asked));
    let reading = shared.tenants.read(instance.0).await?;
    let id = asked.clone();
    let work = move || {
        let moment = Moment::of(&reading);
        timeline_page(&moment, &url, &id, &params, &Limits::default())
    };
    let page = scan(&shared, work)
        .await?
        .ok_or_else(|| no_profile(&asked))?;
    let mut response = json_text(StatusCode::OK, page.json);
    if page.id != asked {
        let moved = format!("{}/timeline", customer_url(&base, &page.id));
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

pub(crate) fn customer_url(base: &str, id: &ProfileId) -> String {
    let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
    format!("{base}/customers/{id}")
}

pub(crate) fn profile_id(request: &HttpRequest) -> Result<ProfileId, Error> {
    let text = request::segment(request, "profileId")?;
    ProfileId::parse(&text).map_err(|error| error.with_target("profileId"))
}

pub(crate) fn no_profile(id: &ProfileId) -> Error {
    let text = format!("there is no profile {}", shown(id.as_str()));
    Error::new(ErrorCode::ProfileNotFound, text)
}
