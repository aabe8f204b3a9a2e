//! A chunk of blosc2: its header, and its blocks, which are compressed, plain or all of one value.

use super::super::damaged;
use super::block::{Blocks, WORD, Workspace};
use super::codec::Codec;
use super::{NAME, field, filters, refused};
use crate::error::Result;

/// Bytes of the header of every chunk that is read.
pub(super) const HEADER: usize = 32;
/// Format versions that are read: of the first release of blosc2 on. The later one tells of blocks of
/// variable length, which have a flag of their own.
const VERSIONS: std::ops::RangeInclusive<u8> = 5..=6;

/// Bytes of a block at most, as in the library.
const MAX_BLOCK: usize = 536_866_816;

/// In the flags: the header has filters of its own. Chunks of blosc 1 do not.
const IS_EXTENDED: u8 = 0x01 | 0x04;
const IS_PLAIN: u8 = 0x02;
const IS_NOT_SPLIT: u8 = 0x10;
const VARIABLE_BLOCKS: u8 = 0x01;
const DICTIONARY: u8 = 0x01;
const LARGER_HEADER: u8 = 0x02;
const CODEC_ELSEWHERE: u8 = 0x04;
const LAZY: u8 = 0x08;
const INSTRUMENTED: u8 = 0x80;

/// What is not a number, as blosc2 fills it in.
const NAN_32: [u8; 4] = 0x7fc0_0000_u32.to_le_bytes();
const NAN_64: [u8; 8] = 0x7ff8_0000_0000_0000_u64.to_le_bytes();

