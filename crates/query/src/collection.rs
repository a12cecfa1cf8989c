//! A collection's answer: options bound to a schema, a page chosen, its JSON and its next link.
//! Owns what all entities have in common. Must not know where an entity's rows come from.

use sanntid_odata::{BoundFilter, BoundOrder, Fields, QueryOptions, bind_names};
use sanntid_types::{EntitySchema, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::Object;
use crate::link;
use crate::message::invalid;
use crate::moment::{Context, Limits, Moment, ReadOptions};
use crate::page::{Place, Selected, select};
use crate::token::{Fingerprint, Token, refused};

/// Room for the JSON of one row; a larger one grows.
const ENTITY_BYTES_USUAL: usize = 1_024;

/// Orders the rows of an entity where nothing else does: no two have the same. Stands in tokens.
pub(crate) trait Key: Ord + Clone + Serialize + DeserializeOwned {}

impl<K: Ord + Clone + Serialize + DeserializeOwned> Key for K {}

/// Gives a row that a query may select.
pub(crate) trait Candidate: Fields + Sized {
    type Key: Key;

    fn key(&self) -> &Self::Key;
}

/// Writes a row.
pub(crate) trait Show {
    /// Appends the selected fields in schema order; `explain` adds where each comes from.
    fn push_fields(&self, object: &mut Object<'_>, select: Option<&[usize]>, explain: bool);
}

/// Gives the rows that a filter may match, in the order of their keys.
pub(crate) trait Source {
    type Row: Candidate + Show;

    /// The rows, read as the iterator is driven; it may leave out those up to `after`.
    fn rows<'s>(
        &'s self,
        after: Option<&<Self::Row as Candidate>::Key>,
    ) -> Result<Box<dyn Iterator<Item = Result<Self::Row>> + 's>>;

    /// Adds to the rows of a page what no filter and no order looks at.
    fn complete(&self, _rows: &mut [Self::Row]) -> Result<()> {
        Ok(())
    }
}

/// Holds one request for rows, before it met a schema.
pub(crate) struct Request<'a> {
    pub(crate) moment: &'a Moment<'a>,
    pub(crate) context: &'a Context<'a>,
    pub(crate) limits: &'a Limits,
    pub(crate) options: ReadOptions,
    pub(crate) pairs: &'a [(String, String)],
    pub(crate) query: QueryOptions,
}

/// Holds the options that a schema gives a meaning.
pub(crate) struct Bound {
    pub(crate) filter: Option<BoundFilter>,
    pub(crate) order: BoundOrder,
    pub(crate) select: Option<Vec<usize>>,
}

/// Says how `@odata.count` is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Unasked,
    Known(u64),
    /// By reading every row.
    Scanned,
}

/// Holds what one page is to contain.
pub(crate) struct Ask<K> {
    pub(crate) filter: Option<BoundFilter>,
    /// `None` where the rows come in the order asked for.
    pub(crate) order: Option<BoundOrder>,
    pub(crate) select: Option<Vec<usize>>,
    pub(crate) after: Option<Place<K>>,
    pub(crate) skip: u64,
    /// Rows on this page, at most.
    pub(crate) rows: usize,
    /// What `$top` leaves to deliver, this page included.
    remaining: Option<u64>,
    pub(crate) count: Count,
    fingerprint: Fingerprint,
}

impl Bound {
    pub(crate) fn new(query: &QueryOptions, schema: &EntitySchema) -> Result<Self> {
        let filter = query.filter.as_ref();
        let names = query.select.as_deref();
        Ok(Self {
            filter: filter
                .map(|expr| BoundFilter::bind(expr, schema))
                .transpose()?,
            order: BoundOrder::bind(&query.order, schema)?,
            select: names
                .map(|names| bind_names("$select", names, schema))
                .transpose()?,
        })
    }
}

impl<K: Key> Ask<K> {
    /// Reads what `request` asks of `entity`; `in_order` says that rows come as they are ordered.
    pub(crate) fn new(
        request: &Request<'_>,
        entity: &str,
        bound: Bound,
        in_order: bool,
    ) -> Result<Self> {
        let query = &request.query;
        let order = Some(bound.order).filter(|_| !in_order);
        let fingerprint = request.fingerprint(entity);
        let (after, remaining) = match query.skip_token.as_deref() {
            None => (None, query.top),
            Some(_) if query.skip.is_some() => {
                return Err(invalid("$skip", "$skip is of no use beside $skiptoken"));
            }
            Some(text) => {
                let token = Token::decode(text, &fingerprint, "$skiptoken")?;
                let place = Place::new(order.as_ref(), token.values, token.key);
                (
                    Some(place.ok_or_else(|| refused("$skiptoken"))?),
                    token.remaining,
                )
            }
        };
        let limits = request.limits;
        let rows = remaining.map_or(limits.page_rows_default, |left| {
            left.min(limits.page_rows_max)
        });
        Ok(Self {
            filter: bound.filter,
            order,
            select: bound.select,
            after,
            skip: query.skip.unwrap_or(0),
            rows: usize::try_from(rows).unwrap_or(usize::MAX),
            remaining,
            count: if query.count {
                Count::Scanned
            } else {
                Count::Unasked
            },
            fingerprint,
        })
    }

