//! Datasets whose elements lie in other objects, in one piece after the other.
//!
//! libhdf5 opens such objects by itself, past its file drivers; here they are ranges like any other, of
//! objects that are named relative to the folder of the file.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::others::Others;
use crate::error::{Error, Result, ResultExt};

/// A part of the elements: the bytes of an object from `offset` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExternalPiece {
    /// Name of the object.
    pub(crate) name: String,
    /// First byte in it.
    pub(crate) offset: u64,
    /// Bytes; none for all that are left.
    pub(crate) length: Option<u64>,
}

/// The bytes of `range` of all pieces together. What lies behind the end of an object is zeros, as
/// libhdf5 has it.
///
/// # Errors
/// `NotFound` naming an object that is missing, `DataLoss` when the pieces are too short together,
/// `PermissionDenied` for names that lead out of the storage roots, and the errors of reading.
pub(crate) async fn read_external(others: &Others, pieces: &[ExternalPiece], range: Range<u64>) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    let mut start = 0_u64;
    for piece in pieces {
        let end = piece.length.map_or(u64::MAX, |length| start.saturating_add(length));
        let wanted = range.start.max(start)..range.end.min(end);
        if wanted.start < wanted.end {
            let from = piece.offset.saturating_add(wanted.start - start);
            let length = wanted.end - wanted.start;
            let read = read_piece(others, &piece.name, from, length).await;
            bytes.extend_from_slice(&read.with_context(|| format!("external data '{}'", piece.name))?);
        }
        start = end;
    }
    if bytes.len() as u64 == range.end.saturating_sub(range.start) {
        return Ok(bytes.freeze());
    }
    Err(Error::data_loss(format!("the external data has {start} bytes, expected at least {}", range.end)))
}

async fn read_piece(others: &Others, name: &str, from: u64, length: u64) -> Result<Bytes> {
    let found = others.open(name).await?;
    let found = found.ok_or_else(|| Error::not_found("there is no such object beside the file"))?;
    let size = found.reader.identity().size;
    let stored = from.min(size)..from.saturating_add(length).min(size);
    let read = found.reader.read(stored).await.inspect_err(|error| others.note(error))?;
    let length = usize::try_from(length).map_err(|_| Error::resource_exhausted("a piece does not fit in memory"))?;
    if read.len() == length {
        return Ok(read);
    }
    let mut whole = BytesMut::from(read.as_ref());
    whole.resize(length, 0);
    Ok(whole.freeze())
}
