//! The envelope of a line: what type of message it is, and of what stream.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::json::{Cursor, Doubt, Sure};
use crate::text::unescape;

/// A line may have so many members that no message has.
const MAX_OTHERS: usize = 8;

/// What a line is, where that is certain. Streams of records are as they stand in the text, without quotes.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Record(&'a [u8]),
    State(Range<usize>),
    Schema(String),
    Activation(String),
    Log,
}

/// The members of a line that tell what it is.
#[derive(Default)]
struct Members<'a> {
    kind: Option<&'a [u8]>,
    stream: Option<&'a [u8]>,
    value: Option<Range<usize>>,
    level: bool,
    message: bool,
    others: Vec<&'a [u8]>,
}

/// Where the record of a RECORD line begins that names type and stream first, in either order; and the stream.
pub fn record_start(block: &[u8], at: usize) -> Sure<(&[u8], usize)> {
    let mut cursor = Cursor::new(block, at);
    cursor.skip_space();
    cursor.expect(b'{')?;
    cursor.skip_space();
    let is_type_first = cursor.take(b"\"type\"");
    let named = if is_type_first {
        cursor.colon()?;
        record_type(&mut cursor)?;
        comma(&mut cursor)?;
        stream(&mut cursor)?
    } else {
        let named = stream(&mut cursor)?;
        comma(&mut cursor)?;
        cursor.word(b"\"type\"")?;
        cursor.colon()?;
        record_type(&mut cursor)?;
        named
    };
    comma(&mut cursor)?;
    cursor.word(b"\"record\"")?;
    cursor.skip_space();
    cursor.expect(b':')?;
    Ok((named, cursor.at()))
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

/// The name of a stream, as it stands in the text; none where that is no name.
pub fn name(raw: &[u8]) -> Option<String> {
    let mut unescaped = Vec::new();
    unescape(raw, &mut unescaped).ok()?;
    String::from_utf8(unescaped).ok().filter(|name| !name.is_empty())
}

/// What the line of UTF-8 is that begins at a place of the block; every member is there once at most.
pub fn message(block: &[u8], at: usize) -> Sure<Message<'_>> {
    let members = members(block, at)?;
    let Some(kind) = members.kind else {
        return if members.level && members.message { Ok(Message::Log) } else { Err(Doubt) };
    };
    let stream = members.stream.ok_or(Doubt);
    if kind.eq_ignore_ascii_case(b"RECORD") {
        stream.map(Message::Record)
    } else if kind.eq_ignore_ascii_case(b"STATE") {
        members.value.map(Message::State).ok_or(Doubt)
    } else if kind.eq_ignore_ascii_case(b"SCHEMA") {
        stream.and_then(|raw| name(raw).ok_or(Doubt)).map(Message::Schema)
    } else if kind.eq_ignore_ascii_case(b"ACTIVATE_VERSION") {
        stream.and_then(|raw| name(raw).ok_or(Doubt)).map(Message::Activation)
    } else if kind.eq_ignore_ascii_case(b"LOG") {
        Ok(Message::Log)
    } else {
        Err(Doubt)
    }
}

fn members(block: &[u8], at: usize) -> Sure<Members<'_>> {
    let mut members = Members::default();
    let mut cursor = Cursor::new(block, at);
    cursor.skip_space();
    cursor.expect(b'{')?;
    cursor.skip_space();
    loop {
        let name = cursor.string()?;
        cursor.colon()?;
        if name.has_escapes {
            return Err(Doubt);
        }
        match name.raw {
            b"type" => once(&mut members.kind, plain(&mut cursor)?)?,
            b"stream" => once(&mut members.stream, cursor.string()?.raw)?,
            other => {
                if members.others.len() >= MAX_OTHERS || members.others.contains(&other) {
                    return Err(Doubt);
                }
                members.others.push(other);
                let start = cursor.at();
                let is_text = cursor.peek() == b'"';
                cursor.value(1)?;
                match other {
                    b"value" => members.value = Some(start..cursor.at()),
                    b"level" => members.level = is_text,
                    b"message" => members.message = is_text,
                    _ => {}
                }
            }
        }
        if !cursor.goes_on(b'}')? {
            break;
        }
    }
    cursor.skip_space();
    if cursor.peek() == b'\n' { Ok(members) } else { Err(Doubt) }
}

fn once<T>(known: &mut Option<T>, found: T) -> Sure<()> {
    if known.replace(found).is_none() { Ok(()) } else { Err(Doubt) }
}

/// A string that has no escapes.
fn plain<'a>(cursor: &mut Cursor<'a>) -> Sure<&'a [u8]> {
    let text = cursor.string()?;
    if text.has_escapes { Err(Doubt) } else { Ok(text.raw) }
}

/// The stream's name may be any text in quotes: whether it is a name is told when it is read.
fn stream<'a>(cursor: &mut Cursor<'a>) -> Sure<&'a [u8]> {
    cursor.word(b"\"stream\"")?;
    cursor.colon()?;
    Ok(cursor.string()?.raw)
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

    fn told(line: &str) -> Sure<Message<'_>> {
        message(line.as_bytes(), 0)
    }

    #[test]
    fn a_prefix_ends_behind_the_colon_before_the_record() {
        let line = b" {\"type\":\"RECORD\",\"stream\":\"\\\"a\",\"record\" :{}}\n";
        assert_eq!(record_start(line, 0), Ok((&b"\\\"a"[..], line.len() - 4)));
    }

    #[test]
    fn the_type_of_a_message_may_be_written_in_any_case() {
        assert!(record_start(b"{\"stream\":\"a\",\"type\":\"Record\",\"record\":{}}\n", 0).is_ok());
        assert!(record_start(b"{\"stream\":\"a\",\"type\":\"records\",\"record\":{}}\n", 0).is_err());
        assert_eq!(told("{\"type\":\"state\",\"value\":1}\n"), Ok(Message::State(24..25)));
    }

    #[test]
    fn a_line_of_level_and_message_is_for_the_log() {
        assert_eq!(told("{\"level\":\"INFO\",\"message\":\"x\"}\n"), Ok(Message::Log));
        assert_eq!(told("{\"level\":1,\"message\":\"x\"}\n"), Err(Doubt));
    }

    #[test]
    fn what_repeats_or_lacks_a_member_is_a_doubt() {
        for line in [
            "{\"type\":\"STATE\",\"value\":1,\"value\":2}\n",
            "{\"type\":\"STATE\",\"type\":\"STATE\",\"value\":2}\n",
            "{\"type\":\"STATE\"}\n",
            "{\"type\":\"RECORD\"}\n",
            "{\"type\":\"BATCH\",\"stream\":\"a\"}\n",
            "{\"type\":\"STATE\",\"value\":1} x\n",
            "{}\n",
        ] {
            assert_eq!(told(line), Err(Doubt), "{line}");
        }
    }
}
