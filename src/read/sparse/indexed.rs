//! An answer from a column index, with the way without it at hand.
//!
//! An index is a copy: whatever is wrong with it costs time and never the answer. The first failure is told to
//! whoever keeps the index, and all windows from then on are read from the matrix itself. Both ways give the
//! same rows in the same form, so that a stream may change over between two windows.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::read::array::ArrayPlan;
use crate::read::context::ReadContext;
use crate::read::to_arrow::arrow_error;
use crate::read::windowed::{Blocks, Window, Windowed};

/// Who is told that an index cannot be read.
pub trait Keeper: std::fmt::Debug + Send + Sync {
    /// The index is damaged or gone, as `error` says.
    fn lost(&self, error: &Error);
}

/// One answer, two ways to it.
#[derive(Debug)]
pub struct IndexedAnswer {
    index: Arc<dyn Windowed>,
    direct: Arc<dyn Windowed>,
    keeper: Arc<dyn Keeper>,
    failed: AtomicBool,
}

impl IndexedAnswer {
    /// The answer of `index`, or of `direct` from where that fails.
    ///
    /// # Errors
    /// `Internal` when they differ in their schemas or rows.
    pub fn new(index: Arc<dyn Windowed>, direct: Arc<dyn Windowed>, keeper: Arc<dyn Keeper>) -> Result<Self> {
        if index.schema() != direct.schema() || index.rows() != direct.rows() {
            return Err(Error::internal("a column index gives another answer than its matrix"));
        }
        Ok(Self { index, direct, keeper, failed: AtomicBool::new(false) })
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn give_up(&self, error: &Error) {
        self.failed.store(true, Ordering::Relaxed);
        // A full memory says nothing about the index.
        if error.kind() != Kind::ResourceExhausted {
            self.keeper.lost(error);
        }
    }

    /// The output rows `rows` from the matrix. What they take beyond the window that they were planned as is
    /// reserved besides.
    async fn read_direct(&self, context: &ReadContext, rows: Range<u64>) -> Result<RecordBatch> {
        let mut batches = Vec::new();
        for block in self.direct.blocks(rows) {
            for window in self.direct.windows(context, block).await? {
                let _permit = context.reserve(window.bytes.saturating_mul(2)).await?;
                batches.push(self.direct.read(context, window).await?);
            }
        }
        arrow::compute::concat_batches(&self.schema(), &batches).map_err(arrow_error)
    }
}

#[async_trait]
impl Windowed for IndexedAnswer {
    fn schema(&self) -> SchemaRef {
        self.direct.schema()
    }

    fn rows(&self) -> u64 {
        self.direct.rows()
    }

    fn total_rows(&self) -> Option<u64> {
        self.direct.total_rows()
    }

    fn is_divisible(&self) -> bool {
        self.index.is_divisible()
    }

    fn bytes(&self) -> Option<u64> {
        self.index.bytes()
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.index.estimated_row_bytes()
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        self.index.blocks(rows)
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        if !self.has_failed() {
            match self.index.windows(context, block.clone()).await {
                Ok(windows) => return Ok(windows),
                Err(error) => self.give_up(&error),
            }
        }
        self.direct.windows(context, block).await
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        if !self.has_failed() {
            match self.index.foreseen(context, block.clone()).await {
                Ok(foreseen) => return Ok(foreseen),
                Err(error) => self.give_up(&error),
            }
        }
        self.direct.foreseen(context, block).await
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        if !self.has_failed() {
            match self.index.read(context, window.clone()).await {
                Ok(batch) => return Ok(batch),
                Err(error) => self.give_up(&error),
            }
        }
        self.read_direct(context, window.rows).await
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        if !self.has_failed() {
            match self.index.plan(context, window.clone()).await {
                Ok(plans) => {
                    return Ok(plans.into_iter().map(|(path, plan)| (format!("column index/{path}"), plan)).collect());
                }
                Err(error) => self.give_up(&error),
            }
        }
        let mut plans = Vec::new();
        for block in self.direct.blocks(window.rows) {
            let (windows, _) = self.direct.foreseen(context, block).await?;
            for window in windows {
                plans.extend(self.direct.plan(context, window).await?);
            }
        }
        Ok(plans)
    }
}
