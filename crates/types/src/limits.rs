//! How much an instance, a caller and a profile may use, and what each such limit is called.
//! Owns names, defaults and ranges. Must not count anything.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, InstanceLimits};

const MIB: u64 = 1 << 20;

/// Names a limit of a caller's, as it stands in `Sanntid-Limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitName {
    RequestsPerSecond,
    BytesPerSecond,
    ConcurrentRequests,
    CallerRequestsPerSecond,
    ProfileWritesPerSecond,
    BatchItems,
    FieldsPerUpdate,
    OverlayFields,
    Activities,
    StoredBytes,
    /// Failed attempts to get in, from one address.
    FailedAttempts,
}

/// Says how a limit is met, and so what its refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// It is there again within a second.
    Rate,
    /// It is there again once something has ended.
    Stored,
    /// The same request is always too large.
    Size,
}

impl LimitName {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::RequestsPerSecond,
        Self::BytesPerSecond,
        Self::ConcurrentRequests,
        Self::CallerRequestsPerSecond,
        Self::ProfileWritesPerSecond,
        Self::BatchItems,
        Self::FieldsPerUpdate,
        Self::OverlayFields,
        Self::Activities,
        Self::StoredBytes,
        Self::FailedAttempts,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requestsPerSecond",
            Self::BytesPerSecond => "bytesPerSecond",
            Self::ConcurrentRequests => "concurrentRequests",
            Self::CallerRequestsPerSecond => "callerRequestsPerSecond",
            Self::ProfileWritesPerSecond => "profileWritesPerSecond",
            Self::BatchItems => "batchItems",
            Self::FieldsPerUpdate => "fieldsPerUpdate",
            Self::OverlayFields => "overlayFields",
            Self::Activities => "activities",
            Self::StoredBytes => "storedBytes",
            Self::FailedAttempts => "failedAttempts",
        }
    }

    /// Finds a limit by its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == text)
    }

    /// How it is met.
    pub fn kind(self) -> LimitKind {
        match self {
            Self::RequestsPerSecond
            | Self::BytesPerSecond
            | Self::ConcurrentRequests
            | Self::CallerRequestsPerSecond
            | Self::ProfileWritesPerSecond
            | Self::FailedAttempts => LimitKind::Rate,
            Self::OverlayFields | Self::Activities | Self::StoredBytes => LimitKind::Stored,
            Self::BatchItems | Self::FieldsPerUpdate => LimitKind::Size,
        }
    }

    /// What a caller sees who has met it; `most` is the limit.
    pub fn error(self, most: u64) -> Error {
        let name = self.name();
        let (code, text) = match self.kind() {
            LimitKind::Rate => (
                ErrorCode::LimitExceeded,
                format!("the limit {name} of {most} is met; nothing was stored"),
            ),
            LimitKind::Stored => (
                ErrorCode::LimitExceeded,
                format!(
                    "the instance holds as much as it may: {name} is {most}; nothing was stored. \
                     What has ended makes room, and an operator can raise the limit"
                ),
            ),
            LimitKind::Size => (
                ErrorCode::BodyTooLarge,
                format!("the request holds more than {most}, the limit {name}"),
            ),
        };
        Error::new(code, text).with_target(name)
    }
}

/// Holds the limits that are in effect; 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests per second of one instance.
    pub requests_per_second: u32,
    /// Bytes of bodies per second of one instance.
    pub bytes_per_second: u64,
    /// Requests of one instance under way at the same time.
    pub concurrent_requests: u32,
    /// Requests per second of one key or principal in one instance.
    pub caller_requests_per_second: u32,
    /// Updates per second of one profile.
    pub profile_writes_per_second: u32,
    /// Lines of a bulk request, or items of a batch.
    pub batch_items: u32,
    /// Fields of one update.
    pub fields_per_update: u32,
    /// Overridden fields that live at the same time in one instance.
    pub overlay_fields: u64,
    /// Activities that live at the same time in one instance and came by calls.
    pub activities: u64,
    /// Bytes of live updates and activities of one instance that came by calls.
    pub stored_bytes: u64,
    /// Failed attempts per second to get in, from one address; five times as many may come at once.
    pub failed_attempts_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 10_000,
            bytes_per_second: 256 * MIB,
            concurrent_requests: 1000,
            caller_requests_per_second: 10_000,
            profile_writes_per_second: 1000,
            batch_items: 0,
            fields_per_update: 1000,
            overlay_fields: 20_000_000,
            activities: 20_000_000,
            stored_bytes: 16 * 1024 * MIB,
            failed_attempts_per_second: 20,
        }
    }
}

/// The least that a limit of bytes per second can be, but for none at all: bodies are let in by
/// pieces of so many.
pub const BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

impl Limits {
    /// What is in effect in an instance, of which `own` was set.
    #[must_use]
    pub fn with(mut self, own: &InstanceLimits) -> Self {
        fn set<T: Copy>(limit: &mut T, own: Option<T>) {
            *limit = own.unwrap_or(*limit);
        }
        let InstanceLimits {
            requests_per_second,
            bytes_per_second,
            concurrent_requests,
            caller_requests_per_second,
            profile_writes_per_second,
            batch_items,
            fields_per_update,
            overlay_fields,
            activities,
            stored_bytes,
        } = *own;
        set(&mut self.requests_per_second, requests_per_second);
        set(&mut self.bytes_per_second, bytes_per_second);
        set(&mut self.concurrent_requests, concurrent_requests);
        set(
            &mut self.caller_requests_per_second,
            caller_requests_per_second,
        );
        set(
            &mut self.profile_writes_per_second,
            profile_writes_per_second,
        );
        set(&mut self.batch_items, batch_items);
        set(&mut self.fields_per_update, fields_per_update);
        set(&mut self.overlay_fields, overlay_fields);
        set(&mut self.activities, activities);
        set(&mut self.stored_bytes, stored_bytes);
        self
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// `InvalidArgument` names the limit that is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let bytes = self.bytes_per_second;
        if bytes == 0 || (BYTES_PER_SECOND_MIN..=u64::from(u32::MAX)).contains(&bytes) {
            return Ok(());
        }
        let text = format!(
            "bytes per second are {BYTES_PER_SECOND_MIN} to {}, or 0 for no limit",
            u32::MAX
        );
        let name = LimitName::BytesPerSecond.name();
        Err(Error::new(ErrorCode::InvalidArgument, text).with_target(name))
    }
}

