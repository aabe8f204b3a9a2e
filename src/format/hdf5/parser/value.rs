//! Elements of attributes as JSON values.

use bytes::Bytes;
use half::f16;
use serde_json::{Map, Number, Value, json};

use super::collections::{HeapView, prefetch_texts};
use super::cursor::{Cursor, is_undefined, text};
use super::datatype::unpadded;
use super::view::View;
use crate::error::{Error, Result};
use crate::format::hdf5::collection::HeapReference;
use crate::format::hdf5::number::StoredNumber;
use crate::format::hdf5::stored_type::StoredType;
use crate::model::swap::value_of;

/// Key of a JSON object that stands for an object reference while the paths are not known; its value
/// is the address. No field of a compound has such a name: names end at a null.
pub(crate) const ADDRESS_KEY: &str = "\0address";

/// Values inside the elements of one attribute that are listed, those of sequences together.
const MAX_VALUES: u64 = 262_144;

/// Reads one element after the other.
pub(super) struct Values<'a> {
    stored: &'a StoredType,
    size: usize,
    cursor: Cursor,
    heaps: HeapView<'a>,
    offset_size: u8,
    /// Values that may still be listed.
    left: u64,
}

impl<'a> Values<'a> {
    /// The elements of type `stored` in `data`.
    pub(super) fn new(view: &'a View, stored: &'a StoredType, data: Bytes) -> Result<Self> {
        let size = usize::try_from(stored.size()?).map_err(|_| Error::data_loss("an element too large for memory"))?;
        let offset_size = view.addressing.offset_size;
        if matches!(stored, StoredType::VariableText { .. } | StoredType::Sequence { .. }) {
            prefetch_texts(view, &data, size);
        }
        Ok(Self { stored, size, cursor: Cursor::new(data), heaps: HeapView::new(view), offset_size, left: MAX_VALUES })
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Result<Value> {
        let element = self.cursor.take(self.size)?;
        self.value(self.stored, element)
    }

    fn value(&mut self, stored: &StoredType, element: Bytes) -> Result<Value> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Error::unimplemented(format!("more than the {MAX_VALUES} values that are listed")))?;
        Ok(match stored {
            StoredType::Integer { signed, big_endian, .. } => json!(integer(&element, *signed, *big_endian)),
            StoredType::PackedInteger { signed, big_endian, shift, bits, .. } => {
                let value = value_of(little_endian(&element, *big_endian), *shift, *bits, *signed);
                if *signed { json!(value.cast_signed()) } else { json!(value) }
            }
            StoredType::Enumeration { base, .. } => self.value(base, element)?,
            StoredType::Float { big_endian, .. } => float(&element, *big_endian),
            StoredType::Other { size, big_endian, number } => other_number(&element, *size, *big_endian, *number)?,
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
                    json!({ ADDRESS_KEY: address })
                }
            }
            StoredType::Array { element: inner, dimensions } => self.array(inner, dimensions, element)?,
            StoredType::Sequence { element: inner, .. } => self.sequence(inner, &element)?,
            StoredType::Compound { fields, .. } => {
                let mut object = Map::new();
                for field in fields {
                    let start = field.offset as usize;
                    let size = usize::try_from(field.stored.size()?).unwrap_or(usize::MAX);
                    let mut cursor = Cursor::new(element.clone());
                    cursor.skip(start)?;
                    object.insert(field.name.clone(), self.value(&field.stored, cursor.take(size)?)?);
                }
                Value::Object(object)
            }
            StoredType::Time { data_type, .. } => return Err(Error::unimplemented(data_type.name())),
            StoredType::Opaque { size } => return Err(Error::unimplemented(format!("opaque of {size} bytes"))),
            StoredType::Unsupported { description, .. } => return Err(Error::unimplemented(description.clone())),
        })
    }

    fn variable_text(&mut self, element: &[u8]) -> Result<Value> {
        let reference = HeapReference::parse(element).ok_or_else(|| Error::data_loss("a heap reference is cut off"))?;
        if reference.length == 0 {
            return Ok(json!(""));
        }
        let bytes = self.heaps.object(reference, 1)?;
        text(&bytes).map(|text| json!(text)).map_err(|_| Error::unimplemented("text that is not UTF-8"))
    }

    /// The elements that a heap reference means; none for a null one, as h5py gives.
    fn sequence(&mut self, inner: &StoredType, element: &[u8]) -> Result<Value> {
        let reference = HeapReference::parse(element).ok_or_else(|| Error::data_loss("a heap reference is cut off"))?;
        if reference.length == 0 {
            return Ok(json!([]));
        }
        let size = usize::try_from(inner.size()?).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(self.heaps.object(reference, size as u64)?);
        let items: Result<Vec<Value>> = (0..reference.length).map(|_| self.value(inner, cursor.take(size)?)).collect();
        items.map(Value::Array)
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

/// The number in up to 8 bytes.
pub(super) fn integer(element: &[u8], signed: bool, big_endian: bool) -> Number {
    let number = little_endian(element, big_endian);
    if !signed {
        return Number::from(number);
    }
    let unused = 64_usize.saturating_sub(element.len() * 8);
    Number::from((number << unused).cast_signed() >> unused)
}

/// A number that is served as a wider one.
fn other_number(element: &[u8], size: u32, big_endian: bool, number: StoredNumber) -> Result<Value> {
    let mut bytes = element.to_vec();
    if big_endian {
        bytes.reverse();
    }
    let wide = number.widen(&bytes, bytes.len(), 8)?;
    Ok(match number {
        StoredNumber::Integer { signed, .. } => json!(integer(&wide, signed, false)),
        StoredNumber::Float(_) if number.data_type(size).is_none() => {
            return Err(Error::unimplemented(number.described(size)));
        }
        StoredNumber::Float(_) => float(&wide, false),
    })
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
