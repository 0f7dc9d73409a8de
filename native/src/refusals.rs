//! Why a record is refused, where that is certain: every violation, in the words and the order of the reference.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use crate::columns::Filling;
use crate::envelope::record_type;
use crate::json::{Cursor, Doubt, Sure, Text};
use crate::layout::{Field, Object, RecordLayout, Unknown, Use};
use crate::number::int64_of;
use crate::text::unescape;
use crate::unfit::unfit;
use crate::values::Reading;

/// The characters of a value that a violation shows, and the bytes that these may take.
const MAX_SHOWN: usize = 80;
const MAX_SHOWN_BYTES: usize = 4 * MAX_SHOWN;
const MESSAGE_DEPTH: usize = 1;

/// One way in which a record breaks its schema, as the Python package's class of that name has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Violation {
    pub code: &'static str,
    pub path: String,
    pub expected: Cow<'static, str>,
    pub got: String,
}

/// A member of an object, or the last of several with that name; `is_field` says that the layout names it.
struct Member<'a> {
    name: Cow<'a, [u8]>,
    is_field: bool,
    raw: &'a [u8],
    is_again: bool,
}

/// The members of an object, each name once, in the order in which these are there first; `of_fields` are the places
/// of those that are fields.
struct Members<'a> {
    all: Vec<Member<'a>>,
    of_fields: Vec<Option<usize>>,
}

/// Judges lines that aren't taken. `columns` is space to try values in.
pub struct Judge<'l> {
    layout: &'l RecordLayout,
    columns: Vec<Filling>,
    scratch: Vec<u8>,
    violations: Vec<Violation>,
}

impl<'l> Judge<'l> {
    pub fn new(layout: &'l RecordLayout) -> Self {
        let columns = layout.columns.iter().map(|column| Filling::new(column.kind, 1)).collect();
        Self { layout, columns, scratch: Vec::new(), violations: Vec::new() }
    }

    /// Every violation of a line of UTF-8, of which there is one at least; or a doubt. `is_bare` says that it is a record
    /// alone.
    pub fn violations(&mut self, line: &[u8], is_bare: bool) -> Sure<&[Violation]> {
        self.violations.clear();
        if self.layout.keywords.is_some() {
            return Err(Doubt);
        }
        let record = if is_bare { self.bare(line)? } else { self.record_of(line)? };
        self.judge_members(&record, 0, MESSAGE_DEPTH + 1)?;
        if self.violations.is_empty() { Err(Doubt) } else { Ok(&self.violations) }
    }

