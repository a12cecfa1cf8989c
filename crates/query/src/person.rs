//! Everything that is kept of one person, as one JSON document that is made piece by piece.
//!
//! Owns its shape. A piece is bounded, however much is kept. Must not decide who the person is, and
//! hides nothing: what no other read shows is here, with the reason.

use std::cmp::Reverse;

use sanntid_engine::{
    EntityTable, FieldOrigin, Overlay, Override, Owner, Person, SourceActivity, SourceContent,
    StoredActivity, key_members, key_text, person, profile, project_row, view_error,
};
use sanntid_types::{
    ActivityId, ActivityState, CUSTOMER, EntitySchema, EntityType, Instant, Literal, ProfileId,
    Result, Row, RowRejection,
};

use crate::json::Object;
use crate::moment::Moment;
use crate::tables::CUSTOMER_ID;
use crate::unified::push_activity;

/// How many records a piece looks at.
const RECORDS_TOGETHER: usize = 500;
/// How many bytes a piece has, up to one record more.
const BYTES_TOGETHER: usize = 256 * 1024;

/// A document on its way: who it is about, and what is still to be written.
///
/// Its pieces may be of different moments, but must be of one generation: that of the first.
#[derive(Clone, Debug)]
pub struct PersonDocument {
    person: Person,
    /// The next one last.
    parts: Vec<Part>,
    place: Place,
    /// Whether the list that is open has an item.
    has_item: bool,
}

#[derive(Clone, Debug)]
enum Part {
    /// Who it is, the source's row, keys, updates.
    Profile,
    Text(&'static str),
    /// The rows of the entity with this number.
    Table(usize),
    SourceActivities,
    Activities(Owner),
}

/// How far the present part was written.
#[derive(Clone, Debug, Default)]
enum Place {
    #[default]
    Begin,
    Row(String),
    Activity(Instant, ActivityId),
}

impl PersonDocument {
    /// Begins with whoever an id names; `None` where nothing is kept of it.
    pub fn begin(moment: &Moment<'_>, id: &ProfileId) -> Result<Option<Self>> {
        let Some(person) = person(moment.view, moment.tenant, id)? else {
            return Ok(None);
        };
        let mut parts = vec![Part::Profile, Part::Text(",\"tables\":[")];
        parts.extend((0..moment.tenant.entities.len()).map(Part::Table));
        parts.push(Part::Text("],\"activities\":["));
        parts.push(Part::SourceActivities);
        parts.extend(person.owners.iter().cloned().map(Part::Activities));
        parts.push(Part::Text("],\"rejections\":["));
        parts.reverse();
        Ok(Some(Self {
            person,
            parts,
            place: Place::Begin,
            has_item: false,
        }))
    }

    /// The profile that shows the person now; another than asked for where that was moved.
    pub fn profile(&self) -> &ProfileId {
        &self.person.profile
    }

    /// Appends the next piece; `false` where nothing was left but rejected rows and the end.
    pub fn piece(&mut self, moment: &Moment<'_>, out: &mut String) -> Result<bool> {
        let Some(part) = self.parts.last().cloned() else {
            return Ok(false);
        };
        let is_done = match &part {
            Part::Text(text) => {
                out.push_str(text);
                self.has_item = false;
                true
            }
            Part::Profile => {
                self.push_profile(moment, out)?;
                true
            }
            Part::Table(number) => self.push_table(moment, *number, out)?,
            Part::SourceActivities => self.push_source_activities(moment, out)?,
            Part::Activities(owner) => self.push_activities(moment, owner, out)?,
        };
        if is_done {
            self.parts.pop();
            self.place = Place::Begin;
        }
        Ok(true)
    }

    /// Appends a row that a job rejected, where it is the person's.
    pub fn push_rejection(&mut self, row: &RowRejection, json: &str, out: &mut String) {
        if self.person.has_rejected(row) {
            self.comma(out);
            out.push_str(json);
        }
    }

    /// Appends the end.
    pub fn push_end(&self, out: &mut String) {
        out.push_str("]}");
    }

