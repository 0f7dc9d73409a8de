//! Blocks of whole lines parted by stream: what a stream's records are, which states passed, and every other message.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ops::Range;

use crate::envelope::{Message, message, name, record_start};

/// Schemas are remembered up to so many bytes.
const MAX_SCHEMA_BYTES: usize = 64 << 20;

/// RECORD lines of one stream, in line order; of two blocks of a stream all lines of the first come first.
///
/// `ranges` are where they stand in the block, and `spans` which input lines they are, as (first, count).
#[derive(Debug, PartialEq, Eq)]
pub struct Records {
    pub stream: String,
    pub ranges: Vec<Range<usize>>,
    pub spans: Vec<(i64, i64)>,
    pub count: i64,
}

impl Records {
    fn new(stream: String) -> Self {
        Self { stream, ranges: Vec::new(), spans: Vec::new(), count: 0 }
    }

    #[inline]
    fn add(&mut self, bytes: Range<usize>, line: i64) {
        match self.ranges.last_mut() {
            Some(last) if last.end == bytes.start => last.end = bytes.end,
            _ => self.ranges.push(bytes),
        }
        match self.spans.last_mut() {
            Some((first, count)) if *first + *count == line => *count += 1,
            _ => self.spans.push((line, 1)),
        }
        self.count += 1;
    }

    /// How many bytes the lines have.
    pub fn size(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }
}

/// A STATE message: its line, where its value stands in the block, and how many records, of how many bytes, the block
/// has before it.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    pub line: i64,
    pub value: Range<usize>,
    pub records: i64,
    pub record_bytes: i64,
}

/// What a block comes to, in an order that keeps each stream's.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Records(Records),
    /// A line that is for the Python package to read, and whether it is certain to be for the log.
    Line {
        line: i64,
        bytes: Range<usize>,
        is_log: bool,
    },
}

/// What a block comes to. `lines` counts all its lines, those of white space too.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub parts: Vec<Part>,
    pub states: Vec<State>,
    pub lines: i64,
}

/// Parts blocks of one input, whose last schemas it remembers: a SCHEMA that comes again as it was says nothing.
#[derive(Default)]
pub struct Splitter {
    schemas: HashMap<String, Vec<u8>>,
    schema_bytes: usize,
}

/// The records of a block that no message has parted yet.
#[derive(Default)]
struct Open<'a> {
    parts: Parts,
    by_text: HashMap<&'a [u8], usize>,
    by_name: HashMap<String, usize>,
    names: Vec<String>,
    records: Vec<Option<Records>>,
    count: i64,
    bytes: i64,
}

impl Splitter {
    /// The parts of a block of lines that each end in a line feed, of which the first has that number.
    pub fn split(&mut self, block: &[u8], first_line: i64) -> Parts {
        let mut open = Open::default();
        let (mut prefix, mut place): (&[u8], usize) = (b"", 0);
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &block[at..]) {
            let bytes = at..at + length + 1;
            let line = first_line + open.parts.lines;
            open.parts.lines += 1;
            let text = &block[bytes.clone()];
            if !prefix.is_empty() && text.starts_with(prefix) {
                open.add(place, bytes, line);
            } else if let Some((found, end)) = record_place(&mut open, block, at) {
                (prefix, place) = (&block[at..end], found);
                open.add(place, bytes, line);
            } else if !text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                self.take(&mut open, block, bytes, line);
            }
            at += length + 1;
        }
        open.close_all();
        open.parts
    }

    /// Take a line that doesn't begin as records mostly do.
    fn take<'a>(&mut self, open: &mut Open<'a>, block: &'a [u8], bytes: Range<usize>, line: i64) {
        let is_utf8 = std::str::from_utf8(&block[bytes.clone()]).is_ok();
        let found = if is_utf8 { message(block, bytes.start).ok() } else { None };
        let is_log = found == Some(Message::Log);
        match found {
            Some(Message::Record(stream)) => match open.place_of(stream) {
                Some(place) => return open.add(place, bytes, line),
                None => open.close_all(),
            },
            Some(Message::State(value)) => {
                let (records, record_bytes) = (open.count, open.bytes);
                return open.parts.states.push(State { line, value, records, record_bytes });
            }
            Some(Message::Schema(stream)) => {
                if self.is_known(&stream, &block[bytes.clone()]) {
                    return;
                }
                open.close(&stream);
            }
            Some(Message::Activation(stream)) => open.close(&stream),
            Some(Message::Log) => {}
            None => {
                self.schemas.clear();
                self.schema_bytes = 0;
                open.close_all();
            }
        }
        open.parts.parts.push(Part::Line { line, bytes, is_log });
    }

    /// Whether that line is the stream's last SCHEMA, byte by byte; from here on it is.
    fn is_known(&mut self, stream: &str, text: &[u8]) -> bool {
        if let Some(known) = self.schemas.get_mut(stream) {
            if known == text {
                return true;
            }
            self.schema_bytes = self.schema_bytes + text.len() - known.len();
            text.clone_into(known);
        } else {
            self.schema_bytes += stream.len() + text.len();
            self.schemas.insert(stream.to_owned(), text.to_owned());
        }
        if self.schema_bytes > MAX_SCHEMA_BYTES {
            self.schemas.clear();
            self.schema_bytes = 0;
        }
        false
    }
}

