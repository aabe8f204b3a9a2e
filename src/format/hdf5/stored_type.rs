//! Element types as HDF5 stores them, and what they become in memory.
//!
//! Knows sizes, byte orders and names; reads no file. The parser makes it, the tree and the decoder
//! are made from it.

use serde_json::Number;

use super::number::StoredNumber;
use crate::error::{Error, Result};
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE, Padding, StructField};
pub(crate) use crate::model::swap::{Narrow, Swap};

/// A stored element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredType {
    Integer {
        size: u32,
        signed: bool,
        big_endian: bool,
    },
    /// An integer of which only `bits` bits from bit `shift` on count.
    PackedInteger {
        size: u32,
        signed: bool,
        big_endian: bool,
        shift: u32,
        bits: u32,
    },
    Float {
        size: u32,
        big_endian: bool,
    },
    /// A number that is served as a wider one.
    Other {
        size: u32,
        big_endian: bool,
        number: StoredNumber,
    },
    Boolean,
    FixedText {
        length: u32,
        padding: Padding,
    },
    VariableText {
        size: u32,
    },
    Sequence {
        size: u32,
        element: Box<StoredType>,
    },
    ObjectReference {
        size: u32,
    },
    Enumeration {
        base: Box<StoredType>,
        members: Vec<(String, Number)>,
    },
    /// numpy's datetime64 or timedelta64 in an opaque type that h5py marks.
    Time {
        data_type: DataType,
        big_endian: bool,
    },
    Compound {
        size: u32,
        fields: Vec<StoredField>,
    },
    Array {
        element: Box<StoredType>,
        dimensions: Vec<u64>,
    },
    Opaque {
        size: u32,
    },
    Unsupported {
        description: String,
        size: u32,
        /// Whether libhdf5 converts it to a type that holds each value exactly.
        convertible: bool,
    },
}

/// A field of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredField {
    pub(crate) name: String,
    pub(crate) offset: u32,
    pub(crate) stored: StoredType,
}

/// Swaps of one element at most; a type with more is not served.
const MAX_SWAPS: usize = 65_536;

impl StoredType {
    /// Bytes of one element in the file, if the number makes sense.
    pub(crate) fn size(&self) -> Result<u64> {
        Ok(match self {
            Self::Boolean => 1,
            Self::Time { .. } => 8,
            Self::Enumeration { base, .. } => base.size()?,
            Self::FixedText { length, .. } => u64::from(*length),
            Self::Integer { size, .. }
            | Self::PackedInteger { size, .. }
            | Self::Float { size, .. }
            | Self::Other { size, .. }
            | Self::VariableText { size }
            | Self::Sequence { size, .. }
            | Self::ObjectReference { size }
            | Self::Compound { size, .. }
            | Self::Opaque { size }
            | Self::Unsupported { size, .. } => u64::from(*size),
            Self::Array { element, dimensions } => dimensions
                .iter()
                .try_fold(element.size()?, |total, length| total.checked_mul(*length))
                .filter(|size| *size <= u64::from(u32::MAX))
                .ok_or_else(|| Error::data_loss(format!("an array type of {dimensions:?} elements is too large")))?,
        })
    }

    /// The type in memory. What cannot be served becomes `Unsupported` with its reason.
    pub(crate) fn data_type(&self) -> DataType {
        match self.try_data_type(false) {
            Ok(data_type) => data_type,
            Err(description) => {
                let size = self.size().ok().and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
                DataType::Unsupported { description, size }
            }
        }
    }

