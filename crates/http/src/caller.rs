//! Who calls, and what they may do where. Owns identities; must not read a credential.

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use sanntid_types::{
    Actor, ApiKey, ApiKeys, Assignment, Error, ErrorCode, InstanceAccess, InstanceId, KeySlot,
    Principals, Role,
};

use crate::error::Failure;
use crate::observe::operation_of;
use crate::render::RequestId;

/// Holds who calls. Only an admitted request has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever has the server's own key: may do everything, on every instance.
    Operator,
    /// Whoever has one of an instance's keys.
    Key(InstanceKey),
    /// Whoever an identity provider vouches for.
    Principal(Arc<Principals>),
}

/// Tells which key it was, so that a caller ends with it, also in the middle of a long request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceKey {
    pub(crate) instance: InstanceId,
    pub(crate) slot: KeySlot,
    /// Of the key's text.
    pub(crate) hash: blake3::Hash,
}

impl InstanceKey {
    /// Whether an instance still takes this key.
    pub(crate) fn is_taken(&self, keys: &ApiKeys) -> bool {
        // Comparing blake3 hashes is constant-time.
        let is_it = |key: &ApiKey| blake3::Hash::from_bytes(key.hash) == self.hash;
        keys.enabled && keys.get(self.slot).is_some_and(is_it)
    }
}

impl Caller {
    /// What people call it; the same for the same caller, and never a secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Operator => "administrator".to_owned(),
            Self::Key(key) => format!("key:{}", key.slot.name()),
            Self::Principal(principals) => principals.name(),
        }
    }

    pub(crate) fn is_operator(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Key(..) => false,
            Self::Principal(principals) => principals.is_operator,
        }
    }

    /// The highest role in an instance, of which `access` tells; `None` where it has none there.
    pub(crate) fn role_in(&self, instance: InstanceId, access: &InstanceAccess) -> Option<Role> {
        match self {
            Self::Operator => Some(Role::Administrator),
            Self::Key(key) => {
                let is_its = key.instance == instance && key.is_taken(&access.keys);
                is_its.then_some(access.keys.role)
            }
            Self::Principal(principals) if principals.is_operator => Some(Role::Administrator),
            Self::Principal(principals) => {
                let given = given(principals, access);
                given.flat_map(|one| &one.roles).max().copied()
            }
        }
    }

    /// All roles in an instance, of which `access` tells, the least first.
    pub(crate) fn roles_in(&self, instance: InstanceId, access: &InstanceAccess) -> Vec<Role> {
        let roles: BTreeSet<Role> = match self {
            Self::Principal(principals) if !principals.is_operator => {
                let given = given(principals, access);
                given.flat_map(|one| &one.roles).copied().collect()
            }
            Self::Operator | Self::Key(_) | Self::Principal(_) => {
                self.role_in(instance, access).into_iter().collect()
            }
        };
        roles.into_iter().collect()
    }

    /// Who an audit record names.
    pub(crate) fn actor(&self, request: &HttpRequest) -> Actor {
        actor(self.name(), request)
    }
}

/// Who an audit record names, by what people call them.
pub(crate) fn actor(name: String, request: &HttpRequest) -> Actor {
    let id = request.extensions().get::<RequestId>().cloned();
    Actor {
        name,
        address: request.peer_addr().map(|peer| peer.ip().to_string()),
        request_id: id.map(|id| id.as_str().to_owned()),
        operation: operation_of(request).to_owned(),
    }
}

/// The assignments that are the caller's own or its groups'. They stand in the order of their ids, so
/// each is looked up.
fn given<'a>(
    principals: &'a Principals,
    access: &'a InstanceAccess,
) -> impl Iterator<Item = &'a Assignment> {
    let found = principals.all().filter_map(|id| {
        let all = &access.assignments;
        let at = all.binary_search_by(|one| one.principal.cmp(id)).ok()?;
        all.get(at)
    });
    found.filter(|one| principals.has(one))
}

/// A handler that takes a `Caller` can't be reached without one.
impl FromRequest for Caller {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        let nobody = || Error::new(ErrorCode::Unauthorized, "a key is needed").into();
        ready(caller.ok_or_else(nobody))
    }
}

#[cfg(test)]
mod tests {
    use sanntid_types::{Instant, PrincipalId, PrincipalType};
    use uuid::Uuid;

    use super::*;

    const ONE: InstanceId = InstanceId(Uuid::from_u128(1));
    const TWO: InstanceId = InstanceId(Uuid::from_u128(2));

    fn id(text: &str) -> PrincipalId {
        PrincipalId::parse(text).unwrap()
    }

