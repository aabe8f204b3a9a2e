//! Element types of stored arrays, after byte order is normalised to little-endian.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::swap::Swap;
use super::time::TimeStep;

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
    /// Bytes of variable length; zarr chunks decode to them.
    Binary,
    /// Sequences of variable length. In an HDF5 chunk an element is a reference as of
    /// [`DataType::String`] whose length counts elements; those lie in the heap as they are stored.
    List {
        /// Type of each element.
        element: Box<DataType>,
        /// What to reverse in one element of the heap to make it little-endian.
        swaps: Vec<Swap>,
    },
    /// Address of another object of an HDF5 file, 8 bytes; 0 and all ones lead nowhere.
    Reference,
    /// An integer whose values have names (HDF5's enumeration), held as the integer.
    Enumeration {
        /// The integer type.
        base: Box<DataType>,
        /// Names and values, as stored.
        members: Vec<(String, Number)>,
    },
    /// A moment as a signed number (8 bytes) of steps since 1970 (numpy's datetime64).
    Timestamp(TimeStep),
    /// A duration as a signed number (8 bytes) of steps (numpy's timedelta64).
    Duration(TimeStep),
    /// Named fields at byte offsets. Complex numbers are two floats `re` and `im`.
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
            Self::Reference | Self::Timestamp(_) | Self::Duration(_) => 8,
            Self::Enumeration { base, .. } => base.item_size(),
            Self::FixedString { length, .. } => *length as usize,
            Self::FixedUtf32 { length } => *length as usize * 4,
            Self::String | Self::Binary | Self::List { .. } => HEAP_REFERENCE_SIZE,
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

    /// Whether the size of an element in Arrow is not known from its type.
    pub fn is_variable(&self) -> bool {
        match self {
            Self::Binary | Self::List { .. } | Self::Reference => true,
            Self::Struct { fields, .. } => fields.iter().any(|field| field.data_type.is_variable()),
            Self::FixedArray { element, .. } => element.is_variable(),
            other => other.is_text(),
        }
    }

    /// Whether it is or holds sequences of variable length.
    pub fn has_lists(&self) -> bool {
        match self {
            Self::List { .. } => true,
            Self::Struct { fields, .. } => fields.iter().any(|field| field.data_type.has_lists()),
            Self::FixedArray { element, .. } => element.has_lists(),
            _ => false,
        }
    }

    /// A struct of the same size with the one field called `name`; any other type as it is.
    #[must_use]
    pub fn only(&self, name: &str) -> Self {
        match self {
            Self::Struct { size, fields } => {
                let fields = fields.iter().filter(|field| field.name == name).cloned().collect();
                Self::Struct { size: *size, fields }
            }
            other => other.clone(),
        }
    }

    /// Whether it is or holds texts of variable length.
    pub fn has_texts(&self) -> bool {
        match self {
            Self::String => true,
            Self::Struct { fields, .. } => fields.iter().any(|field| field.data_type.has_texts()),
            Self::FixedArray { element, .. } => element.has_texts(),
            _ => false,
        }
    }

    /// Bits of a complex number: two floats `re` and `im` back to back.
    fn complex_bits(&self) -> Option<usize> {
        let Self::Struct { fields, .. } = self else { return None };
        let [re, im] = fields.as_slice() else { return None };
        let float = matches!(re.data_type, Self::Float16 | Self::Float32 | Self::Float64);
        let named = re.name == "re" && im.name == "im" && re.data_type == im.data_type;
        (float && named).then(|| re.data_type.item_size() * 16)
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
            Self::Binary => "bytes".into(),
            Self::List { element, .. } => format!("list[{}]", element.name()),
            Self::Reference => "object reference".into(),
            Self::Enumeration { base, members } => {
                let shown: Vec<_> = members.iter().take(8).map(|(name, value)| format!("{name}: {value}")).collect();
                let more = if members.len() > shown.len() { ", …" } else { "" };
                format!("enum{{{}{more}}} of {}", shown.join(", "), base.name())
            }
            Self::Timestamp(step) => format!("datetime64[{}]", step.name()),
            Self::Duration(step) => format!("timedelta64[{}]", step.name()),
            Self::Struct { fields, .. } => {
                if let Some(bits) = self.complex_bits() {
                    return format!("complex{bits}");
                }
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
