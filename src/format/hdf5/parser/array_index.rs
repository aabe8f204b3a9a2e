//! What fixed and extensible arrays of chunks have in common: elements in runs of bytes that end with
//! a checksum, numbered over the greatest shape that the dataset may get.

use std::collections::HashMap;

use bytes::Bytes;

use super::chunk_index::{Indexed, StoredChunk};
use super::cursor::{Cursor, is_undefined};
use super::view::{View, metadata_checksum};
use crate::error::{Error, Result};

/// Bytes of the checksum behind a run.
pub(super) const CHECKSUM_BYTES: u64 = 4;

/// Bytes that are stored together, the checksum at their end included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) address: u64,
    pub(super) length: u64,
}

/// How one element is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    /// Bytes of an address.
    pub(super) offset_size: u8,
    /// Bytes of an element.
    pub(super) size: u64,
    /// Whether the chunk's size and filter mask follow its address.
    pub(super) filtered: bool,
}

impl Element {
    /// The element of `client` 0 (no filters) or 1 (filters).
    pub(super) fn of(client: u8, size: u8, offset_size: u8) -> Result<Self> {
        let fits = match client {
            0 => size == offset_size,
            1 => (offset_size + 5..=offset_size + 12).contains(&size),
            _ => false,
        };
        if !fits {
            return Err(Error::data_loss(format!("an array of chunks has elements of kind {client} and {size} bytes")));
        }
        Ok(Self { offset_size, size: u64::from(size), filtered: client == 1 })
    }

    /// The chunk stored at `at` of a run; none when it was never written.
    fn read(&self, run: &Bytes, at: u64, first: &[u64], chunk_bytes: u64) -> Result<Option<StoredChunk>> {
        let end = at.checked_add(self.size).and_then(|end| usize::try_from(end).ok());
        let bytes = end.filter(|end| *end <= run.len()).map(|end| run.slice(end - self.size as usize..end));
        let mut cursor = Cursor::new(bytes.ok_or_else(|| Error::data_loss("an array of chunks is cut off"))?);
        let address = cursor.unsigned(usize::from(self.offset_size))?;
        if is_undefined(address, self.offset_size) {
            return Ok(None);
        }
        let (mut length, mut filter_mask) = (chunk_bytes, 0);
        if self.filtered {
            length = cursor.unsigned(self.size as usize - usize::from(self.offset_size) - 4)?;
            filter_mask = cursor.u32()?;
        }
        Ok(Some(StoredChunk { first: first.to_vec(), address, length, filter_mask }))
    }
}

/// The chunks of `indexed` inside its shape. `place` tells in which run an element lies, and at which
/// byte of it; none for elements that were never written.
pub(super) fn array_chunks(
    view: &View,
    indexed: &Indexed,
    element: Element,
    unlimited_first: bool,
    mut place: impl FnMut(u64) -> Result<Option<(Run, u64)>>,
) -> Result<Vec<StoredChunk>> {
    let mut places: Vec<(Vec<u64>, Run, u64)> = Vec::new();
    let mut lengths: HashMap<u64, u64> = HashMap::new();
    let numbering = Numbering::new(indexed, unlimited_first);
    view.each(numbering.positions(), |position| {
        let Some((run, at)) = place(numbering.number(&position)?)? else { return Ok(()) };
        if *lengths.entry(run.address).or_insert(run.length) != run.length {
            return Err(Error::data_loss(format!("blocks of an array of chunks overlap at {:#x}", run.address)));
        }
        let first = position.iter().zip(&indexed.chunk_shape).map(|(at, chunk)| at.saturating_mul(*chunk)).collect();
        places.push((first, run, at));
        Ok(())
    })?;
    let read: HashMap<u64, Bytes> = view
        .each(lengths, |(address, length)| Ok((address, checked(view, Run { address, length })?)))?
        .into_iter()
        .collect();
    let mut chunks = Vec::with_capacity(places.len());
    for (first, run, at) in places {
        let bytes = read.get(&run.address).ok_or_else(|| Error::internal("a run of an array was not read"))?;
        chunks.extend(element.read(bytes, at, &first, indexed.chunk_bytes)?);
    }
    Ok(chunks)
}

