//! Numbers of other widths than Arrow's, each as the next wider type that holds its value exactly: integers
//! of 3, 5, 6, 7 bytes, and floats laid out like those of IEEE 754 but with other fields, as bfloat16.
//!
//! Sits between the datatype parser and the decoder. What no wider type holds exactly is not known here.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::format::codec::zeroed;
use crate::model::data_type::DataType;
use crate::model::swap::value_of;

/// Bytes of a stored number at most.
pub(crate) const MAX_NUMBER_BYTES: u32 = 8;

/// How the bits of a stored number, in little-endian order, are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredNumber {
    /// An integer in `bits` bits from bit `shift` on.
    Integer { shift: u32, bits: u32, signed: bool },
    /// A float with an implied leading bit, infinities and NaN.
    Float(FloatFields),
}

/// Where the parts of a float lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloatFields {
    /// First bit of the exponent, and how many bits it has.
    pub(crate) exponent: (u32, u32),
    /// First bit of the mantissa, and how many bits it has.
    pub(crate) mantissa: (u32, u32),
    /// What the exponent counts from.
    pub(crate) bias: u32,
    /// The bit of the sign.
    pub(crate) sign: u32,
}

impl FloatFields {
    /// Whether the parts lie side by side in `size` bytes.
    pub(crate) fn are_in(&self, size: u32) -> bool {
        let (exponent, mantissa) = (span(self.exponent), span(self.mantissa));
        let apart = exponent.end <= mantissa.start || mantissa.end <= exponent.start;
        let bits = u64::from(size) * 8;
        let inside = exponent.end <= bits && mantissa.end <= bits && u64::from(self.sign) < bits;
        let sign = u64::from(self.sign);
        inside && apart && !exponent.is_empty() && !exponent.contains(&sign) && !mantissa.contains(&sign)
    }

    /// Whether a float with `bits` bits of mantissa and finite values up to 2^`most`, not quite, holds every value.
    fn fit(&self, bits: u32, most: i64) -> bool {
        let (mantissa, bias) = (i64::from(self.mantissa.1), i64::from(self.bias));
        let largest = 2_i64.checked_shl(self.exponent.1.saturating_sub(1)).unwrap_or(i64::MAX) - 2 - bias;
        let least = 1 - bias - mantissa;
        self.exponent.1 <= 16 && mantissa <= i64::from(bits) && largest < most && least >= 2 - most - i64::from(bits)
    }

    fn value(&self, stored: u64) -> f64 {
        let part = |(first, bits): (u32, u32)| if bits == 0 { 0 } else { value_of(stored, first, bits, false) };
        let (exponent, mantissa) = (part(self.exponent), part(self.mantissa));
        let (bits, bias) = (self.mantissa.1, i64::from(self.bias));
        let special = value_of(u64::MAX, 0, self.exponent.1, false);
        let size = match (exponent, mantissa) {
            (exponent, 0) if exponent == special => f64::INFINITY,
            (exponent, mantissa) if exponent == special => {
                f64::from_bits(f64::INFINITY.to_bits() | mantissa << 52_u32.saturating_sub(bits))
            }
            (0, mantissa) => scaled(mantissa, 1 - bias - i64::from(bits)),
            (exponent, mantissa) => scaled(mantissa | 1 << bits, exponent.cast_signed() - bias - i64::from(bits)),
        };
        if value_of(stored, self.sign, 1, false) == 1 { -size } else { size }
    }
}

impl StoredNumber {
    /// The type that holds the numbers, stored in `size` bytes, if there is one.
    pub(crate) fn data_type(&self, size: u32) -> Option<DataType> {
        let whole = |narrow: DataType, wide: DataType| match size {
            3..=4 => Some(narrow),
            5..=8 => Some(wide),
            _ => None,
        };
        match self {
            Self::Integer { signed: true, .. } => whole(DataType::Int32, DataType::Int64),
            Self::Integer { signed: false, .. } => whole(DataType::UInt32, DataType::UInt64),
            // Floats of one byte have several meanings for the same layout.
            Self::Float(fields) if !(2..=MAX_NUMBER_BYTES).contains(&size) || !fields.are_in(size) => None,
            Self::Float(fields) if fields.fit(23, 128) => Some(DataType::Float32),
            Self::Float(fields) if fields.fit(52, 1024) => Some(DataType::Float64),
            Self::Float(_) => None,
        }
    }

    /// Whether a float of 2 bytes or more, however large, has only values that a float of 8 bytes holds.
    pub(crate) fn is_exact(&self, size: u32) -> bool {
        matches!(self, Self::Float(fields) if size > 1 && fields.are_in(size) && fields.fit(52, 1024))
    }

    /// What they are, for messages.
    pub(crate) fn described(&self, size: u32) -> String {
        match self {
            Self::Integer { bits, shift, .. } => format!("integer of {bits} bits at bit {shift} of {size} bytes"),
            Self::Float(FloatFields { exponent: (_, exponent), mantissa: (_, mantissa), .. }) => {
                format!("float of {size} bytes with {exponent} exponent and {mantissa} mantissa bits")
            }
        }
    }

