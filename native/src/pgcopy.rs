//! Rows in PostgreSQL's binary COPY format: for each its number of columns, and for each value its length and bytes.
//!
//! Only what PostgreSQL surely reads as it reads the value's text is written; the rest is left to whoever writes that.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray, StructArray};
use arrow_schema::{DataType, TimeUnit};
use memchr::memchr;

/// PostgreSQL counts days and microseconds from 2000-01-01, Arrow from 1970-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_US: i64 = EPOCH_DAYS as i64 * DAY_US;
const DAY_US: i64 = 86_400_000_000;
/// The days from 0001-01-01 to 9999-12-31, from 1970.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// A digit of a numeric has four of ours.
const GROUP: usize = 4;
const NEGATIVE: u16 = 0x4000;
const JSONB_VERSION: u8 = 1;
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];
const UUID_LENGTH: usize = 36;
/// A guess at what a value takes, its length included.
const VALUE_BYTES: usize = 16;

/// The values of a column, and how they are written.
enum Values<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a PrimitiveArray<Int64Type>),
    Int4(&'a PrimitiveArray<Int64Type>),
    Int8(&'a PrimitiveArray<Int64Type>),
    Float8(&'a PrimitiveArray<Float64Type>),
    Numeric(&'a PrimitiveArray<Decimal128Type>, u16),
    LongNumeric(&'a PrimitiveArray<Decimal256Type>, u16),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Uuid(&'a StringArray),
    Bytea(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
}

/// The rows, as columns of these types take them; None where that isn't certain. A type is an OID of `pg_type`.
pub fn copied(rows: &StructArray, types: &[u32]) -> Option<Vec<u8>> {
    let columns: Vec<(&ArrayRef, Values)> = rows
        .columns()
        .iter()
        .zip(types)
        .map(|(column, of)| Some((column, values(column, *of)?)))
        .collect::<Option<_>>()?;
    if columns.len() != types.len() || columns.len() != rows.num_columns() {
        return None;
    }
    let count = i16::try_from(columns.len()).ok()?.to_be_bytes();
    let mut out = Vec::with_capacity(rows.len() * (2 + columns.len() * VALUE_BYTES));
    for row in 0..rows.len() {
        out.extend_from_slice(&count);
        for (column, values) in &columns {
            if column.is_null(row) {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
            } else {
                values.write(row, &mut out)?;
            }
        }
    }
    Some(out)
}

fn values(column: &ArrayRef, of: u32) -> Option<Values<'_>> {
    Some(match (column.data_type(), of) {
        (DataType::Boolean, 16) => Values::Bool(column.as_boolean()),
        (DataType::Int64, 21) => Values::Int2(column.as_primitive()),
        (DataType::Int64, 23) => Values::Int4(column.as_primitive()),
        (DataType::Int64, 20) => Values::Int8(column.as_primitive()),
        (DataType::Float64, 701) => Values::Float8(column.as_primitive()),
        (DataType::Decimal128(_, scale), 1700) => Values::Numeric(column.as_primitive(), u16::try_from(*scale).ok()?),
        (DataType::Decimal256(_, scale), 1700) => {
            Values::LongNumeric(column.as_primitive(), u16::try_from(*scale).ok()?)
        }
        (DataType::Utf8, 25 | 114 | 1043) => Values::Text(column.as_string()),
        (DataType::Utf8, 3802) => Values::Jsonb(column.as_string()),
        (DataType::Utf8, 2950) => Values::Uuid(column.as_string()),
        (DataType::Binary, 17) => Values::Bytea(column.as_binary()),
        (DataType::Date32, 1082) => Values::Date(column.as_primitive()),
        (DataType::Time64(TimeUnit::Microsecond), 1083) => Values::Time(column.as_primitive()),
        (DataType::Timestamp(TimeUnit::Microsecond, _), 1114 | 1184) => Values::Timestamp(column.as_primitive()),
        _ => return None,
    })
}

impl Values<'_> {
    /// Write the value of a row in which there is one.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Bool(values) => sized(&[u8::from(values.value(row))], out)?,
            Self::Int2(values) => sized(&i16::try_from(values.value(row)).ok()?.to_be_bytes(), out)?,
            Self::Int4(values) => sized(&i32::try_from(values.value(row)).ok()?.to_be_bytes(), out)?,
            Self::Int8(values) => long(values.value(row), out),
            Self::Float8(values) => sized(&values.value(row).to_be_bytes(), out)?,
            Self::Numeric(values, scale) => numeric(&values.value(row).to_string(), *scale, out)?,
            Self::LongNumeric(values, scale) => numeric(&values.value(row).to_string(), *scale, out)?,
            Self::Text(values) => sized(without_nul(values.value(row))?, out)?,
            Self::Jsonb(values) => {
                let text = without_nul(values.value(row))?;
                out.extend_from_slice(&i32::try_from(text.len() + 1).ok()?.to_be_bytes());
                out.push(JSONB_VERSION);
                out.extend_from_slice(text);
            }
            Self::Uuid(values) => sized(&uuid(values.value(row).as_bytes())?, out)?,
            Self::Bytea(values) => sized(values.value(row), out)?,
            Self::Date(values) => {
                let days = Some(values.value(row)).filter(|days| DAYS.contains(days))?;
                sized(&(days - EPOCH_DAYS).to_be_bytes(), out)?;
            }
            Self::Time(values) => {
                long(Some(values.value(row)).filter(|time| (0..DAY_US).contains(time))?, out);
            }
            Self::Timestamp(values) => {
                let day = |time: &i64| i32::try_from(time.div_euclid(DAY_US)).is_ok_and(|day| DAYS.contains(&day));
                long(Some(values.value(row)).filter(day)? - EPOCH_US, out);
            }
        }
        Some(())
    }
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&i32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

/// A number of 64 bits with its length, at once, since most values are such.
fn long(number: i64, out: &mut Vec<u8>) {
    let mut bytes = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn without_nul(text: &str) -> Option<&[u8]> {
    memchr(0, text.as_bytes()).is_none().then_some(text.as_bytes())
}

/// A numeric: its digits to the base of 10,000, the place of the first of them, its sign, and how many decimals it has.
fn numeric(unscaled: &str, scale: u16, out: &mut Vec<u8>) -> Option<()> {
    let digits = unscaled.trim_start_matches('-').as_bytes();
    let scale_digits = usize::from(scale);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale_digits));
    let before = whole.len().div_ceil(GROUP) * GROUP;
    let after = scale_digits.div_ceil(GROUP) * GROUP;
    let mut padded = vec![b'0'; before + after];
    padded[before - whole.len()..before].copy_from_slice(whole);
    let first = before + scale_digits - fraction.len();
    padded[first..first + fraction.len()].copy_from_slice(fraction);
    let groups: Vec<u16> = padded
        .chunks_exact(GROUP)
        .map(|group| group.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
        .collect();
    let from = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    let to = groups.iter().rposition(|group| *group != 0).map_or(from, |last| last + 1);
    let is_zero = from == to;
    let weight = if is_zero { 0 } else { i16::try_from(before / GROUP).ok()? - 1 - i16::try_from(from).ok()? };
    let sign = if unscaled.starts_with('-') && !is_zero { NEGATIVE } else { 0 };
    let count = u16::try_from(to - from).ok()?;
    out.extend_from_slice(&(8 + 2 * i32::from(count)).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    out.extend(groups[from..to].iter().flat_map(|group| group.to_be_bytes()));
    Some(())
}

/// The bytes of a UUID in its usual text.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != UUID_LENGTH || UUID_HYPHENS.iter().any(|place| text[*place] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut place = 0;
    for (index, digit) in text.iter().enumerate() {
        if !UUID_HYPHENS.contains(&index) {
            let value = char::from(*digit).to_digit(16)? as u8;
            bytes[place / 2] = bytes[place / 2] << 4 | value;
            place += 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(unscaled: &str, scale: u16) -> Vec<u16> {
        let mut out = Vec::new();
        numeric(unscaled, scale, &mut out).unwrap();
        out[4..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn a_numeric_has_groups_of_four_digits_on_both_sides_of_the_point() {
        assert_eq!(written("1234567", 2), [3, 1, 0, 2, 1, 2345, 6700]);
        assert_eq!(written("-10000", 0), [1, 1, NEGATIVE, 0, 1]);
    }

    #[test]
    fn a_small_numeric_begins_behind_the_point() {
        assert_eq!(written("-5", 6), [1, 0xfffe, NEGATIVE, 6, 500]);
    }

    #[test]
    fn zero_has_no_digits_and_no_sign() {
        assert_eq!(written("0", 3), [0, 0, 0, 3]);
    }

    #[test]
    fn a_uuid_without_its_hyphens_is_left_to_others() {
        assert!(uuid(b"00112233-4455-6677-8899-aabbccddeeff").is_some_and(|bytes| bytes[15] == 0xff));
        assert!(uuid(b"00112233445566778899aabbccddeeff").is_none());
        assert!(uuid(b"0011223g-4455-6677-8899-aabbccddeeff").is_none());
    }
}
