//! Owns how a document is written on the command line: `key=text` and `key:=json`.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, anyhow, bail};
use serde_json::value::RawValue;

/// Largest document that is read from a file or standard input.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;

/// Makes a JSON object of pairs. Numbers keep their digits.
///
/// # Errors
/// A pair without `=`, an empty or repeated key, or bad JSON behind `:=`.
pub(crate) fn object_of(pairs: &[String]) -> anyhow::Result<String> {
    let mut fields: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            bail!("{pair:?} has no =; expected key=text, or key:=json for numbers, true and null");
        };
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => {
                let json = serde_json::from_str(value);
                let what = || format!("what follows {key}:= is no JSON: {value}");
                (key, json.with_context(what)?)
            }
            None => (key, RawValue::from_string(serde_json::to_string(value)?)?),
        };
        if key.is_empty() {
            bail!("{pair:?} has no key before its =");
        }
        if fields.insert(key, value).is_some() {
            bail!("{key} stands here twice");
        }
    }
    Ok(serde_json::to_string(&fields)?)
}

/// Gives the document of `--body` (JSON, `@file`, or `-` for standard input), else of the pairs.
///
/// # Errors
/// Both or neither are given, or the document can't be read.
pub(crate) fn document_of(body: Option<&str>, pairs: &[String]) -> anyhow::Result<String> {
    match body {
        Some(_) if !pairs.is_empty() => bail!("give either --body or key=value pairs, not both"),
        Some(body) => json_text(body),
        None if pairs.is_empty() => bail!("nothing to send; give key=value pairs or --body JSON"),
        None => object_of(pairs),
    }
}

/// Reads JSON that is given itself, as `@file`, or as `-` on standard input.
///
/// # Errors
/// It can't be read, or is no JSON.
pub(crate) fn json_text(given: &str) -> anyhow::Result<String> {
    let text = match given.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.to_owned())?;
            limited(file).with_context(|| path.to_owned())?
        }
        None if given == "-" => limited(std::io::stdin().lock()).context("standard input")?,
        None => given.to_owned(),
    };
    let checked: &RawValue =
        serde_json::from_str(&text).map_err(|error| anyhow!("the body is no JSON: {error}"))?;
    Ok(checked.get().to_owned())
}

fn limited(reader: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = reader
        .take(DOCUMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read)? > DOCUMENT_BYTES_MAX {
        bail!("more than {DOCUMENT_BYTES_MAX} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(pairs: &[&str]) -> Result<String, String> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        object_of(&pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn pairs_make_an_object() {
        for (pairs, expected) in [
            (&["City=Oslo"][..], r#"{"City":"Oslo"}"#),
            (&["b=1", "a=x=y"], r#"{"a":"x=y","b":"1"}"#),
            (
                &["Income:=10.50", "Note:=null"],
                r#"{"Income":10.50,"Note":null}"#,
            ),
            (
                &["Id:=12345678901234567890123"],
                r#"{"Id":12345678901234567890123}"#,
            ),
            (&["Empty="], r#"{"Empty":""}"#),
            (&["Quote=say \"hi\"\n"], r#"{"Quote":"say \"hi\"\n"}"#),
            (&["Deep:={\"a\":[1]}"], r#"{"Deep":{"a":[1]}}"#),
        ] {
            assert_eq!(object(pairs).as_deref(), Ok(expected), "{pairs:?}");
        }
    }

    #[test]
    fn bad_pairs_say_what_was_expected() {
        for (pairs, part) in [
            (&["City"][..], "expected key=text"),
            (&["=x"], "no key"),
            (&[":=1"], "no key"),
            (&["a=1", "a=2"], "twice"),
            (&["a:=Oslo"], "no JSON: Oslo"),
            (&["a:="], "no JSON"),
        ] {
            let message = object(pairs).expect_err("bad");
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }

    #[test]
    fn a_document_comes_from_pairs_or_from_a_body_but_not_both() {
        let pairs = ["a=1".to_owned()];
        assert_eq!(document_of(None, &pairs).unwrap(), r#"{"a":"1"}"#);
        assert_eq!(
            document_of(Some(" {\"a\": 1.0} "), &[]).unwrap(),
            "{\"a\": 1.0}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[1]").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(document_of(Some(&at), &[]).unwrap(), "[1]");
        assert!(document_of(Some("{}"), &pairs).is_err());
        assert!(document_of(None, &[]).is_err());
        assert!(document_of(Some("{'a': 1}"), &[]).is_err());
        assert!(document_of(Some("@/nowhere/body.json"), &[]).is_err());
    }
}
