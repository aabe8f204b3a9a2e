//! Python's slice arithmetic: start, stop and step of any sign to positions.
//!
//! The algorithm of CPython's `PySlice_AdjustIndices` (`slice.indices`), in integers that cannot
//! overflow.

use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;

/// The positions of `start:stop:step` on an axis of `length`, in slice order.
///
/// # Errors
/// `InvalidArgument` when the step is 0.
pub(super) fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>, length: u64) -> Result<AxisSelection> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::invalid("slice step is 0, expected a positive or negative number"));
    }
    let length = i128::from(length);
    let (lower, upper) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bound = |position: Option<i64>, missing: i128| match position.map(i128::from) {
        None => missing,
        Some(position) if position < 0 => (position + length).max(lower),
        Some(position) => position.min(upper),
    };
    let (first, last) = if step < 0 { (upper, lower) } else { (lower, upper) };
    let (start, stop) = (bound(start, first), bound(stop, last));
    let distance = if step < 0 { start - stop } else { stop - start };
    let count = if distance > 0 { (distance - 1) / i128::from(step).abs() + 1 } else { 0 };
    Ok(range(start, step, count))
}

/// A range whose step says nothing when it has no second element, so that ranges compose without
/// meeting a step that is larger than the axis.
fn range(start: i128, step: i64, count: i128) -> AxisSelection {
    match (u64::try_from(start), u64::try_from(count)) {
        (Ok(start), Ok(1)) => AxisSelection::Range { start, step: 1, count: 1 },
        (Ok(start), Ok(count)) if count > 1 => AxisSelection::Range { start, step, count },
        _ => AxisSelection::Range { start: 0, step: 1, count: 0 },
    }
}

/// `index` counted from the end when negative.
///
/// # Errors
/// `OutOfRange` naming the index and the axis's length.
pub(super) fn position(index: i64, length: u64) -> Result<u64> {
    let from_start = if index < 0 { i128::from(index) + i128::from(length) } else { i128::from(index) };
    match u64::try_from(from_start) {
        Ok(position) if position < length => Ok(position),
        _ => Err(Error::out_of_range(format!("index {index} is out of range for an axis of length {length}"))),
    }
}
