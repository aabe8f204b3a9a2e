//! Moves the elements of rows to their places in wider rows, and leaves zeros out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, PrimitiveArray, StructArray, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowNativeTypeOp, DataType as ArrowType, Field, Fields, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use half::f16;

use crate::error::{Error, Result};
use crate::read::to_arrow::arrow_error;

/// What stands where a member has no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Zero, as in sparse matrices.
    Zero,
    /// NaN, as in dense arrays; of floats only.
    Nan,
}

/// Calls a generic function with the primitive type of some values.
macro_rules! by_type {
    ($data_type:expr, $function:ident ( $($argument:expr),* ), $gap:expr) => {
        match $data_type {
            ArrowType::Int8 => $function::<Int8Type>($($argument,)* integer_gap($gap)?),
            ArrowType::Int16 => $function::<Int16Type>($($argument,)* integer_gap($gap)?),
            ArrowType::Int32 => $function::<Int32Type>($($argument,)* integer_gap($gap)?),
            ArrowType::Int64 => $function::<Int64Type>($($argument,)* integer_gap($gap)?),
            ArrowType::UInt8 => $function::<UInt8Type>($($argument,)* integer_gap($gap)?),
            ArrowType::UInt16 => $function::<UInt16Type>($($argument,)* integer_gap($gap)?),
            ArrowType::UInt32 => $function::<UInt32Type>($($argument,)* integer_gap($gap)?),
            ArrowType::UInt64 => $function::<UInt64Type>($($argument,)* integer_gap($gap)?),
            ArrowType::Float16 => $function::<Float16Type>($($argument,)* if $gap == Gap::Nan { f16::NAN } else { f16::ZERO }),
            ArrowType::Float32 => $function::<Float32Type>($($argument,)* if $gap == Gap::Nan { f32::NAN } else { 0.0 }),
            ArrowType::Float64 => $function::<Float64Type>($($argument,)* if $gap == Gap::Nan { f64::NAN } else { 0.0 }),
            other => Err(Error::unimplemented(format!("rows of {other} with gaps"))),
        }
    };
}

/// Rows of `places.len()` elements each as rows of `width`: element `i` at `places[i]`, `gap` elsewhere.
pub(super) fn spread(values: &ArrayRef, rows: usize, places: &[u32], width: usize, gap: Gap) -> Result<ArrayRef> {
    let total = rows.checked_mul(width).ok_or_else(|| Error::resource_exhausted("a window has too many elements"))?;
    if values.len() != rows * places.len() || places.iter().any(|place| *place as usize >= width) {
        return Err(Error::internal("elements leave their rows"));
    }
    if let Some(flags) = values.as_boolean_opt() {
        integer_gap::<u8>(gap)?;
        let mut spread = vec![false; total];
        for_each(places, width, rows, |from, to| spread[to] = flags.value(from));
        return Ok(Arc::new(BooleanArray::new(BooleanBuffer::from(spread), None)));
    }
    by_type!(values.data_type(), spread_numbers(values, rows, places, width), gap)
}

fn spread_numbers<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    rows: usize,
    places: &[u32],
    width: usize,
    gap: T::Native,
) -> Result<ArrayRef> {
    let values = values.as_primitive::<T>().values();
    let mut spread = vec![gap; rows * width];
    for_each(places, width, rows, |from, to| spread[to] = values[from]);
    Ok(Arc::new(PrimitiveArray::<T>::new(spread.into(), None)))
}

/// Calls `put(from, to)` for every element of every row.
fn for_each(places: &[u32], width: usize, rows: usize, mut put: impl FnMut(usize, usize)) {
    for row in 0..rows {
        for (at, place) in places.iter().enumerate() {
            put(row * places.len() + at, row * width + *place as usize);
        }
    }
}

/// `count` elements of what stands in gaps.
pub(super) fn filled(data_type: &ArrowType, count: usize, gap: Gap) -> Result<ArrayRef> {
    if data_type == &ArrowType::Boolean {
        integer_gap::<u8>(gap)?;
        return Ok(Arc::new(BooleanArray::new(BooleanBuffer::new_unset(count), None)));
    }
    by_type!(data_type, filled_numbers(count), gap)
}

fn filled_numbers<T: ArrowPrimitiveType>(count: usize, gap: T::Native) -> Result<ArrayRef> {
    Ok(Arc::new(PrimitiveArray::<T>::new(vec![gap; count].into(), None)))
}

