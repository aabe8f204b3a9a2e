//! The filters of a chunk, backwards over one block.

use super::super::{bitshuffle, damaged, shuffle};
use super::{NAME, refused};
use crate::error::Result;

/// Places for filters in the header of a chunk.
pub(super) const PLACES: usize = 6;

/// A filter that has something to undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Byte shuffle of elements of so many bytes.
    Shuffle(usize),
    /// Bit shuffle of elements of so many bytes; those behind the last multiple of 8 stay as they are.
    BitShuffle(usize),
    /// Exclusive or: in the first block with the element before, in others with the first block. Of
    /// words of so many bytes; bytes behind the last whole word stay as they are.
    Delta(usize),
}

/// The filters to undo of a chunk of elements of `element_size` bytes, in the order in which they were
/// applied.
///
/// # Errors
/// `Unimplemented` for any but the filters of blosc2 itself.
pub(super) fn of(numbers: [u8; PLACES], metas: [u8; PLACES], element_size: usize) -> Result<Vec<Filter>> {
    let mut filters = Vec::new();
    for (number, meta) in numbers.into_iter().zip(metas) {
        filters.push(match number {
            // What truncated precision took away does not come back.
            0 | 4 => continue,
            1 if meta == 0 => Filter::Shuffle(element_size),
            1 => Filter::Shuffle(usize::from(meta)),
            2 => Filter::BitShuffle(element_size),
            // It takes the first block as it was before all filters.
            3 if !filters.is_empty() => return Err(refused("filter delta behind another filter")),
            3 => Filter::Delta(word(element_size)),
            32 => return Err(refused("filter ndcell")),
            33 => return Err(refused("filter ndmean")),
            34 | 35 => return Err(refused("filter bytedelta")),
            36 => return Err(refused("filter int_trunc")),
            _ => return Err(refused(format_args!("filter {number} of a plugin"))),
        });
    }
    Ok(filters)
}

/// Bytes of the words that delta goes by.
fn word(element_size: usize) -> usize {
    match element_size {
        1 | 2 | 4 => element_size,
        size if size.is_multiple_of(8) => 8,
        _ => 1,
    }
}

/// Undoes `filters` on the block in `first`, with `second` of the same length as room; gives the one
/// that holds the result. `reference` is the first block, or none when this is it.
///
/// # Errors
/// `DataLoss` when the block is longer than `reference`.
pub(super) fn undo<'a>(
    filters: &[Filter],
    mut first: &'a mut [u8],
    mut second: &'a mut [u8],
    reference: Option<&[u8]>,
) -> Result<&'a mut [u8]> {
    for filter in filters.iter().rev() {
        match *filter {
            Filter::Shuffle(size) => shuffle::unshuffle_into(first, second, size),
            Filter::BitShuffle(size) => bitshuffle::unshuffle_whole(first, second, size),
            Filter::Delta(word) => {
                undo_delta(first, reference, word)?;
                continue;
            }
        }
        std::mem::swap(&mut first, &mut second);
    }
    Ok(first)
}

fn undo_delta(block: &mut [u8], reference: Option<&[u8]>, word: usize) -> Result<()> {
    let whole = block.len() - block.len() % word;
    let found = block.len();
    let block = block.get_mut(..whole).unwrap_or_default();
    let Some(reference) = reference else {
        let mut before = [0; 8];
        let before = before.get_mut(..word).unwrap_or_default();
        for word in block.chunks_exact_mut(word) {
            for (byte, before) in word.iter_mut().zip(before.iter_mut()) {
                *byte ^= *before;
                *before = *byte;
            }
        }
        return Ok(());
    };
    if reference.len() < block.len() {
        let length = reference.len();
        return Err(damaged(NAME, format_args!("a block of {found} bytes refers to a first one of {length}")));
    }
    for (byte, reference) in block.iter_mut().zip(reference) {
        *byte ^= reference;
    }
    Ok(())
}
