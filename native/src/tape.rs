//! A record as the validator of keywords sees it: its values one behind the other, each with the place behind it.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use serde_json::{Map, Value};

use crate::json::{Cursor, Doubt, Sure};
use crate::numeral::{Numeral, Precision, numeral_of};
use crate::text::unescape;

/// A record that is nested deeper is left to the reference, for the validator follows it by its own stack.
const MAX_DEPTH: usize = 64;

/// Objects of so few members are looked through for names that repeat, and others by a set.
const FEW: usize = 16;

/// Where a text is: in the source, or behind the escapes that were read.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
    has_escapes: bool,
}

/// A value, under its name where it is a member. What is in it follows, up to `end`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Span,
    value: Part,
    end: u32,
}

/// A value without what is in it: of arrays and objects, how many there are.
#[derive(Clone, Copy, Debug)]
enum Part {
    Null,
    Bool(bool),
    Number(Numeral),
    Text(Span),
    Array(u32),
    Object(u32),
}

/// A record. Its texts are in the `source`, but for those with escapes.
#[derive(Default)]
pub struct Tape<'a> {
    source: &'a str,
    unescaped: String,
    entries: Vec<Entry>,
    scratch: Vec<u8>,
}

impl<'a> Tape<'a> {
    /// A tape of values that stand in a source of less than 4 GiB.
    pub fn new(source: &'a str) -> Self {
        Self { source, ..Self::default() }
    }

    /// Read the value that begins at a place of the source. Names that repeat are a doubt, and so are numbers that aren't
    /// held as exactly as asked.
    pub fn read(&mut self, at: usize, precision: Precision) -> Sure<()> {
        self.unescaped.clear();
        self.entries.clear();
        self.read_value(&mut Cursor::new(self.source.as_bytes(), at), Span::default(), precision, MAX_DEPTH)
    }

    fn read_value(&mut self, cursor: &mut Cursor, name: Span, precision: Precision, levels: usize) -> Sure<()> {
        let value = match cursor.peek() {
            b'"' => Part::Text(self.read_text(cursor)?),
            b't' => cursor.word(b"true").map(|()| Part::Bool(true))?,
            b'f' => cursor.word(b"false").map(|()| Part::Bool(false))?,
            b'n' => cursor.word(b"null").map(|()| Part::Null)?,
            b'{' | b'[' => return self.read_inside(cursor, name, precision, levels.checked_sub(1).ok_or(Doubt)?),
            _ => Part::Number(numeral(cursor, precision)?),
        };
        let end = self.entries.len() as u32 + 1;
        self.entries.push(Entry { name, value, end });
        Ok(())
    }

    fn read_inside(&mut self, cursor: &mut Cursor, name: Span, precision: Precision, levels: usize) -> Sure<()> {
        let at = self.entries.len();
        self.entries.push(Entry { name, value: Part::Null, end: 0 });
        let is_object = cursor.peek() == b'{';
        let closing = if is_object { b'}' } else { b']' };
        cursor.advance(1);
        cursor.skip_space();
        let mut count = 0;
        let mut goes_on = !cursor.take_byte(closing);
        while goes_on {
            let mut name = Span::default();
            if is_object {
                name = self.read_text(cursor)?;
                cursor.colon()?;
            }
            self.read_value(cursor, name, precision, levels)?;
            count += 1;
            goes_on = cursor.goes_on(closing)?;
        }
        self.entries[at].end = self.entries.len() as u32;
        self.entries[at].value = if is_object { Part::Object(count) } else { Part::Array(count) };
        // Of the record's own names it is known already.
        if is_object && at > 0 { self.doubt_repeats(at) } else { Ok(()) }
    }

    #[inline]
    fn read_text(&mut self, cursor: &mut Cursor) -> Sure<Span> {
        let start = cursor.at() + 1;
        let text = cursor.string()?;
        if !text.has_escapes {
            return Ok(Span { start: start as u32, end: (start + text.raw.len()) as u32, has_escapes: false });
        }
        let start = self.unescaped.len() as u32;
        self.scratch.clear();
        unescape(text.raw, &mut self.scratch)?;
        self.unescaped.push_str(std::str::from_utf8(&self.scratch).map_err(|_| Doubt)?);
        Ok(Span { start, end: self.unescaped.len() as u32, has_escapes: true })
    }

    fn doubt_repeats(&self, at: usize) -> Sure<()> {
        let members = || Members(Place { tape: self, at: at as u32 }.inside()).map(|(name, _)| name);
        let count = members().count();
        let repeats = if count <= FEW {
            members().enumerate().any(|(number, name)| members().take(number).any(|other| other == name))
        } else {
            members().collect::<HashSet<_>>().len() < count
        };
        if repeats { Err(Doubt) } else { Ok(()) }
    }

    /// The value that was read last.
    pub fn root(&self) -> Place<'_> {
        Place { tape: self, at: 0 }
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        let from = if span.has_escapes { self.unescaped.as_str() } else { self.source };
        &from[span.start as usize..span.end as usize]
    }
}

#[inline]
fn numeral(cursor: &mut Cursor, precision: Precision) -> Sure<Numeral> {
    if !precision.has_fractions
        && let Some(value) = cursor.short_integer()
    {
        return Ok(Numeral::Signed(value));
    }
    numeral_of(cursor.number()?, precision)
}

/// The representation of records for the validator.
pub struct Records;

/// A value of a record.
#[derive(Clone, Copy)]
pub struct Place<'t> {
    tape: &'t Tape<'t>,
    at: u32,
}

