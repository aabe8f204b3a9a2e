//! Numbers of numpy's types: their byte order and numpy's conversions between them. Pure.

use half::f16;

use crate::error::{Error, Result};

/// A numpy type of numbers and its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberType {
    pub(super) kind: NumberKind,
    /// Bytes of one number: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) big_endian: bool,
}

/// What numbers of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Signed,
    Unsigned,
    Float,
}

/// One number. Every number of every type is one without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

impl NumberType {
    /// The type of a numpy type string (`<i4`) or name (`int32`).
    ///
    /// # Errors
    /// `Unimplemented` naming a type that is none of numbers.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refused = || Error::unimplemented(format!("numbers of type '{text}' are not supported"));
        let (big_endian, rest) = match text.as_bytes().first() {
            Some(b'>') => (true, &text[1..]),
            Some(b'<' | b'|' | b'=') => (false, &text[1..]),
            _ => (false, text),
        };
        let split = rest.find(|character: char| character.is_ascii_digit()).ok_or_else(refused)?;
        let (name, digits) = rest.split_at(split);
        let number: usize = digits.parse().map_err(|_| refused())?;
        let (kind, size) = match name {
            "i" => (NumberKind::Signed, number),
            "u" => (NumberKind::Unsigned, number),
            "f" => (NumberKind::Float, number),
            "int" => (NumberKind::Signed, number / 8),
            "uint" => (NumberKind::Unsigned, number / 8),
            "float" => (NumberKind::Float, number / 8),
            _ => return Err(refused()),
        };
        match (kind, size) {
            (NumberKind::Float, 2 | 4 | 8) | (NumberKind::Signed | NumberKind::Unsigned, 1 | 2 | 4 | 8) => {
                Ok(Self { kind, size, big_endian: big_endian && size > 1 })
            }
            _ => Err(refused()),
        }
    }

    pub(super) fn is_float(self) -> bool {
        self.kind == NumberKind::Float
    }

    /// The number in `bytes`, which are as many as one has.
    pub(super) fn read(self, bytes: &[u8]) -> Number {
        let mut ordered = [0_u8; 8];
        for (place, byte) in ordered.iter_mut().zip(bytes) {
            *place = *byte;
        }
        let raw = if self.big_endian {
            u64::from_be_bytes(ordered) >> (8 * (8 - self.size.min(8)))
        } else {
            u64::from_le_bytes(ordered)
        };
        let unused = 8 * (8 - self.size.min(8)) as u32;
        match (self.kind, self.size) {
            (NumberKind::Unsigned, _) => Number::Integer(i128::from(raw)),
            (NumberKind::Signed, _) => Number::Integer(i128::from((raw << unused).cast_signed() >> unused)),
            (NumberKind::Float, 2) => Number::Float(f64::from(f16::from_bits(raw as u16))),
            (NumberKind::Float, 4) => Number::Float(f64::from(f32::from_bits(raw as u32))),
            (NumberKind::Float, _) => Number::Float(f64::from_bits(raw)),
        }
    }

    /// Writes `number`, converted to this type, to the end of `bytes`.
    ///
    /// # Errors
    /// `DataLoss` for a float that has no integer of this type: what numpy makes of it differs by machine.
    pub(super) fn write(self, number: Number, bytes: &mut Vec<u8>) -> Result<()> {
        let raw = match (self.kind, number) {
            (NumberKind::Float, number) => self.float_bits(number),
            (_, Number::Integer(value)) => value as u64,
            (kind, Number::Float(value)) => {
                let whole = value.trunc();
                let bits = 8 * self.size as i32;
                let (least, above) = match kind {
                    NumberKind::Unsigned => (0.0, 2_f64.powi(bits)),
                    _ => (-(2_f64.powi(bits - 1)), 2_f64.powi(bits - 1)),
                };
                if !(whole >= least && whole < above) {
                    return Err(Error::data_loss(format!("{value} is no integer of {} bytes", self.size)));
                }
                whole as i128 as u64
            }
        };
        let little = raw.to_le_bytes();
        let used = little.get(..self.size).unwrap_or_default();
        if self.big_endian {
            bytes.extend(used.iter().rev());
        } else {
            bytes.extend_from_slice(used);
        }
        Ok(())
    }

    /// The bits of `number` as a float of this size, rounded as numpy rounds.
    fn float_bits(self, number: Number) -> u64 {
        match (self.size, number) {
            (2, Number::Integer(value)) => u64::from(f16::from_f32(value as f32).to_bits()),
            (2, Number::Float(value)) => u64::from(f16::from_f64(value).to_bits()),
            (4, Number::Integer(value)) => u64::from((value as f32).to_bits()),
            (4, Number::Float(value)) => u64::from((value as f32).to_bits()),
            (_, Number::Integer(value)) => (value as f64).to_bits(),
            (_, Number::Float(value)) => value.to_bits(),
        }
    }

    /// `number` as it is when it has gone through this type.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) fn through(self, number: Number) -> Result<Number> {
        let mut bytes = Vec::with_capacity(8);
        self.write(number, &mut bytes)?;
        Ok(self.read(&bytes))
    }
}

impl Number {
    /// As a float of 8 bytes.
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}
