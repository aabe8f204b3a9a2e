//! Objects below one folder, by their paths. Not pinned: the caller's index says what it expects.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::exact::{allowed_length, bytes_of};
use super::failure::error_of;
use super::location::{check_component, joined};
use super::options::StorageOptions;
use super::reader::{Edge, FolderReader};
use super::storages::list_below;
use crate::error::{Error, Kind, Result};

/// Reads objects below one root.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) url: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) options: Arc<StorageOptions>,
}

#[async_trait]
impl FolderReader for Folder {
    fn url(&self) -> &str {
        &self.url
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let location = below(&self.path, path)?;
        let url = format!("{}/{path}", self.url);
        let found = match range {
            Some(range) if range.start >= range.end => self.read_nothing(&location, &url, range).await,
            Some(range) => self.read_range(&location, &url, range).await,
            None => self.read_whole(&location, &url).await,
        };
        if_found(found)
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        let location = below(&self.path, path)?;
        let url = format!("{}/{path}", self.url);
        if_found(self.edge_of(&location, &url, edge, length).await)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let start = below(&self.path, folder)?;
        let limit = self.options.listed_objects;
        let files = list_below(self.store.as_ref(), &start, &self.path, &self.url, limit).await?;
        Ok(files.into_iter().map(|file| file.path).filter(|path| path.starts_with(prefix)).collect())
    }

    async fn folders(&self, path: &str) -> Result<Vec<String>> {
        let location = below(&self.path, path)?;
        let found = self.store.list_with_delimiter(Some(&location)).await;
        let found = found.map_err(|error| error_of(error, &format!("{}/{path}", self.url)))?;
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }
}

impl Folder {
    async fn read_whole(&self, location: &Path, url: &str) -> Result<Bytes> {
        let answer = self.store.get_opts(location, GetOptions::new()).await.map_err(|error| error_of(error, url))?;
        bytes_of(answer, self.options.largest_read_bytes, url).await
    }

    async fn read_range(&self, location: &Path, url: &str, range: Range<u64>) -> Result<Bytes> {
        allowed_length(&range, self.options.largest_read_bytes, url)?;
        let options = GetOptions::new().with_range(Some(range.clone()));
        let answer = match self.store.get_opts(location, options).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.outside_or(error_of(error, url), location, url, &range).await),
        };
        if answer.range != range {
            return Err(outside(url, &range, answer.meta.size));
        }
        bytes_of(answer, self.options.largest_read_bytes, url).await
    }

    async fn edge_of(&self, location: &Path, url: &str, edge: Edge, length: u64) -> Result<(Bytes, u64)> {
        let limit = self.options.largest_read_bytes;
        allowed_length(&(0..length), limit, url)?;
        let range = match edge {
            Edge::Start => GetRange::Bounded(0..length),
            Edge::End => GetRange::Suffix(length),
        };
        let options = GetOptions::new().with_range(Some(range));
        let answer = match self.store.get_opts(location, options).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.outside_or(error_of(error, url), location, url, &(0..length)).await),
        };
        let size = answer.meta.size;
        let expected = match edge {
            Edge::Start => 0..length,
            Edge::End => size.saturating_sub(length)..size,
        };
        if size < length || answer.range != expected {
            return Err(Error::data_loss(format!("object {url} is cut off: it has {size} of at least {length} bytes")));
        }
        Ok((bytes_of(answer, limit, url).await?, size))
    }

    /// An empty range of an object that must exist and be long enough.
    async fn read_nothing(&self, location: &Path, url: &str, range: Range<u64>) -> Result<Bytes> {
        let size = self.store.head(location).await.map_err(|error| error_of(error, url))?.size;
        if range.start > range.end || range.end > size {
            return Err(outside(url, &range, size));
        }
        Ok(Bytes::new())
    }

    /// Stores differ in how they refuse a range outside the object: the object's size decides.
    async fn outside_or(&self, error: Error, location: &Path, url: &str, range: &Range<u64>) -> Error {
        if error.is_retryable() || matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied) {
            return error;
        }
        match self.store.head(location).await {
            Ok(object) if range.end > object.size => outside(url, range, object.size),
            _ => error,
        }
    }
}

/// What was read, if the object is there.
fn if_found<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn outside(url: &str, range: &Range<u64>, size: u64) -> Error {
    Error::data_loss(format!("bytes {}..{} lie outside object {url} of {size} bytes", range.start, range.end))
}

/// The path of an object below `root`; `path` is taken literally.
fn below(root: &Path, path: &str) -> Result<Path> {
    if path.is_empty() {
        return Ok(root.clone());
    }
    let mut components = Vec::new();
    for component in path.split('/') {
        check_component(component, path)?;
        components.push(component);
    }
    joined(root, &components)
}
