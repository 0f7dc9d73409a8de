//! What Python sees: `Splitter`, and `Decoder`, which gives its columns through Arrow's C data interface.

use arrow_array::ffi::{FFI_ArrowArray, to_ffi};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{ArrowError, Field, Fields};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyCapsule};

use crate::csv;
use crate::decode::{Decoded, Doubtful, Noted, decode};
use crate::layout::RecordLayout;
use crate::refused::Refusals;
use crate::split::{self, Part, Records, State};

/// Columns of one length, to be taken by what knows Arrow's C data interface, such as `pyarrow.record_batch`.
#[pyclass(frozen)]
struct Columns {
    rows: StructArray,
}

impl Columns {
    /// Columns of these names.
    fn named<'a>(names: impl IntoIterator<Item = &'a str>, columns: Vec<ArrayRef>) -> Result<Self, ArrowError> {
        let field = |(name, column): (&str, &ArrayRef)| Field::new(name, column.data_type().clone(), true);
        let fields: Fields = names.into_iter().zip(&columns).map(field).collect();
        Ok(Self { rows: StructArray::try_new(fields, columns, None)? })
    }
}

#[pymethods]
impl Columns {
    /// The schema and the array as capsules; nothing is copied.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        let (array, schema): (FFI_ArrowArray, _) = to_ffi(&self.rows.to_data()).map_err(failed)?;
        let schema = PyCapsule::new_with_value(py, schema, c"arrow_schema")?;
        Ok((schema, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }
}

/// What is told of values under a name: how many there were, the line of the first, and how many digits they have.
type Notes = Vec<(String, usize, i64, (i64, i64))>;

/// The lines of a run that are for the reference to judge, as (line, piece, start, end).
type Doubts = Vec<(i64, usize, usize, usize)>;

/// How the stream has to grow first: the first line with a version for which it has no column, or 0, and new fields as
/// (name, forms, first line).
type Growth = (i64, Vec<(String, u8, i64)>);

/// What a run comes to: rows, the lines in doubt, refusals and growth, the fields that were dropped, and notes on
/// inexact floats, coerced values and odd members of messages.
type Answer = (Columns, Doubts, Refusals, Growth, Vec<(String, u64)>, Notes, Notes, Notes);

/// Decodes the runs of one stream; threads may share it.
#[pyclass(frozen)]
struct Decoder {
    layout: RecordLayout,
}

#[pymethods]
impl Decoder {
    /// The decoder of a layout, which is given as JSON.
    #[new]
    fn new(layout: &str) -> PyResult<Self> {
        Ok(Self { layout: RecordLayout::from_json(layout).map_err(PyValueError::new_err)? })
    }

