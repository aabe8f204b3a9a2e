//! The type that values of several types have together: numpy's for arrays, pandas' for columns.

use arrow::datatypes::DataType as ArrowType;

#[derive(Clone, Copy)]
enum Number {
    Boolean,
    Signed(u32),
    Unsigned(u32),
    Float(u32),
}

/// The type of an array of `left` and `right`, as `numpy.result_type`: none where they are no numbers.
pub fn of_arrays(left: &ArrowType, right: &ArrowType) -> Option<ArrowType> {
    use Number::{Boolean, Float, Signed, Unsigned};
    let number = match (number(left)?, number(right)?) {
        (Boolean, other) | (other, Boolean) => other,
        (Signed(left), Signed(right)) => Signed(left.max(right)),
        (Unsigned(left), Unsigned(right)) => Unsigned(left.max(right)),
        (Float(left), Float(right)) => Float(left.max(right)),
        (Signed(signed), Unsigned(unsigned)) | (Unsigned(unsigned), Signed(signed)) => match signed.max(unsigned * 2) {
            bits if bits <= 64 => Signed(bits),
            _ => Float(64),
        },
        (Float(float), Signed(bits) | Unsigned(bits)) | (Signed(bits) | Unsigned(bits), Float(float)) => {
            Float(float.max((bits * 2).min(64)))
        }
    };
    Some(arrow_type(number))
}

/// The type of a column of `left` and `right`; of categoricals the type of their values counts. None for
/// what pandas makes `object` of, as text with numbers or booleans with numbers.
pub fn of_columns(left: &ArrowType, right: &ArrowType) -> Option<ArrowType> {
    let (left, right) = (values(left), values(right));
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        (ArrowType::Boolean, _) | (_, ArrowType::Boolean) => None,
        _ => of_arrays(left, right),
    }
}

/// The type of an array of `data_type` some of whose elements are NaN; none for booleans, of which
/// numpy makes objects.
pub fn with_gaps(data_type: &ArrowType) -> Option<ArrowType> {
    match number(data_type)? {
        Number::Boolean => None,
        Number::Float(bits) => Some(arrow_type(Number::Float(bits))),
        Number::Signed(_) | Number::Unsigned(_) => Some(ArrowType::Float64),
    }
}

/// The type of a categorical's values, and other types as they are.
pub fn values(data_type: &ArrowType) -> &ArrowType {
    match data_type {
        ArrowType::Dictionary(_, value) => value,
        other => other,
    }
}

fn number(data_type: &ArrowType) -> Option<Number> {
    use Number::{Boolean, Float, Signed, Unsigned};
    Some(match data_type {
        ArrowType::Boolean => Boolean,
        ArrowType::Int8 => Signed(8),
        ArrowType::Int16 => Signed(16),
        ArrowType::Int32 => Signed(32),
        ArrowType::Int64 => Signed(64),
        ArrowType::UInt8 => Unsigned(8),
        ArrowType::UInt16 => Unsigned(16),
        ArrowType::UInt32 => Unsigned(32),
        ArrowType::UInt64 => Unsigned(64),
        ArrowType::Float16 => Float(16),
        ArrowType::Float32 => Float(32),
        ArrowType::Float64 => Float(64),
        _ => return None,
    })
}

fn arrow_type(number: Number) -> ArrowType {
    match number {
        Number::Boolean => ArrowType::Boolean,
        Number::Signed(8) => ArrowType::Int8,
        Number::Signed(16) => ArrowType::Int16,
        Number::Signed(32) => ArrowType::Int32,
        Number::Signed(_) => ArrowType::Int64,
        Number::Unsigned(8) => ArrowType::UInt8,
        Number::Unsigned(16) => ArrowType::UInt16,
        Number::Unsigned(32) => ArrowType::UInt32,
        Number::Unsigned(_) => ArrowType::UInt64,
        Number::Float(16) => ArrowType::Float16,
        Number::Float(32) => ArrowType::Float32,
        Number::Float(_) => ArrowType::Float64,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType::{
        Boolean, Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Utf8,
    };

    use super::*;

    /// Rows and columns in this order; the table is that of `numpy.result_type` of numpy 2.4.
    const TYPES: [ArrowType; 12] =
        [Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64];

    const TOGETHER: [[ArrowType; 12]; 12] = include!("promote_table.in");

    #[test]
    fn arrays_have_the_type_that_numpy_gives() {
        for (left, row) in TYPES.iter().zip(&TOGETHER) {
            for (right, expected) in TYPES.iter().zip(row) {
                assert_eq!(of_arrays(left, right).as_ref(), Some(expected), "{left} and {right}");
            }
        }
        assert_eq!(of_arrays(&Utf8, &Int8), None);
    }

    #[test]
    fn columns_of_objects_have_no_type() {
        let categorical = |value: ArrowType| ArrowType::Dictionary(Box::new(Int8), Box::new(value));
        assert_eq!(of_columns(&Utf8, &Int8), None);
        assert_eq!(of_columns(&Boolean, &Int8), None);
        assert_eq!(of_columns(&categorical(Utf8), &Utf8), Some(Utf8));
        assert_eq!(of_columns(&categorical(Int64), &Float32), Some(Float64));
        assert_eq!(of_columns(&categorical(Utf8), &categorical(Int64)), None);
        assert_eq!(of_columns(&Boolean, &Boolean), Some(Boolean));
        assert_eq!((with_gaps(&Int8), with_gaps(&Float16), with_gaps(&Boolean)), (Some(Float64), Some(Float16), None));
    }
}
