//! The entries of one zip archive as a folder, by ranged reads of one pinned object.
//!
//! Sits between a [`RangeReader`] and the formats that read folders. The central directory is read
//! once and kept as a record; then every stored entry is a range of the object. Only the archive's own
//! structures are read here, never the content of an entry.
//!
//! ```text
//! last 64 KiB ──end──▶ where the directory lies ──directory──▶ entries ──local──▶ ranges ──▶ bytes
//!                                                  └── record ──▶ index store    (inflate: deflated ones)
//! ```
//!
//! After APPNOTE.TXT 6.3 (PKWARE), sections 4.3 to 4.5. Of entries of one name the last one counts, as
//! for Python's `zipfile`. Encrypted entries and methods other than stored and deflated are refused
//! when they are read; archives of several disks and encrypted directories when they are opened.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::reader::{Edge, FolderReader, Known, RangeReader};
use crate::error::{Error, Result, ResultExt};
use crate::model::index_store::IndexStore;
use directory::{Directory, Entry, Method};
use inflate::{Inflated, check_sum};

mod directory;
mod end;
mod fields;
mod inflate;
mod local;
mod open;
#[cfg(test)]
mod tests;

pub use directory::{MAX_DIRECTORY_BYTES, MAX_ENTRIES};
pub use inflate::{MAX_INFLATED_BYTES, MAX_KEPT_INFLATED_BYTES};

/// Bytes that are read past the guessed end of an entry: a local header may be longer than the
/// directory tells.
const SLACK_BYTES: u64 = 64;

/// Entries of one read that are unpacked at the same time.
const UNPACKED_AT_ONCE: usize = 4;

/// Reads the entries of one archive below one folder in it.
#[derive(Debug)]
pub(crate) struct ZipFolder {
    url: String,
    reader: Arc<dyn RangeReader>,
    directory: Directory,
    /// Start of the names of the folder's entries: empty, or a path with a slash at its end.
    prefix: String,
    inflated: Inflated,
}

impl ZipFolder {
    /// The folder in the archive that holds one of `markers`: the root, or the one folder in it that does.
    /// The directory is kept in `indexes` under the object's identity.
    ///
    /// # Errors
    /// `DataLoss` for an archive that is cut off or damaged, `Unimplemented` for one of several disks or
    /// with an encrypted directory, `ResourceExhausted` above a limit, `NotFound` when no folder holds a
    /// marker, `InvalidArgument` when several do, and the errors of reading.
    pub(crate) async fn open(reader: Arc<dyn RangeReader>, indexes: &dyn IndexStore, markers: &[&str]) -> Result<Self> {
        let url = reader.identity().url.clone();
        let directory = open::directory(reader.as_ref(), indexes).await;
        let directory = directory.with_context(|| format!("zip archive '{url}'"))?;
        let prefix = root_of(&directory, markers, &url)?;
        let url = format!("{url}/{prefix}").trim_end_matches('/').to_owned();
        Ok(Self { url, reader, directory, prefix, inflated: Inflated::default() })
    }

    fn entry(&self, path: &str) -> Option<(usize, &Entry)> {
        self.directory.find(&format!("{}{path}", self.prefix))
    }

    /// The content of an entry, or a part of it, of which the directory says that it lies inside.
    async fn content(&self, index: usize, entry: &Entry, part: Range<u64>) -> Result<Bytes> {
        let is_whole = part == (0..entry.size);
        match entry.method()? {
            Method::Stored if is_whole => self.stored(index, entry).await,
            Method::Stored => self.stored_part(index, entry, part).await,
            Method::Deflated if is_whole => self.inflate(index, entry).await,
            Method::Deflated => {
                let whole = self.inflated.get(index, entry, || self.inflate(index, entry)).await?;
                let bounds = usize::try_from(part.start).ok().zip(usize::try_from(part.end).ok());
                bounds
                    .filter(|(start, end)| start <= end && *end <= whole.len())
                    .map(|(start, end)| whole.slice(start..end))
                    .ok_or_else(|| Error::internal(format!("entry '{}' has no bytes {part:?}", entry.name)))
            }
        }
    }

