//! One file through DataFusion's parquet scan: projection, pruning and decoding.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::mpsc;

use super::errors::of_scan;
use super::plan::Plan;
use super::reader::{Failure, PinnedFile};
use super::{Inner, TableFile, no_store, schema};
use crate::error::{Error, Result};

/// A file and which of its rows are read; all when none are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePart {
    /// Place of the file in the table.
    pub(super) file: usize,
    /// Rows `[start, end)` of the file.
    pub(super) rows: Option<Range<u64>>,
}

/// Sends the part's batches, in row order, until the receiver is gone.
pub(super) async fn run(
    table: &Inner,
    plan: &Plan,
    part: &FilePart,
    batches: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<()> {
    let missing = || Error::internal(format!("the table has no file {}", part.file));
    let file = table.files.get(part.file).ok_or_else(missing)?;
    let footer = table.footers.get(part.file).await?;
    let recoded = schema::check(&table.schema, &footer, &file.url)?;
    let failure = Failure::default();
    let pinned = PinnedFile { file: Arc::clone(file), footer, failure: failure.clone() };
    let explain = |error| failure.take().unwrap_or_else(|| of_scan(error, &file.url, recoded));
    let mut decoded = open(table, plan, part, pinned)?;
    while let Some(batch) = decoded.next().await {
        let batch = plan.finish(&batch.map_err(explain)?)?;
        if batch.num_rows() > 0 && batches.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn open(table: &Inner, plan: &Plan, part: &FilePart, pinned: PinnedFile) -> Result<SendableRecordBatchStream> {
    let partitions: Vec<FieldRef> = if plan.hive { table.partitions.fields().to_vec() } else { Vec::new() };
    let columns = TableSchema::builder(Arc::clone(&table.schema)).with_table_partition_cols(partitions).build();
    let mut source = ParquetSource::new(columns).with_pushdown_filters(true).with_enable_page_index(true);
    if !plan.conditions.is_empty() {
        source = source.with_predicate(conjunction(plan.conditions.iter().map(Arc::clone)));
    }
    let listed = partitioned_file(table, plan, part, &pinned)?;
    let url = pinned.file.url.clone();
    let source = source.with_parquet_file_reader_factory(Arc::new(pinned));
    let unexpected = |error| Error::internal(format!("planning the scan of {url}")).with_source(error);
    let config = FileScanConfigBuilder::new(no_store()?, Arc::new(source))
        .with_projection_indices(Some(plan.scanned.clone()))
        .map_err(unexpected)?
        .with_file(listed)
        .with_batch_size(Some(plan.batch_rows))
        .with_preserve_order(true)
        .build();
    DataSourceExec::from_data_source(config).execute(0, Arc::clone(&table.context)).map_err(unexpected)
}

fn partitioned_file(table: &Inner, plan: &Plan, part: &FilePart, pinned: &PinnedFile) -> Result<PartitionedFile> {
    let TableFile { path, size, .. } = pinned.file.as_ref();
    let mut listed = PartitionedFile::new(path.as_ref(), *size);
    if plan.hive {
        listed.partition_values = table.partitions.values(part.file).to_vec();
    }
    match &part.rows {
        Some(rows) => Ok(listed.with_extension(row_groups(&pinned.footer, rows)?)),
        None => Ok(listed),
    }
}

/// The row groups that hold `rows`, the first and last of them in part.
fn row_groups(footer: &ParquetMetaData, rows: &Range<u64>) -> Result<ParquetAccessPlan> {
    let mut start = 0_u64;
    let mut groups = Vec::with_capacity(footer.num_row_groups());
    for group in footer.row_groups() {
        let count =
            u64::try_from(group.num_rows()).map_err(|_| Error::data_loss("a row group of less than no rows"))?;
        let (from, to) = (rows.start.max(start), rows.end.min(start + count));
        groups.push(match (from, to) {
            _ if from >= to => RowGroupAccess::Skip,
            _ if to - from == count => RowGroupAccess::Scan,
            _ => RowGroupAccess::Selection(selection(from - start, to - from, start + count - to)?),
        });
        start += count;
    }
    Ok(ParquetAccessPlan::new(groups))
}

fn selection(before: u64, taken: u64, after: u64) -> Result<RowSelection> {
    let rows = |count: u64| usize::try_from(count).map_err(|_| Error::resource_exhausted("a row group beyond memory"));
    let selectors =
        [RowSelector::skip(rows(before)?), RowSelector::select(rows(taken)?), RowSelector::skip(rows(after)?)];
    Ok(RowSelection::from(selectors.into_iter().filter(|selector| selector.row_count > 0).collect::<Vec<_>>()))
}
