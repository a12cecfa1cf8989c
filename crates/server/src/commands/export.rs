//! Owns `sanntid export`: the source of truth of an entity, into a file or the standard output.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use crate::api::Instance;
use crate::cli::{ExportArgs, ExportFormat};
use crate::client::segment;
use crate::output::note;

pub(super) fn run(context: &Context, arguments: &ExportArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    let format = match arguments.format {
        ExportFormat::Csv => "csv",
        ExportFormat::Parquet => "parquet",
    };
    let below = format!("/exports/{}?format={format}", segment(&arguments.entity));
    download(&instance, &below, arguments.out.as_deref())
}

/// Writes the answer of a route into a file or the standard output.
pub(super) fn download(instance: &Instance, below: &str, out: Option<&Path>) -> anyhow::Result<()> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    let Some(path) = out else {
        let mut out = BufWriter::new(io::stdout().lock());
        instance.download(below, &mut out)?;
        return Ok(out.flush()?);
    };
    // What is cut off must not look like an export: it gets its name when it is whole.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::File::create(&part)
        .map_err(anyhow::Error::from)
        .and_then(|file| {
            let mut out = bar.wrap_write(file);
            let bytes = instance.download(below, &mut out)?;
            bar.finish_and_clear();
            out.flush()?;
            Ok(bytes)
        });
    let named = written.and_then(|bytes| {
        fs::rename(&part, path)?;
        Ok(bytes)
    });
    match named {
        Ok(bytes) => {
            note(&format!("wrote {} ({bytes} bytes)", path.display()));
            Ok(())
        }
        Err(error) => {
            remove(&part);
            Err(error).with_context(|| format!("{} was not written", path.display()))
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "the part of an export could not be removed");
    }
}
