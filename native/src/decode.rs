//! A run of RECORD lines to columns, in one pass over the bytes.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use crate::layout::RecordLayout;
use crate::number::Places;
use crate::refusals::{Judge, Violation};
use crate::run::Run;
use crate::unknown_fields::NewField;

/// No record is shorter, so that spans that promise more records than there can be take no memory.
const MIN_LINE_BYTES: usize = 8;

/// A line that is for the reference to judge: its number, and where in which piece its bytes are, its line feed among
/// them.
#[derive(Debug, PartialEq, Eq)]
pub struct Doubtful {
    pub line: i64,
    pub piece: usize,
    pub bytes: Range<usize>,
}

/// Values of which something is told, by column or by member of the message: how many, and the line of the first.
///
/// Of floats that don't hold their numbers `places` are the most digits that these have.
#[derive(Debug, PartialEq, Eq)]
pub struct Noted {
    pub name: String,
    pub count: usize,
    pub first_line: i64,
    pub places: Places,
}

/// A record that is refused: its line's number and place, without the line feed, and which of the run's reasons it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub line: i64,
    pub piece: usize,
    pub bytes: Range<usize>,
    pub reasons: usize,
}

/// What a run comes to. The columns are those of the layout, then versions, times of extraction and lines.
///
/// `versioned_line` is the first that has a version for which the stream has no column, and `new_fields` are those of
/// records under `unknown_fields: evolve`: the stream has to grow first. `reasons` are those of refused records.
/// `unknown` counts the fields that were dropped, by path. `odd` are members of the message that weren't as they must.
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    pub doubtful: Vec<Doubtful>,
    pub refused: Vec<Refused>,
    pub reasons: Vec<Vec<Violation>>,
    pub versioned_line: Option<i64>,
    pub new_fields: Vec<NewField>,
    pub unknown: Vec<(String, u64)>,
    pub inexact: Vec<Noted>,
    pub coerced: Vec<Noted>,
    pub odd: Vec<Noted>,
}

/// Decode a run: pieces of lines that each end in a line feed, numbered by spans of (first line, count). `is_bare` says
/// that the lines are records alone, without messages around them.
///
/// # Errors
/// When a column can't be made into an Arrow array, which no input causes.
pub fn decode(
    layout: &RecordLayout,
    pieces: &[&[u8]],
    spans: &[(i64, i64)],
    is_bare: bool,
) -> Result<Decoded, ArrowError> {
    let count = spans.iter().map(|&(_, count)| usize::try_from(count).unwrap_or_default()).sum::<usize>();
    let size = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let mut run = Run::new(layout, count.min(size / MIN_LINE_BYTES + 1), is_bare);
    let mut lines = spans.iter().flat_map(|&(first, count)| first..first.saturating_add(count));
    let mut aside = Aside::new(layout, is_bare);
    for (piece, &data) in pieces.iter().enumerate() {
        let mut at = 0;
        if run.must_grow() {
            break;
        }
        run.begin(data);
        while at < data.len()
            && !run.must_grow()
            && let Some(line) = lines.next()
        {
            at = if aside.expects_refusal()
                && let Some(end) = aside.refuse(data, run.is_utf8, (line, piece, at))
            {
                end
            } else if let Ok(end) = run.read_line(at, line) {
                aside.in_a_row = 0;
                end
            } else {
                run.take_back();
                aside.put(data, run.is_utf8, (line, piece, at))
            };
        }
    }
    run.finish(aside)
}

/// Lines that become no rows: those that are certain to be refused, and those in doubt. `in_a_row` is how many lines
/// were refused one behind the other.
pub struct Aside<'l> {
    pub doubtful: Vec<Doubtful>,
    pub refused: Vec<Refused>,
    judge: Judge<'l>,
    is_bare: bool,
    in_a_row: usize,
    pub reasons: Reasons,
}

impl<'l> Aside<'l> {
    fn new(layout: &'l RecordLayout, is_bare: bool) -> Self {
        let judge = Judge::new(layout);
        Self { doubtful: Vec::new(), refused: Vec::new(), judge, is_bare, in_a_row: 0, reasons: Reasons::default() }
    }

    /// Whether so many lines were refused one behind the other that the next one is best judged before it is read.
    fn expects_refusal(&self) -> bool {
        self.in_a_row > 1
    }

    /// Refuse the line that begins at a place of a piece, which is UTF-8 or may not be, where that is certain; gives the
    /// place behind it.
    fn refuse(&mut self, data: &[u8], is_utf8: bool, (line, piece, at): (i64, usize, usize)) -> Option<usize> {
        let end = end_of_line(data, at);
        let text = data[at..end].strip_suffix(b"\n").unwrap_or(&data[at..end]);
        self.in_a_row += 1;
        match self.judge.violations(text, self.is_bare) {
            Ok(violations) if is_utf8 || std::str::from_utf8(text).is_ok() => {
                let reasons = self.reasons.number(violations);
                self.refused.push(Refused { line, piece, bytes: at..at + text.len(), reasons });
                Some(end)
            }
            _ => {
                self.in_a_row = 0;
                None
            }
        }
    }

    /// Refuse a line, or leave it to the reference; gives the place behind it.
    fn put(&mut self, data: &[u8], is_utf8: bool, (line, piece, at): (i64, usize, usize)) -> usize {
        self.refuse(data, is_utf8, (line, piece, at)).unwrap_or_else(|| {
            let end = end_of_line(data, at);
            self.doubtful.push(Doubtful { line, piece, bytes: at..end });
            end
        })
    }
}

fn end_of_line(data: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |offset| at + offset + 1)
}

/// Why records are refused, each once. Mostly a record is refused for what the one before it was.
#[derive(Default)]
pub struct Reasons {
    pub all: Vec<Vec<Violation>>,
    numbers: HashMap<Vec<Violation>, usize>,
    last: usize,
}

impl Reasons {
    fn number(&mut self, violations: &[Violation]) -> usize {
        if self.all.get(self.last).is_none_or(|last| last != violations) {
            self.last = self.numbers.get(violations).copied().unwrap_or_else(|| {
                self.numbers.insert(violations.to_vec(), self.all.len());
                self.all.push(violations.to_vec());
                self.all.len() - 1
            });
        }
        self.last
    }
}
