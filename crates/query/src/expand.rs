//! `$expand` of customers: what belongs to a customer, within its row.
//!
//! Owns what can be expanded and how much of it an answer holds; the rest is linked. Must not
//! decide what a timeline or a table shows.

use std::cell::Cell;

use sanntid_engine::{EntityTable, TenantState, TimelineQuery, timeline, view_error};
use sanntid_types::{Error, ErrorCode, Literal, ProfileId, Result, UNIFIED_ACTIVITY};

use crate::collection::{Request, Show};
use crate::json::Object;
use crate::link;
use crate::message::{invalid, shown};
use crate::moment::Moment;
use crate::tables::{self, CUSTOMER_ID};
use crate::unified::push_activity;

const OPTION: &str = "$expand";
/// Rows of one entity within the row of one customer; more are linked.
const ROWS_MAX: usize = 100;
/// Bytes of expanded rows on one page, about; what comes after them is linked.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Expands the customers of one page.
pub(crate) struct Expansion<'a> {
    request: &'a Request<'a>,
    wanted: Vec<Wanted<'a>>,
    bytes_left: Cell<usize>,
}

enum Wanted<'a> {
    Activities,
    Table(&'a EntityTable),
}

/// Holds one member of a customer's row, with its value as JSON.
pub(crate) type Member = (String, String);

impl<'a> Expansion<'a> {
    /// Reads what is to be expanded; anything that can't be is `InvalidArgument`.
    pub(crate) fn new(request: &'a Request<'a>) -> Result<Self> {
        let mut wanted: Vec<Wanted<'a>> = Vec::new();
        for name in &request.query.expand {
            let found = find(request.moment, &name.text)?;
            if wanted.iter().all(|known| known.name() != found.name()) {
                wanted.push(found);
            }
        }
        Ok(Self {
            request,
            wanted,
            bytes_left: Cell::new(PAGE_BYTES_MAX),
        })
    }

    /// The members that a customer's row has more: of each entity its rows, and a link to those
    /// that do not stand here.
    pub(crate) fn of(&self, id: &ProfileId) -> Result<Vec<Member>> {
        let mut members = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            let (rows, has_more) = match wanted {
                Wanted::Activities => self.activities(id)?,
                Wanted::Table(table) => self.rows(table, id)?,
            };
            let name = wanted.name();
            members.push((name.to_owned(), format!("[{}]", rows.join(","))));
            if has_more {
                let link = self.link(name, id, rows.len());
                let link = Literal::text(&link).as_json().to_owned();
                members.push((format!("{name}@odata.nextLink"), link));
            }
        }
        Ok(members)
    }

    /// The newest activities of a customer, and whether there are more.
    fn activities(&self, id: &ProfileId) -> Result<(Vec<String>, bool)> {
        let Moment { tenant, view, now } = *self.request.moment;
        let source_only = self.request.options.source_only;
        let entries = timeline(view, tenant, now, id, TimelineQuery::default())?;
        let shown = entries.filter(|entry| match entry {
            Ok(entry) => entry.realtime.is_none() || !source_only,
            Err(_) => true,
        });
        self.take(shown, |object, entry| {
            push_activity(object, &entry.activity, Some(id));
        })
    }

    /// The rows of a table that belong to a customer, and whether there are more.
    fn rows(&self, table: &EntityTable, id: &ProfileId) -> Result<(Vec<String>, bool)> {
        if table.rows == 0 {
            return Ok((Vec::new(), false));
        }
        let moment = self.request.moment;
        let indexed = moment.view.is_indexed_by_customer(table.table);
        if !indexed.map_err(view_error)? {
            return Err(not_indexed(table));
        }
        let rows = tables::rows_of(moment, table, id, ROWS_MAX + 1)?;
        self.take(rows.into_iter().map(Ok), |object, row| {
            row.push_fields(object, None, false);
        })
    }

    /// Writes rows as far as the bounds let it.
    fn take<T>(
        &self,
        found: impl Iterator<Item = Result<T>>,
        write: impl Fn(&mut Object<'_>, &T),
    ) -> Result<(Vec<String>, bool)> {
        let mut rows = Vec::new();
        for found in found {
            let found = found?;
            if rows.len() == ROWS_MAX || self.bytes_left.get() == 0 {
                return Ok((rows, true));
            }
            let mut json = String::new();
            let mut object = Object::open(&mut json);
            write(&mut object, &found);
            object.close();
            let left = self.bytes_left.get().saturating_sub(json.len());
            self.bytes_left.set(left);
            rows.push(json);
        }
        Ok((rows, false))
    }

    /// Where the rows behind the first `skip` ones are.
    fn link(&self, entity: &str, id: &ProfileId, skip: usize) -> String {
        let mut url = format!("{}/{entity}", self.request.context.base_url);
        let id = id.as_str().replace('\'', "''");
        link::push_pair(&mut url, "$filter", &format!("{CUSTOMER_ID} eq '{id}'"));
        if self.request.options.source_only {
            link::push_pair(&mut url, "view", "source");
        }
        link::push_pair(&mut url, "$skip", &skip.to_string());
        url
    }
}

impl Wanted<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Activities => UNIFIED_ACTIVITY,
            Self::Table(table) => table.schema.name.as_str(),
        }
    }
}

fn find<'a>(moment: &Moment<'a>, name: &str) -> Result<Wanted<'a>> {
    if name.eq_ignore_ascii_case(UNIFIED_ACTIVITY) {
        return Ok(Wanted::Activities);
    }
    let mut tables = expandable(moment.tenant);
    let found = tables.find(|table| table.schema.name.as_str().eq_ignore_ascii_case(name));
    found.map(Wanted::Table).ok_or_else(|| {
        let names = expandable(moment.tenant).map(|table| table.schema.name.as_str());
        let names: Vec<&str> = [UNIFIED_ACTIVITY].into_iter().chain(names).collect();
        let message = format!(
            "Customer has no {} to expand; it has {}",
            shown(name),
            names.join(", ")
        );
        invalid(OPTION, message)
    })
}

/// The tables whose rows belong to customers. One with the name of an attribute of `Customer` is
/// not among them: a row can't have both.
pub(crate) fn expandable(tenant: &TenantState) -> impl Iterator<Item = &EntityTable> {
    tenant.entities.iter().filter(move |table| {
        let name = table.schema.name.as_str();
        let is_taken = |customer: &EntityTable| customer.schema.find(name).is_some();
        tables::is_readable(table)
            && tables::customer_attribute(&table.schema).is_some()
            && !tenant.customer().is_some_and(is_taken)
    })
}

fn not_indexed(table: &EntityTable) -> Error {
    let message = format!(
        "{} was loaded by an older version, without an index by customer; it can be expanded when \
         it is refreshed",
        table.schema.name
    );
    Error::new(ErrorCode::FilterNeedsIndex, message).with_target(OPTION)
}