    /// The record that a line is, which is JSON then, and not too deep.
    fn bare<'a>(&self, line: &'a [u8]) -> Sure<Members<'a>> {
        let mut cursor = Cursor::new(line, 0);
        let record = members_of(&mut cursor, &self.layout.objects[0], MESSAGE_DEPTH + 1)?;
        if cursor.is_at_end() { Ok(record) } else { Err(Doubt) }
    }

    /// The record of a message in which all else is as it must be; the whole line is JSON then, and not too deep.
    fn record_of<'a>(&self, line: &'a [u8]) -> Sure<Members<'a>> {
        let mut cursor = Cursor::new(line, 0);
        let (mut seen, mut record): (Vec<&[u8]>, _) = (Vec::with_capacity(4), None);
        cursor.skip_space();
        cursor.expect(b'{')?;
        cursor.skip_space();
        loop {
            let name = cursor.string()?;
            cursor.colon()?;
            if name.has_escapes || seen.contains(&name.raw) {
                return Err(Doubt);
            }
            seen.push(name.raw);
            match name.raw {
                b"type" => record_type(&mut cursor)?,
                b"stream" => {
                    let name = cursor.string()?;
                    if unescaped(name)?.as_ref() != self.layout.stream.as_bytes() {
                        return Err(Doubt);
                    }
                }
                b"record" => record = Some(members_of(&mut cursor, &self.layout.objects[0], MESSAGE_DEPTH + 1)?),
                b"version" if cursor.take(b"null") => {}
                b"version" => int64_of(cursor.number()?, true).map(|_| ())?,
                _ => cursor.value(MESSAGE_DEPTH).map(|_| ())?,
            }
            if !cursor.goes_on(b'}')? {
                break;
            }
        }
        cursor.skip_space();
        if !cursor.is_at_end() || !seen.contains(&b"type".as_slice()) || !seen.contains(&b"stream".as_slice()) {
            return Err(Doubt);
        }
        record.ok_or(Doubt)
    }

    /// Judge an object that is taken apart: names that repeat, its fields in the order of the layout, and other fields.
    fn judge_members(&mut self, members: &Members, number: usize, depth: usize) -> Sure<()> {
        let object: &'l Object = &self.layout.objects[number];
        for member in members.all.iter().filter(|member| member.is_again) {
            let got = ["'", plain(&member.name)?, "' again"].concat();
            self.add("duplicate_key", path_of(object, &member.name)?, "each field once", got);
        }
        for (field, place) in object.fields.iter().zip(&members.of_fields) {
            match place.map(|at| members.all[at].raw) {
                None => self.judge_missing(field)?,
                Some(b"null") => self.judge_null(field)?,
                Some(raw) => self.judge_value(field, raw, depth)?,
            }
        }
        if self.layout.unknown == Unknown::Fail {
            for member in members.all.iter().filter(|member| !member.is_field) {
                let path = path_of(object, &member.name)?;
                self.add("unknown_field", path, "a field of the schema", shown(member.raw));
            }
        }
        Ok(())
    }

    fn judge_missing(&mut self, field: &Field) -> Sure<()> {
        if !field.refuses_missing {
            return Ok(());
        }
        match field.takes {
            Use::Column { .. } if field.is_key => self.add_key(field, "nothing"),
            Use::Column { .. } => self.add("missing", field.path.clone(), "a required field", "nothing".to_owned()),
            Use::Object(_) if field.is_key => return Err(Doubt),
            _ => self.add("missing", field.path.clone(), "an object", "nothing".to_owned()),
        }
        Ok(())
    }

    fn judge_null(&mut self, field: &Field) -> Sure<()> {
        if !field.refuses_null {
            return Ok(());
        }
        match field.takes {
            Use::Column { .. } if field.is_key => self.add_key(field, "null"),
            Use::Column { .. } => self.add("null", field.path.clone(), "a value", "null".to_owned()),
            Use::Object(_) if field.is_key => return Err(Doubt),
            _ => self.add("null", field.path.clone(), "an object", "null".to_owned()),
        }
        Ok(())
    }

    fn add_key(&mut self, field: &Field, got: &str) {
        self.add("key", field.path.clone(), "a value, for it is of the key", got.to_owned());
    }

    fn judge_value(&mut self, field: &Field, raw: &[u8], depth: usize) -> Sure<()> {
        match field.takes {
            Use::Nothing => Ok(()),
            Use::Object(inner) if raw.first() == Some(&b'{') => {
                let members = members_of(&mut Cursor::new(raw, 0), &self.layout.objects[inner], depth + 1)?;
                self.judge_members(&members, inner, depth + 1)
            }
            Use::Object(_) if field.refuses_unfit => {
                self.add("type", field.path.clone(), "an object", shown(raw));
                Ok(())
            }
            Use::Object(_) => Err(Doubt),
            Use::Column { slot, types } => {
                let column = &self.layout.columns[slot];
                let reading = Reading { column, types, is_draft4: self.layout.is_draft4, depth };
                let mut cursor = Cursor::new(raw, 0);
                let filling = &mut self.columns[slot];
                let is_taken = reading.read(&mut cursor, filling, 0, &mut self.scratch).is_ok();
                filling.truncate(0);
                if is_taken {
                    return if cursor.is_at_end() { Ok(()) } else { Err(Doubt) };
                }
                if !field.refuses_unfit {
                    return Err(Doubt);
                }
                let (code, expected) = unfit(&reading, raw)?;
                self.add(code, field.path.clone(), expected, shown(raw));
                Ok(())
            }
        }
    }

    fn add(&mut self, code: &'static str, path: String, expected: impl Into<Cow<'static, str>>, got: String) {
        self.violations.push(Violation { code, path, expected: expected.into(), got });
    }
}

