//! The folder of column indexes: one folder for each, whole or not there, within a number of bytes.
//!
//! Any of it may be deleted at any time, by hand or by another server that shares the folder. What is being
//! built lies beside, locked by its builder; what a builder left behind that is gone is removed at the next
//! occasion. The order of use is the time of the record's last change. The thread blocks.
//!
//! ```text
//! <folder>/columns-v1/<digest>/           index.json (the record), zarr.json, indptr/ indices/ data/ places/
//! <folder>/columns-v1/<digest>.building/  the same, not complete, with lock and runs
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::record::{self, Record};
use crate::error::{Error, Kind, Result};

/// Version of what lies in the folder.
const FOLDER: &str = "columns-v1";
const BUILDING: &str = ".building";
const LOCK: &str = "lock";

/// The folder.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    max_bytes: u64,
}

/// The place of an index that is being built; removed when it is not published.
#[derive(Debug)]
pub(super) struct Workplace {
    store: Arc<Store>,
    name: String,
    folder: PathBuf,
    _lock: File,
    is_published: bool,
}

impl Store {
    /// The folder at `path`, made when it is not there.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be made or listed.
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self> {
        let root = path.join(FOLDER);
        fs::create_dir_all(&root).map_err(|error| failed(path, error))?;
        let store = Self { root, max_bytes };
        store.clean();
        if let Err(error) = store.make_room("", 0) {
            tracing::warn!(%error, "the folder of column indexes is not within its bound");
        }
        Ok(store)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The record of the index `name`, if there is one and it is whole. What is not whole is removed.
    pub(super) fn record(&self, name: &str, identity: &str) -> Option<Record> {
        let folder = self.folder(name);
        match record::load(&folder).and_then(|record| record.check(&folder, identity).map(|()| record)) {
            Ok(record) => Some(record),
            Err(error) if error.kind() == Kind::NotFound && !folder.exists() => None,
            Err(error) => {
                tracing::warn!(%error, name, "removing a damaged column index");
                self.remove(name);
                None
            }
        }
    }

    /// Says that the index is used now.
    pub(super) fn touch(&self, name: &str) {
        let file = File::options().append(true).open(self.folder(name).join(record::FILE));
        // An index that cannot be touched is only dropped earlier.
        drop(file.and_then(|file| file.set_modified(SystemTime::now())));
    }

    /// Removes an index, if it is there.
    pub(super) fn remove(&self, name: &str) {
        // Out of the way at once, so that nobody opens half of it.
        let gone = self.root.join(format!("{name}.{}{BUILDING}", std::process::id()));
        let folder = self.folder(name);
        if fs::rename(&folder, &gone).is_ok() {
            drop(fs::remove_dir_all(&gone));
        }
    }

    /// A place to build the index `name` at.
    ///
    /// # Errors
    /// `Unavailable` when another process builds it, or the disk fails.
    pub(super) fn workplace(self: &Arc<Self>, name: &str) -> Result<Workplace> {
        let folder = self.root.join(format!("{name}{BUILDING}"));
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let lock = locked(&folder).map_err(|error| failed(&folder, error))?;
        let Some(lock) = lock else {
            return Err(Error::unavailable("another process builds this column index").retryable());
        };
        for left in fs::read_dir(&folder).map_err(|error| failed(&folder, error))?.flatten() {
            if left.file_name() != LOCK {
                drop(fs::remove_dir_all(left.path()).or_else(|_| fs::remove_file(left.path())));
            }
        }
        let (store, name) = (Arc::clone(self), name.to_owned());
        Ok(Workplace { store, name, folder, _lock: lock, is_published: false })
    }

    /// Drops the least recently used indexes until `bytes` more than the others have fit; nothing of `name`
    /// counts.
    ///
    /// # Errors
    /// `ResourceExhausted` naming the bound when they do not fit beside nothing.
    pub(super) fn make_room(&self, name: &str, bytes: u64) -> Result<()> {
        let too_many = || {
            Error::resource_exhausted(format!(
                "a column index needs {bytes} bytes while it is built, column_index.max_bytes is {}",
                self.max_bytes
            ))
        };
        if bytes > self.max_bytes {
            return Err(too_many());
        }
        let (mut total, mut indexes) = (bytes, Vec::new());
        for entry in fs::read_dir(&self.root).map_err(|error| failed(&self.root, error))?.flatten() {
            let found = entry.file_name().to_string_lossy().into_owned();
            if found.strip_suffix(BUILDING) == Some(name) {
                continue;
            }
            let size = bytes_below(&entry.path());
            total = total.saturating_add(size);
            if !found.ends_with(BUILDING) {
                let used = fs::metadata(entry.path().join(record::FILE)).and_then(|file| file.modified());
                indexes.push((used.unwrap_or(SystemTime::UNIX_EPOCH), found, size));
            }
        }
        indexes.sort();
        for (_, found, size) in indexes {
            if total <= self.max_bytes {
                break;
            }
            tracing::info!(name = found, bytes = size, "dropping a column index for others");
            self.remove(&found);
            total = total.saturating_sub(size);
        }
        if total <= self.max_bytes { Ok(()) } else { Err(too_many()) }
    }

    /// Names of the indexes of the matrix at `node` of any version of the artifact at `url`.
    pub(super) fn of_source(&self, url: &str, node: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let is_of = |name: &String| {
            !name.ends_with(BUILDING)
                && record::load(&self.folder(name)).is_ok_and(|record| record.url == url && record.node == node)
        };
        names.filter(is_of).collect()
    }

    /// Removes what builders that are gone left behind.
    fn clean(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_left = entry.file_name().to_string_lossy().ends_with(BUILDING);
            if is_left && locked(&path).is_ok_and(|lock| lock.is_some()) {
                drop(fs::remove_dir_all(path));
            }
        }
    }
}

impl Workplace {
    /// Where the files go.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes room for `bytes` of this index.
    ///
    /// # Errors
    /// As [`Store::make_room`].
    pub(super) fn hold(&self, bytes: u64) -> Result<()> {
        self.store.make_room(&self.name, bytes)
    }

    /// Puts the index in its place, with its record. Indexes of the same matrix in other versions of the
    /// artifact go.
    ///
    /// Nothing is flushed: what a power failure leaves of an index does not fit its checksums.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub(super) fn publish(mut self, record: &Record) -> Result<()> {
        record.save(&self.folder)?;
        self.hold(bytes_below(&self.folder))?;
        for name in self.store.of_source(&record.url, &record.node) {
            self.store.remove(&name);
        }
        let place = self.store.folder(&self.name);
        fs::rename(&self.folder, &place).map_err(|error| failed(&place, error))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.is_published {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// The lock of a folder that is being built; none when another builder has it.
fn locked(folder: &Path) -> std::io::Result<Option<File>> {
    let file = File::options().write(true).create(true).truncate(false).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Bytes of all files below `path`; what goes meanwhile counts as nothing.
fn bytes_below(path: &Path) -> u64 {
    let mut pending = vec![path.to_owned()];
    let mut bytes = 0_u64;
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => pending.push(entry.path()),
                Ok(found) => bytes = bytes.saturating_add(found.len()),
                Err(_) => {}
            }
        }
    }
    bytes
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::unavailable(format!("column indexes at '{}': {}", path.display(), error.kind())).with_source(error)
}
