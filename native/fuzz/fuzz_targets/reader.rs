//! Fuzzes the reader: every line is in one part, a stream's are in order, and it makes no difference where blocks end.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tailrace_native::split::{Part, Parts, Splitter};

/// What lines come to: each record's stream, each state's value, and what is for the Python package to read.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Record(String),
    State(String),
    Other,
}

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (at, mut block) = input;
    block.push(b'\n');
    let whole = Splitter::default().split(&block, 1);
    let lines = lines_of(&block, &whole);
    check(&block, &lines);
    let part = usize::from(at) % block.len();
    let middle = block[..part].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut splitter = Splitter::default();
    let first = splitter.split(&block[..middle], 1);
    let second = splitter.split(&block[middle..], 1 + first.lines);
    let mut apart = lines_of(&block[..middle], &first);
    apart.extend(lines_of(&block[middle..], &second));
    assert_eq!(apart, lines, "it makes no difference where blocks end");
    assert_eq!(first.lines + second.lines, whole.lines);
});

/// The lines by their numbers; each has one part at most, and records are in the order of their lines.
fn lines_of(block: &[u8], parts: &Parts) -> BTreeMap<i64, Line> {
    let mut lines = BTreeMap::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for part in &parts.parts {
        match part {
            Part::Line { line, .. } => assert!(lines.insert(*line, Line::Other).is_none()),
            Part::Records(records) => {
                let numbers: Vec<i64> = records.spans.iter().flat_map(|&(first, count)| first..first + count).collect();
                let bytes: Vec<u8> = records.ranges.iter().flat_map(|range| block[range.clone()].to_vec()).collect();
                assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), numbers.len());
                assert_eq!((records.size(), records.count), (bytes.len(), numbers.len() as i64));
                for line in numbers {
                    let before = last.insert(&records.stream, line).unwrap_or(0);
                    assert!(before < line, "a stream's records are in order");
                    assert!(lines.insert(line, Line::Record(records.stream.clone())).is_none());
                }
            }
        }
    }
    for state in &parts.states {
        let value = String::from_utf8(block[state.value.clone()].to_vec()).expect("a state is UTF-8");
        let before = lines.range(..state.line).filter(|(_, line)| matches!(line, Line::Record(_))).count();
        assert_eq!(state.records, before as i64);
        assert!(lines.insert(state.line, Line::State(value)).is_none());
    }
    lines
}

/// What is certain of a line is what a plain reader of JSON finds in it.
fn check(block: &[u8], lines: &BTreeMap<i64, Line>) {
    for (number, text) in (1..).zip(block.split_inclusive(|&byte| byte == b'\n')) {
        let Ok(Value::Object(message)) = serde_json::from_slice(text) else { continue };
        match lines.get(&number) {
            Some(Line::State(value)) => {
                assert!(message["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("state")));
                assert_eq!(serde_json::from_str::<Value>(value).ok().as_ref(), message.get("value"));
            }
            Some(Line::Record(stream)) if !text.windows(8).any(|word| word == b"\"stream\"") => {
                panic!("a record of {stream} names no stream");
            }
            _ => {}
        }
    }
}
