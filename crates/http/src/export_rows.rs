//! What an export writes: the rows of one table, or the source's activities as they are shown.
//!
//! Owns reading them piece by piece, all of one generation. Must not show what came by the
//! real-time API (rules 5.5), nor know the file's format.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes};
use sanntid_engine::{
    CallError, EntityTable, Reading, TenantState, TimelineQuery, ViewError, timeline,
};
use sanntid_query::activity_row;
use sanntid_types::{
    ActivityId, CUSTOMER, Error, ErrorCode, Instant, ProfileId, Row, RowFile, TableId,
};

use crate::request::Instance;
use crate::server::Shared;

/// How many rows are read before they are handed on.
const ROWS_TOGETHER: usize = 1_000;
/// How many bytes of rows are read before they are handed on.
const BYTES_TOGETHER: usize = 256 * 1024;

/// How long a table that was replaced can be read; it is reclaimed after an hour.
const REPLACED_KEPT: Duration = Duration::from_secs(50 * 60);

/// The rows that are still to be written.
///
/// Each piece is read in a moment of its own, so that a slow reader holds nothing up: a table never
/// changes, and one that a refresh has replaced stays for an hour.
pub(crate) struct Rows {
    content: Content,
    /// The instance when the export began.
    tenant: Arc<TenantState>,
    began: Instant,
    file: Box<dyn RowFile>,
    place: Place,
}

/// What is exported.
pub(crate) enum Content {
    Table(EntityTable),
    /// The activities of these customers.
    Activities(EntityTable),
}

enum Place {
    Begin,
    /// Behind the row with this key.
    Row(String),
    /// Behind this activity of a customer; without one, behind all of them.
    Activity(ProfileId, Option<(Instant, ActivityId)>),
}

/// What came of one piece.
enum Piece {
    More(Vec<u8>, Rows),
    Last(Vec<u8>),
}

type KeyedRows<'a> = Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a>;

impl Rows {
    pub(crate) fn new(content: Content, reading: &Reading, file: Box<dyn RowFile>) -> Self {
        Self {
            content,
            tenant: Arc::clone(&reading.tenant),
            began: reading.now,
            file,
            place: Place::Begin,
        }
    }

    /// The next bytes, and what is left behind them; always some, where anything is left.
    pub(crate) async fn next(
        self,
        shared: &Shared,
        instance: Instance,
    ) -> Result<(Bytes, Option<Self>), Error> {
        let unknown = || Error::new(ErrorCode::Internal, "the export was broken off");
        let mut rows = self;
        loop {
            let reading = match shared.tenants.read(instance.0).await {
                Ok(reading) => reading,
                Err(CallError::Refused(error)) => return Err(error),
                Err(CallError::Unknown) => return Err(unknown()),
            };
            rows.check_kept(&reading)?;
            let piece = web::block(move || rows.piece(&reading)).await;
            match piece.map_err(|_| unknown())?? {
                Piece::Last(bytes) => return Ok((bytes.into(), None)),
                Piece::More(bytes, left) if bytes.is_empty() => rows = left,
                Piece::More(bytes, left) => return Ok((bytes.into(), Some(left))),
            }
        }
    }

    /// Refuses to go on where rows may be gone, which would look like the end of the table.
    fn check_kept(&self, reading: &Reading) -> Result<(), Error> {
        let now = &reading.tenant;
        let mut tables = self.tables().into_iter();
        let is_current = tables.all(|table| {
            let mut entities = now.entities.iter();
            now.timeline == Some(table) || entities.any(|entity| entity.table == table)
        });
        let is_kept = is_current || reading.now <= self.began.plus(REPLACED_KEPT);
        if now.incarnation == self.tenant.incarnation && is_kept {
            return Ok(());
        }
        let text = "the generation was replaced too long ago, or the instance was reset";
        Err(Error::new(ErrorCode::Interrupted, text))
    }

    fn tables(&self) -> Vec<TableId> {
        match &self.content {
            Content::Table(table) => vec![table.table],
            Content::Activities(customers) => {
                let timeline = self.tenant.timeline.into_iter();
                timeline.chain([customers.table]).collect()
            }
        }
    }