impl<'t> Place<'t> {
    #[inline]
    fn entry(&self) -> &'t Entry {
        &self.tape.entries[self.at as usize]
    }

    /// What is in an object or array.
    #[inline]
    fn inside(&self) -> Inside<'t> {
        let left = match self.entry().value {
            Part::Array(count) | Part::Object(count) => count,
            _ => 0,
        };
        Inside { next: Self { tape: self.tape, at: self.at + 1 }, left }
    }
}

impl Json for Records {
    type Node<'a> = Place<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = 8;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Place<'_>) -> T) -> T {
        let mut tape = Tape::new(string);
        let value = Part::Text(Span { start: 0, end: string.len() as u32, has_escapes: false });
        tape.entries.push(Entry { name: Span::default(), value, end: 1 });
        f(tape.root())
    }
}

/// What is in an object or array.
#[derive(Clone)]
pub struct Inside<'t> {
    next: Place<'t>,
    left: u32,
}

impl<'t> Iterator for Inside<'t> {
    type Item = Place<'t>;

    #[inline]
    fn next(&mut self) -> Option<Place<'t>> {
        self.left = self.left.checked_sub(1)?;
        let place = self.next;
        self.next.at = place.entry().end;
        Some(place)
    }
}

/// The members of an object.
pub struct Members<'t>(Inside<'t>);

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Place<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|place| (place.tape.text(place.entry().name), place))
    }
}

impl<'t> Object<'t, Records> for Inside<'t> {
    type Node = Place<'t>;
    type MemberName = &'t str;
    type MembersIter = Members<'t>;

    fn len(&self) -> usize {
        self.left as usize
    }

    fn get(&self, key: &Box<str>) -> Option<Place<'t>> {
        self.members().find(|(name, _)| *name == key.as_ref()).map(|(_, value)| value)
    }

    fn members(&self) -> Members<'t> {
        Members(self.clone())
    }
}

impl<'t> Array<'t, Records> for Inside<'t> {
    type Node = Place<'t>;
    type ElementsIter = Inside<'t>;

    fn len(&self) -> usize {
        self.left as usize
    }

    fn elements(&self) -> Inside<'t> {
        self.clone()
    }
}

impl<'t> Node<'t, Records> for Place<'t> {
    type Object = Inside<'t>;
    type Array = Inside<'t>;
    type Number = Numeral;

    fn as_object(&self) -> Option<Inside<'t>> {
        if let Part::Object(_) = self.entry().value { Some(self.inside()) } else { None }
    }

    fn as_array(&self) -> Option<Inside<'t>> {
        if let Part::Array(_) = self.entry().value { Some(self.inside()) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'t, str>> {
        if let Part::Text(span) = self.entry().value { Some(Cow::Borrowed(self.tape.text(span))) } else { None }
    }

    fn as_number(&self) -> Option<Numeral> {
        if let Part::Number(number) = self.entry().value { Some(number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Part::Bool(value) = self.entry().value { Some(value) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.entry().value, Part::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.entry().value {
            Part::Null => JsonType::Null,
            Part::Bool(_) => JsonType::Boolean,
            Part::Number(_) => JsonType::Number,
            Part::Text(_) => JsonType::String,
            Part::Array(_) => JsonType::Array,
            Part::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'t, Value> {
        Cow::Owned(match self.entry().value {
            Part::Null => Value::Null,
            Part::Bool(value) => Value::Bool(value),
            Part::Number(number) => Value::Number(number.to_number().into_owned()),
            Part::Text(span) => Value::String(self.tape.text(span).to_owned()),
            Part::Array(_) => self.inside().map(|item| item.to_value().into_owned()).collect(),
            Part::Object(_) => Value::Object(
                Object::members(&self.inside())
                    .map(|(name, value)| (name.to_owned(), value.to_value().into_owned()))
                    .collect::<Map<_, _>>(),
            ),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(std::ptr::from_ref(self.tape) as usize, self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tape: &mut Tape) -> Sure<()> {
        tape.read(0, Precision { is_draft4: false, compares: true, has_fractions: true })
    }

    #[test]
    fn a_record_is_the_value_that_it_spells() {
        let text = r#"{ "a" : [1, -2.5, {"\u00e9": "x\ny"}, []], "b": null, "c": {"d": true, "e": false}, "f": "" }"#;
        let mut tape = Tape::new(text);
        for _ in 0..2 {
            read(&mut tape).unwrap();
            assert_eq!(*tape.root().to_value(), serde_json::from_str::<Value>(text).unwrap());
        }
        let members = tape.root().as_object().unwrap();
        assert_eq!((Object::len(&members), members.get(&"z".into()).is_none()), (4, true));
        assert_eq!(members.get(&"f".into()).unwrap().as_string().as_deref(), Some(""));
    }

    #[test]
    fn names_that_repeat_within_a_value_and_deep_nesting_are_doubts() {
        let many: Vec<String> = (0..20).map(|number| format!("\"n{number}\":0")).collect();
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (text, expected) in [
            (r#"{"a":{"b":1,"c":2}}"#.to_owned(), Ok(())),
            (r#"{"a":{"b":1,"b":2}}"#.to_owned(), Err(Doubt)),
            (r#"{"a":{"b":1,"\u0062":2}}"#.to_owned(), Err(Doubt)),
            (format!("{{\"a\":{{{}}}}}", many.join(",")), Ok(())),
            (format!("{{\"a\":{{{},\"n0\":1}}}}", many.join(",")), Err(Doubt)),
            (deep(MAX_DEPTH), Ok(())),
            (deep(MAX_DEPTH + 1), Err(Doubt)),
        ] {
            assert_eq!(read(&mut Tape::new(&text)), expected, "{text}");
        }
    }
}
