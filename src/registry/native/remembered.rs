//! Artifacts that were asked for lately, as long as nobody writes to the registry.
//!
//! Sits before the connections that read: a slice that is asked for often would otherwise spend more on finding its
//! artifact than on its bytes. SQLite itself says whether any connection of any process has committed since
//! (`PRAGMA data_version`); then all is forgotten. That asks shared memory and two locks, and no disk, so it is done
//! on the spot. It knows nothing of what sources mean, and remembers no errors.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rusqlite::Connection;

use super::failure;
use crate::error::Result;
use crate::model::artifact::Artifact;
use crate::model::request::Source;

/// Artifacts that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Bytes of texts of the largest one that is, about: a store of many objects is looked up each time.
const LARGEST_BYTES: usize = 16 << 10;

/// Artifacts by the sources that named them.
#[derive(Clone)]
pub(super) struct Remembered(Arc<Mutex<State>>);

struct State {
    /// Only asked for the version of the data: a connection does not see its own commits.
    connection: Connection,
    version: i64,
    artifacts: LruCache<Source, Arc<Artifact>>,
}

/// The state of the registry in which something was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(i64);

impl fmt::Debug for Remembered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Remembered")
    }
}

impl Remembered {
    /// Nothing yet; `connection` is for this alone.
    ///
    /// # Errors
    /// `Unavailable` when the connection cannot be set up.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        // Whoever holds the file is not waited for: then the artifact is looked up.
        connection.busy_timeout(Duration::ZERO).map_err(failure::of)?;
        let state = State { connection, version: 0, artifacts: LruCache::new(REMEMBERED) };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// What `source` named when nothing was different from now; else the state to say with what is found. Neither
    /// when the registry does not tell its state.
    pub(super) fn get(&self, source: &Source) -> (Option<Arc<Artifact>>, Option<Version>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(version) = data_version(&state.connection) else { return (None, None) };
        if version != state.version {
            state.artifacts.clear();
            state.version = version;
        }
        (state.artifacts.get(source).cloned(), Some(Version(version)))
    }

    /// Remembers what was looked up after [`Self::get`] said `version`.
    pub(super) fn put(&self, source: Source, artifact: &Artifact, version: Version) {
        if text_bytes(artifact) > LARGEST_BYTES {
            return;
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Found in this state or a later one; a later one would be noticed by whoever asks next.
        if state.version == version.0 {
            state.artifacts.put(source, Arc::new(artifact.clone()));
        }
    }
}

/// A number that changes with each commit of another connection.
fn data_version(connection: &Connection) -> Option<i64> {
    let mut statement = connection.prepare_cached("PRAGMA data_version").ok()?;
    statement.query_row([], |row| row.get(0)).ok()
}

fn text_bytes(artifact: &Artifact) -> usize {
    let files = artifact.files.iter().map(|file| file.path.len() + file.etag.len() + 64);
    let labels = artifact.labels.iter().chain(artifact.features.values().flatten()).map(|label| label.len() + 64);
    let texts = [&artifact.key, &artifact.url, &artifact.etag].map(String::len);
    let description = artifact.description.as_ref().map_or(0, String::len);
    files.chain(labels).chain(texts).sum::<usize>() + description
}
