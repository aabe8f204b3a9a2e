//! Answers for dense arrays: one Arrow row per row of the array.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use super::array::{ArrayPlan, Caching, plan_array};
use super::column::ColumnReader;
use super::context::ReadContext;
use super::lists;
use super::to_arrow::arrow_error;
use super::windowed::{Blocks, Window, Windowed, one_block};
use crate::error::Result;
use crate::format::Hierarchy;
use crate::model::selection::AxisSelection;
use crate::plan::tasks::window_tasks;
use crate::plan::window::windows;

/// A selection of a dense array.
#[derive(Debug)]
pub struct DenseAnswer {
    hierarchy: Hierarchy,
    reader: ColumnReader,
    rows: AxisSelection,
    chunk_rows: u64,
    schema: SchemaRef,
}

impl DenseAnswer {
    /// `rows` of `reader`'s array. `chunk_rows` are the rows of one stored chunk.
    pub fn new(hierarchy: Hierarchy, reader: ColumnReader, rows: AxisSelection, chunk_rows: u64) -> Self {
        let schema = Arc::new(Schema::new(vec![reader.field.clone()]));
        Self { hierarchy, reader, rows, chunk_rows, schema }
    }

    /// `block` in windows, with texts taken to have a usual length.
    fn cuts(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Range<u64>>> {
        let most = context.window_bytes / self.reader.row_bytes.max(1);
        let tasks = window_tasks(context.window_bytes);
        let bounds = self.reader.window_bounds(self.hierarchy.tree(), &self.rows, most, self.chunk_rows, tasks);
        windows(&self.rows, block, bounds)
    }

    fn planned(&self, cuts: Vec<Range<u64>>) -> Vec<Window> {
        let window = |rows: Range<u64>| {
            let bytes = (rows.end - rows.start).saturating_mul(self.reader.row_bytes);
            Window { rows, bytes, spans: Vec::new() }
        };
        cuts.into_iter().map(window).collect()
    }

    fn batch(&self, array: ArrayRef) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(array.len()));
        RecordBatch::try_new_with_options(self.schema(), vec![array], &options).map_err(arrow_error)
    }

    fn selection(&self, rows: &Range<u64>) -> Vec<AxisSelection> {
        self.reader.selection(self.rows.part(rows.start, rows.end - rows.start))
    }
}

#[async_trait]
impl Windowed for DenseAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows.len()
    }

    fn bytes(&self) -> Option<u64> {
        let fixed = !self.reader.is_text;
        fixed.then(|| self.rows.len().saturating_mul(self.reader.row_bytes))
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        if self.reader.has_lists {
            lists::blocks(rows, self.chunk_rows, self.reader.row_bytes)
        } else if self.reader.is_in_heaps(&self.hierarchy) {
            lists::text_blocks(rows, self.reader.row_bytes)
        } else {
            one_block(Some(rows))
        }
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        if self.reader.is_in_heaps(&self.hierarchy) {
            lists::check(&block)?;
        }
        if self.reader.has_lists {
            let rows = self.rows.part(block.start, block.end - block.start);
            let sizes = self.reader.heap_sizes(context, &self.hierarchy, &rows).await?;
            return Ok(lists::windows(context, block, self.reader.row_bytes, &sizes));
        }
        let cuts = self.cuts(context, block.clone())?;
        if !self.reader.is_in_heaps(&self.hierarchy) {
            return Ok(self.planned(cuts));
        }
        let rows = self.rows.part(block.start, block.end - block.start);
        let beyond = self.reader.heap_sizes_beyond(context, &self.hierarchy, &rows).await?;
        Ok(lists::cut(context, cuts, self.reader.row_bytes, &beyond))
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        if !self.reader.has_lists && self.reader.is_in_heaps(&self.hierarchy) {
            return Ok((self.planned(self.cuts(context, block)?), false));
        }
        Ok((self.windows(context, block).await?, true))
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        // References were read to plan the windows, and are small.
        let caching = if self.reader.is_in_heaps(&self.hierarchy) { Caching::Keep } else { Caching::Bypass };
        self.batch(self.reader.read(context, &self.hierarchy, &rows, caching).await?)
    }

    async fn read_batches(&self, context: &ReadContext, window: Window) -> Result<Vec<RecordBatch>> {
        if !self.reader.has_blocks() {
            return Ok(vec![self.read(context, window).await?]);
        }
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        let blocks = self.reader.read_blocks(context, &self.hierarchy, &rows, Caching::Bypass).await?;
        blocks.into_iter().map(|array| self.batch(array)).collect()
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let Some(path) = self.reader.paths().first().copied() else { return Ok(Vec::new()) };
        let selection = self.selection(&window.rows);
        Ok(vec![(path.to_owned(), plan_array(context, &self.hierarchy, path, &selection).await?)])
    }
}
