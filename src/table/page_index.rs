//! The page index of a file: read once for all shares of a scan.

use std::sync::Arc;

use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::TableFile;
use super::reader::{Failure, PinnedFile};
use crate::error::{Error, Result};

/// `footer` with the page index of `file`.
///
/// # Errors
/// Those of the store; `DataLoss` naming the file when the index does not decode.
pub(super) async fn load(file: &Arc<TableFile>, footer: &Arc<ParquetMetaData>) -> Result<Arc<ParquetMetaData>> {
    let failure = Failure::default();
    let mut pinned = PinnedFile::new(Arc::clone(file), Arc::clone(footer), failure.clone(), Vec::new());
    let mut reader = ParquetMetaDataReader::new_with_metadata(footer.as_ref().clone())
        .with_page_index_policy(PageIndexPolicy::Optional);
    let url = &file.url;
    let loaded = match reader.load_page_index(&mut pinned).await {
        Ok(()) => reader.finish(),
        Err(error) => Err(error),
    };
    loaded.map(Arc::new).map_err(|error| {
        failure.take().unwrap_or_else(|| {
            Error::data_loss(format!("{url}: the page index cannot be decoded: {error}")).with_source(error)
        })
    })
}
