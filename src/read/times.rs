//! Moments and durations to Arrow: the same unit where Arrow has it, else a shorter one that holds
//! every value exactly, or an error.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, TimeUnit as ArrowUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use crate::error::{Error, Result};
use crate::model::time::{NOT_A_TIME, TimeStep, TimeUnit};

const DAY_SECONDS: i64 = 86_400;

/// The Arrow type of moments in steps of `step`, and how many of its units one step has.
pub(super) fn timestamp_type(step: TimeStep) -> (ArrowType, i64) {
    let count = i64::from(step.count);
    match step.unit {
        TimeUnit::Week => (ArrowType::Date32, count * 7),
        TimeUnit::Day => (ArrowType::Date32, count),
        unit => {
            let (unit, factor) = arrow_unit(unit);
            (ArrowType::Timestamp(unit, None), count * factor)
        }
    }
}

/// The Arrow type of durations in steps of `step`, and how many of its units one step has.
pub(super) fn duration_type(step: TimeStep) -> (ArrowType, i64) {
    let (unit, factor) = arrow_unit(step.unit);
    (ArrowType::Duration(unit), i64::from(step.count) * factor)
}

fn arrow_unit(unit: TimeUnit) -> (ArrowUnit, i64) {
    match unit {
        TimeUnit::Week => (ArrowUnit::Second, 7 * DAY_SECONDS),
        TimeUnit::Day => (ArrowUnit::Second, DAY_SECONDS),
        TimeUnit::Hour => (ArrowUnit::Second, 3600),
        TimeUnit::Minute => (ArrowUnit::Second, 60),
        TimeUnit::Second => (ArrowUnit::Second, 1),
        TimeUnit::Millisecond => (ArrowUnit::Millisecond, 1),
        TimeUnit::Microsecond => (ArrowUnit::Microsecond, 1),
        TimeUnit::Nanosecond => (ArrowUnit::Nanosecond, 1),
    }
}

/// Signed numbers of steps as an array of `target`, `factor` units per step. NaT is null.
///
/// # Errors
/// `Unimplemented` for a value that the Arrow type cannot hold.
pub(super) fn times(buffer: &Buffer, target: &ArrowType, factor: i64) -> Result<ArrayRef> {
    let (stored, _) = buffer.as_slice().as_chunks::<8>();
    let stored = stored.iter().map(|bytes| i64::from_le_bytes(*bytes));
    let unit = match target {
        ArrowType::Timestamp(unit, _) | ArrowType::Duration(unit) => Some(*unit),
        _ => None,
    };
    match (target, unit) {
        (ArrowType::Date32, _) => array::<Date32Type>(stored, target, factor),
        (ArrowType::Timestamp(..), Some(ArrowUnit::Second)) => array::<TimestampSecondType>(stored, target, factor),
        (ArrowType::Timestamp(..), Some(ArrowUnit::Millisecond)) => {
            array::<TimestampMillisecondType>(stored, target, factor)
        }
        (ArrowType::Timestamp(..), Some(ArrowUnit::Microsecond)) => {
            array::<TimestampMicrosecondType>(stored, target, factor)
        }
        (ArrowType::Timestamp(..), Some(ArrowUnit::Nanosecond)) => {
            array::<TimestampNanosecondType>(stored, target, factor)
        }
        (ArrowType::Duration(_), Some(ArrowUnit::Second)) => array::<DurationSecondType>(stored, target, factor),
        (ArrowType::Duration(_), Some(ArrowUnit::Millisecond)) => {
            array::<DurationMillisecondType>(stored, target, factor)
        }
        (ArrowType::Duration(_), Some(ArrowUnit::Microsecond)) => {
            array::<DurationMicrosecondType>(stored, target, factor)
        }
        (ArrowType::Duration(_), Some(ArrowUnit::Nanosecond)) => {
            array::<DurationNanosecondType>(stored, target, factor)
        }
        _ => Err(Error::internal(format!("times have the Arrow type {target}"))),
    }
}

fn array<T: ArrowPrimitiveType>(stored: impl Iterator<Item = i64>, target: &ArrowType, factor: i64) -> Result<ArrayRef>
where
    T::Native: TryFrom<i64> + Default,
{
    let (mut values, mut valid) = (Vec::new(), Vec::new());
    for number in stored {
        let is_time = number != NOT_A_TIME;
        let scaled = if is_time { number.checked_mul(factor) } else { Some(0) };
        let value = scaled.and_then(|scaled| T::Native::try_from(scaled).ok()).ok_or_else(|| {
            Error::unimplemented(format!("a time of {number} steps of {factor} does not fit the Arrow type {target}"))
        })?;
        values.push(value);
        valid.push(is_time);
    }
    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    fn buffer(numbers: &[i64]) -> Buffer {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn steps_without_an_arrow_unit_are_multiplied_or_refused() {
        let step = |text: &str| TimeStep::parse(text).unwrap();
        let (target, factor) = timestamp_type(step("2h"));
        let found = times(&buffer(&[1, NOT_A_TIME, -3]), &target, factor).unwrap();
        let found = found.as_primitive::<TimestampSecondType>();
        assert_eq!(found.iter().collect::<Vec<_>>(), [Some(7200), None, Some(-21600)]);
        let (target, factor) = timestamp_type(step("W"));
        let found = times(&buffer(&[2]), &target, factor).unwrap();
        assert_eq!(found.as_primitive::<Date32Type>().value(0), 14);
        for (target, factor, number) in [
            (timestamp_type(step("D")).0, 1, i64::from(i32::MAX) + 1),
            (timestamp_type(step("h")).0, 3600, i64::MAX / 3599),
            (duration_type(step("D")).0, DAY_SECONDS, i64::MIN + 1),
        ] {
            let error = times(&buffer(&[number]), &target, factor).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Unimplemented, "{error}");
        }
        let found = times(&buffer(&[]), &ArrowType::Date32, 1).unwrap();
        assert_eq!(found.len(), 0);
    }
}
