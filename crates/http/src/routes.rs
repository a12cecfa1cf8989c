//! The one table of routes: what is served, under which names, and what is answered elsewhere.
//! Owns the addresses; must not handle anything itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};
use sanntid_types::{Error, ErrorCode};

use crate::error::Failure;
use crate::observe::Operations;
use crate::request::PREFIXES;
use crate::{
    activities, batch, bulk, card, clock, data_read, data_sources, entities, export, instances,
    jobs, meta, profile, realtime, relations, schedules, segments, simulations, snapshots,
    unserved, workflows, write,
};

/// One served operation. Its path is relative to a prefix of the API, or to the root.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    route: fn() -> Route,
}

macro_rules! operation {
    ($method:ident $path:literal, $name:literal, $handler:path) => {
        Operation {
            name: $name,
            method: Method::$method,
            path: $path,
            route: || web::method(Method::$method).to($handler),
        }
    };
}

/// What is served under every prefix of the API; the most used first, for it is found first.
pub(crate) fn api() -> Vec<Operation> {
    let mut all = data();
    all.extend(administration());
    all
}

fn data() -> Vec<Operation> {
    vec![
        operation!(GET "/instances/{instanceId}/data/{relativePath}",
            "get_entities_with_odata_path", data_read::get),
        operation!(PATCH "/instances/{instanceId}/data/{relativePath}",
            "update_an_entity", write::update),
        operation!(POST "/instances/{instanceId}/data/{relativePath}",
            "create_an_entity", write::create),
        operation!(POST "/instances/{instanceId}/data/$batch", "batch_data_requests", batch::run),
        operation!(POST "/instances/{instanceId}/data/{entityName}/$bulk",
            "create_activities_in_bulk", bulk::create),
        operation!(PATCH "/instances/{instanceId}/data/{entityName}/$bulk",
            "update_profiles_in_bulk", bulk::update),
        operation!(GET "/instances/{instanceId}/exports/{entityName}",
            "export_entity", export::get),
        operation!(GET "/instances/{instanceId}/customers/{profileId}/card",
            "get_card", card::get),
        operation!(GET "/instances/{instanceId}/customers/{profileId}/timeline",
            "get_timeline", card::timeline),
        operation!(GET "/instances/{instanceId}/profile/keyring",
            "get_key_ring", profile::get_key_ring),
        operation!(GET "/instances/{instanceId}/profile/activityresponsemetadata",
            "get_activity_types_and_counts", profile::get_activity_counts),
        operation!(GET "/instances/{instanceId}/profilestore/stateinfo",
            "get_profile_store_state", profile::get_store_state),
    ]
}

