//! Which kinds of files can be read, and how a name tells (manage: kinds by ending).

use crate::Error;

/// Names the kind of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// RFC 4180 with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet without nested columns; see [`crate::open_file`].
    Parquet,
}

/// Names how the whole content is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Says how a file's bytes become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileFormat {
    pub kind: FileKind,
    pub packing: Packing,
}

impl FileFormat {
    /// Tells the format by the name's ending, whatever its case: `.csv`, `.ndjson`, `.jsonl`, each
    /// also with `.gz` or `.zst`, and `.parquet`, which compresses its pages itself.
    ///
    /// # Errors
    /// [`Error::KindNotRead`] for any other ending; it names those that can be read.
    pub fn of_name(file_name: &str) -> Result<Self, Error> {
        let name = file_name.to_ascii_lowercase();
        let packed = [(".gz", Packing::Gzip), (".zst", Packing::Zstd)]
            .into_iter()
            .find_map(|(ending, packing)| Some((name.strip_suffix(ending)?, packing)));
        let (bare, packing) = packed.unwrap_or((name.as_str(), Packing::None));
        let kind = match bare.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => FileKind::Csv,
            Some("ndjson" | "jsonl") => FileKind::Ndjson,
            Some("parquet") if packing == Packing::None => FileKind::Parquet,
            other => {
                return Err(Error::KindNotRead {
                    kind: unread_kind(&name, other),
                });
            }
        };
        Ok(Self { kind, packing })
    }
}

fn unread_kind(name: &str, ending: Option<&str>) -> String {
    if name.ends_with('/') {
        return "a Delta table (a folder)".to_owned();
    }
    match ending {
        Some("parquet") => "Parquet that is compressed as a whole".to_owned(),
        Some(ending) if !ending.contains('/') => {
            let shown: String = ending.chars().take(20).collect();
            format!("a file of the kind .{shown}")
        }
        _ => "a file without an ending".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_the_format() {
        for (name, kind, packing) in [
            ("Customer.csv", FileKind::Csv, Packing::None),
            ("2026/Customer.CSV.GZ", FileKind::Csv, Packing::Gzip),
            ("a.b.ndjson", FileKind::Ndjson, Packing::None),
            ("a.jsonl", FileKind::Ndjson, Packing::None),
            ("a.jsonl.gz", FileKind::Ndjson, Packing::Gzip),
            ("a.csv.zst", FileKind::Csv, Packing::Zstd),
            ("a.NDJSON.Zst", FileKind::Ndjson, Packing::Zstd),
            ("measures.parquet", FileKind::Parquet, Packing::None),
        ] {
            let format = FileFormat::of_name(name).expect(name);
            assert_eq!(format, FileFormat { kind, packing }, "{name}");
        }
    }

    #[test]
    fn other_endings_are_refused_with_those_that_can_be_read() {
        for (name, shown) in [
            ("measures.parquet.gz", "Parquet"),
            ("a.csv.zst.zst", ".zst"),
            ("orders/", "Delta"),
            ("a.csv.gz.gz", ".gz"),
            ("a.xlsx", ".xlsx"),
            ("csv", "without an ending"),
            ("v1.2/orders", "without an ending"),
            (".gz", "without an ending"),
            ("", "without an ending"),
        ] {
            let error = FileFormat::of_name(name).expect_err(name);
            let text = error.to_string();
            assert!(text.contains(shown), "{name}: {text}");
            assert!(text.contains(".csv, .ndjson or .jsonl"), "{name}: {text}");
            assert!(!error.is_io());
        }
    }
}
