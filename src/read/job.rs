//! The decoding side of one read: chunks to elements, and elements to their places in the answer.
//!
//! Sits between [`super::drive`], which fetches, and [`super::output`], where elements collect. Never waits.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::array::{ArrayPlan, ArrayValues, Caching};
use super::output::{Output, source_shape};
use crate::error::{Error, Result, ResultExt};
use crate::format::ChunkDecoder;
use crate::model::chunk::{ChunkLocation, Elements};
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

    /// Puts the decoded elements of one task to their place.
    pub(super) fn place(&self, index: usize, elements: &Arc<Elements>) -> Result<()> {
        let task = self.plan.tasks.get(index).ok_or_else(|| Error::internal("no such planned task"))?;
        let chunk_shape = source_shape(&self.node, task);
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.place(elements, &chunk_shape, &self.shape, index, task)
    }

    /// Whether placing what is decoded copies nothing.
    pub(super) fn is_in_blocks(&self) -> bool {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).is_in_blocks()
    }

    /// What it has gathered, once every task is placed: in parts where its output is in blocks.
    ///
    /// # Errors
    /// `Internal` for elements that were not placed.
    pub(super) fn finish(self) -> Result<Vec<ArrayValues>> {
        let Self { output, shape, node, .. } = self;
        let data_type = node.data_type;
        let parts = output.into_inner().unwrap_or_else(PoisonError::into_inner).finish(shape)?;
        let part = |(shape, values)| ArrayValues { shape, data_type: data_type.clone(), values };
        Ok(parts.into_iter().map(part).collect())
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
