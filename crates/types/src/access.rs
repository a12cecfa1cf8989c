//! Who may do what within one instance: roles, principals, the two keys, and who acts.
//!
//! Owns the words of access control and what an instance is told about it. Must not hold a key's
//! text, nor decide what a call needs.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, Instant};

/// Longest id of a principal, in bytes.
const PRINCIPAL_BYTES_MAX: usize = 256;

/// Says what a principal may do within one instance. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Reads everything but configuration of access.
    Viewer,
    /// Also writes updates and activities.
    Contributor,
    /// Also configures, refreshes, simulates, and says who may do what.
    Administrator,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Contributor, Self::Administrator];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Contributor => "contributor",
            Self::Administrator => "administrator",
        }
    }

    /// Finds a role by its name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.name().eq_ignore_ascii_case(text))
    }
}

/// Says what a principal is, with the published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalType {
    User,
    Group,
    App,
}

impl PrincipalType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::App];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::App => "app",
        }
    }

    /// Finds a kind by its name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name().eq_ignore_ascii_case(text))
    }
}

/// Identifies a principal as an identity provider does: 1 to 256 bytes, no control characters, no
/// blank at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(String);

impl PrincipalId {
    /// Reads an id. It is compared byte by byte: look-alikes are others.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_good = (1..=PRINCIPAL_BYTES_MAX).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if is_good {
            return Ok(Self(text.to_owned()));
        }
        let message = format!(
            "the id of a principal has 1 to {PRINCIPAL_BYTES_MAX} bytes, no control character, and \
             no blank at its ends"
        );
        Err(Error::new(ErrorCode::InvalidArgument, message).with_target("principalId"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Holds what an identity provider says about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals {
    /// The caller itself.
    pub id: PrincipalId,
    pub kind: PrincipalType,
    /// Whether the server's configuration makes it an operator.
    pub is_operator: bool,
    /// The groups that it belongs to, in order.
    groups: Vec<PrincipalId>,
}

impl Principals {
    /// Takes what is said about a caller; it belongs to `groups`.
    pub fn new(id: PrincipalId, kind: PrincipalType, mut groups: Vec<PrincipalId>) -> Self {
        groups.sort_unstable();
        groups.dedup();
        Self {
            id,
            kind,
            is_operator: false,
            groups,
        }
    }

    /// Whether it is this principal, or belongs to it where that is a group.
    pub fn is(&self, kind: PrincipalType, id: &PrincipalId) -> bool {
        match kind {
            PrincipalType::Group => self.groups.binary_search(id).is_ok(),
            PrincipalType::User | PrincipalType::App => kind == self.kind && *id == self.id,
        }
    }

    /// What people call it, such as `user:…`; the same for the same caller.
    pub fn name(&self) -> String {
        format!("{}:{}", self.kind.name(), self.id.as_str())
    }

    /// The caller itself and its groups.
    pub fn all(&self) -> impl Iterator<Item = &PrincipalId> {
        std::iter::once(&self.id).chain(&self.groups)
    }

    /// Whether an assignment is for it, or for one of its groups.
    pub fn has(&self, given: &Assignment) -> bool {
        self.is(given.kind, &given.principal)
    }
}

/// Says what one principal may do in one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub principal: PrincipalId,
    pub kind: PrincipalType,
    /// At least one; the highest counts.
    pub roles: Vec<Role>,
}

/// Names one of an instance's two keys, so that one can be made anew while the other is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySlot {
    Primary,
    Secondary,
}

impl KeySlot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    /// Finds a slot by its name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|slot| slot.name().eq_ignore_ascii_case(text))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// Holds what is kept of a key: enough to recognize it, not enough to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The BLAKE3 hash, in a context of its own, of the key's text.
    pub hash: [u8; 32],
    /// The last four characters, so that people can tell keys apart.
    pub hint: String,
    pub made_at: Instant,
    pub made_by: String,
}