fn administration() -> Vec<Operation> {
    vec![
        operation!(GET "/manage/clock", "get_clock", clock::get),
        operation!(POST "/manage/clock/confirm", "confirm_clock", clock::confirm),
        operation!(GET "/instances", "get_all_instances", instances::list),
        operation!(POST "/instances/V2", "create_an_instance", instances::create),
        operation!(POST "/instances/copy", "copy_an_instance", instances::copy),
        operation!(PATCH "/instances/{instanceId}/V2", "update_an_instance", instances::rename),
        operation!(GET "/instances/{instanceId}", "get_instance_metadata", instances::get),
        operation!(DELETE "/instances/{instanceId}", "delete_an_instance", instances::delete),
        operation!(DELETE "/instances/{instanceId}/manage/reset",
            "reset_an_instance", instances::reset),
        operation!(GET "/instances/{instanceId}/manage/realtime",
            "get_realtime_settings", realtime::get),
        operation!(PUT "/instances/{instanceId}/manage/realtime",
            "set_realtime_settings", realtime::put),
        operation!(GET "/instances/{instanceId}/manage/activities",
            "get_activities", activities::get),
        operation!(PUT "/instances/{instanceId}/manage/activities",
            "set_activities", activities::put),
        operation!(GET "/instances/{instanceId}/manage/entities",
            "get_all_entity_metadata", entities::list),
        operation!(GET "/instances/{instanceId}/manage/entities/{entityName}",
            "get_entity_metadata", entities::get),
        operation!(GET "/instances/{instanceId}/manage/entities/{entityName}/entitysize",
            "get_entity_size", entities::size),
        operation!(GET "/instances/{instanceId}/manage/measures",
            "get_a_list_of_measures_metadata", relations::measures),
        operation!(GET "/instances/{instanceId}/manage/measures/{measureName}",
            "get_metadata_for_a_measure", relations::measure),
        operation!(GET "/instances/{instanceId}/manage/relationships",
            "get_all_relationships", relations::relationships),
        operation!(GET "/instances/{instanceId}/manage/relationships/{relationshipName}",
            "get_a_relationship", relations::relationship),
        operation!(GET "/instances/{instanceId}/manage/systemrelationships",
            "get_all_system_created_relationships", relations::system_relationships),
        operation!(GET "/instances/{instanceId}/manage/segments",
            "get_all_segments", segments::list),
        operation!(GET "/instances/{instanceId}/manage/segments/{segmentName}",
            "get_segment", segments::get),
        operation!(GET "/instances/{instanceId}/manage/datasources",
            "get_all_data_sources", data_sources::list),
        operation!(GET "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "get_data_source", data_sources::get),
        operation!(PUT "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "put_data_source", data_sources::put),
        operation!(DELETE "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "delete_a_data_source", data_sources::delete),
        operation!(POST "/instances/{instanceId}/snapshots", "open_snapshot", snapshots::open),
        operation!(GET "/instances/{instanceId}/snapshots", "get_open_snapshots", snapshots::list),
        operation!(PUT
            "/instances/{instanceId}/snapshots/{snapshotId}/entities/{entityName}/parts/{partNumber}",
            "put_snapshot_part", snapshots::put_part),
        operation!(POST "/instances/{instanceId}/snapshots/{snapshotId}/commit",
            "commit_snapshot", snapshots::commit),
        operation!(DELETE "/instances/{instanceId}/snapshots/{snapshotId}",
            "abort_snapshot", snapshots::abort),
        operation!(POST "/instances/{instanceId}/workflows/{workflowName}/jobs",
            "submit_a_workflow_job", jobs::submit),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/jobs",
            "get_list_of_recent_workflow_jobs", jobs::list),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}",
            "get_a_workflow_job_information", jobs::get),
        operation!(POST "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/cancel",
            "cancel_a_workflow_job", jobs::cancel),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/rejections",
            "get_job_rejections", jobs::rejections),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/status",
            "get_workflow_status", workflows::status),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/history",
            "get_list_of_workflow_task_information_history", workflows::history),
        operation!(POST "/instances/{instanceId}/workflows/{workflowName}/simulations",
            "simulate_a_refresh", simulations::simulate),
        operation!(GET "/instances/{instanceId}/workflows/{workflowName}/schedules",
            "get_workflow_schedules", schedules::list),
        operation!(POST "/instances/{instanceId}/workflows/{workflowName}/schedules",
            "create_workflow_refresh_schedule", schedules::create),
        operation!(POST "/instances/{instanceId}/workflows/{workflowName}/schedules/batch",
            "create_a_batch_of_workflow_refresh_schedules", schedules::create_batch),
        operation!(GET
            "/instances/{instanceId}/workflows/{workflowName}/schedules/supportedTimezones",
            "get_supported_timezones", schedules::timezones),
        operation!(DELETE "/instances/{instanceId}/workflows/{workflowName}/schedules/{scheduleId}",
            "delete_workflow_schedule", schedules::delete),
    ]
}

/// What is served at the root.
pub(crate) fn root() -> Vec<Operation> {
    vec![
        operation!(GET "/healthz", "get_health", meta::health),
        operation!(GET "/readyz", "get_readiness", meta::readiness),
        operation!(GET "/metrics", "get_metrics", meta::metrics),
        operation!(GET "/openapi.json", "get_openapi", meta::document),
        operation!(GET "/docs", "get_docs", meta::docs),
    ]
}

/// The methods that are used, in the order in which `Allow` names them.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Other spellings of the same addresses, which the published documents use too.
const ALIASES: [(&str, &str); 3] = [
    ("/manage/entities", "/manage/tables"),
    (
        "/{instanceId}/workflows/",
        "/{instanceId}/manage/workflows/",
    ),
    ("/manage/datasources", "/manage/datasources/v2"),
];

/// The other spelling of a path, where it has one.
pub(crate) fn alias(path: &str) -> Option<String> {
    let (from, to) = ALIASES.iter().find(|(from, _)| path.contains(from))?;
    Some(path.replacen(from, to, 1))
}

