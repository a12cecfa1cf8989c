//! Reading read-only tables: one row by its key, or a collection.
//!
//! Owns the choice of access path: a key or customers that a filter names are looked up, anything
//! else walks the table in the order of its places, as far as the limits let it. Rows show the
//! customer that they belong to now, also where the table still has the id from before a move.
//! Must not look at overlays: nothing here is ever overridden (rules 3.1).

use std::collections::{BTreeMap, BTreeSet};

use sanntid_engine::{EntityTable, key_text, view_error};
use sanntid_odata::{BoundFilter, Fields};
use sanntid_types::{
    Attribute, EdmType, EntitySchema, EntityType, Error, ErrorCode, Literal, ProfileId, Result, Row,
};

use crate::collection::{Ask, Bound, Candidate, Count, Request, Show, Source};
use crate::json::Object;
use crate::message::{invalid, shown};
use crate::moment::{Answer, Limits, Moment};
use crate::path::DataPath;

/// The attribute that says whose row it is.
pub(crate) const CUSTOMER_ID: &str = "CustomerId";

/// Holds one row, with the customer that it belongs to now.
pub(crate) struct TableRow<'s> {
    schema: &'s EntitySchema,
    place: String,
    row: Row,
    /// The ordinal and value of `CustomerId` where its customer was moved.
    moved: Option<(usize, Literal)>,
}

impl Fields for TableRow<'_> {
    fn json(&self, ordinal: usize) -> &str {
        match &self.moved {
            Some((at, id)) if *at == ordinal => id.as_json(),
            _ => self.row.get(ordinal),
        }
    }
}

impl Candidate for TableRow<'_> {
    type Key = String;

    fn key(&self) -> &String {
        &self.place
    }
}

impl Show for TableRow<'_> {
    fn push_fields(&self, object: &mut Object<'_>, select: Option<&[usize]>, _: bool) {
        for (ordinal, attribute) in self.schema.attributes.iter().enumerate() {
            if select.is_none_or(|selected| selected.contains(&ordinal)) {
                object.json(&attribute.name, self.json(ordinal));
            }
        }
    }
}

/// The table, where its rows can be read: those of activities' sources are read as activities.
pub(crate) fn readable<'a>(moment: &Moment<'a>, entity: &str) -> Option<&'a EntityTable> {
    let table = moment.tenant.entity(entity)?;
    is_readable(table).then_some(table)
}

pub(crate) fn is_readable(table: &EntityTable) -> bool {
    match table.schema.entity_type {
        EntityType::Profile | EntityType::Activity | EntityType::UnifiedActivity => false,
        EntityType::ProfileKpi
        | EntityType::AggregateKpi
        | EntityType::SegmentMembership
        | EntityType::Segment
        | EntityType::Enrichment
        | EntityType::Intelligence
        | EntityType::GenericPrediction
        | EntityType::Unspecified => true,
    }
}

/// Answers one row by its key, or a collection.
pub(crate) fn answer(
    request: &Request<'_>,
    table: &EntityTable,
    path: &DataPath,
) -> Result<Answer> {
    let bound = Bound::new(&request.query, &table.schema)?;
    let Some(given) = path.key() else {
        return collection(request, table, bound).map(|json| Answer::Collection { json });
    };
    let Some(attribute) = key_attribute(&table.schema) else {
        let message = format!(
            "{} has no key: ask for its rows by $filter",
            table.schema.name
        );
        return Err(invalid("path", message));
    };
    path.check_key_name(&attribute.name)?;
    let Some(row) = by_key(request.moment, table, attribute, given)? else {
        let message = format!("{} has no row {}", table.schema.name, shown(given));
        let error = Error::new(ErrorCode::EntityNotFound, message);
        return Err(error.with_target(attribute.name.clone()));
    };
    let name = table.schema.name.as_str();
    let json = request.entity_json(name, None, bound.select.as_deref(), &row);
    Ok(Answer::Entity {
        json,
        etag: None,
        id: None,
    })
}

/// Finds the row of a key; a customer's is also found under the ids that the customer had before.
fn by_key<'s>(
    moment: &Moment<'_>,
    table: &'s EntityTable,
    attribute: &Attribute,
    given: &str,
) -> Result<Option<TableRow<'s>>> {
    let literal = Literal::from_text(attribute.data_type, None, given).map_err(|_| {
        let (name, edm) = (&attribute.name, attribute.data_type.name());
        invalid(name, format!("expected {edm}, got {}", shown(given)))
    })?;
    let Some(key) = key_text(attribute.data_type, literal.as_json()) else {
        return Ok(None);
    };
    let mut keys = vec![key];
    if attribute.name.eq_ignore_ascii_case(CUSTOMER_ID) {
        keys.extend(other_ids(moment, given)?);
    }
    for key in keys {
        if let Some(row) = moment.view.row(table.table, &key).map_err(view_error)? {
            return shown_row(moment, &table.schema, String::new(), row).map(Some);
        }
    }
    Ok(None)
}

