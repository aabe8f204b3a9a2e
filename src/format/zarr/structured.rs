//! Element types with parts: complex numbers, and the fields of numpy's structured types.
//!
//! Version 2 tells the byte order of each field; their chunks are read as raw bytes and the fields
//! reversed afterwards.

use serde_json::Value;

use super::data_type::{from_v2, from_v3};
use crate::model::data_type::{DataType, StructField};
use crate::model::swap::Swap;

/// Types inside types at most.
const MAX_DEPTH: usize = 32;
/// Swaps of one element at most; a type with more is not served.
const MAX_SWAPS: usize = 65_536;

/// Two floats `re` and `im` of type `float`.
pub(super) fn complex(float: DataType) -> DataType {
    let width = u32::try_from(float.item_size()).unwrap_or(u32::MAX);
    let field = |name: &str, offset| StructField { name: name.into(), offset, data_type: float.clone() };
    DataType::Struct { size: width.saturating_mul(2), fields: vec![field("re", 0), field("im", width)] }
}

/// The type of a list of fields `[name, type]` or `[name, type, shape]` of version 2, back to back.
///
/// # Errors
/// What of it is not served.
pub(super) fn fields_v2(list: &[Value], depth: usize) -> Result<DataType, String> {
    let fields = list.iter().enumerate().map(|(index, field)| match field.as_array().map(Vec::as_slice) {
        // numpy names a field without a name by its position.
        Some([name, data_type, ..]) => {
            let name = name.as_str().ok_or_else(|| format!("structured type with a field {field}"))?;
            let name = if name.is_empty() { format!("f{index}") } else { name.to_owned() };
            let data_type = field_v2(data_type, depth)?;
            Ok((name, dimensions(field.get(2), data_type)?))
        }
        _ => Err(format!("structured type with a field {field}")),
    });
    joined(fields.collect::<Result<_, String>>()?)
}

fn field_v2(data_type: &Value, depth: usize) -> Result<DataType, String> {
    if depth > MAX_DEPTH {
        return Err(format!("structured type nested deeper than {MAX_DEPTH} levels"));
    }
    match data_type {
        Value::Array(list) => fields_v2(list, depth + 1),
        name => served(from_v2(name, &[])),
    }
}

/// The type of the fields `[[name, type], …]` of version 3, back to back.
///
/// # Errors
/// What of it is not served.
pub(super) fn fields_v3(data_type: &Value, depth: usize) -> Result<DataType, String> {
    let list = data_type.pointer("/configuration/fields").and_then(Value::as_array);
    let list = list.filter(|_| depth <= MAX_DEPTH).ok_or_else(|| format!("type {data_type}"))?;
    let fields = list.iter().map(|field| match field.as_array().map(Vec::as_slice) {
        Some([Value::String(name), data_type]) => {
            let is_nested = data_type.get("name").and_then(Value::as_str) == Some("structured");
            let data_type = if is_nested { fields_v3(data_type, depth + 1)? } else { served(from_v3(data_type))? };
            Ok((name.clone(), data_type))
        }
        _ => Err(format!("structured type with a field {field}")),
    });
    joined(fields.collect::<Result<_, String>>()?)
}

/// Refuses field types without a fixed size.
fn served(data_type: DataType) -> Result<DataType, String> {
    match data_type {
        DataType::Unsupported { description, .. } => Err(format!("structured type with {description}")),
        other if other.is_variable() && !other.is_text() || other == DataType::String => {
            Err(format!("structured type with {}", other.name()))
        }
        other => Ok(other),
    }
}

fn dimensions(shape: Option<&Value>, element: DataType) -> Result<DataType, String> {
    let Some(shape) = shape else { return Ok(element) };
    let lengths: Option<Vec<u64>> = match shape {
        Value::Array(lengths) => lengths.iter().map(Value::as_u64).collect(),
        length => length.as_u64().map(|length| vec![length]),
    };
    let dimensions = lengths.ok_or_else(|| format!("structured type with a field of shape {shape}"))?;
    Ok(DataType::FixedArray { element: Box::new(element), dimensions })
}

