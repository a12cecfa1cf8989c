//! What a front door asks and tells about access: who may do what in an instance, and its keys.
//! Owns the port and the shapes that cross it. Must not know stores or HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sanntid_types::{
    Actor, ApiKey, ApiKeys, Assignment, InstanceAccess, InstanceId, InstanceInfo, InstanceLimits,
    KeySlot, PrincipalId, Principals, Role, Usage,
};

use crate::tenants::{CallError, Later};

/// Holds a key that was just made. It is shown once, and never kept.
pub struct NewKey {
    pub slot: KeySlot,
    pub key: ApiKey,
    /// The key's text.
    pub text: String,
}

/// Keeps who may do what. An unknown instance is `InstanceNotFound` everywhere, unless it says
/// otherwise.
///
/// A change holds from its answer on, for every request on any connection.
pub trait Access: Send + Sync + 'static {
    /// Finds who may do what in an instance, mostly from memory; `None` where there is none.
    fn access(&self, instance: InstanceId) -> Result<Option<Arc<InstanceAccess>>, CallError>;

    /// Finds the instances in which any of these is assigned a role, whatever it is, in the order of
    /// their ids; without a look at any other instance.
    fn instances_of(&self, principals: Vec<PrincipalId>) -> Later<'_, Vec<InstanceInfo>>;

    /// Makes one of the keys anew; the other goes on.
    fn renew_key(&self, instance: InstanceId, slot: KeySlot, by: Actor) -> Later<'_, NewKey>;

    /// Says whether the API may be used, and what whoever has a key may do; what is `None` stays.
    fn set_keys(
        &self,
        instance: InstanceId,
        enabled: Option<bool>,
        role: Option<Role>,
        by: Actor,
    ) -> Later<'_, ApiKeys>;

    /// Gives a principal its roles, in place of those it had; all assignments come back.
    fn assign(
        &self,
        instance: InstanceId,
        assignment: Assignment,
        by: Actor,
    ) -> Later<'_, Vec<Assignment>>;

    /// Takes a principal's roles; of one that has none it changes nothing.
    fn unassign(&self, instance: InstanceId, principal: PrincipalId, by: Actor) -> Later<'_, ()>;

    /// What an instance keeps of what came by calls.
    fn usage(&self, instance: InstanceId) -> Later<'_, Usage>;

    /// Replaces the limits that are set for an instance.
    fn set_limits(
        &self,
        instance: InstanceId,
        limits: InstanceLimits,
        by: Actor,
    ) -> Later<'_, InstanceLimits>;
}

/// Says why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It is not good: why, in words that hold nothing of it.
    Invalid(&'static str),
    /// It names a key that is not known; the identity provider may have made a new one.
    UnknownKey,
    /// The identity provider's keys can't be had, so that no token can be told from another.
    Unavailable,
}

/// Tells whom an identity provider vouches for.
pub trait Tokens: Send + Sync + 'static {
    /// Says whose token it is, from memory.
    fn verify(&self, token: &str) -> Result<Arc<Principals>, TokenRefusal>;

    /// Waits until the identity provider was asked for its keys, where that may help; for a
    /// bounded time, and often for none.
    fn renewed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Hashes a key's text. A key has more than 200 random bits, so that no slow hash is needed: nobody
/// can try them.
pub fn key_hash(text: &str) -> blake3::Hash {
    let hash = blake3::derive_key("sanntid instance key", text.as_bytes());
    blake3::Hash::from_bytes(hash)
}
