//! Where the elements of one read collect: copied to their places, or in blocks as they were decoded.
//!
//! Sits between [`super::job`], which decodes, and [`super::scatter`], which copies.

use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};
use bytes::Bytes;

use super::array::{Order, Values};
use super::scatter::{Span, copy_elements, for_each_span, one_span};
use super::transpose::copy_transposed;
use crate::error::{Error, Result};
use crate::model::chunk::{Elements, TextBuffer};
use crate::model::tree::ArrayNode;
use crate::plan::tasks::ChunkTask;

/// Smaller blocks are copied: each becomes a batch, and messages of a few rows cost more than copying them.
const LEAST_BLOCK_BYTES: u64 = 1 << 20;

/// Alignment that every primitive type of Arrow is content with, and the largest of their sizes.
const ALIGNMENT: usize = 8;

/// Where gathered elements collect.
#[derive(Debug)]
pub(super) enum Output {
    Fixed {
        buffer: MutableBuffer,
        item: usize,
        order: Order,
    },
    Text {
        chunks: Vec<Arc<Elements>>,
        places: Vec<(u32, u32)>,
    },
    /// One for each task, in any order along the first dimension.
    Blocks {
        blocks: Vec<Block>,
        item: usize,
    },
}

/// Elements that lie in their chunk as they are asked for.
#[derive(Debug)]
pub(super) struct Block {
    span: Span,
    bytes: Bytes,
}

impl Output {
    /// For `tasks` that together make an answer of `shape`.
    pub(super) fn new(node: &ArrayNode, tasks: &[ChunkTask], shape: &[u64], texts: bool, order: Order) -> Result<Self> {
        let count = shape.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
        let count = if node.is_null { Some(0) } else { count };
        let item = node.data_type.item_size();
        let too_large = || Error::resource_exhausted("a window of the slice does not fit in memory");
        let count = usize::try_from(count.ok_or_else(too_large)?).map_err(|_| too_large())?;
        if texts && order == Order::Transposed {
            return Err(Error::unimplemented("a matrix of texts cannot be read transposed"));
        }
        if texts {
            return Ok(Self::Text { chunks: Vec::new(), places: vec![(u32::MAX, 0); count] });
        }
        if order == Order::Blocks
            && let Some(blocks) = blocks(node, tasks, shape)
        {
            return Ok(Self::Blocks { blocks, item });
        }
        let bytes = count.checked_mul(item).filter(|bytes| *bytes <= isize::MAX as usize / 2).ok_or_else(too_large)?;
        Ok(Self::Fixed { buffer: MutableBuffer::from_len_zeroed(bytes), item, order })
    }

    /// Whether [`Output::place`] copies nothing.
    pub(super) fn is_in_blocks(&self) -> bool {
        matches!(self, Self::Blocks { .. })
    }

    /// Puts `elements`, of the chunk's shape `chunk`, to the place that the task with this `index` has in an answer of
    /// `shape`.
    pub(super) fn place(
        &mut self,
        elements: &Arc<Elements>,
        chunk: &[u64],
        shape: &[u64],
        index: usize,
        task: &ChunkTask,
    ) -> Result<()> {
        match (self, elements.as_ref()) {
            (Self::Fixed { buffer, item, order: Order::Transposed }, Elements::Fixed(bytes)) => {
                let height = shape.first().copied().unwrap_or(0);
                copy_transposed((bytes, chunk), (buffer.as_slice_mut(), height), &task.runs, *item)
            }
            (Self::Fixed { buffer, item, .. }, Elements::Fixed(bytes)) => {
                copy_elements((bytes, chunk), (buffer.as_slice_mut(), shape), &task.runs, *item)
            }
            (Self::Blocks { blocks, item }, Elements::Fixed(bytes)) => {
                let outside = || Error::internal("a block leaves its chunk");
                let block = blocks.get_mut(index).ok_or_else(outside)?;
                let start = block.span.source.checked_mul(*item).ok_or_else(outside)?;
                let end = block.span.count.checked_mul(*item).and_then(|length| start.checked_add(length));
                let end = end.filter(|end| *end <= bytes.len()).ok_or_else(outside)?;
                block.bytes = bytes.slice(start..end);
                Ok(())
            }
            (Self::Text { chunks, places }, Elements::Text(_)) => {
                let too_many = || Error::resource_exhausted("more than 2^32 chunks of texts in one window");
                let at = u32::try_from(chunks.len()).map_err(|_| too_many())?;
                chunks.push(Arc::clone(elements));
                for_each_span(chunk, shape, &task.runs, &mut |span| {
                    for index in 0..span.count {
                        let source = span.source.wrapping_add_signed(span.step.wrapping_mul(index as isize));
                        let place = places.get_mut(span.destination + index);
                        let place = place.ok_or_else(|| Error::internal("a text leaves its answer"))?;
                        *place = (at, u32::try_from(source).map_err(|_| too_many())?);
                    }
                    Ok(())
                })
            }
            _ => Err(Error::internal("a chunk decoded to elements of another kind than its array's")),
        }
    }

