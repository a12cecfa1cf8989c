//! Unpacks a body while it arrives: gzip and zstd, in pieces of bounded size.
//! Must not know what the bytes mean, nor wait for any.

use std::io::{self, BufRead, Read};

use actix_web::http::header::HeaderMap;
use actix_web::web::Buf as _;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use sanntid_types::{Error, ErrorCode};
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe::DParameter;

use crate::body::{encoding, unsupported};
use crate::query::shown;

/// Size of a piece of unpacked bytes.
pub(crate) const PIECE_BYTES: usize = 64 * 1024;
/// Largest window that zstd data may ask for, as a power of two: 8 MiB, which is what the format's
/// RFC 8878 wants every reader to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Turns the bytes that were sent into those that were meant.
pub(crate) enum Unpack {
    Plain(Bytes),
    Gzip(Box<MultiGzDecoder<Fed>>),
    Zstd(Box<Zstd>),
}

impl Unpack {
    /// Chooses by the content encoding.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match encoding(headers).as_deref() {
            None => Ok(Self::Plain(Bytes::new())),
            Some("gzip" | "x-gzip") => {
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(Fed::default()))))
            }
            Some("zstd") => Ok(Self::Zstd(Box::new(Zstd::new()?))),
            Some(other) => Err(unsupported(format!(
                "the content encoding {} is not taken here: send gzip or zstd, or none",
                shown(other)
            ))),
        }
    }

    /// Takes the next bytes; all before them have been given out.
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        match self {
            Self::Plain(held) => *held = bytes,
            Self::Gzip(decoder) => decoder.get_mut().bytes = bytes,
            Self::Zstd(zstd) => zstd.bytes = bytes,
        }
    }

    /// Notes that nothing more is fed.
    pub(crate) fn end(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Gzip(decoder) => decoder.get_mut().ended = true,
            Self::Zstd(zstd) => zstd.ended = true,
        }
    }

    /// The next unpacked bytes; none where it must be fed first, or where all has ended.
    pub(crate) fn next(&mut self) -> Result<Bytes, Error> {
        match self {
            Self::Plain(held) => Ok(std::mem::take(held)),
            Self::Gzip(decoder) => {
                let mut piece = vec![0; PIECE_BYTES];
                match decoder.read(&mut piece) {
                    Ok(length) => piece.truncate(length),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => piece.clear(),
                    Err(error) => return Err(broken("gzip", &error)),
                }
                Ok(piece.into())
            }
            Self::Zstd(zstd) => zstd.next(),
        }
    }
}

/// Bytes that are there already; asked for more, it says that it would have to wait.
#[derive(Default)]
pub(crate) struct Fed {
    bytes: Bytes,
    ended: bool,
}

impl BufRead for Fed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.advance(amount);
    }
}

impl Read for Fed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut from = self.fill_buf()?;
        let length = from.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

/// A zstd decoder with the bytes that it has not taken yet.
pub(crate) struct Zstd {
    decoder: Decoder<'static>,
    bytes: Bytes,
    ended: bool,
    /// Whether all frames so far are complete, and there was one.
    is_whole: bool,
    /// Whether it may hold more than it could give out.
    is_full: bool,
}

impl Zstd {
    fn new() -> Result<Self, Error> {
        let unusable =
            |error: io::Error| Error::new(ErrorCode::Internal, format!("no zstd decoder: {error}"));
        let mut decoder = Decoder::new().map_err(unusable)?;
        let window = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
        decoder.set_parameter(window).map_err(unusable)?;
        Ok(Self {
            decoder,
            bytes: Bytes::new(),
            ended: false,
            is_whole: false,
            is_full: false,
        })
    }

