//! What stands behind `/data/`: an entity, perhaps a key, perhaps a query in the same text.
//! Owns the forms of such a path. Takes decoded text; must not look anything up.

use sanntid_types::{ActivityId, CUSTOMER, EntityName, Error, ErrorCode, ProfileId, Result};

use crate::message::{invalid, not_served, shown};

const TARGET: &str = "path";
const FORMS: &str = "expected Entity, Entity('key') or Entity/key";

/// Names an entity or one row of it, in the caller's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPath {
    entity: EntityName,
    key: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// The key attribute, where the caller named it.
    name: Option<String>,
    value: String,
}

impl DataPath {
    /// The entity's name.
    pub fn entity(&self) -> &str {
        self.entity.as_str()
    }

    /// The key, where one row is named; any text, also an empty one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.value.as_str())
    }

    /// Whether the entity is `Customer`, in any case.
    pub fn is_customer(&self) -> bool {
        self.entity().eq_ignore_ascii_case(CUSTOMER)
    }

    /// The profile that the path names; `None` for the whole entity.
    ///
    /// A key that can't be a profile's, or that is said to be another attribute than `CustomerId`,
    /// is `InvalidArgument`.
    pub fn profile_id(&self) -> Result<Option<ProfileId>> {
        self.key_as("CustomerId", ProfileId::parse)
    }

    pub(crate) fn activity_id(&self) -> Result<Option<ActivityId>> {
        self.key_as("ActivityId", ActivityId::parse)
    }

    fn key_as<T>(&self, attribute: &str, parse: fn(&str) -> Result<T>) -> Result<Option<T>> {
        self.check_key_name(attribute)?;
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let parsed = parse(&key.value).map_err(|error| error.with_target(attribute));
        parsed.map(Some)
    }

    /// Refuses a key that is said to be another attribute than this.
    pub(crate) fn check_key_name(&self, attribute: &str) -> Result<()> {
        let name = self.key.as_ref().and_then(|key| key.name.as_ref());
        let other = name.filter(|name| !name.eq_ignore_ascii_case(attribute));
        if let Some(other) = other {
            let message = format!(
                "the key of {} is {attribute}, got {}",
                self.entity,
                shown(other)
            );
            return Err(invalid(TARGET, message));
        }
        Ok(())
    }
}

/// Reads the percent-decoded text behind `/data/`, and the query that it may hold after a `?`.
///
/// Forms: `Entity`, `Entity/`, `Entity('key')` with `''` for a quote, `Entity(Attribute='key')`,
/// `Entity/key`. A key with `/` or `?` needs the quoted form. What OData knows behind a key
/// (properties, `$count`, …) is `NotServed`, another name `EntityNotFound`, the rest
/// `InvalidArgument`.
pub fn parse_path(path: &str) -> Result<(DataPath, Option<String>)> {
    let end = path.find(['(', '/', '?']).unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end).unwrap_or((path, ""));
    let entity = EntityName::parse(name).map_err(|_| {
        let message = format!("there is no entity {}", shown(name));
        Error::new(ErrorCode::EntityNotFound, message).with_target(TARGET)
    })?;
    let (key, rest) = if let Some(rest) = rest.strip_prefix('(') {
        let (key, rest) = predicate(rest)?;
        (Some(key), rest)
    } else if let Some(rest) = rest.strip_prefix('/') {
        segment(rest)?
    } else {
        (None, rest)
    };
    let query = match rest.strip_prefix('?') {
        Some(query) => Some(query.to_owned()),
        None if rest.is_empty() => None,
        None if rest.starts_with('/') => {
            let message = format!("paths behind a key are not served, got {}", shown(rest));
            return Err(not_served(TARGET, message));
        }
        None => return Err(invalid(TARGET, format!("{FORMS}, got {}", shown(path)))),
    };
    Ok((DataPath { entity, key }, query))
}

/// Splits the query of a path into its pairs: at each `&` outside single quotes.
///
/// The text was decoded with the path, so `+` and `%` stand for themselves.
pub fn embedded_pairs(query: &str) -> Vec<(String, String)> {
    let mut quoted = false;
    let parts = query.split(|c: char| {
        quoted ^= c == '\'';
        c == '&' && !quoted
    });
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Reads what stands behind the opening parenthesis.
fn predicate(text: &str) -> Result<(Key, &str)> {
    let wrong = || {
        let message = format!(
            "{FORMS}: a key stands in single quotes, got {}",
            shown(text)
        );
        invalid(TARGET, message)
    };
    let (before, mut rest) = text.split_once('\'').ok_or_else(wrong)?;
    let name = match before.trim() {
        "" => None,
        named => {
            let name = named.strip_suffix('=').ok_or_else(wrong)?.trim_end();
            Some(name.to_owned())
        }
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('\'').ok_or_else(wrong)?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => {
                rest = after;
                break;
            }
        }
    }
    let rest = rest.trim_start().strip_prefix(')').ok_or_else(wrong)?;
    Ok((Key { name, value }, rest))
}