    fn try_data_type(&self, nested: bool) -> Result<DataType, String> {
        Ok(match self {
            Self::Integer { size: 1, signed: true, .. } => DataType::Int8,
            Self::Integer { size: 2, signed: true, .. } => DataType::Int16,
            Self::Integer { size: 4, signed: true, .. } => DataType::Int32,
            Self::Integer { size: 8, signed: true, .. } => DataType::Int64,
            Self::Integer { size: 1, .. } => DataType::UInt8,
            Self::Integer { size: 2, .. } => DataType::UInt16,
            Self::Integer { size: 4, .. } => DataType::UInt32,
            Self::Integer { size: 8, .. } => DataType::UInt64,
            Self::Integer { size, .. } => return Err(format!("integer of {size} bytes")),
            Self::PackedInteger { size, signed, big_endian, .. } => {
                Self::Integer { size: *size, signed: *signed, big_endian: *big_endian }.try_data_type(nested)?
            }
            Self::Float { size: 2, .. } => DataType::Float16,
            Self::Float { size: 4, .. } => DataType::Float32,
            Self::Float { size: 8, .. } => DataType::Float64,
            Self::Float { size, .. } => return Err(format!("float of {size} bytes")),
            Self::Other { size, number, .. } if nested => {
                return Err(format!("{} in another type", number.described(*size)));
            }
            Self::Other { size, number, .. } => number.data_type(*size).ok_or_else(|| number.described(*size))?,
            Self::Boolean => DataType::Boolean,
            Self::FixedText { length, padding } => DataType::FixedString { length: *length, padding: *padding },
            Self::VariableText { size } | Self::Sequence { size, .. }
                if nested && *size as usize != HEAP_REFERENCE_SIZE =>
            {
                return Err("variable-length data in another type, in a file without 8-byte addresses".into());
            }
            Self::VariableText { .. } => DataType::String,
            Self::Sequence { element, .. } => {
                let swaps = element.swaps().map_err(|error| error.message().to_owned())?;
                let named = |reason| format!("variable-length sequence of {reason}");
                let narrows = element.narrows().map_err(|error| error.message().to_owned())?;
                if !narrows.is_empty() {
                    return Err(named("integers with unused bits".to_owned()));
                }
                DataType::List { element: Box::new(element.try_data_type(true).map_err(named)?), swaps }
            }
            Self::ObjectReference { size } if nested && *size as usize != DataType::Reference.item_size() => {
                return Err("object reference in another type, in a file without 8-byte addresses".into());
            }
            Self::ObjectReference { .. } => DataType::Reference,
            Self::Enumeration { base, members } => {
                DataType::Enumeration { base: Box::new(base.try_data_type(nested)?), members: members.clone() }
            }
            Self::Time { data_type, .. } => data_type.clone(),
            Self::Compound { size, fields } => {
                let fields = fields.iter().map(StoredField::in_memory).collect::<Result<Vec<_>, String>>()?;
                DataType::Struct { size: *size, fields }
            }
            Self::Array { element, dimensions } => {
                let element = Box::new(element.try_data_type(true)?);
                DataType::FixedArray { element, dimensions: dimensions.clone() }
            }
            Self::Opaque { size } => DataType::Opaque { size: *size },
            Self::Unsupported { description, .. } => return Err(description.clone()),
        })
        .and_then(|data_type| match self.swaps().and_then(|_| self.narrows()) {
            Ok(_) => Ok(data_type),
            Err(error) => Err(error.message().to_owned()),
        })
    }

    /// Whether libhdf5 gives the elements exactly, converted: `conversion` of the crate `hdf5-worker` says the
    /// same. Nothing of variable length, no references.
    pub(crate) fn is_convertible(&self) -> bool {
        match self {
            Self::Integer { .. }
            | Self::PackedInteger { .. }
            | Self::Float { .. }
            | Self::Boolean
            | Self::FixedText { .. }
            | Self::Time { .. }
            | Self::Opaque { .. } => true,
            Self::Other { size, number, .. } => number.data_type(*size).is_some(),
            Self::Enumeration { base, .. } => base.is_convertible(),
            Self::Compound { fields, .. } => fields.iter().all(|field| field.stored.is_convertible()),
            Self::Array { element, .. } => element.is_convertible(),
            Self::Unsupported { convertible, .. } => *convertible,
            Self::VariableText { .. } | Self::Sequence { .. } | Self::ObjectReference { .. } => false,
        }
    }

