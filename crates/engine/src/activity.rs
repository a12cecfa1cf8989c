//! Accepting an activity (rules 4): its format, its identity, its customer.
//! Owns what is new, what is a repeat and what is a conflict. Must not commit.

use std::sync::Arc;

use sanntid_types::{
    ActivityConfig, ActivityId, ActivityState, CUSTOMER, CallerName, EntityName, EntitySchema,
    Error, ErrorCode, Instant, ProfileId, Row, UNIFIED_ACTIVITY, UnifiedActivity,
};

use crate::owner::owner_profile;
use crate::ports::View;
use crate::problems::{both, joined};
use crate::profile::{locate, view_error};
use crate::record::{
    ActivityIdentity, Owner, Record, SourceActivity, SourceContent, StoredActivity,
};
use crate::tenant::TenantState;
use crate::{activity_body, body, identity, project, valid_until};

/// Says what becomes of an activity whose customer is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknownCustomer {
    #[default]
    Reject,
    /// Store it; it shows as soon as a generation knows the customer.
    Hold,
}

/// Asks to add one activity to a timeline.
#[derive(Clone, Debug)]
pub struct AppendActivity<'a> {
    /// `UnifiedActivity` or a configured activity source, as it stands in the path.
    pub entity: &'a str,
    pub body: &'a [u8],
    pub valid_until: Option<Instant>,
    pub caller: Option<CallerName>,
    pub on_unknown: OnUnknownCustomer,
}

/// Says what to store for an activity, or that it has been stored before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    New {
        records: Vec<Record>,
        activity: Box<StoredActivity>,
    },
    /// The same id with the same content is there; nothing is to be stored.
    Replayed {
        /// That of the first time.
        state: ActivityState,
        activity: Box<UnifiedActivity>,
        /// The profile whose timeline holds it now, where there is one.
        customer: Option<ProfileId>,
    },
}

/// Decides about an activity against the state as of now, staged writes included.
pub fn append_activity(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    command: &AppendActivity<'_>,
) -> Result<Appended, Error> {
    let now = tenant.now(clock);
    let (position, accepted_at) = (tenant.position.next(), tenant.next_accepted_at(clock));
    let default = tenant.settings.activity_ttl_default;
    let expires_at = valid_until::resolve(command.valid_until, default, accepted_at);
    let draft = match read(tenant, command.entity, command.body) {
        Ok(draft) => draft,
        Err(error) => return Err(joined(error, expires_at.err())),
    };
    // A repeat gets its first answer, whatever has become of its customer or validUntil since.
    if let Some(replayed) = repeat(view, tenant, now, &draft)? {
        return Ok(replayed);
    }
    let owner = match resolve(view, tenant, &draft)? {
        Some(owner) => Ok((owner, ActivityState::Stored)),
        None if command.on_unknown == OnUnknownCustomer::Hold => {
            Ok((draft.owner.clone(), ActivityState::Held))
        }
        None => Err(unknown_customer(&draft)),
    };
    let ((owner, state), expires_at) = both(owner, expires_at)?;
    let identity = ActivityIdentity {
        content: draft.content,
        state,
        expires_at,
        owner: owner.clone(),
        time: draft.activity.time,
    };
    let activity = Box::new(StoredActivity {
        activity: draft.activity,
        owner,
        source_entity: draft.source.map(|source| source.schema.name.clone()),
        state,
        accepted_at,
        expires_at,
        position,
        caller: command.caller.clone(),
    });
    let records = vec![
        Record::Activity {
            activity: activity.clone(),
            identity,
        },
        Record::Head {
            position,
            accepted_at,
        },
    ];
    Ok(Appended::New { records, activity })
}

/// A document that was read, before anything is decided about it.
struct Draft<'a> {
    activity: UnifiedActivity,
    content: [u8; 32],
    /// The customer as the document names it.
    owner: Owner,
    source: Option<SourceDraft<'a>>,
}

struct SourceDraft<'a> {
    config: &'a ActivityConfig,
    schema: Arc<EntitySchema>,
    row: Row,
}

