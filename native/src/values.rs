//! One value of a record into its column.

#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::columns::{Filling, Values};
use crate::json::{Cursor, Doubt, Sure, Text};
use crate::layout::{Column, Kind, Types};
use crate::number::{decimal_of, float_of, int64_of};
use crate::text::unescape;
use crate::time::{date_days, time_us, timestamp_us};

/// What reads a column's values at one place in the record, whose objects are nested `depth` deep there.
pub struct Reading<'l> {
    pub column: &'l Column,
    pub types: Types,
    pub is_draft4: bool,
    pub depth: usize,
}

impl Reading<'_> {
    /// Read the value, which isn't null, at the cursor as that row's.
    #[inline]
    pub fn read(&self, cursor: &mut Cursor, filling: &mut Filling, row: usize, scratch: &mut Vec<u8>) -> Sure<()> {
        match self.column.kind {
            Kind::Int | Kind::Float | Kind::Decimal => return self.read_number(cursor, filling, row),
            Kind::Bool => self.read_bool(cursor, filling, row)?,
            Kind::Json => self.read_json(cursor, filling, row, scratch)?,
            Kind::Text if self.types.is_string_alone() && cursor.peek() == b'"' => {
                push_text(cursor.string()?, filling)?;
            }
            Kind::Text => self.read_text_of_any(cursor, filling, row)?,
            _ => {
                let text = cursor.string()?;
                let text = if text.has_escapes {
                    scratch.clear();
                    unescape(text.raw, scratch)?;
                    scratch.as_slice()
                } else {
                    text.raw
                };
                self.push_written(text, filling)?;
            }
        }
        filling.count();
        Ok(())
    }

    #[inline]
    fn read_number(&self, cursor: &mut Cursor, filling: &mut Filling, row: usize) -> Sure<()> {
        if cursor.peek() == b'"' {
            let text = cursor.string()?;
            self.coerce_unless(self.types.string, filling, row)?;
            if text.has_escapes {
                return Err(Doubt);
            }
            let mut inside = Cursor::new(text.raw, 0);
            let raw = inside.number()?;
            // Whether `1.0` is an integer is a matter of JSON's own numbers.
            return if raw.len() == text.raw.len() { self.push_number(raw, false, filling, row) } else { Err(Doubt) };
        }
        self.coerce_unless(self.types.has_numbers(), filling, row)?;
        if let Values::Integers(values) = &mut filling.values
            && let Some(value) = cursor.short_integer()
        {
            values.push(value);
            filling.count();
            return Ok(());
        }
        self.push_number(cursor.number()?, self.is_draft4, filling, row)
    }

    #[inline]
    fn push_number(&self, raw: &[u8], is_written_plainly: bool, filling: &mut Filling, row: usize) -> Sure<()> {
        match &mut filling.values {
            Values::Integers(values) => values.push(int64_of(raw, is_written_plainly)?),
            Values::Floats(values) => {
                let (value, lost) = float_of(raw)?;
                values.push(value);
                if let Some(places) = lost {
                    filling.inexact.push((row, places));
                }
            }
            Values::Decimals(values) => {
                values.push(decimal_of(
                    raw,
                    u32::from(self.column.precision),
                    self.column.scale.unsigned_abs().into(),
                )?);
            }
            _ => return Err(Doubt),
        }
        filling.count();
        Ok(())
    }

    /// Note a value that isn't of the schema's types, which only coercion takes.
    #[inline]
    fn coerce_unless(&self, is_allowed: bool, filling: &mut Filling, row: usize) -> Sure<()> {
        if !is_allowed {
            if !self.types.coerces {
                return Err(Doubt);
            }
            filling.coerced.push(row);
        }
        Ok(())
    }

    fn read_bool(&self, cursor: &mut Cursor, filling: &mut Filling, row: usize) -> Sure<()> {
        let (value, is_boolean) = match cursor.peek() {
            b't' => (cursor.word(b"true").map(|()| true)?, true),
            b'f' => (cursor.word(b"false").map(|()| false)?, true),
            _ => (coerced_bool(cursor.value(self.depth)?)?, false),
        };
        self.coerce_unless(is_boolean && self.types.boolean, filling, row)?;
        match &mut filling.values {
            Values::Bools(values) => values.push(value),
            _ => return Err(Doubt),
        }
        Ok(())
    }

    /// JSON stays as it was sent.
    fn read_json(&self, cursor: &mut Cursor, filling: &mut Filling, row: usize, scratch: &mut Vec<u8>) -> Sure<()> {
        let raw = cursor.value(self.depth)?;
        if self.types.is_document && raw.first() == Some(&b'"') {
            scratch.clear();
            unescape(&raw[1..raw.len() - 1], scratch)?;
            let text = scratch.trim_ascii();
            if matches!(text.first(), Some(b'{' | b'[')) {
                let mut inside = Cursor::new(text, 0);
                let document = inside.value(self.depth)?;
                if document.len() != text.len() || !self.allows(document) {
                    return Err(Doubt);
                }
                filling.coerced.push(row);
                return push_bytes(document, filling);
            }
        }
        let is_allowed = self.allows(raw) || (self.types.integer && !self.is_draft4 && is_whole(raw));
        if is_allowed { push_bytes(raw, filling) } else { Err(Doubt) }
    }

    /// A string's text; other values, where a setting made a column of text of their field, as they were sent.
    fn read_text_of_any(&self, cursor: &mut Cursor, filling: &mut Filling, row: usize) -> Sure<()> {
        if cursor.peek() == b'"' {
            self.coerce_unless(self.types.string, filling, row)?;
            return push_text(cursor.string()?, filling);
        }
        let raw = cursor.value(self.depth)?;
        let is_allowed = self.allows(raw);
        if !is_allowed && matches!(raw.first(), Some(b'{' | b'[')) {
            return Err(Doubt);
        }
        self.coerce_unless(is_allowed, filling, row)?;
        push_bytes(raw, filling)
    }

    /// Whether the schema has the JSON type of a value; a number without point and exponent is an integer.
    fn allows(&self, raw: &[u8]) -> bool {
        match raw.first() {
            Some(b'{') => self.types.object,
            Some(b'[') => self.types.array,
            Some(b'"') => self.types.string,
            Some(b't' | b'f') => self.types.boolean,
            Some(b'-' | b'0'..=b'9') => {
                let is_plain = !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
                self.types.number || (is_plain && self.types.integer)
            }
            _ => false,
        }
    }

    #[inline]
    fn push_written(&self, text: &[u8], filling: &mut Filling) -> Sure<()> {
        match (self.column.kind, &mut filling.values) {
            (Kind::Timestamp | Kind::Timestamptz, Values::Integers(values)) => values.push(timestamp_us(text)?),
            (Kind::Time, Values::Integers(values)) => values.push(time_us(text)?),
            (Kind::Date, Values::Days(values)) => values.push(date_days(text)?),
            (Kind::Uuid, Values::Texts { bytes, ends }) => {
                push_uuid(text, bytes)?;
                ends.push(end(bytes)?);
            }
            (Kind::Binary, Values::Texts { bytes, ends }) => {
                if self.column.is_base16 {
                    push_base16(text, bytes)?;
                } else {
                    push_base64(text, bytes)?;
                }
                ends.push(end(bytes)?);
            }
            _ => return Err(Doubt),
        }
        Ok(())
    }
}