/// Registers everything.
pub(crate) fn configure(config: &mut ServiceConfig) {
    // The busiest address is found by one look, before any scope is tried.
    for prefix in PREFIXES {
        let busiest = resources(api(), true).into_iter();
        for (path, methods) in busiest.filter(|(path, _)| is_data(path)) {
            let resource = build(&format!("{prefix}{path}"), methods);
            config.service(resource.guard(fn_guard(names_no_operation)));
        }
    }
    for prefix in PREFIXES {
        let mut scope = web::scope(prefix);
        for (path, methods) in resources(api(), true) {
            scope = scope.service(build(&path, methods));
        }
        config.service(scope.default_service(web::to(not_found)));
    }
    for (path, methods) in resources(root(), false) {
        config.service(build(&path, methods));
    }
    config.service(web::resource("/docs/{file:.*}").route(web::get().to(meta::docs_file)));
    config.default_service(web::to(not_found));
}

/// Whether an address does not end with one of OData's own names, such as `$batch`.
fn names_no_operation(context: &GuardContext<'_>) -> bool {
    let last = context.head().uri.path().rsplit('/').next();
    last.is_none_or(|last| !last.starts_with('$') && !last.starts_with("%24"))
}

/// What one address takes.
#[derive(Default)]
struct Methods {
    served: Vec<(Method, &'static str)>,
    routes: Vec<(Method, Route)>,
}

fn resources(operations: Vec<Operation>, is_api: bool) -> Vec<(String, Methods)> {
    // In the order in which addresses come up: the router tries them in order.
    let mut order: Vec<String> = Vec::new();
    let mut table: BTreeMap<String, Methods> = BTreeMap::new();
    let mut add = |path: String, method: &Method, route: Route, name: Option<&'static str>| {
        let methods = table.entry(path.clone()).or_default();
        if methods.routes.is_empty() {
            order.push(path);
        }
        methods.routes.push((method.clone(), route));
        methods
            .served
            .extend(name.map(|name| (method.clone(), name)));
    };
    for operation in operations {
        let Operation {
            name,
            method,
            path,
            route,
        } = operation;
        add(path.to_owned(), &method, route(), Some(name));
        if let Some(path) = alias(path) {
            add(path, &method, route(), Some(name));
        }
    }
    for operation in unserved::all().into_iter().filter(|_| is_api) {
        add(
            operation.path.to_owned(),
            &operation.method,
            operation.route(),
            None,
        );
        if let Some(path) = alias(operation.path) {
            add(path, &operation.method, operation.route(), None);
        }
    }
    // A literal before a placeholder that would take it; the busiest address before all but those.
    order.sort_by_key(|path| {
        let count = path.matches('{').count();
        (!is_odata(path), !is_data(path), count)
    });
    let resource = |path: String| {
        let methods = table.remove(&path).unwrap_or_default();
        (path, methods)
    };
    order.into_iter().map(resource).collect()
}

/// Whether it is one of OData's own under `/data/`, which the address of all entities would take.
fn is_odata(path: &str) -> bool {
    path.contains("/data/") && path.contains("/$")
}

fn is_data(path: &str) -> bool {
    path.ends_with("/data/{relativePath}")
}

fn build(path: &str, methods: Methods) -> Resource {
    let pattern = path.replace("{relativePath}", "{relativePath:.*}");
    let has = |method: &Method| methods.routes.iter().any(|(known, _)| known == method);
    let takes: Vec<&str> = METHODS
        .iter()
        .filter(|m| has(m))
        .map(Method::as_str)
        .collect();
    let takes = takes.join(", ");
    let mut resource = web::resource(pattern).app_data(Operations(Rc::from(methods.served)));
    for (_, route) in methods.routes {
        resource = resource.route(route);
    }
    if is_data(path) {
        return resource.default_service(web::to(write::refuse));
    }
    resource.default_service(web::to(move || {
        let allow = takes.clone().into();
        async move { Err::<HttpResponse, _>(Failure::MethodNotAllowed { allow }) }
    }))
}

async fn not_found() -> Result<HttpResponse, Failure> {
    Err(Error::new(ErrorCode::RouteNotFound, "there is no such address").into())
}
