//! Why a value doesn't fit its column, where that is certain: the violation's code, and what was expected.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::json::{Cursor, Doubt, Sure};
use crate::layout::{Kind, Types};
use crate::values::Reading;

type Unfit = (&'static str, Cow<'static, str>);

const AN_INTEGER: &str = "an integer";
const A_STRING: &str = "a string";
const A_DATE: &str = "a date (YYYY-MM-DD)";
const A_TIME: &str = "a time (hh:mm:ss)";
const A_TIMESTAMP: &str = "a date-time (RFC 3339)";

/// Why a value of JSON, which isn't null and which `reading` didn't take, doesn't fit.
pub fn unfit(reading: &Reading, raw: &[u8]) -> Sure<Unfit> {
    let types = reading.types;
    match reading.column.kind {
        Kind::Int | Kind::Float | Kind::Decimal => number(reading, raw),
        Kind::Bool => Ok(type_of("a boolean")),
        Kind::Json => json(reading, raw),
        Kind::Text if raw.first() == Some(&b'"') && (types.string || types.coerces) => Err(Doubt),
        Kind::Text if types.is_string_alone() => Ok(type_of(A_STRING)),
        Kind::Text => Ok(("type", any_of(types))),
        kind => match string(raw) {
            None => Ok(type_of(A_STRING)),
            Some(text) => written(kind, text?, reading.column.is_base16),
        },
    }
}

fn type_of(expected: &'static str) -> Unfit {
    ("type", expected.into())
}

fn format_of(expected: impl Into<Cow<'static, str>>) -> Unfit {
    ("format", expected.into())
}

/// What stands in a string; in doubt with escapes. None for what is no string.
fn string(raw: &[u8]) -> Option<Sure<&[u8]>> {
    let text = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(if text.contains(&b'\\') { Err(Doubt) } else { Ok(text) })
}

fn number(reading: &Reading, raw: &[u8]) -> Sure<Unfit> {
    let types = reading.types;
    let of_type = match reading.column.kind {
        _ if !types.has_numbers() && types.string => "a number in a string",
        _ if !types.has_numbers() => "nothing but null",
        Kind::Int => AN_INTEGER,
        _ => "a number",
    };
    if let Some(text) = string(raw) {
        let text = text?;
        let is_number = Cursor::new(text, 0).number().is_ok_and(|number| number.len() == text.len());
        return match (is_number, types.string) {
            (false, true) => Ok(format_of("a number in a string")),
            (true, true) => Err(Doubt),
            (true, false) if types.coerces => Err(Doubt),
            _ => Ok(type_of(of_type)),
        };
    }
    let is_number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    if !is_number || (!types.has_numbers() && !types.coerces) {
        return Ok(type_of(of_type));
    }
    if !types.has_numbers() {
        return Err(Doubt);
    }
    let (precision, scale) = (reading.column.precision, reading.column.scale);
    match reading.column.kind {
        Kind::Decimal => Ok(("range", format!("a number that DECIMAL({precision},{scale}) holds").into())),
        Kind::Int if is_plain_integer(raw) => Ok(("range", "an integer of 64 bits".into())),
        Kind::Int if has_fraction(raw) => Ok(type_of(AN_INTEGER)),
        _ => Err(Doubt),
    }
}

fn is_plain_integer(raw: &[u8]) -> bool {
    raw.strip_prefix(b"-").unwrap_or(raw).iter().all(u8::is_ascii_digit)
}

/// Whether a number without an exponent isn't whole.
fn has_fraction(raw: &[u8]) -> bool {
    let Some(point) = memchr::memchr(b'.', raw) else { return false };
    let fraction = &raw[point + 1..];
    fraction.iter().all(u8::is_ascii_digit) && fraction.iter().any(|&digit| digit != b'0')
}

fn json(reading: &Reading, raw: &[u8]) -> Sure<Unfit> {
    let types = reading.types;
    let is_number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    if is_number && types.integer && !has_fraction(raw) {
        return Err(Doubt);
    }
    if types.is_document
        && let Some(text) = string(raw)
        && matches!(text?.trim_ascii_start().first(), Some(b'{' | b'['))
    {
        return Err(Doubt);
    }
    Ok(("type", any_of(types)))
}

fn any_of(types: Types) -> Cow<'static, str> {
    let names = [
        (types.array, "an array"),
        (types.boolean, "a boolean"),
        (types.integer, AN_INTEGER),
        (types.number, "a number"),
        (types.object, "an object"),
        (types.string, A_STRING),
    ];
    let names: Vec<&str> = names.into_iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, name)| name).collect();
    if names.is_empty() { "nothing but null".into() } else { names.join(" or ").into() }
}

/// Text that isn't what its column reads.
fn written(kind: Kind, text: &[u8], is_base16: bool) -> Sure<Unfit> {
    match kind {
        Kind::Uuid if text.is_ascii() => Ok(format_of("a UUID")),
        Kind::Binary if is_base16 => Ok(format_of("base16")),
        Kind::Binary => Ok(format_of("base64")),
        Kind::Time if !matches!(text.first(), Some(b'T' | b't' | b'0'..=b'9')) => Ok(format_of(A_TIME)),
        Kind::Date => dated(text, A_DATE),
        Kind::Timestamp | Kind::Timestamptz => dated(text, A_TIMESTAMP),
        _ => Err(Doubt),
    }
}

/// Why text begins with no date.
fn dated(text: &[u8], expected: &'static str) -> Sure<Unfit> {
    if matches!(text.first(), Some(b'+' | b'-')) {
        return Err(Doubt);
    }
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_other_form = digits < 4 || (digits == 4 && text.get(4) != Some(&b'-'));
    let is_number = digits == text.len() && digits != 8;
    if is_other_form || is_number {
        return Ok(format_of(expected));
    }
    let is_date = text.len() == 10
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() });
    if is_date && !text.starts_with(b"0000") {
        return Ok(format_of(format!("{expected} that is in the calendar")));
    }
    Err(Doubt)
}
