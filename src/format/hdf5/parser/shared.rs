//! Header messages that objects of a file share (format specification, sections III.F and IV.A.2.p): they lie
//! in heaps, one for some kinds of messages each.
//!
//! ```text
//! superblock ─▶ its extension's header ─▶ shared message table ─▶ the heap of the kind ─▶ the message's body
//! ```
//!
//! The indexes of such a table serve writers, who look for a message that is there already; readers have its
//! place in the heap.

use bytes::Bytes;
use hdf5_reader::fractal_heap::FractalHeap;
use hdf5_reader::superblock::Superblock;

use super::cursor::Cursor;
use super::header::{kind, unresolved};
use super::view::{View, metadata_checksum, parser_error};
use crate::error::{Error, Result};

/// Bytes that name a message in a heap.
pub(super) const IDENTIFIER_BYTES: usize = 8;
/// Bytes of an entry of the table, its two addresses apart.
const ENTRY_BYTES: usize = 14;

/// The body of the message of `kind` that `identifier` means.
pub(super) fn body(view: &View, kind: u16, identifier: &Bytes) -> Result<Bytes> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let heap = heap_of(view, kind)?;
    let failed = |error| parser_error(&error).context("shared message table");
    let heap = FractalHeap::parse_at_storage(view, heap, offset_size, length_size).map_err(failed)?;
    heap.get_object_storage(identifier, view, offset_size, length_size).map(Bytes::from).map_err(failed)
}

/// The address of the heap for messages of `kind`.
fn heap_of(view: &View, kind: u16) -> Result<u64> {
    let (address, count) = table(view)?;
    let address_size = usize::from(view.addressing.offset_size);
    let length = 4 + count * (ENTRY_BYTES + 2 * address_size);
    let bytes = view.read(address, length + 4)?;
    if !bytes.starts_with(b"SMTB") {
        return Err(Error::data_loss(format!("no shared message table at {address:#x}")));
    }
    if metadata_checksum(&bytes.slice(..length)) != Cursor::new(bytes.slice(length..)).u32()? {
        return Err(Error::data_loss(format!("the shared message table at {address:#x} fails its checksum")));
    }
    let mut cursor = Cursor::new(bytes.slice(4..length));
    for _ in 0..count {
        let version = cursor.u8()?;
        if version != 0 {
            return Err(Error::unimplemented(format!("shared message table with an index of version {version}")));
        }
        cursor.skip(1)?;
        let kinds = cursor.u16()?;
        cursor.skip(ENTRY_BYTES - 4 + address_size)?;
        let heap = cursor.address(view.addressing.offset_size)?;
        if u32::from(kinds) & flag(kind) != 0 {
            return heap.ok_or_else(|| Error::data_loss("a shared message without a heap"));
        }
    }
    Err(Error::data_loss(format!("the shared message table has no index for messages of kind {kind:#x}")))
}

/// The bit of a kind of messages in an entry; fill values of both kinds have one.
fn flag(kind: u16) -> u32 {
    let kind = if kind == kind::FILL_VALUE_OLD { kind::FILL_VALUE } else { kind };
    1_u32.checked_shl(u32::from(kind)).unwrap_or(0)
}

/// Address of the table and the number of its entries.
fn table(view: &View) -> Result<(u64, usize)> {
    let none = || Error::data_loss("a shared message in a file without a shared message table");
    let superblock = Superblock::parse_from_storage(view).map_err(|error| parser_error(&error))?;
    let extension = superblock.extension_address.ok_or_else(none)?;
    let messages = unresolved(view, extension)?;
    let message = messages.into_iter().find(|message| message.kind == kind::SHARED_TABLE).ok_or_else(none)?;
    let mut cursor = Cursor::new(message.body);
    let version = cursor.u8()?;
    if version != 0 {
        return Err(Error::unimplemented(format!("shared message table of version {version}")));
    }
    let address = cursor.address(view.addressing.offset_size)?.ok_or_else(none)?;
    Ok((address, usize::from(cursor.u8()?)))
}
