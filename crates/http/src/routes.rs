//! The one table of routes: what is served, under which names, and what is answered elsewhere.
//! Owns the addresses; must not handle anything itself.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};
use sanntid_types::{Error, ErrorCode, Role};

use crate::authorize::{Needs, authorize};
use crate::error::Failure;
use crate::observe::{Operations, UNMATCHED};
use crate::request::PREFIXES;
use crate::{
    activities, audit, batch, bulk, card, clock, data_read, data_sources, entities, export,
    instances, jobs, keys, limits, meta, person, profile, rbac, realtime, relations, schedules,
    segments, simulations, snapshots, unserved, workflows, write,
};

/// One served operation. Its path is relative to a prefix of the API, or to the root.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    route: fn() -> Route,
}

const VIEWER: Needs = Needs::Role(Role::Viewer);
const CONTRIBUTOR: Needs = Needs::Role(Role::Contributor);
const ADMINISTRATOR: Needs = Needs::Role(Role::Administrator);

macro_rules! operation {
    ($needs:expr; $method:ident $path:literal, $name:literal, $handler:path) => {
        Operation {
            name: $name,
            method: Method::$method,
            path: $path,
            needs: $needs,
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
        operation!(VIEWER; GET "/instances/{instanceId}/data/{relativePath}",
            "get_entities_with_odata_path", data_read::get),
        operation!(CONTRIBUTOR; PATCH "/instances/{instanceId}/data/{relativePath}",
            "update_an_entity", write::update),
        operation!(CONTRIBUTOR; POST "/instances/{instanceId}/data/{relativePath}",
            "create_an_entity", write::create),
        operation!(VIEWER; POST "/instances/{instanceId}/data/$batch", "batch_data_requests", batch::run),
        operation!(CONTRIBUTOR; POST "/instances/{instanceId}/data/{entityName}/$bulk",
            "create_activities_in_bulk", bulk::create),
        operation!(CONTRIBUTOR; PATCH "/instances/{instanceId}/data/{entityName}/$bulk",
            "update_profiles_in_bulk", bulk::update),
        operation!(VIEWER; GET "/instances/{instanceId}/exports/{entityName}",
            "export_entity", export::get),
        operation!(VIEWER; GET "/instances/{instanceId}/customers/{profileId}/card",
            "get_card", card::get),
        operation!(VIEWER; GET "/instances/{instanceId}/customers/{profileId}/timeline",
            "get_timeline", card::timeline),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/customers/{profileId}/realtime",
            "erase_a_customer", person::erase),
        operation!(ADMINISTRATOR; GET "/instances/{instanceId}/customers/{profileId}/data",
            "export_a_customer", person::export),
        operation!(VIEWER; GET "/instances/{instanceId}/profile/keyring",
            "get_key_ring", profile::get_key_ring),
        operation!(VIEWER; GET "/instances/{instanceId}/profile/activityresponsemetadata",
            "get_activity_types_and_counts", profile::get_activity_counts),
        operation!(VIEWER; GET "/instances/{instanceId}/profilestore/stateinfo",
            "get_profile_store_state", profile::get_store_state),
    ]
}

