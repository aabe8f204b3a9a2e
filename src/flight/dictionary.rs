//! Dictionaries that are larger than a message: they are sent in pieces, the first as a dictionary
//! and the others as deltas to it. Smaller dictionaries are left to the IPC encoder.

use std::collections::HashMap;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::size::array_size;
use super::split::largest;
use crate::error::{Error, Result};

/// Largest dictionary that is sent, in bytes. The tracker compares each piece with those before it,
/// so that the work grows with the square of the pieces.
const LARGEST_DICTIONARY: usize = 256 << 20;

/// Remembers which large dictionary each column has sent.
#[derive(Debug, Default)]
pub(super) struct LargeDictionaries {
    sent: HashMap<usize, ArrayRef>,
}

impl LargeDictionaries {
    /// Batches without rows whose dictionaries grow piece by piece to those of `batch`; none when
    /// no dictionary is larger than `limit` bytes and new.
    ///
    /// # Errors
    /// `ResourceExhausted` when a nested dictionary is larger than a message, or one of a column
    /// larger than [`LARGEST_DICTIONARY`].
    pub(super) fn pieces(&mut self, batch: &RecordBatch, limit: usize) -> Result<Vec<RecordBatch>> {
        let mut ends: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, column) in batch.columns().iter().enumerate() {
            let DataType::Dictionary(_, _) = column.data_type() else {
                check_nested(batch.schema_ref().field(number).name(), column.as_ref(), limit)?;
                continue;
            };
            let values = column.as_any_dictionary().values();
            let size = array_size(values.as_ref(), 0, values.len());
            if size <= limit || self.is_sent(number, values) {
                continue;
            }
            if size > LARGEST_DICTIONARY {
                let name = batch.schema_ref().field(number).name();
                return Err(Error::resource_exhausted(format!(
                    "column '{name}' has a dictionary of {size} bytes, the limit is {LARGEST_DICTIONARY}"
                )));
            }
            ends.insert(number, piece_ends(values.as_ref(), limit));
            self.sent.insert(number, ArrayRef::clone(values));
        }
        let steps = ends.values().map(Vec::len).max().unwrap_or(0);
        (0..steps).map(|step| grown(batch, &ends, step)).collect()
    }

    fn is_sent(&self, column: usize, values: &ArrayRef) -> bool {
        self.sent.get(&column).is_some_and(|sent| ArrayData::ptr_eq(&sent.to_data(), &values.to_data()))
    }
}

/// Where the pieces of `values` end, each of at most `limit` bytes or one value.
fn piece_ends(values: &dyn Array, limit: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < values.len() {
        start += largest(values.len() - start, |count| array_size(values, start, count) <= limit);
        ends.push(start);
    }
    ends
}

/// No rows of `batch`, with the large dictionaries up to the end of piece `step`.
fn grown(batch: &RecordBatch, ends: &HashMap<usize, Vec<usize>>, step: usize) -> Result<RecordBatch> {
    let empty = batch.slice(0, 0);
    let mut columns = empty.columns().to_vec();
    for (number, ends) in ends {
        let end = ends.get(step).or(ends.last()).copied().unwrap_or(0);
        if let Some(column) = columns.get_mut(*number) {
            let values = column.as_any_dictionary().values().slice(0, end).to_data();
            let data = column
                .to_data()
                .into_builder()
                .child_data(vec![values])
                .build()
                .map_err(|error| Error::internal("a dictionary could not be cut").with_source(error))?;
            *column = make_array(data);
        }
    }
    RecordBatch::try_new(batch.schema(), columns)
        .map_err(|error| Error::internal("a batch of dictionaries could not be made").with_source(error))
}

/// Refuses dictionaries inside of other types that are larger than a message.
fn check_nested(name: &str, array: &dyn Array, limit: usize) -> Result<()> {
    match array.data_type() {
        DataType::Dictionary(_, _) => {
            let values = array.as_any_dictionary().values();
            let size = array_size(values.as_ref(), 0, values.len());
            if size > limit {
                return Err(Error::resource_exhausted(format!(
                    "column '{name}' holds a nested dictionary of {size} bytes, the limit of a message is {limit}"
                )));
            }
            Ok(())
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().try_for_each(|column| check_nested(name, column.as_ref(), limit))
        }
        DataType::List(_) => check_nested(name, array.as_list::<i32>().values().as_ref(), limit),
        DataType::LargeList(_) => check_nested(name, array.as_list::<i64>().values().as_ref(), limit),
        DataType::FixedSizeList(_, _) => check_nested(name, array.as_fixed_size_list().values().as_ref(), limit),
        DataType::Map(_, _) => check_nested(name, array.as_map().entries(), limit),
        _ => Ok(()),
    }
}
