//! Runs a scan: files are read some at a time, their batches are given one file after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::file_scan::{self, FilePart};
use super::plan::{Plan, ScanRequest};
use super::{Inner, Table};
use crate::error::{Error, Result};

/// Batches that wait between two tasks.
const WAITING_BATCHES: usize = 1;

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

/// One file being read.
struct Reading {
    file: usize,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    task: SpawnedTask<()>,
}

async fn drive(table: Arc<Inner>, plan: Arc<Plan>, output: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let window = if plan.ends_early() { 1 } else { table.options.concurrent_files.max(1) };
    let mut parts = Parts { table: &table, plan: &plan, file: 0, start: 0 };
    let mut rows = Rows { skip: plan.filtered_rows.start, left: plan.filtered_rows.end - plan.filtered_rows.start };
    let mut reading: VecDeque<Reading> = VecDeque::new();
    while rows.left > 0 {
        while reading.len() < window
            && let Some(part) = parts.next().await?
        {
            reading.push_back(start(&table, &plan, part));
        }
        let Some(mut first) = reading.pop_front() else { break };
        while let Some(batch) = first.batches.recv().await {
            let Some(batch) = rows.trim(batch?) else { continue };
            if output.send(Ok(batch)).await.is_err() || rows.left == 0 {
                return Ok(());
            }
        }
        let url = table.files.get(first.file).map(|file| file.url.as_str()).unwrap_or_default();
        let broken = |error| Error::data_loss(format!("{url}: decoding broke off")).with_source(error);
        first.task.join().await.map_err(broken)?;
    }
    Ok(())
}

fn start(table: &Arc<Inner>, plan: &Arc<Plan>, part: FilePart) -> Reading {
    let (sender, batches) = mpsc::channel(WAITING_BATCHES);
    let (table, plan, file) = (Arc::clone(table), Arc::clone(plan), part.file);
    let task = SpawnedTask::spawn(async move {
        if let Err(error) = file_scan::run(&table, &plan, &part, &sender).await {
            // The receiver is gone only when nobody wants the error.
            let _ = sender.send(Err(error)).await;
        }
    });
    Reading { file, batches, task }
}

/// The files of a scan, one after the other.
struct Parts<'a> {
    table: &'a Inner,
    plan: &'a Plan,
    file: usize,
    start: u64,
}

impl Parts<'_> {
    /// The next file that may hold wanted rows; footers are read as far as rows must be counted.
    async fn next(&mut self) -> Result<Option<FilePart>> {
        while self.file < self.table.files.len() {
            let Some(wanted) = &self.plan.rows else {
                let file = self.file;
                self.file += 1;
                if self.plan.excludes(self.table, file)? {
                    continue;
                }
                return Ok(Some(FilePart { file, rows: None }));
            };
            if self.start >= wanted.end {
                break;
            }
            let (file, start) = (self.file, self.start);
            let count = self.table.footers.rows(file).await?;
            self.start = start.saturating_add(count);
            self.file += 1;
            let (from, to) = (wanted.start.max(start) - start, wanted.end.min(self.start) - start);
            if from < to {
                return Ok(Some(FilePart { file, rows: (to - from < count).then_some(from..to) }));
            }
        }
        self.check_end()
    }

    /// Rows that were named one by one must exist; known when the last footer was read.
    fn check_end(&self) -> Result<Option<FilePart>> {
        match &self.plan.rows {
            Some(rows) if self.plan.rows_are_named && self.file == self.table.files.len() && rows.end > self.start => {
                let total = self.start;
                Err(Error::out_of_range(format!("rows {}..{} of a table of {total}", rows.start, rows.end)))
            }
            _ => Ok(None),
        }
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