/// The bytes of `run` before its checksum, which is verified.
pub(super) fn checked(view: &View, run: Run) -> Result<Bytes> {
    let bytes = view.read(run.address, usize::try_from(run.length).unwrap_or(usize::MAX))?;
    let end = bytes.len().checked_sub(CHECKSUM_BYTES as usize);
    let end = end.ok_or_else(|| Error::data_loss("a run of bytes without checksum"))?;
    let stored = Cursor::new(bytes.slice(end..)).u32()?;
    let covered = bytes.slice(..end);
    if metadata_checksum(&covered) != stored {
        return Err(Error::data_loss(format!("an array of chunks fails its checksum at {:#x}", run.address)));
    }
    Ok(covered)
}

/// Which element of an array belongs to which chunk: C order over the chunks of the greatest shape, for
/// an extensible array with the unlimited dimension first.
#[derive(Debug)]
pub(super) struct Numbering {
    grid: Vec<u64>,
    /// Elements between neighbours along each dimension; `None` when they do not fit in 64 bits.
    strides: Option<Vec<u64>>,
}

impl Numbering {
    pub(super) fn new(indexed: &Indexed, unlimited_first: bool) -> Self {
        let count = |length: u64, chunk: u64| length.div_ceil(chunk.max(1));
        let grid: Vec<u64> =
            indexed.shape.iter().zip(&indexed.chunk_shape).map(|(length, chunk)| count(*length, *chunk)).collect();
        let maximum = indexed.maximum.as_ref().filter(|maximum| maximum.len() == grid.len());
        let unlimited = |axis: &usize| maximum.is_some_and(|maximum| maximum.get(*axis) == Some(&u64::MAX));
        let mut order: Vec<usize> = (0..grid.len()).collect();
        if unlimited_first && let Some(axis) = order.iter().position(unlimited) {
            order.remove(axis);
            order.insert(0, axis);
        }
        let most = |axis: usize| {
            let (now, chunk) = (grid.get(axis).copied().unwrap_or(1), indexed.chunk_shape.get(axis).copied());
            let maximum = maximum.and_then(|maximum| maximum.get(axis)).filter(|length| **length != u64::MAX);
            maximum.map_or(now, |length| count(*length, chunk.unwrap_or(1)).max(now))
        };
        let mut strides = vec![0; grid.len()];
        let mut stride = Some(1_u64);
        let mut fits = true;
        for axis in order.into_iter().rev() {
            match (strides.get_mut(axis), stride) {
                (Some(place), Some(step)) => *place = step,
                _ => fits = false,
            }
            stride = stride.and_then(|step| step.checked_mul(most(axis)));
        }
        Self { strides: fits.then_some(strides), grid }
    }

    /// All positions of the grid, in C order.
    pub(super) fn positions(&self) -> impl Iterator<Item = Vec<u64>> + use<> {
        let grid = self.grid.clone();
        let mut next = (!grid.contains(&0)).then(|| vec![0_u64; grid.len()]);
        std::iter::from_fn(move || {
            let position = next.take()?;
            let mut following = position.clone();
            for (at, count) in following.iter_mut().zip(&grid).rev() {
                *at += 1;
                if *at < *count {
                    next = Some(following);
                    break;
                }
                *at = 0;
            }
            Some(position)
        })
    }

    /// The element of the chunk at `position`.
    pub(super) fn number(&self, position: &[u64]) -> Result<u64> {
        let strides = self.strides.iter().flatten();
        let number = position
            .iter()
            .zip(strides)
            .try_fold(0_u64, |number, (at, stride)| number.checked_add(at.checked_mul(*stride)?));
        number
            .filter(|_| self.strides.is_some())
            .ok_or_else(|| Error::data_loss(format!("the chunk at {position:?} has no number below 2^64")))
    }
}
