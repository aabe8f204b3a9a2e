//! Element types from the words of zarr version 2 (numpy's type strings) and version 3 (names).

use serde_json::Value;

use super::structured::{complex, fields_v2, fields_v3};
use crate::model::data_type::{DataType, Padding};
use crate::model::time::TimeStep;

/// The type of a version 2 array: numpy's type string, or a list of fields. `filters` are the ids of
/// its filters: they tell texts from other objects.
pub(super) fn from_v2(dtype: &Value, filters: &[String]) -> DataType {
    let text = match dtype {
        Value::String(text) => text,
        Value::Array(list) => {
            return fields_v2(list, 0).unwrap_or_else(|description| unsupported(description, 0));
        }
        _ => return unsupported(format!("structured type {dtype}"), 0),
    };
    let described = || unsupported(format!("type '{text}'"), size_in(text));
    let mut characters = text.chars();
    let (order, kind, rest) = (characters.next(), characters.next(), characters.as_str());
    let ordered = matches!(order, Some('<' | '>'));
    match (kind, rest.parse::<u32>().ok()) {
        (Some('b'), Some(1)) if order == Some('|') => DataType::Boolean,
        (Some('i'), Some(1)) if order == Some('|') => DataType::Int8,
        (Some('u'), Some(1)) if order == Some('|') => DataType::UInt8,
        (Some(kind), Some(size)) if ordered && matches!(kind, 'i' | 'u' | 'f') => {
            number(kind, size).unwrap_or_else(described)
        }
        (Some('S'), Some(length)) if order == Some('|') && length > 0 => fixed_string(length),
        (Some('U'), Some(length)) if ordered && length > 0 && length <= u32::MAX / 4 => DataType::FixedUtf32 { length },
        (Some('c'), Some(8)) if ordered => complex(DataType::Float32),
        (Some('c'), Some(16)) if ordered => complex(DataType::Float64),
        (Some('V'), Some(size)) if order == Some('|') && size > 0 => DataType::Opaque { size },
        (Some(kind @ ('M' | 'm')), None) if ordered => {
            let step = rest.strip_prefix("8[").and_then(|rest| TimeStep::parse(rest.strip_suffix(']')?));
            step.map_or_else(described, |step| time(kind == 'M', step))
        }
        (Some('O'), _) if filters.iter().any(|filter| filter == "vlen-bytes") => DataType::Binary,
        (Some('O'), _) if filters.iter().any(|filter| filter == "vlen-utf8") => DataType::String,
        (Some('O'), _) => unsupported(format!("objects with filters [{}]", filters.join(", ")), 0),
        _ => described(),
    }
}

/// The type of a version 3 array: a name, or a name with a configuration.
pub(super) fn from_v3(data_type: &Value) -> DataType {
    let name = data_type.as_str().or_else(|| data_type.get("name")?.as_str()).unwrap_or_default();
    let length = data_type.pointer("/configuration/length_bytes").and_then(Value::as_u64);
    let length = length.and_then(|length| u32::try_from(length).ok()).filter(|length| *length > 0);
    match (name, length) {
        ("bool", _) => DataType::Boolean,
        ("int8", _) => DataType::Int8,
        ("int16", _) => DataType::Int16,
        ("int32", _) => DataType::Int32,
        ("int64", _) => DataType::Int64,
        ("uint8", _) => DataType::UInt8,
        ("uint16", _) => DataType::UInt16,
        ("uint32", _) => DataType::UInt32,
        ("uint64", _) => DataType::UInt64,
        ("float16", _) => DataType::Float16,
        ("float32", _) => DataType::Float32,
        ("float64", _) => DataType::Float64,
        ("string", _) => DataType::String,
        ("null_terminated_bytes", Some(length)) => fixed_string(length),
        ("fixed_length_utf32", Some(length)) if length % 4 == 0 => DataType::FixedUtf32 { length: length / 4 },
        ("complex64", _) => complex(DataType::Float32),
        ("complex128", _) => complex(DataType::Float64),
        ("variable_length_bytes" | "bytes" | "binary", _) => DataType::Binary,
        ("raw_bytes", Some(size)) => DataType::Opaque { size },
        ("numpy.datetime64" | "numpy.timedelta64", _) => {
            let unit = data_type.pointer("/configuration/unit").and_then(Value::as_str).unwrap_or("generic");
            let count = data_type.pointer("/configuration/scale_factor").and_then(Value::as_u64).unwrap_or(1);
            let described = || unsupported(format!("type '{name}' of {count} {unit}"), 8);
            TimeStep::new(count, unit).map_or_else(described, |step| time(name == "numpy.datetime64", step))
        }
        ("structured", _) => fields_v3(data_type, 0).unwrap_or_else(|description| unsupported(description, 0)),
        ("", _) => unsupported(format!("type {data_type}"), 0),
        _ => match name.strip_prefix('r').and_then(|bits| bits.parse::<u32>().ok()) {
            Some(bits) if bits > 0 && bits % 8 == 0 => DataType::Opaque { size: bits / 8 },
            _ => unsupported(format!("type '{name}'"), length.unwrap_or(0)),
        },
    }
}

fn time(is_moment: bool, step: TimeStep) -> DataType {
    if is_moment { DataType::Timestamp(step) } else { DataType::Duration(step) }
}

fn number(kind: char, size: u32) -> Option<DataType> {
    Some(match (kind, size) {
        ('i', 2) => DataType::Int16,
        ('i', 4) => DataType::Int32,
        ('i', 8) => DataType::Int64,
        ('u', 2) => DataType::UInt16,
        ('u', 4) => DataType::UInt32,
        ('u', 8) => DataType::UInt64,
        ('f', 2) => DataType::Float16,
        ('f', 4) => DataType::Float32,
        ('f', 8) => DataType::Float64,
        _ => return None,
    })
}

/// numpy's `S`: trailing null bytes are not text.
fn fixed_string(length: u32) -> DataType {
    DataType::FixedString { length, padding: Padding::NullPadded }
}

fn unsupported(description: String, size: u32) -> DataType {
    DataType::Unsupported { description, size }
}

/// Bytes of one element of a type string such as `<M8[ns]` or `<c16`; 0 when it does not say.
fn size_in(text: &str) -> u32 {
    let digits: String = text.chars().skip(2).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
