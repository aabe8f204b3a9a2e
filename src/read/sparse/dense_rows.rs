//! Sparse slices with their gaps filled by zeros.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    ArrowNativeType, ArrowNativeTypeOp, DataType as ArrowType, Field, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::error::{Error, Result};
use crate::read::column::tensor_field;
use crate::read::to_arrow::fixed_size_list;

/// The field of dense rows of `length` values.
pub(super) fn field(name: &str, value_type: &ArrowType, length: u64) -> Result<Field> {
    tensor_field(name, value_type.clone(), &[length])
}

/// One list of `length` values per slice. Entries at the same place are added, as scipy does.
pub(super) fn rows<I: ArrowNativeType>(
    indices: &[I],
    values: &ArrayRef,
    offsets: &[usize],
    length: u64,
) -> Result<ArrayRef> {
    let count = offsets.len().saturating_sub(1);
    let places = Places { indices, offsets, length: length as usize };
    let items: ArrayRef = match values.data_type() {
        ArrowType::Int8 => places.fill::<Int8Type>(values)?,
        ArrowType::Int16 => places.fill::<Int16Type>(values)?,
        ArrowType::Int32 => places.fill::<Int32Type>(values)?,
        ArrowType::Int64 => places.fill::<Int64Type>(values)?,
        ArrowType::UInt8 => places.fill::<UInt8Type>(values)?,
        ArrowType::UInt16 => places.fill::<UInt16Type>(values)?,
        ArrowType::UInt32 => places.fill::<UInt32Type>(values)?,
        ArrowType::UInt64 => places.fill::<UInt64Type>(values)?,
        ArrowType::Float16 => places.fill::<Float16Type>(values)?,
        ArrowType::Float32 => places.fill::<Float32Type>(values)?,
        ArrowType::Float64 => places.fill::<Float64Type>(values)?,
        ArrowType::Boolean => places.fill_boolean(values.as_boolean())?,
        other => return Err(Error::unimplemented(format!("dense rows of {other}"))),
    };
    let size = i32::try_from(length).map_err(|_| Error::unimplemented(format!("dense rows of {length} values")))?;
    fixed_size_list(items, size, count)
}

struct Places<'a, I> {
    indices: &'a [I],
    offsets: &'a [usize],
    length: usize,
}

impl<I: ArrowNativeType> Places<'_, I> {
    /// Calls `put(place in the dense rows, entry)` for every entry.
    fn for_each(&self, mut put: impl FnMut(usize, usize)) -> Result<usize> {
        for (row, bounds) in self.offsets.windows(2).enumerate() {
            for entry in bounds[0]..bounds[1] {
                let index = self.indices.get(entry).map(|index| index.as_usize()).filter(|index| *index < self.length);
                let index = index.ok_or_else(|| Error::internal("a sparse index leaves its row"))?;
                put(row * self.length + index, entry);
            }
        }
        Ok(self.offsets.len().saturating_sub(1) * self.length)
    }

    fn total(&self) -> usize {
        self.offsets.len().saturating_sub(1) * self.length
    }

    fn fill<T: ArrowPrimitiveType>(&self, values: &ArrayRef) -> Result<ArrayRef>
    where
        T::Native: ArrowNativeTypeOp,
    {
        let values = values.as_primitive::<T>().values();
        let mut dense = vec![T::Native::default(); self.total()];
        self.for_each(|place, entry| dense[place] = dense[place].add_wrapping(values[entry]))?;
        Ok(Arc::new(PrimitiveArray::<T>::new(dense.into(), None)))
    }

    fn fill_boolean(&self, values: &BooleanArray) -> Result<ArrayRef> {
        let mut dense = vec![false; self.total()];
        self.for_each(|place, entry| dense[place] |= values.value(entry))?;
        Ok(Arc::new(BooleanArray::new(BooleanBuffer::from(dense), None)))
    }
}
