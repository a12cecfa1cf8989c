//! Whose timeline an activity stands in now. Owns the resolution of owners (rules 4.4, 6.6).

use sanntid_types::{Error, ProfileId};

use crate::ports::View;
use crate::profile::{locate, view_error};
use crate::record::Owner;
use crate::tenant::TenantState;

/// Gives the existing profile that an owner is now; `None` while there is none.
pub fn owner_profile(
    view: &dyn View,
    tenant: &TenantState,
    owner: &Owner,
) -> Result<Option<ProfileId>, Error> {
    match owner {
        Owner::Profile(id) => locate(view, tenant, id),
        Owner::Key { entity, key } => match tenant.customer() {
            Some(customer) => view
                .resolve_key(customer.table, entity, key)
                .map_err(view_error),
            None => Ok(None),
        },
    }
}
