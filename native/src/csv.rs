//! Rows of a CSV file as columns, in one pass: values where all cells of a column are such, else texts.
//!
//! What has quotes, and what isn't certain to be rows, is left to the Python package's reader.

#![forbid(unsafe_code)]

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use memchr::{memchr, memchr_iter, memchr2};

use crate::json::{Doubt, Sure};
use crate::time::{date_days, timestamp_us};

/// Any number of so many digits fits into 64 bits, without a sign.
const MAX_DIGITS: usize = 19;

/// What the cells of a column are read as: integers of 64 bits, days, times of a day in no zone or in UTC, or texts.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Integer,
    Day,
    Moment { is_utc: bool },
    Text,
}

impl Form {
    /// The form that a letter stands for.
    pub fn of(letter: u8) -> Self {
        match letter {
            b'i' => Self::Integer,
            b'd' => Self::Day,
            b't' => Self::Moment { is_utc: false },
            b'z' => Self::Moment { is_utc: true },
            _ => Self::Text,
        }
    }
}

/// Why a block can't be read as it was tried.
enum Failed {
    /// Rows have other cells than columns.
    Ragged,
    /// A cell of that column hasn't its form.
    OtherForm(usize),
}

/// The values of a column; nulls have one too, which means nothing. The ends of texts count bytes.
enum Values {
    Integers(Vec<i64>),
    Days(Vec<i32>),
    Moments { us: Vec<i64>, is_utc: bool },
    Texts { bytes: Vec<u8>, ends: Vec<i32> },
}

/// A column that is being filled, and the rows in which it is null.
struct Filling {
    values: Values,
    nulls: Vec<usize>,
}

/// The columns of a block of whole lines, an empty cell being null; None where another reader is to say what they are.
///
/// A column of which a cell isn't written as values of its form always are is one of texts.
pub fn columns(block: &[u8], delimiter: u8, mut forms: Vec<Form>) -> Option<Vec<ArrayRef>> {
    if !has_plain_lines(block) || str::from_utf8(block).is_err() {
        return None;
    }
    loop {
        match filled(block, delimiter, &forms) {
            Ok(columns) => return columns.into_iter().map(|column| column.finish().ok()).collect(),
            Err(Failed::OtherForm(column)) => forms[column] = Form::Text,
            Err(Failed::Ragged) => return None,
        }
    }
}

/// Whether there are no quotes, and no carriage return but before a line feed.
fn has_plain_lines(block: &[u8]) -> bool {
    let Some(first) = memchr2(b'"', b'\r', block) else { return true };
    let rest = &block[first..];
    memchr(b'"', rest).is_none() && memchr_iter(b'\r', rest).all(|at| rest.get(at + 1) == Some(&b'\n'))
}

fn filled(block: &[u8], delimiter: u8, forms: &[Form]) -> Result<Vec<Filling>, Failed> {
    let rows = memchr_iter(b'\n', block).count() + 1;
    let mut columns: Vec<Filling> = forms.iter().map(|&form| Filling::new(form, rows)).collect();
    let last = columns.len().checked_sub(1).ok_or(Failed::Ragged)?;
    let (mut at, mut row) = (0, 0);
    while at < block.len() {
        if let Some(next) = next_line(block, at) {
            at = next; // an empty line is no row
            continue;
        }
        for (place, column) in columns.iter_mut().enumerate() {
            let end = column.take(block, at, delimiter, row).ok_or(Failed::OtherForm(place))?;
            let is_next = block.get(end) == Some(&delimiter);
            if is_next && place < last {
                at = end + 1;
                continue;
            }
            at = match next_line(block, end) {
                Some(next) if place == last => next,
                None if !is_next => return Err(Failed::OtherForm(place)),
                _ => return Err(Failed::Ragged),
            };
        }
        row += 1;
    }
    Ok(columns)
}

/// The place behind the end of a line that stands here.
#[inline]
fn next_line(block: &[u8], at: usize) -> Option<usize> {
    match block.get(at) {
        None => Some(at),
        Some(b'\n') => Some(at + 1),
        Some(b'\r') => Some(at + 2),
        Some(_) => None,
    }
}

