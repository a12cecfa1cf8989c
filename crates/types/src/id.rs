//! Identifiers and counters. Owns their limits: private fields, built by `parse`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

/// Longest id of a profile or an activity, in characters (rules 4.2).
pub(crate) const ID_LENGTH_MAX: usize = 100;
/// Longest caller name, in characters (rules 3.4).
pub(crate) const CALLER_LENGTH_MAX: usize = 256;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

counter!(
    /// Counts the commits of an instance, without gaps, in commit order (rules 2.2).
    Position
);
counter!(
    /// Numbers the lives of instances; never reused; part of every storage key (rules 6.12).
    Incarnation
);
counter!(
    /// Numbers the loaded snapshots of an instance.
    Generation
);
counter!(
    /// Numbers the loads of single entities; a generation names the table of each of its entities.
    TableId
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// Reads a UUID in any of its usual spellings.
            pub fn parse(text: &str) -> Option<Self> {
                uuid::Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// Identifies one customer's isolated environment; the key of isolation.
    InstanceId
);
uuid_id!(
    /// Identifies one run of a refresh.
    JobId
);
uuid_id!(
    /// Identifies one snapshot upload.
    SnapshotId
);
uuid_id!(
    /// Identifies one data source of an instance.
    DataSourceId
);
uuid_id!(
    /// Identifies a refresh schedule of an instance.
    ScheduleId
);
uuid_id!(
    /// Identifies one record of an audit log.
    AuditId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Reads a text of 1 to the documented number of characters, none a control character.
            pub fn parse(text: &str) -> Result<Self, Error> {
                check_text($what, text, $max)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Identifies one row of the entity `Customer`: 1 to 100 characters.
    ProfileId, "profile id", ID_LENGTH_MAX
);
text_id!(
    /// Identifies one activity in an instance, whatever the customer: 1 to 100 characters.
    ActivityId, "activity id", ID_LENGTH_MAX
);
text_id!(
    /// Names the writer of an update: 1 to 256 characters.
    CallerName, "caller", CALLER_LENGTH_MAX
);

/// Names an entity: 1 to 100 characters of `[A-Za-z0-9_]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntityName(std::sync::Arc<str>);

impl EntityName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check_text("entity name", text, ID_LENGTH_MAX)?;
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("entity name {text:?} has characters outside A-Z, a-z, 0-9 and _"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EntityName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<EntityName> for String {
    fn from(name: EntityName) -> Self {
        name.as_str().to_owned()
    }
}

impl std::fmt::Display for EntityName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_text(what: &str, text: &str, max: usize) -> Result<(), Error> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else if text.chars().count() > max {
        format!("is longer than {max} characters")
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::InvalidArgument,
        format!("the {what} {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_limits() {
        assert!(ProfileId::parse(&"å".repeat(100)).is_ok());
        for bad in ["", "a\0b", "a\nb", "\u{85}", &"x".repeat(101)] {
            assert!(ProfileId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(EntityName::parse("Loyalty Tier").is_err());
        assert!(EntityName::parse("Ecommerce_Contacts").is_ok());
        assert!(InstanceId::parse("no").is_none());
    }
}
