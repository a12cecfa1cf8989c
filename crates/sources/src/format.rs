//! Which kinds of files can be read, and how a name tells (manage: kinds by ending).

use crate::Error;

/// Names the kind of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// RFC 4180 with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Says how a file's bytes become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileFormat {
    pub kind: FileKind,
    /// Whether the content is compressed with gzip.
    pub gzip: bool,
}

impl FileFormat {
    /// Tells the format by the name's ending, whatever its case: `.csv`, `.ndjson`, `.jsonl`, each
    /// also with `.gz`.
    ///
    /// # Errors
    /// [`Error::KindNotRead`] for any other ending; it names those that can be read.
    pub fn of_name(file_name: &str) -> Result<Self, Error> {
        let name = file_name.to_ascii_lowercase();
        let (bare, gzip) = match name.strip_suffix(".gz") {
            Some(bare) => (bare, true),
            None => (name.as_str(), false),
        };
        let kind = match bare.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => FileKind::Csv,
            Some("ndjson" | "jsonl") => FileKind::Ndjson,
            other => {
                return Err(Error::KindNotRead {
                    kind: unread_kind(&name, other),
                });
            }
        };
        Ok(Self { kind, gzip })
    }
}

fn unread_kind(name: &str, ending: Option<&str>) -> String {
    if name.ends_with('/') {
        return "a Delta table (a folder)".to_owned();
    }
    match ending {
        Some("parquet") => "Parquet".to_owned(),
        Some("zst") => "a file compressed with zstd (.zst)".to_owned(),
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
        for (name, kind, gzip) in [
            ("Customer.csv", FileKind::Csv, false),
            ("2026/Customer.CSV.GZ", FileKind::Csv, true),
            ("a.b.ndjson", FileKind::Ndjson, false),
            ("a.jsonl", FileKind::Ndjson, false),
            ("a.jsonl.gz", FileKind::Ndjson, true),
        ] {
            let format = FileFormat::of_name(name).expect(name);
            assert_eq!(format, FileFormat { kind, gzip }, "{name}");
        }
    }

    #[test]
    fn other_endings_are_refused_with_those_that_can_be_read() {
        for (name, shown) in [
            ("measures.parquet", "Parquet"),
            ("a.csv.zst", "zstd"),
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
