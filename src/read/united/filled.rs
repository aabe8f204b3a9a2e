//! The rows of a member that has none of the asked columns: gaps, for which nothing is read.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use super::aligned::Rows;
use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;
use crate::plan::window::windows;
use crate::read::array::ArrayPlan;
use crate::read::context::ReadContext;
use crate::read::to_arrow::arrow_error;
use crate::read::windowed::{Window, Windowed};

/// Bytes of a row beside its values: an offset.
const ROW_BYTES: u64 = 4;

/// Rows of gaps.
#[derive(Debug)]
pub struct FilledAnswer {
    rows: Arc<Rows>,
    count: u64,
    schema: SchemaRef,
}

impl FilledAnswer {
    /// `count` rows without any entry, or of gaps.
    pub fn new(rows: Arc<Rows>, count: u64) -> Self {
        let schema = Arc::new(Schema::new(vec![rows.field.clone()]));
        Self { rows, count, schema }
    }

    fn row_bytes(&self) -> u64 {
        self.rows.row_bytes().unwrap_or(0).saturating_add(ROW_BYTES)
    }
}

#[async_trait]
impl Windowed for FilledAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.count
    }

    fn bytes(&self) -> Option<u64> {
        self.rows.row_bytes()?.checked_mul(self.count)
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.row_bytes()
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        vec![rows]
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let row_bytes = self.row_bytes();
        let cuts = windows(&AxisSelection::all(self.count), block, 1, context.window_bytes / row_bytes)?;
        let window = |rows: Range<u64>| {
            let bytes = (rows.end - rows.start).saturating_mul(row_bytes);
            Window { rows, bytes, spans: Vec::new() }
        };
        Ok(cuts.into_iter().map(window).collect())
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let count = usize::try_from(window.rows.end - window.rows.start);
        let count = count.map_err(|_| Error::resource_exhausted("too many rows in a window"))?;
        let (rows, schema) = (Arc::clone(&self.rows), self.schema());
        let fill = move || {
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            RecordBatch::try_new_with_options(schema, vec![rows.filled(count)?], &options).map_err(arrow_error)
        };
        context.decode(fill).await
    }

    async fn plan(&self, _context: &ReadContext, _window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        Ok(Vec::new())
    }
}