fn administration() -> Vec<Operation> {
    vec![
        operation!(Needs::Operator; GET "/manage/clock", "get_clock", clock::get),
        operation!(Needs::Operator; GET "/manage/audit", "get_server_audit", audit::list_of_server),
        operation!(ADMINISTRATOR; GET "/instances/{instanceId}/manage/audit", "get_audit", audit::list),
        operation!(Needs::Operator; POST "/manage/clock/confirm", "confirm_clock", clock::confirm),
        operation!(Needs::Known; GET "/instances", "get_all_instances", instances::list),
        operation!(Needs::Operator; POST "/instances/V2", "create_an_instance", instances::create),
        operation!(Needs::Operator; POST "/instances/copy", "copy_an_instance", instances::copy),
        operation!(ADMINISTRATOR; PATCH "/instances/{instanceId}/V2", "update_an_instance", instances::rename),
        operation!(VIEWER; GET "/instances/{instanceId}", "get_instance_metadata", instances::get),
        operation!(Needs::Operator; DELETE "/instances/{instanceId}", "delete_an_instance", instances::delete),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/manage/reset",
            "reset_an_instance", instances::reset),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/realtime",
            "get_realtime_settings", realtime::get),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/manage/realtime",
            "set_realtime_settings", realtime::put),
        operation!(ADMINISTRATOR; GET "/instances/{instanceId}/manage/limits",
            "get_limits", limits::manage::get),
        operation!(Needs::Operator; PUT "/instances/{instanceId}/manage/limits",
            "set_limits", limits::manage::put),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/activities",
            "get_activities", activities::get),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/manage/activities",
            "set_activities", activities::put),
        operation!(ADMINISTRATOR; GET "/instances/{instanceId}/manage/keys", "get_keys", keys::get),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/manage/keys", "set_keys", keys::put),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/manage/keys/{keyName}/regenerate",
            "regenerate_key", keys::regenerate),
        operation!(VIEWER; GET "/instances/{instanceId}/rbac/roles",
            "get_all_role_definitions", rbac::roles),
        operation!(VIEWER; GET "/instances/{instanceId}/rbac/myrole",
            "get_current_user_role", rbac::mine),
        operation!(ADMINISTRATOR; GET "/instances/{instanceId}/rbac/assignments",
            "get_all_role_assignments", rbac::list),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
            "update_a_role_assignment", rbac::put),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
            "deletes_a_role_assignment", rbac::delete),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/entities",
            "get_all_entity_metadata", entities::list),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/entities/{entityName}",
            "get_entity_metadata", entities::get),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/entities/{entityName}/entitysize",
            "get_entity_size", entities::size),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/measures",
            "get_a_list_of_measures_metadata", relations::measures),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/measures/{measureName}",
            "get_metadata_for_a_measure", relations::measure),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/relationships",
            "get_all_relationships", relations::relationships),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/relationships/{relationshipName}",
            "get_a_relationship", relations::relationship),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/systemrelationships",
            "get_all_system_created_relationships", relations::system_relationships),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/segments",
            "get_all_segments", segments::list),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/segments/{segmentName}",
            "get_segment", segments::get),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/datasources",
            "get_all_data_sources", data_sources::list),
        operation!(VIEWER; GET "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "get_data_source", data_sources::get),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "put_data_source", data_sources::put),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/manage/datasources/{dataSourceId}",
            "delete_a_data_source", data_sources::delete),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/snapshots", "open_snapshot", snapshots::open),
        operation!(VIEWER; GET "/instances/{instanceId}/snapshots", "get_open_snapshots", snapshots::list),
        operation!(ADMINISTRATOR; PUT "/instances/{instanceId}/snapshots/{snapshotId}/entities/{entityName}/parts/{partNumber}",
            "put_snapshot_part", snapshots::put_part),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/snapshots/{snapshotId}/commit",
            "commit_snapshot", snapshots::commit),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/snapshots/{snapshotId}",
            "abort_snapshot", snapshots::abort),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/workflows/{workflowName}/jobs",
            "submit_a_workflow_job", jobs::submit),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/jobs",
            "get_list_of_recent_workflow_jobs", jobs::list),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}",
            "get_a_workflow_job_information", jobs::get),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/cancel",
            "cancel_a_workflow_job", jobs::cancel),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/rejections",
            "get_job_rejections", jobs::rejections),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/status",
            "get_workflow_status", workflows::status),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/history",
            "get_list_of_workflow_task_information_history", workflows::history),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/workflows/{workflowName}/simulations",
            "simulate_a_refresh", simulations::simulate),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/schedules",
            "get_workflow_schedules", schedules::list),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/workflows/{workflowName}/schedules",
            "create_workflow_refresh_schedule", schedules::create),
        operation!(ADMINISTRATOR; POST "/instances/{instanceId}/workflows/{workflowName}/schedules/batch",
            "create_a_batch_of_workflow_refresh_schedules", schedules::create_batch),
        operation!(VIEWER; GET "/instances/{instanceId}/workflows/{workflowName}/schedules/supportedTimezones",
            "get_supported_timezones", schedules::timezones),
        operation!(ADMINISTRATOR; DELETE "/instances/{instanceId}/workflows/{workflowName}/schedules/{scheduleId}",
            "delete_workflow_schedule", schedules::delete),
    ]
}

