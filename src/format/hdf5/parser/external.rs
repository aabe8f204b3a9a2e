//! The message that names the objects with the elements of a dataset.

use bytes::Bytes;
use hdf5_reader::local_heap::LocalHeap;

use super::cursor::{Cursor, text};
use super::link::heap_name;
use super::view::{View, parser_error};
use crate::error::{Error, Result};
use crate::format::hdf5::external::ExternalPiece;

/// The pieces in the body of an external data files message.
pub(super) fn pieces(view: &View, body: &Bytes) -> Result<Vec<ExternalPiece>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let mut cursor = Cursor::new(body.clone());
    let version = cursor.u8()?;
    if version != 1 {
        return Err(Error::unimplemented(format!("external data files message version {version}")));
    }
    cursor.skip(5)?;
    let used = cursor.u16()?;
    let address = cursor.address(offset_size)?;
    let address = address.ok_or_else(|| Error::data_loss("external data files without names"))?;
    let heap = LocalHeap::parse_at_storage(view, address, offset_size, length_size);
    let heap = heap.map_err(|error| parser_error(&error))?;
    let names = view.read(heap.data_segment_address, usize::try_from(heap.data_segment_size).unwrap_or(usize::MAX))?;
    let unlimited = u64::MAX >> (64 - 8 * u32::from(length_size).clamp(1, 8));
    let mut pieces = Vec::with_capacity(usize::from(used));
    for _ in 0..used {
        let name = text(heap_name(&names, cursor.unsigned(usize::from(length_size))?)?)?;
        let offset = cursor.unsigned(usize::from(length_size))?;
        let length = cursor.unsigned(usize::from(length_size))?;
        pieces.push(ExternalPiece { name, offset, length: Some(length).filter(|length| *length != unlimited) });
    }
    Ok(pieces)
}