/// Reads what stands behind the slash after the entity.
fn segment(text: &str) -> Result<(Option<Key>, &str)> {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if value.is_empty() && !rest.starts_with('/') {
        return Ok((None, rest));
    }
    if value.starts_with('$') {
        return Err(not_served(
            TARGET,
            format!("{} is not served", shown(value)),
        ));
    }
    let key = Key {
        name: None,
        value: value.to_owned(),
    };
    Ok((Some(key), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_an_entity_and_perhaps_a_key() {
        for (path, entity, key, query) in [
            ("Customer", "Customer", None, None),
            ("Customer/", "Customer", None, None),
            ("customer", "customer", None, None),
            ("Customer('c1')", "Customer", Some("c1"), None),
            ("Customer( 'c1' )", "Customer", Some("c1"), None),
            ("Customer(CustomerId='c1')", "Customer", Some("c1"), None),
            ("Customer( customerid = 'c1')", "Customer", Some("c1"), None),
            ("Customer/c1", "Customer", Some("c1"), None),
            ("Customer('O''Hara')", "Customer", Some("O'Hara"), None),
            ("Customer('''')", "Customer", Some("'"), None),
            ("Customer('')", "Customer", Some(""), None),
            (
                "Customer('a/b?c(d)&e')",
                "Customer",
                Some("a/b?c(d)&e"),
                None,
            ),
            ("Customer/a('b')", "Customer", Some("a('b')"), None),
            ("Customer/%31+å", "Customer", Some("%31+å"), None),
            ("Customer?$top=1", "Customer", None, Some("$top=1")),
            ("Customer/?$top=1", "Customer", None, Some("$top=1")),
            (
                "Customer/c1?$select=A",
                "Customer",
                Some("c1"),
                Some("$select=A"),
            ),
            ("Customer('?')?a=?", "Customer", Some("?"), Some("a=?")),
            ("Customer?", "Customer", None, Some("")),
            (
                "UnifiedActivity('a:1')",
                "UnifiedActivity",
                Some("a:1"),
                None,
            ),
        ] {
            let (parsed, embedded) = parse_path(path).expect(path);
            assert_eq!(parsed.entity(), entity, "{path}");
            assert_eq!(parsed.key(), key, "{path}");
            assert_eq!(embedded.as_deref(), query, "{path}");
        }
    }

    #[test]
    fn other_forms_are_refused_for_what_they_are() {
        use ErrorCode::{EntityNotFound, InvalidArgument, NotServed};
        for (path, code) in [
            ("", EntityNotFound),
            ("?$top=1", EntityNotFound),
            ("/Customer", EntityNotFound),
            ("('c1')", EntityNotFound),
            ("$metadata", EntityNotFound),
            ("Cust omer", EntityNotFound),
            ("Customer\0", EntityNotFound),
            ("Customer&a", EntityNotFound),
            ("Kunde'", EntityNotFound),
            ("Customer(", InvalidArgument),
            ("Customer()", InvalidArgument),
            ("Customer(c1)", InvalidArgument),
            ("Customer(1)", InvalidArgument),
            ("Customer('c1'", InvalidArgument),
            ("Customer('c1)", InvalidArgument),
            ("Customer('c1'')", InvalidArgument),
            ("Customer(\"c1\")", InvalidArgument),
            ("Customer('a','b')", InvalidArgument),
            ("Customer(A='a',B='b')", InvalidArgument),
            ("Customer(A'a')", InvalidArgument),
            ("Customer('c1')x", InvalidArgument),
            ("Customer('c1')('c2')", InvalidArgument),
            ("Customer('c1')/City", NotServed),
            ("Customer('c1')/", NotServed),
            ("Customer/c1/City", NotServed),
            ("Customer//c1", NotServed),
            ("Customer/$count", NotServed),
        ] {
            let error = parse_path(path).expect_err(path);
            assert_eq!(error.code, code, "{path}: {error}");
            assert_eq!(error.target.as_deref(), Some("path"), "{path}");
        }
    }

    #[test]
    fn a_key_must_fit_its_entity() {
        let id = |path: &str| parse_path(path).expect(path).0.profile_id();
        assert_eq!(id("Customer").expect("none"), None);
        let named = id("Customer(customerID='c1')").expect("good");
        assert_eq!(named.expect("id").as_str(), "c1");
        let (fits, long) = ("å".repeat(100), "å".repeat(101));
        assert!(id(&format!("Customer('{fits}')")).is_ok());
        for bad in [
            format!("Customer('{long}')"),
            format!("Customer/{long}"),
            "Customer('')".to_owned(),
            "Customer('a\nb')".to_owned(),
            "Customer/a\0b".to_owned(),
            "Customer(ActivityId='c1')".to_owned(),
        ] {
            let error = id(&bad).expect_err(&bad);
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{bad:?}");
            assert!(error.message.len() < 200, "{error}");
        }
    }

    #[test]
    fn a_query_in_the_path_splits_outside_quotes() {
        let pairs = embedded_pairs("$filter=City eq 'R&B''s & co'&$top=2&&$count&a=b=c+%20");
        let expected = [
            ("$filter", "City eq 'R&B''s & co'"),
            ("$top", "2"),
            ("$count", ""),
            ("a", "b=c+%20"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(embedded_pairs("").is_empty());
    }
}
