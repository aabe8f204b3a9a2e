//! One global heap collection (format specification, section III.E): texts and sequences of variable
//! length that were written together.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use crate::error::{Error, Result};

/// Bytes that tell the size of a collection: signature, version, reserved, size of 8 bytes at most.
pub(crate) const COLLECTION_HEAD: usize = 16;
/// Bytes of one collection at most.
pub(crate) const MAX_COLLECTION_BYTES: u64 = 1 << 30;

/// A parsed collection.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    bytes: Bytes,
    objects: HashMap<u32, Range<usize>>,
}

/// A reference to a text or a sequence: which object of which collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeapReference {
    /// Bytes of the text, elements of the sequence; 0 for a null reference.
    pub(crate) length: u32,
    /// Address of the collection.
    pub(crate) address: u64,
    /// Number of the object in it.
    pub(crate) index: u32,
}

impl HeapReference {
    /// The reference in `bytes`: `u32` length, address of all but 8 bytes, `u32` index.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (address, index) = rest.split_last_chunk::<4>()?;
        // libhdf5 takes address 0 for null as well.
        let is_null = address.iter().all(|byte| *byte == 0xff) || address.iter().all(|byte| *byte == 0);
        let address = address.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let length = if is_null { 0 } else { u32::from_le_bytes(*length) };
        Some(Self { length, address, index: u32::from_le_bytes(*index) })
    }
}

/// Size of the collection that starts with `head`.
///
/// # Errors
/// `DataLoss` when there is no collection or its size makes no sense.
pub(crate) fn collection_size(head: &[u8], length_size: u8) -> Result<u64> {
    let (fixed, rest) =
        head.split_first_chunk::<8>().ok_or_else(|| Error::data_loss("a heap collection is cut off"))?;
    if !fixed.starts_with(b"GCOL") || fixed.get(4) != Some(&1) {
        return Err(Error::data_loss("no global heap collection of version 1"));
    }
    let size = number(rest, length_size)?;
    if size < COLLECTION_HEAD as u64 || size > MAX_COLLECTION_BYTES {
        return Err(Error::data_loss(format!("a heap collection of {size} bytes")));
    }
    Ok(size)
}

impl Collection {
    /// Finds the objects in the whole collection `bytes`.
    ///
    /// # Errors
    /// `DataLoss` when an object reaches out of the collection.
    pub(crate) fn parse(bytes: Bytes, length_size: u8) -> Result<Self> {
        let head = 8 + usize::from(length_size);
        let object_head = 8 + usize::from(length_size);
        let mut objects = HashMap::new();
        let mut at = head.next_multiple_of(8);
        while let Some(fields) = bytes.get(at..at.saturating_add(object_head)) {
            let index = number(fields, 2)?;
            if index == 0 {
                break;
            }
            let size = number(fields.get(8..).unwrap_or_default(), length_size)?;
            let start = (at + object_head).next_multiple_of(8);
            let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
            let end = end.filter(|end| *end <= bytes.len()).ok_or_else(|| {
                Error::data_loss(format!("heap object {index} of {size} bytes reaches out of its collection"))
            })?;
            objects.insert(index as u32, start..end);
            at = end.next_multiple_of(8);
        }
        Ok(Self { bytes, objects })
    }

    /// Bytes of memory, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.objects.len() * 32
    }

    /// The bytes that `reference` means, whose length counts elements of `size` bytes.
    ///
    /// # Errors
    /// `DataLoss` when there is no such object or it is shorter than the reference says.
    pub(crate) fn object(&self, reference: HeapReference, size: u64) -> Result<&[u8]> {
        let HeapReference { length, address, index } = reference;
        let object =
            self.objects.get(&index).and_then(|range| self.bytes.get(range.clone())).ok_or_else(|| {
                Error::data_loss(format!("the heap collection at {address:#x} has no object {index}"))
            })?;
        let bytes = u64::from(length).checked_mul(size).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.and_then(|bytes| object.get(..bytes)).ok_or_else(|| {
            Error::data_loss(format!(
                "object {index} of the heap collection at {address:#x} has {} bytes, its reference says {length} times {size}",
                object.len()
            ))
        })
    }
}

fn number(bytes: &[u8], size: u8) -> Result<u64> {
    let bytes = bytes.get(..usize::from(size)).ok_or_else(|| Error::data_loss("a heap collection is cut off"))?;
    Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}
