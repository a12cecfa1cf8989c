//! Published operations that are answered 501, each with its reason.
//! Owns the list; `routes` registers it behind everything that is served.

use actix_web::http::Method;
use actix_web::{HttpRequest, web};
use sanntid_types::{Error, ErrorCode};

use crate::key::Caller;
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
        let reason = self.reason;
        let answer =
            move |request: HttpRequest, _caller: Caller| async move { refuse(&request, reason) };
        web::method(self.method.clone()).to(answer)
    }
}

fn refuse(request: &HttpRequest, reason: Reason) -> Reply {
    if request.match_info().get("instanceId").is_some() {
        request::instance(request)?;
    }
    if request.match_info().get("workflowName").is_some() {
        request::check_workflow(request)?;
    }
    let text = match reason {
        Reason::Pipeline => {
            "this operation is not served: it belongs to the batch pipeline that delivers snapshots"
        }
        Reason::NotYet => "this operation is not served yet",
    };
    Err(Error::new(ErrorCode::NotServed, text).into())
}

/// Refuses what OData has under `/data/` and this service has not yet.
pub(crate) fn check_data_path(tail: &str) -> Result<(), Error> {
    let last = tail.rsplit('/').next().unwrap_or(tail);
    let name = last.split_once('?').map_or(last, |(name, _)| name);
    match name {
        "$metadata" | "$batch" | "$bulk" => {
            let text = format!("{name} is not served yet");
            Err(Error::new(ErrorCode::NotServed, text).with_target(name))
        }
        _ => Ok(()),
    }
}

/// Every such operation. Where the same path is served for another method, `routes` joins them.
pub(crate) fn all() -> Vec<Unserved> {
    let pipeline = |method, path| Unserved {
        method,
        path,
        reason: Reason::Pipeline,
    };
    let later = |method, path| Unserved {
        method,
        path,
        reason: Reason::NotYet,
    };
    let (get, post, put) = (|| Method::GET, || Method::POST, || Method::PUT);
    let (patch, delete) = (|| Method::PATCH, || Method::DELETE);
    vec![
        later(post(), "/instances/copy"),
        pipeline(
            get(),
            "/instances/{instanceId}/dataprofile/{qualifiedEntityName}",
        ),
        pipeline(
            get(),
            "/instances/{instanceId}/dataprofile/{qualifiedEntityName}/{attributeName}",
        ),
        pipeline(get(), "/instances/{instanceId}/hierarchies"),
        pipeline(post(), "/instances/{instanceId}/hierarchies"),
        pipeline(
            delete(),
            "/instances/{instanceId}/hierarchies/{hierarchyId}",
        ),
        pipeline(get(), "/instances/{instanceId}/hierarchies/{hierarchyId}"),
        pipeline(patch(), "/instances/{instanceId}/hierarchies/{hierarchyId}"),
        later(get(), "/instances/{instanceId}/manage/datasources"),
        later(
            delete(),
            "/instances/{instanceId}/manage/datasources/{dataSourceId}",
        ),
        later(
            get(),
            "/instances/{instanceId}/manage/datasources/{dataSourceId}",
        ),
        later(
            put(),
            "/instances/{instanceId}/manage/datasources/{dataSourceId}",
        ),
        later(get(), "/instances/{instanceId}/manage/measures"),
        pipeline(post(), "/instances/{instanceId}/manage/measures"),
        pipeline(
            delete(),
            "/instances/{instanceId}/manage/measures/{measureName}",
        ),
        later(
            get(),
            "/instances/{instanceId}/manage/measures/{measureName}",
        ),
        pipeline(
            put(),
            "/instances/{instanceId}/manage/measures/{measureName}",
        ),
        later(get(), "/instances/{instanceId}/manage/relationships"),
        pipeline(post(), "/instances/{instanceId}/manage/relationships"),
        pipeline(
            delete(),
            "/instances/{instanceId}/manage/relationships/{relationshipName}",
        ),
        later(
            get(),
            "/instances/{instanceId}/manage/relationships/{relationshipName}",
        ),
        pipeline(
            put(),
            "/instances/{instanceId}/manage/relationships/{relationshipName}",
        ),
        later(get(), "/instances/{instanceId}/manage/search"),
        later(put(), "/instances/{instanceId}/manage/search"),
        later(get(), "/instances/{instanceId}/manage/segments"),
        pipeline(post(), "/instances/{instanceId}/manage/segments"),
        pipeline(
            delete(),
            "/instances/{instanceId}/manage/segments/{segmentName}",
        ),
        pipeline(
            put(),
            "/instances/{instanceId}/manage/segments/{segmentName}",
        ),
        pipeline(
            put(),
            "/instances/{instanceId}/manage/segments/{segmentName}/activate",
        ),
        pipeline(
            put(),
            "/instances/{instanceId}/manage/segments/{segmentName}/deactivate",
        ),
        later(get(), "/instances/{instanceId}/manage/systemrelationships"),
        later(get(), "/instances/{instanceId}/rbac/assignments"),
        later(get(), "/instances/{instanceId}/rbac/myrole"),
        later(
            delete(),
            "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
        ),
        later(
            put(),
            "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
        ),
        later(get(), "/instances/{instanceId}/rbac/roles"),
        later(
            get(),
            "/instances/{instanceId}/workflows/{workflowName}/history",
        ),
        later(
            get(),
            "/instances/{instanceId}/workflows/{workflowName}/schedules",
        ),
        later(
            post(),
            "/instances/{instanceId}/workflows/{workflowName}/schedules",
        ),
        later(
            post(),
            "/instances/{instanceId}/workflows/{workflowName}/schedules/batch",
        ),
        later(
            get(),
            "/instances/{instanceId}/workflows/{workflowName}/schedules/supportedTimezones",
        ),
        later(
            get(),
            "/instances/{instanceId}/workflows/{workflowName}/status",
        ),
        later(
            post(),
            "/instances/{instanceId}/workflows/{workflowName}/simulations",
        ),
        later(get(), "/instances/{instanceId}/usage"),
        later(get(), "/instances/{instanceId}/rejections"),
        later(get(), "/instances/{instanceId}/feed"),
        later(get(), "/instances/{instanceId}/webhooks"),
    ]
}
