//! A request's query options: decoded, each asked for by name, the rest refused.

use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode;
use sanntid_types::{Error, ErrorCode};

use crate::error::Failure;
use crate::key::KEY_OPTION;

/// Most options of one request.
const OPTIONS_MAX: usize = 100;

/// Holds the query options that nobody has taken yet.
#[derive(Debug)]
#[must_use = "`finish` refuses the options that are left"]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part of a URL behind `?`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == OPTIONS_MAX {
                return Err(invalid(format!(
                    "a request has at most {OPTIONS_MAX} query options"
                )));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// Appends the options of a query that came inside a path.
    pub(crate) fn extend(&mut self, pairs: Vec<(String, String)>) {
        self.pairs.extend(pairs);
    }

    /// Takes the value of an option; one that comes twice is refused.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut value = None;
        let mut twice = false;
        self.pairs.retain(|(found, text)| {
            if found != name {
                return true;
            }
            twice |= value.replace(text.clone()).is_some();
            false
        });
        if twice {
            let text = format!("the query option {name} stands here twice");
            return Err(invalid(text).with_target(name));
        }
        Ok(value)
    }

    /// Takes every value of an option that may come several times.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.pairs)
            .into_iter()
            .partition(|(found, _)| found == name);
        self.pairs = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes an option that must be there.
    pub(crate) fn needed(&mut self, name: &str) -> Result<String, Error> {
        let value = self.option(name)?.filter(|value| !value.is_empty());
        let missing = || invalid(format!("the query option {name} is missing"));
        value.ok_or_else(|| missing().with_target(name))
    }

    /// Takes an option that is `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.option(name)? else {
            return Ok(None);
        };
        if value.eq_ignore_ascii_case("true") {
            return Ok(Some(true));
        }
        if value.eq_ignore_ascii_case("false") {
            return Ok(Some(false));
        }
        let text = format!("{name} is true or false, not {}", shown(&value));
        Err(invalid(text).with_target(name))
    }

    /// Takes an option that is a whole number of a range.
    pub(crate) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Error> {
        let Some(value) = self.option(name)? else {
            return Ok(None);
        };
        let number = value
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (from, to) = (range.start(), range.end());
                let text = format!(
                    "{name} is a whole number from {from} to {to}, not {}",
                    shown(&value)
                );
                invalid(text).with_target(name)
            })?;
        Ok(Some(number))
    }

    /// Gives what is left, the key apart, for a reader that knows further options.
    pub(crate) fn rest(mut self) -> Vec<(String, String)> {
        self.pairs.retain(|(name, _)| name != KEY_OPTION);
        self.pairs
    }

    /// Refuses the options that are left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.rest().first() {
            None => Ok(()),
            Some((name, _)) => {
                let text = format!("the query option {} is unknown here", shown(name));
                Err(invalid(text).with_target(name.chars().take(40).collect::<String>()))
            }
        }
    }
}

impl FromRequest for Query {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()).map_err(Failure::from))
    }
}

/// Says a caller's text back, cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() == text.len() {
        format!("{cut:?}")
    } else {
        format!("{cut:?}…")
    }
}

fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    match decoded {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid(format!(
            "the query option {} is not UTF-8",
            shown(text)
        ))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_decoded_and_taken_once() {
        let mut query = Query::parse("a=1%2B2&b=x+y&&c&top=7").expect("query");
        assert_eq!(query.option("a"), Ok(Some("1+2".to_owned())));
        assert_eq!(query.option("a"), Ok(None));
        assert_eq!(query.option("b"), Ok(Some("x y".to_owned())));
        assert_eq!(query.number("top", 1..=7), Ok(Some(7)));
        let left = query.finish().expect_err("c is left");
        assert_eq!(left.target.as_deref(), Some("c"));
    }

    #[test]
    fn bad_options_are_refused() {
        assert!(Query::parse("a=%ff").is_err());
        assert!(Query::parse(&"a=1&".repeat(101)).is_err());
        let mut twice = Query::parse("a=1&a=1").expect("query");
        assert!(twice.option("a").is_err());
        for bad in ["0", "8", "-1", "x", "", "7.0"] {
            let mut query = Query::parse(&format!("top={bad}")).expect("query");
            assert!(query.number("top", 1..=7).is_err(), "{bad:?}");
        }
        let mut query = Query::parse("explain=yes").expect("query");
        assert!(query.flag("explain").is_err());
        assert!(Query::parse("a=").expect("query").needed("a").is_err());
    }

    #[test]
    fn the_key_is_no_unknown_option() {
        let query = Query::parse("subscription-key=k").expect("query");
        assert_eq!(query.finish(), Ok(()));
    }
}
