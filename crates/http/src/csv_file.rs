//! Rows as CSV by RFC 4180. Owns how a value and a record are written.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use sanntid_types::{EntitySchema, Error, Row, RowFile};

/// Writes one file; the header comes first, also where no row follows.
struct CsvFile {
    text: String,
    width: usize,
}

/// Opens a CSV file; an [`sanntid_types::OpenRowFile`].
pub(crate) fn write_csv(schema: &Arc<EntitySchema>) -> Result<Box<dyn RowFile>, Error> {
    let mut text = String::new();
    let names = schema.attributes.iter();
    push_record(&mut text, names.map(|known| known.name.as_str().into()));
    Ok(Box::new(CsvFile {
        text,
        width: schema.attributes.len(),
    }))
}

impl RowFile for CsvFile {
    fn push(&mut self, row: &Row) -> Result<(), Error> {
        // A row that was written before an attribute was added ends early.
        let values = row.iter().chain(std::iter::repeat("null"));
        push_record(&mut self.text, values.take(self.width).map(plain));
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.text).into_bytes()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Ok(self.text.into_bytes())
    }
}

/// A stored value as it stands in a field: text without quotes, nothing for null.
fn plain(json: &str) -> Cow<'_, str> {
    if json == "null" {
        return "".into();
    }
    if json.starts_with('"') {
        return serde_json::from_str::<String>(json).map_or(json.into(), Cow::Owned);
    }
    json.into()
}

/// Writes one record by RFC 4180, its end a line feed.
fn push_record<'a>(text: &mut String, fields: impl Iterator<Item = Cow<'a, str>>) {
    let begin = text.len();
    for (at, field) in fields.enumerate() {
        if at > 0 {
            text.push(',');
        }
        // Blanks at an end are quoted too: some readers cut them.
        let is_plain = !field.contains(['"', ',', '\n', '\r']) && field.trim() == field;
        if is_plain {
            text.push_str(&field);
        } else {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        }
    }
    // A record of one empty field must not be an empty line.
    if text.len() == begin {
        text.push_str("\"\"");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut text = String::new();
        let fields = ["a", "b,c", "say \"x\"", "two\nlines", " edge", "", "å"];
        push_record(&mut text, fields.iter().map(|field| Cow::Borrowed(*field)));
        push_record(&mut text, std::iter::once("".into()));
        assert_eq!(
            text,
            "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\" edge\",,å\n\"\"\n"
        );
    }

    #[test]
    fn values_lose_nothing_but_their_json() {
        for (json, expected) in [
            ("null", ""),
            ("\"null\"", "null"),
            ("9007199254740993", "9007199254740993"),
            ("1.50", "1.50"),
            ("true", "true"),
            ("\"a\\\"b\\u00e5\"", "a\"bå"),
        ] {
            assert_eq!(plain(json), expected, "{json}");
        }
    }
}