    /// How numbers that are served as wider ones are read.
    pub(crate) fn number(&self) -> Option<StoredNumber> {
        match self {
            Self::Other { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// What has to be reversed to make one stored element little-endian.
    ///
    /// # Errors
    /// `Unimplemented` when there is too much of it.
    pub(crate) fn swaps(&self) -> Result<Vec<Swap>> {
        let mut swaps = Vec::new();
        self.add_swaps(0, &mut swaps)?;
        Ok(swaps)
    }

    /// Integers of one element, in little-endian order, of which only some bits count.
    ///
    /// # Errors
    /// `Unimplemented` when there are too many.
    pub(crate) fn narrows(&self) -> Result<Vec<Narrow>> {
        let mut narrows = Vec::new();
        self.add_narrows(0, &mut narrows)?;
        Ok(narrows)
    }

    fn add_narrows(&self, offset: usize, narrows: &mut Vec<Narrow>) -> Result<()> {
        match self {
            Self::PackedInteger { size, signed, shift, bits, .. } => {
                let width = *size as usize;
                narrows.push(Narrow { offset, width, count: 1, shift: *shift, bits: *bits, signed: *signed });
            }
            Self::Compound { fields, .. } => {
                for field in fields {
                    field.stored.add_narrows(offset.saturating_add(field.offset as usize), narrows)?;
                }
            }
            Self::Array { element, .. } => {
                let inner = element.narrows()?;
                let size = usize::try_from(element.size()?).unwrap_or(usize::MAX);
                let count = usize::try_from(self.size()?).unwrap_or(usize::MAX).checked_div(size).unwrap_or(0);
                if inner.len().saturating_mul(count) > MAX_SWAPS {
                    return Err(too_many_swaps());
                }
                let starts = (0..if inner.is_empty() { 0 } else { count })
                    .map(|index| offset.saturating_add(index.saturating_mul(size)));
                narrows.extend(starts.flat_map(|start| {
                    inner.iter().map(move |narrow| Narrow { offset: start.saturating_add(narrow.offset), ..*narrow })
                }));
            }
            _ => {}
        }
        if narrows.len() > MAX_SWAPS { Err(too_many_swaps()) } else { Ok(()) }
    }

    fn add_swaps(&self, offset: usize, swaps: &mut Vec<Swap>) -> Result<()> {
        match self {
            Self::Integer { size, big_endian: true, .. }
            | Self::PackedInteger { size, big_endian: true, .. }
            | Self::Float { size, big_endian: true }
            | Self::Other { size, big_endian: true, .. }
                if *size > 1 =>
            {
                swaps.push(Swap { offset, width: *size as usize, count: 1 });
            }
            Self::Time { big_endian: true, .. } => swaps.push(Swap { offset, width: 8, count: 1 }),
            Self::Enumeration { base, .. } => base.add_swaps(offset, swaps)?,
            Self::Compound { fields, .. } => {
                for field in fields {
                    field.stored.add_swaps(offset.saturating_add(field.offset as usize), swaps)?;
                }
            }
            Self::Array { element, dimensions } => {
                let count = dimensions.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let size = usize::try_from(element.size()?).unwrap_or(usize::MAX);
                let mut inner = Vec::new();
                element.add_swaps(0, &mut inner)?;
                match inner.as_slice() {
                    [] => {}
                    [one] if one.width.saturating_mul(one.count) == size => {
                        let count = one.count.saturating_mul(count);
                        swaps.push(Swap { offset: offset.saturating_add(one.offset), width: one.width, count });
                    }
                    many if many.len().saturating_mul(count) <= MAX_SWAPS => {
                        swaps.extend((0..count).flat_map(|index| {
                            let start = offset.saturating_add(index.saturating_mul(size));
                            many.iter().map(move |swap| Swap { offset: start.saturating_add(swap.offset), ..*swap })
                        }));
                    }
                    _ => return Err(too_many_swaps()),
                }
            }
            _ => {}
        }
        if swaps.len() > MAX_SWAPS { Err(too_many_swaps()) } else { Ok(()) }
    }
}

impl StoredField {
    fn in_memory(&self) -> Result<StructField, String> {
        let data_type = self
            .stored
            .try_data_type(true)
            .map_err(|reason| format!("compound with field '{}': {reason}", self.name))?;
        Ok(StructField { name: self.name.clone(), offset: self.offset, data_type })
    }
}

fn too_many_swaps() -> Error {
    Error::unimplemented(format!("big-endian compound with more than {MAX_SWAPS} numbers"))
}
