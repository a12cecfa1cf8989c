//! The port through which the core sees stored state.
//! Owns the trait; stores and test models implement it.

use sanntid_types::{ActivityId, Instant, ProfileId, Row, TableId};

use crate::overlay::Overlay;
use crate::record::{ActivityIdentity, Owner, SourceActivity, StoredActivity};

/// Says why stored state can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    #[error("the store can't be read at present: {0}")]
    Unavailable(String),
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
}

/// Reads one instance's state as of one moment.
///
/// Invariant: all answers of one `View` belong to the same moment; on the write path they include
/// what was decided before in the same batch.
pub trait View {
    /// One row of the entity `Customer`.
    fn profile(&self, table: TableId, id: &ProfileId) -> Result<Option<Row>, ViewError>;

    /// The rows of the entity `Customer` in ascending order of their id, those after `after` only.
    fn profiles<'a>(
        &'a self,
        table: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Result<(ProfileId, Row), ViewError>> + 'a>;

    /// The profile that holds `key` in the alternate key `entity` (`{dataSource}_{entity}`).
    fn resolve_key(
        &self,
        table: TableId,
        entity: &str,
        key: &str,
    ) -> Result<Option<ProfileId>, ViewError>;

    /// Where an id that no longer exists was moved to (rules 6.6).
    fn redirect(&self, table: TableId, id: &ProfileId) -> Result<Option<ProfileId>, ViewError>;

    /// The ids that were moved to `id`, in ascending order.
    fn former_ids(&self, table: TableId, id: &ProfileId) -> Result<Vec<ProfileId>, ViewError>;

    /// The real-time overrides kept under exactly this id.
    fn overlay(&self, id: &ProfileId) -> Result<Option<Overlay>, ViewError>;

    /// The row of a read-only table whose key attribute has this text.
    fn row(&self, _table: TableId, _key: &str) -> Result<Option<Row>, ViewError> {
        Ok(None)
    }

    /// The rows of a read-only table in ascending order of their places, those behind `after` only.
    ///
    /// A place is opaque, but the same in every view of the same table.
    fn rows_after<'a>(
        &'a self,
        _table: TableId,
        _after: Option<&str>,
    ) -> Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a> {
        Box::new(std::iter::empty())
    }

    /// The rows of a read-only table with this text as `CustomerId`, in ascending order of places.
    ///
    /// Of a table that is not indexed by customer it finds none.
    fn rows_of_customer<'a>(
        &'a self,
        _table: TableId,
        _customer: &str,
    ) -> Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a> {
        Box::new(std::iter::empty())
    }

    /// Whether `rows_of_customer` finds rows; tables that older versions loaded must be walked.
    fn is_indexed_by_customer(&self, _table: TableId) -> Result<bool, ViewError> {
        Ok(false)
    }

    /// The segments of a table of memberships by name, each with how many members it has.
    ///
    /// `None` where they were not counted when the table was loaded, and where there is none.
    fn segments(&self, _table: TableId) -> Result<Option<Vec<(String, u64)>>, ViewError> {
        Ok(None)
    }

    /// What is known of an activity id from the real-time API, expired or not.
    fn identity(&self, id: &ActivityId) -> Result<Option<ActivityIdentity>, ViewError>;

    /// The activity that the source brought under this id.
    fn source_activity(
        &self,
        table: TableId,
        id: &ActivityId,
    ) -> Result<Option<SourceActivity>, ViewError>;

    /// A profile's source activities no later than `until`, newest first, then id ascending.
    fn source_timeline<'a>(
        &'a self,
        table: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<SourceActivity, ViewError>> + 'a>;

    /// One real-time activity, where its identity says that it is.
    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Result<Option<StoredActivity>, ViewError>;

    /// The real-time activities of `owner` no later than `until`, newest first, then id ascending.
    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<StoredActivity, ViewError>> + 'a>;
}