impl Filling {
    fn new(form: Form, rows: usize) -> Self {
        let values = match form {
            Form::Integer => Values::Integers(Vec::with_capacity(rows)),
            Form::Day => Values::Days(Vec::with_capacity(rows)),
            Form::Moment { is_utc } => Values::Moments { us: Vec::with_capacity(rows), is_utc },
            Form::Text => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Values::Texts { bytes: Vec::new(), ends }
            }
        };
        Self { values, nulls: Vec::new() }
    }

    /// Take in what begins here as the row's cell, and give the place behind it; None where that can't be.
    #[inline]
    fn take(&mut self, block: &[u8], at: usize, delimiter: u8, row: usize) -> Option<usize> {
        let end = match &mut self.values {
            Values::Integers(values) => {
                let (value, end) = integer(block, at)?;
                values.push(value);
                end
            }
            Values::Days(days) => {
                let cell = cell(block, at, delimiter);
                days.push(if cell.is_empty() { 0 } else { day(cell).ok()? });
                at + cell.len()
            }
            Values::Moments { us, is_utc } => {
                let cell = cell(block, at, delimiter);
                us.push(if cell.is_empty() { 0 } else { moment_us(cell, *is_utc).ok()? });
                at + cell.len()
            }
            Values::Texts { bytes, ends } => {
                let cell = cell(block, at, delimiter);
                bytes.extend_from_slice(cell);
                ends.push(bytes.len() as i32);
                at + cell.len()
            }
        };
        if end == at {
            self.nulls.push(row);
        }
        Some(end)
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let rows = match &self.values {
            Values::Integers(values) | Values::Moments { us: values, .. } => values.len(),
            Values::Days(days) => days.len(),
            Values::Texts { ends, .. } => ends.len() - 1,
        };
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = BooleanBufferBuilder::new(rows);
            valid.append_n(rows, true);
            self.nulls.iter().for_each(|&row| valid.set_bit(row, false));
            NullBuffer::new(valid.finish())
        });
        Ok(match self.values {
            Values::Integers(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Days(days) => Arc::new(Date32Array::try_new(days.into(), nulls)?),
            Values::Moments { us, is_utc } => {
                let moments = TimestampMicrosecondArray::try_new(us.into(), nulls)?;
                Arc::new(if is_utc { moments.with_timezone("UTC") } else { moments })
            }
            Values::Texts { bytes, ends } => {
                Arc::new(StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), bytes.into(), nulls)?)
            }
        })
    }
}

/// The integer that begins here and the place behind it, which is this one where no digit stands; None where it is too
/// large, or isn't written as it always is.
#[inline]
fn integer(block: &[u8], at: usize) -> Option<(i64, usize)> {
    let is_negative = block.get(at) == Some(&b'-');
    let first = at + usize::from(is_negative);
    let (mut end, mut size) = (first, 0_u64);
    while let Some(digit) = block.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        size = size.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    let digits = end - first;
    if digits == 0 {
        return (!is_negative).then_some((0, at));
    }
    let is_padded = block[first] == b'0' && (digits > 1 || is_negative);
    if digits > MAX_DIGITS || is_padded || size > i64::MAX as u64 + u64::from(is_negative) {
        return None;
    }
    Some((if is_negative { (size as i64).wrapping_neg() } else { size as i64 }, end))
}

/// The cell that begins here.
#[inline]
fn cell(block: &[u8], at: usize, delimiter: u8) -> &[u8] {
    let rest = &block[at..];
    let size = rest.iter().position(|&byte| byte == delimiter || byte == b'\n' || byte == b'\r');
    &rest[..size.unwrap_or(rest.len())]
}

/// The day that a text is, as 2024-01-31, from the year 1000 on.
fn day(text: &[u8]) -> Sure<i32> {
    if text.len() == 10 && text[0] != b'0' { date_days(text) } else { Err(Doubt) }
}

