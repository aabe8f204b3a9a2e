//! Datatype messages (format specification, section IV.A.2.d) to [`StoredType`].
//!
//! Written here and not taken from the crate because the crate drops what tells an IEEE float from
//! another float of the same size, and a whole integer from a packed one.

use bytes::Bytes;

use super::cursor::{Cursor, text};
use crate::error::{Error, Result};
use crate::format::hdf5::number::{FloatFields, StoredNumber};
use crate::format::hdf5::stored_type::{StoredField, StoredType};
use crate::model::data_type::{DataType, Padding};
use crate::model::time::TimeStep;

/// Types inside types at most.
const MAX_DEPTH: usize = 32;

/// The type in a datatype message.
pub(super) fn parse(body: Bytes) -> Result<StoredType> {
    let stored = parse_nested(&mut Cursor::new(body), 0)?;
    stored.size()?;
    Ok(stored)
}

struct Head {
    version: u8,
    flags: u32,
    size: u32,
}

fn parse_nested(cursor: &mut Cursor, depth: usize) -> Result<StoredType> {
    if depth > MAX_DEPTH {
        return Err(Error::unimplemented(format!("datatype that nests deeper than {MAX_DEPTH} levels")));
    }
    let first = cursor.u32()?;
    let head = Head { version: (first >> 4 & 0xf) as u8, flags: first >> 8, size: cursor.u32()? };
    if head.size == 0 {
        return Err(Error::data_loss("a datatype of no bytes"));
    }
    let stored = match first & 0xf {
        0 => integer(cursor, &head)?,
        1 => float(cursor, &head)?,
        2 => skipped(cursor, &head, 2, "time")?,
        3 => fixed_text(&head)?,
        4 => bit_field(cursor, &head)?,
        5 => opaque(cursor, &head)?,
        6 => compound(cursor, &head, depth)?,
        7 => reference(&head),
        8 => enumeration(cursor, &head, depth)?,
        9 => variable_length(cursor, &head, depth)?,
        10 => array(cursor, &head, depth)?,
        11 => complex(cursor, &head, depth)?,
        class if depth == 0 => unsupported(&head, format!("datatype class {class}")),
        class => return Err(Error::unimplemented(format!("datatype class {class} inside another datatype"))),
    };
    let size = stored.size()?;
    if size != u64::from(head.size) {
        return Err(Error::data_loss(format!("a datatype of {} bytes whose parts take {size} bytes", head.size)));
    }
    Ok(stored)
}

fn unsupported(head: &Head, description: impl Into<String>) -> StoredType {
    StoredType::Unsupported { description: description.into(), size: head.size, convertible: false }
}

/// What libhdf5 converts exactly, if `convertible`, though it is not read here.
fn convertible(head: &Head, description: String, convertible: bool) -> StoredType {
    StoredType::Unsupported { description, size: head.size, convertible }
}

fn skipped(cursor: &mut Cursor, head: &Head, properties: usize, name: &str) -> Result<StoredType> {
    cursor.skip(properties)?;
    Ok(unsupported(head, name))
}

fn integer(cursor: &mut Cursor, head: &Head) -> Result<StoredType> {
    let (offset, precision) = (cursor.u16()?, cursor.u16()?);
    let whole = offset == 0 && u32::from(precision) == head.size.saturating_mul(8);
    Ok(match head.size {
        size @ (1 | 2 | 4 | 8) if whole => {
            StoredType::Integer { size, signed: head.flags & 8 != 0, big_endian: head.flags & 1 != 0 }
        }
        size @ (1 | 2 | 4 | 8) if precision > 0 && u32::from(offset) + u32::from(precision) <= size * 8 => {
            let (signed, big_endian) = (head.flags & 8 != 0, head.flags & 1 != 0);
            let (shift, bits) = (u32::from(offset), u32::from(precision));
            StoredType::PackedInteger { size, signed, big_endian, shift, bits }
        }
        size @ (3 | 5..=7) if precision > 0 && u32::from(offset) + u32::from(precision) <= size * 8 => {
            let (shift, bits) = (u32::from(offset), u32::from(precision));
            let number = StoredNumber::Integer { shift, bits, signed: head.flags & 8 != 0 };
            StoredType::Other { size, big_endian: head.flags & 1 != 0, number }
        }
        size => {
            let description = format!("integer of {precision} bits at bit {offset} of {size} bytes");
            convertible(head, description, size > 8 && (1..=64).contains(&precision))
        }
    })
}

/// Bits without a sign: served as an unsigned integer of all its bytes.
fn bit_field(cursor: &mut Cursor, head: &Head) -> Result<StoredType> {
    Ok(match integer(cursor, &Head { flags: head.flags & !8, ..*head })? {
        StoredType::Unsupported { description, .. } => {
            unsupported(head, description.replacen("integer", "bit field", 1))
        }
        whole => whole,
    })
}

