//! Instances as administrators see them: name, type and who changed them when.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, InstanceId, Instant};

/// Longest name of an instance, in characters.
const NAME_LENGTH_MAX: usize = 200;

/// Says what an instance is for, with the published names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceType {
    Trial,
    #[default]
    Sandbox,
    Production,
    PitchDemo,
    Pov,
}

/// Holds the name of an instance: 1 to 200 characters, none a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceName(String);

impl InstanceName {
    /// Reads a name; blanks around it are cut.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=NAME_LENGTH_MAX).contains(&length) && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        let message = format!(
            "the name of an instance has 1 to {NAME_LENGTH_MAX} characters and no control character"
        );
        Err(Error::new(ErrorCode::InvalidArgument, message).with_target("instanceMetadata.name"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Describes one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    pub id: InstanceId,
    pub name: InstanceName,
    pub instance_type: InstanceType,
    /// Counts the changes of this description, from 1.
    pub version: u64,
    pub created_at: Instant,
    pub created_by: String,
    pub updated_at: Instant,
    pub updated_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_limits() {
        assert_eq!(
            InstanceName::parse(" Contoso ").expect("name").as_str(),
            "Contoso"
        );
        assert!(InstanceName::parse(&"å".repeat(200)).is_ok());
        for bad in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(InstanceName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
