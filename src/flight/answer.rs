//! What a `FlightInfo` says of a prepared slice.

use std::fmt;
use std::ops::Range;

use arrow::datatypes::SchemaRef;

use crate::engine::Slice;
use crate::error::Result;
use crate::model::artifact::Pin;

/// The facts of one answer.
pub(super) struct Answer {
    pub(super) schema: SchemaRef,
    /// Rows, when known.
    pub(super) total_rows: Option<u64>,
    /// Bytes in Arrow buffers, when known.
    pub(super) total_bytes: Option<u64>,
    /// The sources as they are now.
    pub(super) pins: Vec<Pin>,
    /// For `app_metadata`.
    pub(super) summary: serde_json::Value,
    /// Row ranges of about so many bytes each.
    pub(super) partitions: Box<dyn Fn(u64) -> Vec<Range<u64>> + Send + Sync>,
}

impl Answer {
    /// The facts of `slice`, with an estimate of what it reads.
    ///
    /// # Errors
    /// The errors of reading chunk indexes for the estimate.
    pub(super) async fn of(slice: Slice) -> Result<Self> {
        let estimate = slice.estimate().await?;
        Ok(Self {
            schema: slice.schema(),
            total_rows: slice.total_rows(),
            total_bytes: slice.total_bytes(),
            pins: slice.pins(),
            summary: slice.summary(&estimate),
            partitions: Box::new(move |target| slice.partitions(target)),
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answer").field("schema", &self.schema).field("summary", &self.summary).finish()
    }
}