    /// Decode the lines of a block, numbered by packed spans of (first line, count), and records alone where `is_bare` says so; other Python threads go on
    /// meanwhile.
    #[pyo3(signature = (pieces, spans, is_bare=false))]
    fn decode(
        &self,
        py: Python<'_>,
        pieces: Vec<PyBackedBytes>,
        spans: PyBackedBytes,
        is_bare: bool,
    ) -> PyResult<Answer> {
        py.detach(|| {
            let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
            let spans = unpacked(&spans);
            decode(&self.layout, &pieces, &spans, is_bare).and_then(|decoded| answer(&self.layout, decoded))
        })
        .map_err(failed)
    }
}

fn answer(layout: &RecordLayout, decoded: Decoded) -> Result<Answer, ArrowError> {
    let names = layout.columns.iter().map(|column| column.name.as_str()).chain(["version", "extracted_at", "line"]);
    let columns = Columns::named(names, decoded.columns)?;
    let doubtful =
        decoded.doubtful.into_iter().map(|Doubtful { line, piece, bytes }| (line, piece, bytes.start, bytes.end));
    let refusals = Refusals { refused: decoded.refused, reasons: decoded.reasons };
    let new_fields = decoded.new_fields.into_iter().map(|each| (each.name, each.forms, each.first_line));
    let growth = (decoded.versioned_line.unwrap_or_default(), new_fields.collect());
    let notes = |found: Vec<Noted>| {
        found.into_iter().map(|each| (each.name, each.count, each.first_line, each.places.into())).collect()
    };
    let (inexact, coerced, odd) = (notes(decoded.inexact), notes(decoded.coerced), notes(decoded.odd));
    Ok((columns, doubtful.collect(), refusals, growth, decoded.unknown, inexact, coerced, odd))
}

/// The columns of rows of a CSV file, one for each name, of values where all cells have the form that its letter stands
/// for, else of texts. None where another reader is to say what they are. Other Python threads go on meanwhile.
#[pyfunction]
fn csv_columns(
    py: Python<'_>,
    block: PyBackedBytes,
    delimiter: u8,
    names: Vec<String>,
    forms: PyBackedBytes,
) -> PyResult<Option<Columns>> {
    let found = py.detach(|| csv::columns(&block, delimiter, forms.iter().copied().map(csv::Form::of).collect()));
    found.map(|columns| Columns::named(names.iter().map(String::as_str), columns)).transpose().map_err(failed)
}

fn failed(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Parts blocks of one input by stream.
#[pyclass]
#[derive(Default)]
struct Splitter {
    inner: split::Splitter,
}

/// Records as (stream, lines, packed spans, how many), another line as (None, line, b"LOG" or b"", its number).
type PyPart<'py> = (Option<String>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, i64);

/// States as their values, one behind the other, and a packed (line, end of the value, records before, bytes before)
/// of each.
type PyStates<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Splitter {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The parts of a block of whole lines of which the first has that number, the states, and how many lines it has.
    fn split<'py>(
        &mut self,
        py: Python<'py>,
        block: &Bound<'py, PyBytes>,
        first_line: i64,
    ) -> PyResult<(Vec<PyPart<'py>>, PyStates<'py>, i64)> {
        let bytes = PyBackedBytes::from(block.clone());
        let splitter = &mut self.inner;
        let found = py.detach(|| splitter.split(&bytes, first_line));
        let parts = found.parts.into_iter().map(|part| match part {
            Part::Records(records) => {
                let data = lines_of(py, block, &records)?;
                let spans = packed(py, records.spans.iter().flat_map(|&(first, count)| [first, count]));
                Ok((Some(records.stream), data, spans, records.count))
            }
            Part::Line { line, bytes, is_log } => {
                let kind: &[u8] = if is_log { b"LOG" } else { b"" };
                Ok((None, PyBytes::new(py, &block.as_bytes()[bytes]), PyBytes::new(py, kind), line))
            }
        });
        Ok((parts.collect::<PyResult<_>>()?, states_of(py, block.as_bytes(), &found.states)?, found.lines))
    }
}

/// The lines of the records in one piece, which is the block itself where it has no others.
fn lines_of<'py>(py: Python<'py>, block: &Bound<'py, PyBytes>, records: &Records) -> PyResult<Bound<'py, PyBytes>> {
    let data = block.as_bytes();
    match records.ranges.as_slice() {
        [whole] if whole.len() == data.len() => Ok(block.clone()),
        ranges => joined(py, records.size(), ranges.iter().map(|range| &data[range.clone()])),
    }
}

fn states_of<'py>(py: Python<'py>, block: &[u8], states: &[State]) -> PyResult<PyStates<'py>> {
    let size = states.iter().map(|state| state.value.len()).sum();
    let values = joined(py, size, states.iter().map(|state| &block[state.value.clone()]))?;
    let mut end = 0;
    let index = packed(
        py,
        states.iter().flat_map(|state| {
            end += state.value.len() as i64;
            [state.line, end, state.records, state.record_bytes]
        }),
    );
    Ok((values, index))
}

fn joined<'py, 'a>(
    py: Python<'py>,
    size: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, size, |space| {
        let mut at = 0;
        for piece in pieces {
            space[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Ok(())
    })
}

/// Numbers of 64 bits one behind the other, as the machine has them.
fn packed(py: Python<'_>, numbers: impl Iterator<Item = i64>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &numbers.flat_map(i64::to_ne_bytes).collect::<Vec<u8>>())
}

fn unpacked(spans: &[u8]) -> Vec<(i64, i64)> {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, i64::from_ne_bytes);
    spans.chunks_exact(16).map(|span| (number(&span[..8]), number(&span[8..]))).collect()
}

/// The native half of tailrace.
#[pymodule]
fn tailrace_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(crate::loading::pg_copy, module)?)?;
    module.add_function(wrap_pyfunction!(crate::loading::delimited_lines, module)?)?;
    module.add_function(wrap_pyfunction!(csv_columns, module)?)?;
    module.add_function(wrap_pyfunction!(crate::loading::has_surrogates, module)?)?;
    module.add_class::<Decoder>()?;
    module.add_class::<Refusals>()?;
    module.add_class::<Splitter>()
}
