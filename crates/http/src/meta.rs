//! What stands outside the API: health, metrics, the OpenAPI document and its page.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_ENCODING, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use sanntid_engine::Readiness;
use sanntid_types::{Error, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::openapi;
use crate::reply::{Reply, ok};
use crate::request;
use crate::server::Shared;

/// The service's state.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Tell whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "get_health",
    tag = "Service",
    responses((status = 200, description = "It does", body = Health))
)]
pub(crate) async fn health() -> Reply {
    ok(&Health { status: "ok" })
}

/// Tell whether writes can succeed at present.
///
/// Else 503, with the reason in `message`.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "Service",
    responses((status = 200, description = "They can", body = Health))
)]
pub(crate) async fn readiness(shared: Data<Shared>) -> Reply {
    match shared.tenants.readiness() {
        Readiness::Ready => ok(&Health { status: "ready" }),
        Readiness::NotReady(reason) => {
            let text = format!("not ready: {reason}");
            Err(Error::new(ErrorCode::TenantUnavailable, text).into())
        }
    }
}

/// Give the metrics, as Prometheus text.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "Service",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(shared: Data<Shared>, _caller: Caller) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body((shared.metrics)())
}

/// Give this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "Service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(crate) async fn document() -> HttpResponse {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| openapi::document().to_json().unwrap_or_default());
    HttpResponse::Ok()
        .content_type("application/json")
        .body(TEXT.as_str())
}

/// Show this document as a page.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "get_docs",
    tag = "Service",
    responses((status = 308, description = "The page is at `/docs/`"))
)]
pub(crate) async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// Gives one file of the page.
pub(crate) async fn docs_file(request: HttpRequest) -> Reply {
    static PAGE: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> =
        LazyLock::new(|| Arc::new(utoipa_swagger_ui::Config::from("/openapi.json")));
    let name = request::segment(&request, "file")?;
    let file = utoipa_swagger_ui::serve(&name, Arc::clone(&PAGE))
        .ok()
        .flatten();
    let file = file.ok_or_else(|| Error::new(ErrorCode::RouteNotFound, "there is no such file"))?;
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(response
        .content_type(file.content_type)
        .body(file.bytes.into_owned()))
}
