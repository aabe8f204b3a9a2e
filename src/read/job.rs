//! The decoding side of one read: chunks to elements, and elements to their places in the answer.
//!
//! Sits between [`super::drive`], which fetches, and [`super::scatter`], which copies. Never waits.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::MutableBuffer;
use bytes::Bytes;

use super::array::{ArrayPlan, Caching, Order, Values};
use super::scatter::{copy_elements, for_each_span};
use super::transpose::copy_transposed;
use crate::error::{Error, Result, ResultExt};
use crate::format::ChunkDecoder;
use crate::model::chunk::{ChunkLocation, Elements, TextBuffer};
use crate::model::tree::ArrayNode;
use crate::plan::tasks::{ChunkTask, row_bytes};

/// Decoded bytes below which the chunks of a request are not shared out among decoders.
const SHARE_BYTES: u64 = 512 << 10;

/// Everything that decoding needs, shared by the tasks of one read.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) path: String,
    /// The array in the cache of decoded chunks, where they may be kept.
    pub(super) name: Option<Arc<str>>,
    pub(super) node: ArrayNode,
    pub(super) decoder: ChunkDecoder,
    pub(super) plan: ArrayPlan,
    pub(super) shape: Vec<u64>,
    pub(super) output: Mutex<Output>,
    pub(super) caching: Caching,
}

impl Job {
    /// Bytes of the elements that are asked for, where they have a fixed size; else about that.
    pub(super) fn output_bytes(&self) -> u64 {
        let elements = self.shape.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
        elements.saturating_mul(self.node.data_type.item_size() as u64)
    }

    /// Chunks that one decoder takes of the `members` of a request, so that each of `decoders` has some,
    /// and enough of them.
    pub(super) fn share(&self, members: usize, decoders: usize) -> usize {
        let enough = SHARE_BYTES.div_ceil(self.node.chunk_bytes().max(1));
        members.div_ceil(decoders.max(1)).max(usize::try_from(enough).unwrap_or(usize::MAX)).max(1)
    }

    /// Decodes the bytes of one task (`range` of `fetched`), copies them to their place, and gives them.
    pub(super) fn decode(
        &self,
        index: usize,
        range: Option<Range<u64>>,
        fetched: Option<Bytes>,
    ) -> Result<Arc<Elements>> {
        let missing = || Error::internal("no such planned task");
        let location = self.plan.locations.get(index).ok_or_else(missing)?;
        let task = self.plan.tasks.get(index).ok_or_else(missing)?;
        let bytes = match (fetched, range) {
            (Some(bytes), Some(range)) => Some(bytes.slice(range.start as usize..range.end as usize)),
            (bytes, _) => bytes,
        };
        let elements = self.elements(task, location, bytes).with_context(|| format!("array '{}'", self.path))?;
        let elements = Arc::new(elements);
        self.place(index, &elements)?;
        Ok(elements)
    }

    /// Copies the decoded elements of one task to their place.
    pub(super) fn place(&self, index: usize, elements: &Arc<Elements>) -> Result<()> {
        let task = self.plan.tasks.get(index).ok_or_else(|| Error::internal("no such planned task"))?;
        let mut chunk_shape = self.node.chunk_shape.clone();
        if let (Some(rows), Some(first)) = (&task.rows, chunk_shape.first_mut()) {
            *first = rows.end - rows.start;
        }
        self.output.lock().unwrap_or_else(PoisonError::into_inner).place(elements, &chunk_shape, &self.shape, task)
    }

    /// The elements of the task's chunk, or of its rows.
    fn elements(&self, task: &ChunkTask, location: &ChunkLocation, bytes: Option<Bytes>) -> Result<Elements> {
        let Some(rows) = &task.rows else { return self.decoder.decode(bytes, location) };
        let row = row_bytes(&self.node);
        let expected = (rows.end - rows.start).saturating_mul(row);
        let part = match (bytes, location) {
            (Some(bytes), _) => bytes,
            (None, ChunkLocation::Inline(chunk)) => {
                let (start, end) = (rows.start.saturating_mul(row), rows.end.saturating_mul(row));
                if end > chunk.len() as u64 {
                    return Err(Error::data_loss(format!("expected {end} bytes in place, found {}", chunk.len())));
                }
                chunk.slice(start as usize..end as usize)
            }
            (None, _) => {
                let others = self.node.chunk_shape.iter().skip(1).product::<u64>();
                return self.decoder.fill((rows.end - rows.start).saturating_mul(others));
            }
        };
        if part.len() as u64 != expected {
            return Err(Error::data_loss(format!("expected {expected} bytes, found {}", part.len())));
        }
        self.decoder.decode_part(part)
    }
}

/// Where gathered elements collect.
#[derive(Debug)]
pub(super) enum Output {
    Fixed { buffer: MutableBuffer, item: usize, order: Order },
    Text { chunks: Vec<Arc<Elements>>, places: Vec<(u32, u32)> },
}

impl Output {
    pub(super) fn new(node: &ArrayNode, shape: &[u64], texts: bool, order: Order) -> Result<Self> {
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
        let bytes = count.checked_mul(item).filter(|bytes| *bytes <= isize::MAX as usize / 2).ok_or_else(too_large)?;
        Ok(Self::Fixed { buffer: MutableBuffer::from_len_zeroed(bytes), item, order })
    }

    fn place(&mut self, elements: &Arc<Elements>, chunk: &[u64], shape: &[u64], task: &ChunkTask) -> Result<()> {
        match (self, elements.as_ref()) {
            (Self::Fixed { buffer, item, order: Order::Stored }, Elements::Fixed(bytes)) => {
                copy_elements((bytes, chunk), (buffer.as_slice_mut(), shape), &task.runs, *item)
            }
            (Self::Fixed { buffer, item, order: Order::Transposed }, Elements::Fixed(bytes)) => {
                let height = shape.first().copied().unwrap_or(0);
                copy_transposed((bytes, chunk), (buffer.as_slice_mut(), height), &task.runs, *item)
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

    pub(super) fn finish(self) -> Result<Values> {
        match self {
            Self::Fixed { buffer, .. } => Ok(Values::Fixed(buffer)),
            Self::Text { chunks, places } => {
                let mut texts = TextBuffer::new();
                for (chunk, index) in places {
                    let text = chunks.get(chunk as usize).and_then(|chunk| match chunk.as_ref() {
                        Elements::Text(texts) => texts.get(index as usize),
                        Elements::Fixed(_) => None,
                    });
                    texts.push(text.ok_or_else(|| Error::internal("a text of the slice was not read"))?);
                }
                Ok(Values::Text(texts))
            }
        }
    }
}
