//! What Python sees of the rows that are written for servers: functions that take an Arrow record batch.

// A record batch of another library is known by its addresses alone.
#![allow(unsafe_code)]

use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::{Array, StringArray, StructArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::{delimited, pgcopy, text};

/// The rows in PostgreSQL's binary COPY format, without its header, or None where text is to be written; `types` are
/// the OIDs of the columns' types. Other Python threads go on meanwhile.
#[pyfunction]
pub fn pg_copy<'py>(
    py: Python<'py>,
    rows: &Bound<'py, PyAny>,
    types: Vec<u32>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let rows = taken(rows)?;
    Ok(py.detach(|| pgcopy::copied(&rows, &types)).map(|bytes| PyBytes::new(py, &bytes)))
}

/// The rows as lines of delimited text, or None where the Python package is to write them. Other Python threads go on
/// meanwhile.
#[pyfunction]
pub fn delimited_lines<'py>(py: Python<'py>, rows: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let rows = taken(rows)?;
    Ok(py.detach(|| delimited::lines(&rows)).map(|bytes| PyBytes::new(py, &bytes)))
}

/// Whether a text of these columns has an escape of a surrogate, which may be half a character. Other Python threads go
/// on meanwhile.
#[pyfunction]
pub fn has_surrogates(py: Python<'_>, rows: &Bound<'_, PyAny>) -> PyResult<bool> {
    let rows = taken(rows)?;
    Ok(py.detach(|| rows.columns().iter().any(|column| column.as_string_opt::<i32>().is_some_and(surrogates_in))))
}

fn surrogates_in(texts: &StringArray) -> bool {
    let (first, last) = (texts.value_offsets()[0], texts.value_offsets()[texts.len()]);
    text::has_surrogate(&texts.value_data()[first as usize..last as usize])
}

/// The rows of what knows Arrow's C data interface; nothing is copied.
fn taken(rows: &Bound<'_, PyAny>) -> PyResult<StructArray> {
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) =
        rows.call_method0("__arrow_c_array__")?.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of these names hold such structures, by the interface, and what is taken out of one leaves it
    // marked as released.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
    data.map(StructArray::from).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
