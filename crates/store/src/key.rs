//! Owns the layout of keys: what stands where in each space, so that a tenant is a range.
//!
//! Must not know what values look like.
//!
//! Every key of a tenant holds its incarnation, which is never reused: what a deleted instance left
//! can't come back (rules 6.12). Parts of variable length are self-delimiting, so that no two keys
//! share a meaning.

use sanntid_engine::Owner;
use sanntid_types::{
    ActivityId, DataSourceId, Incarnation, InstanceId, Instant, JobId, PrincipalId, ProfileId,
    ScheduleId, SnapshotId, TableId,
};

/// Room for the keys of most records, in bytes; a longer one grows.
const BYTES_USUAL: usize = 96;

/// Longest text that stands in a key as it is, in bytes; longer ones are hashed.
const PART_BYTES_MAX: usize = 512;

const PART_HASHED: u8 = 1;
const PART_PLAIN: u8 = 2;
const END: u8 = 0;

/// Kinds of records in `meta`; the first byte of a key.
pub(crate) mod meta {
    pub(crate) const INSTANCE: u8 = b'i';
    pub(crate) const NEXT_INCARNATION: u8 = b'n';
    pub(crate) const DROPPED: u8 = b'x';
    pub(crate) const TENANT: u8 = b't';
    pub(crate) const HEAD: u8 = b'h';
    /// How much is kept of what came by calls.
    pub(crate) const USAGE: u8 = b'q';
    pub(crate) const TABLE: u8 = b'b';
    pub(crate) const NEXT_TABLE: u8 = b'c';
    pub(crate) const JOB: u8 = b'j';
    pub(crate) const REJECTION: u8 = b'r';
    pub(crate) const UPLOAD: u8 = b'u';

    pub(crate) const DATA_SOURCE: u8 = b'd';
    pub(crate) const SOURCE_STATE: u8 = b'f';

    pub(crate) const SCHEDULE: u8 = b's';

    /// Of an instance, whatever its present life is.
    pub(crate) const ACCESS: u8 = b'p';
    /// Names an instance in which a principal has a role; holds nothing.
    pub(crate) const MEMBERSHIP: u8 = b'm';

    /// Records of audit logs.
    pub(crate) const AUDIT: u8 = b'l';
    /// An audit log whose instance is gone; holds nothing.
    pub(crate) const ENDED_LOG: u8 = b'o';

    pub(crate) const ACTIVE_JOB: u8 = b'a';
    pub(crate) const DEAD_TABLE: u8 = b'g';
    pub(crate) const ERASING: u8 = b'w';

    /// The kinds whose keys go on with an incarnation and die with it.
    pub(crate) const OF_TENANT: [u8; 14] = [
        TENANT,
        HEAD,
        USAGE,
        TABLE,
        NEXT_TABLE,
        JOB,
        REJECTION,
        UPLOAD,
        ACTIVE_JOB,
        DEAD_TABLE,
        DATA_SOURCE,
        SOURCE_STATE,
        SCHEDULE,
        ERASING,
    ];
}

/// Kinds of records in `base`, behind the table's number.
pub(crate) mod base {
    pub(crate) const PROFILE: u8 = b'p';
    /// The row of a profile as the source brought it, where a simulation put values over it.
    pub(crate) const ORIGINAL: u8 = b'q';
    pub(crate) const KEY: u8 = b'k';
    pub(crate) const REDIRECT: u8 = b'r';
    pub(crate) const FORMER: u8 = b'f';
    pub(crate) const ROW: u8 = b'e';
    /// Names a row by the customer that it belongs to; holds nothing.
    pub(crate) const OF_CUSTOMER: u8 = b'o';
    /// Says how many members a segment has.
    pub(crate) const SEGMENT: u8 = b'm';
    pub(crate) const TIMELINE: u8 = b's';
    pub(crate) const ACTIVITY: u8 = b'x';
}

/// Kinds of records in `activities`, behind the incarnation.
pub(crate) mod activities {
    pub(crate) const ACTIVITY: u8 = b'a';
    pub(crate) const IDENTITY: u8 = b'i';
}

