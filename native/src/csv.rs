//! Rows of a CSV file as columns, in one pass: integers where all cells of a column are such, else texts.
//!
//! What has quotes, and what isn't certain to be rows, is left to the Python package's reader.

#![forbid(unsafe_code)]

use arrow_array::ArrayRef;
use memchr::{memchr, memchr_iter, memchr3};

use crate::columns::{Filling, Values};
use crate::layout::{Column, Kind};

/// Any number of so many digits fits into 64 bits, without a sign.
const MAX_DIGITS: usize = 19;

/// Why a block can't be read as it was tried.
enum Failed {
    /// Rows have other cells than columns.
    Ragged,
    /// A cell of that column is no integer.
    NoInteger(usize),
}

/// The columns of a block of whole lines, an empty cell being null; None where another reader is to say what they are.
///
/// A column is of texts where its flag says so, or where a cell isn't an integer of 64 bits as such are always written.
pub fn columns(block: &[u8], delimiter: u8, mut are_texts: Vec<bool>) -> Option<Vec<ArrayRef>> {
    let ends_alone = |at| block.get(at + 1) != Some(&b'\n');
    if memchr(b'"', block).is_some() || memchr_iter(b'\r', block).any(ends_alone) || str::from_utf8(block).is_err() {
        return None;
    }
    loop {
        match filled(block, delimiter, &are_texts) {
            Ok(columns) => {
                return columns
                    .into_iter()
                    .zip(&are_texts)
                    .map(|(column, &is_text)| column.finish(&Column::plain("", kind(is_text))).ok())
                    .collect();
            }
            Err(Failed::NoInteger(column)) => are_texts[column] = true,
            Err(Failed::Ragged) => return None,
        }
    }
}

fn kind(is_text: bool) -> Kind {
    if is_text { Kind::Text } else { Kind::Int }
}

fn filled(block: &[u8], delimiter: u8, are_texts: &[bool]) -> Result<Vec<Filling>, Failed> {
    let rows = memchr_iter(b'\n', block).count() + 1;
    let mut columns: Vec<Filling> = are_texts.iter().map(|&is_text| Filling::new(kind(is_text), rows)).collect();
    let last = columns.len().checked_sub(1).ok_or(Failed::Ragged)?;
    let mut at = 0;
    while at < block.len() {
        if let Some(next) = next_line(block, at) {
            at = next; // an empty line is no row
            continue;
        }
        for (place, column) in columns.iter_mut().enumerate() {
            let end = match column.values {
                Values::Texts { .. } => text(block, at, delimiter, column),
                _ => integer(block, at, column).ok_or(Failed::NoInteger(place))?,
            };
            let (is_next, line) = (block.get(end) == Some(&delimiter), next_line(block, end));
            at = match line {
                Some(next) if place == last => next,
                None if is_next && place < last => end + 1,
                None if !is_next => return Err(Failed::NoInteger(place)),
                _ => return Err(Failed::Ragged),
            };
        }
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

/// Take in the text that begins here, and give the place behind it.
#[inline]
fn text(block: &[u8], at: usize, delimiter: u8, column: &mut Filling) -> usize {
    let rest = &block[at..];
    let text = &rest[..memchr3(delimiter, b'\n', b'\r', rest).unwrap_or(rest.len())];
    if text.is_empty() {
        column.push_null();
    } else if let Values::Texts { bytes, ends } = &mut column.values {
        bytes.extend_from_slice(text);
        ends.push(bytes.len() as i32);
        column.count();
    }
    at + text.len()
}

/// Take in the integer that begins here, or null where no digit does, and give the place behind it; None where it is
/// too large, or isn't written as it always is.
#[inline]
fn integer(block: &[u8], at: usize, column: &mut Filling) -> Option<usize> {
    let is_negative = block.get(at) == Some(&b'-');
    let first = at + usize::from(is_negative);
    let (mut end, mut size) = (first, 0_u64);
    while let Some(digit) = block.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        size = size.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    let digits = end - first;
    if digits == 0 {
        column.push_null();
        return (!is_negative).then_some(end);
    }
    let is_padded = block[first] == b'0' && (digits > 1 || is_negative);
    if digits > MAX_DIGITS || is_padded || size > i64::MAX as u64 + u64::from(is_negative) {
        return None;
    }
    column.push_integer(if is_negative { (size as i64).wrapping_neg() } else { size as i64 });
    Some(end)
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