    /// A whole stored entry; its checksum is checked.
    async fn stored(&self, index: usize, entry: &Entry) -> Result<Bytes> {
        let bytes = self.raw(index, entry).await?;
        check_sum(bytes, entry).await
    }

    async fn inflate(&self, index: usize, entry: &Entry) -> Result<Bytes> {
        inflate::check_size(entry)?;
        let deflated = self.raw(index, entry).await?;
        inflate::inflate(deflated, entry).await
    }

    /// All bytes of an entry as they lie in the archive: in one request, unless its local header is longer
    /// than the directory tells.
    async fn raw(&self, index: usize, entry: &Entry) -> Result<Bytes> {
        if let Some(start) = self.known_start(index) {
            return self.reader.read(start..start.saturating_add(entry.compressed)).await;
        }
        let guessed = entry.guessed_start().saturating_add(entry.compressed).saturating_add(SLACK_BYTES);
        let read = self.reader.read(entry.offset..guessed.min(self.directory.start)).await?;
        let start = local::data_start(&read, entry, self.directory.start)?;
        self.learn_start(index, start);
        let end = start.saturating_add(entry.compressed);
        let bounds = (start.checked_sub(entry.offset), end.checked_sub(entry.offset));
        let bounds = bounds
            .0
            .and_then(|start| usize::try_from(start).ok())
            .zip(bounds.1.and_then(|end| usize::try_from(end).ok()));
        match bounds {
            Some((from, to)) if from <= to && to <= read.len() => Ok(read.slice(from..to)),
            _ => self.reader.read(start..end).await,
        }
    }

    /// A part of a stored entry. Where its local header was not seen yet, it is read beside the part.
    async fn stored_part(&self, index: usize, entry: &Entry, part: Range<u64>) -> Result<Bytes> {
        let at = |start: u64| start.saturating_add(part.start)..start.saturating_add(part.end);
        if let Some(start) = self.known_start(index) {
            return self.reader.read(at(start)).await;
        }
        let guessed = entry.guessed_start();
        let header = entry.offset..guessed.saturating_add(SLACK_BYTES).min(self.directory.start);
        let (header, bytes) = futures::try_join!(self.reader.read(header), self.reader.read(at(guessed)))?;
        let start = local::data_start(&header, entry, self.directory.start)?;
        self.learn_start(index, start);
        if start == guessed { Ok(bytes) } else { self.reader.read(at(start)).await }
    }

    /// The content of a whole entry out of `read`, which starts at `start` of the archive; none when the local
    /// header is longer than the directory tells, so that the content is not all there.
    async fn unpacked(&self, index: usize, entry: &Entry, read: &Bytes, start: u64) -> Result<Option<Bytes>> {
        let part = |from: u64, to: u64| {
            let from = usize::try_from(from.checked_sub(start)?).ok()?;
            let to = usize::try_from(to.checked_sub(start)?).ok()?;
            (from <= to && to <= read.len()).then(|| read.slice(from..to))
        };
        let is_stored = entry.method()? == Method::Stored;
        let end = start.saturating_add(read.len() as u64);
        let Some(around) = part(entry.offset, end) else { return Ok(None) };
        let content = local::data_start(&around, entry, self.directory.start)?;
        self.learn_start(index, content);
        let Some(raw) = part(content, content.saturating_add(entry.compressed)) else { return Ok(None) };
        if is_stored {
            return check_sum(raw, entry).await.map(Some);
        }
        inflate::check_size(entry)?;
        inflate::inflate(raw, entry).await.map(Some)
    }

    fn known_start(&self, index: usize) -> Option<u64> {
        self.directory.starts.get(index).map(|start| start.load(Ordering::Relaxed)).filter(|start| *start > 0)
    }

