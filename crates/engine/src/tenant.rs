//! One instance's state in memory: generation, configuration, settings and the clear watermark.
//! Owns visibility (rules 6.3) and the order of writes (rules 2.2). Must not hold overlays.

use sanntid_types::{
    ActivityConfig, EntityName, EntitySchema, Error, ErrorCode, Generation, Incarnation,
    InstanceId, Instant, Origin, Position, RefreshClears, Settings, TableId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::erase::Erasure;

/// How far in the future an `as_of` is cut to now instead of refused (rules 6.5).
const AS_OF_FUTURE_MAX: Duration = Duration::from_secs(300);

/// Describes one loaded entity of the current generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityTable {
    pub schema: Arc<EntitySchema>,
    pub table: TableId,
    pub as_of: Instant,
    pub rows: u64,
    /// Bytes of the encoded rows.
    pub size: u64,
}

/// Names the generation that a refresh switches to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// All entities of the new generation, carried-over ones included.
    pub entities: Vec<EntityTable>,
    /// The table that holds every source activity of the new generation.
    pub timeline: Option<TableId>,
    /// The activity configuration with which the timeline was made.
    pub projected_with: Vec<ActivityConfig>,
    /// Whether it is a simulation's, or the current one's timeline made anew after a simulation.
    pub simulated: bool,
}

/// Holds what decides how one instance's data is seen. Published to readers as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantState {
    pub instance: InstanceId,
    pub incarnation: Incarnation,
    pub generation: Generation,
    pub entities: Vec<EntityTable>,
    pub timeline: Option<TableId>,
    /// The configuration with which the current timeline was made.
    pub projected_with: Vec<ActivityConfig>,
    /// The configuration now.
    pub activities: Vec<ActivityConfig>,
    pub settings: Settings,
    /// Overrides accepted no later than this are cleared for good.
    pub cleared_through: Option<Instant>,
    /// Where the rows of each loaded entity come from; nobody owns those that are not listed.
    #[serde(default)]
    pub origins: BTreeMap<EntityName, Origin>,
    /// Whether the current generation is a simulation's, which may not be exported (rules 6.9).
    #[serde(default)]
    pub simulated: bool,
    /// `as_of(Customer)` of the last generation that was not simulated.
    pub as_of_real: Option<Instant>,
    /// The latest `as_of` of any open or finished refresh: later writes are accepted after it.
    pub as_of_open: Option<Instant>,
    /// The erasures whose records are not all removed yet: no reader sees these.
    #[serde(default)]
    pub erasing: Arc<Vec<Erasure>>,
    /// Counts the erasures of this life.
    #[serde(default)]
    pub erasures: u64,
    pub position: Position,
    pub accepted_at: Option<Instant>,
}

impl TenantState {
    /// A new instance, before its first snapshot.
    pub fn new(instance: InstanceId, incarnation: Incarnation) -> Self {
        Self {
            instance,
            incarnation,
            generation: Generation(0),
            entities: Vec::new(),
            timeline: None,
            projected_with: Vec::new(),
            activities: Vec::new(),
            settings: Settings::default(),
            cleared_through: None,
            origins: BTreeMap::new(),
            simulated: false,
            as_of_real: None,
            as_of_open: None,
            erasing: Arc::default(),
            erasures: 0,
            position: Position(0),
            accepted_at: None,
        }
    }

    /// The loaded entity of this name, whatever its case.
    pub fn entity(&self, name: &str) -> Option<&EntityTable> {
        self.entities
            .iter()
            .find(|e| e.schema.name.as_str().eq_ignore_ascii_case(name))
    }

    /// Where the rows of an entity come from, whatever the case of its name.
    pub fn origin(&self, entity: &str) -> Option<Origin> {
        let mut origins = self.origins.iter();
        let of = |(name, _): &(&EntityName, &Origin)| name.as_str().eq_ignore_ascii_case(entity);
        origins.find(of).map(|(_, origin)| *origin)
    }

    /// The entity `Customer`, where a snapshot has brought it.
    pub fn customer(&self) -> Option<&EntityTable> {
        self.entity(sanntid_types::CUSTOMER)
    }

    /// The activity configuration of a source entity, as it is now.
    ///
    /// The case of the name does not matter: a source may be configured before its entity is loaded.
    pub fn activity_config(&self, entity: &EntityName) -> Option<&ActivityConfig> {
        crate::activity::configured(self, entity.as_str())
    }

    /// The instant that a request works with: never before the last committed write (rules 2.1).
    pub fn now(&self, clock: Instant) -> Instant {
        self.accepted_at
            .map_or(clock, |accepted| clock.max(accepted))
    }

    /// The `accepted_at` of a write now: never backwards, and after every open `as_of`.
    pub fn next_accepted_at(&self, now: Instant) -> Instant {
        let after_open = self
            .as_of_open
            .map(|open| open.plus(Duration::from_millis(1)));
        self.now(now).max(after_open.unwrap_or(now))
    }

    /// Whether an override accepted at `accepted_at` has been cleared by a refresh.
    pub fn is_cleared(&self, accepted_at: Instant) -> bool {
        self.cleared_through
            .is_some_and(|through| accepted_at <= through)
    }

    /// Checks the `as_of` of a refresh and cuts one that is slightly in the future to now.
    pub fn check_as_of(&self, as_of: Instant, now: Instant) -> Result<Instant, Error> {
        if as_of > now.plus(AS_OF_FUTURE_MAX) {
            return Err(Error::new(
                ErrorCode::AsOfInFuture,
                format!("asOf {as_of} is more than 5 minutes after now, {now}"),
            )
            .with_target("asOf"));
        }
        let as_of = as_of.min(now);
        match self.as_of_real {
            Some(current) if as_of < current => Err(Error::new(
                ErrorCode::AsOfOutdated,
                format!("asOf {as_of} is before {current}, that of the current generation"),
            )
            .with_target("asOf")),
            _ => Ok(as_of),
        }
    }

    /// Notes that a refresh with this `as_of` has been opened: no later write falls before it.
    pub fn open_refresh(&mut self, as_of: Instant) {
        self.as_of_open = self.as_of_open.max(Some(as_of));
    }

    /// Switches to a loaded generation: what a reader sees changes here and nowhere else.
    ///
    /// Costs nothing per override: clearing moves a watermark, which never moves back.
    pub fn switch(&mut self, switch: Switch) {
        let as_of = switch
            .entities
            .iter()
            .find(|entity| entity.schema.name.as_str() == sanntid_types::CUSTOMER)
            .map(|customer| customer.as_of);
        self.generation = self.generation.next();
        self.entities = switch.entities;
        self.timeline = switch.timeline;
        self.projected_with = switch.projected_with;
        self.simulated = switch.simulated;
        if let Some(as_of) = as_of {
            self.open_refresh(as_of);
            if !switch.simulated {
                self.as_of_real = self.as_of_real.max(Some(as_of));
            }
        }
        self.advance_clear_watermark();
    }

    /// Replaces the settings; turning clearing on clears at once what the source has seen.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.advance_clear_watermark();
    }

    fn advance_clear_watermark(&mut self) {
        if self.settings.refresh_clears == RefreshClears::Never {
            return;
        }
        let through = self
            .customer()
            .map(|c| c.as_of.minus(self.settings.as_of_margin));
        self.cleared_through = self.cleared_through.max(through);
    }
}