fn read<'a>(tenant: &'a TenantState, entity: &str, body: &[u8]) -> Result<Draft<'a>, Error> {
    if entity.eq_ignore_ascii_case(CUSTOMER) {
        let text = "profiles are brought by the refresh; PATCH changes one, POST can't add one";
        return Err(Error::new(ErrorCode::MethodNotAllowed, text).with_target(CUSTOMER));
    }
    if entity.eq_ignore_ascii_case(UNIFIED_ACTIVITY) {
        return read_unified(tenant, &body::document_text(body)?);
    }
    let config = configured(tenant, entity).ok_or_else(|| unknown_entity(tenant, entity))?;
    let Some(table) = tenant.entity(config.entity_name.as_str()) else {
        let text = format!(
            "{} is configured, but no refresh has brought its columns yet; {UNIFIED_ACTIVITY} \
             takes activities now",
            config.entity_name
        );
        return Err(Error::new(ErrorCode::UnknownActivityEntity, text).with_target(entity));
    };
    let schema = Arc::clone(&table.schema);
    let row = activity_body::source_document(config, &schema, &body::document_text(body)?)?;
    let (activity, owner) = project::project_row(config, &schema, &row)?;
    Ok(Draft {
        activity,
        content: identity::source_content(&schema, &row),
        owner: as_declared(tenant, owner),
        source: Some(SourceDraft {
            config,
            schema,
            row,
        }),
    })
}

fn read_unified<'a>(tenant: &TenantState, document: &str) -> Result<Draft<'a>, Error> {
    let document = activity_body::unified_document(document)?;
    let mut activity = UnifiedActivity {
        id: identity::content_id(&[0; 32]),
        time: document.time,
        activity_type: document.activity_type,
        activity_type_display: document.activity_type_display,
        activity_name: document.activity_name,
        title: document.title,
        description: document.description,
        external_url: document.external_url,
        entity_name: document.entity_name,
        actual_activity_id: document.actual_activity_id,
        semantic_data: document.semantic_data,
    };
    let content = identity::unified_content(&document.customer, &activity);
    activity.id = match (
        document.id,
        &activity.entity_name,
        &activity.actual_activity_id,
    ) {
        (Some(id), ..) => id,
        (None, Some(entity), Some(key)) => {
            let declared = configured(tenant, entity).map(|config| {
                let loaded = tenant.entity(entity);
                loaded.map_or(&config.entity_name, |loaded| &loaded.schema.name)
            });
            identity::source_id(declared.map_or(entity.as_str(), EntityName::as_str), key)
        }
        _ => identity::content_id(&content),
    };
    Ok(Draft {
        activity,
        content,
        owner: Owner::Profile(document.customer),
        source: None,
    })
}

/// Finds the first answer to this activity, where there was one.
fn repeat(
    view: &dyn View,
    tenant: &TenantState,
    now: Instant,
    draft: &Draft<'_>,
) -> Result<Option<Appended>, Error> {
    let id = &draft.activity.id;
    let known = view.identity(id).map_err(view_error)?;
    if let Some(known) = known.filter(|known| known.expires_at > now) {
        if known.content != draft.content {
            return Err(conflict(id));
        }
        // A repeat must not fail with a 5xx, which would say that nothing is stored.
        let stored = view
            .realtime_activity(&known.owner, known.time, id)
            .map_err(view_error)?;
        let activity = stored.map_or_else(|| draft.activity.clone(), |stored| stored.activity);
        return Ok(Some(Appended::Replayed {
            state: known.state,
            activity: Box::new(activity),
            customer: owner_profile(view, tenant, &known.owner)?,
        }));
    }
    let Some(table) = tenant.timeline else {
        return Ok(None);
    };
    let Some(source) = view.source_activity(table, id).map_err(view_error)? else {
        return Ok(None);
    };
    let activity =
        Box::new(same_as_source(view, tenant, draft, &source)?.ok_or_else(|| conflict(id))?);
    Ok(Some(Appended::Replayed {
        state: ActivityState::Stored,
        activity,
        customer: source.profile,
    }))
}

/// The source's own activity, where every field that the document gives has the same value there.
fn same_as_source(
    view: &dyn View,
    tenant: &TenantState,
    draft: &Draft<'_>,
    source: &SourceActivity,
) -> Result<Option<UnifiedActivity>, Error> {
    let Some(shown) = project::source_activity(tenant, source)? else {
        return Ok(None);
    };
    let same = match (&draft.source, &source.content) {
        (Some(given), SourceContent::Row { entity, row }) => {
            *entity == given.schema.name && columns_agree(given, row)
        }
        // Of an absorbed activity there is no row, whatever its format was.
        (None, _) | (Some(_), SourceContent::Absorbed { .. }) => {
            source.profile.is_some()
                && owner_profile(view, tenant, &draft.owner)? == source.profile
                && fields_agree(&draft.activity, &shown)
        }
    };
    Ok(same.then_some(shown))
}

