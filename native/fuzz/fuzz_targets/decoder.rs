//! Fuzzes the decoder: every line of a run is taken or doubted, in order, and a line by itself comes to the same.

#![no_main]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tailrace_native::decode::{Decoded, Doubtful, decode};
use tailrace_native::plan::Plan;
use tailrace_native::split::split;

/// More lines than any input has.
const ALL_LINES: i64 = 1 << 40;

static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let texts = include_str!("../plans.jsonl").lines();
    texts.map(|text| Plan::from_json(text).expect("a plan is read")).collect()
});

// An input is the number of a plan, the number of spans, of each span the lines that it leaves out and those that it
// has, and the bytes of a run. No span stands for one over all lines.
fuzz_target!(|input: &[u8]| {
    let [plan, spans, rest @ ..] = input else { return };
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
    check(&PLANS[usize::from(*plan) % PLANS.len()], data, &spans);
});

fn check(plan: &Plan, data: &[u8], spans: &[(i64, i64)]) {
    let whole = decoded(plan, data, spans);
    let lines = lines_of(data, spans);
    let taken = whole.columns.last().expect("the lines are a column").as_primitive::<Int64Type>().values();
    assert_eq!(taken.len() + whole.doubtful.len(), lines.len());
    let (mut row, mut doubtful) = (0, whole.doubtful.iter());
    let (mut unknown, mut inexact) = (HashMap::new(), HashMap::new());
    for (line, bytes) in lines {
        let text = &data[bytes.start..data.len().min(bytes.end + 1)];
        let alone = decoded(plan, text, &[(line, 1)]);
        if taken.get(row) != Some(&line) {
            assert_eq!(doubtful.next(), Some(&Doubtful { line, bytes: bytes.clone() }));
            if !(alone.doubtful.is_empty() && has_blanks_before_record(text)) {
                assert_eq!(alone.doubtful, [Doubtful { line, bytes: 0..bytes.len() }]);
            }
            continue;
        }
        assert_eq!(alone.doubtful, []);
        serde_json::from_slice::<IgnoredAny>(&data[bytes]).expect("what is taken is JSON");
        for (column, single) in whole.columns.iter().zip(&alone.columns) {
            assert_eq!(column.slice(row, 1).to_data(), single.to_data());
        }
        alone.unknown.into_iter().for_each(|(path, count)| *unknown.entry(path).or_default() += count);
        for found in alone.inexact {
            inexact.entry(found.column).or_insert((0, found.first_line)).0 += found.count;
        }
        row += 1;
    }
    assert_eq!(unknown, summed(whole.unknown));
    assert_eq!(
        inexact,
        whole.inexact.into_iter().map(|found| (found.column, (found.count, found.first_line))).collect()
    );
}

/// A line whose record has more blanks before it than that of the line that a run goes by is doubted in that run alone.
fn has_blanks_before_record(line: &[u8]) -> bool {
    let record = split(line).first().and_then(|lines| lines.prefix_end);
    record.is_some_and(|start| matches!(line[start], b' ' | b'\t' | b'\r'))
}

/// The run decoded, its columns known to be whole and of one length.
fn decoded(plan: &Plan, data: &[u8], spans: &[(i64, i64)]) -> Decoded {
    let decoded = decode(plan, data, spans).expect("no input makes an array that can't be");
    assert_eq!(decoded.columns.len(), plan.columns.len() + 3);
    for column in &decoded.columns {
        assert_eq!(column.len(), decoded.columns[plan.columns.len()].len());
        check_array(column);
    }
    decoded
}

fn check_array(array: &ArrayRef) {
    array.to_data().validate_full().expect("an array is as Arrow has them");
    if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>() {
        decimals.validate_decimal_precision(decimals.precision()).expect("a decimal fits into its precision");
    }
}

/// The lines that the spans number, and where their bytes are, without the line feed.
fn lines_of(data: &[u8], spans: &[(i64, i64)]) -> Vec<(i64, Range<usize>)> {
    let numbers = spans.iter().flat_map(|&(first, count)| first..first + count);
    let lines = data.split_inclusive(|&byte| byte == b'\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some(start..*at - usize::from(line.ends_with(b"\n")))
    });
    numbers.zip(lines).collect()
}

fn summed(counts: Vec<(String, u64)>) -> HashMap<String, u64> {
    let mut sums = HashMap::new();
    counts.into_iter().for_each(|(path, count)| *sums.entry(path).or_default() += count);
    sums
}
