//! Every keyword of a stream's schema, under `validation: full`: records that are certain to keep them all.

#![forbid(unsafe_code)]

use jsonschema::{Draft, Validator};
use serde::Deserialize;
use serde_json::Value;

use crate::json::{Doubt, Sure};
use crate::numeral::Precision;
use crate::tape::{Records, Tape};

/// A schema that was compiled, and how exactly it looks at numbers.
#[derive(Clone, Debug)]
pub struct Keywords {
    validator: Validator<Records>,
    precision: Precision,
}

/// A schema's text, its draft, and what numbers have to be held for: `compares` says that keywords compare them,
/// `has_fractions` that some of these keywords have numbers that aren't whole.
#[derive(Deserialize)]
pub struct Spec {
    schema: String,
    draft: u16,
    compares: bool,
    has_fractions: bool,
}

impl Keywords {
    /// Compile a schema. Nothing outside it is looked up.
    pub fn new(spec: &Spec) -> Result<Self, String> {
        let draft = match spec.draft {
            4 => Draft::Draft4,
            6 => Draft::Draft6,
            7 => Draft::Draft7,
            2019 => Draft::Draft201909,
            2020 => Draft::Draft202012,
            other => return Err(format!("there is no draft {other}")),
        };
        let schema: Value = serde_json::from_str(&spec.schema).map_err(|error| error.to_string())?;
        let validator = jsonschema::options_for::<Records>()
            .with_draft(draft)
            .should_validate_formats(true)
            .offline()
            .build(&schema)
            .map_err(|error| error.to_string())?;
        let precision =
            Precision { is_draft4: draft == Draft::Draft4, compares: spec.compares, has_fractions: spec.has_fractions };
        Ok(Self { validator, precision })
    }

    /// Doubt the record that begins at a place of the tape's source unless it keeps every keyword.
    pub fn check(&self, tape: &mut Tape, at: usize) -> Sure<()> {
        tape.read(at, self.precision)?;
        if self.validator.is_valid(tape.root()) { Ok(()) } else { Err(Doubt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(schema: &str, draft: u16, record: &str) -> Sure<()> {
        let spec = Spec { schema: schema.to_owned(), draft, compares: true, has_fractions: true };
        Keywords::new(&spec).unwrap().check(&mut Tape::new(record), 0)
    }

    #[test]
    fn a_record_that_keeps_every_keyword_is_certain_and_any_other_is_in_doubt() {
        let schema = r#"{"properties": {"a": {"multipleOf": 0.01, "maximum": 5}, "b": {"enum": ["x", 1.5]}},
            "required": ["a"], "propertyNames": {"maxLength": 1}}"#;
        for record in [r#"{"a": 4.99, "b": "x"}"#, r#"{"a": 5.0}"#, r#"{"a": "x", "b": 1.50}"#] {
            assert_eq!(checked(schema, 7, record), Ok(()), "{record}");
        }
        for record in
            [r#"{"a": 4.999}"#, r#"{"a": 5.01}"#, r#"{"b": "x"}"#, r#"{"a": 1, "b": 1}"#, r#"{"a": 1, "cc": 1}"#]
        {
            assert_eq!(checked(schema, 7, record), Err(Doubt), "{record}");
        }
    }

    #[test]
    fn whether_a_whole_number_is_an_integer_is_for_the_draft_to_say() {
        let schema = r#"{"properties": {"a": {"type": "integer"}}}"#;
        assert_eq!(checked(schema, 7, r#"{"a": 1.0}"#), Ok(()));
        assert_eq!(checked(schema, 4, r#"{"a": 1.0}"#), Err(Doubt));
    }

    #[test]
    fn what_is_outside_a_schema_is_not_looked_up() {
        let spec =
            |schema: &str, draft| Spec { schema: schema.to_owned(), draft, compares: false, has_fractions: false };
        assert!(Keywords::new(&spec(r#"{"$ref": "https://example.com/a.json"}"#, 7)).is_err());
        assert!(Keywords::new(&spec("{}", 5)).is_err());
    }
}
