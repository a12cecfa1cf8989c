//! Reading the entity `UnifiedActivity`: one activity by id, or a collection.
//!
//! Owns the choice of access path: activities and customers that a filter names are read one by
//! one, anything else walks the customers in the order of their ids; and how many rows that may
//! visit. Must not decide by itself what is shown: every row comes out of the core's timeline.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::ops::Bound as Edge;

use sanntid_engine::{
    EntityTable, Owner, TimelineEntry, TimelineQuery, profile, timeline, view_error,
};
use sanntid_odata::{BoundFilter, BoundOrder, Constant};
use sanntid_types::{
    ActivityId, Error, ErrorCode, Instant, ProfileId, Result, Scalar, UNIFIED_ACTIVITY,
};

use crate::collection::{Ask, Bound, Candidate, Request, Source};
use crate::customers::valid_ids;
use crate::moment::{Answer, Moment};
use crate::unified::{
    ACTIVITY_ID, ACTIVITY_TIME, ActivityKey, ActivityRow, CUSTOMER_ID, unified_activity_schema,
};

/// The order in which rows come, whatever the access path; total.
const OWN_ORDER: [(usize, bool); 3] = [
    (CUSTOMER_ID, false),
    (ACTIVITY_TIME, true),
    (ACTIVITY_ID, false),
];

/// Answers `UnifiedActivity('id')`.
pub(crate) fn entity(request: &Request<'_>, id: &ActivityId) -> Result<Answer> {
    let bound = Bound::new(&request.query, unified_activity_schema())?;
    let Some(row) = find(request, id)? else {
        let message = format!("there is no activity {id}");
        return Err(Error::new(ErrorCode::ActivityNotFound, message).with_target("ActivityId"));
    };
    let json = request.entity_json(UNIFIED_ACTIVITY, None, bound.select.as_deref(), &row);
    Ok(Answer::Entity {
        json,
        etag: None,
        id: None,
    })
}

/// Answers a collection of activities.
pub(crate) fn collection(request: &Request<'_>) -> Result<String> {
    let bound = Bound::new(&request.query, unified_activity_schema())?;
    let Some(customer) = request.moment.tenant.customer() else {
        return Ok(request.empty_json(UNIFIED_ACTIVITY));
    };
    let access = access(bound.filter.as_ref());
    let in_order = is_own_order(&bound.order, access.is_one_customer());
    let (from, until) = time_range(bound.filter.as_ref());
    let source = Activities {
        request,
        customer,
        access,
        from,
        until,
    };
    let ask = Ask::new(request, UNIFIED_ACTIVITY, bound, in_order)?;
    request.page_json(UNIFIED_ACTIVITY, &source, &ask)
}

enum Access {
    Ids(BTreeSet<ActivityId>),
    Customers(BTreeSet<ProfileId>),
    Walk,
}

impl Access {
    fn is_one_customer(&self) -> bool {
        matches!(self, Self::Customers(ids) if ids.len() < 2)
    }
}

/// Finds the rows or the customers that a filter names.
///
/// A customer id that was moved is not followed: a filter compares the ids that are shown.
fn access(filter: Option<&BoundFilter>) -> Access {
    let Some(filter) = filter else {
        return Access::Walk;
    };
    if let Some(texts) = filter.equalities(ACTIVITY_ID) {
        let ids = texts.iter().filter_map(|text| ActivityId::parse(text).ok());
        return Access::Ids(ids.collect());
    }
    match filter.equalities(CUSTOMER_ID) {
        Some(texts) => Access::Customers(valid_ids(&texts)),
        None => Access::Walk,
    }
}

/// Whether rows come in `order` by themselves; of one customer, its id orders nothing.
fn is_own_order(order: &BoundOrder, one_customer: bool) -> bool {
    let is_fixed = |key: &(usize, bool)| one_customer && key.0 == CUSTOMER_ID;
    let own = OWN_ORDER.iter().copied().filter(|key| !is_fixed(key));
    let keys = order.keys().filter(|key| !is_fixed(key));
    own.zip(keys).all(|(own, key)| own == key)
}

/// The times that a matching activity can have; activities have whole milliseconds.
fn time_range(filter: Option<&BoundFilter>) -> (Instant, Instant) {
    let millis = |edge: &Edge<Constant>| match edge {
        Edge::Included(constant) | Edge::Excluded(constant) => match constant.scalar() {
            Scalar::Instant(nanos) => i64::try_from(nanos.div_euclid(1_000_000)).ok(),
            Scalar::Null
            | Scalar::Boolean(_)
            | Scalar::Number(_)
            | Scalar::Double(_)
            | Scalar::Text(_)
            | Scalar::Date(_)
            | Scalar::Time(_)
            | Scalar::Guid(_) => None,
        },
        Edge::Unbounded => None,
    };
    let Some((from, until)) = filter.map(|filter| filter.range(ACTIVITY_TIME)) else {
        return (Instant::MIN, Instant::MAX);
    };
    (
        millis(&from).map_or(Instant::MIN, Instant::from_millis),
        millis(&until).map_or(Instant::MAX, Instant::from_millis),
    )
}

struct Activities<'a> {
    request: &'a Request<'a>,
    customer: &'a EntityTable,
    access: Access,
    from: Instant,
    until: Instant,
}

