//! Answers that are in memory already (listings).

use std::ops::Range;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::array::ArrayPlan;
use super::context::ReadContext;
use super::windowed::{Blocks, Window, Windowed, one_block};
use crate::error::{Error, Result};

/// One batch in memory.
#[derive(Debug)]
pub struct MemoryAnswer {
    batch: RecordBatch,
}

impl MemoryAnswer {
    /// An answer of `batch`.
    pub fn new(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

#[async_trait]
impl Windowed for MemoryAnswer {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn rows(&self) -> u64 {
        self.batch.num_rows() as u64
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.batch.get_array_memory_size() as u64)
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        one_block(Some(rows))
    }

    async fn windows(&self, _context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        Ok(vec![Window { rows: block, bytes: 0, spans: Vec::new() }])
    }

    async fn read(&self, _context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let (start, end) = (window.rows.start, window.rows.end);
        if start > end || end > self.rows() {
            return Err(Error::out_of_range(format!("rows {start} to {end} of an answer of {} rows", self.rows())));
        }
        Ok(self.batch.slice(start as usize, (end - start) as usize))
    }

    async fn plan(&self, _context: &ReadContext, _window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        Ok(Vec::new())
    }
}