/// Holds the two keys of an instance and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeys {
    /// Without it neither key is taken.
    pub enabled: bool,
    /// What whoever has a key may do.
    pub role: Role,
    pub primary: Option<ApiKey>,
    pub secondary: Option<ApiKey>,
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self {
            enabled: true,
            role: Role::Contributor,
            primary: None,
            secondary: None,
        }
    }
}

impl ApiKeys {
    /// The key of a slot, where one was made.
    pub fn get(&self, slot: KeySlot) -> Option<&ApiKey> {
        match slot {
            KeySlot::Primary => self.primary.as_ref(),
            KeySlot::Secondary => self.secondary.as_ref(),
        }
    }
}

/// Holds who may do what in one instance. It outlives a reset (rules 6.12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceAccess {
    pub keys: ApiKeys,
    /// One per principal, in the order of their ids.
    pub assignments: Vec<Assignment>,
    /// What was set for this instance; the rest is as the server is configured.
    #[serde(default)]
    pub limits: InstanceLimits,
}

/// Holds the limits that were set for one instance; what is `None` is as the server is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceLimits {
    /// Requests per second of the whole instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Bytes of bodies per second of the whole instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Requests under way at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Requests per second of one key or principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_requests_per_second: Option<u32>,
    /// Updates per second of one profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_writes_per_second: Option<u32>,
    /// Lines of a bulk request, or items of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_items: Option<u32>,
    /// Fields of one update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields_per_update: Option<u32>,
    /// Overridden fields that live at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay_fields: Option<u64>,
    /// Activities that live at the same time and came by calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activities: Option<u64>,
    /// Bytes of live updates and activities that came by calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// Says who does something, and from where: what an audit record names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Such as `administrator`, `key:primary`, `user:…`; never a secret.
    pub name: String,
    /// The network address that the request came from; `None` for what the server does by itself.
    pub address: Option<String>,
    pub request_id: Option<String>,
    /// What is done, by the name of its operation.
    pub operation: String,
}

impl Actor {
    /// The server itself, which keeps schedules; `operation` says what it does.
    pub fn server(operation: &str) -> Self {
        Self {
            name: "server".to_owned(),
            address: None,
            request_id: None,
            operation: operation.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_before_it() {
        assert!(Role::Viewer < Role::Contributor && Role::Contributor < Role::Administrator);
        for role in Role::ALL {
            assert_eq!(Role::parse(&role.name().to_uppercase()), Some(role));
        }
        for bad in ["", "owner", "viewer "] {
            assert_eq!(Role::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_principal_is_itself_and_its_groups_and_no_other_kind_of_the_same_id() {
        let id = |text: &str| PrincipalId::parse(text).unwrap();
        let groups = ["z", "a", "m", "a"].map(id).to_vec();
        let user = Principals::new(id("u"), PrincipalType::User, groups);
        assert_eq!(user.name(), "user:u");
        for (kind, name, is) in [
            (PrincipalType::User, "u", true),
            (PrincipalType::App, "u", false),
            (PrincipalType::Group, "u", false),
            (PrincipalType::User, "a", false),
            (PrincipalType::Group, "a", true),
            (PrincipalType::Group, "m", true),
            (PrincipalType::Group, "z", true),
            (PrincipalType::Group, "b", false),
        ] {
            assert_eq!(user.is(kind, &id(name)), is, "{kind:?} {name}");
        }
    }

    #[test]
    fn principals_have_limits_and_are_compared_byte_by_byte() {
        let parse = PrincipalId::parse;
        assert!(parse("00000000-0000-0000-0000-000000000001").is_ok());
        assert!(parse(&"x".repeat(256)).is_ok());
        for bad in ["", " a", "a ", "a\nb", "a\0", &"x".repeat(257)] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert_ne!(
            parse("admin").unwrap(),
            parse("аdmin").unwrap(),
            "a Cyrillic а"
        );
        assert_ne!(parse("a").unwrap(), parse("A").unwrap());
    }
}
