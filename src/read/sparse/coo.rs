//! Sparse slices as one row per entry (`layout: coo`).

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};

use crate::error::{Error, Result};

/// Bytes of the two positions of an entry.
pub(super) const POSITION_BYTES: u64 = 16;

/// Columns `row`, `column` and the values under `name`.
///
/// # Errors
/// `InvalidArgument` when the values would be called as a position is.
pub(super) fn schema(name: &str, value: &ArrowType) -> Result<Schema> {
    if name == "row" || name == "column" {
        return Err(Error::invalid(format!("layout 'coo' would have the column '{name}' twice")));
    }
    let position = |name: &str| Field::new(name, ArrowType::Int64, false);
    Ok(Schema::new(vec![position("row"), position("column"), Field::new(name, value.clone(), false)]))
}

/// Rows, columns and values of slices cut by `offsets`, whose first is at output position `first` of
/// the axis `major`; `minor` are output positions on the other axis.
pub(super) fn columns(
    major: usize,
    first: u64,
    minor: Int64Array,
    values: ArrayRef,
    offsets: &[usize],
) -> Vec<ArrayRef> {
    let lengths = offsets.windows(2).map(|bounds| bounds[1] - bounds[0]);
    // Positions are below lengths of axes, which are no more than 2^63.
    let slices = (first..).zip(lengths).flat_map(|(slice, length)| std::iter::repeat_n(slice as i64, length));
    let slices: ArrayRef = Arc::new(Int64Array::from_iter_values(slices));
    let minor: ArrayRef = Arc::new(minor);
    if major == 0 { vec![slices, minor, values] } else { vec![minor, slices, values] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_stored_axis() {
        let minor = Int64Array::from(vec![4, 0, 7]);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![10, 20, 30]));
        let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let by_rows = columns(0, 5, minor.clone(), Arc::clone(&values), &[0, 2, 2, 3]);
        assert_eq!(by_rows, [ints(&[5, 5, 7]), ints(&[4, 0, 7]), Arc::clone(&values)]);
        let by_columns = columns(1, 5, minor, Arc::clone(&values), &[0, 2, 2, 3]);
        assert_eq!(by_columns, [ints(&[4, 0, 7]), ints(&[5, 5, 7]), values]);
    }

    #[test]
    fn a_name_that_is_taken_is_refused() {
        assert!(schema("row", &ArrowType::Int8).is_err());
        assert_eq!(schema("X", &ArrowType::Int8).unwrap().field(2).name(), "X");
    }
}
