//! The contracts through which formats read bytes.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};

/// One version of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectIdentity {
    /// URL without secrets.
    pub url: String,
    /// ETag as the store gave it.
    pub etag: String,
    /// Version id of the store, where it keeps versions.
    pub version: Option<String>,
    /// Size in bytes.
    pub size: u64,
}

impl ObjectIdentity {
    /// The identity as one text: the key under which indexes of this object version are kept.
    pub fn index_key(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.url, self.etag, self.version.as_deref().unwrap_or(""), self.size)
    }
}

/// Reads ranges of one object, pinned to one version.
#[async_trait]
pub trait RangeReader: Debug + Send + Sync {
    /// Which version of which object this reads.
    fn identity(&self) -> &ObjectIdentity;

    /// Exactly the bytes of `range`, in one request, past the block cache.
    ///
    /// # Errors
    /// `FailedPrecondition` when the object changed, `NotFound` when it is gone, `DataLoss` when the
    /// range lies outside the object, `Unavailable` when the store fails after retries.
    async fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// The bytes of `range` through the block cache: whole blocks are fetched and kept, neighbouring
    /// missing blocks in one request. For metadata and other small reads that come again.
    ///
    /// # Errors
    /// As [`RangeReader::read`].
    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes>;
}

/// What is known of an object without asking the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// There is no such object.
    Absent,
    /// Its size in bytes.
    Size(u64),
}

/// One end of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Its first bytes.
    Start,
    /// Its last bytes.
    End,
}

/// Reads objects below one folder-like root.
#[async_trait]
pub trait FolderReader: Debug + Send + Sync {
    /// URL of the root without secrets.
    fn url(&self) -> &str;

    /// What is known of the object at `path` below the root without asking the store.
    fn known(&self, _path: &str) -> Known {
        Known::Nothing
    }

    /// Where the object at `path` lies in the one object that holds all, with what is stored around it: objects
    /// that lie near each other can be read by [`FolderReader::read_together`].
    fn place(&self, _path: &str) -> Option<Range<u64>> {
        None
    }

    /// The objects at `paths`, whole, in this order, by one read of `range`, which holds the places of all.
    ///
    /// # Errors
    /// As [`FolderReader::read`]; `NotFound` for one that is missing.
    async fn read_together(&self, paths: &[String], _range: Range<u64>) -> Result<Vec<Bytes>> {
        let mut contents = Vec::with_capacity(paths.len());
        for path in paths {
            let content = self.read(path, None).await?;
            contents.push(content.ok_or_else(|| Error::not_found(format!("no object '{path}' in {}", self.url())))?);
        }
        Ok(contents)
    }

    /// Whether every object is read in the version that a listing found.
    fn is_pinned(&self) -> bool {
        false
    }

    /// Whether the store tells what is there. Where it does not, objects are read by their names only, and
    /// [`FolderReader::list`] and [`FolderReader::folders`] fail.
    fn is_listed(&self) -> bool {
        true
    }

    /// Checks that the objects whose versions stand for a folder that is not listed are still those; asked
    /// again within some seconds, the last answer holds.
    ///
    /// # Errors
    /// `FailedPrecondition` naming one that changed, `NotFound` one that is gone, and the errors of reading.
    async fn confirm(&self) -> Result<()> {
        Ok(())
    }

    /// The object at `path` below the root, or the given range of it; `None` when there is no such
    /// object. A store error is never taken for a missing object.
    ///
    /// # Errors
    /// `Unavailable` when the store fails after retries, `PermissionDenied` when it refuses,
    /// `DataLoss` when the range lies outside the object.
    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>>;

    /// The whole object at `path`, through the block cache where the folder's objects have one. For metadata.
    ///
    /// # Errors
    /// As [`FolderReader::read`].
    async fn read_cached(&self, path: &str) -> Result<Option<Bytes>> {
        self.read(path, None).await
    }

    /// The first or the last `length` bytes of the object at `path` below the root, in one request, and
    /// the size of the object in bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// As [`FolderReader::read`]; `DataLoss` when the object is shorter than `length`.
    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>>;

    /// Paths of all objects below the root whose path starts with `prefix`, in byte order.
    ///
    /// # Errors
    /// As [`FolderReader::read`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Names of the folders directly below the folder at `path`, in byte order. What lies in them is not
    /// listed, where the store can tell folders without that.
    ///
    /// # Errors
    /// As [`FolderReader::read`].
    async fn folders(&self, path: &str) -> Result<Vec<String>> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let below = self.list(&prefix).await?;
        let first = |path: &String| Some(path.strip_prefix(&prefix)?.split_once('/')?.0.to_owned());
        let mut names: Vec<String> = below.iter().filter_map(first).collect();
        names.dedup();
        Ok(names)
    }
}

/// Opens objects by the names that another object gives them.
#[async_trait]
pub trait Siblings: Debug + Send + Sync {
    /// A reader of the object called `name`, a path relative to the folder of the object that names it,
    /// pinned to the version that is there now; `None` when there is no such object.
    ///
    /// # Errors
    /// `PermissionDenied` for an absolute path and for one that leads out of all storage roots,
    /// `Unavailable` when the store fails after retries.
    async fn open(&self, name: &str) -> Result<Option<Arc<dyn RangeReader>>>;
}
