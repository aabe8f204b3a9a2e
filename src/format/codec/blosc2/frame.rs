//! The contiguous frame: a header in MessagePack, the chunks, a chunk of their offsets, and a trailer,
//! of which nothing is needed.

use super::super::{damaged, zeroed};
use super::array::{self, Axis};
use super::block::Workspace;
use super::chunk::Chunk;
use super::{NAME, field, refused};
use crate::error::Result;

/// What a frame starts with: an array, whose first element is a text of 8 bytes.
const ARRAY: u8 = 0x90;
const MAGIC: [u8; 9] = *b"\xa8b2frame\0";
/// Bytes of the header before the metalayers.
const FIXED_HEADER: usize = 87;
/// Format versions of frames: 1 of betas, 2 of releases, 3 where blocks of variable length occur.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;
const VARIABLE_CHUNKS: u8 = 0x40;
const VARIABLE_BLOCKS: u8 = 0x80;
/// Bytes of an offset.
const OFFSET: usize = 8;
/// Chunks of a frame however few bytes it holds, at most.
const FEW_CHUNKS: usize = 1024;
/// Metalayers of a frame at most, as in the library.
const MAX_METALAYERS: u16 = 16;

/// A frame whose header makes sense.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    header: &'a [u8],
    /// The chunks, one behind the other.
    chunks: &'a [u8],
    /// The chunk of offsets, and what is behind it.
    offsets: &'a [u8],
    /// Bytes of all chunks before compression.
    pub(super) plain_bytes: usize,
    /// Bytes of each chunk but the last, before compression.
    pub(super) chunk_bytes: usize,
    /// Bytes of an element.
    pub(super) item_bytes: usize,
}

