//! Runs a scan: shares of row groups are read ahead by tasks of their own, their batches are given in order.
//!
//! ```text
//! files ─▶ footers, some at a time ─▶ shares ─▶ a task each, while there is room ─▶ batches of the first share, then the next
//! ```
//!
//! Room is counted in bytes, as a row group may have kilobytes or gigabytes: see [`Room`].

use std::pin::pin;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::file_scan;
use super::files::FileParts;
use super::plan::{Plan, ScanRequest};
use super::queue::{self, kibibytes};
use super::share::{Share, shares};
use super::{Inner, Table};
use crate::error::{Error, Result};

/// Batches that wait between two tasks.
const WAITING_BATCHES: usize = 1;

/// Shares that are read at the same time at most, however small they are.
const SHARES_AT_ONCE: usize = 64;

impl Table {
    /// Streams the rows that `request` asks for, in file order and row order; every batch has exactly
    /// [`Table::output_schema`] and at least one row. Dropping the stream stops its work.
    ///
    /// # Errors
    /// `NotFound` for an unknown column, `InvalidArgument` for a malformed request or filter. In the
    /// stream: `OutOfRange` for rows beyond the table, `FailedPrecondition` for a file that changed or
    /// whose schema differs, `NotFound` for one that is gone, `DataLoss` for one that does not decode,
    /// `Unavailable` when its store fails, each naming the file.
    pub async fn scan(&self, request: ScanRequest) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let plan = Plan::new(&self.inner, &request)?;
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let table = Arc::clone(&self.inner);
        let task = SpawnedTask::spawn(async move {
            if let Err(error) = drive(table, Arc::new(plan), &sender).await {
                // The receiver is gone only when nobody wants the error.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(futures::stream::unfold((receiver, Some(task)), next).boxed())
    }
}

type Running = (mpsc::Receiver<Result<RecordBatch>>, Option<SpawnedTask<()>>);

async fn next((mut receiver, mut task): Running) -> Option<(Result<RecordBatch>, Running)> {
    if let Some(batch) = receiver.recv().await {
        return Some((batch, (receiver, task)));
    }
    match task.take()?.join().await {
        Ok(()) => None,
        Err(error) => Some((Err(Error::internal("reading a table failed").with_source(error)), (receiver, None))),
    }
}

/// One share being read, and the room that it takes.
struct Reading {
    url: String,
    batches: queue::Receiver,
    task: SpawnedTask<()>,
    _room: OwnedSemaphorePermit,
}

async fn drive(table: Arc<Inner>, plan: Arc<Plan>, output: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let mut rows = Rows { skip: plan.filtered_rows.start, left: plan.filtered_rows.end - plan.filtered_rows.start };
    if rows.left == 0 {
        return Ok(());
    }
    let (sender, mut readings) = mpsc::channel(SHARES_AT_ONCE);
    let feeder = SpawnedTask::spawn(async move {
        if let Err(error) = feed(&table, &plan, &sender).await {
            let _ = sender.send(Err(error)).await;
        }
    });
    while let Some(reading) = readings.recv().await {
        let mut reading: Reading = reading?;
        while let Some(batch) = reading.batches.next().await {
            let Some(batch) = rows.trim(batch?) else { continue };
            if output.send(Ok(batch)).await.is_err() || rows.left == 0 {
                return Ok(());
            }
        }
        let url = &reading.url;
        let broken = |error| Error::data_loss(format!("{url}: decoding broke off")).with_source(error);
        reading.task.join().await.map_err(broken)?;
    }
    feeder.join().await.map_err(|error| Error::internal("reading ahead failed").with_source(error))
}

/// Starts reading share after share while there is room.
async fn feed(table: &Arc<Inner>, plan: &Arc<Plan>, readings: &mpsc::Sender<Result<Reading>>) -> Result<()> {
    let room = Room::new(table.options.ahead_bytes, plan.ends_early());
    let footers = if plan.ends_early() { 1 } else { table.options.concurrent_footers.max(1) };
    let parts = FileParts::new(table, plan).into_stream();
    let files = parts.map_ok(|part| shares(table, plan, part)).try_buffered(footers);
    let mut files = pin!(files);
    while let Some(shares) = files.try_next().await? {
        for share in shares {
            let room = room.of(share.held_bytes()).await?;
            if readings.send(Ok(start(table, plan, share, room))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn start(table: &Arc<Inner>, plan: &Arc<Plan>, share: Share, room: OwnedSemaphorePermit) -> Reading {
    let (sender, batches) = queue::new(share.waiting_bytes());
    let (table, plan, url) = (Arc::clone(table), Arc::clone(plan), share.url().to_owned());
    let task = SpawnedTask::spawn(async move {
        if let Err(error) = file_scan::run(&table, &plan, &share, &sender).await {
            // The receiver is gone only when nobody wants the error.
            sender.fail(error);
        }
    });
    Reading { url, batches, task, _room: room }
}

/// Bytes that the shares of a scan hold together. Two fit always, so that one is fetched while another is
/// decoded; only one when reading ahead may be in vain.
struct Room {
    kibibytes: Arc<Semaphore>,
    largest: u32,
    least: u32,
}

impl Room {
    fn new(bytes: usize, one_only: bool) -> Self {
        let whole = kibibytes(bytes).max(2);
        let least = (whole / u32::try_from(SHARES_AT_ONCE).unwrap_or(1)).max(1);
        let (largest, least) = if one_only { (whole, whole) } else { (whole / 2, least) };
        Self { kibibytes: Arc::new(Semaphore::new(whole as usize)), largest, least }
    }

    /// Waits for room for `bytes`.
    async fn of(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let wanted = kibibytes(usize::try_from(bytes).unwrap_or(usize::MAX)).clamp(self.least, self.largest);
        let closed = |error| Error::internal("the room of a scan was closed").with_source(error);
        Arc::clone(&self.kibibytes).acquire_many_owned(wanted).await.map_err(closed)
    }
}

/// Limit and offset among the rows that met the filter.
struct Rows {
    skip: u64,
    left: u64,
}

impl Rows {
    /// The part of `batch` that is wanted, none when no row is.
    fn trim(&mut self, batch: RecordBatch) -> Option<RecordBatch> {
        let rows = batch.num_rows();
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows);
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(rows - skip);
        self.skip -= skip as u64;
        self.left -= taken as u64;
        (taken > 0).then(|| batch.slice(skip, taken))
    }
}