/// Builds one key.
#[derive(Clone, Debug)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// A key of `meta` that belongs to no tenant.
    pub(crate) fn meta(kind: u8) -> Self {
        Self::empty().byte(kind)
    }

    pub(crate) fn instance(id: InstanceId) -> Self {
        Self::meta(meta::INSTANCE).bytes(id.0.as_bytes())
    }

    /// Who may do what in an instance.
    pub(crate) fn access(id: InstanceId) -> Self {
        Self::meta(meta::ACCESS).bytes(id.0.as_bytes())
    }

    /// The instances in which a principal has a role.
    pub(crate) fn memberships(principal: &PrincipalId) -> Self {
        Self::meta(meta::MEMBERSHIP).part(principal.as_str())
    }

    /// A key of `meta` that belongs to a tenant.
    pub(crate) fn of_tenant(kind: u8, incarnation: Incarnation) -> Self {
        Self::meta(kind).number(incarnation.0)
    }

    pub(crate) fn job(kind: u8, incarnation: Incarnation, job: JobId) -> Self {
        Self::of_tenant(kind, incarnation).bytes(job.0.as_bytes())
    }

    pub(crate) fn upload(incarnation: Incarnation, snapshot: SnapshotId) -> Self {
        Self::of_tenant(meta::UPLOAD, incarnation).bytes(snapshot.0.as_bytes())
    }

    /// What concerns a data source.
    pub(crate) fn source(kind: u8, incarnation: Incarnation, source: DataSourceId) -> Self {
        Self::of_tenant(kind, incarnation).bytes(source.0.as_bytes())
    }

    pub(crate) fn schedule(incarnation: Incarnation, schedule: ScheduleId) -> Self {
        Self::of_tenant(meta::SCHEDULE, incarnation).bytes(schedule.0.as_bytes())
    }

    /// The range of one tenant in `base`, `overlay` and `activities`.
    pub(crate) fn tenant(incarnation: Incarnation) -> Self {
        Self::empty().number(incarnation.0)
    }

    /// The range of one table in `base`.
    pub(crate) fn table(incarnation: Incarnation, table: TableId) -> Self {
        Self::tenant(incarnation).number(table.0)
    }

    pub(crate) fn overlay(incarnation: Incarnation, profile: &ProfileId) -> Self {
        Self::tenant(incarnation).bytes(profile.as_str().as_bytes())
    }

    pub(crate) fn identity(incarnation: Incarnation, id: &ActivityId) -> Self {
        let key = Self::tenant(incarnation).byte(activities::IDENTITY);
        key.bytes(id.as_str().as_bytes())
    }

    /// The range of an owner's activities; an activity's key goes on with `time` and its id.
    pub(crate) fn activities(incarnation: Incarnation, owner: &Owner) -> Self {
        let key = Self::tenant(incarnation).byte(activities::ACTIVITY);
        match owner {
            Owner::Profile(id) => key.byte(b'p').id(id),
            Owner::Key { entity, key: value } => key.byte(b'k').part(entity).part(value),
        }
    }

    pub(crate) fn activity(
        incarnation: Incarnation,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Self {
        let key = Self::activities(incarnation, owner).newest_first(time);
        key.bytes(id.as_str().as_bytes())
    }

    pub(crate) fn empty() -> Self {
        Self(Vec::with_capacity(BYTES_USUAL))
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// A profile id with more behind it; ids hold no control character, so the end is clear.
    pub(crate) fn id(self, id: &ProfileId) -> Self {
        self.bytes(id.as_str().as_bytes()).byte(END)
    }

    /// Any text; one that is long or holds a NUL is hashed.
    pub(crate) fn part(self, text: &str) -> Self {
        if text.len() <= PART_BYTES_MAX && !text.contains('\0') {
            self.byte(PART_PLAIN).bytes(text.as_bytes()).byte(END)
        } else {
            self.byte(PART_HASHED)
                .bytes(blake3::hash(text.as_bytes()).as_bytes())
        }
    }

    /// An instant, so that later ones stand first.
    pub(crate) fn newest_first(self, time: Instant) -> Self {
        self.number(!ascending(time))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        // Without the room that is left: keys are kept for long.
        bytes::Bytes::copy_from_slice(&self.0)
    }
}

/// Reads what `newest_first` wrote.
pub(crate) fn read_newest_first(bytes: &[u8]) -> Option<Instant> {
    let number = !u64::from_be_bytes(bytes.try_into().ok()?);
    Some(Instant::from_millis((number ^ (1 << 63)).cast_signed()))
}

fn ascending(time: Instant) -> u64 {
    time.as_millis().cast_unsigned() ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(entity: &str, key: &str) -> Vec<u8> {
        let owner = Owner::Key {
            entity: entity.to_owned(),
            key: key.to_owned(),
        };
        Key::activities(Incarnation(1), &owner).0
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(owner("ab", "c"), owner("a", "bc"));
        assert_ne!(owner("a", ""), owner("", "a"));
        let long = "x".repeat(PART_BYTES_MAX + 1);
        assert_ne!(owner("a", &long), owner("a", &format!("{long}x")));
        assert!(owner("a", &"x".repeat(100_000)).len() < 100);
        assert!(!owner("a", "b").starts_with(&owner("a", "")));
    }

    #[test]
    fn later_instants_stand_first_and_read_back() {
        let times = [
            Instant::MIN,
            Instant::from_millis(-1),
            Instant::from_millis(0),
            Instant::MAX,
        ];
        let keys: Vec<_> = times
            .iter()
            .map(|time| Key::empty().newest_first(*time).0)
            .collect();
        assert!(keys.windows(2).all(|pair| pair[0] > pair[1]));
        let read: Vec<_> = keys
            .iter()
            .map(|key| read_newest_first(key).unwrap())
            .collect();
        assert_eq!(read, times);
    }

    #[test]
    fn a_tenant_is_a_range_of_its_own() {
        let id = ProfileId::parse("p").unwrap();
        let one = Key::overlay(Incarnation(1), &id).0;
        assert!(one.starts_with(Key::tenant(Incarnation(1)).as_bytes()));
        assert!(!one.starts_with(Key::tenant(Incarnation(2)).as_bytes()));
    }
}