    fn principal(kind: PrincipalType, name: &str, groups: &[&str]) -> Caller {
        let groups = groups.iter().map(|name| id(name)).collect();
        Caller::Principal(Arc::new(Principals::new(id(name), kind, groups)))
    }

    fn given(assignments: &[(PrincipalType, &str, &[Role])]) -> InstanceAccess {
        let given = |(kind, name, roles): &(PrincipalType, &str, &[Role])| Assignment {
            principal: id(name),
            kind: *kind,
            roles: roles.to_vec(),
        };
        let mut assignments: Vec<Assignment> = assignments.iter().map(given).collect();
        assignments.sort_by(|one, other| one.principal.cmp(&other.principal));
        InstanceAccess {
            assignments,
            ..InstanceAccess::default()
        }
    }

    #[test]
    fn a_role_comes_from_the_caller_itself_and_from_all_its_groups() {
        use PrincipalType::{App, Group, User};
        use Role::{Administrator, Contributor, Viewer};
        let access = given(&[
            (User, "kari", &[Viewer]),
            (App, "crm", &[Contributor, Viewer]),
            (Group, "writers", &[Contributor]),
            (Group, "owners", &[Administrator]),
            (User, "nobody", &[]),
        ]);
        for (caller, roles) in [
            (principal(User, "kari", &[]), &[Viewer][..]),
            (principal(App, "crm", &[]), &[Viewer, Contributor]),
            (
                principal(User, "kari", &["writers"]),
                &[Viewer, Contributor],
            ),
            (
                principal(User, "kari", &["others", "owners", "writers"]),
                &[Viewer, Contributor, Administrator],
            ),
            (principal(User, "ola", &["owners"]), &[Administrator]),
            (principal(User, "ola", &["others"]), &[]),
            (principal(User, "nobody", &[]), &[]),
            // An id means what it was assigned as, and nothing else.
            (principal(App, "kari", &[]), &[]),
            (principal(User, "crm", &[]), &[]),
            (principal(User, "owners", &[]), &[]),
            (principal(Group, "owners", &[]), &[]),
            (principal(User, "ola", &["kari", "crm"]), &[]),
            // Look-alikes are others.
            (principal(User, "Kari", &[]), &[]),
            (principal(User, "kаri", &[]), &[]),
            (principal(User, "kari\u{200b}", &[]), &[]),
            (principal(User, "kar", &["owner", "ownerss", "öwners"]), &[]),
        ] {
            assert_eq!(caller.roles_in(ONE, &access), roles, "{caller:?}");
            assert_eq!(
                caller.role_in(ONE, &access),
                roles.last().copied(),
                "{caller:?}"
            );
        }
        assert_eq!(
            Caller::Operator.role_in(ONE, &given(&[])),
            Some(Administrator)
        );
    }

    #[test]
    fn an_operator_by_token_needs_no_assignment() {
        let mut principals = Principals::new(id("kari"), PrincipalType::User, Vec::new());
        principals.is_operator = true;
        let caller = Caller::Principal(Arc::new(principals));
        assert!(caller.is_operator());
        assert_eq!(caller.roles_in(ONE, &given(&[])), [Role::Administrator]);
    }

    #[test]
    fn a_key_means_something_in_its_own_instance_as_long_as_it_is_taken() {
        let kept = |text: &str| ApiKey {
            hash: *sanntid_engine::key_hash(text).as_bytes(),
            hint: String::new(),
            made_at: Instant::MIN,
            made_by: String::new(),
        };
        let caller = |text: &str, slot| {
            Caller::Key(InstanceKey {
                instance: ONE,
                slot,
                hash: sanntid_engine::key_hash(text),
            })
        };
        let (first, second) = (
            caller("a", KeySlot::Primary),
            caller("b", KeySlot::Secondary),
        );
        let mut access = given(&[]);
        assert_eq!(first.role_in(ONE, &access), None, "no key was made");
        access.keys.primary = Some(kept("a"));
        access.keys.secondary = Some(kept("b"));
        for caller in [&first, &second] {
            assert_eq!(caller.role_in(ONE, &access), Some(Role::Contributor));
            assert_eq!(caller.role_in(TWO, &access), None, "another's instance");
        }
        for (text, slot) in [
            ("a", KeySlot::Secondary),
            ("A", KeySlot::Primary),
            ("", KeySlot::Primary),
        ] {
            assert_eq!(caller(text, slot).role_in(ONE, &access), None, "{text:?}");
        }
        access.keys.primary = Some(kept("c"));
        assert_eq!(first.role_in(ONE, &access), None, "it was made anew");
        assert_eq!(second.role_in(ONE, &access), Some(Role::Contributor));
        access.keys.enabled = false;
        assert_eq!(second.role_in(ONE, &access), None);
    }
}
