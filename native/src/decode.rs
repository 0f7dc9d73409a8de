//! A run of RECORD lines to columns, in one pass over the bytes.

#![forbid(unsafe_code)]

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use crate::plan::Plan;
use crate::run::Run;

/// No record is shorter, so that spans that promise more records than there can be take no memory.
const MIN_LINE_BYTES: usize = 8;

/// A line that is for the reference to judge: its number, and where its bytes are, without the line feed.
#[derive(Debug, PartialEq, Eq)]
pub struct Doubtful {
    pub line: i64,
    pub bytes: Range<usize>,
}

/// Floats of a column that don't hold their numbers: how many, and the line of the first.
#[derive(Debug, PartialEq, Eq)]
pub struct Inexact {
    pub column: String,
    pub count: usize,
    pub first_line: i64,
}

/// What a run comes to. The columns are those of the plan, then versions, times of extraction and lines.
///
/// `unknown` counts the fields that were dropped, by path.
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    pub doubtful: Vec<Doubtful>,
    pub unknown: Vec<(String, u64)>,
    pub inexact: Vec<Inexact>,
}

/// Decode a run: lines that each end in a line feed, numbered by spans of (first line, count).
///
/// # Errors
/// When a column can't be made into an Arrow array, which no input causes.
pub fn decode(plan: &Plan, data: &[u8], spans: &[(i64, i64)]) -> Result<Decoded, ArrowError> {
    let count = spans.iter().map(|&(_, count)| usize::try_from(count).unwrap_or_default()).sum::<usize>();
    let mut run = Run::new(plan, data, count.min(data.len() / MIN_LINE_BYTES + 1));
    let mut doubtful = Vec::new();
    let mut at = 0;
    for line in spans.iter().flat_map(|&(first, count)| first..first.saturating_add(count)) {
        if at >= data.len() {
            break;
        }
        let end = run.read_line(at, line).unwrap_or_else(|_| {
            run.take_back();
            let end = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |offset| at + offset);
            doubtful.push(Doubtful { line, bytes: at..end });
            end
        });
        at = end + 1;
    }
    run.finish(doubtful)
}
