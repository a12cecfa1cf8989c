//! Thrift's compact protocol, written by hand: it says whatever a test wants.

/// Writes structs.
#[derive(Clone, Default)]
pub(crate) struct Thrift(pub(crate) Vec<u8>);

impl Thrift {
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The head of a field; numbers of fields are always written whole.
    pub(crate) fn field(mut self, id: i64, kind: u8) -> Self {
        self.0.push(kind);
        self.zigzag(id);
        self
    }

    pub(crate) fn int(self, id: i64, value: i64) -> Self {
        let mut this = self.field(id, 6);
        this.zigzag(value);
        this
    }

    /// Parquet's enumerations and small numbers, which the library reads as 32 bits.
    pub(crate) fn int32(self, id: i64, value: i64) -> Self {
        let mut this = self.field(id, 5);
        this.zigzag(value);
        this
    }

    pub(crate) fn binary(self, id: i64, value: &[u8]) -> Self {
        let mut this = self.field(id, 8);
        this.varint(value.len() as u64);
        this.0.extend(value);
        this
    }

    pub(crate) fn nested(self, id: i64, value: &Self) -> Self {
        let mut this = self.field(id, 12);
        this.0.extend(&value.0);
        this.0.push(0);
        this
    }

    /// A list that says that it has `count` elements.
    pub(crate) fn list(self, id: i64, kind: u8, count: u64, elements: &[u8]) -> Self {
        let mut this = self.field(id, 9);
        this.0.push(0xf0 | kind);
        this.varint(count);
        this.0.extend(elements);
        this
    }

    pub(crate) fn structs(self, id: i64, elements: &[Self]) -> Self {
        let each = elements.iter().flat_map(|one| [&one.0[..], &[0]].concat());
        let bytes: Vec<u8> = each.collect();
        self.list(id, 12, elements.len() as u64, &bytes)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}
