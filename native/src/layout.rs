//! The layout of a stream: which field of its records fills which column, and what is allowed at its place.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Deserialize;

use crate::json::Token;
use crate::keywords::{self, Keywords};

/// What is done with fields that the schema doesn't name.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    Drop,
    Fail,
    Evolve,
}

/// A column's kind, as the Python package names it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Json,
    Binary,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
}

/// A column that values of records fill. `precision` and `scale` are of DECIMAL alone.
#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    #[serde(default)]
    pub precision: u8,
    #[serde(default)]
    pub scale: i8,
    #[serde(default)]
    pub is_base16: bool,
}

impl Column {
    /// A column with no more to it than its kind.
    pub fn plain(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, precision: 0, scale: 0, is_base16: false }
    }
}

/// The JSON types that the schema allows at a place.
///
/// `coerces` says that values of other types are taken where that loses nothing, `is_document` that a text of a JSON
/// column is taken as the object or array that it spells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Types {
    pub boolean: bool,
    pub integer: bool,
    pub number: bool,
    pub string: bool,
    pub object: bool,
    pub array: bool,
    pub coerces: bool,
    pub is_document: bool,
}

impl From<Vec<String>> for Types {
    fn from(names: Vec<String>) -> Self {
        let has = |name: &str| names.iter().any(|found| found == name);
        Self {
            boolean: has("boolean"),
            integer: has("integer"),
            number: has("number"),
            string: has("string"),
            object: has("object"),
            array: has("array"),
            coerces: false,
            is_document: false,
        }
    }
}

impl Types {
    pub fn has_numbers(&self) -> bool {
        self.integer || self.number
    }

    pub fn is_string_alone(&self) -> bool {
        self.string && !self.boolean && !self.has_numbers() && !self.object && !self.array
    }
}

/// What becomes of a field: it fills a column, is an object that is taken apart, or is left out.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Column { slot: usize, types: Types },
    Object(usize),
    Nothing,
}

/// A field of an object. `key` is its name as JSON mostly writes it, in quotes, and `path` its place as text.
///
/// `is_key` says that it is a column of the key, or an object that has one. `refuses_unfit` says that a value which
/// doesn't fit is refused, and becomes nothing else.
#[derive(Clone, Debug)]
pub struct Field {
    pub key: Token,
    pub path: String,
    pub takes: Use,
    pub is_key: bool,
    pub refuses_null: bool,
    pub refuses_missing: bool,
    pub refuses_unfit: bool,
}

/// An object that is taken apart: the record itself or one in it. Its fields are numbered from `first` in the layout.
#[derive(Clone, Debug)]
pub struct Object {
    pub path: Vec<String>,
    pub path_text: String,
    pub fields: Vec<Field>,
    pub by_name: HashMap<Vec<u8>, usize>,
    pub first: usize,
}

/// The layout of one stream; the record is the first of its objects.
///
/// `grows_by_version_alone` says that nothing but a version may have the stream grow first, and that it has none yet.
#[derive(Clone, Debug)]
pub struct RecordLayout {
    pub stream: String,
    pub columns: Vec<Column>,
    pub objects: Vec<Object>,
    pub field_count: usize,
    pub unknown: Unknown,
    pub is_draft4: bool,
    pub is_versioned: bool,
    pub grows_by_version_alone: bool,
    pub reads_extracted_at: bool,
    pub keywords: Option<Keywords>,
}

#[derive(Deserialize)]
struct Spec {
    stream: String,
    columns: Vec<Column>,
    record: Vec<FieldSpec>,
    unknown: Unknown,
    is_draft4: bool,
    is_versioned: bool,
    #[serde(default)]
    grows_by_version_alone: bool,
    reads_extracted_at: bool,
    keywords: Option<keywords::Spec>,
}

#[derive(Deserialize)]
struct FieldSpec {
    name: String,
    path: String,
    slot: Option<usize>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    coerces: bool,
    #[serde(default)]
    is_document: bool,
    fields: Option<Vec<FieldSpec>>,
    #[serde(default)]
    is_key: bool,
    refuses_null: bool,
    refuses_missing: bool,
    #[serde(default)]
    refuses_unfit: bool,
}

impl RecordLayout {
    /// The layout that JSON text describes, as `tailrace.decode.native` writes it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let spec: Spec = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let has_decimals_that_fit =
            |column: &Column| column.kind != Kind::Decimal || (1..=38).contains(&column.precision);
        if !spec.columns.iter().all(has_decimals_that_fit) || spec.columns.iter().any(|column| column.scale < 0) {
            return Err("a decimal has 1 to 38 digits".to_owned());
        }
        let mut layout = Self {
            stream: spec.stream,
            columns: spec.columns,
            objects: Vec::new(),
            field_count: 0,
            unknown: spec.unknown,
            is_draft4: spec.is_draft4,
            is_versioned: spec.is_versioned,
            grows_by_version_alone: spec.grows_by_version_alone,
            reads_extracted_at: spec.reads_extracted_at,
            keywords: spec.keywords.as_ref().map(Keywords::new).transpose()?,
        };
        layout.add_object(Vec::new(), "$".to_owned(), spec.record)?;
        Ok(layout)
    }

    fn add_object(&mut self, path: Vec<String>, path_text: String, specs: Vec<FieldSpec>) -> Result<usize, String> {
        let number = self.objects.len();
        let by_name = specs.iter().enumerate().map(|(at, spec)| (spec.name.clone().into_bytes(), at)).collect();
        let first = self.field_count;
        self.field_count += specs.len();
        self.objects.push(Object { path: path.clone(), path_text, fields: Vec::new(), by_name, first });
        let mut fields = Vec::with_capacity(specs.len());
        for spec in specs {
            let key = serde_json::to_vec(&spec.name).map_err(|error| error.to_string())?;
            let takes = match (spec.slot, spec.fields) {
                (Some(slot), None) if slot < self.columns.len() => Use::Column {
                    slot,
                    types: Types { coerces: spec.coerces, is_document: spec.is_document, ..spec.types.into() },
                },
                (None, Some(inner)) => {
                    let inner_path = [path.as_slice(), &[spec.name]].concat();
                    Use::Object(self.add_object(inner_path, spec.path.clone(), inner)?)
                }
                (None, None) => Use::Nothing,
                _ => return Err(format!("the field {:?} fills no column of the layout", spec.name)),
            };
            fields.push(Field {
                key: Token::new(key),
                path: spec.path,
                takes,
                is_key: spec.is_key,
                refuses_null: spec.refuses_null,
                refuses_missing: spec.refuses_missing,
                refuses_unfit: spec.refuses_unfit,
            });
        }
        self.objects[number].fields = fields;
        Ok(number)
    }
}
