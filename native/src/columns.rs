//! The columns of a run while its rows come in, one value after the other; a row that turns out doubtful is taken back.

#![forbid(unsafe_code)]

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use crate::layout::{Column, Kind};
use crate::number::Places;

/// Bits, of which some at the end may be taken back; those that don't fill a word yet are in `word`.
#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    word: u64,
    count: usize,
}

impl Bits {
    fn ones(count: usize) -> Self {
        let word = (1 << (count % 64)) - 1;
        Self { words: vec![u64::MAX; count / 64], word, count }
    }

    #[inline]
    pub fn push(&mut self, bit: bool) {
        self.word |= u64::from(bit) << (self.count % 64);
        self.count += 1;
        if self.count.is_multiple_of(64) {
            self.words.push(self.word);
            self.word = 0;
        }
    }

    fn truncate(&mut self, count: usize) {
        if count >= self.count {
            return;
        }
        if let Some(&word) = self.words.get(count / 64) {
            self.word = word;
            self.words.truncate(count / 64);
        }
        self.word &= (1 << (count % 64)) - 1;
        self.count = count;
    }

    fn finish(mut self) -> BooleanBuffer {
        self.words.push(self.word);
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, self.count)
    }
}

/// The values of a column; nulls have one too, which means nothing. The ends of texts count bytes.
pub enum Values {
    Bools(Bits),
    Days(Vec<i32>),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Decimals(Vec<i128>),
    Texts { bytes: Vec<u8>, ends: Vec<i32> },
}

impl Values {
    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Self::Bools(values) => values.count,
            Self::Days(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Decimals(values) => values.len(),
            Self::Texts { ends, .. } => ends.len() - 1,
        }
    }
}

/// A column that is being filled. `inexact` are the rows whose float doesn't hold their number, `coerced` those whose
/// value came in another form than the schema's. Which rows are `valid` is noted from the first null on.
pub struct Filling {
    pub values: Values,
    pub inexact: Vec<(usize, Places)>,
    pub coerced: Vec<usize>,
    valid: Option<Bits>,
}

impl Filling {
    pub fn new(kind: Kind, rows: usize) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bools(Bits::default()),
            Kind::Date => Values::Days(Vec::with_capacity(rows)),
            Kind::Int | Kind::Time | Kind::Timestamp | Kind::Timestamptz => Values::Integers(Vec::with_capacity(rows)),
            Kind::Float => Values::Floats(Vec::with_capacity(rows)),
            Kind::Decimal => Values::Decimals(Vec::with_capacity(rows)),
            Kind::Text | Kind::Json | Kind::Binary | Kind::Uuid => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Values::Texts { bytes: Vec::new(), ends }
            }
        };
        Self { values, inexact: Vec::new(), coerced: Vec::new(), valid: None }
    }

    /// Count the value that was pushed last as a row's.
    #[inline]
    pub fn count(&mut self) {
        if let Some(valid) = &mut self.valid {
            valid.push(true);
        }
    }

    #[inline]
    pub fn push_integer(&mut self, value: i64) {
        if let Values::Integers(values) = &mut self.values {
            values.push(value);
            self.count();
        }
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.valid.get_or_insert_with(|| Bits::ones(self.values.len())).push(false);
        match &mut self.values {
            Values::Bools(values) => values.push(false),
            Values::Days(values) => values.push(0),
            Values::Integers(values) => values.push(0),
            Values::Floats(values) => values.push(0.0),
            Values::Decimals(values) => values.push(0),
            Values::Texts { ends, .. } => ends.push(ends.last().copied().unwrap_or_default()),
        }
    }

    /// Take back what goes beyond that many rows, a value that isn't counted yet included.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bools(values) => values.truncate(rows),
            Values::Days(values) => values.truncate(rows),
            Values::Integers(values) => values.truncate(rows),
            Values::Floats(values) => values.truncate(rows),
            Values::Decimals(values) => values.truncate(rows),
            Values::Texts { bytes, ends } => {
                ends.truncate(rows + 1);
                bytes.truncate(ends.last().copied().unwrap_or_default() as usize);
            }
        }
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
        while self.inexact.last().is_some_and(|&(row, _)| row >= rows) {
            self.inexact.pop();
        }
        while self.coerced.last().is_some_and(|&row| row >= rows) {
            self.coerced.pop();
        }
    }

    /// The column as an Arrow array.
    pub fn finish(self, column: &Column) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.map(|valid| NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0);
        Ok(match (self.values, column.kind) {
            (Values::Bools(bits), _) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            (Values::Days(days), _) => Arc::new(Date32Array::try_new(days.into(), nulls)?),
            (Values::Floats(floats), _) => Arc::new(Float64Array::try_new(floats.into(), nulls)?),
            (Values::Decimals(units), _) => Arc::new(
                Decimal128Array::try_new(units.into(), nulls)?
                    .with_precision_and_scale(column.precision, column.scale)?,
            ),
            (Values::Integers(us), Kind::Time) => Arc::new(Time64MicrosecondArray::try_new(us.into(), nulls)?),
            (Values::Integers(us), Kind::Timestamp) => Arc::new(TimestampMicrosecondArray::try_new(us.into(), nulls)?),
            (Values::Integers(us), Kind::Timestamptz) => {
                Arc::new(TimestampMicrosecondArray::try_new(us.into(), nulls)?.with_timezone("UTC"))
            }
            (Values::Integers(values), _) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            (Values::Texts { bytes, ends }, kind) => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                if kind == Kind::Binary {
                    Arc::new(BinaryArray::try_new(ends, bytes.into(), nulls)?)
                } else {
                    Arc::new(StringArray::try_new(ends, bytes.into(), nulls)?)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    #[test]
    fn bits_are_taken_back_at_every_place_of_a_word() {
        for kept in 0..130 {
            let mut bits = Bits::ones(130 - kept);
            (0..kept).for_each(|_| bits.push(true));
            bits.truncate(kept);
            bits.push(false);
            let bits = bits.finish();
            assert_eq!((bits.len(), bits.count_set_bits()), (kept + 1, kept));
        }
    }

    #[test]
    fn a_row_that_is_taken_back_leaves_nothing_behind() {
        let mut filling = Filling::new(Kind::Text, 2);
        filling.push_null();
        let Values::Texts { bytes, .. } = &mut filling.values else { panic!("texts") };
        bytes.extend_from_slice(b"half a value");
        filling.truncate(1);
        filling.push_null();
        let array = filling.finish(&Column::plain("c", Kind::Text)).unwrap();
        assert_eq!((array.len(), array.null_count()), (2, 2));
    }
}
