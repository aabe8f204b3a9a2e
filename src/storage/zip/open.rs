//! Reading the central directory of an archive, and keeping it as a record.
//!
//! A record is a version line, the CRC-32 of the rest (little-endian), where the directory starts, its
//! number of entries (8 bytes each), and the directory as it is in the archive. One of another version,
//! or a damaged one, is no record: the archive is read anew.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::directory::{Directory, MAX_DIRECTORY_BYTES};
use super::end::{self, LARGE_BYTES, Place, TAIL_BYTES};
use super::fields::eight;
use super::inflate::away;
use crate::error::{Error, Result};
use crate::model::index_store::IndexStore;
use crate::storage::reader::RangeReader;

/// Name of the record.
const NAME: &str = "zip/directory";
/// First bytes of a record.
const VERSION: &[u8] = b"zip directory 1\n";
/// Bytes of a directory that one request reads, at most.
const PIECE_BYTES: u64 = 8 << 20;
/// Requests for pieces of one directory at the same time.
const PIECES_IN_FLIGHT: usize = 4;

/// The directory of the archive, from its record or from its end.
///
/// # Errors
/// Those of [`super::ZipFolder::open`].
pub(super) async fn directory(reader: &dyn RangeReader, indexes: &dyn IndexStore) -> Result<Directory> {
    let identity = reader.identity().index_key();
    if let Some(record) = indexes.load(&identity, NAME).await? {
        let kept = away(move || decode(&record).and_then(|(place, bytes)| Directory::parse(bytes, &place).ok()));
        if let Some(directory) = kept.await? {
            return Ok(directory);
        }
    }
    let (place, bytes) = read(reader).await?;
    let (parsed, record) = {
        let (place, bytes) = (place.clone(), bytes.clone());
        away(move || (Directory::parse(&bytes, &place), encode(&place, &bytes))).await?
    };
    let directory = parsed?;
    indexes.save(&identity, NAME, record).await?;
    Ok(directory)
}

/// Where the directory lies, and its bytes.
async fn read(reader: &dyn RangeReader) -> Result<(Place, Bytes)> {
    let size = reader.identity().size;
    let tail_start = size.saturating_sub(TAIL_BYTES);
    let tail = reader.read(tail_start..size).await?;
    let (mut found, larger) = end::find(&tail, tail_start)?;
    if let Some(at) = larger {
        let range = at..at.saturating_add(LARGE_BYTES);
        if range.end > size {
            return Err(Error::data_loss(format!("it is damaged: its zip64 end record at byte {at} lies outside it")));
        }
        let record = match part(&tail, tail_start, &range) {
            Some(record) => record,
            None => reader.read(range).await?,
        };
        found = found.larger(&record, at)?;
    }
    let place = found.place()?;
    if let Some(bytes) = part(&tail, tail_start, &place.range) {
        return Ok((place, bytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(place.range.end - place.range.start).unwrap_or(0));
    let mut pieces = stream::iter(pieces(place.range.start..place.range.end.min(tail_start)))
        .map(|piece| reader.read(piece))
        .buffered(PIECES_IN_FLIGHT);
    while let Some(piece) = pieces.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    if let Some(rest) = part(&tail, tail_start, &(tail_start..place.range.end)) {
        bytes.extend_from_slice(&rest);
    }
    Ok((place, bytes.into()))
}

/// The bytes of `range` in `tail`, if it has them all.
fn part(tail: &Bytes, tail_start: u64, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start.checked_sub(tail_start)?).ok()?;
    let end = usize::try_from(range.end.checked_sub(tail_start)?).ok()?;
    (start <= end && end <= tail.len()).then(|| tail.slice(start..end))
}

fn pieces(range: Range<u64>) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = start.saturating_add(PIECE_BYTES).min(range.end);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

fn encode(place: &Place, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.len().saturating_add(16));
    body.extend_from_slice(&place.range.start.to_le_bytes());
    body.extend_from_slice(&place.entries.to_le_bytes());
    body.extend_from_slice(bytes);
    [VERSION, &libdeflater::crc32(&body).to_le_bytes(), &body].concat()
}

fn decode(record: &[u8]) -> Option<(Place, &[u8])> {
    let (sum, body) = record.strip_prefix(VERSION)?.split_first_chunk::<4>()?;
    if libdeflater::crc32(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (start, entries, bytes) = (eight(body, 0)?, eight(body, 8)?, body.get(16..)?);
    let length = bytes.len() as u64;
    let range = start..start.checked_add(length)?;
    (length <= MAX_DIRECTORY_BYTES).then_some((Place { range, entries }, bytes))
}
