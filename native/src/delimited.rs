//! Rows as delimited text, as MySQL's LOAD DATA reads it: fields between commas, texts in quotes, which are doubled.
//!
//! What it says is what the Python package's text of the same rows says; the digits of a float may be others.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray, StructArray};
use arrow_schema::{DataType, TimeUnit};
use memchr::memchr_iter;

const DAY_US: i64 = 86_400_000_000;
const SECOND_US: i64 = 1_000_000;
/// The days from 0001-01-01 to 9999-12-31, from 1970.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const HEX: &[u8; 16] = b"0123456789abcdef";
/// A guess at what a value takes, with its comma.
const VALUE_BYTES: usize = 12;

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, usize),
    LongDecimal(&'a PrimitiveArray<Decimal256Type>, usize),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
}

/// The rows as lines, in which a null is `NULL`; None where a value or a column is of a kind that isn't known here.
pub fn lines(rows: &StructArray) -> Option<Vec<u8>> {
    let columns: Vec<(&ArrayRef, Values)> =
        rows.columns().iter().map(|column| Some((column, values(column)?))).collect::<Option<_>>()?;
    let mut out = Vec::with_capacity(rows.len() * columns.len() * VALUE_BYTES);
    for row in 0..rows.len() {
        for (place, (column, values)) in columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            if column.is_null(row) {
                out.extend_from_slice(b"NULL");
            } else {
                values.write(row, &mut out)?;
            }
        }
        out.push(b'\n');
    }
    Some(out)
}

fn values(column: &ArrayRef) -> Option<Values<'_>> {
    Some(match column.data_type() {
        DataType::Boolean => Values::Bool(column.as_boolean()),
        DataType::Int64 => Values::Int(column.as_primitive()),
        DataType::Float64 => Values::Float(column.as_primitive()),
        DataType::Decimal128(_, scale) => Values::Decimal(column.as_primitive(), usize::try_from(*scale).ok()?),
        DataType::Decimal256(_, scale) => Values::LongDecimal(column.as_primitive(), usize::try_from(*scale).ok()?),
        DataType::Utf8 => Values::Text(column.as_string()),
        DataType::Binary => Values::Bytes(column.as_binary()),
        DataType::Date32 => Values::Date(column.as_primitive()),
        DataType::Time64(TimeUnit::Microsecond) => Values::Time(column.as_primitive()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Values::Timestamp(column.as_primitive()),
        _ => return None,
    })
}

impl Values<'_> {
    /// Write the value of a row in which there is one.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Bool(values) => out.push(b'0' + u8::from(values.value(row))),
            Self::Int(values) => integer(values.value(row), out),
            Self::Float(values) => {
                let number = Some(values.value(row)).filter(|number| number.is_finite())?;
                write!(out, "{number:?}").ok()?;
            }
            Self::Decimal(values, scale) => decimal(&values.value(row).to_string(), *scale, out),
            Self::LongDecimal(values, scale) => decimal(&values.value(row).to_string(), *scale, out),
            Self::Text(values) => quoted(values.value(row).as_bytes(), out),
            Self::Bytes(values) => {
                let digits = |byte: &u8| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend(values.value(row).iter().flat_map(digits));
            }
            Self::Date(values) => date(i64::from(values.value(row)), out)?,
            Self::Time(values) => time(Some(values.value(row)).filter(|time| (0..DAY_US).contains(time))?, out),
            Self::Timestamp(values) => {
                date(values.value(row).div_euclid(DAY_US), out)?;
                out.push(b' ');
                time(values.value(row).rem_euclid(DAY_US), out);
            }
        }
        Some(())
    }
}

fn integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[first..]);
}

fn decimal(unscaled: &str, scale: usize, out: &mut Vec<u8>) {
    let digits = unscaled.trim_start_matches('-');
    if digits.len() < unscaled.len() {
        out.push(b'-');
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for quote in memchr_iter(b'"', text) {
        out.extend_from_slice(&text[start..=quote]);
        start = quote;
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}

/// A day of the proleptic Gregorian calendar, from 1970-01-01; years are counted from March, so that February is last.
fn date(days: i64, out: &mut Vec<u8>) -> Option<()> {
    let since = Some(days).filter(|days| DAYS.contains(days))? + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    two(year / 100, out);
    two(year % 100, out);
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
    Some(())
}

fn time(us: i64, out: &mut Vec<u8>) {
    let seconds = us / SECOND_US;
    two(seconds / 3_600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    let fraction = us % SECOND_US;
    if fraction > 0 {
        out.push(b'.');
        two(fraction / 10_000, out);
        two(fraction / 100 % 100, out);
        two(fraction % 100, out);
    }
}

fn two(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_are_doubled_wherever_they_stand() {
        assert_eq!(text(|out| quoted(b"\"a\"\"b\"", out)), r#""""a""""b""""#);
        assert_eq!(text(|out| quoted(b"", out)), r#""""#);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let day = |days| text(|out| date(days, out).unwrap());
        assert_eq!([day(0), day(-719_162), day(2_932_896)], ["1970-01-01", "0001-01-01", "9999-12-31"]);
        assert_eq!([day(11_016), day(-25_509)], ["2000-02-29", "1900-02-28"]);
        assert!(date(2_932_897, &mut Vec::new()).is_none());
    }

    #[test]
    fn decimals_have_a_digit_before_the_point() {
        assert_eq!(text(|out| decimal("-5", 2, out)), "-0.05");
        assert_eq!(text(|out| decimal("1234", 2, out)), "12.34");
        assert_eq!(text(|out| decimal("-7", 0, out)), "-7");
    }

    #[test]
    fn integers_have_all_their_digits() {
        assert_eq!(text(|out| integer(i64::MIN, out)), i64::MIN.to_string());
        assert_eq!(text(|out| integer(0, out)), "0");
    }
}
