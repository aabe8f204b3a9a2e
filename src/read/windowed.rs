//! Streams an answer window by window, in order, within the memory budget.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::array::ArrayPlan;
use super::context::ReadContext;
use super::decoders::Turn;
use crate::error::Result;

/// Output rows that are read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Output rows.
    pub rows: Range<u64>,
    /// Estimated bytes of the decoded values.
    pub bytes: u64,
    /// Entries of each row in a sparse matrix, `[start, end)`; empty for other answers.
    pub spans: Vec<(u64, u64)>,
}

/// Parts of an answer's rows, made one after the other: how many there are is what a file says.
pub type Blocks = Box<dyn Iterator<Item = Range<u64>> + Send>;

/// `rows` in blocks of `length` rows, the last one shorter.
pub fn blocks_of(rows: Range<u64>, length: u64) -> Blocks {
    let (end, length) = (rows.end, length.max(1));
    let starts = std::iter::successors(Some(rows.start), move |start| start.checked_add(length));
    let block = move |start: u64| start..start.saturating_add(length).min(end);
    Box::new(starts.take_while(move |start| *start < end).map(block))
}

/// The only block, if there is one.
pub fn one_block(rows: Option<Range<u64>>) -> Blocks {
    Box::new(rows.into_iter())
}

/// An answer that can be read in any part.
#[async_trait]
pub trait Windowed: Debug + Send + Sync {
    /// Schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// Rows of the whole answer, as windows count them.
    fn rows(&self) -> u64;

    /// Arrow rows of the whole answer; none when only reading tells how many a window's rows become.
    fn total_rows(&self) -> Option<u64> {
        Some(self.rows())
    }

    /// Whether parts of the rows read only parts of the data, so that endpoints may share the work.
    fn is_divisible(&self) -> bool {
        true
    }

    /// Bytes of the whole answer in Arrow buffers, when known without reading.
    fn bytes(&self) -> Option<u64>;

    /// Estimated bytes of one row, for splitting the answer into endpoints.
    fn estimated_row_bytes(&self) -> u64 {
        self.bytes().map_or(1, |bytes| bytes / self.rows().max(1)).max(1)
    }

    /// Coarse parts of `rows` whose windows are planned together.
    fn blocks(&self, rows: Range<u64>) -> Blocks;

    /// The windows of one block, in order.
    ///
    /// # Errors
    /// The errors of reading sparse pointers, and indices where those are counted.
    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>>;

    /// The windows of one block as far as they are known without reading data, and whether they are
    /// exactly those of [`Windowed::windows`].
    ///
    /// # Errors
    /// The errors of reading sparse pointers.
    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        Ok((self.windows(context, block).await?, true))
    }

    /// Reads one window.
    ///
    /// # Errors
    /// The errors of reading.
    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch>;

    /// Reads one window, in batches one after the other where that saves copying what was decoded.
    ///
    /// # Errors
    /// The errors of reading.
    async fn read_batches(&self, context: &ReadContext, window: Window) -> Result<Vec<RecordBatch>> {
        Ok(vec![self.read(context, window).await?])
    }

    /// The reads of one window, by array path, without doing them.
    ///
    /// # Errors
    /// The errors of reading chunk indexes.
    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>>;
}

/// Streams `rows` of `answer`.
pub fn stream(
    context: &ReadContext,
    answer: Arc<dyn Windowed>,
    rows: Range<u64>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let in_flight = context.windows_in_flight(answer.is_divisible());
    let (planning, reading) = (context.clone(), context.of_stream());
    let reader = Arc::clone(&answer);
    let mut turn = Turn::default();
    stream::iter(answer.blocks(rows))
        .then(move |block| {
            let (context, answer) = (planning.clone(), Arc::clone(&answer));
            async move { answer.windows(&context, block).await }
        })
        .map_ok(|windows| stream::iter(windows.into_iter().map(Ok)))
        .try_flatten()
        .map(move |window| {
            turn = turn.next();
            let (context, answer) = (reading.at(turn.clone()), Arc::clone(&reader));
            async move {
                let window = window?;
                // Held until the last batch is handed on: what waits for delivery counts as well.
                let permit = context.reserve_window(window.bytes, in_flight).await?;
                let batches = answer.read_batches(&context, window).await?;
                Ok(stream::iter(batches).map(move |batch| {
                    let _held = &permit;
                    Ok(batch)
                }))
            }
        })
        .buffered(in_flight)
        .try_flatten()
        .boxed()
}
