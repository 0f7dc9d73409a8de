//! Exact numbers from JSON text: 64 bit integers, decimals, and floats that know when they lost digits.

#![forbid(unsafe_code)]

use crate::json::{Doubt, MAX_SHORT_DIGITS, Sure};

/// Every number of so many significant digits that isn't tiny comes back from a float as it was.
const FLOAT_DIGITS: usize = 15;
const HELD_DIGITS: usize = 17;
/// No float has more digits behind its first.
const ALL_PLACES: usize = 766;
const TINY: f64 = 1e-290;
const MAX_POWER: i64 = 1_000_000_000_000;
const POWERS_OF_TEN: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A number as its digits, without zeros at either end, and the power of ten of the last one; no digits for zero.
struct Digits {
    is_negative: bool,
    digits: Vec<u8>,
    power: i64,
}

/// The digits of a number that is written as JSON has them.
fn digits_of(raw: &[u8]) -> Digits {
    let is_negative = raw.first() == Some(&b'-');
    let end = raw.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(raw.len());
    let mantissa = &raw[usize::from(is_negative)..end];
    let mut digits: Vec<u8> = mantissa.iter().filter(|&&byte| byte != b'.').map(|byte| byte - b'0').collect();
    let fraction = mantissa.iter().position(|&byte| byte == b'.').map_or(0, |point| mantissa.len() - point - 1);
    let mut power = power_of(raw.get(end + 1..).unwrap_or_default()) - fraction as i64;
    let significant = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
    power += (digits.len() - significant) as i64;
    digits.truncate(significant);
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    digits.drain(..zeros);
    Digits { is_negative, digits, power }
}

fn power_of(text: &[u8]) -> i64 {
    let size = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |size: i64, byte| (size * 10 + i64::from(byte - b'0')).min(MAX_POWER));
    if text.first() == Some(&b'-') { -size } else { size }
}

/// The integer that a number is; `is_written_plainly` doubts `1.0` and `1e3`, which aren't integers in Draft 4.
#[inline]
pub fn int64_of(raw: &[u8], is_written_plainly: bool) -> Sure<i64> {
    let is_negative = raw.first() == Some(&b'-');
    let digits = &raw[usize::from(is_negative)..];
    if digits.len() <= MAX_SHORT_DIGITS && digits.iter().all(u8::is_ascii_digit) {
        let size = digits.iter().fold(0, |size: i64, byte| size * 10 + i64::from(byte - b'0'));
        return Ok(if is_negative { -size } else { size });
    }
    if is_written_plainly && !digits.iter().all(u8::is_ascii_digit) {
        return Err(Doubt);
    }
    i64::try_from(unscaled(&digits_of(raw), 0)?).map_err(|_| Doubt)
}

/// The number times ten to the scale, where that is whole and has at most 38 digits.
fn unscaled(number: &Digits, scale: i64) -> Sure<i128> {
    if number.digits.is_empty() {
        return Ok(0);
    }
    let zeros = number.power + scale;
    if zeros < 0 || number.digits.len() as i64 + zeros > 38 {
        return Err(Doubt);
    }
    let size = number.digits.iter().fold(0, |size: i128, &digit| size * 10 + i128::from(digit));
    let size = size * 10_i128.pow(zeros as u32);
    Ok(if number.is_negative { -size } else { size })
}

/// The decimal that a number is, in units of its scale, none of its digits lost.
#[inline]
pub fn decimal_of(raw: &[u8], precision: u32, scale: u32) -> Sure<i128> {
    if let Some(plain) = plain_decimal(raw, scale)
        && plain.unsigned_abs() < 10_u128.pow(precision)
    {
        return Ok(plain);
    }
    let value = unscaled(&digits_of(raw), i64::from(scale))?;
    if value.unsigned_abs() < 10_u128.pow(precision) { Ok(value) } else { Err(Doubt) }
}

/// A short number without an exponent, whose places fit into the scale.
#[inline]
fn plain_decimal(raw: &[u8], scale: u32) -> Option<i128> {
    if raw.len() > MAX_SHORT_DIGITS {
        return None;
    }
    let (is_negative, size, places) = plain_parts(raw)?;
    let zeros = scale.checked_sub(places)?;
    let value = i128::from(size).checked_mul(10_i128.checked_pow(zeros)?)?;
    Some(if is_negative { -value } else { value })
}

/// A number of at most 18 characters without an exponent: its sign, its digits as one integer, and its decimal places.
#[inline]
fn plain_parts(raw: &[u8]) -> Option<(bool, i64, u32)> {
    let is_negative = raw.first() == Some(&b'-');
    let (mut size, mut places, mut is_fraction) = (0_i64, 0, false);
    for &byte in &raw[usize::from(is_negative)..] {
        match byte {
            b'0'..=b'9' => {
                size = size * 10 + i64::from(byte - b'0');
                places += u32::from(is_fraction);
            }
            b'.' => is_fraction = true,
            _ => return None,
        }
    }
    Some((is_negative, size, places))
}

/// How many digits a number has before the point, and behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub before: i64,
    pub behind: i64,
}

impl From<Places> for (i64, i64) {
    fn from(places: Places) -> Self {
        (places.before, places.behind)
    }
}

impl Places {
    /// As many digits as any of these have.
    pub fn most(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |most, each| Self {
            before: most.before.max(each.before),
            behind: most.behind.max(each.behind),
        })
    }
}

