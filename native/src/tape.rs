//! A record as the validator of keywords sees it: its values one behind the other, each with the place behind it.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use serde_json::{Map, Number, Value};

use crate::json::{Cursor, Doubt, Sure, Text};
use crate::numeral::{Numeral, Precision, numeral_of};
use crate::text::unescape;

/// A record that is nested deeper is left to the reference, for the validator follows it by its own stack.
const MAX_DEPTH: usize = 64;

/// Objects of so few members are looked through for names that repeat, and others by a set.
const FEW: usize = 16;

/// A value, under its name where it is a member. What is in it follows, up to `end`.
#[derive(Debug)]
pub struct Entry<'a> {
    name: Cow<'a, str>,
    value: Part<'a>,
    end: usize,
}

/// A value without what is in it: of arrays and objects, how many there are.
#[derive(Debug)]
enum Part<'a> {
    Null,
    Bool(bool),
    Number(Numeral),
    Text(Cow<'a, str>),
    Array(usize),
    Object(usize),
}

/// Read a value into entries, of which there are none yet. Names that repeat are a doubt, and so are numbers that
/// aren't held as exactly as asked.
pub fn read<'a>(cursor: &mut Cursor<'a>, entries: &mut Vec<Entry<'a>>, precision: Precision) -> Sure<()> {
    read_value(cursor, Cow::Borrowed(""), entries, precision, MAX_DEPTH)
}

fn read_value<'a>(
    cursor: &mut Cursor<'a>,
    name: Cow<'a, str>,
    entries: &mut Vec<Entry<'a>>,
    precision: Precision,
    levels: usize,
) -> Sure<()> {
    let at = entries.len();
    entries.push(Entry { name, value: Part::Null, end: at + 1 });
    entries[at].value = match cursor.peek() {
        b'"' => Part::Text(text_of(cursor.string()?)?),
        b't' => cursor.word(b"true").map(|()| Part::Bool(true))?,
        b'f' => cursor.word(b"false").map(|()| Part::Bool(false))?,
        b'n' => cursor.word(b"null").map(|()| Part::Null)?,
        open @ (b'{' | b'[') => {
            let levels = levels.checked_sub(1).ok_or(Doubt)?;
            cursor.advance(1);
            cursor.skip_space();
            let is_object = open == b'{';
            let closing = if is_object { b'}' } else { b']' };
            let mut count = 0;
            let mut goes_on = !cursor.take_byte(closing);
            while goes_on {
                let name = if is_object { text_of(cursor.string()?)? } else { Cow::Borrowed("") };
                if is_object {
                    cursor.colon()?;
                }
                read_value(cursor, name, entries, precision, levels)?;
                count += 1;
                goes_on = cursor.goes_on(closing)?;
            }
            entries[at].end = entries.len();
            if is_object {
                doubt_repeats(&entries[at + 1..], at + 1, count)?;
                Part::Object(count)
            } else {
                Part::Array(count)
            }
        }
        _ => Part::Number(numeral_of(cursor.number()?, precision)?),
    };
    Ok(())
}

fn text_of(text: Text<'_>) -> Sure<Cow<'_, str>> {
    if !text.has_escapes {
        return std::str::from_utf8(text.raw).map(Cow::Borrowed).map_err(|_| Doubt);
    }
    let mut unescaped = Vec::with_capacity(text.raw.len());
    unescape(text.raw, &mut unescaped)?;
    String::from_utf8(unescaped).map(Cow::Owned).map_err(|_| Doubt)
}

/// Doubt an object in which a name repeats; `entries` begin with its first member, which is at that place of them all.
fn doubt_repeats(entries: &[Entry], first: usize, count: usize) -> Sure<()> {
    let names = || Siblings { entries, offset: first, at: 0, left: count }.map(|(_, entry)| entry.name.as_ref());
    let repeats = if count <= FEW {
        names().enumerate().any(|(number, name)| names().take(number).any(|other| other == name))
    } else {
        names().collect::<HashSet<_>>().len() < count
    };
    if repeats { Err(Doubt) } else { Ok(()) }
}

/// The members or items that begin at a place of the entries, which themselves begin at `offset` of all.
#[derive(Clone)]
pub struct Siblings<'t> {
    entries: &'t [Entry<'t>],
    offset: usize,
    at: usize,
    left: usize,
}

impl<'t> Iterator for Siblings<'t> {
    type Item = (usize, &'t Entry<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        let entry = &self.entries[at];
        self.at = entry.end - self.offset;
        Some((at, entry))
    }
}

