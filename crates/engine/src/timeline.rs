//! Reading one profile's timeline: source and real-time activities merged (rules 5.1).
//! Owns order, visibility and which copy wins. Reads no further than it is asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sanntid_types::{
    ActivityId, CallerName, EntityName, Error, Instant, Position, ProfileId, UnifiedActivity,
};

use crate::activity::configured;
use crate::key_ring::key_members;
use crate::ports::{View, ViewError};
use crate::profile::view_error;
use crate::project::source_activity;
use crate::record::{Owner, SourceActivity, SourceContent, StoredActivity};
use crate::tenant::TenantState;

/// Selects a part of a timeline, newest first, then id ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineQuery {
    /// Inclusive.
    pub from: Instant,
    /// Inclusive.
    pub until: Instant,
    /// Goes on strictly after this entry, whether it is still there or not.
    pub after: Option<(Instant, ActivityId)>,
}

impl Default for TimelineQuery {
    fn default() -> Self {
        Self {
            from: Instant::MIN,
            until: Instant::MAX,
            after: None,
        }
    }
}

/// Says how an activity came by the real-time API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealtimeOrigin {
    pub accepted_at: Instant,
    pub expires_at: Instant,
    pub position: Position,
    pub caller: Option<CallerName>,
}

/// Holds one entry of a timeline as it is shown now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    pub activity: UnifiedActivity,
    /// `None` for an activity of the source.
    pub realtime: Option<RealtimeOrigin>,
}

/// Reads the timeline of `profile`, which exists. Entries are read as the iterator is driven.
///
/// After an error the iterator ends.
pub fn timeline<'a>(
    view: &'a dyn View,
    tenant: &'a TenantState,
    clock: Instant,
    profile: &ProfileId,
    query: TimelineQuery,
) -> Result<Box<dyn Iterator<Item = Result<TimelineEntry, Error>> + 'a>, Error> {
    let until = query
        .after
        .as_ref()
        .map_or(query.until, |(time, _)| query.until.min(*time));
    let mut streams: Vec<Stream<'a>> = Vec::new();
    if let Some(table) = tenant.timeline {
        let source = view.source_timeline(table, profile, until);
        streams.push(Box::new(source.map(|item| item.map(Found::Source))));
    }
    for owner in owners(view, tenant, profile)? {
        let realtime = view.realtime_timeline(&owner, until);
        streams.push(Box::new(
            realtime.map(|item| item.map(|stored| Found::Realtime(Box::new(stored)))),
        ));
    }
    let now = tenant.now(clock);
    let mut merge = Merge {
        view,
        tenant,
        now,
        query,
        streams,
        heads: BTreeMap::new(),
    };
    for stream in 0..merge.streams.len() {
        merge.advance(stream)?;
    }
    Ok(Box::new(merge))
}

/// Everybody whose real-time activities stand in the timeline of `profile`, each once.
pub(crate) fn owners(
    view: &dyn View,
    tenant: &TenantState,
    profile: &ProfileId,
) -> Result<BTreeSet<Owner>, Error> {
    let mut owners = BTreeSet::from([Owner::Profile(profile.clone())]);
    let Some(customer) = tenant.customer() else {
        return Ok(owners);
    };
    let former = view
        .former_ids(customer.table, profile)
        .map_err(view_error)?;
    owners.extend(former.into_iter().map(Owner::Profile));
    let Some(row) = view.profile(customer.table, profile).map_err(view_error)? else {
        return Ok(owners);
    };
    for (ordinal, alternate) in customer.schema.alternate_keys() {
        let keys = key_members(row.get(ordinal)).into_iter();
        owners.extend(keys.map(|key| Owner::Key {
            entity: alternate.qualified_name(),
            key,
        }));
    }
    Ok(owners)
}

type Stream<'a> = Box<dyn Iterator<Item = Result<Found, ViewError>> + 'a>;

enum Found {
    Source(SourceActivity),
    Realtime(Box<StoredActivity>),
}