/// Holds what an instance keeps of what came by calls.
///
/// Never less than what lives: what has ended counts until it is counted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub overlay_fields: u64,
    pub activities: u64,
    /// Of texts and values, not of the store's files.
    pub stored_bytes: u64,
}

impl Usage {
    /// What it is once `before` has given way to `after`.
    #[must_use]
    pub fn changed(self, before: Self, after: Self) -> Self {
        let changed = |now: u64, before: u64, after: u64| (now + after).saturating_sub(before);
        Self {
            overlay_fields: changed(
                self.overlay_fields,
                before.overlay_fields,
                after.overlay_fields,
            ),
            activities: changed(self.activities, before.activities, after.activities),
            stored_bytes: changed(self.stored_bytes, before.stored_bytes, after.stored_bytes),
        }
    }

    /// Adds what something else keeps.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.changed(Self::default(), other)
    }
}

impl Limits {
    /// Refuses what grows beyond a limit of what is kept; what does not grow may stay as it is.
    ///
    /// # Errors
    /// `LimitExceeded` names the limit.
    pub fn check_usage(&self, before: Usage, after: Usage) -> Result<(), Error> {
        for (limit, most, before, after) in [
            (
                LimitName::OverlayFields,
                self.overlay_fields,
                before.overlay_fields,
                after.overlay_fields,
            ),
            (
                LimitName::Activities,
                self.activities,
                before.activities,
                after.activities,
            ),
            (
                LimitName::StoredBytes,
                self.stored_bytes,
                before.stored_bytes,
                after.stored_bytes,
            ),
        ] {
            if most > 0 && after > most && after > before {
                return Err(limit.error(most));
            }
        }
        Ok(())
    }

    /// Refuses an update of so many fields where that is too many.
    ///
    /// # Errors
    /// `BodyTooLarge` names the limit.
    pub fn check_fields(&self, fields: usize) -> Result<(), Error> {
        let most = self.fields_per_update;
        let fields = u32::try_from(fields).unwrap_or(u32::MAX);
        if most == 0 || fields <= most {
            return Ok(());
        }
        Err(LimitName::FieldsPerUpdate.error(most.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_has_of_its_own_comes_before_the_defaults() {
        let own = InstanceLimits {
            requests_per_second: Some(7),
            activities: Some(0),
            ..InstanceLimits::default()
        };
        let limits = Limits::default().with(&own);
        let expected = Limits {
            requests_per_second: 7,
            activities: 0,
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn every_limit_has_its_name_and_its_refusal() {
        for limit in LimitName::ALL {
            assert_eq!(LimitName::parse(limit.name()), Some(limit));
            let error = limit.error(5);
            assert_eq!(error.target.as_deref(), Some(limit.name()));
            assert!(error.message.contains('5'), "{}", error.message);
        }
        assert_eq!(LimitName::parse("load"), None);
    }

    #[test]
    fn what_grows_beyond_a_limit_is_refused_and_what_shrinks_is_not() {
        let usage = |overlay_fields, activities, stored_bytes| Usage {
            overlay_fields,
            activities,
            stored_bytes,
        };
        let limits = Limits {
            overlay_fields: 10,
            activities: 0,
            stored_bytes: 100,
            ..Limits::default()
        };
        for (before, after, met) in [
            (usage(9, 5, 50), usage(10, 6, 100), None),
            (usage(10, 0, 50), usage(11, 0, 51), Some("overlayFields")),
            (usage(10, 0, 100), usage(10, 0, 101), Some("storedBytes")),
            // A limit that was lowered.
            (usage(20, 0, 200), usage(20, 0, 150), None),
            (usage(20, 0, 200), usage(21, 0, 150), Some("overlayFields")),
            (usage(0, 1 << 40, 0), usage(0, 1 << 41, 0), None),
        ] {
            let refused = limits.check_usage(before, after).err();
            let target = refused.and_then(|error| error.target);
            assert_eq!(target.as_deref(), met, "{before:?} {after:?}");
        }
        assert_eq!(
            usage(5, 1, 100).changed(usage(2, 0, 30), usage(1, 1, 80)),
            usage(4, 2, 150)
        );
        assert_eq!(
            usage(1, 0, 0)
                .changed(usage(2, 0, 0), usage(0, 0, 0))
                .overlay_fields,
            0
        );
    }

    #[test]
    fn a_rate_of_bytes_has_a_range() {
        for (bytes, is_good) in [
            (0, true),
            (1, false),
            (BYTES_PER_SECOND_MIN - 1, false),
            (BYTES_PER_SECOND_MIN, true),
            (u64::from(u32::MAX), true),
            (u64::from(u32::MAX) + 1, false),
        ] {
            let limits = Limits {
                bytes_per_second: bytes,
                ..Limits::default()
            };
            assert_eq!(limits.check().is_ok(), is_good, "{bytes}");
        }
    }
}