impl<'a> Frame<'a> {
    /// Whether `bytes` are a frame, or one that is damaged at the start.
    pub(super) fn starts(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|first| first & 0xf0 == ARRAY) || bytes.get(1..10) == Some(&MAGIC)
    }

    /// The frame at the start of `bytes`; what is behind it is left alone.
    ///
    /// # Errors
    /// `DataLoss` when the header contradicts itself or the frame is cut off, `Unimplemented` for what is
    /// refused by name.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        if field(bytes, 1)? != MAGIC {
            return Err(damaged(NAME, "the chunk starts neither as a frame nor as a chunk of blosc2"));
        }
        let header_length = u32::from_be_bytes(marked(bytes, 10, 0xd2)?) as usize;
        let length = size(u64::from_be_bytes(marked(bytes, 15, 0xcf)?))?;
        let found = bytes.len();
        let bytes = bytes
            .get(..length)
            .ok_or_else(|| damaged(NAME, format_args!("a frame of {length} bytes, found {found}")))?;
        let (header, rest) =
            bytes.split_at_checked(header_length).filter(|(header, _)| header.len() >= FIXED_HEADER).ok_or_else(
                || damaged(NAME, format_args!("a header of {header_length} bytes in a frame of {length}")),
            )?;
        let flags: [u8; 4] = marked(header, 24, 0xa4)?;
        let plain_bytes = size(u64::from_be_bytes(marked(header, 29, 0xd3)?))?;
        check_flags(flags, plain_bytes)?;
        let stored = size(u64::from_be_bytes(marked(header, 38, 0xd3)?))?;
        let (chunks, offsets) = rest
            .split_at_checked(stored)
            .ok_or_else(|| damaged(NAME, format_args!("{stored} bytes of chunks in a frame of {length}")))?;
        let item_bytes = u32::from_be_bytes(marked(header, 47, 0xd2)?) as usize;
        let chunk_bytes = u32::from_be_bytes(marked(header, 57, 0xd2)?) as usize;
        if item_bytes == 0 || (chunk_bytes == 0 && plain_bytes > 0) {
            return Err(damaged(NAME, format_args!("elements of {item_bytes} bytes in chunks of {chunk_bytes}")));
        }
        Ok(Self { header, chunks, offsets, plain_bytes, chunk_bytes, item_bytes })
    }

    /// The axes of the array that the blocks are boxes of, or `None` when they are bytes in their order.
    ///
    /// # Errors
    /// `DataLoss` when the metalayers are damaged, `Unimplemented` for the array of a predecessor.
    pub(super) fn array(&self) -> Result<Option<Vec<Axis>>> {
        if u16::from_be_bytes(marked(self.header, 91, 0xde)?) > MAX_METALAYERS {
            return Err(damaged(NAME, "the header announces more metalayers than there may be"));
        }
        let mut at = 94;
        for _ in 0..u16::from_be_bytes(field(self.header, 92)?) {
            let [length] = field(self.header, at)?;
            if length & 0xe0 != 0xa0 {
                return Err(damaged(NAME, format_args!("the name of a metalayer starts with {length:#04x}")));
            }
            let end = at + 1 + usize::from(length & 0x1f);
            let name = self.header.get(at + 1..end).unwrap_or_default();
            let start = u32::from_be_bytes(marked(self.header, end, 0xd2)?) as usize;
            match name {
                b"b2nd" => return array::read(self.metalayer(start)?).map(Some),
                b"caterva" => return Err(refused("metalayer caterva")),
                _ => at = end + 5,
            }
        }
        Ok(None)
    }

    /// The content of the metalayer at byte `start` of the header.
    fn metalayer(&self, start: usize) -> Result<&'a [u8]> {
        let length = u32::from_be_bytes(marked(self.header, start, 0xc6)?) as usize;
        let start = start.saturating_add(5);
        self.header
            .get(start..start.saturating_add(length))
            .ok_or_else(|| damaged(NAME, format_args!("a metalayer of {length} bytes at byte {start} is cut off")))
    }

    /// Where each chunk lies, for [`Frame::chunk`]. `limit` bounds the memory for it.
    ///
    /// # Errors
    /// `DataLoss` when the chunk of offsets is damaged, or there are more than `limit` bytes of offsets.
    pub(super) fn offsets(&self, workspace: &mut Workspace, limit: usize) -> Result<Vec<i64>> {
        let count = self.plain_bytes.div_ceil(self.chunk_bytes.max(1));
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > (limit / OFFSET).max(FEW_CHUNKS) {
            let (plain, chunk) = (self.plain_bytes, self.chunk_bytes);
            return Err(damaged(NAME, format_args!("{plain} bytes in {count} chunks of {chunk}")));
        }
        let chunk = Chunk::read(self.offsets)?;
        if chunk.plain_bytes != count.saturating_mul(OFFSET) {
            let found = chunk.plain_bytes;
            return Err(damaged(NAME, format_args!("{found} bytes of offsets of {count} chunks")));
        }
        let mut plain = zeroed(chunk.plain_bytes)?;
        chunk.decode(&mut plain, workspace)?;
        let (offsets, _) = plain.as_chunks::<OFFSET>();
        Ok(offsets.iter().map(|offset| i64::from_le_bytes(*offset)).collect())
    }

    /// The chunk at `offset`, which holds `plain_bytes`.
    ///
    /// # Errors
    /// `DataLoss` when there is none, or one of another size.
    pub(super) fn chunk(&self, offset: i64, plain_bytes: usize) -> Result<Chunk<'a>> {
        let Ok(start) = usize::try_from(offset) else { return self.special(offset, plain_bytes) };
        let found = self.chunks.len();
        let bytes = self
            .chunks
            .get(start..)
            .ok_or_else(|| damaged(NAME, format_args!("a chunk at byte {start} of {found}")))?;
        let chunk = Chunk::read(bytes)?;
        if chunk.plain_bytes != plain_bytes {
            let found = chunk.plain_bytes;
            return Err(damaged(NAME, format_args!("a chunk of {found} bytes, expected {plain_bytes}")));
        }
        Ok(chunk)
    }

    /// The chunk that the upper byte of `offset` says all of.
    fn special(&self, offset: i64, plain_bytes: usize) -> Result<Chunk<'a>> {
        let [upper, ..] = offset.to_be_bytes();
        match upper & 0x7f {
            // Zeros, or nobody wrote anything: libraries give what was in memory.
            1 | 4 => Ok(Chunk::zeros(plain_bytes)),
            2 => Chunk::not_numbers(plain_bytes, self.item_bytes),
            other => Err(damaged(NAME, format_args!("a chunk of special values {other}"))),
        }
    }
}

fn check_flags([general, kind, ..]: [u8; 4], plain_bytes: usize) -> Result<()> {
    let version = general & 0x0f;
    if !VERSIONS.contains(&version) {
        return Err(refused(format_args!("a frame of format version {version}")));
    }
    if kind != 0 {
        return Err(refused(format_args!("a frame of type {kind}")));
    }
    // The library says so too when there are none.
    if general & VARIABLE_CHUNKS != 0 && plain_bytes > 0 {
        return Err(refused("chunks of variable length"));
    }
    if general & VARIABLE_BLOCKS != 0 {
        return Err(refused("blocks of variable length"));
    }
    Ok(())
}

/// The `LENGTH` bytes behind `marker`, which is at `at`.
pub(super) fn marked<const LENGTH: usize>(bytes: &[u8], at: usize, marker: u8) -> Result<[u8; LENGTH]> {
    let [found] = field(bytes, at)?;
    if found != marker {
        return Err(damaged(NAME, format_args!("byte {at} of the header is {found:#04x}, expected {marker:#04x}")));
    }
    field(bytes, at.saturating_add(1))
}

fn size(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| damaged(NAME, format_args!("a size of {value} bytes")))
}
