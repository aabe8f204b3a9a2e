//! Columns of an axis's frame put before each row of an array (`with_obs`, `with_index`).

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::array::ArrayPlan;
use super::context::ReadContext;
use super::to_arrow::arrow_error;
use super::windowed::{Window, Windowed};
use crate::error::{Error, Result};

/// An array's rows with the frame's columns before them; both select the same rows.
#[derive(Debug)]
pub struct JoinedAnswer {
    frame: Arc<dyn Windowed>,
    array: Arc<dyn Windowed>,
    schema: SchemaRef,
}

impl JoinedAnswer {
    /// `frame`'s columns before `array`'s.
    ///
    /// # Errors
    /// `InvalidArgument` when they have different numbers of rows or share a column's name.
    pub fn new(frame: Arc<dyn Windowed>, array: Arc<dyn Windowed>) -> Result<Self> {
        if frame.rows() != array.rows() {
            return Err(Error::invalid(format!(
                "columns of {} rows cannot be joined to an answer of {} rows",
                frame.rows(),
                array.rows()
            )));
        }
        let (left, right) = (frame.schema(), array.schema());
        if let Some(twice) = left.fields().iter().find(|field| right.field_with_name(field.name()).is_ok()) {
            return Err(Error::invalid(format!("column '{}' would stand twice in the answer", twice.name())));
        }
        let fields: Vec<_> = left.fields().iter().chain(right.fields()).map(Arc::clone).collect();
        Ok(Self { frame, array, schema: Arc::new(Schema::new(fields)) })
    }
}

#[async_trait]
impl Windowed for JoinedAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.array.rows()
    }

    fn total_rows(&self) -> Option<u64> {
        self.array.total_rows()
    }

    fn is_divisible(&self) -> bool {
        self.array.is_divisible()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.frame.bytes()?.saturating_add(self.array.bytes()?))
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.frame.estimated_row_bytes().saturating_add(self.array.estimated_row_bytes())
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        self.array.blocks(rows)
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        self.array.windows(context, block).await
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        self.array.foreseen(context, block).await
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let left = Window { rows: window.rows.clone(), bytes: 0, spans: Vec::new() };
        let (left, right) = tokio::try_join!(self.frame.read(context, left), self.array.read(context, window))?;
        let columns = left.columns().iter().chain(right.columns()).map(Arc::clone).collect();
        RecordBatch::try_new(self.schema(), columns).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let left = Window { rows: window.rows.clone(), bytes: 0, spans: Vec::new() };
        let mut plans = self.frame.plan(context, left).await?;
        plans.extend(self.array.plan(context, window).await?);
        Ok(plans)
    }
}
