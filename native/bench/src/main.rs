//! How fast runs are decoded, and how fast parsers are that make no columns of them: `parsers FILE PLAN [NAME]...`.
//!
//! FILE is Singer's messages, PLAN the layout of their stream as the Python package writes it. Each one's megabytes
//! (10^6 bytes) a second of the processor's are printed, and on stderr, for `bench/decoding.py`, its seconds on the clock
//! and on the processor, and the records it has read.

#![forbid(unsafe_code)]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde::de::IgnoredAny;
use simd_json::{Buffers, INPUT_PADDING, Tape, fill_tape_padded};
use tailrace_native::decode::decode;
use tailrace_native::layout::RecordLayout;
use tailrace_native::split::{Part, Records, Splitter};

/// What a run comes to before it is decoded, as the Python package gathers it.
const RUN_BYTES: usize = 4 << 20;
/// What a block has that the Python package splits at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Consecutive RECORD lines.
struct Piece {
    start: usize,
    end: usize,
    count: usize,
}

/// The messages of a file, and where its records are.
struct Input {
    data: Vec<u8>,
    pieces: Vec<Piece>,
    layout: RecordLayout,
}

/// The records that were read, and the time it took on the clock and on the processor.
type Reading = (usize, Duration, Duration);

type Contender = (&'static str, fn(&Input) -> Reading);

const CONTENDERS: [Contender; 5] = [
    ("split", run_split),
    ("decode", run_decode),
    ("simd-json", run_simd_json),
    ("sonic-rs", run_sonic_rs),
    ("serde_json", run_serde_json),
];

impl Input {
    fn new(data: Vec<u8>, layout: RecordLayout) -> Self {
        let mut pieces = Vec::new();
        for (start, end) in blocks(&data) {
            for records in split(&data[start..end]) {
                let [range] = records.ranges.as_slice() else { panic!("records stand one behind the other") };
                let count = records.count as usize;
                pieces.push(Piece { start: start + range.start, end: start + range.end, count });
            }
        }
        Self { data, pieces, layout }
    }

    /// The pieces in runs of about that many bytes.
    fn runs(&self) -> Vec<Vec<&Piece>> {
        let (mut runs, mut run, mut size) = (Vec::new(), Vec::new(), 0);
        for piece in &self.pieces {
            size += piece.end - piece.start;
            run.push(piece);
            if size >= RUN_BYTES {
                runs.push(std::mem::take(&mut run));
                size = 0;
            }
        }
        runs.push(run);
        runs
    }

    /// Where each record's line starts and ends, without its line feed.
    fn lines(&self) -> Vec<(usize, usize)> {
        let mut lines = Vec::new();
        for piece in &self.pieces {
            let mut start = piece.start;
            for length in memchr::memchr_iter(b'\n', &self.data[piece.start..piece.end]) {
                lines.push((start, piece.start + length));
                start = piece.start + length + 1;
            }
        }
        lines
    }
}

/// Read, and take the time.
fn timed(read: impl FnOnce() -> usize) -> Reading {
    let (started, on_processor) = (Instant::now(), ProcessTime::now());
    let records = read();
    (records, started.elapsed(), on_processor.elapsed())
}

/// Where blocks of whole lines start and end.
fn blocks(data: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut start) = (Vec::new(), 0);
    while start < data.len() {
        let after = (start + BLOCK_BYTES).min(data.len());
        let end = memchr::memchr(b'\n', &data[after..]).map_or(data.len(), |length| after + length + 1);
        found.push((start, end));
        start = end;
    }
    found
}

/// The records of a block.
fn split(block: &[u8]) -> Vec<Records> {
    let parts = Splitter::default().split(block, 1).parts;
    parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Records(records) => Some(records),
            Part::Line { .. } => None,
        })
        .collect()
}

fn run_split(input: &Input) -> Reading {
    let blocks = blocks(&input.data);
    timed(|| {
        blocks.iter().flat_map(|&(start, end)| split(&input.data[start..end])).map(|found| found.count as usize).sum()
    })
}

fn run_decode(input: &Input) -> Reading {
    let runs = input.runs();
    timed(|| {
        let (mut first, mut rows) = (1, 0);
        for run in &runs {
            let pieces: Vec<&[u8]> = run.iter().map(|piece| &input.data[piece.start..piece.end]).collect();
            let count = run.iter().map(|piece| piece.count as i64).sum();
            let decoded = decode(&input.layout, &pieces, &[(first, count)], false).expect("columns become Arrow arrays");
            assert!(decoded.doubtful.is_empty(), "the reference would have to read some of these lines");
            rows += decoded.columns.last().map_or(0, |column| column.len());
            first += count;
            black_box(decoded);
        }
        rows
    })
}

/// A tape of each line, in the line's own bytes.
fn run_simd_json(input: &Input) -> Reading {
    let lines = input.lines();
    let mut data = input.data.clone();
    data.resize(data.len() + INPUT_PADDING, b' ');
    let mut buffers = Buffers::default();
    let mut spare = Tape::null();
    timed(|| {
        for &(start, end) in &lines {
            let mut tape = spare.reset();
            let padded = &mut data[start..end + INPUT_PADDING];
            fill_tape_padded(padded, end - start, &mut buffers, &mut tape).expect("the line is JSON");
            black_box(&tape);
            spare = tape.reset();
        }
        lines.len()
    })
}

fn run_sonic_rs(input: &Input) -> Reading {
    ignored(input, |line| sonic_rs::from_slice::<IgnoredAny>(line).is_ok())
}

fn run_serde_json(input: &Input) -> Reading {
    ignored(input, |line| serde_json::from_slice::<IgnoredAny>(line).is_ok())
}

/// Each line read as JSON, of which nothing is kept.
fn ignored(input: &Input, is_json: impl Fn(&[u8]) -> bool) -> Reading {
    let lines = input.lines();
    timed(|| lines.iter().filter(|&&(start, end)| is_json(&input.data[start..end])).count())
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [file, layout, names @ ..] = words.as_slice() else {
        eprintln!("usage: cargo bench --no-default-features --bench parsers -- FILE PLAN [NAME]...");
        return;
    };
    let layout = RecordLayout::from_json(&fs::read_to_string(layout).expect("the layout can be read")).expect("it is a layout");
    let input = Input::new(fs::read(file).expect("the file can be read"), layout);
    for (name, run) in CONTENDERS.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|one| one == name)) {
        // What is measured is the second time, when memory is at hand.
        run(&input);
        let (records, time, on_processor) = run(&input);
        println!("{name}: {:.0} MB/s", input.data.len() as f64 / 1e6 / on_processor.as_secs_f64());
        eprintln!("{} {} {records}", time.as_secs_f64(), on_processor.as_secs_f64());
    }
}