    fn next(&mut self) -> Result<Bytes, Error> {
        while self.is_full || !self.bytes.is_empty() {
            let mut piece = vec![0; PIECE_BYTES];
            let mut input = InBuffer::around(&self.bytes);
            let mut output = OutBuffer::around(piece.as_mut_slice());
            let run = self.decoder.run(&mut input, &mut output);
            let hint = run.map_err(|error| broken("zstd", &error))?;
            let (taken, length) = (input.pos(), output.pos());
            self.bytes.advance(taken);
            // A frame that has ended holds nothing back; asked again, the decoder begins another.
            self.is_full = length == PIECE_BYTES && hint != 0;
            self.is_whole = hint == 0;
            if length > 0 {
                piece.truncate(length);
                return Ok(piece.into());
            }
        }
        if self.ended && !self.is_whole {
            return Err(broken("zstd", &io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Bytes::new())
    }
}

fn broken(packing: &str, error: &io::Error) -> Error {
    let text = if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the {packing} data of the body is cut off")
    } else {
        format!("the {packing} data of the body can't be unpacked: {error}")
    };
    Error::new(ErrorCode::InvalidBody, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn of(encoding: &'static str) -> Unpack {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        Unpack::of(&headers).expect("known")
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("memory");
        encoder.finish().expect("memory")
    }

    fn pack(encoding: &str, content: &[u8]) -> Vec<u8> {
        match encoding {
            "gzip" => gzip(content),
            "zstd" => zstd::encode_all(content, 1).expect("memory"),
            _ => content.to_vec(),
        }
    }

    fn unpack(encoding: &'static str, packed: &[u8], step: usize) -> Result<Vec<u8>, Error> {
        let mut unpack = of(encoding);
        let mut all = Vec::new();
        let mut drain = |unpack: &mut Unpack| loop {
            let piece = unpack.next()?;
            assert!(piece.len() <= PIECE_BYTES.max(step));
            if piece.is_empty() {
                return Ok::<(), Error>(());
            }
            all.extend_from_slice(&piece);
        };
        for chunk in packed.chunks(step) {
            unpack.feed(Bytes::copy_from_slice(chunk));
            drain(&mut unpack)?;
        }
        unpack.end();
        drain(&mut unpack)?;
        Ok(all)
    }

    const ENCODINGS: [&str; 3] = ["identity", "gzip", "zstd"];

    proptest! {
        #[test]
        fn whatever_way_it_is_cut_the_content_comes_out(
            content in proptest::collection::vec(any::<u8>(), 0..3000),
            repeat in 1_usize..60,
            step in 1_usize..5000,
        ) {
            let content = content.repeat(repeat);
            for encoding in ENCODINGS {
                let packed = pack(encoding, &content);
                let unpacked = unpack(encoding, &packed, step).expect("good");
                prop_assert!(unpacked == content, "{encoding}");
            }
        }
    }

    #[test]
    fn one_byte_at_a_time_and_several_members_are_one_content() {
        for encoding in ENCODINGS {
            let mut packed = pack(encoding, b"first,");
            packed.extend(pack(encoding, &[b'x'; 200_000]));
            packed.extend(pack(encoding, b"last"));
            let unpacked = unpack(encoding, &packed, 1).expect("good");
            assert_eq!(unpacked.len(), 200_010, "{encoding}");
            assert!(unpacked.starts_with(b"first,x") && unpacked.ends_with(b"xlast"));
        }
    }

    #[test]
    fn data_that_is_cut_off_anywhere_or_changed_is_an_error() {
        for encoding in ["gzip", "zstd"] {
            let whole = pack(encoding, b"{\"body\": {\"City\": \"Oslo\"}}\n");
            for end in 0..whole.len() {
                let error = unpack(encoding, &whole[..end], 7).expect_err("cut off");
                assert_eq!(error.code, ErrorCode::InvalidBody);
                assert!(error.message.contains("is cut off"), "{end}: {error}");
            }
            assert!(unpack(encoding, b"no packed data at all", 7).is_err());
            let mut followed = whole.clone();
            followed.extend_from_slice(b"something else");
            assert!(unpack(encoding, &followed, 7).is_err());
        }
    }

    #[test]
    fn a_window_larger_than_eight_mebibytes_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(27).expect("a window");
        encoder.write_all(&vec![b'a'; 1 << 20]).expect("memory");
        let packed = encoder.finish().expect("memory");
        let error = unpack("zstd", &packed, 4096).expect_err("too large");
        assert_eq!(error.code, ErrorCode::InvalidBody);
    }

    #[test]
    fn content_that_fills_a_piece_exactly_is_whole() {
        for encoding in ENCODINGS {
            for pieces in 1..4 {
                let content = vec![b'x'; pieces * PIECE_BYTES];
                let packed = pack(encoding, &content);
                assert!(unpack(encoding, &packed, 4096).expect(encoding) == content);
            }
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        let error = Unpack::of(&headers).err().expect("refused");
        assert_eq!(error.code, ErrorCode::UnsupportedContentType);
    }
}