/// A chunk whose header makes sense.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// Bytes before compression.
    pub(super) plain_bytes: usize,
    /// Bytes of each block but the last, before compression.
    block_bytes: usize,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    /// This value again and again.
    Repeated(&'a [u8]),
    Plain(&'a [u8]),
    Compressed(Blocks<'a>),
}

impl<'a> Chunk<'a> {
    /// The chunk at the start of `bytes`; what is behind it is left alone.
    ///
    /// # Errors
    /// `DataLoss` when the header contradicts itself or the chunk is cut off, `Unimplemented` for what is
    /// refused by name.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let [version, _, flags, element_size] = field(bytes, 0)?;
        if !VERSIONS.contains(&version) || flags & IS_EXTENDED != IS_EXTENDED {
            return Err(refused(format_args!("a chunk of format version {version} with the flags {flags:#04x}")));
        }
        let [plain_bytes, block_bytes, stored] = [field(bytes, 4)?, field(bytes, 8)?, field(bytes, 12)?].map(size);
        let found = bytes.len();
        let chunk = bytes
            .get(..stored)
            .filter(|chunk| chunk.len() >= HEADER)
            .ok_or_else(|| damaged(NAME, format_args!("a chunk of {stored} bytes, expected {HEADER} to {found}")))?;
        if element_size == 0 || (block_bytes == 0 && plain_bytes > 0) || block_bytes > MAX_BLOCK {
            return Err(damaged(NAME, format_args!("elements of {element_size} bytes in blocks of {block_bytes}")));
        }
        let block_bytes = block_bytes.min(plain_bytes);
        let special = special(chunk)?;
        let element_size = usize::from(element_size);
        let content = match special {
            Special::None if flags & IS_PLAIN == 0 => {
                Content::Compressed(compressed(chunk, plain_bytes, block_bytes, element_size)?)
            }
            Special::None => {
                let stored = chunk.get(HEADER..).unwrap_or_default();
                if stored.len() != plain_bytes {
                    let length = stored.len();
                    return Err(damaged(NAME, format_args!("{length} plain bytes, expected {plain_bytes}")));
                }
                Content::Plain(stored)
            }
            Special::Value => Content::Repeated(chunk.get(HEADER..).unwrap_or_default()),
            Special::NotNumbers => Content::Repeated(not_a_number(element_size)?),
            Special::Zeros => Content::Repeated(&[0]),
        };
        Ok(Self { plain_bytes, block_bytes, content })
    }

    /// `plain_bytes` of zeros.
    pub(super) fn zeros(plain_bytes: usize) -> Self {
        Self { plain_bytes, block_bytes: plain_bytes, content: Content::Repeated(&[0]) }
    }

    /// `plain_bytes` of elements that are not numbers.
    ///
    /// # Errors
    /// `DataLoss` when elements of `element_size` bytes are no floats.
    pub(super) fn not_numbers(plain_bytes: usize, element_size: usize) -> Result<Self> {
        Ok(Self { content: Content::Repeated(not_a_number(element_size)?), ..Self::zeros(plain_bytes) })
    }

    /// Whether it is made of blocks of `bytes`, as far as it is made of blocks.
    pub(super) fn has_blocks_of(&self, bytes: usize) -> bool {
        self.block_bytes == bytes || matches!(self.content, Content::Repeated(_))
    }

    /// Fills `place`, which is as long as the chunk.
    ///
    /// # Errors
    /// `DataLoss` when a block is damaged.
    pub(super) fn decode(&self, place: &mut [u8], workspace: &mut Workspace) -> Result<()> {
        if let Content::Repeated(_) = self.content {
            return self.decode_block(0, place, workspace);
        }
        for (number, place) in place.chunks_mut(self.block_bytes.max(1)).enumerate() {
            self.decode_block(number, place, workspace)?;
        }
        Ok(())
    }

    /// Fills `place` with block `number`. The first block has to be decoded before any other.
    ///
    /// # Errors
    /// `DataLoss` when the block is damaged or holds another number of bytes.
    pub(super) fn decode_block(&self, number: usize, place: &mut [u8], workspace: &mut Workspace) -> Result<()> {
        match &self.content {
            Content::Compressed(blocks) => return blocks.decode(number, place, workspace),
            Content::Plain(stored) => {
                let start = number.saturating_mul(self.block_bytes);
                let stored = stored.get(start..start.saturating_add(place.len())).ok_or_else(|| {
                    damaged(NAME, format_args!("block {number} of {} bytes is not there", place.len()))
                })?;
                place.copy_from_slice(stored);
            }
            Content::Repeated(value) => {
                if place.len().checked_rem(value.len()) != Some(0) {
                    let (length, value) = (place.len(), value.len());
                    return Err(damaged(NAME, format_args!("{length} bytes of values of {value} bytes")));
                }
                for place in place.chunks_exact_mut(value.len()) {
                    place.copy_from_slice(value);
                }
            }
        }
        Ok(())
    }
}

/// What all of a chunk may be.
enum Special {
    None,
    /// Zeros, or nobody wrote anything: libraries give what was in memory.
    Zeros,
    NotNumbers,
    Value,
}

/// What the second flags of `chunk` say of its values.
fn special(chunk: &[u8]) -> Result<Special> {
    let [other_flags, flags] = field(chunk, 30)?;
    if other_flags & VARIABLE_BLOCKS != 0 {
        return Err(refused("blocks of variable length"));
    }
    let names = [
        (DICTIONARY, "a dictionary"),
        (LARGER_HEADER, "a larger header"),
        (CODEC_ELSEWHERE, "a codec named outside of its chunk"),
        (LAZY, "a lazy chunk"),
        (INSTRUMENTED, "an instrumented codec"),
    ];
    if let Some((_, name)) = names.iter().find(|(flag, _)| flags & flag != 0) {
        return Err(refused(name));
    }
    match flags >> 4 & 7 {
        0 => Ok(Special::None),
        1 | 4 => Ok(Special::Zeros),
        2 => Ok(Special::NotNumbers),
        3 => Ok(Special::Value),
        other => Err(refused(format_args!("special values {other}"))),
    }
}

fn compressed(chunk: &[u8], plain_bytes: usize, block_bytes: usize, element_size: usize) -> Result<Blocks<'_>> {
    let [flags] = field(chunk, 2)?;
    let [plugin] = field(chunk, 22)?;
    let blocks = plain_bytes.div_ceil(block_bytes.max(1));
    let needed = blocks.saturating_mul(WORD).saturating_add(HEADER);
    if needed > chunk.len() {
        let found = chunk.len();
        return Err(damaged(NAME, format_args!("a chunk of {found} bytes, expected {needed} for {blocks} blocks")));
    }
    Ok(Blocks {
        chunk,
        starts: HEADER,
        block_bytes,
        streams: if flags & IS_NOT_SPLIT == 0 { element_size } else { 1 },
        codec: Codec::of(flags >> 5, plugin)?,
        filters: filters::of(field(chunk, 16)?, field(chunk, 24)?, element_size)?,
    })
}

fn not_a_number(element_size: usize) -> Result<&'static [u8]> {
    match element_size {
        4 => Ok(&NAN_32),
        8 => Ok(&NAN_64),
        _ => Err(damaged(NAME, format_args!("elements of {element_size} bytes that are not numbers"))),
    }
}

/// A size of the header; one that is negative is larger than anything.
fn size(bytes: [u8; WORD]) -> usize {
    u32::from_le_bytes(bytes) as usize
}
