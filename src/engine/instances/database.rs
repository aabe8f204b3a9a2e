//! Databases of instances, downloaded through storages that no request reaches.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use crate::error::{Error, Result};
use crate::model::object_files::ObjectFiles;
use crate::storage::Storages;

/// Bytes of one request of a download.
const PIECE: u64 = 8 << 20;

/// Files of one object store.
#[derive(Debug)]
pub(super) struct DatabaseFiles {
    storages: Storages,
    options: BTreeMap<String, String>,
}

impl DatabaseFiles {
    /// Reads with the given options of the object store.
    pub(super) fn new(storages: Storages, options: BTreeMap<String, String>) -> Self {
        Self { storages, options }
    }

    /// Allows the bucket of `url`, or what stands for it.
    fn allow(&self, url: &str) -> Result<()> {
        if self.storages.resolve(url).is_ok() {
            return Ok(());
        }
        let root = url.rsplit_once('/').map_or(url, |(folder, _)| folder);
        let root = if root.ends_with(":/") { url } else { root };
        self.storages.add(root, self.options.clone()).map(drop)
    }
}

#[async_trait]
impl ObjectFiles for DatabaseFiles {
    async fn etag(&self, url: &str) -> Result<String> {
        self.allow(url)?;
        Ok(self.storages.head(url).await?.etag)
    }

    async fn names(&self, url: &str) -> Result<Vec<String>> {
        self.allow(url)?;
        self.storages.names(url).await
    }

    async fn download(&self, url: &str, etag: &str, to: &Path, most_bytes: u64) -> Result<()> {
        self.allow(url)?;
        let identity = self.storages.head(url).await?;
        let size = identity.size;
        if identity.etag != etag {
            return Err(Error::failed_precondition(format!("{url} changed")));
        }
        if size > most_bytes {
            return Err(Error::resource_exhausted(format!(
                "{url} has {size} bytes, the limit is {most_bytes} (lamindb.database_bytes)"
            )));
        }
        let reader = self.storages.open(identity).await?;
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("{} cannot be written", to.display())).with_source(error)
        };
        let mut file = tokio::fs::File::create(to).await.map_err(failed)?;
        let mut at = 0;
        while at < size {
            let end = at.saturating_add(PIECE).min(size);
            file.write_all(&reader.read(at..end).await?).await.map_err(failed)?;
            at = end;
        }
        file.flush().await.map_err(failed)
    }
}
