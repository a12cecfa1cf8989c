//! The primitive types an attribute can have. Owns their names; reading of values is in `literal`.

use serde::{Deserialize, Serialize};

/// Names the declared type of an attribute, as OData spells it (`Edm.String`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EdmType {
    #[serde(rename = "Edm.String")]
    String,
    #[serde(rename = "Edm.Boolean")]
    Boolean,
    #[serde(rename = "Edm.Int16")]
    Int16,
    #[serde(rename = "Edm.Int32")]
    Int32,
    #[serde(rename = "Edm.Int64")]
    Int64,
    #[serde(rename = "Edm.Decimal")]
    Decimal,
    #[serde(rename = "Edm.Double")]
    Double,
    #[serde(rename = "Edm.Date")]
    Date,
    #[serde(rename = "Edm.DateTimeOffset")]
    DateTimeOffset,
    #[serde(rename = "Edm.TimeOfDay")]
    TimeOfDay,
    #[serde(rename = "Edm.Guid")]
    Guid,
}

impl EdmType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::String,
        Self::Boolean,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Decimal,
        Self::Double,
        Self::Date,
        Self::DateTimeOffset,
        Self::TimeOfDay,
        Self::Guid,
    ];

    /// The qualified name, `Edm.String`.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "Edm.String",
            Self::Boolean => "Edm.Boolean",
            Self::Int16 => "Edm.Int16",
            Self::Int32 => "Edm.Int32",
            Self::Int64 => "Edm.Int64",
            Self::Decimal => "Edm.Decimal",
            Self::Double => "Edm.Double",
            Self::Date => "Edm.Date",
            Self::DateTimeOffset => "Edm.DateTimeOffset",
            Self::TimeOfDay => "Edm.TimeOfDay",
            Self::Guid => "Edm.Guid",
        }
    }
}
