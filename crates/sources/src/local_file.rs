//! A file of this machine in the version that was opened. Owns that reading goes on where it broke
//! off, and that nothing else is taken for the file: neither what has taken its place nor what is
//! left of it. Must not hold its content.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::Patience;
use crate::file_error::FileError;

/// A file that was opened, and may be opened again.
pub(crate) struct LocalFile {
    handle: Mutex<Arc<File>>,
    version: Version,
    /// Where it can be opened again.
    path: Option<PathBuf>,
    patience: Patience,
}

/// What a file is recognized by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    bytes: u64,
    /// A place without such times has none.
    changed_at: Option<SystemTime>,
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self {
            bytes: about.len(),
            changed_at: about.modified().ok(),
        })
    }
}

impl LocalFile {
    /// Takes a file that is open; what fails is not tried again.
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        Ok(Self {
            version: Version::of(&file)?,
            handle: Mutex::new(Arc::new(file)),
            path: None,
            patience: Patience::none(),
        })
    }

    /// Opens a file; what fails for a moment, now and later, is tried again.
    pub(crate) fn open(path: &Path, patience: &Patience) -> io::Result<Self> {
        let (file, version) = patience.read(|_| {
            let file = crate::open_regular(path)?;
            let version = Version::of(&file)?;
            Ok((file, version))
        })?;
        Ok(Self {
            handle: Mutex::new(Arc::new(file)),
            version,
            path: Some(path.to_owned()),
            patience: patience.clone(),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.version.bytes
    }

    /// Reads what is at an offset; nothing at the end, where the file must be as it was opened.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.version.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let (buffer, _) = buffer.split_at_mut(left.min(buffer.len()));
        self.patience.read(|failures| {
            let file = self.file(failures)?;
            let count = file.read_at(buffer, at)?;
            if count == 0 && (left > 0 || Version::of(&file)? != self.version) {
                return Err(FileError::Changed.into());
            }
            Ok(count)
        })
    }

    /// Reads a range that lies within the file.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.patience.read(|failures| {
            let file = self.file(failures)?;
            match file.read_exact_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Err(FileError::Changed.into())
                }
                outcome => outcome,
            }
        })
    }

    /// The open file; after a failure opened anew, since of some faults a handle does not recover.
    fn file(&self, failures: usize) -> io::Result<Arc<File>> {
        if failures > 0
            && let Some(path) = &self.path
        {
            let file = crate::open_regular(path)?;
            if Version::of(&file)? != self.version {
                return Err(FileError::Changed.into());
            }
            *self.handle.lock() = Arc::new(file);
        }
        Ok(Arc::clone(&self.handle.lock()))
    }
}

/// Reads a file from an offset on, without its shared position.
pub(crate) struct FileStream {
    file: Arc<LocalFile>,
    at: u64,
}

impl FileStream {
    pub(crate) fn new(file: &Arc<LocalFile>, at: u64) -> Self {
        Self {
            file: Arc::clone(file),
            at,
        }
    }
}

