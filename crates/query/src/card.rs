//! The customer card: everything about one profile in one read.
//! Owns its shape. Reads the profile and its newest activities once each, in one moment.

use sanntid_engine::{FieldOrigin, MergedProfile, profile};
use sanntid_types::{Attribute, AttributeRole, ErrorCode, Literal, ProfileId, Result};

use crate::json::Object;
use crate::link;
use crate::moment::{Context, Limits, Moment};
use crate::segments::Memberships;
use crate::tables::measures_of;
use crate::timeline_page::{TimelineParams, part};

/// Holds what `GET …/customers/{profileId}/card` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub json: String,
    /// The profile acted on: another than asked for where that was moved.
    pub id: ProfileId,
    /// That of the profile's content; the timeline does not change it.
    pub etag: String,
}

/// Answers the card of the profile that `id` names now; `None` where there is none.
pub fn card(
    moment: &Moment<'_>,
    context: &Context<'_>,
    id: &ProfileId,
    limits: &Limits,
) -> Result<Option<Card>> {
    let Some(found) = profile(moment.view, moment.tenant, moment.now, id)? else {
        return Ok(None);
    };
    let params = TimelineParams::default();
    let url = timeline_url(context, &found.id);
    let newest = part(moment, &url, &found.id, &params, None, limits)?;
    let etag = found.etag();
    let mut json = String::new();
    let mut object = Object::open(&mut json);
    object.text("profileId", found.id.as_str());
    object.text("etag", &etag);
    push_fields(&mut object, &found);
    push_measures(&mut object, moment, &found)?;
    object.json("segments", &segments(moment, &found.id, limits)?);
    object.object("timeline", |object| newest.push_members(object, &found.id));
    let tenant = moment.tenant;
    object.json("generation", &tenant.generation.0.to_string());
    if let Some(customer) = tenant.customer() {
        object.text("asOf", &customer.as_of.to_string());
    }
    object.close();
    let id = found.id;
    Ok(Some(Card { json, id, etag }))
}

/// Appends `fields`: the attributes that no pipeline computes.
fn push_fields(object: &mut Object<'_>, found: &MergedProfile) {
    let all = found.fields().zip(&found.schema.attributes);
    let fields = all.filter(|(_, attribute)| !is_measure(attribute));
    object.list(
        "fields",
        fields,
        |object, ((_, json, origin), attribute)| {
            object.text("name", &attribute.name);
            object.json("value", json);
            match origin {
                FieldOrigin::Source => object.text("origin", "source"),
                FieldOrigin::Realtime { change, source } => {
                    object.text("origin", "realtime");
                    object.json("sourceValue", source);
                    object.text("acceptedAt", &change.accepted_at.to_string());
                    object.text("validUntil", &change.expires_at.to_string());
                    if let Some(caller) = &change.caller {
                        object.text("caller", caller.as_str());
                    }
                }
            }
        },
    );
}

/// Appends `measures`: what a pipeline computes of the customer. The attributes of `Customer` come
/// first, then those of tables of measures with one row per customer; of the same name, the first.
fn push_measures(
    object: &mut Object<'_>,
    moment: &Moment<'_>,
    found: &MergedProfile,
) -> Result<()> {
    let own = found.fields().zip(&found.schema.attributes);
    let mut measures: Vec<(String, String)> = own
        .filter(|(_, attribute)| is_measure(attribute))
        .map(|((_, json, _), attribute)| (attribute.name.clone(), json.to_owned()))
        .collect();
    for (name, json) in measures_of(moment, &found.id)? {
        if measures.iter().all(|(known, _)| *known != name) {
            measures.push((name, json));
        }
    }
    object.object("measures", |object| {
        for (name, json) in &measures {
            object.json(name, json);
        }
    });
    Ok(())
}

/// The names of the customer's segments as a JSON list; `null` where they can't be found: in tables
/// that an older version loaded without an index, and that are too large to be read each time.
fn segments(moment: &Moment<'_>, id: &ProfileId, limits: &Limits) -> Result<String> {
    match Memberships::new(moment, limits) {
        Ok(memberships) => {
            let names = memberships.of(id)?;
            let names: Vec<Literal> = names.iter().map(|name| Literal::text(name)).collect();
            let names: Vec<&str> = names.iter().map(Literal::as_json).collect();
            Ok(format!("[{}]", names.join(",")))
        }
        Err(error) if error.code == ErrorCode::FilterNeedsIndex => Ok("null".to_owned()),
        Err(error) => Err(error),
    }
}

fn is_measure(attribute: &Attribute) -> bool {
    attribute.role == AttributeRole::Computed
}

fn timeline_url(context: &Context<'_>, id: &ProfileId) -> String {
    let base = context.base_url;
    let instance = base.strip_suffix("/data").unwrap_or(base);
    let mut url = format!("{instance}/customers/");
    link::push_encoded(&mut url, id.as_str());
    url + "/timeline"
}
