//! Answers for data frames: the asked columns, in order, of the asked rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::array::{ArrayPlan, Caching, plan_array};
use super::column::ColumnReader;
use super::context::ReadContext;
use super::lists;
use super::to_arrow::arrow_error;
use super::windowed::{Blocks, Window, Windowed, one_block};
use crate::error::Result;
use crate::format::Hierarchy;
use crate::format::anndata::frame::Frame;
use crate::format::anndata::meaning::Column;
use crate::model::selection::AxisSelection;
use crate::model::tree::Tree;
use crate::plan::tasks::window_tasks;
use crate::plan::window::{WindowBounds, windows};

/// Columns of a frame that are read at the same time.
const COLUMNS_IN_FLIGHT: usize = 8;

/// A selection of a data frame.
#[derive(Debug)]
pub struct FrameAnswer {
    hierarchy: Hierarchy,
    readers: Vec<ColumnReader>,
    rows: AxisSelection,
    schema: SchemaRef,
    caching: Caching,
}

impl FrameAnswer {
    /// `rows` of the columns `names` of `frame`, in the order of `names`.
    ///
    /// # Errors
    /// `NotFound` for a missing column, `Unimplemented` for a type that is not served.
    pub fn new(
        hierarchy: Hierarchy,
        frame: &Frame,
        names: &[String],
        rows: AxisSelection,
        caching: Caching,
    ) -> Result<Self> {
        let mut readers = Vec::with_capacity(names.len());
        for name in names {
            let (_, column) = frame.column(name)?;
            readers.push(column_reader(hierarchy.tree(), name, column.clone())?);
        }
        let fields: Vec<Field> = readers.iter().map(|reader| reader.field.clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { hierarchy, readers, rows, schema, caching })
    }

    /// Whether there are columns of texts.
    pub fn has_texts(&self) -> bool {
        self.readers.iter().any(|reader| reader.is_text)
    }

    /// Windows that fit in memory and plan no more chunks of any column than a window should.
    fn window_bounds(&self, context: &ReadContext) -> WindowBounds {
        let (most, tasks) = (context.window_bytes / self.row_bytes(), window_tasks(context.window_bytes));
        let tree = self.hierarchy.tree();
        let bounds = self.readers.iter().map(|reader| reader.window_bounds(tree, &self.rows, most, 1, tasks));
        let narrowest = bounds.min_by_key(|bounds| bounds.part_rows.saturating_mul(bounds.parts));
        narrowest.unwrap_or(WindowBounds::of_rows(most, 1))
    }

    fn is_in_heaps(&self) -> bool {
        self.readers.iter().any(|reader| reader.is_in_heaps(&self.hierarchy))
    }

    /// The windows of `block`, with texts taken to have a usual length.
    fn planned(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let mut cuts = windows(&self.rows, block.clone(), self.window_bounds(context))?;
        if cuts.is_empty() {
            // A batch without rows still carries the categories, which an empty selection keeps.
            cuts.push(block);
        }
        let window = |rows: Range<u64>| {
            let bytes = (rows.end - rows.start).saturating_mul(self.row_bytes());
            Window { rows, bytes, spans: Vec::new() }
        };
        Ok(cuts.into_iter().map(window).collect())
    }

    /// Bytes that each row of `block` has in heaps beyond what texts are taken to have.
    async fn sizes_beyond(&self, context: &ReadContext, block: &Range<u64>) -> Result<Vec<u64>> {
        let rows = &self.rows.part(block.start, block.end - block.start);
        let reads: Vec<_> =
            self.readers.iter().map(|reader| reader.heap_sizes_beyond(context, &self.hierarchy, rows)).collect();
        let mut reads = stream::iter(reads).buffered(COLUMNS_IN_FLIGHT);
        let mut sizes = vec![0_u64; usize::try_from(rows.len()).unwrap_or(0)];
        while let Some(found) = reads.try_next().await? {
            sizes.iter_mut().zip(found).for_each(|(total, size)| *total = total.saturating_add(size));
        }
        Ok(sizes)
    }

    fn row_bytes(&self) -> u64 {
        self.readers.iter().map(|reader| reader.row_bytes).sum::<u64>().max(1)
    }
}

/// A reader of a whole column, with everything behind its first axis.
///
/// # Errors
/// As [`ColumnReader::new`].
pub fn column_reader(tree: &Tree, name: &str, column: Column) -> Result<ColumnReader> {
    let trailing = column.shape(tree)?.iter().skip(1).map(|length| AxisSelection::all(*length)).collect();
    ColumnReader::new(tree, name, column, trailing)
}

#[async_trait]
impl Windowed for FrameAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows.len()
    }

    fn bytes(&self) -> Option<u64> {
        let fixed = self.readers.iter().all(|reader| !reader.is_text);
        fixed.then(|| self.rows.len().saturating_mul(self.row_bytes()))
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        // Without rows there is still one window, for the categories.
        match rows.is_empty() {
            false if self.readers.iter().any(|reader| reader.has_lists) => lists::blocks(rows, 1, self.row_bytes()),
            false if self.is_in_heaps() => lists::text_blocks(rows, self.row_bytes()),
            _ => one_block(Some(rows)),
        }
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        if block.is_empty() || !self.is_in_heaps() {
            return self.planned(context, block);
        }
        lists::check(&block)?;
        let beyond = self.sizes_beyond(context, &block).await?;
        if self.readers.iter().any(|reader| reader.has_lists) {
            return Ok(lists::windows(context, block, self.row_bytes(), &beyond));
        }
        let cuts = self.planned(context, block)?.into_iter().map(|window| window.rows).collect();
        Ok(lists::cut(context, cuts, self.row_bytes(), &beyond))
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        let has_lists = self.readers.iter().any(|reader| reader.has_lists);
        if !block.is_empty() && !has_lists && self.is_in_heaps() {
            return Ok((self.planned(context, block)?, false));
        }
        Ok((self.windows(context, block).await?, true))
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let count = window.rows.end - window.rows.start;
        let rows = &self.rows.part(window.rows.start, count);
        let reads: Vec<_> =
            self.readers.iter().map(|reader| reader.read(context, &self.hierarchy, rows, self.caching)).collect();
        let columns: Vec<_> = stream::iter(reads).buffered(COLUMNS_IN_FLIGHT).try_collect().await?;
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(count).ok());
        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        let mut plans = Vec::new();
        for reader in &self.readers {
            for path in reader.paths() {
                let selection = reader.selection(rows.clone());
                let plan = plan_array(context, &self.hierarchy, path, &selection).await?;
                plans.push((path.to_owned(), plan));
            }
        }
        Ok(plans)
    }
}
