//! Requests in JSON batches (OData JSON Format 4.01, 19): which items there are and what each asks.
//! Owns what a batch may look like. Must not know what an item does, nor how it is answered.

use std::collections::BTreeSet;
use std::fmt;

use sanntid_types::{Detail, Error, ErrorCode};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// How many items a batch may have.
pub const ITEMS_MAX: usize = 1_000;
/// How long the id of an item may be, in bytes.
const ID_BYTES_MAX: usize = 256;

/// Names what an item does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMethod {
    Get,
    Patch,
    Post,
    Put,
    Delete,
}

impl BatchMethod {
    /// Reads a name in any case.
    fn parse(name: &str) -> Option<Self> {
        let all = [
            ("get", Self::Get),
            ("patch", Self::Patch),
            ("post", Self::Post),
            ("put", Self::Put),
            ("delete", Self::Delete),
        ];
        let mut all = all.into_iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, method)| method)
    }
}

/// Says where the URL of an item leads, in its own escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchTarget {
    /// Behind the address of the service, where the batch itself stands.
    Relative(String),
    /// From the root of the server on.
    Absolute {
        /// Host and port, where the URL names them.
        host: Option<String>,
        path: String,
    },
}

/// Holds one item of a batch.
#[derive(Debug)]
pub struct BatchItem {
    pub id: String,
    pub method: BatchMethod,
    pub target: BatchTarget,
    /// In the order of their names.
    pub headers: Vec<(String, String)>,
    pub body: Option<Box<RawValue>>,
    /// Items before this one, and groups of them.
    pub depends_on: Vec<String>,
    /// The group whose items are to be done all or none.
    pub group: Option<String>,
    /// Why it can't be done as it is asked.
    pub refusal: Option<Error>,
}

/// Reads a batch; an error lists every item that can't be understood.
///
/// # Errors
/// `InvalidBody` where it is no batch, `InvalidArgument` where an item is malformed.
pub fn parse_batch(body: &[u8]) -> Result<Vec<BatchItem>, Error> {
    let document: Document<'_> = serde_json::from_slice(body).map_err(|error| {
        let text = format!("the body is no batch: {error}; expected {{\"requests\": [{{…}}]}}");
        Error::new(ErrorCode::InvalidBody, text)
    })?;
    let mut known = BTreeSet::new();
    let mut items = Vec::with_capacity(document.requests.0.len());
    let mut problems = Vec::new();
    for (at, json) in document.requests.0.into_iter().enumerate() {
        match item(json, &mut known) {
            Ok(item) => items.push(item),
            Err(text) => {
                let target = format!("requests/{at}");
                problems.push(Detail::new(ErrorCode::InvalidArgument, &target, text));
            }
        }
    }
    if problems.is_empty() {
        Ok(items)
    } else {
        let text = "the batch has items that can't be understood; none was done";
        Err(Error::of_details(text, problems))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    requests: Requests<'a>,
}

struct Requests<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Requests<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == ITEMS_MAX {
                        let text = format!("it has more than {ITEMS_MAX} items");
                        return Err(de::Error::custom(text));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }

        reader.deserialize_seq(Reader).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Item<'a> {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: Headers,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    atomicity_group: Option<String>,
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(borrow, rename = "if")]
    condition: Option<&'a RawValue>,
}

/// The headers of an item, in the order of their names.
type Headers = std::collections::BTreeMap<String, String>;

fn item(json: &RawValue, known: &mut BTreeSet<String>) -> Result<BatchItem, String> {
    let item: Item<'_> = serde_json::from_str(json.get()).map_err(|error| error.to_string())?;
    if item.id.is_empty() || item.id.len() > ID_BYTES_MAX {
        return Err(format!("an id has 1 to {ID_BYTES_MAX} bytes"));
    }
    // Also of an item that is malformed otherwise: what depends on it is not wrong for that.
    let is_new = known.insert(item.id.clone());
    if !is_new {
        return Err(format!("the id {:?} stands here twice", shown(&item.id)));
    }
    if item.atomicity_group.as_ref() == Some(&item.id) {
        return Err("an item and its group have the same name".to_owned());
    }
    let method = BatchMethod::parse(&item.method).ok_or_else(|| {
        let method = shown(&item.method);
        format!("{method:?} is no method; there are get, patch, post, put, delete")
    })?;
    let strange = |name: &&String| **name == item.id || !known.contains(*name);
    if let Some(name) = item.depends_on.iter().find(strange) {
        let name = shown(name);
        return Err(format!(
            "it depends on {name:?}, which does not stand before it"
        ));
    }
    let target = target(&item.url)?;
    let refusal = refusal(&item, &target);
    known.extend(item.atomicity_group.clone());
    Ok(BatchItem {
        id: item.id,
        method,
        target,
        headers: item.headers.into_iter().collect(),
        body: item.body.map(RawValue::to_owned),
        depends_on: item.depends_on,
        group: item.atomicity_group,
        refusal,
    })
}

fn target(url: &str) -> Result<BatchTarget, String> {
    if url.is_empty() || url.contains('#') || url.chars().any(char::is_control) {
        return Err("its url is empty, or has a fragment or a control character".to_owned());
    }
    if url.starts_with("//") {
        return Err("its url names no scheme before its host".to_owned());
    }
    if url.starts_with('/') {
        let path = url.to_owned();
        return Ok(BatchTarget::Absolute { host: None, path });
    }
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| {
        // Else it stands in the query or in a key.
        scheme.chars().all(|c| c.is_ascii_alphanumeric())
    }) else {
        return Ok(BatchTarget::Relative(url.to_owned()));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!("its url has the scheme {:?}", shown(scheme)));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    Ok(BatchTarget::Absolute {
        host: Some(host.to_owned()),
        path: path.to_owned(),
    })
}

/// What OData knows and is not done here.
fn refusal(item: &Item<'_>, target: &BatchTarget) -> Option<Error> {
    let not_served = |field: &str, text: &str| {
        let text = format!("{text}; the item was not done");
        Some(Error::new(ErrorCode::NotServed, text).with_target(field))
    };
    if item.atomicity_group.is_some() {
        let text = "groups of items that are done all or none (atomicityGroup) are not served";
        return not_served("atomicityGroup", text);
    }
    if item.condition.is_some() {
        return not_served("if", "conditions on other items (if) are not served");
    }
    let BatchTarget::Relative(url) = target else {
        return None;
    };
    let is_reference = url.strip_prefix('$').is_some_and(|rest| {
        !["batch", "bulk", "metadata"]
            .iter()
            .any(|own| rest.starts_with(own))
    });
    if is_reference {
        let text = "urls that refer to what another item made ($id) are not served";
        return not_served("url", text);
    }
    None
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
