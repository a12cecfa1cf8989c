//! A file's bytes, unpacked and buffered. Owns gzip, zstd, the byte order mark and whose fault a
//! failed read is. Must not hold more than one buffer and a window, whatever the file unpacks to.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;

use crate::{Error, Packing};

const BUFFER_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// As much of it as is read at the start.
const ZSTD_MAGIC: [u8; 3] = [0x28, 0xb5, 0x2f];

/// Largest window that zstd data may ask for, as a power of two: 8 MiB, which is what the format's
/// RFC 8878 wants every reader to support and what all levels up to 19 need.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Reads a file's content.
pub(crate) struct Input {
    reader: BufReader<Box<dyn Read + Send>>,
    packing: Packing,
}

/// Says what [`Input::read_line`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole,
    /// It was longer than allowed; the rest of it was passed over.
    TooLong,
    /// The input has ended.
    None,
}

impl Input {
    /// Begins to read, behind a byte order mark where there is one.
    pub(crate) fn open(reader: Box<dyn Read + Send>, packing: Packing) -> Result<Self, Error> {
        let reader: Box<dyn Read + Send> = match packing {
            Packing::None => reader,
            Packing::Gzip => Box::new(MultiGzDecoder::new(reader)),
            // The library that Parquet's pages need anyway, so that there is but one.
            Packing::Zstd => {
                let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
                // No frame at all is no empty content, though the library takes it for that.
                if reader.fill_buf().map_err(Error::of_read)?.is_empty() {
                    return Err(Error::ZstdCutOff);
                }
                let mut decoder = zstd::Decoder::with_buffer(reader).map_err(Error::Io)?;
                let limit = decoder.window_log_max(ZSTD_WINDOW_LOG_MAX);
                limit.map_err(Error::Io)?;
                Box::new(decoder)
            }
        };
        // The mark can come in pieces, so it is read apart and put back where it is none.
        let mut start = Vec::with_capacity(BYTE_ORDER_MARK.len());
        let mut reader = reader;
        let limit = u64::try_from(BYTE_ORDER_MARK.len()).unwrap_or_default();
        (&mut reader)
            .take(limit)
            .read_to_end(&mut start)
            .map_err(|error| read_error(error, packing))?;
        if packing == Packing::None && start.starts_with(&GZIP_MAGIC) {
            return Err(Error::GzipNotDeclared);
        }
        if packing == Packing::None && start == ZSTD_MAGIC {
            return Err(Error::ZstdNotDeclared);
        }
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(start).chain(reader));
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, whole),
            packing,
        })
    }

    /// The bytes that are next; none at the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8], Error> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error, self.packing)),
            }
        }
        Ok(self.reader.buffer())
    }

    /// Passes over bytes that [`Self::fill`] gave.
    pub(crate) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    /// Reads the next line into `line`, without its end; at most `max` bytes.
    pub(crate) fn read_line(&mut self, line: &mut Vec<u8>, max: usize) -> Result<Line, Error> {
        line.clear();
        let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        let packing = self.packing;
        let read = (&mut self.reader).take(limit).read_until(b'\n', line);
        if read.map_err(|error| read_error(error, packing))? == 0 {
            return Ok(Line::None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > max {
            self.reader
                .skip_until(b'\n')
                .map_err(|error| read_error(error, packing))?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Whole)
    }
}

/// The decoders tell bad data by kinds of errors, or by errors without an error number of the
/// system, which a file or a pipe does not have.
fn read_error(error: io::Error, packing: Packing) -> Error {
    if let Some(error) = Error::carried_by(&error) {
        return error;
    }
    let reason = || error.to_string();
    match (packing, error.kind()) {
        (Packing::Gzip, io::ErrorKind::UnexpectedEof) => Error::GzipCutOff,
        (Packing::Zstd, io::ErrorKind::UnexpectedEof) => Error::ZstdCutOff,
        (Packing::Gzip, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Error::GzipCorrupt { reason: reason() }
        }
        (Packing::Zstd, io::ErrorKind::Other) if error.raw_os_error().is_none() => {
            Error::ZstdCorrupt { reason: reason() }
        }
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(reader: impl Read + Send + 'static) -> Input {
        Input::open(Box::new(reader), Packing::None).expect("input")
    }

    #[test]
    fn a_line_over_the_limit_is_passed_over_without_being_held() {
        let mut input = input(io::repeat(b'x').take(50 << 20).chain(&b"\nnext"[..]));
        let mut line = Vec::new();
        assert_eq!(
            input.read_line(&mut line, 1_000).expect("line"),
            Line::TooLong
        );
        assert!(line.capacity() <= 4_000, "{}", line.capacity());
        assert_eq!(
            input.read_line(&mut line, 1_000).expect("line"),
            Line::Whole
        );
        assert_eq!(line, b"next");
        assert_eq!(input.read_line(&mut line, 1_000).expect("line"), Line::None);
    }

    #[test]
    fn only_a_whole_byte_order_mark_is_passed_over() {
        for (start, left) in [
            (&b"\xef\xbb\xbfab"[..], &b"ab"[..]),
            (b"\xef\xbb\xbf", b""),
            (b"\xef\xbb", b"\xef\xbb"),
            (b"\xef\xbba", b"\xef\xbba"),
            (b"a\xef\xbb\xbf", b"a\xef\xbb\xbf"),
            (b"a", b"a"),
            (b"", b""),
        ] {
            let mut input = input(start);
            let mut line = Vec::new();
            input.read_line(&mut line, 100).expect("line");
            assert_eq!(line, left, "{start:?}");
        }
    }
}
