//! Owns the data set as files: a folder that a server can read as a data source.
//! Written once and used again while it is the one that is asked for.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanntid_types::{EntitySchema, Manifest, Row, RowFile};
use serde_json::{Value, json};

use crate::error::{Doing, Error};
use crate::site::{Site, bytes_below, remove};
use crate::{Bench, data};

/// Rows of one file.
const FILE_ROWS: u64 = 1_000_000;
/// Raised when the same options give other data than before.
const EDITION: u32 = 1;
const MARKER: &str = "complete.json";
const MANIFEST: &str = "snapshot.json";
/// How many rows are made between two looks at the user.
const ROWS_TOGETHER: u64 = 10_000;

/// How large a data set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) profiles: u64,
    pub(crate) activities: u64,
}

/// A data set that lies there.
pub(crate) struct Source {
    pub(crate) folder: PathBuf,
    pub(crate) size: Size,
    pub(crate) bytes: u64,
    /// Of all its files.
    pub(crate) rows: u64,
}

impl Source {
    /// Makes a data set, or finds the one made before.
    pub(crate) fn make(bench: &Bench<'_>, site: &Site, size: Size) -> Result<Self, Error> {
        let Size {
            profiles,
            activities,
        } = size;
        let folder = site.sources().join(format!("{profiles}-{activities}"));
        let source = Self {
            folder,
            size,
            bytes: 0,
            rows: profiles + activities,
        };
        let marker = json!({"edition": EDITION, "profiles": profiles, "activities": activities});
        let written = fs::read(source.folder.join(MARKER)).unwrap_or_default();
        if serde_json::from_slice::<Value>(&written).ok().as_ref() != Some(&marker) {
            source.write(bench, size)?;
            let path = source.folder.join(MARKER);
            fs::write(path, marker.to_string()).doing(|| "marking the data set".to_owned())?;
        }
        source.tell(data::AS_OF)?;
        Ok(Self {
            bytes: bytes_below(&source.folder),
            ..source
        })
    }

    /// Says from when the data are.
    pub(crate) fn tell(&self, as_of: &str) -> Result<(), Error> {
        let path = self.folder.join(MANIFEST);
        let manifest = self.manifest(as_of).to_string();
        fs::write(path, manifest).doing(|| "writing the manifest".to_owned())
    }

    fn manifest(&self, as_of: &str) -> Value {
        let files = |entity: &str| format!("{entity}/*.parquet");
        data::manifest(as_of, files, self.size.activities > 0)
    }

    fn write(&self, bench: &Bench<'_>, size: Size) -> Result<(), Error> {
        remove(&self.folder)?;
        let Size {
            profiles,
            activities,
        } = size;
        let unreadable = |text: String| Error::unexpected(format!("the manifest: {text}"));
        let manifest = serde_json::from_value::<Manifest>(self.manifest(data::AS_OF));
        let manifest = manifest.map_err(|error| unreadable(error.to_string()))?;
        let schemas = manifest
            .schemas()
            .map_err(|error| unreadable(error.message))?;
        for schema in schemas.into_iter().map(Arc::new) {
            if schema.name.as_str() == data::ORDERS {
                let order = |number| data::order(number, profiles);
                self.entity(bench, &schema, activities, order)?;
            } else {
                self.entity(bench, &schema, profiles, data::customer)?;
            }
        }
        Ok(())
    }

    fn entity(
        &self,
        bench: &Bench<'_>,
        schema: &Arc<EntitySchema>,
        rows: u64,
        row: impl Fn(u64) -> Row,
    ) -> Result<(), Error> {
        let name = schema.name.as_str();
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).doing(|| "making the data set's folder".to_owned())?;
        bench.narrator.begin(&format!("making {name}"), Some(rows));
        for first in (0..rows).step_by(usize::try_from(FILE_ROWS).unwrap_or(usize::MAX)) {
            let path = folder.join(format!("{:05}.parquet", first / FILE_ROWS));
            let mut file = Table::create(&path, schema)?;
            for number in first..rows.min(first + FILE_ROWS) {
                file.rows.push(&row(number)).map_err(unwritten)?;
                if number % ROWS_TOGETHER == 0 {
                    file.drain()?;
                    bench.narrator.at(number, "");
                    bench.check()?;
                }
            }
            file.finish()?;
        }
        bench.narrator.end(&format!("{rows} rows of {name}"));
        Ok(())
    }
}

/// A Parquet file on its way.
struct Table {
    out: File,
    rows: Box<dyn RowFile>,
}

impl Table {
    fn create(path: &Path, schema: &Arc<EntitySchema>) -> Result<Self, Error> {
        let out = File::create(path).doing(|| format!("making {}", path.display()))?;
        let rows = sanntid_sources::write_parquet(schema).map_err(unwritten)?;
        Ok(Self { out, rows })
    }

    /// Writes what is ready.
    fn drain(&mut self) -> Result<(), Error> {
        let ready = self.rows.take();
        self.out
            .write_all(&ready)
            .doing(|| "writing the data set".to_owned())
    }

    fn finish(mut self) -> Result<(), Error> {
        let rest = self.rows.finish().map_err(unwritten)?;
        self.out
            .write_all(&rest)
            .doing(|| "writing the data set".to_owned())
    }
}

fn unwritten(error: sanntid_types::Error) -> Error {
    Error::unexpected(format!("the data set can't be written: {}", error.message))
}
