//! Fields that a layout doesn't name: how often they were there in rows that are taken, and of what form new ones are.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::json::{Doubt, Sure};
use crate::layout::Object;

/// Integers of more digits aren't looked at: whether they fit into 64 bits is for the reference to say.
const MAX_DIGITS: usize = 36;

/// A field for which a stream has to grow, and the line that had it first. `forms` are a bit for each form that its
/// values had, of `FORMS`.
#[derive(Debug, PartialEq, Eq)]
pub struct NewField {
    pub name: String,
    pub forms: u8,
    pub first_line: i64,
}

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const BIG_INTEGER: u8 = 4;
const NUMBER: u8 = 8;
const STRING: u8 = 16;
const OBJECT: u8 = 32;
const ARRAY: u8 = 64;

/// What a value that isn't null is, as a bit; the Python package has the bits in `decode/growing.py`.
pub fn form_of(raw: &[u8]) -> Sure<u8> {
    let Some(first) = raw.first() else { return Err(Doubt) };
    Ok(match first {
        b't' | b'f' => BOOLEAN,
        b'"' => STRING,
        b'{' => OBJECT,
        b'[' => ARRAY,
        _ if raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => NUMBER,
        _ if raw.len() > MAX_DIGITS => return Err(Doubt),
        _ => match std::str::from_utf8(raw).map(str::parse::<i64>) {
            Ok(Ok(_)) => INTEGER,
            _ => BIG_INTEGER,
        },
    })
}

/// A field of that name in an object of the layout. `last_try` is the last line that had it, and `rank` says which new
/// field it was.
struct Other {
    object: usize,
    name: Vec<u8>,
    count: u64,
    forms: u8,
    first_line: i64,
    rank: usize,
    last_try: u64,
}

/// The fields that a layout doesn't name, in the order in which they were seen first.
pub struct UnknownFields {
    fields: Vec<Other>,
    by_name: Vec<HashMap<Vec<u8>, usize>>,
    in_row: Vec<(usize, Option<u8>)>,
    is_row_new: bool,
    new: usize,
    tries: u64,
}

impl UnknownFields {
    /// None yet, of that many objects.
    pub fn new(objects: usize) -> Self {
        let by_name = vec![HashMap::new(); objects];
        Self { fields: Vec::new(), by_name, in_row: Vec::new(), is_row_new: false, new: 0, tries: 0 }
    }

    /// Begin with a line, whether it becomes a row or not.
    pub fn begin_row(&mut self) {
        self.in_row.clear();
        self.is_row_new = false;
        self.tries += 1;
    }

    /// See a field of an object, which a line may have once; with a form, the stream has to grow by it.
    pub fn see(&mut self, object: usize, name: &[u8], form: Option<u8>) -> Sure<()> {
        let at = match self.by_name[object].get(name) {
            Some(&at) => at,
            None => {
                let (count, forms, first_line, rank, last_try) = (0, 0, 0, 0, 0);
                self.by_name[object].insert(name.to_vec(), self.fields.len());
                self.fields.push(Other { object, name: name.to_vec(), count, forms, first_line, rank, last_try });
                self.fields.len() - 1
            }
        };
        if std::mem::replace(&mut self.fields[at].last_try, self.tries) == self.tries {
            return Err(Doubt);
        }
        self.is_row_new |= form.is_some();
        self.in_row.push((at, form));
        Ok(())
    }

    /// Whether the line has a field for which the stream has to grow.
    pub fn is_row_new(&self) -> bool {
        self.is_row_new
    }

    /// Count the line's fields, for it has become a row.
    pub fn count_row(&mut self, line: i64) {
        for (at, form) in self.in_row.drain(..) {
            let field = &mut self.fields[at];
            match form {
                None => field.count += 1,
                Some(form) => {
                    if field.forms == 0 {
                        (field.first_line, field.rank) = (line, self.new);
                        self.new += 1;
                    }
                    field.forms |= form;
                }
            }
        }
    }

    /// How often the fields were there that were dropped, by their paths.
    pub fn counts(&self, objects: &[Object]) -> Vec<(String, u64)> {
        self.fields
            .iter()
            .filter(|other| other.count > 0)
            .map(|other| {
                let name = String::from_utf8_lossy(&other.name).into_owned();
                ([objects[other.object].path.as_slice(), &[name]].concat().join("."), other.count)
            })
            .collect()
    }

    /// The fields for which the stream has to grow, in the order in which they were there first.
    pub fn new_fields(&self) -> Vec<NewField> {
        let mut found: Vec<_> = self.fields.iter().filter(|other| other.forms > 0).collect();
        found.sort_by_key(|other| other.rank);
        let new = |other: &Other| NewField {
            name: String::from_utf8_lossy(&other.name).into_owned(),
            forms: other.forms,
            first_line: other.first_line,
        };
        found.into_iter().map(new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_integer_says_whether_it_fits_into_64_bits() {
        assert_eq!(form_of(b"9223372036854775807"), Ok(INTEGER));
        assert_eq!(form_of(b"-9223372036854775809"), Ok(BIG_INTEGER));
        assert_eq!(form_of(b"1e3"), Ok(NUMBER));
        assert_eq!(form_of("9".repeat(40).as_bytes()), Err(Doubt));
    }

    #[test]
    fn a_line_that_is_no_row_makes_no_field_new() {
        let mut unknown = UnknownFields::new(1);
        unknown.begin_row();
        unknown.see(0, b"a", Some(STRING)).unwrap();
        unknown.begin_row();
        unknown.see(0, b"b", Some(INTEGER)).unwrap();
        unknown.see(0, b"a", Some(INTEGER)).unwrap();
        assert_eq!(unknown.see(0, b"a", None), Err(Doubt));
        assert_eq!(unknown.new_fields(), []);
        unknown.count_row(7);
        let new = |name: &str| NewField { name: name.to_owned(), forms: INTEGER, first_line: 7 };
        assert_eq!(unknown.new_fields(), [new("b"), new("a")]);
    }
}
