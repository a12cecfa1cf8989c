//! Erasing what callers wrote about a person: whose records these are, and what of them nobody sees
//! any more. Owns the decision and the pure rule; must not remove anything.

use std::collections::BTreeSet;

use sanntid_types::{
    CUSTOMER, Error, ErrorCode, Instant, Position, ProfileId, RowRejection, TableId,
};
use serde::{Deserialize, Serialize};

use crate::ports::View;
use crate::profile::{locate, view_error};
use crate::record::Owner;
use crate::tenant::TenantState;
use crate::timeline::owners;

/// How many erasures of one instance may be under way.
pub const ERASURES_MAX: usize = 64;

/// Holds everybody and everything that names one person in the records of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The profile that shows it now; the id asked for where none does.
    pub profile: ProfileId,
    /// Under whom real-time data of it is kept: its id, its former ids, and its keys.
    pub owners: BTreeSet<Owner>,
}

impl Person {
    /// The ids that lead to it, its own among them.
    pub fn ids(&self) -> impl Iterator<Item = &ProfileId> {
        self.owners.iter().filter_map(|owner| match owner {
            Owner::Profile(id) => Some(id),
            Owner::Key { .. } => None,
        })
    }

    /// Whether a row that a job could not use is known to be of this person: it has the person's id,
    /// or one of its keys, or belongs to one of these keys.
    pub fn has_rejected(&self, row: &RowRejection) -> bool {
        let key = row.key.as_deref();
        self.owners.iter().any(|owner| match owner {
            Owner::Profile(id) => {
                row.entity.eq_ignore_ascii_case(CUSTOMER) && key == Some(id.as_str())
            }
            Owner::Key { entity, key: its } => {
                let is_its_row = row.entity.eq_ignore_ascii_case(entity) && key == Some(its);
                is_its_row || row.reason == unmatched_reason(owner)
            }
        })
    }
}

/// Says why a source's activity stands in no timeline.
pub fn unmatched_reason(owner: &Owner) -> String {
    match owner {
        Owner::Key { entity, key } => format!("no customer has the key {key:?} of {entity}"),
        Owner::Profile(id) => format!("there is no customer {id}"),
    }
}

/// Holds one erasure that was decided, for as long as not all of its records are removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Tells the erasures of one life apart.
    pub number: u64,
    pub person: Person,
    /// What was accepted up to here is erased; what was accepted later stays.
    pub through: Position,
    /// The timeline in which a simulation may have put activities of this person.
    pub timeline: Option<TableId>,
    /// The customers among which a simulation may have put values over this one's.
    pub customers: Option<TableId>,
}

impl Erasure {
    /// Whether it takes what was accepted for `owner` at a position.
    pub fn takes(&self, owner: &Owner, position: Position) -> bool {
        position <= self.through && self.person.owners.contains(owner)
    }

    /// Whether it takes what a simulation put into a timeline of `profile`.
    pub fn takes_absorbed(&self, table: TableId, profile: &ProfileId) -> bool {
        self.timeline == Some(table) && self.person.profile == *profile
    }

    /// Whether it takes what a simulation put over the source's values of `profile`.
    pub fn takes_values(&self, table: TableId, profile: &ProfileId) -> bool {
        self.customers == Some(table) && self.person.profile == *profile
    }
}

/// Says what was erased: what had not ended, also where it was hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The profile acted on; another than asked for where that was moved.
    pub profile: ProfileId,
    pub overlay_fields: u64,
    pub activities: u64,
    /// Rows of this person that jobs had rejected.
    pub rejections: u64,
}

/// Finds out who an id names, also where no generation has a profile of it any more; `None` where
/// nothing is kept of it.
pub fn person(
    view: &dyn View,
    tenant: &TenantState,
    id: &ProfileId,
) -> Result<Option<Person>, Error> {
    let found = locate(view, tenant, id)?;
    let exists = found.is_some();
    let profile = found.unwrap_or_else(|| id.clone());
    let owners = owners(view, tenant, &profile)?;
    let person = Person { profile, owners };
    if exists || is_kept(view, &person)? {
        return Ok(Some(person));
    }
    Ok(None)
}

/// Whether there is any record of real-time data.
fn is_kept(view: &dyn View, person: &Person) -> Result<bool, Error> {
    for owner in &person.owners {
        let mut activities = view.realtime_timeline(owner, Instant::MAX);
        if activities.next().transpose().map_err(view_error)?.is_some() {
            return Ok(true);
        }
    }
    for id in person.ids() {
        if view.overlay(id).map_err(view_error)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl TenantState {
    /// Erases what callers wrote about a person up to now. From the commit of this state on nobody
    /// sees it; who removes the records says so with [`Self::erasure_is_done`].
    pub fn erase(&mut self, view: &dyn View, id: &ProfileId) -> Result<Erasure, Error> {
        let Some(person) = person(view, self, id)? else {
            let text = format!("nothing is kept of a profile {id}");
            let error = Error::new(ErrorCode::ProfileNotFound, text);
            return Err(error.with_target(id.as_str()));
        };
        if self.erasing.len() >= ERASURES_MAX {
            let text = format!("{ERASURES_MAX} erasures are under way; nothing was erased");
            return Err(Error::new(ErrorCode::Overloaded, text).with_target("erasures"));
        }
        let customers = self.customer().map(|customer| customer.table);
        self.erasures += 1;
        let erasure = Erasure {
            number: self.erasures,
            person,
            through: self.position,
            // A real generation holds nothing that callers wrote.
            timeline: self.timeline.filter(|_| self.simulated),
            customers: customers.filter(|_| self.simulated),
        };
        let mut erasing = Vec::clone(&self.erasing);
        erasing.push(erasure.clone());
        self.erasing = erasing.into();
        Ok(erasure)
    }

    /// Notes that an erasure's records are all removed.
    pub fn erasure_is_done(&mut self, number: u64) {
        let mut erasing = Vec::clone(&self.erasing);
        erasing.retain(|erasure| erasure.number != number);
        self.erasing = erasing.into();
    }

    /// Whether tables with real-time data, made when there had been so many erasures, hold none that
    /// was erased.
    pub fn is_free_of_erased(&self, erasures_then: u64) -> bool {
        self.erasing.is_empty() && self.erasures == erasures_then
    }
}