    fn push_profile(&self, moment: &Moment<'_>, out: &mut String) -> Result<()> {
        let (tenant, id) = (moment.tenant, &self.person.profile);
        let mut object = Object::open(out);
        object.text("profileId", id.as_str());
        let former = self.person.ids().filter(|its| *its != id);
        let former: Vec<Literal> = former.map(|id| Literal::text(id.as_str())).collect();
        object.json("formerIds", &json_list(&former));
        object.text("exportedAt", &moment.now.to_string());
        object.json("generation", &tenant.generation.0.to_string());
        let customer = tenant.customer();
        let row = match customer {
            Some(customer) => {
                object.text("asOf", &customer.as_of.to_string());
                let row = moment.view.profile(customer.table, id);
                row.map_err(view_error)?.map(|row| (customer, row))
            }
            None => None,
        };
        match &row {
            Some((customer, row)) => {
                object.object("source", |source| push_row(source, &customer.schema, row));
            }
            None => object.json("source", "null"),
        }
        push_keys(&mut object, row.as_ref());
        push_overlays(&mut object, moment, &self.person)?;
        // The object goes on with the parts behind it.
        Ok(())
    }

    /// Appends rows of one read-only table; says whether that was all of it.
    fn push_table(&mut self, moment: &Moment<'_>, number: usize, out: &mut String) -> Result<bool> {
        let Some(table) = moment.tenant.entities.get(number) else {
            return Ok(true);
        };
        if table.schema.name.as_str() == CUSTOMER {
            return Ok(true);
        }
        let after = match &self.place {
            Place::Row(place) => Some(place.clone()),
            Place::Begin | Place::Activity(..) => None,
        };
        if after.is_none() {
            if self.has_item {
                out.push(',');
            }
            self.has_item = false;
            out.push_str("{\"name\":");
            out.push_str(Literal::text(table.schema.name.as_str()).as_json());
            out.push_str(",\"rows\":[");
            self.push_rows_of_keys(moment, table, out)?;
        }
        let last = self.push_rows(moment, table, after.as_deref(), out)?;
        let is_done = last.is_none();
        match last {
            Some(last) => self.place = Place::Row(last),
            None => {
                out.push_str("]}");
                self.has_item = true;
            }
        }
        Ok(is_done)
    }

    /// Appends the rows of a source customer entity that the person's keys name.
    fn push_rows_of_keys(
        &mut self,
        moment: &Moment<'_>,
        table: &EntityTable,
        out: &mut String,
    ) -> Result<()> {
        let name = table.schema.name.as_str();
        for owner in self.person.owners.clone() {
            let Owner::Key { entity, key } = owner else {
                continue;
            };
            if !entity.eq_ignore_ascii_case(name) {
                continue;
            }
            if let Some(row) = moment.view.row(table.table, &key).map_err(view_error)? {
                self.push_item(out, |object| push_row(object, &table.schema, &row));
            }
        }
        Ok(())
    }