    fn learn_start(&self, index: usize, start: u64) {
        if let Some(known) = self.directory.starts.get(index) {
            known.store(start, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl FolderReader for ZipFolder {
    fn url(&self) -> &str {
        &self.url
    }

    fn is_pinned(&self) -> bool {
        true
    }

    fn known(&self, path: &str) -> Known {
        self.entry(path).map_or(Known::Absent, |(_, entry)| Known::Size(entry.size))
    }

    fn place(&self, path: &str) -> Option<Range<u64>> {
        let (_, entry) = self.entry(path)?;
        let end = entry.guessed_start().saturating_add(entry.compressed).saturating_add(SLACK_BYTES);
        Some(entry.offset..end.min(self.directory.start))
    }

    async fn read_together(&self, paths: &[String], range: Range<u64>) -> Result<Vec<Bytes>> {
        let read = &self.reader.read(range.clone()).await?;
        let unpack = paths.iter().map(|path| {
            let start = range.start;
            async move {
                let missing = || Error::not_found(format!("zip archive '{}' has no entry '{path}'", self.url));
                let (index, entry) = self.entry(path).ok_or_else(missing)?;
                match self.unpacked(index, entry, read, start).await {
                    Ok(Some(content)) => Ok(content),
                    Ok(None) => self.read(path, None).await?.ok_or_else(missing),
                    Err(error) => Err(error.context(format!("zip archive '{}'", self.reader.identity().url))),
                }
            }
        });
        stream::iter(unpack.collect::<Vec<_>>()).buffered(UNPACKED_AT_ONCE).try_collect().await
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let Some((index, entry)) = self.entry(path) else { return Ok(None) };
        let part = range.unwrap_or(0..entry.size);
        if part.start > part.end || part.end > entry.size {
            let (start, end, url, size) = (part.start, part.end, &self.url, entry.size);
            return Err(Error::data_loss(format!(
                "bytes {start}..{end} lie outside entry {url}/{path} of {size} bytes"
            )));
        }
        if part.is_empty() && entry.size > 0 {
            return Ok(Some(Bytes::new()));
        }
        let content = self.content(index, entry, part).await;
        content.map(Some).with_context(|| format!("zip archive '{}'", self.reader.identity().url))
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        let Some((_, entry)) = self.entry(path) else { return Ok(None) };
        let size = entry.size;
        let Some(rest) = size.checked_sub(length) else {
            let url = &self.url;
            return Err(Error::data_loss(format!(
                "entry {url}/{path} is cut off: it has {size} of at least {length} bytes"
            )));
        };
        let range = match edge {
            Edge::Start => 0..length,
            Edge::End => rest..size,
        };
        Ok(self.read(path, Some(range)).await?.map(|bytes| (bytes, size)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let start = format!("{}{prefix}", self.prefix);
        let names = self.directory.starting_with(&start);
        Ok(names.filter_map(|name| name.strip_prefix(&self.prefix).map(str::to_owned)).collect())
    }
}

/// The folder whose direct entries include one of `markers`, with a slash at its end unless it is the root.
fn root_of(directory: &Directory, markers: &[&str], url: &str) -> Result<String> {
    let is_marker = |name: &str| markers.contains(&name);
    let mut folders = BTreeSet::new();
    for name in directory.starting_with("") {
        match name.split_once('/') {
            None if is_marker(name) => return Ok(String::new()),
            Some((folder, rest)) if is_marker(rest) && !folder.is_empty() => {
                folders.insert(folder);
            }
            _ => {}
        }
    }
    let mut folders = folders.into_iter();
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(format!("{folder}/")),
        (None, _) => Err(Error::not_found(format!(
            "zip archive '{url}' has none of {} at its root or in a folder of it",
            markers.join(", ")
        ))),
        (Some(first), Some(second)) => Err(Error::invalid(format!(
            "zip archive '{url}' holds more than one store: '{first}', '{second}'; expected one at its root or in one folder"
        ))),
    }
}
