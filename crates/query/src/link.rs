//! Absolute links to the next page. Owns percent-encoding; must not carry a caller's key.

use std::fmt::Write as _;

/// Appends a query option; `link` already ends with the path or an earlier option.
pub(crate) fn push_pair(link: &mut String, name: &str, value: &str) {
    link.push(if link.contains('?') { '&' } else { '?' });
    push_encoded(link, name);
    link.push('=');
    push_encoded(link, value);
}

/// Appends a text as one segment of a path or one part of a query.
pub(crate) fn push_encoded(link: &mut String, text: &str) {
    for byte in text.bytes() {
        // `$` and the marks after it may stand in a query and in a segment, and keep links readable.
        if byte.is_ascii_alphanumeric() || b"-._~$(),:*'".contains(&byte) {
            link.push(char::from(byte));
        } else {
            write!(link, "%{byte:02X}").expect("writing to a String can't fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_could_end_a_value_is_encoded() {
        let mut link = "http://h/data/Customer".to_owned();
        push_pair(&mut link, "$filter", "City eq 'R&B+å/?#%=\"\\'");
        push_pair(&mut link, "$top", "2");
        assert_eq!(
            link,
            "http://h/data/Customer?$filter=City%20eq%20'R%26B%2B%C3%A5%2F%3F%23%25%3D%22%5C'&$top=2"
        );
    }
}
