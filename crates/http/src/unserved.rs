//! Published operations that are answered 501, each with its reason.
//! Owns the list; `routes` registers it behind everything that is served.

use actix_web::http::Method;
use actix_web::{HttpRequest, web};
use sanntid_types::{Error, ErrorCode};

use crate::caller::Caller;
use crate::reply::Reply;
use crate::request;

/// An operation that exists in the published API and not here.
pub(crate) struct Unserved {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    reason: Reason,
}

#[derive(Clone, Copy)]
enum Reason {
    /// The business of the batch pipeline that delivers snapshots.
    Pipeline,
    NotYet,
}

impl Unserved {
    pub(crate) fn route(&self) -> actix_web::Route {
        let (reason, path) = (self.reason, self.path);
        let answer = move |request: HttpRequest, _caller: Caller| async move {
            refuse(&request, path, reason)
        };
        web::method(self.method.clone()).to(answer)
    }
}

fn refuse(request: &HttpRequest, path: &str, reason: Reason) -> Reply {
    if request.match_info().get("instanceId").is_some() {
        request::instance(request)?;
    }
    if request.match_info().get("workflowName").is_some() {
        request::check_workflow(request)?;
    }
    let operation = format!("{} {path}", request.method());
    let text = match reason {
        Reason::Pipeline => format!(
            "{operation} is not served: it belongs to the batch pipeline that delivers snapshots"
        ),
        Reason::NotYet => format!("{operation} is not served yet"),
    };
    Err(Error::new(ErrorCode::NotServed, text)
        .with_target(operation)
        .into())
}

/// Refuses what OData has under `/data/` and this service has not yet.
pub(crate) fn check_data_path(tail: &str) -> Result<(), Error> {
    let last = tail.rsplit('/').next().unwrap_or(tail);
    let name = last.split_once('?').map_or(last, |(name, _)| name);
    match name {
        "$batch" | "$bulk" | "$metadata" => {
            let text = format!("{name} is served at its own address alone, and not within a batch");
            Err(Error::new(ErrorCode::NotServed, text).with_target(name))
        }
        _ => Ok(()),
    }
}

/// Every such operation. Where the same path is served for another method, `routes` joins them.
pub(crate) fn all() -> Vec<Unserved> {
    let tables = [
        (Reason::Pipeline, PIPELINE.as_slice()),
        (Reason::NotYet, NOT_YET.as_slice()),
    ];
    let listed = |(reason, operations): (Reason, &'static [(Method, &'static str)])| {
        operations.iter().map(move |(method, path)| Unserved {
            method: method.clone(),
            path,
            reason,
        })
    };
    tables.into_iter().flat_map(listed).collect()
}

static PIPELINE: [(Method, &str); 18] = [
    (
        Method::GET,
        "/instances/{instanceId}/dataprofile/{qualifiedEntityName}",
    ),
    (
        Method::GET,
        "/instances/{instanceId}/dataprofile/{qualifiedEntityName}/{attributeName}",
    ),
    (Method::GET, "/instances/{instanceId}/hierarchies"),
    (Method::POST, "/instances/{instanceId}/hierarchies"),
    (
        Method::DELETE,
        "/instances/{instanceId}/hierarchies/{hierarchyId}",
    ),
    (
        Method::GET,
        "/instances/{instanceId}/hierarchies/{hierarchyId}",
    ),
    (
        Method::PATCH,
        "/instances/{instanceId}/hierarchies/{hierarchyId}",
    ),
    (Method::POST, "/instances/{instanceId}/manage/measures"),
    (
        Method::DELETE,
        "/instances/{instanceId}/manage/measures/{measureName}",
    ),
    (
        Method::PUT,
        "/instances/{instanceId}/manage/measures/{measureName}",
    ),
    (Method::POST, "/instances/{instanceId}/manage/relationships"),
    (
        Method::DELETE,
        "/instances/{instanceId}/manage/relationships/{relationshipName}",
    ),
    (
        Method::PUT,
        "/instances/{instanceId}/manage/relationships/{relationshipName}",
    ),
    (Method::POST, "/instances/{instanceId}/manage/segments"),
    (
        Method::DELETE,
        "/instances/{instanceId}/manage/segments/{segmentName}",
    ),
    (
        Method::PUT,
        "/instances/{instanceId}/manage/segments/{segmentName}",
    ),
    (
        Method::PUT,
        "/instances/{instanceId}/manage/segments/{segmentName}/activate",
    ),
    (
        Method::PUT,
        "/instances/{instanceId}/manage/segments/{segmentName}/deactivate",
    ),
];

static NOT_YET: [(Method, &str); 6] = [
    (Method::GET, "/instances/{instanceId}/manage/search"),
    (Method::PUT, "/instances/{instanceId}/manage/search"),
    (Method::GET, "/instances/{instanceId}/usage"),
    (Method::GET, "/instances/{instanceId}/rejections"),
    (Method::GET, "/instances/{instanceId}/feed"),
    (Method::GET, "/instances/{instanceId}/webhooks"),
];
