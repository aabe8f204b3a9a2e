//! Whole files out of an object store: the contract, not the store.

use std::fmt::Debug;
use std::path::Path;

use async_trait::async_trait;

use crate::error::Result;

/// Files that are taken as a whole: databases, never data.
#[async_trait]
pub trait ObjectFiles: Debug + Send + Sync {
    /// The ETag of the object at `url`.
    ///
    /// # Errors
    /// `NotFound` when there is none, and those of the store.
    async fn etag(&self, url: &str) -> Result<String>;

    /// Names of the objects right below the folder `url`.
    ///
    /// # Errors
    /// Those of the store.
    async fn names(&self, url: &str) -> Result<Vec<String>>;

    /// Writes the object's version `etag` to the file `to`.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is another version by now, `ResourceExhausted` when it has more than
    /// `most_bytes`, and those of the store and the disk.
    async fn download(&self, url: &str, etag: &str, to: &Path, most_bytes: u64) -> Result<()>;
}
