//! Positions of sparse entries on the other axis, in the width in which they go out: stored integers of 32 or
//! 64 bits stay as they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, Int32Array, Int64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Int32Type, Int64Type, UInt64Type};

use super::minor::{Kept, MinorMap};
use crate::error::{Error, Result};

/// Positions below the length of their axis.
#[derive(Clone, Debug)]
pub(super) enum Indices {
    /// Of an axis of at most 2^31 positions.
    Narrow(ScalarBuffer<i32>),
    /// Of any axis.
    Wide(ScalarBuffer<i64>),
}

impl Indices {
    /// Stored indices of any type of integers, none outside an axis of `length`.
    ///
    /// # Errors
    /// `DataLoss` naming the first that is outside.
    pub(super) fn checked(stored: &ArrayRef, length: u64) -> Result<Self> {
        match stored.data_type() {
            ArrowType::Int32 => {
                inside::<Int32Type>(stored, length, |index| u64::from(index.cast_unsigned())).map(Self::Narrow)
            }
            ArrowType::Int64 => inside::<Int64Type>(stored, length, i64::cast_unsigned).map(Self::Wide),
            ArrowType::UInt64 => {
                let indices = inside::<UInt64Type>(stored, length, |index| index)?;
                // Lengths of axes are below 2^63.
                Ok(Self::Wide(ScalarBuffer::new(indices.into_inner(), 0, stored.len())))
            }
            ArrowType::UInt32 => Self::checked(&cast(stored, &ArrowType::Int64)?, length),
            _ => Self::checked(&cast(stored, &ArrowType::Int32)?, length),
        }
    }

    /// The entries that `map` keeps, of slices cut by `offsets`.
    ///
    /// # Errors
    /// `ResourceExhausted` when there are more than 2^32.
    pub(super) fn kept(&self, map: &MinorMap, offsets: &[usize]) -> Result<(Self, Vec<u32>, Vec<usize>)> {
        match self {
            Self::Narrow(indices) => {
                let Kept { indices, entries, offsets } = map.apply(indices, offsets, |output| output.cast_signed())?;
                Ok((Self::Narrow(indices.into()), entries, offsets))
            }
            Self::Wide(indices) => {
                let Kept { indices, entries, offsets } = map.apply(indices, offsets, i64::from)?;
                Ok((Self::Wide(indices.into()), entries, offsets))
            }
        }
    }

    /// As an array of their own type.
    pub(super) fn into_array(self) -> ArrayRef {
        match self {
            Self::Narrow(indices) => Arc::new(Int32Array::new(indices, None)),
            Self::Wide(indices) => Arc::new(Int64Array::new(indices, None)),
        }
    }
}

/// The indices, if all of them are inside; as `unsigned` gives them, negative ones are larger than any length.
fn inside<T: ArrowPrimitiveType>(
    stored: &ArrayRef,
    length: u64,
    unsigned: impl Fn(T::Native) -> u64,
) -> Result<ScalarBuffer<T::Native>> {
    let indices = stored.as_primitive::<T>().values();
    // A loop without an exit is done several elements at a time.
    let largest = indices.iter().fold(0, |largest, index| unsigned(*index).max(largest));
    if largest < length || indices.is_empty() {
        return Ok(indices.clone());
    }
    match indices.iter().find(|index| unsigned(**index) >= length) {
        Some(index) => Err(Error::data_loss(format!("{index:?} is outside an axis of length {length}"))),
        None => Ok(indices.clone()),
    }
}

fn cast(stored: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(stored, to, &options).map_err(|error| Error::data_loss(format!("expected integers: {error}")))
}
