//! Owns how a file of this machine is opened: a regular one, and without waiting for anybody.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading.
///
/// A pipe that has taken a file's place since it was found would else be waited on for ever.
///
/// # Errors
/// It can't be opened; it is something else (`InvalidInput`).
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let text = "it is not a file any more";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_pipe_that_nobody_writes_is_refused_and_not_waited_on() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("a.csv");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        let error = open_regular(&pipe).expect_err("a pipe");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(open_regular(folder.path()).is_err(), "a folder");
        std::fs::write(folder.path().join("b.csv"), "x").expect("a file");
        let file = open_regular(&folder.path().join("b.csv")).expect("a file");
        assert_eq!(std::io::read_to_string(file).expect("text"), "x");
    }
}
