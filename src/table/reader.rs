//! Bytes of one pinned file for DataFusion's parquet scan.
//!
//! Keeps the store's error as it was: what DataFusion passes on has lost its kind on the way.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::TableFile;
use super::errors::{check_length, of_store};
use crate::error::{Error, Result};

/// The first error of reading a file, shared between its readers and who waits for its batches.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    first: Arc<Mutex<Option<Error>>>,
}

impl Failure {
    /// The error, once.
    pub(super) fn take(&self) -> Option<Error> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, error: Error) -> ParquetError {
        let message = error.message().to_owned();
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        ParquetError::General(message)
    }
}

/// Makes readers of one file whose footer is known.
#[derive(Clone, Debug)]
pub(super) struct PinnedFile {
    /// The file.
    pub(super) file: Arc<TableFile>,
    /// Its footer.
    pub(super) footer: Arc<ParquetMetaData>,
    /// Where its first error is kept.
    pub(super) failure: Failure,
}

impl ParquetFileReaderFactory for PinnedFile {
    fn create_reader(
        &self,
        _partition_index: usize,
        _file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        Ok(Box::new(self.clone()))
    }
}

impl PinnedFile {
    async fn ranges(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let url = &self.file.url;
        for range in &ranges {
            if range.start > range.end || range.end > self.file.size {
                let size = self.file.size;
                return Err(Error::data_loss(format!("{url}: a page at {range:?} lies outside its {size} bytes")));
            }
        }
        let found = self.file.store.get_ranges(&self.file.path, &ranges).await.map_err(|error| of_store(error, url))?;
        for (bytes, range) in found.iter().zip(&ranges) {
            check_length(bytes.len(), range.end - range.start, url)?;
        }
        Ok(found)
    }
}

impl AsyncFileReader for PinnedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut found = self.get_byte_ranges(vec![range]).await?;
            found.pop().ok_or_else(|| ParquetError::General("the store gave no bytes".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.ranges(ranges).await.map_err(|error| self.failure.keep(error)) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let footer = Arc::clone(&self.footer);
        async move { Ok(footer) }.boxed()
    }
}
