//! Just enough of Thrift's compact protocol to look at what a Parquet file says before the library
//! that reads it does. Must not allocate, nor trust a length or a depth.

/// How deep structs and lists may stand in each other.
const DEPTH_MAX: u32 = 16;
/// Bytes of the longest number.
const VARINT_BYTES_MAX: u32 = 10;

/// Why bytes can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They end before the value does.
    Short,
    Bad,
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// Names the type of a value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    True,
    False,
    Byte,
    /// Of 16, 32 or 64 bits.
    Int,
    Double,
    Binary,
    /// Or a set.
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn of(nibble: u8) -> Result<Self> {
        Ok(match nibble {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Fault::Bad),
        })
    }
}

/// Reads values one by one.
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Fault::Short)?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or(Fault::Short)
    }

    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for place in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Bad)
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| Fault::Bad)?;
        self.take(length)
    }

    /// Begins a list; gives what its elements are and how many there are, as it says.
    pub(crate) fn list(&mut self) -> Result<(Kind, usize)> {
        let head = self.byte()?;
        let kind = Kind::of(head & 0x0f)?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| Fault::Bad)?,
            short => usize::from(short),
        };
        // Each has at least a byte.
        if count > self.left() {
            return Err(Fault::Short);
        }
        Ok((kind, count))
    }

    /// Reads a struct; `field` gets each field's number and kind, and says whether it has read its
    /// value, which is passed over otherwise.
    pub(crate) fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, Kind) -> Result<bool>,
    ) -> Result<()> {
        let mut id = 0;
        while let Some(kind) = self.next_field(&mut id)? {
            if !field(self, id, kind)? {
                self.skip(kind, DEPTH_MAX)?;
            }
        }
        Ok(())
    }

    fn next_field(&mut self, id: &mut i64) -> Result<Option<Kind>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *id = match head >> 4 {
            0 => self.int()?,
            delta => *id + i64::from(delta),
        };
        Kind::of(head & 0x0f).map(Some)
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Result<()> {
        let deeper = depth.checked_sub(1).ok_or(Fault::Bad)?;
        match kind {
            Kind::True | Kind::False => {}
            Kind::Byte => drop(self.byte()?),
            Kind::Int => drop(self.varint()?),
            Kind::Double => drop(self.take(8)?),
            Kind::Uuid => drop(self.take(16)?),
            Kind::Binary => drop(self.binary()?),
            Kind::List => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    match kind {
                        // In a list they have a byte each.
                        Kind::True | Kind::False => drop(self.byte()?),
                        kind => self.skip(kind, deeper)?,
                    }
                }
            }
            // Parquet has none.
            Kind::Map => return Err(Fault::Bad),
            Kind::Struct => {
                let mut id = 0;
                while let Some(kind) = self.next_field(&mut id)? {
                    self.skip(kind, deeper)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        for (bytes, value) in [
            (&[0][..], Ok(0)),
            (&[1], Ok(-1)),
            (&[2], Ok(1)),
            (&[0xac, 0x02], Ok(150)),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                Ok(i64::MIN),
            ),
            (&[0x80], Err(Fault::Short)),
            (&[0x80; 10], Err(Fault::Bad)),
        ] {
            assert_eq!(Reader::new(bytes).int(), value, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_passed_over_without_end() {
        let skipped = |kind, bytes: &[u8]| Reader::new(bytes).skip(kind, DEPTH_MAX);
        // A list that says it has 2³¹ structs, and structs in each other.
        assert_eq!(
            skipped(Kind::List, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0]),
            Err(Fault::Short)
        );
        assert_eq!(skipped(Kind::Struct, &[0x1c; 1000]), Err(Fault::Bad));
        assert_eq!(skipped(Kind::List, &[0x19; 1000]), Err(Fault::Bad));
        assert_eq!(skipped(Kind::Struct, &[0x15, 2, 0x18, 1, b'a', 0]), Ok(()));
        assert_eq!(skipped(Kind::List, &[0x31, 1, 2, 1]), Ok(()));
        assert_eq!(skipped(Kind::Struct, &[0x1f, 0]), Err(Fault::Bad));
    }
}
