//! Fields that a layout doesn't name: how often they were there, in rows that are taken.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::json::{Doubt, Sure};
use crate::layout::Object;

/// A field of that name in an object of the layout. `last_try` is the last line that had it.
struct Other {
    object: usize,
    name: Vec<u8>,
    count: u64,
    last_try: u64,
}

/// The fields that a layout doesn't name, in the order in which they were seen first.
pub struct UnknownFields {
    fields: Vec<Other>,
    by_name: Vec<HashMap<Vec<u8>, usize>>,
    in_row: Vec<usize>,
    tries: u64,
}

impl UnknownFields {
    /// None yet, of that many objects.
    pub fn new(objects: usize) -> Self {
        Self { fields: Vec::new(), by_name: vec![HashMap::new(); objects], in_row: Vec::new(), tries: 0 }
    }

    /// Begin with a line, whether it becomes a row or not.
    pub fn begin_row(&mut self) {
        self.in_row.clear();
        self.tries += 1;
    }

    /// See a field of an object, which a line may have once.
    pub fn see(&mut self, object: usize, name: &[u8]) -> Sure<()> {
        let at = match self.by_name[object].get(name) {
            Some(&at) => at,
            None => {
                self.by_name[object].insert(name.to_vec(), self.fields.len());
                self.fields.push(Other { object, name: name.to_vec(), count: 0, last_try: 0 });
                self.fields.len() - 1
            }
        };
        if std::mem::replace(&mut self.fields[at].last_try, self.tries) == self.tries {
            return Err(Doubt);
        }
        self.in_row.push(at);
        Ok(())
    }

    /// Count the line's fields, for it has become a row.
    pub fn count_row(&mut self) {
        for at in self.in_row.drain(..) {
            self.fields[at].count += 1;
        }
    }

    /// How often the fields were there, by their paths.
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
}
