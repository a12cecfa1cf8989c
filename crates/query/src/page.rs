//! Choosing the rows of one page (rules 5.6).
//!
//! Owns paging by place: a page begins after the sort values and the key of the last row before
//! it, never after a number of rows. Keeps no more rows in memory than a page has.
//! Must not know where rows come from or how they are shown.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sanntid_odata::{BoundOrder, Fields};
use sanntid_types::Result;

use crate::collection::{Ask, Candidate, Count, Key, Source};

/// Marks a place in an order: the sort values and the key of a row that was there.
#[derive(Clone, Debug)]
pub(crate) struct Place<K> {
    values: Vec<(usize, String)>,
    key: K,
}

impl<K: Key> Place<K> {
    /// Takes the values of the keys of `order`, in its order; `None` where their number differs.
    pub(crate) fn new(order: Option<&BoundOrder>, values: Vec<String>, key: K) -> Option<Self> {
        let ordinals: Vec<usize> = order
            .into_iter()
            .flat_map(BoundOrder::keys)
            .map(|(ordinal, _)| ordinal)
            .collect();
        (ordinals.len() == values.len()).then(|| Self {
            values: ordinals.into_iter().zip(values).collect(),
            key,
        })
    }

    /// The place of a row.
    pub(crate) fn of<R: Candidate<Key = K>>(row: &R, order: Option<&BoundOrder>) -> Self {
        let values = order
            .into_iter()
            .flat_map(BoundOrder::keys)
            .map(|(ordinal, _)| (ordinal, row.json(ordinal).to_owned()))
            .collect();
        Self {
            values,
            key: row.key().clone(),
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<String>, K) {
        let values = self.values.into_iter().map(|(_, value)| value);
        (values.collect(), self.key)
    }
}

impl<K> Fields for Place<K> {
    fn json(&self, ordinal: usize) -> &str {
        let found = self.values.iter().find(|(at, _)| *at == ordinal);
        found.map_or("null", |(_, value)| value)
    }
}

impl<K: Key> Candidate for Place<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.key
    }
}

/// Holds the rows of a page, in order.
pub(crate) struct Selected<R: Candidate> {
    pub(crate) rows: Vec<R>,
    /// How many rows match, whatever page they are on; where it was asked for.
    pub(crate) count: Option<u64>,
    /// The place of the last row, where more rows follow.
    pub(crate) last: Option<Place<R::Key>>,
}

/// Chooses the rows of the page that `ask` asks for.
pub(crate) fn select<S: Source>(
    source: &S,
    ask: &Ask<<S::Row as Candidate>::Key>,
) -> Result<Selected<S::Row>> {
    let (mut rows, scanned) = match &ask.order {
        _ if ask.rows_wanted() == 0 && ask.count != Count::Scanned => (Vec::new(), 0),
        None => in_own_order(source, ask)?,
        Some(order) => sorted(source, ask, order)?,
    };
    let more = rows.len() > ask.rows;
    rows.truncate(ask.rows);
    let last = rows.last().filter(|_| more);
    let last = last.map(|row| Place::of(row, ask.order.as_ref()));
    let count = match ask.count {
        Count::Unasked => None,
        Count::Known(count) => Some(count),
        Count::Scanned => Some(scanned),
    };
    Ok(Selected { rows, count, last })
}

/// Takes rows as they come and stops behind the page, unless all are to be counted.
fn in_own_order<S: Source>(
    source: &S,
    ask: &Ask<<S::Row as Candidate>::Key>,
) -> Result<(Vec<S::Row>, u64)> {
    let after = ask.after.as_ref().map(Candidate::key);
    let counts = ask.count == Count::Scanned;
    let (mut rows, mut count, mut to_skip) = (Vec::new(), 0_u64, ask.skip);
    for row in source.rows(after.filter(|_| !counts))? {
        let row = row?;
        if !ask.matches(&row) {
            continue;
        }
        count += 1;
        if after.is_some_and(|after| row.key() <= after) {
            continue;
        }
        if to_skip > 0 {
            to_skip -= 1;
        } else if rows.len() < ask.rows_wanted() {
            rows.push(row);
        }
        if rows.len() == ask.rows_wanted() && !counts {
            break;
        }
    }
    Ok((rows, count))
}

/// Reads all rows and keeps those of the page.
fn sorted<S: Source>(
    source: &S,
    ask: &Ask<<S::Row as Candidate>::Key>,
    order: &BoundOrder,
) -> Result<(Vec<S::Row>, u64)> {
    let matching = || {
        let rows = source.rows(None)?;
        Ok(rows.filter(|row| row.as_ref().map_or(true, |row| ask.matches(row))))
    };
    if ask.skip == 0 {
        return smallest(matching()?, order, ask.after.as_ref(), ask.rows_wanted());
    }
    // The place behind which the page begins is found first, so that no more than places are kept
    // of the rows passed over.
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    let places = matching()?.map(|row| row.map(|row| Place::of(&row, Some(order))));
    let (passed, count) = smallest(places, order, None, skip)?;
    match passed.last() {
        Some(last) if passed.len() == skip => {
            smallest(matching()?, order, Some(last), ask.rows_wanted())
        }
        _ => Ok((Vec::new(), count)),
    }
}

/// The first `wanted` rows behind `after`, in order, and how many rows there are in all.
fn smallest<R: Candidate>(
    rows: impl Iterator<Item = Result<R>>,
    order: &BoundOrder,
    after: Option<&Place<R::Key>>,
    wanted: usize,
) -> Result<(Vec<R>, u64)> {
    let mut kept: BinaryHeap<Ranked<'_, R>> = BinaryHeap::new();
    let mut count = 0;
    for row in rows {
        let row = row?;
        count += 1;
        if after.is_some_and(|after| compare(order, &row, after).is_le()) {
            continue;
        }
        let row = Ranked { row, order };
        if kept.len() < wanted {
            kept.push(row);
        } else if kept.peek().is_some_and(|worst| row < *worst) {
            kept.pop();
            kept.push(row);
        }
    }
    let rows = kept.into_sorted_vec().into_iter().map(|ranked| ranked.row);
    Ok((rows.collect(), count))
}

fn compare<A, B>(order: &BoundOrder, a: &A, b: &B) -> Ordering
where
    A: Candidate,
    B: Candidate<Key = A::Key>,
{
    order.compare(a, b).then_with(|| a.key().cmp(b.key()))
}

/// A row that knows the order it stands in; the greatest is the last.
struct Ranked<'o, R> {
    row: R,
    order: &'o BoundOrder,
}

impl<R: Candidate> Ord for Ranked<'_, R> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.order, &self.row, &other.row)
    }
}

impl<R: Candidate> PartialOrd for Ranked<'_, R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Candidate> PartialEq for Ranked<'_, R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: Candidate> Eq for Ranked<'_, R> {}
