//! The OpenAPI document: gathered from the handlers, completed with what all routes share.
//! Owns the completion; tests hold it against the table of routes.

use actix_web::http::Method;
use utoipa::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
    SecurityRequirement, Server, Type,
};

use crate::error::ErrorBody;
use crate::observe::OPEN;
use crate::request::PREFIXES;
use crate::{
    activities, audit, batch, bulk, card, clock, data_read, data_sources, entities, export,
    instances, jobs, keys, limits, meta, person, profile, rbac, realtime, relations, routes,
    schedules, segments, simulations, snapshots, workflows, write,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sanntid",
        description = "Real-time ingestion of customer profiles: updates and activities between \
                       two runs of a batch pipeline, and reads that merge both. Compatible with \
                       the published real-time API of Dynamics 365 Customer Insights."
    ),
    paths(
        data_read::get,
        export::get,
        write::update,
        write::create,
        batch::run,
        bulk::create,
        bulk::update,
        card::get,
        card::timeline,
        person::erase,
        person::export,
        profile::get_key_ring,
        profile::get_activity_counts,
        profile::get_store_state,
        instances::list,
        instances::create,
        instances::copy,
        instances::rename,
        instances::get,
        instances::delete,
        instances::reset,
        realtime::get,
        realtime::put,
        limits::manage::get,
        limits::manage::put,
        activities::get,
        activities::put,
        audit::list,
        audit::list_of_server,
        keys::get,
        keys::put,
        keys::regenerate,
        rbac::roles,
        rbac::mine,
        rbac::list,
        rbac::put,
        rbac::delete,
        entities::list,
        entities::get,
        entities::size,
        relations::measures,
        relations::measure,
        relations::relationships,
        relations::relationship,
        relations::system_relationships,
        segments::list,
        segments::get,
        snapshots::open,
        snapshots::list,
        snapshots::put_part,
        snapshots::commit,
        snapshots::abort,
        data_sources::list,
        data_sources::get,
        data_sources::put,
        data_sources::delete,
        jobs::submit,
        jobs::list,
        jobs::get,
        jobs::cancel,
        jobs::rejections,
        simulations::simulate,
        workflows::status,
        workflows::history,
        schedules::list,
        schedules::create,
        schedules::create_batch,
        schedules::delete,
        schedules::timezones,
        clock::get,
        clock::confirm,
        meta::health,
        meta::readiness,
        meta::metrics,
        meta::document,
        meta::docs,
    ),
    components(schemas(ErrorBody))
)]
struct Gathered;

/// What an operation needs of its caller: `nothing`, `known` (a key or token that exists), a role, or
/// `operator`.
const NEEDS: &str = "x-sanntid-needs";

/// What a placeholder of a path stands for, and an example.
const PLACEHOLDERS: [(&str, &str, &str); 15] = [
    ("measureName", "The measure", "LifetimeValue"),
    ("segmentName", "The segment", "Best"),
    (
        "relationshipName",
        "The relationship",
        "UnifiedActivity_Customer",
    ),
    (
        "instanceId",
        "The instance, a UUID",
        "5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001",
    ),
    (
        "relativePath",
        "An entity, `Entity('key')` or `Entity/key`; it may be percent-encoded as a whole",
        "Customer",
    ),
    ("profileId", "The profile, a row of `Customer`", "c1"),
    ("entityName", "The entity", "Customer"),
    (
        "snapshotId",
        "The upload, a UUID",
        "0d9f7a3c-5f1e-4f57-8a39-6a4a1c3e5b02",
    ),
    ("partNumber", "From 1", "1"),
    ("workflowName", "There is only `main`", "main"),
    ("keyName", "`primary` or `secondary`", "secondary"),
    (
        "principalId",
        "The user, group or app, as the identity provider names it",
        "9b2f6a34-6a0e-4b1d-8a53-7f6a2c1de905",
    ),
    (
        "jobId",
        "The job, a UUID",
        "7c1b5b0e-94f5-4a07-b7a1-2f1de2a6c903",
    ),
    (
        "dataSourceId",
        "The data source, a UUID",
        "6b1f0a7e-2c55-4d0a-9a43-9d1c6de1a904",
    ),
    (
        "scheduleId",
        "The schedule, a UUID",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    ),
];

