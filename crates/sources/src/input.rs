//! A file's bytes, unpacked and buffered. Owns gzip, the byte order mark and whose fault a failed
//! read is. Must not hold more than one buffer, whatever the file unpacks to.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;

use crate::Error;

const BUFFER_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a file's content.
pub(crate) struct Input {
    reader: BufReader<Box<dyn Read + Send>>,
    gzip: bool,
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
    pub(crate) fn open(reader: Box<dyn Read + Send>, gzip: bool) -> Result<Self, Error> {
        let reader: Box<dyn Read + Send> = if gzip {
            Box::new(MultiGzDecoder::new(reader))
        } else {
            reader
        };
        // The mark can come in pieces, so it is read apart and put back where it is none.
        let mut start = Vec::with_capacity(BYTE_ORDER_MARK.len());
        let mut reader = reader;
        let limit = u64::try_from(BYTE_ORDER_MARK.len()).unwrap_or_default();
        (&mut reader)
            .take(limit)
            .read_to_end(&mut start)
            .map_err(|error| read_error(error, gzip))?;
        if !gzip && start.starts_with(&GZIP_MAGIC) {
            return Err(Error::GzipNotDeclared);
        }
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(start).chain(reader));
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, whole),
            gzip,
        })
    }

    /// The bytes that are next; none at the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8], Error> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error, self.gzip)),
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
        let gzip = self.gzip;
        let read = (&mut self.reader).take(limit).read_until(b'\n', line);
        if read.map_err(|error| read_error(error, gzip))? == 0 {
            return Ok(Line::None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > max {
            self.reader
                .skip_until(b'\n')
                .map_err(|error| read_error(error, gzip))?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Whole)
    }
}

/// The decoder tells bad data by three kinds of errors, which a file or a pipe does not have.
fn read_error(error: io::Error, gzip: bool) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if gzip => Error::GzipCutOff,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if gzip => Error::GzipCorrupt {
            reason: error.to_string(),
        },
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(reader: impl Read + Send + 'static) -> Input {
        Input::open(Box::new(reader), false).expect("input")
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