/// The values in the tables of measures that have one row per customer, by attribute.
pub(crate) fn measures_of(moment: &Moment<'_>, id: &ProfileId) -> Result<Vec<(String, String)>> {
    let mut measures = Vec::new();
    for table in &moment.tenant.entities {
        let schema = &table.schema;
        let key = key_attribute(schema);
        let Some(key) = key.filter(|key| key.name.eq_ignore_ascii_case(CUSTOMER_ID)) else {
            continue;
        };
        if schema.entity_type != EntityType::ProfileKpi {
            continue;
        }
        let Some(row) = by_key(moment, table, key, id.as_str())? else {
            continue;
        };
        let values = schema.attributes.iter().enumerate();
        let values = values.filter(|(at, _)| Some(*at) != schema.key);
        measures
            .extend(values.map(|(at, measure)| (measure.name.clone(), row.json(at).to_owned())));
    }
    Ok(measures)
}

/// The ids under which the rows of a customer can stand: that of now and those of before.
pub(crate) fn customer_ids(moment: &Moment<'_>, id: &ProfileId) -> Result<BTreeSet<String>> {
    let mut ids = other_ids(moment, id.as_str())?;
    ids.insert(id.as_str().to_owned());
    Ok(ids)
}

/// The ids under which the rows of a customer can stand, besides the given one.
fn other_ids(moment: &Moment<'_>, given: &str) -> Result<BTreeSet<String>> {
    let (Some(customer), Ok(id)) = (moment.tenant.customer(), ProfileId::parse(given)) else {
        return Ok(BTreeSet::new());
    };
    let view = moment.view;
    let moved = view.redirect(customer.table, &id).map_err(view_error)?;
    let now = moved.unwrap_or(id);
    let former = view.former_ids(customer.table, &now).map_err(view_error)?;
    let ids = former.into_iter().chain([now]);
    let ids = ids.map(|id| id.as_str().to_owned());
    Ok(ids.filter(|id| id != given).collect())
}

/// The first rows of a customer, under the id of now or one of before, in the order of their
/// places; of a table that is indexed by customer.
pub(crate) fn rows_of<'s>(
    moment: &Moment<'_>,
    table: &'s EntityTable,
    id: &ProfileId,
    rows_max: usize,
) -> Result<Vec<TableRow<'s>>> {
    let mut rows = BTreeMap::new();
    for id in customer_ids(moment, id)? {
        let found = moment.view.rows_of_customer(table.table, &id);
        for found in found.take(rows_max) {
            let (place, row) = found.map_err(view_error)?;
            rows.insert(place, row);
        }
    }
    let rows = rows.into_iter().take(rows_max);
    rows.map(|(place, row)| shown_row(moment, &table.schema, place, row))
        .collect()
}

fn shown_row<'s>(
    moment: &Moment<'_>,
    schema: &'s EntitySchema,
    place: String,
    row: Row,
) -> Result<TableRow<'s>> {
    let moved = match (customer_attribute(schema), moment.tenant.customer()) {
        (Some((ordinal, _)), Some(customer)) => {
            let id = key_text(EdmType::String, row.get(ordinal));
            let id = id.and_then(|id| ProfileId::parse(&id).ok());
            let moved = id.map(|id| moment.view.redirect(customer.table, &id));
            let moved = moved.transpose().map_err(view_error)?.flatten();
            moved.map(|id| (ordinal, Literal::text(id.as_str())))
        }
        _ => None,
    };
    Ok(TableRow {
        schema,
        place,
        row,
        moved,
    })
}

fn key_attribute(schema: &EntitySchema) -> Option<&Attribute> {
    schema.attributes.get(schema.key?)
}

/// `CustomerId`, where it can hold a customer's id.
pub(crate) fn customer_attribute(schema: &EntitySchema) -> Option<(usize, &Attribute)> {
    let found = schema.find(CUSTOMER_ID)?;
    (found.1.data_type == EdmType::String).then_some(found)
}

#[derive(PartialEq, Eq)]
enum Access {
    Keys(BTreeSet<String>),
    Customers(BTreeSet<String>),
    Scan,
}

fn collection(request: &Request<'_>, table: &EntityTable, bound: Bound) -> Result<String> {
    let in_order = bound.order.keys().next().is_none();
    let access = access(request.moment, table, bound.filter.as_ref())?;
    if access == Access::Scan && table.rows > request.limits.scan_rows_max {
        check_scan(request, table, &bound, in_order)?;
    }
    let name = table.schema.name.as_str();
    let mut ask = Ask::new(request, name, bound, in_order)?;
    if ask.count == Count::Scanned && ask.filter.is_none() {
        ask.count = Count::Known(table.rows);
    }
    let source = Rows {
        request,
        table,
        access,
    };
    request.page_json(name, &source, &ask)
}