    /// Little-endian numbers of `size` bytes as numbers of `item` bytes.
    ///
    /// # Errors
    /// `ResourceExhausted` when they do not fit in memory.
    pub(crate) fn widen(&self, stored: &[u8], size: usize, item: usize) -> Result<Vec<u8>> {
        let count = stored.len().checked_div(size).unwrap_or(0);
        let mut wide = zeroed(count.saturating_mul(item))?;
        for (from, to) in stored.chunks_exact(size.max(1)).zip(wide.chunks_exact_mut(item.max(1))) {
            let bits = from.iter().rev().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
            let value = match self {
                Self::Integer { shift, bits: width, signed } => value_of(bits, *shift, *width, *signed).to_le_bytes(),
                Self::Float(fields) if item == 4 => u64::from((fields.value(bits) as f32).to_bits()).to_le_bytes(),
                Self::Float(fields) => fields.value(bits).to_le_bytes(),
            };
            to.iter_mut().zip(value).for_each(|(to, byte)| *to = byte);
        }
        Ok(wide)
    }
}

fn span((first, bits): (u32, u32)) -> std::ops::Range<u64> {
    u64::from(first)..u64::from(first) + u64::from(bits)
}

/// `mantissa` times 2^`exponent`, exactly where the result is a float: in two steps, as the power alone may be
/// none.
fn scaled(mantissa: u64, exponent: i64) -> f64 {
    let power = |exponent: i64| f64::from_bits((exponent.clamp(-1022, 1023) + 1023).cast_unsigned() << 52);
    mantissa as f64 * power(exponent / 2) * power(exponent - exponent / 2)
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;

    const BRAIN: FloatFields = FloatFields { exponent: (7, 8), mantissa: (0, 7), bias: 127, sign: 15 };
    const HALF: FloatFields = FloatFields { exponent: (10, 5), mantissa: (0, 10), bias: 15, sign: 15 };
    const SINGLE: FloatFields = FloatFields { exponent: (23, 8), mantissa: (0, 23), bias: 127, sign: 31 };
    const DOUBLE: FloatFields = FloatFields { exponent: (52, 11), mantissa: (0, 52), bias: 1023, sign: 63 };

    fn same(found: f64, expected: f64) -> bool {
        found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
    }

    #[test]
    fn every_half_and_every_brain_float() {
        for bits in 0..=u16::MAX {
            assert!(same(BRAIN.value(bits.into()), bf16::from_bits(bits).to_f64()), "{bits:#x}");
            assert!(same(HALF.value(bits.into()), f16::from_bits(bits).to_f64()), "{bits:#x}");
            let wide = StoredNumber::Float(BRAIN).widen(&bits.to_le_bytes(), 2, 4).unwrap();
            let wide = f32::from_le_bytes(wide.try_into().unwrap());
            assert!(same(wide.into(), bf16::from_bits(bits).to_f64()), "{bits:#x}");
        }
    }

    proptest! {
        #[test]
        fn floats_of_ieee_are_themselves(bits: u64) {
            prop_assert!(same(DOUBLE.value(bits), f64::from_bits(bits)));
            let single = bits as u32;
            prop_assert!(same(SINGLE.value(single.into()), f32::from_bits(single).into()));
        }

        #[test]
        fn integers_keep_their_value(value in -(1_i64 << 39)..1_i64 << 39, big in proptest::bool::ANY) {
            let (value, size) = if big { (value, 5) } else { (value >> 16, 3) };
            let number = StoredNumber::Integer { shift: 0, bits: size as u32 * 8, signed: true };
            let wide = number.widen(&value.to_le_bytes()[..size], size, 8).unwrap();
            prop_assert_eq!(i64::from_le_bytes(wide.try_into().unwrap()), value);
        }
    }

    #[test]
    fn types_hold_every_value_or_are_none() {
        let float = |fields| StoredNumber::Float(fields);
        assert_eq!(float(BRAIN).data_type(2), Some(DataType::Float32));
        assert_eq!(float(DOUBLE).data_type(8), Some(DataType::Float64));
        // A wider exponent, a longer mantissa, values below the least, parts that overlap, one byte.
        assert_eq!(float(FloatFields { exponent: (7, 8), ..SINGLE }).data_type(4), None);
        let wide = FloatFields { exponent: (20, 11), mantissa: (0, 20), bias: 1023, sign: 31 };
        assert_eq!(float(wide).data_type(4), Some(DataType::Float64));
        assert_eq!(float(FloatFields { bias: 1024, ..DOUBLE }).data_type(8), None);
        assert_eq!(float(FloatFields { bias: 128, ..SINGLE }).data_type(4), Some(DataType::Float64));
        assert_eq!(float(FloatFields { sign: 3, ..BRAIN }).data_type(2), None);
        assert_eq!(float(FloatFields { exponent: (3, 4), mantissa: (0, 3), bias: 7, sign: 7 }).data_type(1), None);
        assert_eq!(float(DOUBLE).data_type(16), None);
        let integer = StoredNumber::Integer { shift: 0, bits: 24, signed: false };
        assert_eq!(
            [3, 5, 9].map(|size| integer.data_type(size)),
            [Some(DataType::UInt32), Some(DataType::UInt64), None]
        );
    }
}