impl Source for Activities<'_> {
    type Row = ActivityRow;

    fn rows<'s>(
        &'s self,
        after: Option<&ActivityKey>,
    ) -> Result<Box<dyn Iterator<Item = Result<ActivityRow>> + 's>> {
        match &self.access {
            Access::Ids(ids) => {
                let mut rows = Vec::new();
                for id in ids {
                    rows.extend(find(self.request, id)?);
                }
                rows.sort_by(|a, b| a.key().cmp(b.key()));
                Ok(Box::new(rows.into_iter().map(Ok)))
            }
            Access::Customers(ids) => {
                let start = after.map_or(Edge::Unbounded, |(id, ..)| Edge::Included(id));
                let ids = ids.range((start, Edge::Unbounded));
                let existing = ids.filter_map(|id| self.existing(id).transpose());
                Ok(Box::new(Walk::new(self, existing, after)))
            }
            Access::Walk => {
                let first = after.and_then(|(id, ..)| self.existing(id).transpose());
                let last = after.map(|(id, ..)| id);
                let rest = self.request.moment.view.profiles(self.customer.table, last);
                let rest = rest.map(|found| found.map(|(id, _)| id).map_err(view_error));
                Ok(Box::new(Walk::new(
                    self,
                    first.into_iter().chain(rest),
                    after,
                )))
            }
        }
    }
}

impl Activities<'_> {
    /// The id, where a profile has it now.
    fn existing(&self, id: &ProfileId) -> Result<Option<ProfileId>> {
        let found = self.request.moment.view.profile(self.customer.table, id);
        Ok(found.map_err(view_error)?.map(|_| id.clone()))
    }
}

/// Reads the timelines of customers one after the other, within the limit of rows.
struct Walk<'s, I: Iterator> {
    activities: &'s Activities<'s>,
    customers: Peekable<I>,
    after: Option<ActivityKey>,
    open: Option<(ProfileId, Entries<'s>)>,
    customers_left: u64,
    rows_left: u64,
}

type Entries<'s> = Box<dyn Iterator<Item = Result<TimelineEntry>> + 's>;

impl<'s, I: Iterator<Item = Result<ProfileId>>> Walk<'s, I> {
    fn new(activities: &'s Activities<'s>, customers: I, after: Option<&ActivityKey>) -> Self {
        let scan_rows_max = activities.request.limits.scan_rows_max;
        Self {
            activities,
            customers: customers.peekable(),
            after: after.cloned(),
            open: None,
            customers_left: scan_rows_max,
            rows_left: scan_rows_max,
        }
    }

    fn step(&mut self) -> Result<Option<ActivityRow>> {
        loop {
            if let Some((customer, entries)) = &mut self.open {
                for entry in entries {
                    let entry = entry?;
                    spend(&mut self.rows_left, self.activities)?;
                    if entry.realtime.is_none() || !self.activities.request.options.source_only {
                        return Ok(Some(ActivityRow::new(entry, customer.clone())));
                    }
                }
            }
            let Some(customer) = self.customers.next().transpose()? else {
                return Ok(None);
            };
            spend(&mut self.customers_left, self.activities)?;
            self.open = Some((customer.clone(), self.entries(&customer)?));
        }
    }

    fn entries(&mut self, customer: &ProfileId) -> Result<Entries<'s>> {
        let resumed = self.after.take_if(|(id, ..)| id == customer);
        let query = TimelineQuery {
            from: self.activities.from,
            until: self.activities.until,
            after: resumed.map(|(_, time, id)| (time.0, id)),
        };
        let Moment { tenant, view, now } = *self.activities.request.moment;
        timeline(view, tenant, now, customer, query)
    }
}

impl<I: Iterator<Item = Result<ProfileId>>> Iterator for Walk<'_, I> {
    type Item = Result<ActivityRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn spend(left: &mut u64, activities: &Activities<'_>) -> Result<()> {
    match left.checked_sub(1) {
        Some(less) => {
            *left = less;
            Ok(())
        }
        None => {
            let max = activities.request.limits.scan_rows_max;
            let message = format!(
                "this would read more than {max} customers or activities: a filter must name them \
                 by `eq` or `in` of CustomerId or ActivityId; a range of ActivityTime helps too"
            );
            Err(Error::new(ErrorCode::FilterNeedsIndex, message).with_target("$filter"))
        }
    }
}

/// Finds the activity that is shown under an id: looks at each place where it can stand.
fn find(request: &Request<'_>, id: &ActivityId) -> Result<Option<ActivityRow>> {
    let Moment { tenant, view, now } = *request.moment;
    let mut places = Vec::new();
    if let Some(table) = tenant.timeline {
        let source = view.source_activity(table, id).map_err(view_error)?;
        places.extend(source.and_then(|found| Some((Owner::Profile(found.profile?), found.time))));
    }
    let realtime = view.identity(id).map_err(view_error)?;
    places.extend(realtime.map(|known| (known.owner, known.time)));
    for (owner, time) in places {
        let Some(customer) = customer_of(request.moment, owner)? else {
            continue;
        };
        let query = TimelineQuery {
            from: time,
            until: time,
            after: None,
        };
        for entry in timeline(view, tenant, now, &customer, query)? {
            let entry = entry?;
            let hidden = request.options.source_only && entry.realtime.is_some();
            if entry.activity.id == *id && !hidden {
                return Ok(Some(ActivityRow::new(entry, customer)));
            }
        }
    }
    Ok(None)
}

/// The customer that an owner is now.
fn customer_of(moment: &Moment<'_>, owner: Owner) -> Result<Option<ProfileId>> {
    let Moment { tenant, view, now } = *moment;
    match (owner, tenant.customer()) {
        (_, None) => Ok(None),
        (Owner::Profile(id), _) => {
            let found = profile(view, tenant, now, &id)?;
            Ok(found.map(|found| found.id))
        }
        (Owner::Key { entity, key }, Some(customer)) => {
            let found = view.resolve_key(customer.table, &entity, &key);
            found.map_err(view_error)
        }
    }
}
