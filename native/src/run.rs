//! A run on its way into columns: its records, field by field.

#![forbid(unsafe_code)]

mod message;

use std::sync::Arc;

use arrow_array::Int64Array;
use arrow_schema::ArrowError;

use crate::columns::Filling;
use crate::decode::{Aside, Decoded, Noted};
use crate::json::{Cursor, Doubt, MAX_DEPTH, Sure, Text};
use crate::layout::{Column, Kind, Object, RecordLayout, Unknown, Use};
use crate::number::Places;
use crate::tape::Tape;
use crate::text::unescape;
use crate::unknown_fields::{UnknownFields, form_of};
use crate::values::Reading;

const MESSAGE_DEPTH: usize = 1;

/// A run while it is read. `prefix` is how lines begin, up to their record, once a line has shown it.
///
/// `followers` has, for each object's start and each of its fields, the field that came next when it was read last.
/// The `tape` reads a text that begins at `text_start` of the piece.
pub struct Run<'a> {
    layout: &'a RecordLayout,
    is_bare: bool,
    data: &'a [u8],
    pub is_utf8: bool,
    columns: Vec<Filling>,
    versions: Filling,
    extracted_at: Filling,
    lines: Vec<i64>,
    prefix: &'a [u8],
    seen: Vec<u64>,
    followers: Vec<usize>,
    unknown: UnknownFields,
    versioned_line: Option<i64>,
    tape: Tape<'a>,
    text_start: usize,
    scratch: Vec<u8>,
}

impl<'a> Run<'a> {
    /// An empty run with room for that many rows. `is_bare` says that lines are records alone.
    pub fn new(layout: &'a RecordLayout, rows: usize, is_bare: bool) -> Self {
        Self {
            layout,
            is_bare,
            data: b"",
            is_utf8: true,
            columns: layout.columns.iter().map(|column| Filling::new(column.kind, rows)).collect(),
            versions: Filling::new(Kind::Int, rows),
            extracted_at: Filling::new(Kind::Timestamptz, rows),
            lines: Vec::with_capacity(rows),
            prefix: b"",
            seen: vec![0; layout.field_count.div_ceil(64)],
            followers: layout.objects.iter().flat_map(|object| 0..=object.fields.len()).collect(),
            unknown: UnknownFields::new(layout.objects.len()),
            versioned_line: None,
            tape: Tape::default(),
            text_start: 0,
            scratch: Vec::new(),
        }
    }

    /// Go on with a piece of lines that end in line feeds.
    pub fn begin(&mut self, data: &'a [u8]) {
        self.data = data;
        let text = simdutf8::basic::from_utf8(data);
        self.is_utf8 = text.is_ok();
        self.take_text(text.unwrap_or_default(), 0);
    }

    /// Have keywords look at records in a text that begins at a place of the piece.
    fn take_text(&mut self, text: &'a str, start: usize) {
        if self.layout.keywords.is_some() {
            self.tape = Tape::new(text);
            self.text_start = start;
        }
    }

    /// Read the line that begins at a place as the next row; gives the place behind its line feed.
    pub fn read_line(&mut self, start: usize, line: i64) -> Sure<usize> {
        self.unknown.begin_row();
        if !self.is_utf8 {
            let end = memchr::memchr(b'\n', &self.data[start..]).ok_or(Doubt)?;
            let text = std::str::from_utf8(&self.data[start..start + end]).map_err(|_| Doubt)?;
            self.take_text(text, start);
        }
        let mut cursor = Cursor::new(self.data, start);
        let has_version =
            if self.is_bare { self.read_bare(&mut cursor)? } else { self.read_message(&mut cursor, start)? };
        cursor.skip_space();
        if cursor.peek() != b'\n' {
            return Err(Doubt);
        }
        self.lines.push(line);
        self.unknown.count_row(line);
        if has_version && !self.layout.is_versioned {
            self.versioned_line.get_or_insert(line);
        }
        Ok(cursor.at() + 1)
    }

    /// Whether the stream has to grow, and no line from here on makes a difference.
    pub fn must_grow(&self) -> bool {
        self.layout.grows_by_version_alone && self.versioned_line.is_some()
    }

    /// Take back what a doubtful line has left.
    pub fn take_back(&mut self) {
        let rows = self.lines.len();
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.versions.truncate(rows);
        self.extracted_at.truncate(rows);
    }

    /// What the run has come to, with the lines that become no rows.
    pub fn finish(self, aside: Aside) -> Result<Decoded, ArrowError> {
        let (mut inexact, mut coerced) = (Vec::new(), Vec::new());
        let odd = noted("time_extracted", &self.extracted_at.coerced, &self.lines).into_iter().collect();
        let mut columns = Vec::with_capacity(self.columns.len() + 3);
        for (filling, column) in self.columns.into_iter().zip(&self.layout.columns) {
            if !filling.inexact.is_empty() {
                let rows: Vec<usize> = filling.inexact.iter().map(|&(row, _)| row).collect();
                let places = Places::most(filling.inexact.iter().map(|&(_, places)| places));
                inexact.extend(noted(&column.name, &rows, &self.lines).map(|found| Noted { places, ..found }));
            }
            coerced.extend(noted(&column.name, &filling.coerced, &self.lines));
            columns.push(filling.finish(column)?);
        }
        columns.push(self.versions.finish(&Column::plain("version", Kind::Int))?);
        columns.push(self.extracted_at.finish(&Column::plain("extracted_at", Kind::Timestamptz))?);
        columns.push(Arc::new(Int64Array::from(self.lines)));
        Ok(Decoded {
            columns,
            doubtful: aside.doubtful,
            refused: aside.refused,
            reasons: aside.reasons.all,
            versioned_line: self.versioned_line,
            unknown: self.unknown.counts(&self.layout.objects),
            new_fields: self.unknown.new_fields(),
            inexact,
            coerced,
            odd,
        })
    }

