//! Owns the bare server: the least that an actix-web handler does for the same requests. What a
//! durable, isolated, merged answer costs is told by the ratio to it.

use std::borrow::Cow;
use std::net::{SocketAddr, TcpListener};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;

use crate::error::{Doing, Error};

/// What a bare server is told.
#[derive(Clone, Copy, Debug)]
pub struct BareOptions {
    /// Threads that serve, as many as the other server's.
    pub workers: usize,
    /// Bytes that a read and an activity are answered with.
    pub read_bytes: usize,
    pub activity_bytes: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Patch<'a> {
    #[serde(borrow)]
    city: Cow<'a, str>,
    #[serde(borrow)]
    loyalty_tier: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Activity<'a> {
    #[serde(borrow)]
    activity_id: Cow<'a, str>,
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
    #[serde(borrow)]
    activity_time: Cow<'a, str>,
    #[serde(borrow)]
    activity_type: Cow<'a, str>,
    #[serde(borrow)]
    title: Cow<'a, str>,
}

/// Serves until the process is ended; `ready` hears the address.
///
/// # Errors
/// There is no port, or the server ends.
pub fn bare_server(options: &BareOptions, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let doing = || "the bare server".to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).doing(doing)?;
    let address = listener.local_addr().doing(doing)?;
    let read = web::Bytes::from("x".repeat(options.read_bytes));
    let activity = web::Bytes::from("x".repeat(options.activity_bytes));
    let app = move || {
        let (read, activity) = (read.clone(), activity.clone());
        App::new()
            .route(
                "/api/instances/{instance}/data/Customer/{id}",
                web::patch().to(patch),
            )
            .route(
                "/api/instances/{instance}/data/Customer/{id}",
                web::get().to(move || answer(HttpResponse::Ok(), read.clone())),
            )
            .route(
                "/api/instances/{instance}/data/{entity}",
                web::post().to(move |body: web::Bytes| append(body, activity.clone())),
            )
    };
    let serving = async move {
        let server = HttpServer::new(app)
            .workers(options.workers)
            .listen(listener)?;
        ready(address);
        server.run().await
    };
    actix_web::rt::System::new().block_on(serving).doing(doing)
}

async fn patch(body: web::Bytes) -> HttpResponse {
    match serde_json::from_slice::<Patch<'_>>(&body) {
        Ok(patch) if !patch.city.is_empty() && !patch.loyalty_tier.is_empty() => {
            HttpResponse::NoContent().finish()
        }
        _ => HttpResponse::BadRequest().finish(),
    }
}

async fn append(body: web::Bytes, answer_body: web::Bytes) -> HttpResponse {
    let is_whole = serde_json::from_slice::<Activity<'_>>(&body).is_ok_and(|activity| {
        let Activity {
            activity_id,
            customer_id,
            activity_time,
            activity_type,
            title,
        } = activity;
        let texts = [
            activity_id,
            customer_id,
            activity_time,
            activity_type,
            title,
        ];
        texts.iter().all(|text| !text.is_empty())
    });
    if is_whole {
        answer(HttpResponse::Created(), answer_body).await
    } else {
        HttpResponse::BadRequest().finish()
    }
}

async fn answer(mut builder: actix_web::HttpResponseBuilder, body: web::Bytes) -> HttpResponse {
    builder
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}
