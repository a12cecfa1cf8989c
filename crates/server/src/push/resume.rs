//! Owns what tells that an interrupted upload can be gone on with, and which parts it has.
//! Must not send anything.

use std::io::Read;

use sanntid_types::{Manifest, ManifestEntity};

use super::{Part, open};
use crate::api::{ArrivedPart, OpenSnapshot};
use crate::client::Error;
use crate::signals::Interrupt;

const BUFFER_BYTES: usize = 1 << 20;

/// Whether an upload was opened with this manifest.
pub(super) fn fits(open: &OpenSnapshot, manifest: &Manifest) -> bool {
    let has = &open.manifest.entities;
    open.manifest.as_of == manifest.as_of
        && has.len() == manifest.entities.len()
        && has.iter().zip(&manifest.entities).all(is_same_entity)
}

/// The server fills in attributes and key of an entity that names no attributes.
fn is_same_entity((has, wanted): (&ManifestEntity, &ManifestEntity)) -> bool {
    has.name == wanted.name
        && has.entity_type == wanted.entity_type
        && (wanted.key.is_none() || has.key == wanted.key)
        && (wanted.attributes.is_empty() || has.attributes == wanted.attributes)
}

/// Whether a part that arrived holds the bytes of the file as it is now.
///
/// # Errors
/// The file can't be read, or the user asked to stop.
pub(super) fn is_same(
    part: &Part,
    there: &ArrivedPart,
    interrupt: &Interrupt,
) -> Result<bool, Error> {
    if there.bytes != part.bytes {
        return Ok(false);
    }
    let mut file = open(&part.path).map_err(Error::File)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let read = file.read(&mut buffer).map_err(Error::File)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    Ok(hasher.finalize().to_hex().as_str() == there.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(as_of: &str, attributes: &str) -> Manifest {
        serde_json::from_str(&format!(
            r#"{{"asOf": "{as_of}", "entities": [{{"name": "Customer", "entityType": "profile",
                "key": "CustomerId", "files": ["a.csv"], "attributes": {attributes}}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn only_an_upload_of_the_same_manifest_is_gone_on_with() {
        const DAY: &str = "2026-11-23T02:00:00Z";
        const ID: &str = r#"[{"name": "CustomerId", "dataType": "Edm.String"}]"#;
        let open = OpenSnapshot {
            snapshot_id: "s".to_owned(),
            manifest: manifest(DAY, ID),
            parts: Vec::new(),
        };
        assert!(fits(&open, &manifest(DAY, ID)));
        assert!(fits(&open, &manifest(DAY, "[]")), "attributes as before");
        let other = r#"[{"name": "CustomerId", "dataType": "Edm.Int64"}]"#;
        assert!(!fits(&open, &manifest(DAY, other)));
        assert!(!fits(&open, &manifest("2026-11-23T03:00:00Z", ID)));
    }
}
