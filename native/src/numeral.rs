//! Numbers as the validator of keywords compares them, where that comes to what comparing them exactly does.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use jsonschema::json::JsonNumber;
use serde_json::Number;

use crate::json::{Doubt, Sure};
use crate::number::float_of;

/// Two different numbers of so many significant digits are different floats.
const FLOAT_DIGITS: usize = 15;

/// From here on not every integer is a float.
const FIRST_GAP: f64 = 9_007_199_254_740_992.0;

/// What numbers have to be held for: `compares` says that keywords compare them, `has_fractions` that some of these
/// keywords have numbers that aren't whole.
#[derive(Clone, Copy, Debug)]
pub struct Precision {
    pub is_draft4: bool,
    pub compares: bool,
    pub has_fractions: bool,
}

/// A number that is held exactly, or that no keyword compares. Floats are finite; in all drafts but Draft 4, where `1.0`
/// is no integer, they aren't whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeral {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// The number that a JSON number is.
pub fn numeral_of(raw: &[u8], precision: Precision) -> Sure<Numeral> {
    let has_exponent = raw.iter().any(|byte| matches!(byte, b'e' | b'E'));
    if !has_exponent && !raw.contains(&b'.') {
        if precision.has_fractions && digits(raw) > FLOAT_DIGITS {
            return Err(Doubt);
        }
        let text = std::str::from_utf8(raw).map_err(|_| Doubt)?;
        return text.parse().map(Numeral::Signed).or_else(|_| text.parse().map(Numeral::Unsigned)).map_err(|_| Doubt);
    }
    if precision.compares && (has_exponent || digits(raw) > FLOAT_DIGITS) {
        return Err(Doubt);
    }
    // What a float doesn't hold is a matter of columns.
    let (value, _) = float_of(raw)?;
    if value.fract() != 0.0 {
        return Ok(Numeral::Float(value));
    }
    let is_whole = raw.rsplit(|&byte| byte == b'.').next().is_some_and(|end| end.iter().all(|&digit| digit == b'0'));
    if has_exponent || !is_whole || value.abs() >= FIRST_GAP {
        return Err(Doubt);
    }
    Ok(if precision.is_draft4 { Numeral::Float(value) } else { Numeral::Signed(value as i64) })
}

/// How many digits a number without an exponent has, zeros at its beginning left out.
fn digits(raw: &[u8]) -> usize {
    raw.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|&&digit| digit == b'0').count()
}

impl JsonNumber for Numeral {
    fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Float(_) => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Signed(value) => Some(value),
            Self::Float(_) => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        Some(match *self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        })
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(match *self {
            Self::Unsigned(value) => value.into(),
            Self::Signed(value) => value.into(),
            // Floats are finite, so that there is always a number.
            Self::Float(value) => Number::from_f64(value).unwrap_or_else(|| 0.into()),
        })
    }

    fn is_integer(&self) -> bool {
        !matches!(self, Self::Float(value) if value.fract() != 0.0)
    }

    fn is_written_as_integer(&self) -> bool {
        !matches!(self, Self::Float(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str, compares: bool, has_fractions: bool, is_draft4: bool) -> Sure<Numeral> {
        numeral_of(text.as_bytes(), Precision { is_draft4, compares, has_fractions })
    }

    #[test]
    fn integers_are_exact_to_64_bits_and_where_fractions_are_compared_to_15_digits() {
        assert_eq!(held("-9223372036854775808", true, false, false), Ok(Numeral::Signed(i64::MIN)));
        assert_eq!(held("18446744073709551615", true, false, false), Ok(Numeral::Unsigned(u64::MAX)));
        assert_eq!(held("18446744073709551616", false, false, false), Err(Doubt));
        assert_eq!(held("9007199254740993", true, true, false), Err(Doubt));
    }

    #[test]
    fn what_a_float_may_round_is_a_doubt_where_keywords_compare() {
        assert_eq!(held("0.000123456789012345", true, true, false), Ok(Numeral::Float(0.000_123_456_789_012_345)));
        assert_eq!(held("0.30000000000000004", true, false, false), Err(Doubt));
        assert_eq!(held("0.30000000000000004", false, false, false), Ok(Numeral::Float(0.300_000_000_000_000_04)));
        assert_eq!(held("1.5e0", true, false, false), Err(Doubt));
    }

    #[test]
    fn a_whole_number_is_an_integer_but_in_draft_4_and_what_only_rounds_to_one_is_a_doubt() {
        assert_eq!(held("5.00", true, false, false), Ok(Numeral::Signed(5)));
        assert_eq!(held("5.00", true, false, true), Ok(Numeral::Float(5.0)));
        for text in ["1e-400", "9007199254740992.5", "1e400", "1e3", "9007199254740993.0"] {
            assert_eq!(held(text, false, false, false), Err(Doubt), "{text}");
        }
    }
}
