//! Objects below one folder as a listing found them: each is read in the listed version, and what was
//! not listed is not asked for.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::pinned_object::PinnedObject;
use super::reader::{FolderReader, Known, RangeReader};
use crate::error::Result;

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

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let Some(object) = self.objects.get(path) else { return Ok(None) };
        let range = range.unwrap_or(0..object.identity.size);
        object.read(range).await.map(Some)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut paths: Vec<String> = self.objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect();
        paths.sort();
        Ok(paths)
    }
}
