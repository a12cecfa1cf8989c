//! Data sources: where a refresh finds snapshots by itself (rules 6.1).
//! Owns what a location may look like. Must not look whether anything is there.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DataSourceId, EntityName, Error, ErrorCode, Instant};

/// Longest name of a data source, in characters.
const NAME_LENGTH_MAX: usize = 256;
/// Longest location, in bytes.
const LOCATION_BYTES_MAX: usize = 1024;

/// Describes a data source as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    pub id: DataSourceId,
    /// Another after each change of what it reads: what was known of its content is void then.
    pub revision: uuid::Uuid,
    pub friendly_name: String,
    pub location: Location,
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
    /// Who asks.
    pub by: String,
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

/// Names a folder of this machine: absolute, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location(PathBuf);

impl Location {
    /// Reads `file:///…`.
    ///
    /// # Errors
    /// `InvalidArgument` with the target `location`; of `s3://` and `az://` it says that they are
    /// not served yet.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem: &str| {
            let text = format!("{problem}; expected file:///… with the path of a folder");
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("location"))
        };
        if text.len() > LOCATION_BYTES_MAX || text.chars().any(char::is_control) {
            return refuse("the location is too long or has control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("the location has no scheme");
        };
        match scheme {
            "file" => {}
            "s3" | "az" => return refuse(&format!("locations of {scheme}:// are not served yet")),
            _ => return refuse("the location's scheme is unknown"),
        }
        let path = Path::new(rest);
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !rest.starts_with('/') || !path.components().all(plain) || has_dots(rest) {
            return refuse("the location is no absolute path without . and ..");
        }
        Ok(Self(path.components().collect()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "." | ".."))
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "file://{}", self.0.display())
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
        for later in ["s3://bucket/prefix", "az://container/prefix"] {
            let error = Location::parse(later).expect_err(later);
            assert!(error.message.contains("not served yet"), "{error}");
        }
    }
}
