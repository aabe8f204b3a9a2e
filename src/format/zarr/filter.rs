//! Filters of numcodecs that turn numbers into other numbers, undone on bytes as numcodecs undoes them.

use serde_json::{Map, Value};

use super::number::{Number, NumberType};
use crate::error::{Error, Result};

/// A filter with its configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    /// Differences of neighbours, stored as `stored`.
    Delta { plain: NumberType, stored: NumberType },
    /// `(x - offset) * scale`, rounded.
    FixedScaleOffset { plain: NumberType, stored: NumberType, offset: f64, scale: f64 },
    /// Another type. `quantize` is this too: its loss is not undone.
    AsType { plain: NumberType, stored: NumberType },
    /// Eight booleans in a byte.
    PackBits,
    /// Less precision, which is not undone.
    BitRound,
}

impl Filter {
    /// The filter `id` with its `configuration`; `default` is the type of the array's elements as a numpy
    /// type string. `None` when there is no such filter.
    ///
    /// # Errors
    /// `Unimplemented` naming a type, `DataLoss` for a configuration that lacks a field.
    pub(super) fn of(id: &str, configuration: &Map<String, Value>, default: &str) -> Result<Option<Self>> {
        let kind = |field: &str, instead: &str| {
            let name = configuration.get(field).and_then(Value::as_str).unwrap_or(instead);
            NumberType::parse(name).map_err(|error| error.context(format!("codec '{id}'")))
        };
        let number = |field: &str| {
            let value = configuration.get(field).and_then(Value::as_f64);
            value.ok_or_else(|| Error::data_loss(format!("codec '{id}' has no number '{field}'")))
        };
        let plain_name = configuration.get("dtype").and_then(Value::as_str).unwrap_or(default);
        let both = || Ok::<_, Error>((kind("dtype", default)?, kind("astype", plain_name)?));
        Ok(Some(match id {
            "delta" => {
                let (plain, stored) = both()?;
                if stored.is_float() && !plain.is_float() {
                    return Err(Error::unimplemented(format!(
                        "codec '{id}' with floats for integers is not supported"
                    )));
                }
                Self::Delta { plain, stored }
            }
            "fixedscaleoffset" => {
                let (plain, stored) = both()?;
                Self::FixedScaleOffset { plain, stored, offset: number("offset")?, scale: number("scale")? }
            }
            "quantize" => {
                let (plain, stored) = both()?;
                Self::AsType { plain, stored }
            }
            "astype" => Self::AsType { plain: kind("decode_dtype", default)?, stored: kind("encode_dtype", "")? },
            "packbits" => Self::PackBits,
            "bitround" => Self::BitRound,
            _ => return Ok(None),
        }))
    }

    /// Whether plain elements are little-endian.
    pub(super) fn is_little_endian(&self) -> bool {
        match self {
            Self::Delta { plain, .. } | Self::FixedScaleOffset { plain, .. } | Self::AsType { plain, .. } => {
                !plain.big_endian
            }
            Self::PackBits | Self::BitRound => true,
        }
    }

    /// The numpy type string of what is stored.
    pub(super) fn stored_type(&self, plain: &str) -> String {
        match self {
            Self::Delta { stored, .. } | Self::FixedScaleOffset { stored, .. } | Self::AsType { stored, .. } => {
                let kind = match stored.kind {
                    super::number::NumberKind::Signed => 'i',
                    super::number::NumberKind::Unsigned => 'u',
                    super::number::NumberKind::Float => 'f',
                };
                format!("{}{kind}{}", if stored.big_endian { '>' } else { '<' }, stored.size)
            }
            Self::PackBits => "|u1".to_owned(),
            Self::BitRound => plain.to_owned(),
        }
    }

    /// Bytes that `plain` bytes are stored in.
    pub(super) fn stored_bytes(&self, length: u64) -> u64 {
        match self {
            Self::Delta { plain, stored }
            | Self::FixedScaleOffset { plain, stored, .. }
            | Self::AsType { plain, stored } => (length / plain.size as u64).saturating_mul(stored.size as u64),
            Self::PackBits => length.div_ceil(8).saturating_add(1),
            Self::BitRound => length,
        }
    }

    /// The plain bytes, of which there may be `limit`.
    ///
    /// # Errors
    /// `DataLoss` when `encoded` is no whole number of elements or there would be more bytes than that.
    pub(super) fn decode(&self, encoded: &[u8], limit: u64) -> Result<Vec<u8>> {
        match *self {
            Self::BitRound => Ok(encoded.to_vec()),
            Self::PackBits => unpacked(encoded, limit),
            Self::AsType { plain, stored } => each(encoded, stored, plain, limit, Ok),
            Self::FixedScaleOffset { plain, stored, offset, scale } => {
                // Integers are divided as floats of 8 bytes, floats keep their own type.
                let step = |value: f64| {
                    if stored.is_float() { stored.through(Number::Float(value)) } else { Ok(Number::Float(value)) }
                };
                let (offset, scale) = (step(offset)?.as_f64(), step(scale)?.as_f64());
                each(encoded, stored, plain, limit, |number| step(step(number.as_f64() / scale)?.as_f64() + offset))
            }
            Self::Delta { plain, stored } => {
                let mut sum: Option<Number> = None;
                each(encoded, stored, plain, limit, |number| {
                    let number = plain.through(number)?;
                    let next = match (sum, number) {
                        (None, first) => first,
                        (Some(Number::Integer(sum)), Number::Integer(step)) => Number::Integer(sum.wrapping_add(step)),
                        (Some(sum), step) => Number::Float(sum.as_f64() + step.as_f64()),
                    };
                    let next = plain.through(next)?;
                    sum = Some(next);
                    Ok(next)
                })
            }
        }
    }
}

/// `change` of every element of `encoded`.
fn each(
    encoded: &[u8],
    stored: NumberType,
    plain: NumberType,
    limit: u64,
    mut change: impl FnMut(Number) -> Result<Number>,
) -> Result<Vec<u8>> {
    let elements = encoded.chunks_exact(stored.size);
    let total = (elements.len() as u64).saturating_mul(plain.size as u64);
    if !elements.remainder().is_empty() || total > limit {
        return Err(Error::data_loss(format!(
            "{} bytes are no elements of {} bytes of which there are at most {}",
            encoded.len(),
            stored.size,
            limit / plain.size as u64
        )));
    }
    let mut decoded = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    for element in elements {
        plain.write(change(stored.read(element))?, &mut decoded)?;
    }
    Ok(decoded)
}

/// Booleans from bits, the highest of a byte first; the first byte tells how many of the last byte do not
/// count.
fn unpacked(encoded: &[u8], limit: u64) -> Result<Vec<u8>> {
    let corrupt = || Error::data_loss(format!("{} bytes are no packed booleans, at most {limit}", encoded.len()));
    let (unused, packed) = encoded.split_first().ok_or_else(corrupt)?;
    let count = (packed.len().checked_mul(8)).and_then(|bits| bits.checked_sub(usize::from(*unused)));
    let count = count.filter(|count| *unused < 8 && *count as u64 <= limit).ok_or_else(corrupt)?;
    let bits = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    Ok(bits.take(count).collect())
}