/// Bytes with a tag. h5py writes numpy's times so, with numpy's type string in the tag.
fn opaque(cursor: &mut Cursor, head: &Head) -> Result<StoredType> {
    let tag = cursor.take(((head.flags & 0xff) as usize).next_multiple_of(8))?;
    let tag = unpadded(&tag, Padding::NullTerminated).unwrap_or_default();
    let parsed = tag.strip_prefix("NUMPY:").and_then(time_of);
    Ok(match parsed {
        Some((data_type, big_endian)) if head.size == 8 => StoredType::Time { data_type, big_endian },
        _ => StoredType::Opaque { size: head.size },
    })
}

/// The type and byte order of numpy's `<M8[ns]`, `>m8[h]`.
fn time_of(text: &str) -> Option<(DataType, bool)> {
    let (order, rest) = (text.get(..1)?, text.get(1..)?);
    let (kind, step) = (rest.get(..3)?, TimeStep::parse(rest.get(3..)?.strip_suffix(']')?)?);
    let data_type = match kind {
        "M8[" => DataType::Timestamp(step),
        "m8[" => DataType::Duration(step),
        _ => return None,
    };
    matches!(order, "<" | ">").then_some((data_type, order == ">"))
}

/// HDF5 2.0's own complex numbers: a float type, of which one element has two.
fn complex(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredType> {
    let base = parse_nested(cursor, depth + 1)?;
    let is_plain = head.flags & 1 == 1 && head.flags >> 1 & 3 == 0;
    match base {
        StoredType::Float { size, .. } if is_plain && size.checked_mul(2) == Some(head.size) => {
            let field = |name: &str, offset| StoredField { name: name.into(), offset, stored: base.clone() };
            Ok(StoredType::Compound { size: head.size, fields: vec![field("re", 0), field("im", size)] })
        }
        StoredType::Other { size, number, .. } => {
            let known = number.data_type(size).is_some();
            Ok(convertible(head, format!("complex number of {}", number.described(size)), known && is_plain))
        }
        other => Ok(unsupported(head, format!("complex number of {}", other.data_type().name()))),
    }
}

fn float(cursor: &mut Cursor, head: &Head) -> Result<StoredType> {
    let (offset, precision) = (cursor.u16()?, cursor.u16()?);
    let fields = [cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?];
    let bias = cursor.u32()?;
    let sign = head.flags >> 8 & 0xff;
    // Exponent location and size, mantissa location and size, bias, sign, of IEEE 754.
    let known = match head.size {
        2 => ([10, 5, 0, 10], 15, 15),
        4 => ([23, 8, 0, 23], 127, 31),
        8 => ([52, 11, 0, 52], 1023, 63),
        _ => ([0; 4], 0, 0),
    };
    let implied_bit = head.flags >> 4 & 3 == 2;
    let whole = offset == 0 && u32::from(precision) == head.size.saturating_mul(8);
    let vax = head.flags & 0x40 != 0;
    if (fields, bias, sign) == known && implied_bit && whole && !vax && head.size <= 8 {
        return Ok(StoredType::Float { size: head.size, big_endian: head.flags & 1 != 0 });
    }
    let [exponent_at, exponent, mantissa_at, mantissa] = fields.map(u32::from);
    let parts = FloatFields { exponent: (exponent_at, exponent), mantissa: (mantissa_at, mantissa), bias, sign };
    let number = StoredNumber::Float(parts);
    if implied_bit && !vax && number.data_type(head.size).is_some() {
        return Ok(StoredType::Other { size: head.size, big_endian: head.flags & 1 != 0, number });
    }
    let known = implied_bit && !vax && number.is_exact(head.size);
    Ok(convertible(head, number.described(head.size), known))
}

fn fixed_text(head: &Head) -> Result<StoredType> {
    let padding = match head.flags & 0xf {
        0 => Padding::NullTerminated,
        1 => Padding::NullPadded,
        2 => Padding::SpacePadded,
        other => return Err(Error::data_loss(format!("a string type with padding {other}"))),
    };
    Ok(StoredType::FixedText { length: head.size, padding })
}

fn reference(head: &Head) -> StoredType {
    match head.flags & 0xf {
        0 => StoredType::ObjectReference { size: head.size },
        1 => unsupported(head, "region reference"),
        other => unsupported(head, format!("reference of kind {other}")),
    }
}

fn compound(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredType> {
    let mut fields = Vec::new();
    for _ in 0..head.flags & 0xffff {
        fields.push(field(cursor, head, depth)?);
    }
    let mut ends = Vec::new();
    for field in &fields {
        ends.push((u64::from(field.offset), u64::from(field.offset) + field.stored.size()?, &field.name));
    }
    ends.sort_unstable();
    let overlap = ends.windows(2).any(|pair| matches!(pair, [first, second] if first.1 > second.0));
    if overlap || ends.last().is_some_and(|(_, end, _)| *end > u64::from(head.size)) {
        return Err(Error::data_loss(format!("fields of a compound of {} bytes overlap or end outside it", head.size)));
    }
    name_complex(&mut fields);
    Ok(StoredType::Compound { size: head.size, fields })
}

/// Calls the parts of complex numbers, `r` and `i` to h5py and PyTables, `real` and `imag` to MATLAB, `re` and
/// `im`.
fn name_complex(fields: &mut [StoredField]) {
    if let [re, im] = fields
        && matches!(&re.stored, StoredType::Float { size, .. } if re.offset == 0 && im.offset == *size)
        && re.stored == im.stored
        && matches!((re.name.as_str(), im.name.as_str()), ("r", "i") | ("real", "imag"))
    {
        re.name = "re".to_owned();
        im.name = "im".to_owned();
    }
}

fn field(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredField> {
    let start = cursor.position();
    let name = cursor.name()?;
    if head.version < 3 {
        cursor.pad(cursor.position() - start)?;
    }
    let width = match head.size {
        _ if head.version < 3 => 4,
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    };
    let offset = cursor.unsigned(width)? as u32;
    let mut dimensions = Vec::new();
    if head.version == 1 {
        let count = usize::from(cursor.u8()?).min(4);
        cursor.skip(11)?;
        let lengths = [cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?];
        dimensions.extend(lengths.iter().take(count).map(|length| u64::from(*length)));
    }
    let mut stored = parse_nested(cursor, depth + 1)?;
    if !dimensions.is_empty() {
        stored = StoredType::Array { element: Box::new(stored), dimensions };
    }
    Ok(StoredField { name, offset, stored })
}

fn enumeration(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredType> {
    let base = parse_nested(cursor, depth + 1)?;
    let count = head.flags & 0xffff;
    let mut names = Vec::new();
    for _ in 0..count {
        let start = cursor.position();
        names.push(cursor.name()?);
        if head.version < 3 {
            cursor.pad(cursor.position() - start)?;
        }
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(cursor.take(head.size as usize)?);
    }
    let is_byte = matches!(base, StoredType::Integer { size: 1, .. });
    let mut members: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(values.iter().map(AsRef::as_ref)).collect();
    members.sort_unstable();
    let is_boolean = members == [("FALSE", [0].as_slice()), ("TRUE", [1].as_slice())];
    if is_byte && is_boolean {
        return Ok(StoredType::Boolean);
    }
    let StoredType::Integer { signed, big_endian, .. } = base else {
        let description = match &base {
            StoredType::PackedInteger { size, shift, bits, .. } => {
                format!("enumeration of integers of {bits} bits at bit {shift} of {size} bytes")
            }
            StoredType::Other { size, number, .. } => format!("enumeration of {}", number.described(*size)),
            other => format!("enumeration of {}", other.data_type().name()),
        };
        return Ok(convertible(head, description, base.is_convertible()));
    };
    let values = values.iter().map(|value| super::value::integer(value, signed, big_endian));
    Ok(StoredType::Enumeration { members: names.into_iter().zip(values).collect(), base: Box::new(base) })
}

fn variable_length(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredType> {
    let base = parse_nested(cursor, depth + 1)?;
    Ok(match head.flags & 0xf {
        0 => StoredType::Sequence { size: head.size, element: Box::new(base) },
        1 if base.size()? == 1 => StoredType::VariableText { size: head.size },
        other => unsupported(head, format!("variable-length type of kind {other}")),
    })
}

fn array(cursor: &mut Cursor, head: &Head, depth: usize) -> Result<StoredType> {
    let rank = usize::from(cursor.u8()?);
    if head.version < 3 {
        cursor.skip(3)?;
    }
    let mut dimensions = Vec::new();
    for _ in 0..rank {
        dimensions.push(u64::from(cursor.u32()?));
    }
    if head.version < 3 {
        cursor.skip(4 * rank)?;
    }
    let element = Box::new(parse_nested(cursor, depth + 1)?);
    Ok(StoredType::Array { element, dimensions })
}

/// A text cut at its padding, if it is UTF-8.
pub(super) fn unpadded(bytes: &[u8], padding: Padding) -> Result<String> {
    let end = match padding {
        Padding::NullTerminated => bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()),
        Padding::NullPadded => bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
        Padding::SpacePadded => bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1),
    };
    text(bytes.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
