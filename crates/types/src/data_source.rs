//! Data sources: where a refresh finds snapshots by itself (rules 6.1).
//! Owns what a location may look like. Must not look whether anything is there.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DataSourceId, EntityName, Error, ErrorCode, Instant};

/// Longest name of a data source, in characters.
const NAME_LENGTH_MAX: usize = 256;
/// Longest location, in bytes.
const LOCATION_BYTES_MAX: usize = 1024;
/// Longest name of a bucket: S3 once allowed 255 characters.
const BUCKET_NAME_LENGTH_MAX: usize = 255;

/// Describes a data source as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    pub id: DataSourceId,
    /// Another after each change of what it reads: what was known of its content is void then.
    pub revision: uuid::Uuid,
    pub friendly_name: String,
    pub location: Location,
    /// The name of the secret of the configuration that a bucket is read with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    pub version: u64,
    pub created_at: Instant,
    pub created_by: String,
    pub updated_at: Instant,
    pub updated_by: String,
}

/// Says what a data source shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSourceSpec {
    pub id: DataSourceId,
    pub friendly_name: String,
    pub location: Location,
    /// The name of the secret of the configuration that a bucket is read with.
    pub credentials: Option<String>,
}

impl DataSourceSpec {
    /// Checks a name: 1 to 256 characters, none a control character.
    ///
    /// # Errors
    /// `InvalidArgument` with the target `friendlyName`.
    pub fn check_name(name: &str) -> Result<(), Error> {
        let length = name.chars().count();
        if (1..=NAME_LENGTH_MAX).contains(&length) && !name.chars().any(char::is_control) {
            return Ok(());
        }
        let text = format!("a data source's name has 1 to {NAME_LENGTH_MAX} characters");
        Err(Error::new(ErrorCode::InvalidArgument, text).with_target("friendlyName"))
    }
}

/// Names where snapshots lie: a folder of this machine, or a prefix of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location(Where);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    /// Absolute, without `.` and `..`.
    Folder(PathBuf),
    Bucket(BucketLocation),
}

/// Says who keeps a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketService {
    /// Amazon S3, or a server that speaks its protocol.
    S3,
    /// Azure Blob Storage, which calls a bucket a container.
    Azure,
}

impl BucketService {
    /// What stands before `://`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
        }
    }
}

/// Names a bucket and a prefix in it, of whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketLocation {
    service: BucketService,
    bucket: String,
    prefix: String,
}

impl BucketLocation {
    /// Who keeps the bucket.
    pub fn service(&self) -> BucketService {
        self.service
    }

    /// The bucket's name, Azure's container.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The segments below which the snapshot lies, without a slash at either end; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is another location or lies below it; `a/bc` does not lie below `a/b`.
    pub fn is_within(&self, other: &Self) -> bool {
        let below = self.prefix.strip_prefix(&other.prefix);
        self.service == other.service
            && self.bucket == other.bucket
            && below.is_some_and(|rest| {
                other.prefix.is_empty() || rest.is_empty() || rest.starts_with('/')
            })
    }
}

impl Location {
    /// Reads `file:///…`, `s3://bucket/prefix` or `az://container/prefix`.
    ///
    /// # Errors
    /// `InvalidArgument` with the target `location`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem: &str| {
            let text = format!(
                "{problem}; expected file:///… with the path of a folder, s3://bucket/prefix or \
                 az://container/prefix"
            );
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("location"))
        };
        if text.len() > LOCATION_BYTES_MAX || text.chars().any(char::is_control) {
            return refuse("the location is too long or has control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("the location has no scheme");
        };
        let service = match scheme {
            "file" => None,
            "s3" => Some(BucketService::S3),
            "az" => Some(BucketService::Azure),
            _ => return refuse("the location's scheme is unknown"),
        };
        if let Some(service) = service {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.trim_end_matches('/');
            if !is_bucket_name(bucket) {
                return refuse("the location names no bucket");
            }
            if has_dots(prefix) || prefix.starts_with('/') || prefix.contains("//") {
                return refuse("the location's prefix has empty segments, . or ..");
            }
            return Ok(Self(Where::Bucket(BucketLocation {
                service,
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            })));
        }
        let path = Path::new(rest);
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !rest.starts_with('/') || !path.components().all(plain) || has_dots(rest) {
            return refuse("the location is no absolute path without . and ..");
        }
        Ok(Self(Where::Folder(path.components().collect())))
    }

    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Where::Folder(path) => Some(path),
            Where::Bucket(_) => None,
        }
    }

    /// The bucket, where it is one.
    pub fn bucket(&self) -> Option<&BucketLocation> {
        match &self.0 {
            Where::Folder(_) => None,
            Where::Bucket(bucket) => Some(bucket),
        }
    }
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "." | ".."))
}

