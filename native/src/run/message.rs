//! What stands around records: the members of a message, each there once at most.

#![forbid(unsafe_code)]

use super::{MESSAGE_DEPTH, Run};
use crate::envelope::record_type;
use crate::json::{Cursor, Doubt, Sure};
use crate::number::int64_of;
use crate::text::unescape;
use crate::time::{cut_timestamp_us, timestamp_us};

/// The most names that a message may have beside its own before it is left to the reference.
const MAX_OTHER_NAMES: usize = 8;

/// The members of a message that have been there.
#[derive(Default)]
struct Members<'a> {
    kind: bool,
    stream: bool,
    record: bool,
    version: bool,
    has_version: bool,
    extracted_at: bool,
    others: Vec<&'a [u8]>,
}

impl<'a> Run<'a> {
    /// Read a record alone, which has no version.
    pub(super) fn read_bare(&mut self, cursor: &mut Cursor<'a>) -> Sure<bool> {
        self.read_record(cursor)?;
        self.versions.push_null();
        self.extracted_at.push_null();
        Ok(false)
    }

    /// Read a message; gives whether it has a version.
    pub(super) fn read_message(&mut self, cursor: &mut Cursor<'a>, start: usize) -> Sure<bool> {
        let mut seen = Members::default();
        let mut goes_on = true;
        if !self.prefix.is_empty() && cursor.take(self.prefix) {
            (seen.kind, seen.stream, seen.record) = (true, true, true);
            cursor.skip_space();
            self.read_record(cursor)?;
            goes_on = cursor.goes_on(b'}')?;
        } else {
            cursor.skip_space();
            cursor.expect(b'{')?;
            cursor.skip_space();
        }
        while goes_on {
            self.read_member(cursor, &mut seen, start)?;
            goes_on = cursor.goes_on(b'}')?;
        }
        if !(seen.kind && seen.stream && seen.record) {
            return Err(Doubt);
        }
        if !seen.version {
            self.versions.push_null();
        }
        if !seen.extracted_at {
            self.extracted_at.push_null();
        }
        Ok(seen.has_version)
    }

    fn read_member(&mut self, cursor: &mut Cursor<'a>, seen: &mut Members<'a>, start: usize) -> Sure<()> {
        let name = cursor.string()?;
        cursor.colon()?;
        if name.has_escapes {
            return Err(Doubt);
        }
        match name.raw {
            b"type" => {
                once(&mut seen.kind)?;
                record_type(cursor)
            }
            b"stream" => {
                once(&mut seen.stream)?;
                self.read_stream(cursor)
            }
            b"record" => {
                once(&mut seen.record)?;
                if seen.kind && seen.stream && !seen.version && !seen.extracted_at && seen.others.is_empty() {
                    self.prefix = cursor.since(start);
                }
                self.read_record(cursor)
            }
            b"version" => {
                once(&mut seen.version)?;
                seen.has_version = self.read_version(cursor)?;
                Ok(())
            }
            b"time_extracted" => {
                once(&mut seen.extracted_at)?;
                self.read_extracted_at(cursor)
            }
            other => {
                if seen.others.len() >= MAX_OTHER_NAMES || seen.others.contains(&other) {
                    return Err(Doubt);
                }
                seen.others.push(other);
                cursor.value(MESSAGE_DEPTH).map(|_| ())
            }
        }
    }

    fn read_stream(&mut self, cursor: &mut Cursor) -> Sure<()> {
        let name = cursor.string()?;
        self.scratch.clear();
        unescape(name.raw, &mut self.scratch)?;
        if self.scratch == self.layout.stream.as_bytes() { Ok(()) } else { Err(Doubt) }
    }

    fn read_version(&mut self, cursor: &mut Cursor) -> Sure<bool> {
        let has_version = !cursor.take(b"null");
        if has_version {
            let version = match cursor.short_integer() {
                Some(version) => version,
                None => int64_of(cursor.number()?, true)?,
            };
            self.versions.push_integer(version);
        } else {
            self.versions.push_null();
        }
        Ok(has_version)
    }

    fn read_extracted_at(&mut self, cursor: &mut Cursor) -> Sure<()> {
        if !self.layout.reads_extracted_at {
            cursor.value(MESSAGE_DEPTH)?;
            self.extracted_at.push_null();
        } else if cursor.take(b"null") {
            self.extracted_at.push_null();
        } else {
            self.push_extracted_at(cursor)?;
        }
        Ok(())
    }

    /// What isn't a date-time is none, and finer digits than microseconds are cut: the record is good nonetheless.
    fn push_extracted_at(&mut self, cursor: &mut Cursor) -> Sure<()> {
        if cursor.peek() == b'"' {
            let text = cursor.string()?;
            if text.has_escapes {
                return Err(Doubt);
            }
            if let Ok(us) = timestamp_us(text.raw) {
                self.extracted_at.push_integer(us);
                return Ok(());
            }
            self.extracted_at.push_integer(cut_timestamp_us(text.raw)?);
        } else {
            cursor.value(MESSAGE_DEPTH)?;
            self.extracted_at.push_null();
        }
        self.extracted_at.coerced.push(self.lines.len());
        Ok(())
    }
}

/// Note that a member is there, which it may be once.
fn once(seen: &mut bool) -> Sure<()> {
    if std::mem::replace(seen, true) { Err(Doubt) } else { Ok(()) }
}
