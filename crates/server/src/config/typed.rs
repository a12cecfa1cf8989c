//! Owns the reading of configuration values into the types that the crates declare.
//! The target type decides: a text is a duration for a `Duration`, a size for a number of bytes.
//! Must not know any section or key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Says which key has a bad value, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    /// Dotted; empty while unknown.
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Error {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    fn at(mut self, path: &str) -> Self {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("", message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            field,
            format!("unknown key; known here: {}", expected.join(", ")),
        )
    }
}

/// Reads one value that stands at a path.
pub(crate) struct Typed<'a> {
    pub(crate) value: &'a toml::Value,
    pub(crate) path: String,
}

impl Typed<'_> {
    fn expected(&self, what: &str) -> Error {
        let got = match self.value {
            toml::Value::String(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        Error::new(&self.path, format!("expected {what}, got {got}"))
    }

    fn is_size(&self) -> bool {
        let key = self.path.rsplit('.').next().unwrap_or_default();
        key.split('_').any(|word| word == "bytes")
    }

    fn parsed<T: FromStr>(&self, text: &str, what: &str) -> Result<T, Error> {
        text.trim().parse().map_err(|_| self.expected(what))
    }

    fn duration(&self) -> Result<Duration, Error> {
        let what = "a duration like \"30s\" or \"500ms\"";
        let text = self.value.as_str().ok_or_else(|| self.expected(what))?;
        humantime::parse_duration(text.trim()).map_err(|_| self.expected(what))
    }
}

/// A number may stand as a text: so it does in the environment, and sizes have units.
macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let result = match self.value {
                toml::Value::Integer(number) => visitor.visit_i64::<Error>(*number),
                toml::Value::String(text) if self.is_size() => {
                    let size: bytesize::ByteSize = self.parsed(text, "a size like \"8MiB\"")?;
                    visitor.visit_u64::<Error>(size.as_u64())
                }
                toml::Value::String(text) => {
                    visitor.visit_i64::<Error>(self.parsed(text, "a whole number")?)
                }
                _ if self.is_size() => return Err(self.expected("a size like \"8MiB\"")),
                _ => return Err(self.expected("a whole number")),
            };
            result.map_err(|error| error.at(&self.path))
        })*
    };
}

