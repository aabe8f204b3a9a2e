//! What an index says of itself: of which version of which matrix it is, and which files it has.
//!
//! `index.json`: the CRC-32C of the second line in hexadecimal, then one line of JSON. It is written last. The
//! documents of the store are checked by it when an index is opened; the chunks carry checksums of their own, that
//! are checked whenever one is read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::zarr::write::WrittenFile;

/// Name of the file.
pub(super) const FILE: &str = "index.json";
/// Version of what an index holds.
pub(super) const VERSION: u32 = 1;
/// Longest record, in bytes: some hundred thousand files.
const MAX_BYTES: u64 = 64 << 20;
/// The documents of the store.
const DOCUMENT: &str = "zarr.json";

/// What an index says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// URL of the artifact.
    pub(super) url: String,
    /// Path of the matrix in it.
    pub(super) node: String,
    /// What the contents of the artifact were known by.
    pub(super) identity: String,
    /// Entries of the matrix.
    pub(super) entries: u64,
    /// Bytes of all files but this one.
    pub(super) bytes: u64,
    /// Whether the entries of each row of the matrix ascend by column; where not, `places` says their order.
    pub(super) is_ordered: bool,
    /// Size of each file, by its path below the index's folder.
    files: BTreeMap<String, u64>,
    /// CRC-32C of each document.
    documents: BTreeMap<String, u32>,
}

impl Record {
    /// The same with the files of the index in `folder`.
    ///
    /// # Errors
    /// `Unavailable` when a document cannot be read.
    pub(super) fn with_files(mut self, folder: &Path, files: &[WrittenFile]) -> Result<Self> {
        for file in files {
            if file.path.ends_with(DOCUMENT) {
                let text = fs::read(folder.join(&file.path)).map_err(|error| unread(&file.path, error))?;
                self.documents.insert(file.path.clone(), crc32c::crc32c(&text));
            }
            self.bytes = self.bytes.saturating_add(file.size);
            self.files.insert(file.path.clone(), file.size);
        }
        Ok(self)
    }

    /// A record without files.
    pub(super) fn new(url: String, node: String, identity: String, entries: u64, is_ordered: bool) -> Self {
        let (files, documents) = (BTreeMap::new(), BTreeMap::new());
        Self { version: VERSION, url, node, identity, entries, bytes: 0, is_ordered, files, documents }
    }

    /// Writes it into the index's folder.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::internal("a record has no JSON form").with_source(error))?;
        let text = format!("{:08x}\n{text}\n", crc32c::crc32c(text.as_bytes()));
        fs::write(folder.join(FILE), text).map_err(|error| unread(FILE, error))
    }

    /// Whether the files are there as they were written, as far as that shows without reading the chunks, and
    /// are of the contents `identity`.
    ///
    /// # Errors
    /// `DataLoss` naming what is wrong.
    pub(super) fn check(&self, folder: &Path, identity: &str) -> Result<()> {
        if self.version != VERSION || self.identity != identity {
            return Err(Error::data_loss("it is of another version, or of another matrix"));
        }
        for (path, size) in &self.files {
            let found = fs::metadata(folder.join(path)).map_err(|error| unread(path, error))?;
            if found.len() != *size {
                return Err(Error::data_loss(format!("'{path}' has {} bytes, expected {size}", found.len())));
            }
        }
        for (path, sum) in &self.documents {
            let text = fs::read(folder.join(path)).map_err(|error| unread(path, error))?;
            if crc32c::crc32c(&text) != *sum {
                return Err(Error::data_loss(format!("'{path}' does not fit its checksum")));
            }
        }
        Ok(())
    }

    /// Whether the file at `path` is the index's.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// The record of the index in `folder`.
///
/// # Errors
/// `NotFound` when there is none, `DataLoss` when it is damaged.
pub(super) fn load(folder: &Path) -> Result<Record> {
    let path = folder.join(FILE);
    let length = fs::metadata(&path).map_err(|error| unread(FILE, error))?.len();
    if length > MAX_BYTES {
        return Err(Error::data_loss(format!("'{FILE}' has {length} bytes, expected at most {MAX_BYTES}")));
    }
    let text = fs::read_to_string(&path).map_err(|error| unread(FILE, error))?;
    let damaged = || Error::data_loss(format!("'{FILE}' does not fit its checksum"));
    let (sum, text) = text.split_once('\n').ok_or_else(damaged)?;
    let text = text.strip_suffix('\n').ok_or_else(damaged)?;
    if u32::from_str_radix(sum, 16).ok() != Some(crc32c::crc32c(text.as_bytes())) {
        return Err(damaged());
    }
    serde_json::from_str(text)
        .map_err(|error| Error::data_loss(format!("'{FILE}' cannot be read: {error}")).with_source(error))
}

fn unread(path: &str, error: std::io::Error) -> Error {
    let message = format!("'{path}': {}", error.kind());
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(message).with_source(error),
        _ => Error::unavailable(message).with_source(error),
    }
}
