//! JSON objects written member by member. Values come as JSON texts and are copied as they are.
//! Owns commas, names and quoting; must not parse.

use sanntid_types::Literal;

/// Writes one object into a text that is being built.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn open(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    /// Appends a member whose value is JSON.
    pub(crate) fn json(&mut self, name: &str, json: &str) {
        self.name(name).push_str(json);
    }

    /// Appends a member whose value is a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        let out = self.name(name);
        if text.bytes().all(needs_no_escape) {
            out.push('"');
            out.push_str(text);
            out.push('"');
        } else {
            out.push_str(Literal::text(text).as_json());
        }
    }

    /// Appends a member whose value is an object.
    pub(crate) fn object(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::open(self.name(name));
        members(&mut inner);
        inner.close();
    }

    /// Appends a member whose value is a list of objects.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        members: impl Fn(&mut Object<'_>, T),
    ) {
        let out = self.name(name);
        out.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let mut inner = Object::open(out);
            members(&mut inner, item);
            inner.close();
        }
        out.push(']');
    }

    pub(crate) fn close(self) {
        self.out.push('}');
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        // Nearly every name is plain, and a page writes each of them for every row.
        if name.bytes().all(is_plain) {
            self.out.push('"');
            self.out.push_str(name);
            self.out.push('"');
        } else {
            self.out.push_str(Literal::text(name).as_json());
        }
        self.out.push(':');
        self.out
    }
}

fn needs_no_escape(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.@$".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_nest_and_names_and_texts_are_quoted() {
        let mut json = String::new();
        let mut object = Object::open(&mut json);
        object.json("@odata.count", "1.50");
        object.text("a\"\\\n", "b\"\\\n");
        object.object("o", |inner| inner.json("n", "null"));
        object.list("l", [1, 2], |inner, n: i32| inner.json("n", &n.to_string()));
        object.list("e", [0; 0], |inner, _| inner.json("n", "0"));
        object.object("å", |_| {});
        object.close();
        assert_eq!(
            json,
            concat!(
                r#"{"@odata.count":1.50,"a\"\\\n":"b\"\\\n","o":{"n":null},"#,
                r#""l":[{"n":1},{"n":2}],"e":[],"å":{}}"#
            )
        );
    }
}
