//! One state of an instance, in a private SQLite file: written once from the instance's tables, then only read.
//!
//! Sits between the database of the instance (asked only for its rows, in one view of it) and every question that
//! clients ask. So the instance is never locked, is asked nothing by a request, may go away, and all databases
//! answer alike. A new state is a new mirror; requests that hold the old one end on it.

mod artifact;
mod collection;
mod conditions;
mod find;
mod list;
mod load;
mod lookup;
mod members;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OpenFlags, Transaction};

use super::tables::Tables;
use crate::error::{Error, Result};
use crate::registry::native::{connections::Connections, failure};

pub(super) use load::Naming;

/// Connections that read a mirror at the same time.
const READERS: usize = 4;

/// Bytes of a page of a mirror.
const PAGE_BYTES: u64 = 4096;

/// One state of an instance. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    readers: Connections,
}

impl Mirror {
    /// Reads all of `tables` into a new mirror of at most `most_bytes` in the folder `scratch`. Blocks.
    ///
    /// The file loses its name as soon as it is open: nothing is left of it, however the process ends.
    ///
    /// # Errors
    /// `FailedPrecondition` for tables that are not those of LaminDB, `DataLoss` for values that cannot be,
    /// `ResourceExhausted` when the mirror would exceed `most_bytes`, and those of `tables`.
    pub(super) fn of(tables: &mut dyn Tables, naming: &Naming, scratch: &Path, most_bytes: u64) -> Result<Self> {
        let file = ScratchFile::new(scratch, "mirror");
        write(tables, naming, file.path(), most_bytes)?;
        let connections: Vec<Connection> = (0..READERS).map(|_| open(file.path())).collect::<Result<_>>()?;
        Ok(Self { readers: Connections::of(Arc::new(file.path().to_path_buf()), connections) })
    }

    /// Runs `work` on a connection that reads.
    async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        self.readers
            .run(move |connection| {
                let transaction = connection.transaction().map_err(failure::of)?;
                work(&transaction)
            })
            .await
    }
}

/// A file that goes with this value.
#[derive(Debug)]
pub(super) struct ScratchFile(PathBuf);

impl ScratchFile {
    /// A name that no other file of this process has, nor one of a process before it.
    pub(super) fn new(folder: &Path, what: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let file = Self(folder.join(format!(".sliceflight-{what}-{process}-{number}.tmp")));
        file.clear();
        file
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The name of a file that SQLite looks for beside it.
    pub(super) fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(end);
        name.into()
    }

    fn clear(&self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            // Most were never there.
            drop(std::fs::remove_file(self.beside(end)));
        }
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(tables: &mut dyn Tables, naming: &Naming, path: &Path, most_bytes: u64) -> Result<()> {
    let mut connection = Connection::open(path).map_err(failure::of)?;
    // Nothing is lost when a half-written mirror is.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(failure::of)?;
    let pages = i64::try_from(most_bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(1);
    connection.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES).unwrap_or(4096)).map_err(failure::of)?;
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(failure::of)?;
    let transaction = connection.transaction().map_err(failure::of)?;
    transaction.execute_batch(include_str!("schema.sql")).map_err(failure::of)?;
    let full = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::resource_exhausted(format!(
            "the records do not fit on the disk or exceed the limit of {most_bytes} bytes (lamindb.database_bytes)"
        )),
        _ => failure::of(error),
    };
    load::all(tables, &transaction, naming)?;
    transaction.execute_batch(include_str!("indexes.sql")).map_err(full)?;
    transaction.commit().map_err(full)
}

fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failure::of)?;
    // Opens the file: only now it may lose its name.
    connection.query_row("SELECT count(*) FROM storages", [], |_| Ok(())).map_err(failure::of)?;
    connection.pragma_update(None, "query_only", true).map_err(failure::of)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
