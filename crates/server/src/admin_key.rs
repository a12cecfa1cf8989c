//! Owns the administrator's key: taken from the environment, or made at the first start.
//! Must not log it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::config::Secret;

/// The file in the data folder that holds the key.
pub const FILE_NAME: &str = "admin.key";

const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 256;

/// Gives the given key, else the one in the data folder, which is made where there is none.
///
/// # Errors
/// A key file that can't be read or written, or that holds no key.
pub(crate) fn obtain(data_dir: &Path, given: Option<&Secret>) -> anyhow::Result<Secret> {
    if let Some(key) = given {
        check(key)?;
        return Ok(key.clone());
    }
    let path = data_dir.join(FILE_NAME);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = Secret::new(text.trim_end());
            check(&key).with_context(|| format!("the key file {}", path.display()))?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = make();
            write(data_dir, &path, &key)
                .with_context(|| format!("the key file {} can't be written", path.display()))?;
            tracing::info!(file = %path.display(), "made the administrator's key");
            Ok(key)
        }
        Err(error) => {
            Err(error).with_context(|| format!("the key file {} can't be read", path.display()))
        }
    }
}

/// Checks that a text can be a key: 16 to 256 visible ASCII characters.
///
/// # Errors
/// Says what was expected, never what was there.
pub(crate) fn check(key: &Secret) -> anyhow::Result<()> {
    let text = key.expose();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(LENGTH_MIN..=LENGTH_MAX).contains(&text.len()) {
        bail!("a key has {LENGTH_MIN} to {LENGTH_MAX} visible ASCII characters");
    }
    Ok(())
}

/// Makes a key of 244 random bits, from the system's source.
pub(crate) fn make() -> Secret {
    let (one, two) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    Secret::new(format!("{}{}", one.simple(), two.simple()))
}

/// Writes the file wholly or not at all, readable by its owner alone (what temporary files are).
fn write(data_dir: &Path, path: &Path, key: &Secret) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
    writeln!(file, "{}", key.expose())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let key = obtain(folder.path(), None).unwrap();
        assert_eq!(key.expose().len(), 64);
        let file = folder.path().join(FILE_NAME);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(obtain(folder.path(), None).unwrap(), key);
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing else is left behind");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(obtain(other.path(), None).unwrap(), key);
    }

    #[test]
    fn a_given_key_wins_and_leaves_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let given = Secret::new("given-key-0123456789");
        assert_eq!(obtain(folder.path(), Some(&given)).unwrap(), given);
        assert!(!folder.path().join(FILE_NAME).exists());
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        for bad in [
            "",
            "short",
            "has a blank in it 0123",
            "åååååååååååååååå",
            &"x".repeat(257),
        ] {
            fs::write(folder.path().join(FILE_NAME), bad).unwrap();
            let message = format!("{:#}", obtain(folder.path(), None).unwrap_err());
            assert!(message.contains("visible ASCII"), "{message}");
            assert!(bad.is_empty() || !message.contains(bad), "{message}");
        }
        let missing = folder.path().join("missing");
        assert!(obtain(&missing, None).is_err());
    }
}
