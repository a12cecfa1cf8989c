//! Numbers of any length, compared by value without going through a float.
//! Owns the normal form of a number's text; must not round.

use std::cmp::Ordering;

/// Borrows a number's text in normal form: sign, significant digits and the place of the first.
///
/// Two texts that name the same number (`1.50`, `15e-1`) are equal (rules 3.3).
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    negative: bool,
    /// Integer and fraction digits around the dot, without zeros at either end of the whole.
    whole: &'a str,
    fraction: &'a str,
    /// Power of ten of the first digit; meaningless for zero.
    magnitude: i64,
}

impl<'a> Number<'a> {
    /// Reads `-?digits(.digits)?([eE][+-]?digits)?`; a leading `+`, a leading or trailing dot and
    /// exponents beyond nine digits are refused.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        if !is_digits(whole) || !fraction.is_none_or(is_digits) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let mut fraction = fraction.unwrap_or_default().trim_end_matches('0');
        let magnitude = if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            let zeros = i64::try_from(fraction.len() - significant.len()).ok()?;
            fraction = significant;
            exponent - zeros - 1
        } else {
            exponent + i64::try_from(whole.len()).ok()? - 1
        };
        let whole = if fraction.is_empty() {
            whole.trim_end_matches('0')
        } else {
            whole
        };
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self {
            negative: negative && !zero,
            whole,
            fraction,
            magnitude: if zero { 0 } else { magnitude },
        })
    }

    /// Whether the number has no fraction part.
    pub fn is_integer(&self) -> bool {
        self.is_zero() || self.magnitude + 1 >= self.digits_len()
    }

    /// The number as a 64-bit integer, where it is one and fits.
    pub fn to_i64(&self) -> Option<i64> {
        if self.is_zero() {
            return Some(0);
        }
        if !self.is_integer() || self.magnitude > 18 {
            return None;
        }
        let mut value: i128 = 0;
        for digit in self.digits() {
            value = value * 10 + i128::from(digit - b'0');
        }
        for _ in self.digits_len()..=self.magnitude {
            value *= 10;
        }
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// Appends the one text that all texts of this value share, for hashes and identity.
    pub fn write_normal(&self, out: &mut String) {
        if self.is_zero() {
            out.push('0');
            return;
        }
        if self.negative {
            out.push('-');
        }
        out.push_str(self.whole);
        out.push_str(self.fraction);
        out.push('e');
        out.push_str(&self.magnitude.to_string());
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn digits_len(&self) -> i64 {
        i64::try_from(self.whole.len() + self.fraction.len()).unwrap_or(i64::MAX)
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .magnitude
                .cmp(&other.magnitude)
                .then_with(|| self.digits().cmp(other.digits())),
        }
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number<'_> {}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_digits(digits) || digits.len() > 9 {
        return None;
    }
    let value: i64 = digits.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::parse(text).expect(text)
    }

    #[test]
    fn equal_values_have_one_normal_text() {
        for texts in [
            &["1.5", "1.50", "15e-1", "0.15E+1", "01.5"][..],
            &["0", "-0", "0.00", "0e99"],
            &["1200", "1.2e3", "12E2", "1200.0"],
            &["-0.001", "-1e-3"],
        ] {
            let mut normals: Vec<String> = texts
                .iter()
                .map(|text| {
                    let mut out = String::new();
                    number(text).write_normal(&mut out);
                    out
                })
                .collect();
            normals.dedup();
            assert_eq!(normals.len(), 1, "{texts:?} gave {normals:?}");
        }
    }

    #[test]
    fn digits_beyond_a_float_still_order() {
        assert!(number("12345678901234567890.1") < number("12345678901234567890.2"));
        assert!(number("-12345678901234567890.1") > number("-12345678901234567890.2"));
        assert!(number("9007199254740993") > number("9007199254740992"));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "0x1",
            "1e9999999999",
            "1 ",
            "NaN",
            "１",
        ] {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn integers_convert_exactly() {
        assert_eq!(number("9223372036854775807").to_i64(), Some(i64::MAX));
        assert_eq!(number("-9223372036854775808").to_i64(), Some(i64::MIN));
        assert_eq!(number("9223372036854775808").to_i64(), None);
        assert_eq!(number("1.2e3").to_i64(), Some(1200));
        assert_eq!(number("1.5").to_i64(), None);
        assert_eq!(number("1000000000000000000000").to_i64(), None);
    }

    proptest! {
        #[test]
        fn order_agrees_with_integers(a in any::<i64>(), b in any::<i64>()) {
            let (left, right) = (a.to_string(), b.to_string());
            prop_assert_eq!(number(&left).cmp(&number(&right)), a.cmp(&b));
            prop_assert_eq!(number(&left).to_i64(), Some(a));
        }
    }
}