/// What is served at the root.
pub(crate) fn root() -> Vec<Operation> {
    vec![
        operation!(Needs::Nothing; GET "/healthz", "get_health", meta::health),
        operation!(Needs::Nothing; GET "/readyz", "get_readiness", meta::readiness),
        operation!(Needs::Operator; GET "/metrics", "get_metrics", meta::metrics),
        operation!(Needs::Nothing; GET "/openapi.json", "get_openapi", meta::document),
        operation!(Needs::Nothing; GET "/docs", "get_docs", meta::docs),
    ]
}

/// What an operation of the table needs of its caller, by the path that the table has.
pub(crate) fn needs(method: &Method, path: &str) -> Option<Needs> {
    static ALL: LazyLock<Vec<Operation>> =
        LazyLock::new(|| api().into_iter().chain(root()).collect());
    let mut all = ALL.iter();
    let found = all.find(|operation| operation.method == *method && operation.path == path);
    found.map(|operation| operation.needs)
}

/// What a call under `/data/` needs of its caller; one that is not served, what reading does.
pub(crate) fn needs_of_data(method: &Method) -> Needs {
    needs(method, DATA).unwrap_or(VIEWER)
}

/// The address of all entities.
const DATA: &str = "/instances/{instanceId}/data/{relativePath}";

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

/// The name of the operation that a request would be for, had it been let in.
pub(crate) fn name_of(request: &HttpRequest) -> &'static str {
    static NAMES: LazyLock<Vec<(Method, String, &'static str)>> = LazyLock::new(|| {
        let mut names = Vec::new();
        for Operation {
            name, method, path, ..
        } in api().into_iter().chain(root())
        {
            names.extend(alias(path).map(|path| (method.clone(), path, name)));
            names.push((method, path.to_owned(), name));
        }
        names
    });
    let pattern = request.match_pattern().unwrap_or_default();
    let mut prefixes = PREFIXES.into_iter();
    let path = prefixes.find_map(|prefix| pattern.strip_prefix(prefix));
    let path = path.unwrap_or(&pattern).replace(":.*}", "}");
    let is_it = |(method, of, _): &&(Method, String, _)| *of == path && method == request.method();
    let found = NAMES.iter().find(is_it);
    found.map_or(UNMATCHED, |(.., name)| *name)
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
    served: Vec<(Method, &'static str, Needs)>,
    routes: Vec<(Method, Route)>,
}

fn resources(operations: Vec<Operation>, is_api: bool) -> Vec<(String, Methods)> {
    // In the order in which addresses come up: the router tries them in order.
    let mut order: Vec<String> = Vec::new();
    let mut table: BTreeMap<String, Methods> = BTreeMap::new();
    let mut add =
        |path: String, method: &Method, route: Route, served: Option<(&'static str, Needs)>| {
            let methods = table.entry(path.clone()).or_default();
            if methods.routes.is_empty() {
                order.push(path);
            }
            methods.routes.push((method.clone(), route));
            methods
                .served
                .extend(served.map(|(name, needs)| (method.clone(), name, needs)));
        };
    for operation in operations {
        let Operation {
            name,
            method,
            path,
            needs,
            route,
        } = operation;
        add(path.to_owned(), &method, route(), Some((name, needs)));
        if let Some(path) = alias(path) {
            add(path, &method, route(), Some((name, needs)));
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

fn build(path: &str, methods: Methods) -> Resource<impl Answering + use<>> {
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
    let resource = if is_data(path) {
        resource.default_service(web::to(write::refuse))
    } else {
        resource.default_service(web::to(move || {
            let allow = takes.clone().into();
            async move { Err::<HttpResponse, _>(Failure::MethodNotAllowed { allow }) }
        }))
    };
    resource.wrap(from_fn(authorize))
}

/// What a resource is once something surrounds it.
trait Answering:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >
{
}

impl<T> Answering for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        >
{
}

async fn not_found() -> Result<HttpResponse, Failure> {
    Err(Error::new(ErrorCode::RouteNotFound, "there is no such address").into())
}