/// The representation of records for the validator.
pub struct Records;

/// A value of a record.
#[derive(Clone, Copy)]
pub struct Place<'t> {
    entries: &'t [Entry<'t>],
    at: usize,
}

impl<'t> Place<'t> {
    /// The value that was read into the entries.
    pub fn root(entries: &'t [Entry<'t>]) -> Self {
        Self { entries, at: 0 }
    }

    fn part(&self) -> &'t Part<'t> {
        &self.entries[self.at].value
    }

    fn inside(&self, count: usize) -> Inside<'t> {
        Inside(Siblings { entries: self.entries, offset: 0, at: self.at + 1, left: count })
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
        f(Place::root(&[Entry { name: Cow::Borrowed(""), value: Part::Text(Cow::Borrowed(string)), end: 1 }]))
    }
}

/// What is in an object or array.
pub struct Inside<'t>(Siblings<'t>);

impl<'t> Iterator for Inside<'t> {
    type Item = Place<'t>;

    fn next(&mut self) -> Option<Place<'t>> {
        let entries = self.0.entries;
        self.0.next().map(|(at, _)| Place { entries, at })
    }
}

/// The members of an object.
pub struct Members<'t>(Siblings<'t>);

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Place<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entries = self.0.entries;
        self.0.next().map(|(at, entry)| (entry.name.as_ref(), Place { entries, at }))
    }
}

impl<'t> Object<'t, Records> for Inside<'t> {
    type Node = Place<'t>;
    type MemberName = &'t str;
    type MembersIter = Members<'t>;

    fn len(&self) -> usize {
        self.0.left
    }

    fn get(&self, key: &Box<str>) -> Option<Place<'t>> {
        self.members().find(|(name, _)| *name == key.as_ref()).map(|(_, value)| value)
    }

    fn members(&self) -> Members<'t> {
        Members(self.0.clone())
    }
}

impl<'t> Array<'t, Records> for Inside<'t> {
    type Node = Place<'t>;
    type ElementsIter = Inside<'t>;

    fn len(&self) -> usize {
        self.0.left
    }

    fn elements(&self) -> Inside<'t> {
        Inside(self.0.clone())
    }
}

impl<'t> Node<'t, Records> for Place<'t> {
    type Object = Inside<'t>;
    type Array = Inside<'t>;
    type Number = Numeral;

    fn as_object(&self) -> Option<Inside<'t>> {
        if let Part::Object(count) = *self.part() { Some(self.inside(count)) } else { None }
    }

    fn as_array(&self) -> Option<Inside<'t>> {
        if let Part::Array(count) = *self.part() { Some(self.inside(count)) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'t, str>> {
        if let Part::Text(text) = self.part() { Some(Cow::Borrowed(text.as_ref())) } else { None }
    }

    fn as_number(&self) -> Option<Numeral> {
        if let Part::Number(number) = *self.part() { Some(number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Part::Bool(value) = *self.part() { Some(value) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.part(), Part::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.part() {
            Part::Null => JsonType::Null,
            Part::Bool(_) => JsonType::Boolean,
            Part::Number(_) => JsonType::Number,
            Part::Text(_) => JsonType::String,
            Part::Array(_) => JsonType::Array,
            Part::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'t, Value> {
        Cow::Owned(match self.part() {
            Part::Null => Value::Null,
            Part::Bool(value) => Value::Bool(*value),
            Part::Number(number) => Value::Number(number.to_number().into_owned()),
            Part::Text(text) => Value::String(text.as_ref().to_owned()),
            Part::Array(count) => self.inside(*count).map(|item| item.to_value().into_owned()).collect(),
            Part::Object(count) => Value::Object(
                Object::members(&self.inside(*count))
                    .map(|(name, value)| (name.to_owned(), value.to_value().into_owned()))
                    .collect::<Map<_, _>>(),
            ),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(self.entries.as_ptr() as usize, self.at as u32))
    }
}

impl JsonNumber for Numeral {
    fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Float(_) => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Signed(value) => Some(value),
            Self::Float(_) => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        Some(match *self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        })
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(match *self {
            Self::Unsigned(value) => value.into(),
            Self::Signed(value) => value.into(),
            // Floats are finite, so that there is always a number.
            Self::Float(value) => Number::from_f64(value).unwrap_or_else(|| 0.into()),
        })
    }

    fn is_integer(&self) -> bool {
        !matches!(self, Self::Float(value) if value.fract() != 0.0)
    }

    fn is_written_as_integer(&self) -> bool {
        !matches!(self, Self::Float(_))
    }
}