/// The float nearest to a number and, where the number's text is none of the float's own, the number's digits.
#[inline]
pub fn float_of(raw: &[u8]) -> Sure<(f64, Option<Places>)> {
    if raw.len() <= FLOAT_DIGITS
        && let Some((is_negative, size, places)) = plain_parts(raw)
    {
        // Both are held exactly, so that their quotient is rounded once.
        let value = size as f64 / POWERS_OF_TEN[places as usize];
        return Ok((if is_negative { -value } else { value }, None));
    }
    let text = std::str::from_utf8(raw).map_err(|_| Doubt)?;
    let value: f64 = text.parse().map_err(|_| Doubt)?;
    if value.is_infinite() {
        return Err(Doubt);
    }
    let number = digits_of(raw);
    if is_held(&number, value)? {
        return Ok((value, None));
    }
    let before = (number.digits.len() as i64 + number.power).max(0);
    Ok((value, Some(Places { before, behind: (-number.power).max(0) })))
}

/// Whether a number is what its float's text says: the shortest one, that of 17 digits, or that of all digits.
fn is_held(number: &Digits, value: f64) -> Sure<bool> {
    if value == 0.0 {
        return Ok(number.digits.is_empty());
    }
    if number.digits.len() <= FLOAT_DIGITS && value.abs() > TINY {
        return Ok(true);
    }
    if may_be_half_way(value) {
        return Err(Doubt);
    }
    let is_same = |written: String| {
        let held = digits_of(written.as_bytes());
        (&held.digits, held.power) == (&number.digits, number.power)
    };
    if number.digits.len() <= HELD_DIGITS {
        return Ok(is_same(format!("{value:e}")) || is_same(format!("{value:.16e}")));
    }
    // Few numbers have the digits of their float up to where they end; of these it is told whether the float ends too.
    let places = number.digits.len() - 1;
    Ok(places <= ALL_PLACES && is_same(format!("{value:.places$e}")) && is_same(format!("{value:.ALL_PLACES$e}")))
}

/// Whether a float may be half way between two numbers of 15 to 17 digits, either of which may stand for it.
///
/// Its own digits are then at most 18, which only few fractions of small powers of two have.
fn may_be_half_way(value: f64) -> bool {
    let bits = value.abs().to_bits();
    let fraction = bits & ((1 << 52) - 1) | 1 << 52;
    let zeros = fraction.trailing_zeros();
    let places = 1075 - (bits >> 52) as i64 - i64::from(zeros);
    let size = u128::from(fraction >> zeros);
    (1..=25).contains(&places) && size * 5_u128.pow(places as u32) < 10_u128.pow(18)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_to_the_ends_of_64_bits() {
        assert_eq!(int64_of(b"-0", false), Ok(0));
        assert_eq!(int64_of(b"9223372036854775807", true), Ok(i64::MAX));
        assert_eq!(int64_of(b"-9223372036854775808", true), Ok(i64::MIN));
        assert_eq!(int64_of(b"9223372036854775808", true), Err(Doubt));
        assert_eq!(int64_of(b"1.50e1", false), Ok(15));
        assert_eq!(int64_of(b"1.0", true), Err(Doubt));
        assert_eq!(int64_of(b"1e-1", false), Err(Doubt));
        assert_eq!(int64_of(b"1e99999999999999999999", false), Err(Doubt));
    }

    #[test]
    fn decimals_keep_every_digit_or_are_doubted() {
        assert_eq!(decimal_of(b"-517.60", 10, 2), Ok(-51760));
        assert_eq!(decimal_of(b"517.600", 10, 2), Ok(51760));
        assert_eq!(decimal_of(b"517.601", 10, 2), Err(Doubt));
        assert_eq!(decimal_of(b"1e8", 10, 2), Err(Doubt));
        assert_eq!(decimal_of(b"99999999999999999999999999999999999999", 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal_of(b"0.00000000000000000000000000000000000001", 38, 38), Ok(1));
        assert_eq!(decimal_of(b"0e999", 1, 0), Ok(0));
    }

    #[test]
    fn floats_know_whether_they_hold_their_number() {
        let lost = |before, behind| Some(Places { before, behind });
        assert_eq!(float_of(b"-0.0"), Ok((-0.0, None)));
        assert_eq!(float_of(b"517.6"), Ok((517.6, None)));
        assert_eq!(float_of(b"0.1234567890123456"), Ok((0.1234567890123456, None)));
        assert_eq!(float_of(b"9007199254740993"), Ok((9007199254740992.0, lost(16, 0))));
        assert_eq!(float_of(b"0.30000000000000004"), Ok((0.30000000000000004, None)));
        assert_eq!(float_of(b"1e-400"), Ok((0.0, lost(0, 400))));
        assert_eq!(float_of(b"123456789012345678.12"), Ok((123456789012345680.0, lost(18, 2))));
        let exact = b"0.1000000000000000055511151231257827021181583404541015625";
        assert_eq!(float_of(exact), Ok((0.1, None)));
        assert_eq!(float_of(&exact[..30]), Ok((0.1, lost(0, 28))));
        assert_eq!(float_of(b"1e400"), Err(Doubt));
        assert_eq!(float_of(b"2.9802322387695313e-08"), Err(Doubt));
    }
}
