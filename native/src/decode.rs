//! A run of RECORD lines to columns, in one pass over the bytes.

#![forbid(unsafe_code)]

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use crate::layout::RecordLayout;
use crate::number::Places;
use crate::run::Run;

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

/// What a run comes to. The columns are those of the layout, then versions, times of extraction and lines.
///
/// `unknown` counts the fields that were dropped, by path. `odd` are members of the message that weren't as they must.
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    pub doubtful: Vec<Doubtful>,
    pub unknown: Vec<(String, u64)>,
    pub inexact: Vec<Noted>,
    pub coerced: Vec<Noted>,
    pub odd: Vec<Noted>,
}

/// Decode a run: pieces of lines that each end in a line feed, numbered by spans of (first line, count).
///
/// # Errors
/// When a column can't be made into an Arrow array, which no input causes.
pub fn decode(layout: &RecordLayout, pieces: &[&[u8]], spans: &[(i64, i64)]) -> Result<Decoded, ArrowError> {
    let count = spans.iter().map(|&(_, count)| usize::try_from(count).unwrap_or_default()).sum::<usize>();
    let size = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let mut run = Run::new(layout, count.min(size / MIN_LINE_BYTES + 1));
    let mut lines = spans.iter().flat_map(|&(first, count)| first..first.saturating_add(count));
    let mut doubtful = Vec::new();
    for (piece, &data) in pieces.iter().enumerate() {
        let mut at = 0;
        run.begin(data);
        while at < data.len()
            && let Some(line) = lines.next()
        {
            let end = run.read_line(at, line).unwrap_or_else(|_| {
                run.take_back();
                let end = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |offset| at + offset + 1);
                doubtful.push(Doubtful { line, piece, bytes: at..end });
                end
            });
            at = end;
        }
    }
    run.finish(doubtful)
}
