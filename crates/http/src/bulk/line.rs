//! What one line says: the same as a single call, its options beside the document.
//! Owns the shape of a line. Must not look into the document.

use bytes::Bytes;
use sanntid_engine::{AppendCall, OnUnknownCustomer, PatchCall, WriteCall, parse_valid_until};
use sanntid_types::{CallerName, Error, ErrorCode, Instant, ProfileId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::body::Limit;
use crate::config::Config;
use crate::write::{check_document, on_unknown};

/// Names what the lines of a request do.
pub(crate) enum Verb {
    Patch,
    Append {
        /// As it stands in the address.
        entity: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<'a> {
    id: Option<String>,
    valid_until: Option<String>,
    caller: Option<String>,
    on_unknown_customer: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Verb {
    /// The limit on a document as it is sent.
    pub(crate) fn body_limit(&self, config: &Config) -> Limit {
        match self {
            Self::Patch => Limit::new("body_bytes_max", config.body_bytes_max),
            Self::Append { .. } => {
                Limit::new("activity_body_bytes_max", config.activity_body_bytes_max)
            }
        }
    }

    /// Reads a line.
    pub(crate) fn call(&self, line: &Bytes, config: &Config) -> Result<WriteCall, Error> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let place = error.valid_up_to();
            invalid(format!("the line is not UTF-8: byte {place} is wrong"))
        })?;
        if text.trim().is_empty() {
            return Err(invalid("the line is empty".to_owned()));
        }
        let document: Document<'_> = serde_json::from_str(text)
            .map_err(|error| invalid(format!("the line can't be read: {error}; {EXPECTED}")))?;
        let body = document.body.map(RawValue::get).unwrap_or_default();
        if body.is_empty() {
            return Err(missing("body"));
        }
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        self.body_limit(config).check(length)?;
        let (valid_until, caller) = (document.valid_until()?, document.caller()?);
        let body = line.slice_ref(body.as_bytes());
        match self {
            Self::Patch => Ok(WriteCall::Patch(PatchCall {
                profile: document.profile()?,
                body,
                valid_until,
                caller,
                if_match: None,
            })),
            Self::Append { entity } => {
                check_document(&body, config.document_bytes_max)?;
                Ok(WriteCall::Append(AppendCall {
                    entity: entity.clone(),
                    body,
                    valid_until,
                    caller,
                    on_unknown: document.on_unknown()?,
                }))
            }
        }
    }
}

impl Document<'_> {
    fn profile(&self) -> Result<ProfileId, Error> {
        if self.on_unknown_customer.is_some() {
            return Err(misplaced("onUnknownCustomer", "it belongs to activities"));
        }
        let id = self.id.as_deref().ok_or_else(|| missing("id"))?;
        ProfileId::parse(id).map_err(|error| error.with_target("id"))
    }

    fn on_unknown(&self) -> Result<OnUnknownCustomer, Error> {
        if self.id.is_some() {
            let text = "it names a profile to update; an activity's own is ActivityId of its body";
            return Err(misplaced("id", text));
        }
        on_unknown(self.on_unknown_customer.as_deref())
    }

    fn valid_until(&self) -> Result<Option<Instant>, Error> {
        self.valid_until
            .as_deref()
            .map(parse_valid_until)
            .transpose()
    }

    fn caller(&self) -> Result<Option<CallerName>, Error> {
        let caller = self.caller.as_deref().map(CallerName::parse).transpose();
        caller.map_err(|error| error.with_target("caller"))
    }
}

const EXPECTED: &str = "expected an object such as {\"body\": {…}}";

fn missing(field: &str) -> Error {
    let text = format!("the line has no {field}; {EXPECTED}");
    Error::new(ErrorCode::MissingField, text).with_target(field)
}

fn misplaced(field: &str, why: &str) -> Error {
    let text = format!("{field} can't stand in this line: {why}");
    Error::new(ErrorCode::InvalidArgument, text).with_target(field)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidBody, message)
}
