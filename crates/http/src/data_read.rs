//! `GET …/data/{relativePath}`: entities by key and collections. Owns our own query options and
//! the headers; what a query selects is the crate `query`'s part.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LOCATION, ETAG};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use sanntid_query::{
    Answer, Context, DataPath, Limits, Moment, ReadOptions, embedded_pairs, parse_path, read,
};
use sanntid_types::{Error, ErrorCode};

use crate::caller::Caller;
use crate::export::Download;
use crate::query::{Query, shown};
use crate::reply::{Reply, json_text, ok};
use crate::request::{DataCall, Instance, has_version};
use crate::server::Shared;
use crate::write::{entity_url, set};
use crate::{metadata, unserved};

/// Read an entity or a collection.
///
/// `relativePath` is `Customer`, `Customer('id')`, `UnifiedActivity`, `UnifiedActivity('id')`, or
/// `$metadata`; it may be percent-encoded as a whole, query included. Values are the source's with the live
/// real-time changes over them. The system options also work without `$`.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/data/{relativePath}",
    operation_id = "get_entities_with_odata_path",
    tag = "Data",
    params(
        ("$select" = Option<String>, Query, description = "Fields, separated by commas", example = "CustomerId,City"),
        ("$filter" = Option<String>, Query, description = "A condition", example = "CustomerId eq 'c1'"),
        ("$orderby" = Option<String>, Query, description = "Fields, each with `asc` or `desc`", example = "City desc"),
        ("$top" = Option<u32>, Query, description = "How many rows; a page has at most 1000, by default 100", example = 100),
        ("$skip" = Option<u32>, Query, description = "Rows to leave out"),
        ("$skiptoken" = Option<String>, Query, description = "From `@odata.nextLink`"),
        ("$count" = Option<bool>, Query, description = "With `@odata.count`"),
        ("$expand" = Option<String>, Query, description = "Of customers: `UnifiedActivity` and tables with a `CustomerId`, at most 100 rows of each, newest activities first; `…@odata.nextLink` leads to the rest", example = "UnifiedActivity"),
        ("view" = Option<String>, Query, description = "`source`: the source of truth alone", example = "source"),
        ("explain" = Option<bool>, Query, description = "Each overridden field says where it came from"),
        ("forceSearch" = Option<bool>, Query, description = "Accepted as published; means nothing here"),
        ("If-None-Match" = Option<String>, Header, description = "Answer 304 where this is still the profile's ETag"),
    ),
    responses(
        (status = 200, description = "A collection, or one entity with its `ETag`", example = json!({
            "@odata.context": "http://localhost:8080/api/instances/5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001/data/$metadata#Customer",
            "value": [{"CustomerId": "c1", "City": "Bergen"}]
        })),
        (status = 304, description = "Unchanged")
    )
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    let data = DataCall::of(&request, &shared, instance)?;
    if metadata::is_asked(&data.tail) {
        return metadata::answer(&shared, &data, query).await;
    }
    answer(&shared, &data, query).await
}

/// Reads and answers.
pub(crate) async fn answer(shared: &Shared, data: &DataCall<'_>, mut query: Query) -> Reply {
    unserved::check_data_path(&data.tail)?;
    let (path, embedded) = parse_path(&data.tail)?;
    query.extend(
        embedded
            .map(|text| embedded_pairs(&text))
            .unwrap_or_default(),
    );
    if query.flag("proxy")? == Some(true) {
        query.flag("forceSearch")?;
        // What an export does not do must not pass for done: no filter, no paging.
        query.finish()?;
        return download(shared, data, &path).await;
    }
    let options = own_options(&mut query)?;
    let pairs = query.rest();
    // The ETag is that of the profile's own content: what else an answer holds can change under it.
    let varies = options.explain || pairs.iter().any(|(name, _)| is_expand(name));
    let reading = shared.tenants.read(data.instance).await?;
    let base_url = format!("{}/data", data.base);
    let work = {
        let path = path.clone();
        move || {
            let context = Context {
                base_url: &base_url,
            };
            let moment = Moment::of(&reading);
            read(
                &moment,
                &context,
                &path,
                &pairs,
                &options,
                &Limits::default(),
            )
        }
    };
    // One row is read where the request is; what may scan must not hold up the other requests.
    let answer = if path.key().is_some() {
        work()?
    } else {
        scan(shared, work).await?
    };
    respond(data, &path, answer, varies)
}

/// Names the files that hold the whole entity.
async fn download(shared: &Shared, data: &DataCall<'_>, path: &DataPath) -> Reply {
    if path.key().is_some() {
        let text = "proxy=true gives whole entities, and the path names one row";
        return Err(Error::new(ErrorCode::InvalidArgument, text)
            .with_target("proxy")
            .into());
    }
    let reading = shared.tenants.read(data.instance).await?;
    ok(&Download::of(&data.base, &reading.tenant, path.entity())?)
}

fn is_expand(name: &str) -> bool {
    let bare = name.strip_prefix('$').unwrap_or(name);
    bare.eq_ignore_ascii_case("expand")
}

fn own_options(query: &mut Query) -> Result<ReadOptions, Error> {
    query.flag("forceSearch")?;
    let source_only = match query.option("view")?.as_deref() {
        None | Some("merged") => false,
        Some("source") => true,
        Some(other) => {
            let text = format!("view is source or merged, not {}", shown(other));
            return Err(Error::new(ErrorCode::InvalidArgument, text).with_target("view"));
        }
    };
    Ok(ReadOptions {
        source_only,
        explain: query.flag("explain")?.unwrap_or(false),
    })
}

fn respond(data: &DataCall<'_>, path: &DataPath, answer: Answer, varies: bool) -> Reply {
    let (json, etag, id) = match answer {
        Answer::Collection { json } => return Ok(json_text(StatusCode::OK, json)),
        Answer::Entity { json, etag, id } => (json, etag, id),
    };
    let has_it = |etag: &String| !varies && has_version(data.headers, etag);
    let mut response = if etag.as_ref().is_some_and(has_it) {
        HttpResponse::NotModified().finish()
    } else {
        json_text(StatusCode::OK, json)
    };
    if let Some(etag) = &etag {
        set(&mut response, ETAG, etag);
    }
    if let Some(id) = id
        && path.key() != Some(id.as_str())
    {
        let moved = entity_url(&data.base, "Customer", id.as_str());
        set(&mut response, CONTENT_LOCATION, &moved);
    }
    Ok(response)
}

/// Does work that may read many rows, off the threads that serve requests.
pub(crate) async fn scan<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let place = shared.scan()?;
    let held = move || {
        let _place = place;
        work()
    };
    let broken = |_| Error::new(ErrorCode::Internal, "reading was broken off");
    web::block(held).await.map_err(broken)?
}
