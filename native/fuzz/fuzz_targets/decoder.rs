//! Fuzzes the decoder: every line of a run is taken, refused or doubted, in order, and a line by itself comes to the same.

#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tailrace_native::decode::{Decoded, Doubtful, decode};
use tailrace_native::layout::RecordLayout;

/// More lines than any input has.
const ALL_LINES: i64 = 1 << 40;
const NO_ERROR: &str = "no input makes an array that can't be";

static LAYOUTS: LazyLock<Vec<RecordLayout>> = LazyLock::new(|| {
    let texts = include_str!("../layouts.jsonl").lines();
    texts.map(|text| RecordLayout::from_json(text).expect("a layout is read")).collect()
});

// An input is the number of a layout, the lines of each piece (0: all), the number of spans, of each span the lines that it
// leaves out and those that it has, and the bytes of a run. No span stands for one over all lines.
fuzz_target!(|input: &[u8]| {
    let [layout, lines, spans, rest @ ..] = input else { return };
    let Some((bounds, data)) = rest.split_at_checked(usize::from(spans % 4) * 2) else { return };
    let mut spans = Vec::new();
    let mut next = 1;
    for bound in bounds.chunks_exact(2) {
        spans.push((next + i64::from(bound[0]), i64::from(bound[1])));
        next += i64::from(bound[0]) + i64::from(bound[1]);
    }
    if spans.is_empty() {
        spans.push((1, ALL_LINES));
    }
    check(&LAYOUTS[usize::from(*layout) % LAYOUTS.len()], &pieces_of(data, usize::from(*lines)), &spans);
});

fn check(layout: &RecordLayout, pieces: &[&[u8]], spans: &[(i64, i64)]) {
    let whole = decode(layout, pieces, spans, false).expect(NO_ERROR);
    check_columns(layout, &whole);
    let lines = lines_of(pieces, spans);
    let taken = whole.columns.last().expect("the lines are a column").as_primitive::<Int64Type>().values();
    assert_eq!(taken.len() + whole.doubtful.len() + whole.refused.len(), lines.len());
    let (mut row, mut doubtful) = (0, whole.doubtful.iter());
    let mut refused = whole.refused.iter().peekable();
    let (mut unknown, mut inexact) = (HashMap::new(), HashMap::new());
    for found in lines {
        let text = &pieces[found.piece][found.bytes.clone()];
        let alone = decode(layout, &[text], &[(found.line, 1)], false).expect(NO_ERROR);
        if let Some(judged) = refused.next_if(|judged| judged.line == found.line) {
            assert_eq!((judged.piece, judged.bytes.start), (found.piece, found.bytes.start));
            assert_eq!(pieces[judged.piece][judged.bytes.clone()], *text.strip_suffix(b"\n").unwrap_or(text));
            assert_eq!(alone.reasons, [whole.reasons[judged.reasons].clone()]);
            assert!(!alone.reasons[0].is_empty());
            serde_json::from_slice::<IgnoredAny>(text).expect("what is refused is JSON");
            continue;
        }
        if taken.get(row) != Some(&found.line) {
            assert_eq!(doubtful.next(), Some(&found));
            assert_eq!(alone.doubtful, [Doubtful { line: found.line, piece: 0, bytes: 0..text.len() }]);
            continue;
        }
        assert_eq!(alone.doubtful, []);
        serde_json::from_slice::<IgnoredAny>(text).expect("what is taken is JSON");
        for (column, single) in whole.columns.iter().zip(&alone.columns) {
            assert_eq!(column.slice(row, 1).to_data(), single.to_data());
        }
        alone.unknown.into_iter().for_each(|(path, count)| *unknown.entry(path).or_default() += count);
        for found in alone.inexact {
            inexact.entry(found.name).or_insert((0, found.first_line)).0 += found.count;
        }
        row += 1;
    }
    assert_eq!(unknown, summed(whole.unknown));
    assert_eq!(inexact, whole.inexact.into_iter().map(|found| (found.name, (found.count, found.first_line))).collect());
}

/// The columns are as Arrow has them, and of one length.
fn check_columns(layout: &RecordLayout, whole: &Decoded) {
    assert_eq!(whole.columns.len(), layout.columns.len() + 3);
    for column in &whole.columns {
        assert_eq!(column.len(), whole.columns[layout.columns.len()].len());
        column.to_data().validate_full().expect("an array is as Arrow has them");
        if let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() {
            decimals.validate_decimal_precision(decimals.precision()).expect("a decimal fits into its precision");
        }
    }
}

/// The data cut into pieces of that many lines.
fn pieces_of(data: &[u8], lines: usize) -> Vec<&[u8]> {
    if lines == 0 {
        return vec![data];
    }
    let found: Vec<&[u8]> = data.split_inclusive(|&byte| byte == b'\n').collect();
    let sizes = found.chunks(lines).map(|lines| lines.iter().map(|line| line.len()).sum::<usize>());
    sizes.scan(data, |rest, size| rest.split_off(..size)).collect()
}

/// The lines that the spans number, and where their bytes are.
fn lines_of(pieces: &[&[u8]], spans: &[(i64, i64)]) -> Vec<Doubtful> {
    let places = pieces.iter().enumerate().flat_map(|(piece, data)| {
        data.split_inclusive(|&byte| byte == b'\n').scan(0, move |at, line| {
            let start = *at;
            *at += line.len();
            Some((piece, start..*at))
        })
    });
    let numbers = spans.iter().flat_map(|&(first, count)| first..first + count);
    numbers.zip(places).map(|(line, (piece, bytes))| Doubtful { line, piece, bytes }).collect()
}

fn summed(counts: Vec<(String, u64)>) -> HashMap<String, u64> {
    let mut sums = HashMap::new();
    counts.into_iter().for_each(|(path, count)| *sums.entry(path).or_default() += count);
    sums
}