    fn piece(mut self, reading: &Reading) -> Result<Piece, Error> {
        let has_more = match &self.content {
            Content::Table(table) => {
                let table = table.clone();
                self.rows_of(&table, reading)?
            }
            Content::Activities(customers) => {
                let customers = customers.table;
                self.activities_of(customers, reading)?
            }
        };
        let mut bytes = self.file.take();
        if has_more {
            return Ok(Piece::More(bytes, self));
        }
        bytes.extend(self.file.finish()?);
        Ok(Piece::Last(bytes))
    }

    /// Writes rows of a table; says whether there may be more.
    fn rows_of(&mut self, table: &EntityTable, reading: &Reading) -> Result<bool, Error> {
        let after = match &self.place {
            Place::Row(key) => Some(key.as_str()),
            Place::Begin | Place::Activity(..) => None,
        };
        let mut last = None;
        let (mut count, mut bytes) = (0, 0);
        for entry in keyed_rows(table, reading, after)? {
            let (key, row) = entry.map_err(unreadable)?;
            self.file.push(&row)?;
            last = Some(key);
            count += 1;
            bytes += row.as_bytes().len();
            if count == ROWS_TOGETHER || bytes >= BYTES_TOGETHER {
                break;
            }
        }
        let has_more = last.is_some();
        if let Some(key) = last {
            self.place = Place::Row(key);
        }
        Ok(has_more)
    }

    /// Writes activities, those of one customer after those of another; says whether there may be
    /// more.
    fn activities_of(&mut self, customers: TableId, reading: &Reading) -> Result<bool, Error> {
        let (open, mut after) = match &self.place {
            Place::Activity(id, Some(after)) => (Some((id.clone(), Some(after.clone()))), Some(id)),
            Place::Activity(id, None) => (None, Some(id)),
            Place::Begin | Place::Row(_) => (None, None),
        };
        let after = after.take().cloned();
        let rest = reading.view.profiles(customers, after.as_ref());
        let rest = rest.map(|entry| Ok((entry.map_err(unreadable)?.0, None)));
        // Whatever was looked at counts: most customers may have nothing to write.
        let (mut seen, mut bytes) = (0, 0);
        for entry in open.map(Ok).into_iter().chain(rest) {
            let (id, after): (ProfileId, _) = entry?;
            let query = TimelineQuery {
                after,
                ..TimelineQuery::default()
            };
            let entries = timeline(&*reading.view, &self.tenant, reading.now, &id, query)?;
            for entry in entries {
                let entry = entry?;
                if entry.realtime.is_none() {
                    let row = activity_row(&entry.activity, &id);
                    self.file.push(&row)?;
                    bytes += row.as_bytes().len();
                }
                seen += 1;
                if seen >= ROWS_TOGETHER || bytes >= BYTES_TOGETHER {
                    let behind = (entry.activity.time, entry.activity.id);
                    self.place = Place::Activity(id, Some(behind));
                    return Ok(true);
                }
            }
            seen += 1;
            if seen >= ROWS_TOGETHER {
                self.place = Place::Activity(id, None);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn keyed_rows<'a>(
    table: &EntityTable,
    reading: &'a Reading,
    after: Option<&str>,
) -> Result<KeyedRows<'a>, Error> {
    if table.schema.name.as_str() != CUSTOMER {
        return Ok(reading.view.rows_after(table.table, after));
    }
    let after = after.map(ProfileId::parse).transpose()?;
    let profiles = reading.view.profiles(table.table, after.as_ref());
    Ok(Box::new(profiles.map(|entry| {
        entry.map(|(id, row)| (id.as_str().to_owned(), row))
    })))
}

fn unreadable(error: ViewError) -> Error {
    match error {
        ViewError::Unavailable(text) => Error::new(ErrorCode::StorePoisoned, text),
        ViewError::Corrupt(text) => Error::new(ErrorCode::Internal, text),
    }
}
