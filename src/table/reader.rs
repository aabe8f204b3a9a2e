//! Bytes of one pinned file for DataFusion's parquet scan.
//!
//! Keeps the store's error as it was: what DataFusion passes on has lost its kind on the way.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::OnceCell;

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
    file: Arc<TableFile>,
    footer: Arc<ParquetMetaData>,
    failure: Failure,
    together: Arc<Together>,
}

/// Row groups whose ranges are fetched at the same time.
const GROUPS_AT_ONCE: usize = 16;

/// Ranges that are fetched with the first of them that is asked for. The decoder asks for the columns of a filter
/// one after the other, and for the next row group when it is done with the last.
#[derive(Debug, Default)]
struct Together {
    /// By row group: what lies between the wanted columns of two is not fetched with them.
    groups: Vec<Vec<Range<u64>>>,
    /// The same in one row.
    ranges: Vec<Range<u64>>,
    fetched: OnceCell<Vec<Bytes>>,
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
    /// Reads `file`, of which the ranges `together` are fetched at once. Its first error is kept in `failure`.
    pub(super) fn new(
        file: Arc<TableFile>,
        footer: Arc<ParquetMetaData>,
        failure: Failure,
        together: Vec<Vec<Range<u64>>>,
    ) -> Self {
        let together = Together { ranges: together.concat(), groups: together, fetched: OnceCell::new() };
        Self { file, footer, failure, together: Arc::new(together) }
    }

    /// The bytes of `ranges`: of those that are fetched together, else from the store.
    async fn ranges(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let place = |range: &Range<u64>| {
            self.together.ranges.iter().position(|whole| whole.start <= range.start && range.end <= whole.end)
        };
        let places: Vec<Option<usize>> = ranges.iter().map(place).collect();
        if places.iter().all(Option::is_none) {
            return self.fetch(&ranges).await;
        }
        let others: Vec<Range<u64>> =
            ranges.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(range, _)| range.clone()).collect();
        let together = &self.together;
        let fetch = together.fetched.get_or_try_init(|| self.fetch_together());
        let (fetched, others) = futures::try_join!(fetch, self.fetch(&others))?;
        let mut others = others.into_iter();
        let found = ranges.iter().zip(places).map(|(range, place)| match place {
            None => others.next(),
            Some(place) => part(fetched.get(place)?, together.ranges.get(place)?, range),
        });
        let lost = || Error::internal(format!("bytes of {} were not fetched", self.file.url));
        found.collect::<Option<Vec<_>>>().ok_or_else(lost)
    }

    async fn fetch_together(&self) -> Result<Vec<Bytes>> {
        let fetches: Vec<_> = self.together.groups.iter().map(|ranges| self.fetch(ranges)).collect();
        futures::stream::iter(fetches).buffered(GROUPS_AT_ONCE).try_concat().await
    }

    /// The bytes of `ranges` from the store, neighbours in one request.
    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let url = &self.file.url;
        for range in ranges {
            if range.start > range.end || range.end > self.file.size {
                let size = self.file.size;
                return Err(Error::data_loss(format!("{url}: a page at {range:?} lies outside its {size} bytes")));
            }
        }
        let found = self.file.store.get_ranges(&self.file.path, ranges).await.map_err(|error| of_store(error, url))?;
        for (bytes, range) in found.iter().zip(ranges) {
            check_length(bytes.len(), range.end - range.start, url)?;
        }
        Ok(found)
    }
}

/// The bytes of `range` out of those of `whole`.
fn part(bytes: &Bytes, whole: &Range<u64>, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start.checked_sub(whole.start)?).ok()?;
    let end = usize::try_from(range.end.checked_sub(whole.start)?).ok()?;
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
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