/// Finds the rows or the customers that a filter names.
///
/// A customer id that was moved is not followed: a filter compares the ids that are shown.
fn access(
    moment: &Moment<'_>,
    table: &EntityTable,
    filter: Option<&BoundFilter>,
) -> Result<Access> {
    let Some(filter) = filter else {
        return Ok(Access::Scan);
    };
    let schema = &table.schema;
    let customers = customer_attribute(schema).and_then(|(at, _)| filter.equalities(at));
    if let Some(customers) = customers {
        let indexed = moment.view.is_indexed_by_customer(table.table);
        if indexed.map_err(view_error)? {
            return Ok(Access::Customers(customers.into_iter().collect()));
        }
        return Ok(Access::Scan);
    }
    let key = schema.key.filter(|at| {
        let attribute = schema.attributes.get(*at);
        attribute.is_some_and(|attribute| attribute.data_type == EdmType::String)
    });
    Ok(match key.and_then(|at| filter.equalities(at)) {
        Some(keys) => Access::Keys(keys.into_iter().collect()),
        None => Access::Scan,
    })
}

/// Refuses what would have to read more rows than the limit.
fn check_scan(
    request: &Request<'_>,
    table: &EntityTable,
    bound: &Bound,
    in_order: bool,
) -> Result<()> {
    let Limits { scan_rows_max, .. } = *request.limits;
    let target = if bound.filter.is_some() {
        "$filter"
    } else if !in_order {
        "$orderby"
    } else if request.query.skip.is_some_and(|skip| skip > scan_rows_max) {
        "$skip"
    } else {
        return Ok(());
    };
    Err(too_many(table, scan_rows_max, target))
}

pub(crate) fn too_many(table: &EntityTable, scan_rows_max: u64, target: &str) -> Error {
    let schema = &table.schema;
    let customer = customer_attribute(schema).map(|(_, attribute)| attribute);
    let names = customer.into_iter().chain(key_attribute(schema));
    let names: BTreeSet<&str> = names.map(|attribute| attribute.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let message = format!(
        "this would read more than {scan_rows_max} rows of {}: a filter must name rows by `eq` or \
         `in` of one of: {}; without a filter there is no $orderby, and $skip is at most \
         {scan_rows_max}",
        schema.name,
        names.join(", ")
    );
    Error::new(ErrorCode::FilterNeedsIndex, message).with_target(target)
}

struct Rows<'a> {
    request: &'a Request<'a>,
    table: &'a EntityTable,
    access: Access,
}

impl<'a> Rows<'a> {
    fn row(&self, place: String, row: Row) -> Result<TableRow<'a>> {
        shown_row(self.request.moment, &self.table.schema, place, row)
    }

    /// The rows of customers, each once and in the order of places.
    fn of_customers(&self, customers: &BTreeSet<String>) -> Result<BTreeMap<String, Row>> {
        let Moment { view, .. } = *self.request.moment;
        let mut ids = customers.clone();
        for customer in customers {
            ids.extend(other_ids(self.request.moment, customer)?);
        }
        let scan_rows_max = self.request.limits.scan_rows_max;
        let mut rows = BTreeMap::new();
        let mut left = scan_rows_max;
        for id in &ids {
            for found in view.rows_of_customer(self.table.table, id) {
                let (place, row) = found.map_err(view_error)?;
                let refused = || too_many(self.table, scan_rows_max, "$filter");
                left = left.checked_sub(1).ok_or_else(refused)?;
                rows.insert(place, row);
            }
        }
        Ok(rows)
    }
}

impl<'a> Source for Rows<'a> {
    type Row = TableRow<'a>;

    fn rows<'s>(
        &'s self,
        after: Option<&String>,
    ) -> Result<Box<dyn Iterator<Item = Result<TableRow<'a>>> + 's>> {
        let view = self.request.moment.view;
        Ok(match &self.access {
            Access::Keys(keys) => Box::new(keys.iter().filter_map(move |key| {
                let found = view.row(self.table.table, key).map_err(view_error);
                // Texts and places of keys are in the same order, and a page of keys starts over.
                found
                    .and_then(|row| row.map(|row| self.row(key.clone(), row)).transpose())
                    .transpose()
            })),
            Access::Customers(ids) => {
                let rows = self.of_customers(ids)?;
                Box::new(rows.into_iter().map(|(place, row)| self.row(place, row)))
            }
            Access::Scan => {
                let rows = view.rows_after(self.table.table, after.map(String::as_str));
                Box::new(rows.map(|found| {
                    let (place, row) = found.map_err(view_error)?;
                    self.row(place, row)
                }))
            }
        })
    }
}
