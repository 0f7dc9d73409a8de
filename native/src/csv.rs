//! Rows of a CSV file as columns, in one pass: integers where all cells of a column are such, else texts.
//!
//! What has quotes, and what isn't certain to be rows, is left to the Python package's reader.

#![forbid(unsafe_code)]

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use memchr::{memchr, memchr_iter, memchr2};

/// Any number of so many digits fits into 64 bits, without a sign.
const MAX_DIGITS: usize = 19;

/// Why a block can't be read as it was tried.
enum Failed {
    /// Rows have other cells than columns.
    Ragged,
    /// A cell of that column is no integer.
    NoInteger(usize),
}

/// The values of a column; nulls have one too, which means nothing. The ends of texts count bytes.
enum Values {
    Integers(Vec<i64>),
    Texts { bytes: Vec<u8>, ends: Vec<i32> },
}

/// A column that is being filled, and the rows in which it is null.
struct Filling {
    values: Values,
    nulls: Vec<usize>,
}

/// The columns of a block of whole lines, an empty cell being null; None where another reader is to say what they are.
///
/// A column is of texts where its flag says so, or where a cell isn't an integer of 64 bits as such are always written.
pub fn columns(block: &[u8], delimiter: u8, mut are_texts: Vec<bool>) -> Option<Vec<ArrayRef>> {
    if !has_plain_lines(block) || str::from_utf8(block).is_err() {
        return None;
    }
    loop {
        match filled(block, delimiter, &are_texts) {
            Ok(columns) => return columns.into_iter().map(|column| column.finish().ok()).collect(),
            Err(Failed::NoInteger(column)) => are_texts[column] = true,
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

fn filled(block: &[u8], delimiter: u8, are_texts: &[bool]) -> Result<Vec<Filling>, Failed> {
    let rows = memchr_iter(b'\n', block).count() + 1;
    let mut columns: Vec<Filling> = are_texts.iter().map(|&is_text| Filling::new(is_text, rows)).collect();
    let last = columns.len().checked_sub(1).ok_or(Failed::Ragged)?;
    let (mut at, mut row) = (0, 0);
    while at < block.len() {
        if let Some(next) = next_line(block, at) {
            at = next; // an empty line is no row
            continue;
        }
        for (place, column) in columns.iter_mut().enumerate() {
            let end = column.take(block, at, delimiter, row).ok_or(Failed::NoInteger(place))?;
            let is_next = block.get(end) == Some(&delimiter);
            if is_next && place < last {
                at = end + 1;
                continue;
            }
            at = match next_line(block, end) {
                Some(next) if place == last => next,
                None if !is_next => return Err(Failed::NoInteger(place)),
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
    fn new(is_text: bool, rows: usize) -> Self {
        let values = if is_text {
            let mut ends = Vec::with_capacity(rows + 1);
            ends.push(0);
            Values::Texts { bytes: Vec::new(), ends }
        } else {
            Values::Integers(Vec::with_capacity(rows))
        };
        Self { values, nulls: Vec::new() }
    }

    /// Take in what begins here as the row's cell, and give the place behind it; None where that can't be.
    #[inline]
    fn take(&mut self, block: &[u8], at: usize, delimiter: u8, row: usize) -> Option<usize> {
        let (end, is_null) = match &mut self.values {
            Values::Integers(values) => {
                let (value, end) = integer(block, at)?;
                values.push(value);
                (end, end == at)
            }
            Values::Texts { bytes, ends } => {
                let rest = &block[at..];
                let size = rest.iter().position(|&byte| byte == delimiter || byte == b'\n' || byte == b'\r');
                let text = &rest[..size.unwrap_or(rest.len())];
                bytes.extend_from_slice(text);
                ends.push(bytes.len() as i32);
                (at + text.len(), text.is_empty())
            }
        };
        if is_null {
            self.nulls.push(row);
        }
        Some(end)
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let rows = match &self.values {
            Values::Integers(values) => values.len(),
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

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, StringArray};

    use super::*;

    /// The columns of a block, as texts; those of integers in brackets.
    fn read(block: &str, count: usize) -> Option<Vec<Vec<String>>> {
        let shown = |array: &ArrayRef| -> Vec<String> {
            let texts: Option<&StringArray> = array.as_string_opt();
            let value = |row| match texts {
                Some(texts) => texts.value(row).to_owned(),
                None => format!("[{}]", array.as_primitive::<Int64Type>().value(row)),
            };
            (0..array.len()).map(|row| if array.is_null(row) { "null".to_owned() } else { value(row) }).collect()
        };
        Some(columns(block.as_bytes(), b',', vec![false; count])?.iter().map(shown).collect())
    }

    #[test]
    fn lines_end_in_either_way_and_the_last_one_need_not() {
        let found = Some(vec![vec!["[1]".to_owned(), "[3]".to_owned()], vec!["x".to_owned(), "null".to_owned()]]);
        assert_eq!(read("1,x\r\n\r\n3,\r\n", 2), found);
        assert_eq!(read("1,x\n\n3,", 2), found);
        assert_eq!(read("1,x\r3,", 2), None);
    }

    #[test]
    fn one_cell_that_is_no_integer_makes_all_of_its_column_texts() {
        for text in
            ["007", "+7", "-0", "-", "0x1", " 1", "1 ", "1.5", "9223372036854775808", "-9223372036854775809", "é"]
        {
            assert_eq!(read(&format!("1,2\n{text},3\n"), 2).unwrap()[0], ["1", text]);
        }
    }

    #[test]
    fn integers_go_to_the_ends_of_64_bits() {
        for number in [i64::MIN, -10, 0, i64::MAX] {
            assert_eq!(read(&format!("{number}\n"), 1).unwrap()[0], [format!("[{number}]")]);
        }
    }

    #[test]
    fn what_has_quotes_or_other_cells_than_columns_is_anothers() {
        for block in ["1,\"x\"\n", "1\n", "1,2,3\n", "1,2,\n", "1,x\n2", "1,x,\n"] {
            assert_eq!(read(block, 2), None, "{block}");
        }
        assert!(columns(b"\xe9\n", b',', vec![false]).is_none());
    }
}