    /// Appends rows whose `CustomerId` is the person's; gives the place behind which there may be
    /// more.
    fn push_rows(
        &mut self,
        moment: &Moment<'_>,
        table: &EntityTable,
        after: Option<&str>,
        out: &mut String,
    ) -> Result<Option<String>> {
        let schema = &table.schema;
        let Some((at, attribute)) = schema.find(CUSTOMER_ID) else {
            return Ok(None);
        };
        if schema.entity_type == EntityType::Activity {
            return Ok(None);
        }
        let view = moment.view;
        let is_indexed = view
            .is_indexed_by_customer(table.table)
            .map_err(view_error)?;
        let rows: Box<dyn Iterator<Item = _> + '_> = if is_indexed {
            let mut rows = Vec::new();
            for id in self.person.ids() {
                let of_id = view.rows_of_customer(table.table, id.as_str());
                let behind = of_id.filter(|entry| {
                    let place = entry.as_ref().map(|(place, _)| place.as_str());
                    place.map_or(true, |place| after.is_none_or(|after| place > after))
                });
                // Of each id no more than one piece can take, in the order of their places.
                rows.extend(behind.take(RECORDS_TOGETHER));
            }
            rows.sort_by(|a, b| place_of(a).cmp(&place_of(b)));
            Box::new(rows.into_iter())
        } else {
            view.rows_after(table.table, after)
        };
        let (mut seen, begun) = (0, out.len());
        for entry in rows {
            let (place, row) = entry.map_err(view_error)?;
            let customer = key_text(attribute.data_type, row.get(at));
            let its = |id: &ProfileId| customer.as_deref() == Some(id.as_str());
            if self.person.ids().any(its) {
                self.push_item(out, |object| push_row(object, schema, &row));
            }
            seen += 1;
            if seen >= RECORDS_TOGETHER || out.len() - begun >= BYTES_TOGETHER {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn push_source_activities(&mut self, moment: &Moment<'_>, out: &mut String) -> Result<bool> {
        let Some(table) = moment.tenant.timeline else {
            return Ok(true);
        };
        let (until, profile) = (self.until(), self.person.profile.clone());
        let mut seen = (0, out.len());
        for entry in moment.view.source_timeline(table, &profile, until) {
            let found = entry.map_err(view_error)?;
            if self.is_written(found.time, &found.id) {
                continue;
            }
            let (time, id) = (found.time, found.id.clone());
            self.push_item(out, |object| push_source(object, moment, &profile, &found));
            if self.is_enough(&mut seen, out, time, id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn push_activities(
        &mut self,
        moment: &Moment<'_>,
        owner: &Owner,
        out: &mut String,
    ) -> Result<bool> {
        let (until, profile) = (self.until(), self.person.profile.clone());
        let mut seen = (0, out.len());
        for entry in moment.view.realtime_timeline(owner, until) {
            let stored = entry.map_err(view_error)?;
            let (time, id) = (stored.activity.time, stored.activity.id.clone());
            if self.is_written(time, &id) {
                continue;
            }
            let is_superseded = match moment.tenant.timeline {
                Some(table) => moment
                    .view
                    .source_activity(table, &id)
                    .map_err(view_error)?,
                None => None,
            }
            .is_some();
            let state = match () {
                () if stored.expires_at <= moment.now => "ended",
                () if is_superseded => "superseded",
                () => "live",
            };
            self.push_item(out, |object| push_stored(object, &profile, state, &stored));
            if self.is_enough(&mut seen, out, time, id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn until(&self) -> Instant {
        match &self.place {
            Place::Activity(time, _) => *time,
            Place::Begin | Place::Row(_) => Instant::MAX,
        }
    }

    fn is_written(&self, time: Instant, id: &ActivityId) -> bool {
        match &self.place {
            Place::Activity(last, last_id) => (Reverse(time), id) <= (Reverse(*last), last_id),
            Place::Begin | Place::Row(_) => false,
        }
    }

    /// Counts one activity; notes where the piece ends if it is large enough.
    fn is_enough(
        &mut self,
        (seen, begun): &mut (usize, usize),
        out: &str,
        time: Instant,
        id: ActivityId,
    ) -> bool {
        *seen += 1;
        let is_enough = *seen >= RECORDS_TOGETHER || out.len() - *begun >= BYTES_TOGETHER;
        if is_enough {
            self.place = Place::Activity(time, id);
        }
        is_enough
    }

    fn push_item(&mut self, out: &mut String, members: impl FnOnce(&mut Object<'_>)) {
        self.comma(out);
        let mut object = Object::open(out);
        members(&mut object);
        object.close();
    }

    fn comma(&mut self, out: &mut String) {
        if self.has_item {
            out.push(',');
        }
        self.has_item = true;
    }
}

fn place_of<E>(entry: &std::result::Result<(String, Row), E>) -> Option<&str> {
    entry.as_ref().ok().map(|(place, _)| place.as_str())
}

fn json_list(items: &[Literal]) -> String {
    let items: Vec<&str> = items.iter().map(Literal::as_json).collect();
    format!("[{}]", items.join(","))
}

fn push_row(object: &mut Object<'_>, schema: &EntitySchema, row: &Row) {
    for (ordinal, attribute) in schema.attributes.iter().enumerate() {
        object.json(&attribute.name, row.get(ordinal));
    }
}

/// Appends `keyRing`: the keys of the row, by source customer entity.
fn push_keys(object: &mut Object<'_>, row: Option<&(&EntityTable, Row)>) {
    let keys = row.into_iter().flat_map(|(customer, row)| {
        let all = customer.schema.alternate_keys();
        all.map(|(ordinal, alternate)| (alternate, key_members(row.get(ordinal))))
    });
    object.list("keyRing", keys, |object, (alternate, keys)| {
        object.text("dataSourceName", &alternate.data_source_name);
        object.text("entityName", &alternate.entity_name);
        let keys: Vec<Literal> = keys.iter().map(|key| Literal::text(key)).collect();
        object.json("keys", &json_list(&keys));
    });
}

/// Appends `overlay`: every update that is kept, also one that does not show.
fn push_overlays(object: &mut Object<'_>, moment: &Moment<'_>, person: &Person) -> Result<()> {
    let mut overlays: Vec<(&ProfileId, Overlay)> = Vec::new();
    for id in person.ids() {
        let found = moment.view.overlay(id).map_err(view_error)?;
        overlays.extend(found.map(|overlay| (id, overlay)));
    }
    let merged = profile(moment.view, moment.tenant, moment.now, &person.profile)?;
    let is_shown = |attribute: &str, change: &Override| {
        merged.as_ref().is_some_and(|merged| {
            let mut fields = merged.fields().zip(&merged.schema.attributes);
            fields.any(|((_, _, origin), field)| match origin {
                FieldOrigin::Realtime { change: shown, .. } => {
                    shown.position == change.position && field.name.eq_ignore_ascii_case(attribute)
                }
                FieldOrigin::Source => false,
            })
        })
    };
    let all = overlays.iter();
    let all = all.flat_map(|(id, overlay)| overlay.iter().map(move |entry| (*id, entry)));
    object.list("overlay", all, |object, (id, (attribute, change))| {
        object.text("profileId", id.as_str());
        object.text("name", attribute);
        object.json("value", change.value.as_json());
        object.text(
            "state",
            match () {
                () if !change.is_live(moment.tenant, moment.now) => "ended",
                () if is_shown(attribute, change) => "shown",
                () => "hidden",
            },
        );
        object.text("acceptedAt", &change.accepted_at.to_string());
        object.text("validUntil", &change.expires_at.to_string());
        object.json("position", &change.position.0.to_string());
        if let Some(caller) = &change.caller {
            object.text("caller", caller.as_str());
        }
    });
    Ok(())
}

/// Appends an activity of the source's timeline, projected where it can be, with its row.
fn push_source(
    object: &mut Object<'_>,
    moment: &Moment<'_>,
    profile: &ProfileId,
    found: &SourceActivity,
) {
    match &found.content {
        SourceContent::Absorbed { activity, .. } => {
            push_activity(object, activity, Some(profile));
            object.text("origin", "absorbed");
        }
        SourceContent::Row { entity, row } => {
            let table = moment.tenant.entity(entity.as_str());
            let config = moment.tenant.activity_config(entity);
            let projected = config
                .zip(table)
                .and_then(|(config, table)| project_row(config, &table.schema, row).ok());
            match projected {
                Some((activity, _)) => push_activity(object, &activity, Some(profile)),
                None => object.text("ActivityId", found.id.as_str()),
            }
            object.text("origin", "source");
            object.text("entity", entity.as_str());
            if let Some(table) = table {
                object.object("row", |object| push_row(object, &table.schema, row));
            }
        }
    }
}

fn push_stored(object: &mut Object<'_>, profile: &ProfileId, state: &str, stored: &StoredActivity) {
    push_activity(object, &stored.activity, Some(profile));
    object.text("origin", "realtime");
    object.text("state", state);
    object.text(
        "acceptedAs",
        match stored.state {
            ActivityState::Stored => "stored",
            ActivityState::Held => "held",
        },
    );
    object.object("keptFor", |object| match &stored.owner {
        Owner::Profile(id) => object.text("profileId", id.as_str()),
        Owner::Key { entity, key } => {
            object.text("entity", entity);
            object.text("key", key);
        }
    });
    object.text("acceptedAt", &stored.accepted_at.to_string());
    object.text("validUntil", &stored.expires_at.to_string());
    object.json("position", &stored.position.0.to_string());
    if let Some(caller) = &stored.caller {
        object.text("caller", caller.as_str());
    }
}