/// What any route of the API may answer besides its own answers.
const ERRORS: [(&str, &str); 7] = [
    ("400", "Malformed or invalid; `details` lists every problem"),
    ("401", "No key, or none that exists"),
    (
        "403",
        "The caller's role is too low, or API access is disabled",
    ),
    (
        "404",
        "No such instance, entity, profile or job; another's instance is none",
    ),
    ("406", "The header `Accept` excludes JSON"),
    ("500", "Our fault; of a write: it is not stored"),
    (
        "503",
        "A limit of ours; `Retry-After` says when to come back, `Sanntid-Limit` names it",
    ),
];

/// Makes the whole document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Gathered::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.servers = Some(PREFIXES.map(Server::new).to_vec());
    let components = document.components.get_or_insert_default();
    for (name, scheme) in security_schemes() {
        components
            .security_schemes
            .insert(name.to_owned(), scheme.into());
    }
    let paths = &mut document.paths.paths;
    let mut aliases = Vec::new();
    for (path, item) in paths.iter_mut() {
        let is_root = !["/instances", "/manage"]
            .iter()
            .any(|start| path.starts_with(start));
        if is_root {
            item.servers = Some(vec![Server::new("/")]);
        }
        for operation in operations(item) {
            complete(operation, path, is_root);
        }
        say_needs(item, path);
        if let Some(alias) = routes::alias(path) {
            aliases.push((alias.clone(), aliased(item, path)));
        }
    }
    paths.extend(aliases);
    document
}

/// The same operations under another address.
fn aliased(item: &PathItem, path: &str) -> PathItem {
    let mut item = item.clone();
    for operation in operations(&mut item) {
        operation.operation_id = operation
            .operation_id
            .take()
            .map(|id| format!("{id}_alias"));
        operation.description = Some(format!("Another spelling of `{path}`."));
    }
    item
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

fn complete(operation: &mut Operation, path: &str, is_root: bool) {
    let mut parameters = operation.parameters.take().unwrap_or_default();
    let described = |name: &str| {
        let mut all = parameters.iter();
        all.any(|parameter| matches!(parameter, RefOr::T(known) if known.name == name))
    };
    let missing: Vec<RefOr<Parameter>> = PLACEHOLDERS
        .iter()
        .filter(|(name, ..)| path.contains(&format!("{{{name}}}")) && !described(name))
        .map(|(name, what, example)| placeholder(name, what, example).into())
        .collect();
    parameters.splice(..0, missing);
    operation.parameters = Some(parameters).filter(|all| !all.is_empty());
    if !OPEN.contains(&path) {
        let named = ["key", "keyOption", "token"];
        let schemes = named.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        operation.security = Some(schemes.to_vec());
    }
    let responses = &mut operation.responses.responses;
    for (status, what) in ERRORS {
        let applies = match status {
            "401" | "403" => !OPEN.contains(&path),
            "500" => true,
            "503" => !is_root || path == "/readyz",
            _ => !is_root,
        };
        if applies {
            let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody")));
            let response = ResponseBuilder::new()
                .description(what)
                .content("application/json", body.build());
            responses
                .entry(status.to_owned())
                .or_insert_with(|| response.build().into());
        }
    }
}

/// Says what each operation needs of its caller.
fn say_needs(item: &mut PathItem, path: &str) {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    for (method, operation) in all {
        let Some(needs) = routes::needs(&method, path) else {
            continue;
        };
        if let Some(operation) = operation {
            let said = ExtensionsBuilder::new().add(NEEDS, needs.name());
            operation.extensions = Some(said.build());
        }
    }
}

fn placeholder(name: &str, what: &str, example: &str) -> Parameter {
    let kind = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(what))
        .schema(Some(RefOr::T(Schema::Object(kind.build()))))
        .example(Some(example.into()))
        .build()
}

fn security_schemes() -> [(&'static str, SecurityScheme); 3] {
    [
        (
            "key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(
                "Ocp-Apim-Subscription-Key",
            ))),
        ),
        (
            "keyOption",
            SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("subscription-key"))),
        ),
        (
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_and_the_table_of_routes_say_the_same() {
        let mut document = document();
        let mut documented = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            let methods = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            for (method, operation) in methods {
                let id = operation
                    .as_ref()
                    .map(|o| o.operation_id.clone().unwrap_or_default());
                documented.extend(id.map(|id| (path.clone(), method.to_owned(), id)));
            }
        }
        let mut served = BTreeSet::new();
        for operation in routes::api().into_iter().chain(routes::root()) {
            let (method, name) = (operation.method.to_string(), operation.name.to_owned());
            if let Some(alias) = routes::alias(operation.path) {
                served.insert((alias, method.clone(), format!("{name}_alias")));
            }
            served.insert((operation.path.to_owned(), method, name));
        }
        assert_eq!(documented, served);
    }
}