impl<'de> Deserializer<'de> for Typed<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.value {
            toml::Value::String(text) => visitor.visit_str::<Error>(text),
            toml::Value::Integer(number) => visitor.visit_i64::<Error>(*number),
            toml::Value::Float(number) => visitor.visit_f64::<Error>(*number),
            toml::Value::Boolean(flag) => visitor.visit_bool::<Error>(*flag),
            toml::Value::Datetime(_) => return Err(self.expected("a text or a number")),
            toml::Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, value)| Typed {
                    value,
                    path: format!("{}[{index}]", self.path),
                });
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            toml::Value::Table(table) => visitor.visit_map(Keys {
                entries: table.iter(),
                path: &self.path,
                value: None,
            }),
        };
        result.map_err(|error| error.at(&self.path))
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            toml::Value::String(text) => visitor.visit_f64(self.parsed(text, "a number")?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            toml::Value::String(text) => visitor.visit_bool(self.parsed(text, "true or false")?),
            toml::Value::Boolean(flag) => visitor.visit_bool(*flag),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A list may stand as a text with commas: so it does in the environment.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            toml::Value::String(text) => {
                let items = text.split(',').map(str::trim);
                let items = items.filter(|item| !item.is_empty());
                let list = visitor.visit_seq(SeqDeserializer::<_, Error>::new(items));
                list.map_err(|error| error.at(&self.path))
            }
            toml::Value::Array(_) => self.deserialize_any(visitor),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let what = || format!("one of {}", variants.join(", "));
        let text = self.value.as_str().filter(|text| variants.contains(text));
        let text = text.ok_or_else(|| self.expected(&what()))?;
        let variant: StrDeserializer<'_, Error> = text.into_deserializer();
        visitor
            .visit_enum(variant)
            .map_err(|error| error.at(&self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // What serde's own `Duration` asks for.
        if name == "Duration" {
            let duration = self.duration()?;
            let parts = [duration.as_secs(), u64::from(duration.subsec_nanos())];
            return visitor.visit_seq(SeqDeserializer::<_, Error>::new(parts.into_iter()));
        }
        match self.value {
            toml::Value::Table(_) => self.deserialize_any(visitor),
            _ => Err(self.expected("a section")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map
        identifier ignored_any
    }
}

impl<'de, 'a> IntoDeserializer<'de, Error> for Typed<'a> {
    type Deserializer = Typed<'a>;

    fn into_deserializer(self) -> Self::Deserializer {
        self
    }
}

struct Keys<'a> {
    entries: toml::map::Iter<'a, String, toml::Value>,
    path: &'a str,
    value: Option<(String, &'a toml::Value)>,
}

impl<'de> MapAccess<'de> for Keys<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        let path = match self.path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        let name: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        let found = seed.deserialize(name).map_err(|error| Error {
            path: path.clone(),
            ..error
        });
        self.value = Some((path, value));
        found.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (path, value) = self.value.take().expect("a key comes before its value");
        seed.deserialize(Typed { value, path })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Colour {
        Red,
        DarkBlue,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Target {
        wait_max: Duration,
        cache_bytes: u64,
        bytes_max: usize,
        workers: u32,
        percent: f64,
        on: bool,
        name: Option<String>,
        colour: Option<Colour>,
        list: Vec<u8>,
        names: Vec<String>,
        nested: Nested,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Nested {
        limit: u16,
    }

    fn read(text: &str) -> Result<Target, String> {
        let value = toml::Value::Table(text.parse().expect("TOML"));
        let typed = Typed {
            value: &value,
            path: String::new(),
        };
        Target::deserialize(typed).map_err(|error| error.to_string())
    }

    #[test]
    fn the_type_of_a_key_decides_how_its_text_is_read() {
        let text = r#"
            wait_max = "1m 30s"
            cache_bytes = "8MiB"
            bytes_max = 4096
            workers = "4"
            percent = "2.5"
            on = "true"
            name = "8MiB"
            colour = "darkBlue"
            list = [1, "2"]
            names = "/a, /b c,"
            nested.limit = 7
        "#;
        let expected = Target {
            wait_max: Duration::from_secs(90),
            cache_bytes: 8 << 20,
            bytes_max: 4096,
            workers: 4,
            percent: 2.5,
            on: true,
            name: Some("8MiB".to_owned()),
            colour: Some(Colour::DarkBlue),
            list: vec![1, 2],
            names: vec!["/a".to_owned(), "/b c".to_owned()],
            nested: Nested { limit: 7 },
        };
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read(""), Ok(Target::default()));
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_was_expected() {
        for (text, message) in [
            (
                "wait_max = 30",
                "wait_max: expected a duration like \"30s\" or \"500ms\", got 30",
            ),
            (
                "wait_max = \"soon\"",
                "wait_max: expected a duration like \"30s\" or \"500ms\", got \"soon\"",
            ),
            (
                "cache_bytes = \"much\"",
                "cache_bytes: expected a size like \"8MiB\", got \"much\"",
            ),
            (
                "cache_bytes = true",
                "cache_bytes: expected a size like \"8MiB\", got true",
            ),
            (
                "workers = \"8MiB\"",
                "workers: expected a whole number, got \"8MiB\"",
            ),
            ("workers = 1.5", "workers: expected a whole number, got 1.5"),
            ("on = 1", "on: expected true or false, got 1"),
            ("on = \"yes\"", "on: expected true or false, got \"yes\""),
            (
                "colour = \"green\"",
                "colour: expected one of red, darkBlue, got \"green\"",
            ),
            ("names = 1", "names: expected a list, got 1"),
            ("percent = \"x\"", "percent: expected a number, got \"x\""),
            ("nested = 1", "nested: expected a section, got 1"),
            (
                "nested.limt = 1",
                "nested.limt: unknown key; known here: limit",
            ),
            (
                "nested.limit = \"x\"",
                "nested.limit: expected a whole number, got \"x\"",
            ),
        ] {
            assert_eq!(read(text), Err(message.to_owned()), "{text}");
        }
        for (text, path) in [
            ("workers = -1", "workers: "),
            ("nested.limit = 70000", "nested.limit: "),
            ("list = [1, 300]", "list[1]: "),
            ("name = 1", "name: "),
            ("typo = 1", "typo: unknown key; known here: wait_max, "),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.starts_with(path), "{message}");
        }
    }
}