/// What both services allow, and what older buckets have.
fn is_bucket_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$');
    (1..=BUCKET_NAME_LENGTH_MAX).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('.')
        && !name.contains("..")
}

impl std::fmt::Display for BucketLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.service.scheme(), self.bucket)?;
        if self.prefix.is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Where::Folder(path) => write!(f, "file://{}", path.display()),
            Where::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl TryFrom<String> for Location {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

/// Says how the last refresh from a data source ended, with the published names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceRefresh {
    #[default]
    NotUpdated,
    Updated,
    Updating,
    UpdateFailed,
    UpdateCancelled,
}

/// Tells what is known of a data source's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// The revision of the data source that this is about.
    pub revision: uuid::Uuid,
    pub refresh: SourceRefresh,
    /// When it was loaded last.
    pub loaded_at: Option<Instant>,
    /// What the last loaded content was recognized by.
    pub fingerprint: Option<String>,
    pub entities: Vec<EntityName>,
}

/// Says where the rows of an entity come from: one place only (rules 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    Upload,
    Source(DataSourceId),
}

/// Says what a refresh is to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRequest {
    /// Sorted, each once; without any, all that there are when it runs.
    pub sources: Vec<DataSourceId>,
    /// Whether what has not changed is read all the same.
    pub forced: bool,
}

impl RefreshRequest {
    /// Whether a data source is to be read.
    pub fn covers(&self, id: DataSourceId) -> bool {
        self.sources.is_empty() || self.sources.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_absolute_folder_without_dots() {
        for (text, shown) in [
            ("file:///srv/contoso", "file:///srv/contoso"),
            ("file:///srv//contoso/", "file:///srv/contoso"),
            ("file:///a b/å", "file:///a b/å"),
        ] {
            assert_eq!(Location::parse(text).expect(text).to_string(), shown);
        }
        for bad in [
            "",
            "/srv/contoso",
            "file://srv/contoso",
            "file:///srv/../etc",
            "file:///srv/./a",
            "http://a/b",
            "file:///a\0b",
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_location_in_a_bucket_has_a_name_and_whole_segments() {
        for (text, shown) in [
            ("s3://bucket/a/b", "s3://bucket/a/b"),
            ("s3://bucket/a/", "s3://bucket/a"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("az://container/a b/å", "az://container/a b/å"),
        ] {
            let location = Location::parse(text).expect(text);
            assert_eq!(location.to_string(), shown);
            assert!(location.folder().is_none() && location.bucket().is_some());
        }
        for bad in [
            "s3://",
            "s3:///a",
            "s3://b/../c",
            "s3://b/a/./c",
            "s3://b//a",
            "s3://b/a//c",
            "s3://u:p@b/a",
            "s3://b?x",
            "az://..",
            "gs://b/a",
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bucket_location_lies_within_another_by_whole_segments() {
        let within = |inner: &str, outer: &str| {
            let parse = |text| Location::parse(text).unwrap().bucket().unwrap().clone();
            parse(inner).is_within(&parse(outer))
        };
        for outer in ["s3://b", "s3://b/a", "s3://b/a/c"] {
            assert!(within("s3://b/a/c", outer), "{outer}");
        }
        for outer in ["s3://b/a/c/d", "s3://b/a/", "s3://c", "az://b", "s3://b/c"] {
            assert_eq!(within("s3://b/a/c", outer), outer == "s3://b/a/", "{outer}");
        }
        assert!(!within("s3://b/ab", "s3://b/a"));
        assert!(!within("s3://b", "s3://b/a"));
        assert!(!within("s3://bb/a", "s3://b"));
    }
}