impl Read for FileStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.file.read_at(buffer, self.at)?;
        self.at += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::Duration;

    use sanntid_types::{Attribute, EdmType, EntityName, EntitySchema, EntityType};

    use super::*;
    use crate::content::Content;
    use crate::{Error, FileFormat, Item};

    const DELAYS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(2)];

    const ROWS: u64 = 100_000;

    /// What was waited for.
    type Waits = Arc<Mutex<Vec<(Duration, String)>>>;

    fn patience() -> (Patience, Waits) {
        let waits = Waits::default();
        let noted = Arc::clone(&waits);
        let patience = Patience::new(&DELAYS, move |delay, error| {
            noted.lock().push((delay, error.to_string()));
            true
        });
        (patience, waits)
    }

    /// A handle that the system fails every read of: nothing is mapped at the first addresses of a
    /// process, and reading that is an error of input and output.
    fn failing() -> Arc<File> {
        File::open("/proc/self/mem").expect("Linux has it").into()
    }

    fn schema() -> EntitySchema {
        EntitySchema {
            name: EntityName::parse("Orders").expect("name"),
            friendly_name: None,
            entity_type: EntityType::Activity,
            attributes: vec![Attribute::plain("Id", EdmType::String)],
            key: Some(0),
        }
    }

    /// No two are the same, and they can't be packed much.
    fn id(number: u64) -> String {
        let mixed = |by: u64| {
            (number + 1)
                .wrapping_mul(by)
                .rotate_left(29)
                .wrapping_mul(by)
        };
        format!(
            "{:016x}{:016x}",
            mixed(0x9e37_79b9_7f4a_7c15),
            mixed(0xd6e8_feb8_6659_fd93)
        )
    }

    /// Files of all kinds with many rows: more than what is read together.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let rows = || (0..ROWS).map(id);
        let csv = rows().fold("Id\n".to_owned(), |text, row| text + &row + "\n");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).expect("file");
            path
        };
        let stored = flate2::Compression::none();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), stored);
        gzip.write_all(csv.as_bytes()).expect("memory");
        let schema = Arc::new(schema());
        let mut parquet = crate::write_parquet(&schema).expect("schema");
        for row in rows() {
            let mut built = sanntid_types::RowBuilder::default();
            built.push(&sanntid_types::Literal::text(&row));
            parquet.push(&built.finish()).expect("row");
        }
        let parquet = parquet.finish().expect("file");
        vec![
            write("a.csv", csv.as_bytes()),
            write("a.csv.gz", &gzip.finish().expect("memory")),
            write("a.parquet", &parquet),
        ]
    }

    #[test]
    fn rows_go_on_where_a_failing_handle_broke_them_off() {
        let folder = tempfile::tempdir().expect("folder");
        for path in files(folder.path()) {
            let name = path.display();
            let (patience, waits) = patience();
            let file = Arc::new(LocalFile::open(&path, &patience).expect("file"));
            let format = FileFormat::of_name(path.to_str().expect("name")).expect("kind");
            let content = Content::of_local(Arc::clone(&file));
            let mut rows = crate::open_content(content, format, &schema()).expect("rows");
            let mut next = || rows.next().map(|item| item.expect("a row"));
            let mut read = Vec::new();
            for _ in 0..100 {
                read.push(next().expect("a row"));
            }
            assert_eq!(*waits.lock(), [], "{name}");
            *file.handle.lock() = failing();
            read.extend(std::iter::from_fn(next));
            let shown = |item: &Item| match item {
                Item::Row { number, row } => (*number, row.get(0).to_owned()),
                Item::Rejected(rejection) => panic!("{name}: {rejection:?}"),
            };
            let expected = (0..ROWS).map(|number| (number + 1, format!("{:?}", id(number))));
            assert!(read.iter().map(shown).eq(expected), "{name}");
            let waits = waits.lock();
            assert!(
                matches!(waits.as_slice(), [(delay, why)]
                    if *delay == DELAYS[0] && why.contains("Input/output error")),
                "{name}: {waits:?}"
            );
        }
    }

    /// Reads a file from its start, breaking something off after a part of it.
    fn read_broken(
        path: &Path,
        patience: &Patience,
        spoil: impl FnOnce(&LocalFile),
    ) -> io::Result<Vec<u8>> {
        let file = Arc::new(LocalFile::open(path, patience).expect("file"));
        let mut stream = FileStream::new(&file, 0);
        let mut read = vec![0; 1_000];
        stream.read_exact(&mut read).expect("a part");
        spoil(&file);
        stream.read_to_end(&mut read).map(|_| read)
    }

    #[test]
    fn a_file_that_keeps_failing_is_given_up_after_the_last_delay() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        fs::write(&path, vec![7; 200_000]).expect("file");
        let (patience, waits) = patience();
        let mut file = LocalFile::open(&path, &patience).expect("file");
        file.path = None;
        *file.handle.lock() = failing();
        let mut stream = FileStream::new(&Arc::new(file), 0);
        let error = stream.read(&mut [0; 10]).expect_err("it fails");
        let error = Error::of_read(error);
        assert_eq!(
            error.to_string(),
            "reading failed: Input/output error (os error 5); tried 3 times"
        );
        assert!(error.is_io() && !error.may_pass(), "{error:?}");
        let delays: Vec<Duration> = waits.lock().iter().map(|(delay, _)| *delay).collect();
        assert_eq!(delays, DELAYS);
    }

    #[test]
    fn whoever_stops_waiting_is_not_made_to_try_again() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        fs::write(&path, vec![7; 200_000]).expect("file");
        let stopped = Patience::new(&DELAYS, |_, _| false);
        let spoil = |file: &LocalFile| *file.handle.lock() = failing();
        let error = read_broken(&path, &stopped, spoil).expect_err("it fails");
        assert_eq!(error.raw_os_error(), Some(5), "{error}");
    }

    #[test]
    fn neither_what_took_its_place_nor_what_is_left_of_it_passes_for_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        let other = folder.path().join("b");
        let append = |bytes: &[u8]| {
            let mut file = fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .expect("file");
            file.write_all(bytes).expect("file");
        };
        let cut = || {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .expect("file");
            file.set_len(100_000).expect("file");
        };
        let replace = || fs::rename(&other, &path).expect("file");
        let fail = |file: &LocalFile| *file.handle.lock() = failing();
        type Spoil<'a> = &'a dyn Fn(&LocalFile);
        let cases: [(&str, Spoil<'_>, bool); 7] = [
            ("nothing", &|_| (), true),
            ("it fails", &fail, true),
            // Who holds it open reads what was found; another look finds the new one.
            ("another takes its place", &|_| replace(), true),
            (
                "it fails, and another takes its place",
                &|file| {
                    replace();
                    fail(file);
                },
                false,
            ),
            ("it is cut off", &|_| cut(), false),
            ("it grows", &|_| append(b"more"), false),
            (
                "it fails and grows",
                &|file| {
                    append(b"more");
                    fail(file);
                },
                false,
            ),
        ];
        for (case, spoil, is_read) in cases {
            let bytes: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[1]).collect();
            fs::write(&path, &bytes).expect("file");
            fs::write(&other, vec![9; 150_000]).expect("file");
            let (patience, _) = patience();
            match read_broken(&path, &patience, spoil) {
                Ok(read) => assert!(is_read && read == bytes, "{case}"),
                Err(error) => {
                    let error = Error::of_read(error);
                    assert!(
                        !is_read && matches!(error, Error::Changed),
                        "{case}: {error}"
                    );
                    assert!(!error.may_pass(), "{case}");
                }
            }
        }
    }

    #[test]
    fn a_range_that_is_not_there_any_more_is_no_range_of_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        fs::write(&path, vec![7; 200_000]).expect("file");
        let (patience, _) = patience();
        let content = Content::open(&path, &patience).expect("file");
        fs::write(&path, vec![7; 1_000]).expect("file");
        let error = content.read_range(100_000, 10).expect_err("it is cut off");
        assert!(matches!(Error::of_read(error), Error::Changed));
    }
}