    /// The parts of an answer of `shape`, with their shapes.
    pub(super) fn finish(self, shape: Vec<u64>) -> Result<Vec<(Vec<u64>, Values)>> {
        let values = match self {
            Self::Blocks { mut blocks, item } => {
                blocks.sort_unstable_by_key(|block| block.span.destination);
                return blocks.into_iter().map(|block| block.finish(&shape, item)).collect();
            }
            Self::Fixed { buffer, .. } => Values::Fixed(buffer.into()),
            Self::Text { chunks, places } => {
                let mut texts = TextBuffer::new();
                for (chunk, index) in places {
                    let text = chunks.get(chunk as usize).and_then(|chunk| match chunk.as_ref() {
                        Elements::Text(texts) => texts.get(index as usize),
                        Elements::Fixed(_) => None,
                    });
                    texts.push(text.ok_or_else(|| Error::internal("a text of the slice was not read"))?);
                }
                Values::Text(texts)
            }
        };
        Ok(vec![(shape, values)])
    }
}

impl Block {
    /// Its part of an answer of `shape`, without a copy where it is aligned for its elements.
    fn finish(self, shape: &[u64], item: usize) -> Result<(Vec<u64>, Values)> {
        if self.bytes.len() != self.span.count.saturating_mul(item) {
            return Err(Error::internal("a chunk of the slice was not read"));
        }
        let row = shape.iter().skip(1).product::<u64>().max(1);
        let mut part = shape.to_vec();
        part.iter_mut().take(1).for_each(|rows| *rows = self.span.count as u64 / row);
        let is_aligned = self.bytes.as_ptr().align_offset(ALIGNMENT) == 0;
        let buffer = if is_aligned { Buffer::from(self.bytes) } else { Buffer::from_slice_ref(&self.bytes) };
        Ok((part, Values::Fixed(buffer)))
    }
}

/// One block for each task, where all of them lie in their chunks as they are asked for, are large, and are at least half
/// of what they keep in memory; the last two on average.
fn blocks(node: &ArrayNode, tasks: &[ChunkTask], shape: &[u64]) -> Option<Vec<Block>> {
    let item = node.data_type.item_size();
    if node.is_null || item > ALIGNMENT {
        return None;
    }
    let bytes = shape.iter().fold(item as u64, |total, length| total.saturating_mul(*length));
    let chunks = tasks.len() as u64;
    let held = tasks.iter().map(|task| source_shape(node, task).iter().product::<u64>());
    let held = held.fold(0, u64::saturating_add).saturating_mul(item as u64);
    if chunks == 0 || bytes < chunks.saturating_mul(LEAST_BLOCK_BYTES) || bytes < held / 2 {
        return None;
    }
    let block = |task: &ChunkTask| {
        let span = one_span(&source_shape(node, task), shape, &task.runs)?;
        Some(Block { span, bytes: Bytes::new() })
    };
    tasks.iter().map(block).collect()
}

/// Shape of what is decoded for `task`: its chunk, or rows of it.
pub(super) fn source_shape(node: &ArrayNode, task: &ChunkTask) -> Vec<u64> {
    let mut shape = node.chunk_shape.clone();
    if let (Some(rows), Some(first)) = (&task.rows, shape.first_mut()) {
        *first = rows.end - rows.start;
    }
    shape
}