    /// Whether the filter takes a row.
    pub(crate) fn matches(&self, row: &dyn Fields) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.matches(row))
    }

    /// How many rows to look for: one more than the page has tells whether another follows.
    pub(crate) fn rows_wanted(&self) -> usize {
        let is_last = self.remaining_after() == Some(0);
        self.rows.saturating_add(usize::from(!is_last))
    }

    fn remaining_after(&self) -> Option<u64> {
        let rows = u64::try_from(self.rows).unwrap_or(u64::MAX);
        self.remaining.map(|left| left.saturating_sub(rows))
    }

    fn token_after(&self, last: Place<K>) -> Result<String> {
        let (values, key) = last.into_parts();
        let token = Token {
            values,
            key,
            remaining: self.remaining_after(),
        };
        token.encode(&self.fingerprint)
    }
}

impl Request<'_> {
    /// What the pages of one query have in common.
    fn fingerprint(&self, entity: &str) -> Fingerprint {
        let query = &self.query;
        let filter = query.filter.as_ref().map(ToString::to_string);
        let order = query.order.iter().map(|key| {
            let direction = if key.descending { "desc" } else { "asc" };
            format!("{} {direction}", key.name.text)
        });
        let select = query.select.as_ref().map(|names| {
            let names: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
            names.join(",")
        });
        let parts = [
            self.moment.tenant.instance.to_string(),
            entity.to_owned(),
            filter.unwrap_or_default(),
            order.collect::<Vec<_>>().join(","),
            select.unwrap_or_else(|| "*".to_owned()),
            query.top.map_or_else(String::new, |top| top.to_string()),
            self.options.source_only.to_string(),
        ];
        let expand = query.expand.iter().map(|name| name.text.as_str());
        Fingerprint::new(parts.iter().map(String::as_str).chain(expand))
    }

    fn next_link(&self, entity: &str, token: &str) -> String {
        let mut url = format!("{}/{entity}", self.context.base_url);
        let replaced = |name: &str| {
            let bare = name.strip_prefix('$').unwrap_or(name);
            bare.eq_ignore_ascii_case("skip") || bare.eq_ignore_ascii_case("skiptoken")
        };
        for (name, value) in self.pairs.iter().filter(|(name, _)| !replaced(name)) {
            link::push_pair(&mut url, name, value);
        }
        if self.options.source_only {
            link::push_pair(&mut url, "view", "source");
        }
        if self.options.explain {
            link::push_pair(&mut url, "explain", "true");
        }
        link::push_pair(&mut url, "$skiptoken", token);
        url
    }

    /// The JSON of the page of `source` that `ask` asks for.
    pub(crate) fn page_json<S: Source>(
        &self,
        entity: &str,
        source: &S,
        ask: &Ask<<S::Row as Candidate>::Key>,
    ) -> Result<String> {
        let Selected {
            mut rows,
            count,
            last,
        } = select(source, ask)?;
        source.complete(&mut rows)?;
        let token = last.map(|last| ask.token_after(last)).transpose()?;
        Ok(self.collection_json(entity, count, |object| {
            object.list("value", &rows, |object, row| {
                row.push_fields(object, ask.select.as_deref(), self.options.explain);
            });
            if let Some(token) = &token {
                object.text("@odata.nextLink", &self.next_link(entity, token));
            }
        }))
    }

    /// The JSON of a collection without rows.
    pub(crate) fn empty_json(&self, entity: &str) -> String {
        let count = self.query.count.then_some(0);
        self.collection_json(entity, count, |object| object.json("value", "[]"))
    }

    fn collection_json(
        &self,
        entity: &str,
        count: Option<u64>,
        members: impl FnOnce(&mut Object<'_>),
    ) -> String {
        let mut json = String::new();
        let mut object = Object::open(&mut json);
        let context = format!("{}/$metadata#{entity}", self.context.base_url);
        object.text("@odata.context", &context);
        if let Some(count) = count {
            object.json("@odata.count", &count.to_string());
        }
        members(&mut object);
        object.close();
        json
    }

    /// The JSON of one row by its key.
    pub(crate) fn entity_json(
        &self,
        entity: &str,
        etag: Option<&str>,
        select: Option<&[usize]>,
        row: &impl Show,
    ) -> String {
        let mut json = String::with_capacity(ENTITY_BYTES_USUAL);
        let mut object = Object::open(&mut json);
        let context = format!("{}/$metadata#{entity}/$entity", self.context.base_url);
        object.text("@odata.context", &context);
        if let Some(etag) = etag {
            object.text("@odata.etag", etag);
        }
        row.push_fields(&mut object, select, self.options.explain);
        object.close();
        json
    }
}