/// The microsecond that a text is, as 2024-01-31T07:15:00.5 with a Z behind it in UTC, from the year 1000 on.
fn moment_us(text: &[u8], is_utc: bool) -> Sure<i64> {
    let text = if is_utc { text.strip_suffix(b"Z").ok_or(Doubt)? } else { text };
    let (moment, fraction) = text.split_at_checked(19).ok_or(Doubt)?;
    let is_fraction = match fraction {
        [] => true,
        [b'.', digits @ ..] => (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let is_plain = moment[0] != b'0' && moment[4] == b'-' && matches!(moment[10], b'T' | b' ');
    let is_clock = moment[13] == b':' && moment[16] == b':' && &moment[11..13] != b"24";
    if is_fraction && is_plain && is_clock { timestamp_us(text) } else { Err(Doubt) }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
    use arrow_array::{Array, StringArray};
    use arrow_schema::DataType;

    use super::*;

    /// The columns of a block, as texts; values are in brackets.
    fn read(block: &str, forms: &[u8]) -> Option<Vec<Vec<String>>> {
        let shown = |array: &ArrayRef| -> Vec<String> {
            let texts: Option<&StringArray> = array.as_string_opt();
            let value = |row| match (texts, array.data_type()) {
                (Some(texts), _) => texts.value(row).to_owned(),
                (_, DataType::Int64) => format!("[{}]", array.as_primitive::<Int64Type>().value(row)),
                (_, DataType::Date32) => format!("[{}]", array.as_primitive::<Date32Type>().value(row)),
                _ => format!("[{}]", array.as_primitive::<TimestampMicrosecondType>().value(row)),
            };
            (0..array.len()).map(|row| if array.is_null(row) { "null".to_owned() } else { value(row) }).collect()
        };
        let forms = forms.iter().map(|&letter| Form::of(letter)).collect();
        Some(columns(block.as_bytes(), b',', forms)?.iter().map(shown).collect())
    }

    #[test]
    fn lines_end_in_either_way_and_the_last_one_need_not() {
        let found = Some(vec![vec!["[1]".to_owned(), "[3]".to_owned()], vec!["x".to_owned(), "null".to_owned()]]);
        assert_eq!(read("1,x\r\n\r\n3,\r\n", b"ii"), found);
        assert_eq!(read("1,x\n\n3,", b"ii"), found);
        assert_eq!(read("1,x\r3,", b"ii"), None);
    }

    #[test]
    fn one_cell_that_is_no_integer_makes_all_of_its_column_texts() {
        for text in
            ["007", "+7", "-0", "-", "0x1", " 1", "1 ", "1.5", "9223372036854775808", "-9223372036854775809", "é"]
        {
            assert_eq!(read(&format!("1,2\n{text},3\n"), b"ii").unwrap()[0], ["1", text]);
        }
    }

    #[test]
    fn integers_go_to_the_ends_of_64_bits() {
        for number in [i64::MIN, -10, 0, i64::MAX] {
            assert_eq!(read(&format!("{number}\n"), b"i").unwrap()[0], [format!("[{number}]")]);
        }
    }

    #[test]
    fn what_has_quotes_or_other_cells_than_columns_is_anothers() {
        for block in ["1,\"x\"\n", "1\n", "1,2,3\n", "1,2,\n", "1,x\n2", "1,x,\n"] {
            assert_eq!(read(block, b"is"), None, "{block}");
        }
        assert!(columns(b"\xe9\n", b',', vec![Form::Integer]).is_none());
    }

    #[test]
    fn days_and_moments_are_read_as_they_are_always_written() {
        let one = |text: &str, form: &[u8]| read(&format!("{text}\n\n"), form).unwrap()[0][0].clone();
        assert_eq!(one("1970-01-02", b"d"), "[1]");
        assert_eq!(one("1970-01-01 00:00:01.5", b"t"), "[1500000]");
        assert_eq!(one("1970-01-01T00:00:01.000001Z", b"z"), "[1000001]");
        for text in ["2024-1-31", "20240131", "0999-01-01", "2024-02-30", "2024-01-31T00:00:00"] {
            assert_eq!(one(text, b"d"), text);
        }
        for text in ["2024-01-31T24:00:00", "2024-01-31T07:15", "2024-01-31T07:15:00.", "2024-01-31t07:15:00"] {
            assert_eq!(one(text, b"t"), text);
        }
        for text in ["2024-01-31T07:15:00", "2024-01-31T07:15:00+00:00", "2024-01-31T07:15:00.1+00Z"] {
            assert_eq!(one(text, b"z"), text);
        }
        assert_eq!(one("2024-01-31T07:15:00.1234567Z", b"z"), "2024-01-31T07:15:00.1234567Z");
        assert_eq!(read("1970-01-02,1\n,2\n", b"di").unwrap()[0], ["[1]", "null"]);
    }
}
