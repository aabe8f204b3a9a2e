//! Answers for dense arrays: one Arrow row per row of the array, or one column per column.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use super::array::{ArrayPlan, Caching, plan_array};
use super::column::ColumnReader;
use super::context::ReadContext;
use super::to_arrow::arrow_error;
use super::windowed::{Window, Windowed};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::model::selection::AxisSelection;
use crate::plan::window::windows;

/// A selection of a dense array.
#[derive(Debug)]
pub struct DenseAnswer {
    hierarchy: Hierarchy,
    reader: ColumnReader,
    rows: AxisSelection,
    chunk_rows: u64,
    schema: SchemaRef,
    wide: bool,
}

impl DenseAnswer {
    /// `rows` of `reader`'s array. `chunk_rows` are the rows of one stored chunk.
    pub fn new(hierarchy: Hierarchy, reader: ColumnReader, rows: AxisSelection, chunk_rows: u64) -> Self {
        let schema = Arc::new(Schema::new(vec![reader.field.clone()]));
        Self { hierarchy, reader, rows, chunk_rows, schema, wide: false }
    }

    /// The same with one column per element of a row, named by `names`.
    ///
    /// # Errors
    /// `InvalidArgument` when rows are no lists, or there are not as many names as elements.
    pub fn wide(mut self, names: &[String]) -> Result<Self> {
        let ArrowType::FixedSizeList(item, size) = self.reader.field.data_type() else {
            return Err(Error::invalid("layout 'wide' needs an array of two dimensions"));
        };
        if names.len() as u64 != *size as u64 {
            return Err(Error::invalid(format!("layout 'wide' has {size} columns but {} names", names.len())));
        }
        let fields: Vec<_> = names.iter().map(|name| Field::new(name, item.data_type().clone(), false)).collect();
        self.schema = Arc::new(Schema::new(fields));
        self.wide = true;
        Ok(self)
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

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        vec![rows]
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let most = context.window_bytes / self.reader.row_bytes.max(1);
        let cuts = windows(&self.rows, block, self.chunk_rows, most);
        let window = |rows: Range<u64>| {
            let bytes = (rows.end - rows.start).saturating_mul(self.reader.row_bytes);
            Window { rows, bytes, spans: Vec::new() }
        };
        Ok(cuts.into_iter().map(window).collect())
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        let array = self.reader.read(context, &self.hierarchy, &rows, Caching::Bypass).await?;
        let count = array.len();
        let columns = if self.wide { split_columns(&array)? } else { vec![array] };
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let path = self.reader.column.main_path();
        let selection = self.selection(&window.rows);
        Ok(vec![(path.to_owned(), plan_array(context, &self.hierarchy, path, &selection).await?)])
    }
}

/// The columns of an array of equally long lists.
fn split_columns(lists: &ArrayRef) -> Result<Vec<ArrayRef>> {
    let lists = lists.as_fixed_size_list_opt().ok_or_else(|| Error::internal("rows of a wide answer are no lists"))?;
    let width = lists.value_length() as u64;
    let rows = lists.len() as u64;
    (0..width)
        .map(|column| {
            let places = UInt64Array::from_iter_values((0..rows).map(|row| row * width + column));
            arrow::compute::take(lists.values(), &places, None).map_err(arrow_error)
        })
        .collect()
}
