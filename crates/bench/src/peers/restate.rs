//! Owns Restate as a peer: a virtual object that keeps a customer's fields, called over HTTP.

use crate::data;
use crate::http::write_request;
use crate::load::pick::Pick;
use crate::load::work::{Work, patch_body};

/// Calls of the handler `patch` of the virtual object `Customer`.
pub(crate) struct Calls {
    pub(crate) pick: Pick,
}

impl Work for Calls {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let customer = data::customer_id(self.pick.at(number));
        let path = format!("/Customer/{customer}/patch");
        write_request(out, "POST", &path, "", patch_body(number).as_bytes());
    }
}
