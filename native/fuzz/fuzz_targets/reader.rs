//! Fuzzes the reader: runs hold every line once, begin alike, are as long as can be, and don't depend on what is around.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tailrace_native::split::{Lines, split};

fuzz_target!(|block: &[u8]| {
    let found = split(block);
    let mut at = 0;
    for lines in &found {
        assert_eq!(lines.start, at, "runs follow each other");
        check_run(block, lines);
        at = lines.end;
    }
    assert_eq!(at, block.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1));
    for pair in found.windows(2) {
        assert!(prefix(block, &pair[0]).is_none() || prefix(block, &pair[0]) != prefix(block, &pair[1]));
    }
});

fn check_run(block: &[u8], lines: &Lines) {
    let run = &block[lines.start..lines.end];
    assert_eq!(run.last(), Some(&b'\n'));
    assert_eq!(run.iter().filter(|&&byte| byte == b'\n').count(), lines.count);
    match prefix(block, lines) {
        Some(prefix) => check_prefix(prefix),
        None => assert_eq!(lines.count, 1, "a line that is no RECORD is by itself"),
    }
    for line in run.split_inclusive(|&byte| byte == b'\n') {
        assert!(prefix(block, lines).is_none_or(|prefix| line.starts_with(prefix)));
        let alone = split(line);
        assert_eq!((alone.len(), alone[0].count), (1, 1));
        assert_eq!(alone[0].prefix_end, lines.prefix_end.map(|end| end - lines.start));
    }
}

/// A prefix says that it is a RECORD and of what stream, nothing else, as far as the stream's name is JSON.
fn check_prefix(prefix: &[u8]) {
    assert!(!prefix.contains(&b'\n'));
    let Ok(Value::Object(message)) = serde_json::from_slice(&[prefix, b"null}"].concat()) else { return };
    let names: Vec<&String> = message.keys().collect();
    assert_eq!(names, ["record", "stream", "type"]);
    assert_eq!(message["type"], "RECORD");
    assert!(message["stream"].is_string());
}

fn prefix<'a>(block: &'a [u8], lines: &Lines) -> Option<&'a [u8]> {
    lines.prefix_end.map(|end| &block[lines.start..end])
}
