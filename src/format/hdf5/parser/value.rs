//! Elements of attributes as JSON values.

use bytes::Bytes;
use half::f16;
use serde_json::{Number, Value, json};

use super::collections::{HeapView, prefetch_texts};
use super::cursor::{Cursor, is_undefined, text};
use super::datatype::unpadded;
use super::view::View;
use crate::error::{Error, Result};
use crate::format::hdf5::collection::TextReference;
use crate::format::hdf5::stored_type::StoredType;

/// Key of a JSON object that stands for an object reference; its value is the address until the
/// paths are known.
pub(crate) const REFERENCE_KEY: &str = "reference";

/// Reads one element after the other.
pub(super) struct Values<'a> {
    stored: &'a StoredType,
    size: usize,
    cursor: Cursor,
    heaps: HeapView<'a>,
    offset_size: u8,
}

impl<'a> Values<'a> {
    /// The elements of type `stored` in `data`.
    pub(super) fn new(view: &'a View, stored: &'a StoredType, data: Bytes) -> Result<Self> {
        let size = usize::try_from(stored.size()?).map_err(|_| Error::data_loss("an element too large for memory"))?;
        let offset_size = view.addressing.offset_size;
        if matches!(stored, StoredType::VariableText { .. }) {
            prefetch_texts(view, &data, size);
        }
        Ok(Self { stored, size, cursor: Cursor::new(data), heaps: HeapView::new(view), offset_size })
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Result<Value> {
        let element = self.cursor.take(self.size)?;
        self.value(self.stored, element)
    }

    fn value(&mut self, stored: &StoredType, element: Bytes) -> Result<Value> {
        Ok(match stored {
            StoredType::Integer { signed, big_endian, .. } => integer(&element, *signed, *big_endian),
            StoredType::Float { big_endian, .. } => float(&element, *big_endian),
            StoredType::Boolean => json!(element.iter().any(|byte| *byte != 0)),
            StoredType::FixedText { padding, .. } => match unpadded(&element, *padding) {
                Ok(text) => json!(text),
                Err(_) => return Err(Error::unimplemented("text that is not UTF-8")),
            },
            StoredType::VariableText { .. } => self.variable_text(&element)?,
            StoredType::ObjectReference { .. } => {
                let address = Cursor::new(element).unsigned(usize::from(self.offset_size))?;
                if address == 0 || is_undefined(address, self.offset_size) {
                    Value::Null
                } else {
                    json!({ REFERENCE_KEY: address })
                }
            }
            StoredType::Array { element: inner, dimensions } => self.array(inner, dimensions, element)?,
            StoredType::Compound { fields, .. } => {
                let names: Vec<&str> = fields.iter().take(8).map(|field| field.name.as_str()).collect();
                return Err(Error::unimplemented(format!("compound of [{}]", names.join(", "))));
            }
            StoredType::Opaque { size } => return Err(Error::unimplemented(format!("opaque of {size} bytes"))),
            StoredType::Unsupported { description, .. } => return Err(Error::unimplemented(description.clone())),
        })
    }

    fn variable_text(&mut self, element: &[u8]) -> Result<Value> {
        let reference = TextReference::parse(element).ok_or_else(|| Error::data_loss("a heap reference is cut off"))?;
        if reference.length == 0 || reference.address == 0 {
            return Ok(json!(""));
        }
        let bytes = self.heaps.text(reference)?;
        text(&bytes).map(|text| json!(text)).map_err(|_| Error::unimplemented("text that is not UTF-8"))
    }

    fn array(&mut self, inner: &StoredType, dimensions: &[u64], element: Bytes) -> Result<Value> {
        let Some((length, rest)) = dimensions.split_first() else { return self.value(inner, element) };
        let count = usize::try_from(*length).unwrap_or(usize::MAX);
        let Some(size) = element.len().checked_div(count).filter(|size| *size > 0) else { return Ok(json!([])) };
        let items: Result<Vec<Value>> =
            (0..count).map(|index| self.array(inner, rest, element.slice(index * size..(index + 1) * size))).collect();
        items.map(Value::Array)
    }
}

fn little_endian(element: &[u8], big_endian: bool) -> u64 {
    let fold = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
    if big_endian { element.iter().fold(0, fold) } else { element.iter().rev().fold(0, fold) }
}

fn integer(element: &[u8], signed: bool, big_endian: bool) -> Value {
    let number = little_endian(element, big_endian);
    if !signed {
        return json!(number);
    }
    let unused = 64_usize.saturating_sub(element.len() * 8);
    json!((number << unused).cast_signed() >> unused)
}

fn float(element: &[u8], big_endian: bool) -> Value {
    let bits = little_endian(element, big_endian);
    let number = match element.len() {
        2 => f64::from(f16::from_bits(bits as u16)),
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    };
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => json!("NaN"),
        None if number > 0.0 => json!("inf"),
        None => json!("-inf"),
    }
}