/// The place of the stream of a line that begins as records mostly do, and where its record begins.
#[inline]
fn record_place<'a>(open: &mut Open<'a>, block: &'a [u8], at: usize) -> Option<(usize, usize)> {
    let (stream, end) = record_start(block, at).ok()?;
    Some((open.place_of(stream)?, end))
}

impl<'a> Open<'a> {
    /// The place of the stream's records, which are named so in the text; none where that is no name.
    #[inline]
    fn place_of(&mut self, raw: &'a [u8]) -> Option<usize> {
        if let Some(&place) = self.by_text.get(raw) {
            return Some(place);
        }
        let name = name(raw)?;
        let place = *self.by_name.entry(name.clone()).or_insert(self.names.len());
        if place == self.names.len() {
            self.names.push(name);
            self.records.push(None);
        }
        self.by_text.insert(raw, place);
        Some(place)
    }

    #[inline]
    fn add(&mut self, place: usize, bytes: Range<usize>, line: i64) {
        self.count += 1;
        self.bytes += bytes.len() as i64;
        self.records[place].get_or_insert_with(|| Records::new(self.names[place].clone())).add(bytes, line);
    }

    /// Part the stream's records here.
    fn close(&mut self, stream: &str) {
        if let Some(records) = self.by_name.get(stream).and_then(|&place| self.records[place].take()) {
            self.parts.parts.push(Part::Records(records));
        }
    }

    /// Part the records of every stream here.
    fn close_all(&mut self) {
        let mut records: Vec<Records> = self.records.iter_mut().filter_map(Option::take).collect();
        records.sort_unstable_by_key(|records| records.spans.first().copied());
        self.parts.parts.extend(records.into_iter().map(Part::Records));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "{\"type\": \"RECORD\", \"stream\": \"a\", \"record\": {}}\n";
    const B: &str = "{\"stream\":\"b\",\"type\":\"RECORD\",\"record\":{}}\n";
    const STATE: &str = "{\"type\":\"STATE\",\"value\":{\"a\": 1}}\n";
    const SCHEMA_OF_A: &str = "{\"type\":\"SCHEMA\",\"stream\":\"a\",\"schema\":{}}\n";

    /// The stream and the spans of each block, and the numbers of the other lines.
    fn shapes(block: &str) -> Vec<(String, Vec<(i64, i64)>)> {
        let parts = Splitter::default().split(block.as_bytes(), 1).parts;
        parts
            .into_iter()
            .map(|part| match part {
                Part::Records(records) => (records.stream, records.spans),
                Part::Line { line, .. } => (String::new(), vec![(line, 1)]),
            })
            .collect()
    }

    fn shape(stream: &str, spans: &[(i64, i64)]) -> (String, Vec<(i64, i64)>) {
        (stream.to_owned(), spans.to_vec())
    }

    #[test]
    fn streams_that_take_turns_have_one_block_each() {
        assert_eq!(shapes(&[A, B, A, A, B].concat()), [shape("a", &[(1, 1), (3, 2)]), shape("b", &[(2, 1), (5, 1)])]);
    }

    #[test]
    fn a_state_parts_nothing_and_knows_what_is_before_it() {
        let block = [A, STATE, A].concat();
        let parts = Splitter::default().split(block.as_bytes(), 1);
        assert_eq!(shapes(&block), [shape("a", &[(1, 1), (3, 1)])]);
        let state = &parts.states[0];
        assert_eq!((state.line, state.records, state.record_bytes), (2, 1, A.len() as i64));
        assert_eq!(&block[state.value.clone()], "{\"a\": 1}");
        assert_eq!(parts.lines, 3);
    }

    #[test]
    fn a_schema_parts_its_own_stream_and_is_told_once() {
        let lines = [SCHEMA_OF_A, A, B, SCHEMA_OF_A, A];
        assert_eq!(
            shapes(&lines.concat()),
            [shape("", &[(1, 1)]), shape("a", &[(2, 1), (5, 1)]), shape("b", &[(3, 1)])]
        );
        let other = SCHEMA_OF_A.replace("{}}", "true}");
        assert_eq!(
            shapes(&[SCHEMA_OF_A, A, B, &other, A].concat()),
            [
                shape("", &[(1, 1)]),
                shape("a", &[(2, 1)]),
                shape("", &[(4, 1)]),
                shape("b", &[(3, 1)]),
                shape("a", &[(5, 1)])
            ]
        );
    }

    #[test]
    fn what_is_not_certain_parts_every_stream() {
        assert_eq!(
            shapes(&[A, B, "{]\n", A].concat()),
            [shape("a", &[(1, 1)]), shape("b", &[(2, 1)]), shape("", &[(3, 1)]), shape("a", &[(4, 1)])]
        );
    }

    #[test]
    fn a_schema_that_comes_in_another_way_is_told_again() {
        let escaped = SCHEMA_OF_A.replace("\"a\"", "\"\\u0061\"");
        assert_eq!(shapes(&[SCHEMA_OF_A, &escaped, SCHEMA_OF_A].concat()).len(), 3);
    }

    #[test]
    fn records_whose_members_come_in_another_order_are_their_streams() {
        let late = "{\"record\": {\"type\": \"STATE\"}, \"x\": [1], \"stream\": \"\\u0061\", \"type\": \"record\"}\n";
        assert_eq!(shapes(&[A, late, " \t\n", A].concat()), [shape("a", &[(1, 2), (4, 1)])]);
    }

    #[test]
    fn what_comes_after_the_last_line_feed_is_left() {
        assert_eq!(Splitter::default().split(b"\n\n{\"type\"", 1).lines, 2);
    }
}
