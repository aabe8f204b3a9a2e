//! Element types of stored arrays, after byte order is normalised to little-endian.

use serde::{Deserialize, Serialize};

/// The type of one element of a stored array.
///
/// Fixed-size elements are held in memory as little-endian bytes of [`DataType::item_size`] each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// Signed integer of 1 byte.
    Int8,
    /// Signed integer of 2 bytes.
    Int16,
    /// Signed integer of 4 bytes.
    Int32,
    /// Signed integer of 8 bytes.
    Int64,
    /// Unsigned integer of 1 byte.
    UInt8,
    /// Unsigned integer of 2 bytes.
    UInt16,
    /// Unsigned integer of 4 bytes.
    UInt32,
    /// Unsigned integer of 8 bytes.
    UInt64,
    /// IEEE 754 binary16.
    Float16,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// One byte, 0 or 1 (the FALSE/TRUE enum of h5py, numpy's bool).
    Boolean,
    /// Text of `length` bytes, padded.
    FixedString {
        /// Bytes of one element.
        length: u32,
        /// How shorter texts are filled up.
        padding: Padding,
    },
    /// Text of `length` UCS-4 code points, little-endian, null-padded (numpy's `U`).
    FixedUtf32 {
        /// Code points of one element.
        length: u32,
    },
    /// UTF-8 text of variable length. In an HDF5 chunk an element is a [`HEAP_REFERENCE_SIZE`]-byte
    /// reference into a global heap; zarr chunks decode to the text itself.
    String,
    /// Named fields at byte offsets.
    Struct {
        /// Bytes of one element.
        size: u32,
        /// Fields in stored order.
        fields: Vec<StructField>,
    },
    /// A fixed number of elements in C order.
    FixedArray {
        /// Type of each element.
        element: Box<DataType>,
        /// Shape of the sub-array.
        dimensions: Vec<u64>,
    },
    /// Bytes without further meaning.
    Opaque {
        /// Bytes of one element.
        size: u32,
    },
    /// A type that is not served; reading it is refused with this description.
    Unsupported {
        /// What the type is, for the message.
        description: String,
        /// Bytes of one element as stored.
        size: u32,
    },
}

/// Bytes of a normalised heap reference: `u32` length, `u64` heap address, `u32` index.
pub const HEAP_REFERENCE_SIZE: usize = 16;

/// How a fixed-length text shorter than its field is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// Text ends at the first null byte.
    NullTerminated,
    /// Trailing null bytes are not text.
    NullPadded,
    /// Trailing spaces are not text.
    SpacePadded,
}

/// One field of a [`DataType::Struct`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructField {
    /// Name of the field.
    pub name: String,
    /// Byte offset within the element.
    pub offset: u32,
    /// Type of the field.
    pub data_type: DataType,
}

impl DataType {
    /// Bytes of one element in a decoded chunk (heap references for [`DataType::String`]).
    pub fn item_size(&self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 | Self::Boolean => 1,
            Self::Int16 | Self::UInt16 | Self::Float16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 => 8,
            Self::FixedString { length, .. } => *length as usize,
            Self::FixedUtf32 { length } => *length as usize * 4,
            Self::String => HEAP_REFERENCE_SIZE,
            Self::Struct { size, .. } | Self::Opaque { size } | Self::Unsupported { size, .. } => *size as usize,
            Self::FixedArray { element, dimensions } => {
                let count = dimensions.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
                usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(element.item_size())
            }
        }
    }

    /// Whether the type is a text, of fixed or variable length.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::FixedString { .. } | Self::FixedUtf32 { .. })
    }

    /// Whether the type is an integer (Boolean excluded).
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }

    /// The name shown to people, in numpy's words (`float32`, `int8`, `str`, `S16`).
    pub fn name(&self) -> String {
        match self {
            Self::Int8 => "int8".into(),
            Self::Int16 => "int16".into(),
            Self::Int32 => "int32".into(),
            Self::Int64 => "int64".into(),
            Self::UInt8 => "uint8".into(),
            Self::UInt16 => "uint16".into(),
            Self::UInt32 => "uint32".into(),
            Self::UInt64 => "uint64".into(),
            Self::Float16 => "float16".into(),
            Self::Float32 => "float32".into(),
            Self::Float64 => "float64".into(),
            Self::Boolean => "bool".into(),
            Self::FixedString { length, .. } => format!("S{length}"),
            Self::FixedUtf32 { length } => format!("U{length}"),
            Self::String => "str".into(),
            Self::Struct { fields, .. } => {
                let fields: Vec<_> =
                    fields.iter().map(|field| format!("{}: {}", field.name, field.data_type.name())).collect();
                format!("struct{{{}}}", fields.join(", "))
            }
            Self::FixedArray { element, dimensions } => format!("{}{dimensions:?}", element.name()),
            Self::Opaque { size } => format!("opaque{size}"),
            Self::Unsupported { description, .. } => description.clone(),
        }
    }
}