    fn read_record(&mut self, cursor: &mut Cursor<'a>) -> Sure<()> {
        self.seen.fill(0);
        let start = cursor.at();
        self.read_object(cursor, 0, MESSAGE_DEPTH + 1)?;
        match &self.layout.keywords {
            // Until the stream has grown, nothing is known of a new field.
            Some(keywords) if !self.unknown.is_row_new() => keywords.check(&mut self.tape, start - self.text_start),
            _ => Ok(()),
        }
    }

    /// Take apart an object that is nested that deep.
    fn read_object(&mut self, cursor: &mut Cursor<'a>, number: usize, depth: usize) -> Sure<()> {
        if depth > MAX_DEPTH {
            return Err(Doubt);
        }
        let object: &'a Object = &self.layout.objects[number];
        let start = object.first + number;
        let mut found = 0;
        let mut place = start;
        cursor.expect(b'{')?;
        cursor.skip_space();
        let mut goes_on = !cursor.take_byte(b'}');
        while goes_on {
            let expected = self.followers[place];
            let field = match object.fields.get(expected) {
                Some(field) if cursor.take_token(&field.key) => Some(expected),
                _ => {
                    let name = cursor.string()?;
                    let field = self.find_field(object, name)?;
                    match field {
                        Some(at) => self.followers[place] = at,
                        None => self.read_other(cursor, number, name, depth)?,
                    }
                    field
                }
            };
            if let Some(at) = field {
                self.read_field(cursor, object, at, depth)?;
                place = start + 1 + at;
                found += 1;
            }
            goes_on = cursor.goes_on(b'}')?;
        }
        if found < object.fields.len() { self.note_missing(object) } else { Ok(()) }
    }

    fn find_field(&mut self, object: &Object, name: Text) -> Sure<Option<usize>> {
        if !name.has_escapes {
            return Ok(object.by_name.get(name.raw).copied());
        }
        self.scratch.clear();
        unescape(name.raw, &mut self.scratch)?;
        Ok(object.by_name.get(&self.scratch).copied())
    }

    #[inline]
    fn read_field(&mut self, cursor: &mut Cursor<'a>, object: &'a Object, at: usize, depth: usize) -> Sure<()> {
        cursor.colon()?;
        let (word, mask) = (&mut self.seen[(object.first + at) / 64], 1 << ((object.first + at) % 64));
        if *word & mask != 0 {
            return Err(Doubt);
        }
        *word |= mask;
        let field = &object.fields[at];
        if cursor.take(b"null") {
            if field.refuses_null {
                return Err(Doubt);
            }
            self.push_nulls(field.takes);
            return Ok(());
        }
        match field.takes {
            Use::Column { slot, types } => {
                let is_draft4 = self.layout.is_draft4;
                let reading = Reading { column: &self.layout.columns[slot], types, is_draft4, depth };
                reading.read(cursor, &mut self.columns[slot], self.lines.len(), &mut self.scratch)
            }
            Use::Object(inner) => self.read_object(cursor, inner, depth + 1),
            Use::Nothing => cursor.value(depth).map(|_| ()),
        }
    }

    /// Read a field that the layout doesn't name.
    fn read_other(&mut self, cursor: &mut Cursor, number: usize, name: Text, depth: usize) -> Sure<()> {
        cursor.colon()?;
        let value = cursor.value(depth)?;
        if self.layout.unknown == Unknown::Fail {
            return Err(Doubt);
        }
        let is_growth = self.layout.unknown == Unknown::Evolve && number == 0 && value != b"null";
        let form = if is_growth { Some(form_of(value)?) } else { None };
        self.scratch.clear();
        unescape(name.raw, &mut self.scratch)?;
        self.unknown.see(number, &self.scratch, form)
    }

    fn note_missing(&mut self, object: &'a Object) -> Sure<()> {
        for (at, field) in object.fields.iter().enumerate() {
            let number = object.first + at;
            if self.seen[number / 64] & (1 << (number % 64)) == 0 {
                if field.refuses_missing {
                    return Err(Doubt);
                }
                self.push_nulls(field.takes);
            }
        }
        Ok(())
    }

    fn push_nulls(&mut self, takes: Use) {
        match takes {
            Use::Column { slot, .. } => self.columns[slot].push_null(),
            Use::Object(inner) => {
                let object: &'a Object = &self.layout.objects[inner];
                object.fields.iter().for_each(|field| self.push_nulls(field.takes));
            }
            Use::Nothing => {}
        }
    }
}

/// Rows of which something is told under a name, if there are any.
fn noted(name: &str, rows: &[usize], lines: &[i64]) -> Option<Noted> {
    let first_line = lines[*rows.first()?];
    Some(Noted { name: name.to_owned(), count: rows.len(), first_line, places: Places::default() })
}
