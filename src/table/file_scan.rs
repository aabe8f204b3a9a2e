//! One share of a file through DataFusion's parquet scan: projection, pruning and decoding.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;

use super::errors::of_scan;
use super::plan::Plan;
use super::queue::Sender;
use super::reader::{Failure, PinnedFile};
use super::share::Share;
use super::{Inner, TableFile, no_store};
use crate::error::{Error, Result};

/// Sends the share's batches, in row order, until the receiver is gone.
pub(super) async fn run(table: &Inner, plan: &Plan, share: &Share, batches: &Sender) -> Result<()> {
    let file = &share.file;
    let failure = Failure::default();
    let (pinned, footer) = (Arc::clone(&file.file), Arc::clone(&file.footer));
    let pinned = PinnedFile::new(pinned, footer, failure.clone(), share.together.clone());
    let explain = |error| failure.take().unwrap_or_else(|| of_scan(error, &file.file.url, file.recoded));
    let mut decoded = open(table, plan, share, pinned)?;
    while let Some(batch) = decoded.next().await {
        let batch = plan.finish(&batch.map_err(explain)?)?;
        if batch.num_rows() > 0 && !batches.send(batch).await {
            return Ok(());
        }
    }
    Ok(())
}

fn open(table: &Inner, plan: &Plan, share: &Share, pinned: PinnedFile) -> Result<SendableRecordBatchStream> {
    let partitions: Vec<FieldRef> = if plan.hive { table.partitions.fields().to_vec() } else { Vec::new() };
    let columns = TableSchema::builder(Arc::clone(&table.schema)).with_table_partition_cols(partitions).build();
    let mut source = ParquetSource::new(columns).with_pushdown_filters(true).with_enable_page_index(true);
    if !plan.conditions.is_empty() {
        source = source.with_predicate(conjunction(plan.conditions.iter().map(Arc::clone)));
    }
    let listed = partitioned_file(table, plan, share);
    let source = source.with_parquet_file_reader_factory(Arc::new(pinned));
    let url = share.url();
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

fn partitioned_file(table: &Inner, plan: &Plan, share: &Share) -> PartitionedFile {
    let TableFile { path, size, .. } = share.file.file.as_ref();
    let mut listed = PartitionedFile::new(path.as_ref(), *size);
    if plan.hive {
        listed.partition_values = table.partitions.values(share.file.place).to_vec();
    }
    listed.with_extension(share.access_plan())
}
