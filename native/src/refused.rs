//! Records that are refused as Python sees them: where each stands, why, and all of them as entries of a quarantine.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::decode::Refused;
use crate::refusals::Violation;
use crate::text::quote;

/// What is written at once, with the entry that passes it.
const MAX_BYTES: usize = 1 << 16;

/// A violation as (code, path, expected, got).
type Reason = (&'static str, String, String, String);

/// The records of a block that are refused, in the order of their lines.
#[pyclass(frozen)]
pub struct Refusals {
    pub refused: Vec<Refused>,
    pub reasons: Vec<Vec<Violation>>,
}

#[pymethods]
impl Refusals {
    fn __len__(&self) -> usize {
        self.refused.len()
    }

    /// Where a record is, as (line, piece, start, end), without its line feed, and which of the reasons it has.
    fn place(&self, at: usize) -> (i64, usize, usize, usize, usize) {
        let found = &self.refused[at];
        (found.line, found.piece, found.bytes.start, found.bytes.end, found.reasons)
    }

    /// Why records are refused, each once.
    fn reasons(&self) -> Vec<Vec<Reason>> {
        let reason = |each: &Violation| (each.code, each.path.clone(), each.expected.to_string(), each.got.clone());
        self.reasons.iter().map(|violations| violations.iter().map(reason).collect()).collect()
    }

    /// Records as JSON Lines, from that one on until they take `MAX_BYTES`, and which one comes next. `stream` is JSON,
    /// and so is `rest` behind an opening brace.
    fn entries<'py>(
        &self,
        py: Python<'py>,
        pieces: Vec<PyBackedBytes>,
        stream: &str,
        rest: &str,
        first: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
        let written = py.detach(|| self.written(&pieces, stream, rest, first));
        let (bytes, next) = written.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok((PyBytes::new(py, &bytes), next))
    }
}

impl Refusals {
    fn written(
        &self,
        pieces: &[&[u8]],
        stream: &str,
        rest: &str,
        first: usize,
    ) -> serde_json::Result<(Vec<u8>, usize)> {
        let ends = self.reasons.iter().map(|violations| {
            let reasons = serde_json::to_string(violations)?;
            Ok(format!(",\"reasons\":{reasons},{rest}\n"))
        });
        let (start, ends) = (format!(",\"stream\":{stream},\"line\":"), ends.collect::<serde_json::Result<Vec<_>>>()?);
        let mut written = Vec::with_capacity(MAX_BYTES + MAX_BYTES / 4);
        let mut next = first;
        while written.len() < MAX_BYTES
            && let Some(found) = self.refused.get(next)
        {
            next += 1;
            written.extend_from_slice(b"{\"record\":");
            // Nothing that isn't UTF-8 is refused here.
            quote(&pieces[found.piece][found.bytes.clone()], &mut written);
            written.extend_from_slice(start.as_bytes());
            serde_json::to_writer(&mut written, &found.line)?;
            written.extend_from_slice(ends[found.reasons].as_bytes());
        }
        Ok((written, next))
    }
}