impl Found {
    fn place(&self) -> (Reverse<Instant>, ActivityId) {
        match self {
            Self::Source(source) => (Reverse(source.time), source.id.clone()),
            Self::Realtime(stored) => (Reverse(stored.activity.time), stored.activity.id.clone()),
        }
    }
}

/// Merges streams that are each in the order of the timeline.
struct Merge<'a> {
    view: &'a dyn View,
    tenant: &'a TenantState,
    now: Instant,
    query: TimelineQuery,
    streams: Vec<Stream<'a>>,
    /// The next entry of each stream that has one, in the order of the timeline.
    heads: BTreeMap<(Reverse<Instant>, ActivityId, usize), Found>,
}

impl Merge<'_> {
    fn advance(&mut self, stream: usize) -> Result<(), Error> {
        let next = self.streams.get_mut(stream).and_then(Iterator::next);
        let Some(found) = next.transpose().map_err(view_error)? else {
            return Ok(());
        };
        let (time, id) = found.place();
        if time.0 >= self.query.from {
            self.heads.insert((time, id, stream), found);
        }
        Ok(())
    }

    fn is_after(&self, time: Instant, id: &ActivityId) -> bool {
        let after = self.query.after.as_ref();
        after.is_none_or(|(last, last_id)| (Reverse(time), id) > (Reverse(*last), last_id))
    }

    fn show(&self, found: Found) -> Result<Option<TimelineEntry>, Error> {
        match found {
            Found::Source(source) => self.show_source(&source),
            Found::Realtime(stored) => self.show_realtime(*stored),
        }
    }

    fn show_source(&self, source: &SourceActivity) -> Result<Option<TimelineEntry>, Error> {
        let shows = match &source.content {
            SourceContent::Row { entity, .. } => {
                let config = self.tenant.activity_config(entity);
                config.is_some_and(|config| config.show_in_timeline)
            }
            SourceContent::Absorbed { entity, activity } => {
                self.entity_shows(entity.as_ref(), activity.entity_name.as_deref())
            }
        };
        if !shows {
            return Ok(None);
        }
        let activity = source_activity(self.tenant, source)?;
        Ok(activity.map(|activity| TimelineEntry {
            activity,
            realtime: None,
        }))
    }

    fn show_realtime(&self, stored: StoredActivity) -> Result<Option<TimelineEntry>, Error> {
        let named = stored.activity.entity_name.as_deref();
        if stored.expires_at <= self.now || !self.entity_shows(stored.source_entity.as_ref(), named)
        {
            return Ok(None);
        }
        if let Some(table) = self.tenant.timeline {
            let source = self.view.source_activity(table, &stored.activity.id);
            if source.map_err(view_error)?.is_some() {
                return Ok(None);
            }
        }
        let realtime = Some(RealtimeOrigin {
            accepted_at: stored.accepted_at,
            expires_at: stored.expires_at,
            position: stored.position,
            caller: stored.caller,
        });
        Ok(Some(TimelineEntry {
            activity: stored.activity,
            realtime,
        }))
    }

    /// Whether the configuration, as it is now, shows activities of this one's entity.
    ///
    /// A posted source row needs its entity; a unified activity may name any, but one that is
    /// configured not to show hides it too.
    fn entity_shows(&self, source: Option<&EntityName>, named: Option<&str>) -> bool {
        match (source, named) {
            (Some(entity), _) => {
                let config = self.tenant.activity_config(entity);
                config.is_some_and(|config| config.show_in_timeline)
                    && self.tenant.entity(entity.as_str()).is_some()
            }
            (None, Some(named)) => {
                configured(self.tenant, named).is_none_or(|config| config.show_in_timeline)
            }
            (None, None) => true,
        }
    }

    fn step(&mut self) -> Result<Option<TimelineEntry>, Error> {
        while let Some(((time, id, stream), found)) = self.heads.pop_first() {
            self.advance(stream)?;
            if self.is_after(time.0, &id)
                && let Some(entry) = self.show(found)?
            {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<TimelineEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.heads.clear();
        }
        step.transpose()
    }
}
