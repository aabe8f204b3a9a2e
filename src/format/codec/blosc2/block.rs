//! One compressed block of a chunk: its streams through the codec, then the filters backwards.

use super::super::{damaged, zeroed};
use super::codec::{Codec, Decoders};
use super::filters::{self, Filter};
use super::{NAME, field, refused};
use crate::error::Result;

/// Bytes of a size or an offset inside a chunk.
pub(super) const WORD: usize = 4;
/// The bit of the token of a stream by which the stream is one byte, repeated.
const IS_RUN: u8 = 1;

/// What is needed again for the next block.
#[derive(Default)]
pub(super) struct Workspace {
    decoders: Decoders,
    first: Vec<u8>,
    second: Vec<u8>,
    /// The first block of the chunk, where a filter refers to it.
    reference: Vec<u8>,
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self::default()
    }
}

/// The blocks of a chunk that is compressed.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    /// The chunk, header included: offsets count from there.
    pub(super) chunk: &'a [u8],
    /// Where the offsets of the blocks start in it.
    pub(super) starts: usize,
    /// Bytes of each block but the last, before compression.
    pub(super) block_bytes: usize,
    /// Streams of each whole block, 1 when it is not split.
    pub(super) streams: usize,
    pub(super) codec: Codec,
    pub(super) filters: Vec<Filter>,
}

impl Blocks<'_> {
    /// Fills `place` with block `number`. The first block has to be decoded before any other.
    ///
    /// # Errors
    /// `DataLoss` when the block is damaged or holds another number of bytes.
    pub(super) fn decode(&self, number: usize, place: &mut [u8], workspace: &mut Workspace) -> Result<()> {
        let Workspace { decoders, first, second, reference } = workspace;
        if self.filters.is_empty() {
            return self.decode_streams(number, place, decoders);
        }
        let first = room(first, place.len())?;
        let second = room(second, place.len())?;
        self.decode_streams(number, first, decoders)?;
        let is_first = number == 0;
        let plain = filters::undo(&self.filters, first, second, (!is_first).then_some(reference))?;
        place.copy_from_slice(plain);
        if is_first && self.filters.iter().any(|filter| matches!(filter, Filter::Delta(_))) {
            *reference = zeroed(place.len())?;
            reference.copy_from_slice(place);
        }
        Ok(())
    }

    fn decode_streams(&self, number: usize, place: &mut [u8], decoders: &mut Decoders) -> Result<()> {
        let at = self.starts.saturating_add(number.saturating_mul(WORD));
        let start = u32::from_le_bytes(field(self.chunk, at)?) as usize;
        let mut rest = self.chunk.get(start..).ok_or_else(|| {
            damaged(NAME, format_args!("block {number} starts at byte {start} of {}", self.chunk.len()))
        })?;
        // The last block is not split when it is shorter.
        let streams = if place.len() == self.block_bytes { self.streams } else { 1 };
        if place.is_empty() || !place.len().is_multiple_of(streams) {
            return Err(damaged(NAME, format_args!("a block of {} bytes in {streams} streams", place.len())));
        }
        for stream in place.chunks_exact_mut(place.len() / streams) {
            self.decode_stream(&mut rest, stream, decoders)?;
        }
        Ok(())
    }

    /// Fills `place` with the stream at the start of `rest`, and moves on to what is behind it.
    fn decode_stream(&self, rest: &mut &[u8], place: &mut [u8], decoders: &mut Decoders) -> Result<()> {
        let size = i32::from_le_bytes(field(rest, 0)?);
        *rest = rest.get(WORD..).unwrap_or_default();
        match usize::try_from(size) {
            Ok(0) => place.fill(0),
            Ok(size) => {
                let found = rest.len();
                let (stream, tail) = rest.split_at_checked(size).ok_or_else(|| {
                    damaged(NAME, format_args!("a stream of {size} bytes is cut off, {found} are left"))
                })?;
                *rest = tail;
                if size == place.len() {
                    place.copy_from_slice(stream);
                } else {
                    decoders.decode(self.codec, stream, place)?;
                }
            }
            Err(_) => {
                let [token] = field(rest, 0)?;
                *rest = rest.get(1..).unwrap_or_default();
                if token & IS_RUN == 0 {
                    return Err(refused(format_args!("a stream with the token {token:#04x}")));
                }
                let value = u8::try_from(size.unsigned_abs())
                    .map_err(|_| damaged(NAME, format_args!("a run of a byte {}", size.unsigned_abs())))?;
                place.fill(value);
            }
        }
        Ok(())
    }
}

/// `length` bytes of `buffer`, which grows when it has to.
fn room(buffer: &mut Vec<u8>, length: usize) -> Result<&mut [u8]> {
    if buffer.len() < length {
        *buffer = zeroed(length)?;
    }
    Ok(buffer.get_mut(..length).unwrap_or_default())
}