fn columns_agree(given: &SourceDraft<'_>, row: &Row) -> bool {
    let attributes = given
        .schema
        .attributes
        .iter()
        .enumerate()
        .zip(given.row.iter());
    attributes
        .filter(|(_, json)| *json != "null")
        .all(|((ordinal, attribute), json)| {
            sanntid_types::scalar_of(attribute.data_type, json)
                .zip(row.scalar(ordinal, attribute.data_type))
                .is_some_and(|(given, brought)| given == brought)
        })
}

fn fields_agree(given: &UnifiedActivity, shown: &UnifiedActivity) -> bool {
    let same = |given: &Option<String>, shown: &Option<String>| given.is_none() || given == shown;
    let semantic = match (&given.semantic_data, &shown.semantic_data) {
        (None, _) => true,
        (Some(given), Some(shown)) => identity::same_json(given, shown),
        (Some(_), None) => false,
    };
    let entity = match (&given.entity_name, &shown.entity_name) {
        (Some(given), Some(shown)) => given.eq_ignore_ascii_case(shown),
        (given, _) => given.is_none(),
    };
    given.time == shown.time
        && given.activity_type == shown.activity_type
        && same(&given.activity_type_display, &shown.activity_type_display)
        && same(&given.activity_name, &shown.activity_name)
        && same(&given.title, &shown.title)
        && same(&given.description, &shown.description)
        && same(&given.external_url, &shown.external_url)
        && same(&given.actual_activity_id, &shown.actual_activity_id)
        && entity
        && semantic
}

/// Whose activity it is, where that customer exists now.
fn resolve(
    view: &dyn View,
    tenant: &TenantState,
    draft: &Draft<'_>,
) -> Result<Option<Owner>, Error> {
    match &draft.owner {
        Owner::Profile(id) => Ok(locate(view, tenant, id)?.map(Owner::Profile)),
        Owner::Key { entity, key } => {
            let Some(customer) = tenant.customer() else {
                return Ok(None);
            };
            let found = view
                .resolve_key(customer.table, entity, key)
                .map_err(view_error)?;
            Ok(found.map(|_| draft.owner.clone()))
        }
    }
}

/// Spells an alternate key's entity as `Customer` declares it, where it does.
fn as_declared(tenant: &TenantState, owner: Owner) -> Owner {
    let Owner::Key { entity, key } = owner else {
        return owner;
    };
    let declared = tenant.customer().and_then(|customer| {
        let names = customer
            .schema
            .alternate_keys()
            .map(|(_, key)| key.qualified_name());
        names
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(&entity))
    });
    Owner::Key {
        entity: declared.unwrap_or(entity),
        key,
    }
}

/// The configuration of the activity source of this name, whatever its case.
pub(crate) fn configured<'a>(tenant: &'a TenantState, entity: &str) -> Option<&'a ActivityConfig> {
    tenant
        .activities
        .iter()
        .find(|config| config.entity_name.as_str().eq_ignore_ascii_case(entity))
}

fn unknown_entity(tenant: &TenantState, entity: &str) -> Error {
    let mut names = vec![UNIFIED_ACTIVITY];
    names.extend(
        tenant
            .activities
            .iter()
            .map(|config| config.entity_name.as_str()),
    );
    let text = format!(
        "{entity:?} takes no activities; these do: {}",
        names.join(", ")
    );
    Error::new(ErrorCode::UnknownActivityEntity, text).with_target(entity)
}

fn unknown_customer(draft: &Draft<'_>) -> Error {
    let (code, text, target) = match (&draft.owner, &draft.source) {
        (Owner::Key { entity, key }, Some(source)) => (
            ErrorCode::KeyNotResolved,
            format!("no customer has the key {key:?} of {entity}"),
            source.config.relationship.foreign_key.as_str(),
        ),
        (Owner::Key { key, .. }, None) => (
            ErrorCode::KeyNotResolved,
            format!("no customer has the key {key:?}"),
            "CustomerId",
        ),
        (Owner::Profile(id), _) => (
            ErrorCode::CustomerNotFound,
            format!("there is no customer {id}"),
            "CustomerId",
        ),
    };
    let text = format!("{text}; with onUnknownCustomer=hold the activity would wait for it");
    Error::new(code, text).with_target(target)
}

fn conflict(id: &ActivityId) -> Error {
    let text = format!("there is another activity with the id {id}; activities can't be changed");
    Error::new(ErrorCode::ActivityConflict, text).with_target(id.as_str())
}
