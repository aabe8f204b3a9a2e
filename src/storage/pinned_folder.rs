//! Objects below one folder as a listing found them: each is read in the listed version, and what was
//! not listed is not asked for.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::pinned_object::PinnedObject;
use super::reader::{Edge, FolderReader, Known, RangeReader};
use crate::error::{Error, Result};

/// Reads the listed objects of one folder.
#[derive(Debug)]
pub(crate) struct PinnedFolder {
    pub(crate) url: String,
    pub(crate) objects: HashMap<String, PinnedObject>,
}

#[async_trait]
impl FolderReader for PinnedFolder {
    fn url(&self) -> &str {
        &self.url
    }

    fn known(&self, path: &str) -> Known {
        self.objects.get(path).map_or(Known::Absent, |object| Known::Size(object.identity.size))
    }

    fn is_pinned(&self) -> bool {
        true
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let Some(object) = self.objects.get(path) else { return Ok(None) };
        let range = range.unwrap_or(0..object.identity.size);
        object.read(range).await.map(Some)
    }

    async fn read_cached(&self, path: &str) -> Result<Option<Bytes>> {
        let Some(object) = self.objects.get(path) else { return Ok(None) };
        object.read_cached(0..object.identity.size).await.map(Some)
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        let Some(object) = self.objects.get(path) else { return Ok(None) };
        let size = object.identity.size;
        let Some(rest) = size.checked_sub(length) else {
            let url = &object.identity.url;
            return Err(Error::data_loss(format!("object {url} is cut off: it has {size} of at least {length} bytes")));
        };
        let range = match edge {
            Edge::Start => 0..length,
            Edge::End => rest..size,
        };
        Ok(Some((object.read(range).await?, size)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut paths: Vec<String> = self.objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect();
        paths.sort();
        Ok(paths)
    }
}
