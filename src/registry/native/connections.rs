//! A bounded number of connections to one database file, used off the async runtime.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure;
use crate::error::{Error, Result};

/// Longest wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are opened when first needed and then kept.
#[derive(Clone)]
pub(crate) struct Connections {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connections({})", self.path.display())
    }
}

impl Connections {
    pub(crate) fn new(path: Arc<PathBuf>, most: usize) -> Self {
        Self { path, idle: Arc::default(), permits: Arc::new(Semaphore::new(most)) }
    }

    /// Connections that are open already, and no others: the file may lose its name.
    pub(crate) fn of(path: Arc<PathBuf>, open: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(open.len()));
        Self { path, idle: Arc::new(Mutex::new(open)), permits }
    }

    /// Runs `work` on a connection, after those that came before. Work once begun goes on to its end
    /// even when the caller goes away.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| Error::unavailable("the registry is closed"))?;
        let (path, idle) = (Arc::clone(&self.path), Arc::clone(&self.idle));
        let done = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match kept {
                Some(connection) => connection,
                None => open(&path)?,
            };
            let answer = work(&mut connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            answer
        });
        done.await.map_err(|error| Error::internal("work on the registry was stopped").with_source(error))?
    }
}

/// A new connection.
///
/// # Errors
/// `Unavailable` naming the file when it cannot be opened.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let named = |error: rusqlite::Error| failure::of(error).context(format!("registry {}", path.display()));
    let connection = Connection::open(path).map_err(named)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(named)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(named)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