fn joined(fields: Vec<(String, DataType)>) -> Result<DataType, String> {
    let mut size = 0_u32;
    let mut placed = Vec::with_capacity(fields.len());
    for (name, data_type) in fields {
        let end = u32::try_from(data_type.item_size()).ok().and_then(|item| size.checked_add(item));
        placed.push(StructField { name, offset: size, data_type });
        size = end.ok_or("structured type of more than 4 GiB")?;
    }
    if size == 0 {
        return Err("structured type of no bytes".into());
    }
    Ok(DataType::Struct { size, fields: placed })
}

/// What to reverse in one element of a version 2 type, given as a list of fields.
///
/// # Errors
/// When there is too much of it.
pub(super) fn swaps_v2(dtype: &Value) -> Result<Vec<Swap>, String> {
    let mut swaps = Vec::new();
    add_swaps(dtype, 0, 0, &mut swaps)?;
    Ok(swaps)
}

/// Adds the swaps of one element at `offset`; gives its size.
fn add_swaps(dtype: &Value, offset: usize, depth: usize, swaps: &mut Vec<Swap>) -> Result<usize, String> {
    let Value::Array(list) = dtype else {
        let size = from_v2(dtype, &[]).item_size();
        let text = dtype.as_str().unwrap_or_default();
        let width = match text.as_bytes().get(1) {
            Some(b'c') => size / 2,
            Some(b'U') => 4,
            Some(b'i' | b'u' | b'f' | b'M' | b'm') => size,
            _ => 1,
        };
        if text.starts_with('>') && width > 1 {
            swaps.push(Swap { offset, width, count: size / width });
        }
        return Ok(size);
    };
    if depth > MAX_DEPTH {
        return Err(format!("structured type nested deeper than {MAX_DEPTH} levels"));
    }
    let mut at = offset;
    for field in list {
        let count = dimensions(field.get(2), DataType::Int8)?.item_size();
        let mut inner = Vec::new();
        let size = add_swaps(field.get(1).unwrap_or(&Value::Null), 0, depth + 1, &mut inner)?;
        if inner.len().saturating_mul(count).saturating_add(swaps.len()) > MAX_SWAPS {
            return Err(format!("big-endian structured type with more than {MAX_SWAPS} numbers"));
        }
        let starts =
            (0..if inner.is_empty() { 0 } else { count }).map(|index| at.saturating_add(index.saturating_mul(size)));
        swaps.extend(starts.flat_map(|start| {
            inner.iter().map(move |swap| Swap { offset: start.saturating_add(swap.offset), ..*swap })
        }));
        at = at.saturating_add(size.saturating_mul(count));
    }
    Ok(at.saturating_sub(offset))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_lie_back_to_back_and_tell_their_byte_order() {
        let dtype = json!([["a", "<i2"], ["", ">c8"], ["n", [["u", ">U2"], ["t", "|S3"]], [2]]]);
        let found = fields_v2(dtype.as_array().unwrap(), 0).unwrap();
        assert_eq!(found.name(), "struct{a: int16, f1: complex64, n: struct{u: U2, t: S3}[2]}");
        assert_eq!(found.item_size(), 2 + 8 + 2 * 11);
        let swap = |offset, width, count| Swap { offset, width, count };
        assert_eq!(swaps_v2(&dtype).unwrap(), [swap(2, 4, 2), swap(10, 4, 2), swap(21, 4, 2)]);
    }

    #[test]
    fn what_has_no_fixed_size_or_no_meaning_is_refused() {
        for (dtype, word) in [
            (json!([["a", "|O"]]), "objects"),
            (json!([["a", "<M8[Y]"]]), "M8[Y]"),
            (json!([["a"]]), "field"),
            (json!([]), "no bytes"),
            (json!([["a", "<i4", "x"]]), "shape"),
            (json!([["a", "|V4294967295"], ["b", "<i4"]]), "4 GiB"),
        ] {
            let error = fields_v2(dtype.as_array().unwrap(), 0).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let nested = (0..40).fold(json!("<i4"), |inner, _| json!([["a", inner]]));
        assert!(fields_v2(nested.as_array().unwrap(), 0).unwrap_err().contains("deeper"));
    }
}
