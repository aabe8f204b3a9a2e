//! The registry of our own: storages, artifacts with their versions, labels, collections, and kept
//! indexes, in one SQLite file.
//!
//! It never reads an object and never holds a credential. Every call runs off the async runtime on one of a few connections: one
//! that writes, some that read.

pub(crate) mod artifact;
mod collection;
pub(crate) mod connections;
mod describe;
pub(crate) mod failure;
mod find;
mod index;
mod known;
mod label;
mod list;
mod lookup;
mod members;
mod migration;
pub(crate) mod near;
pub(crate) mod query;
mod register;
mod remembered;
mod remove;
pub(crate) mod search;
mod storage;
mod trash;
pub(crate) mod uid;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{Error, Result};
use connections::Connections;
use remembered::Remembered;

pub use collection::NewCollection;
pub use known::ObjectVersion;
pub use register::{NewArtifact, Registered};
pub use storage::RegisteredStorage;

#[cfg(test)]
mod tests;

/// Runs SQL on the file of a registry, for tests of what lies above.
#[cfg(test)]
pub(crate) fn execute(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// The bounds of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Connections that read at the same time; at least 1.
    pub readers: usize,
    /// Most bytes of kept indexes; the oldest are dropped beyond.
    pub index_bytes: u64,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { readers: 4, index_bytes: 1 << 30 }
    }
}

/// The registry of our own, in one SQLite file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NativeRegistry {
    path: Arc<PathBuf>,
    options: RegistryOptions,
    writer: Connections,
    readers: Connections,
    remembered: Remembered,
}

impl NativeRegistry {
    /// Opens the registry at `path` with the default bounds; a new one when there is no file.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, RegistryOptions::default()).await
    }

    /// Opens the registry at `path`; a new one when there is no file. Brings an older schema up to
    /// date.
    ///
    /// # Errors
    /// `NotFound` when the folder does not exist, `FailedPrecondition` when the file is not a registry
    /// or of a newer schema, `DataLoss` when it is corrupt, `Unavailable` when it cannot be opened.
    pub async fn open_with(path: impl AsRef<Path>, options: RegistryOptions) -> Result<Self> {
        let path = Arc::new(path.as_ref().to_path_buf());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf);
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let (file, folder) = (path.display(), folder.display());
            return Err(Error::not_found(format!("registry {file}: the folder {folder} does not exist")));
        }
        let writer = Connections::new(Arc::clone(&path), 1);
        let readers = Connections::new(Arc::clone(&path), options.readers.max(1));
        let file = Arc::clone(&path);
        let opened = writer.run(move |connection| {
            migration::bring_up_to_date(connection, &file)?;
            Remembered::new(connections::open(&file)?)
        });
        let remembered = opened.await?;
        Ok(Self { path, options, writer, readers, remembered })
    }

    /// The file of the registry.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a connection that reads.
    async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let path = Arc::clone(&self.path);
        self.readers.run(move |connection| within(connection, TransactionBehavior::Deferred, &path, work)).await
    }

    /// Runs `work` in one transaction on the connection that writes: all of it happens, or nothing.
    async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let path = Arc::clone(&self.path);
        self.writer.run(move |connection| within(connection, TransactionBehavior::Immediate, &path, work)).await
    }
}

fn within<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    path: &Path,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let named = |error: rusqlite::Error| failure::of(error).context(format!("registry {}", path.display()));
    let transaction = connection.transaction_with_behavior(behavior).map_err(named)?;
    let answer = work(&transaction)?;
    transaction.commit().map_err(named)?;
    Ok(answer)
}