/// Zero: integers have no NaN.
fn integer_gap<N: Default>(gap: Gap) -> Result<N> {
    match gap {
        Gap::Zero => Ok(N::default()),
        Gap::Nan => Err(Error::internal("NaN among numbers that have none")),
    }
}

/// The elements other than zero of rows of `columns` elements, as lists of (place, value).
pub(super) fn nonzero(values: &ArrayRef, rows: usize, columns: usize) -> Result<(Vec<i32>, UInt32Array, ArrayRef)> {
    let kept: BooleanArray = match values.as_boolean_opt() {
        Some(flags) => flags.clone(),
        None => by_type!(values.data_type(), is_nonzero(values), Gap::Zero)?,
    };
    let columns_of_all = (0..values.len()).filter(|at| kept.value(*at)).map(|at| (at % columns.max(1)) as u32);
    let places = UInt32Array::from_iter_values(columns_of_all);
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    for row in 0..rows {
        let count = kept.slice(row * columns, columns).true_count();
        let end = offsets.last().copied().unwrap_or(0).checked_add(i32::try_from(count).unwrap_or(i32::MAX));
        offsets.push(end.ok_or_else(|| Error::resource_exhausted("a window has more than 2^31 entries"))?);
    }
    let values = arrow::compute::filter(values, &kept).map_err(arrow_error)?;
    Ok((offsets, places, values))
}

fn is_nonzero<T: ArrowPrimitiveType>(values: &ArrayRef, zero: T::Native) -> Result<BooleanArray>
where
    T::Native: ArrowNativeTypeOp,
{
    // NaN differs from zero; minus zero does not.
    let differs = |value: &T::Native| *value != zero;
    let flags: Vec<bool> = values.as_primitive::<T>().values().iter().map(differs).collect();
    Ok(BooleanArray::new(BooleanBuffer::from(flags), None))
}

/// Lists of (index, value), with indices of the given type.
pub(super) fn lists(
    index_type: &ArrowType,
    offsets: OffsetBuffer<i32>,
    places: &UInt32Array,
    values: ArrayRef,
) -> Result<ArrayRef> {
    let indices: ArrayRef = match index_type {
        ArrowType::Int64 => Arc::new(places.unary::<_, Int64Type>(i64::from)),
        // Widths beyond 2^31 - 1 have indices of 64 bits.
        _ => Arc::new(places.unary::<_, Int32Type>(|place| place as i32)),
    };
    let index = Field::new("index", index_type.clone(), false);
    let fields: Fields = vec![index, Field::new("value", values.data_type().clone(), false)].into();
    let entries = StructArray::try_new(fields, vec![indices, values], None).map_err(arrow_error)?;
    let item = Arc::new(Field::new("item", entries.data_type().clone(), false));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(entries), None).map_err(arrow_error)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_go_to_their_places() {
        let values: ArrayRef = Arc::new(PrimitiveArray::<Int16Type>::from(vec![1, 2, 3, 4]));
        let found = spread(&values, 2, &[2, 0], 4, Gap::Zero).unwrap();
        assert_eq!(found.as_primitive::<Int16Type>().values(), &[2, 0, 1, 0, 4, 0, 3, 0]);
        assert!(spread(&values, 2, &[2, 0], 4, Gap::Nan).is_err());
        let values: ArrayRef = Arc::new(PrimitiveArray::<Float32Type>::from(vec![1.0, 2.0]));
        let found = spread(&values, 2, &[1], 2, Gap::Nan).unwrap();
        let found = found.as_primitive::<Float32Type>().values().to_vec();
        assert!(found[0].is_nan() && found[2].is_nan() && found[1] == 1.0 && found[3] == 2.0);
        let values: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        let found = spread(&values, 1, &[2, 1], 3, Gap::Zero).unwrap();
        assert_eq!(found.as_boolean(), &BooleanArray::from(vec![false, false, true]));
    }

    #[test]
    fn zeros_are_left_out() {
        let values: ArrayRef = Arc::new(PrimitiveArray::<Float64Type>::from(vec![0.0, 2.0, -0.0, f64::NAN, 0.0, 0.0]));
        let (offsets, places, kept) = nonzero(&values, 3, 2).unwrap();
        assert_eq!((offsets, places.values().to_vec()), (vec![0, 1, 2, 2], vec![1, 1]));
        assert!(kept.as_primitive::<Float64Type>().value(1).is_nan());
        assert_eq!(nonzero(&values.slice(0, 0), 3, 0).unwrap().0, [0, 0, 0, 0]);
    }
}
