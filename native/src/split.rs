//! Whole lines to runs: consecutive RECORD lines that begin alike, and every other line by itself.

#![forbid(unsafe_code)]

use crate::json::{Cursor, Doubt, Sure};

/// Consecutive lines. `prefix_end`, where there is one, is where the first line's record begins: up to there it says
/// that it is a RECORD and of what stream, nothing else, and so do the lines behind it with the same bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    pub start: usize,
    pub end: usize,
    pub count: usize,
    pub prefix_end: Option<usize>,
}

/// The runs of a block of lines that each end in a line feed; what comes after the last line feed is in none.
pub fn split(block: &[u8]) -> Vec<Lines> {
    let mut found: Vec<Lines> = Vec::new();
    let mut prefix: &[u8] = b"";
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\n', &block[at..]) {
        let end = at + length + 1;
        match found.last_mut() {
            Some(last) if !prefix.is_empty() && block[at..end].starts_with(prefix) => {
                last.end = end;
                last.count += 1;
            }
            _ => {
                let prefix_end = record_start(block, at).ok();
                prefix = prefix_end.map_or(b"", |prefix_end| &block[at..prefix_end]);
                found.push(Lines { start: at, end, count: 1, prefix_end });
            }
        }
        at = end;
    }
    found
}

/// Where the record of a RECORD line begins that names type and stream first, in either order.
fn record_start(block: &[u8], at: usize) -> Sure<usize> {
    let mut cursor = Cursor::new(block, at);
    cursor.skip_space();
    cursor.expect(b'{')?;
    cursor.skip_space();
    let is_type_first = cursor.take(b"\"type\"");
    if is_type_first {
        cursor.colon()?;
        record_type(&mut cursor)?;
    } else {
        stream(&mut cursor)?;
    }
    comma(&mut cursor)?;
    if is_type_first {
        stream(&mut cursor)?;
    } else {
        cursor.word(b"\"type\"")?;
        cursor.colon()?;
        record_type(&mut cursor)?;
    }
    comma(&mut cursor)?;
    cursor.word(b"\"record\"")?;
    cursor.skip_space();
    cursor.expect(b':')?;
    Ok(cursor.at())
}

/// Go past the type of a RECORD message, which may be written in any case.
#[inline]
pub fn record_type(cursor: &mut Cursor) -> Sure<()> {
    if cursor.take(b"\"RECORD\"") {
        return Ok(());
    }
    cursor.expect(b'"')?;
    for expected in b"RECORD" {
        if !cursor.peek().eq_ignore_ascii_case(expected) {
            return Err(Doubt);
        }
        cursor.advance(1);
    }
    cursor.expect(b'"')
}

/// The stream's name may be any text in quotes: whether it is a name is told when it is read.
fn stream(cursor: &mut Cursor) -> Sure<()> {
    cursor.word(b"\"stream\"")?;
    cursor.colon()?;
    cursor.expect(b'"')?;
    loop {
        match cursor.peek() {
            b'"' => break,
            b'\n' => return Err(Doubt),
            b'\\' => cursor.advance(1),
            _ => {}
        }
        if cursor.peek() == b'\n' || cursor.is_at_end() {
            return Err(Doubt);
        }
        cursor.advance(1);
    }
    cursor.advance(1);
    Ok(())
}

fn comma(cursor: &mut Cursor) -> Sure<()> {
    cursor.skip_space();
    cursor.expect(b',')?;
    cursor.skip_space();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(block: &str) -> Vec<(usize, bool)> {
        split(block.as_bytes()).iter().map(|lines| (lines.count, lines.prefix_end.is_some())).collect()
    }

    #[test]
    fn lines_that_begin_alike_are_one_run() {
        let a = "{\"type\": \"RECORD\", \"stream\": \"a\", \"record\": {}}\n";
        let b = "{\"stream\":\"b\",\"type\":\"RECORD\",\"record\":{}}\n";
        let state = "{\"type\":\"STATE\",\"value\":{}}\n";
        assert_eq!(
            shapes(&[a, a, b, b, b, a, state, state].concat()),
            [(2, true), (3, true), (1, true), (1, false), (1, false)]
        );
    }

    #[test]
    fn a_prefix_ends_behind_the_colon_before_the_record() {
        let line = b" {\"type\":\"RECORD\",\"stream\":\"\\\"a\",\"record\" :{}}\n";
        assert_eq!(split(line)[0].prefix_end, Some(line.len() - 4));
    }

    #[test]
    fn the_type_of_a_record_may_be_written_in_any_case() {
        let lower = "{\"type\": \"record\", \"stream\": \"a\", \"record\": {}}\n";
        let title = "{\"stream\":\"a\",\"type\":\"Record\",\"record\":{}}\n";
        let records = "{\"stream\":\"a\",\"type\":\"records\",\"record\":{}}\n";
        let cut = "{\"type\":\"rec\n";
        assert_eq!(
            shapes(&[lower, lower, title, records, cut].concat()),
            [(2, true), (1, true), (1, false), (1, false)]
        );
    }

    #[test]
    fn what_comes_after_the_last_line_feed_is_left() {
        assert_eq!(shapes("\n\n{\"type\""), [(1, false), (1, false)]);
    }
}