#[inline]
fn push_text(text: Text, filling: &mut Filling) -> Sure<()> {
    if !text.has_escapes {
        return push_bytes(text.raw, filling);
    }
    let Values::Texts { bytes, ends } = &mut filling.values else { return Err(Doubt) };
    unescape(text.raw, bytes)?;
    ends.push(end(bytes)?);
    Ok(())
}

#[inline]
fn push_bytes(raw: &[u8], filling: &mut Filling) -> Sure<()> {
    let Values::Texts { bytes, ends } = &mut filling.values else { return Err(Doubt) };
    bytes.extend_from_slice(raw);
    ends.push(end(bytes)?);
    Ok(())
}

#[inline]
fn end(bytes: &[u8]) -> Sure<i32> {
    i32::try_from(bytes.len()).map_err(|_| Doubt)
}

/// The boolean that another value stands for beyond doubt.
fn coerced_bool(raw: &[u8]) -> Sure<bool> {
    match raw {
        b"\"true\"" | b"1" => Ok(true),
        b"\"false\"" | b"0" => Ok(false),
        _ => Err(Doubt),
    }
}

/// A number that has no fraction, however long it is.
fn is_whole(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b'-' | b'0'..=b'9')) && int64_of(raw, false).is_ok()
}

/// A UUID in lower case with hyphens; it may come in upper case, without hyphens, or as a URN.
fn push_uuid(text: &[u8], bytes: &mut Vec<u8>) -> Sure<()> {
    const URN: &[u8] = b"urn:uuid:";
    let text = match text.split_at_checked(URN.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(URN) => rest,
        _ => text,
    };
    let has_hyphens = text.len() == 36;
    if !has_hyphens && text.len() != 32 {
        return Err(Doubt);
    }
    let mut at = 0;
    for (part, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if part > 0 {
            bytes.push(b'-');
            if has_hyphens {
                if text[at] != b'-' {
                    return Err(Doubt);
                }
                at += 1;
            }
        }
        for byte in &text[at..at + length] {
            if !byte.is_ascii_hexdigit() {
                return Err(Doubt);
            }
            bytes.push(byte.to_ascii_lowercase());
        }
        at += length;
    }
    Ok(())
}

/// `0x` or `PostgreSQL`'s `\x` may stand before the digits.
fn push_base16(text: &[u8], bytes: &mut Vec<u8>) -> Sure<()> {
    let text = match text {
        [b'0', b'x' | b'X', rest @ ..] | [b'\\', b'x', rest @ ..] => rest,
        _ => text,
    };
    if !text.len().is_multiple_of(2) {
        return Err(Doubt);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or(Doubt);
    for pair in text.chunks_exact(2) {
        bytes.push(digit(pair[0])? * 16 + digit(pair[1])?);
    }
    Ok(())
}

/// RFC 4648's standard alphabet, padded, nothing left over.
fn push_base64(text: &[u8], bytes: &mut Vec<u8>) -> Sure<()> {
    STANDARD.decode_vec(text, bytes).map_err(|_| Doubt)
}