/// A name as it stands for.
#[inline]
fn unescaped(name: Text<'_>) -> Sure<Cow<'_, [u8]>> {
    if !name.has_escapes {
        return Ok(Cow::Borrowed(name.raw));
    }
    let mut unescaped = Vec::with_capacity(name.raw.len());
    unescape(name.raw, &mut unescaped)?;
    Ok(Cow::Owned(unescaped))
}

/// Take an object apart.
fn members_of<'a>(cursor: &mut Cursor<'a>, object: &Object, depth: usize) -> Sure<Members<'a>> {
    let mut members: Vec<Member<'a>> = Vec::with_capacity(object.fields.len() + 1);
    let mut of_fields = vec![None; object.fields.len()];
    let mut others: HashMap<Cow<'a, [u8]>, usize> = HashMap::new();
    cursor.expect(b'{')?;
    cursor.skip_space();
    let mut goes_on = !cursor.take_byte(b'}');
    let mut expected = 0;
    while goes_on {
        let text = cursor.string()?;
        let name = unescaped(text)?;
        cursor.colon()?;
        let raw = cursor.value(depth)?;
        // A name without escapes is no key that has some.
        let field = match object.fields.get(expected) {
            Some(next) if !text.has_escapes && next.key.text[1..next.key.text.len() - 1] == *text.raw => Some(expected),
            _ => object.by_name.get(name.as_ref()).copied(),
        };
        expected = field.map_or(expected, |at| at + 1);
        let next = members.len();
        let place = match field {
            Some(at) => *of_fields[at].get_or_insert(next),
            None => *others.entry(name.clone()).or_insert(next),
        };
        if place < next {
            members[place].raw = raw;
            members[place].is_again = true;
        } else {
            members.push(Member { name, is_field: field.is_some(), raw, is_again: false });
        }
        goes_on = cursor.goes_on(b'}')?;
    }
    Ok(Members { all: members, of_fields })
}

/// A name that Python writes as it is, in single quotes.
fn plain(name: &[u8]) -> Sure<&str> {
    let is_plain = name.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\'));
    if is_plain { std::str::from_utf8(name).map_err(|_| Doubt) } else { Err(Doubt) }
}

/// The path of a field in an object; of other names only those are certain that stand there as they are.
fn path_of(object: &Object, name: &[u8]) -> Sure<String> {
    if let Some(&at) = object.by_name.get(name) {
        return Ok(object.fields[at].path.clone());
    }
    let is_start = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
    let is_plain = name.first().is_some_and(is_start)
        && name.iter().all(|byte| is_start(byte) || byte.is_ascii_digit() || *byte == b'-');
    if !is_plain {
        return Err(Doubt);
    }
    Ok(format!("{}.{}", object.path_text, plain(name)?))
}

/// The beginning of what was sent.
fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(MAX_SHOWN_BYTES)]);
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.into_owned(),
        Some(_) => text.chars().take(MAX_SHOWN - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_value_ends_after_80_characters() {
        assert_eq!(shown("é".repeat(80).as_bytes()), "é".repeat(80));
        assert_eq!(shown("é".repeat(81).as_bytes()), "é".repeat(79) + "…");
        assert_eq!(shown("😀".repeat(90).as_bytes()), "😀".repeat(80));
        assert_eq!(shown(("x".to_owned() + &"😀".repeat(90)).as_bytes()), "x".to_owned() + &"😀".repeat(78) + "…");
    }
}
