//! Column indexes: sparse matrices once more, stored by the axis that they are not stored by.
//!
//! A few columns of a matrix stored by rows (a gene of all cells), or a few rows of one stored by columns, need
//! all of its chunks. Its index is the same matrix stored the other way, as a zarr store in a local folder, so
//! that they need a few. It is built when it is asked for, or when such slices were asked for often, and is a
//! copy: it can always be left out, and is, when it is missing, damaged, or of another version of the artifact.
//!
//! ```text
//! matrix ──build──▶ runs, sorted by column ──▶ merged ──▶ store ──open──▶ IndexedAnswer (read::sparse)
//! ```
//! Which slices are served from one is decided by [`super::hierarchy`].

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lru::LruCache;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::{Meaning, Sparse, meaning};
use crate::format::zarr::ZarrStore;
use crate::model::index_store::NoIndexStore;
use crate::read::context::ReadContext;
use crate::read::sparse::indexed::Keeper;
use crate::storage::{StorageOptions, Storages, absolute_url, join_url};

mod build;
mod matrix;
mod record;
mod runs;
mod store;
#[cfg(test)]
mod tests;

pub(in crate::engine) use matrix::Matrix;

use build::Progress;
use record::Record;
use store::Store;

/// Indexes that stay open.
const OPEN_INDEXES: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Matrices whose column slices are counted.
const COUNTED_MATRICES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Indexes that are built at the same time.
const BUILDS_AT_ONCE: usize = 1;
/// Builds that are under way or wait for their turn.
const MOST_BUILDS: usize = 64;
/// How exactly it is known when an index was last used.
const TOUCHED: Duration = Duration::from_secs(10);

/// Where column indexes lie, and when they are built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnIndexOptions {
    /// A local folder.
    pub folder: PathBuf,
    /// Most bytes in it.
    pub max_bytes: u64,
    /// Column slices of one matrix after which its index is built; 0: only when it is asked for.
    pub after: u64,
}

/// All column indexes of a server.
#[derive(Debug)]
pub(in crate::engine) struct ColumnIndexes {
    store: Arc<Store>,
    /// The folder of the store, and nothing else.
    storages: Storages,
    url: String,
    after: u64,
    opened: Mutex<LruCache<String, Arc<OpenIndex>>>,
    asked: Mutex<LruCache<String, u64>>,
    builds: Mutex<HashMap<String, Arc<Build>>>,
    turn: Arc<Semaphore>,
}

/// An index that is open.
#[derive(Debug)]
pub(in crate::engine) struct OpenIndex {
    /// The store.
    pub(in crate::engine) hierarchy: Hierarchy,
    /// The matrix in it: that of the artifact, stored by the other axis.
    pub(in crate::engine) sparse: Sparse,
    /// The array of the place of each entry in its row, where the rows of the matrix do not ascend.
    pub(in crate::engine) places: Option<String>,
    record: Record,
    touched: Mutex<Instant>,
}

/// A build under way.
#[derive(Debug)]
struct Build {
    progress: Arc<Progress>,
    done: watch::Receiver<Option<Outcome>>,
    wanted: Weak<Wanted>,
}

/// How a build ended: the index, or why there is none.
type Outcome = std::result::Result<Value, (Kind, String, bool)>;

/// Somebody waits for a build; when nobody does any more, it stops.
#[derive(Debug)]
struct Wanted(CancellationToken);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Removes an index that cannot be read.
#[derive(Debug)]
pub(in crate::engine) struct Remover {
    indexes: Arc<ColumnIndexes>,
    name: String,
    is_done: AtomicBool,
}

impl Keeper for Remover {
    fn lost(&self, error: &Error) {
        if self.is_done.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(%error, name = self.name, "a column index cannot be read; it is removed");
        lock(&self.indexes.opened).pop(&self.name);
        let (store, name) = (Arc::clone(&self.indexes.store), self.name.clone());
        drop(tokio::task::spawn_blocking(move || store.remove(&name)));
    }
}

impl ColumnIndexes {
    /// The indexes in the folder of `options`, which is made when it is not there.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made or listed.
    pub(in crate::engine) async fn open(options: &ColumnIndexOptions) -> Result<Arc<Self>> {
        let (folder, max_bytes) = (options.folder.clone(), options.max_bytes);
        let store = blocking(move || Store::open(&folder, max_bytes)).await?;
        // Blocks would only be kept twice: the files are as near.
        let storages = Storages::new(StorageOptions { cache_bytes: 0, ..StorageOptions::default() });
        let root = store.root().to_str().ok_or_else(|| Error::invalid("column_index.folder is not Unicode"))?;
        let url = storages.add(&absolute_url(root)?, std::collections::BTreeMap::new())?.url;
        Ok(Arc::new(Self {
            store: Arc::new(store),
            storages,
            url,
            after: options.after,
            opened: Mutex::new(LruCache::new(OPEN_INDEXES)),
            asked: Mutex::new(LruCache::new(COUNTED_MATRICES)),
            builds: Mutex::new(HashMap::new()),
            turn: Arc::new(Semaphore::new(BUILDS_AT_ONCE)),
        }))
    }

    /// The index of `matrix`, if there is one.
    pub(in crate::engine) async fn find(&self, matrix: &Matrix) -> Option<Arc<OpenIndex>> {
        let kept = lock(&self.opened).get(&matrix.name).map(Arc::clone);
        let open = match kept {
            Some(open) => open,
            None => {
                let open = self.open_index(matrix).await?;
                lock(&self.opened).put(matrix.name.clone(), Arc::clone(&open));
                open
            }
        };
        let is_due = {
            let mut touched = lock(&open.touched);
            let is_due = touched.elapsed() >= TOUCHED;
            if is_due {
                *touched = Instant::now();
            }
            is_due
        };
        if is_due {
            let (store, name) = (Arc::clone(&self.store), matrix.name.clone());
            drop(tokio::task::spawn_blocking(move || store.touch(&name)));
        }
        Some(open)
    }

    /// Who removes the index of `matrix` when it cannot be read.
    pub(in crate::engine) fn keeper(self: &Arc<Self>, matrix: &Matrix) -> Arc<dyn Keeper> {
        let (indexes, name) = (Arc::clone(self), matrix.name.clone());
        Arc::new(Remover { indexes, name, is_done: AtomicBool::new(false) })
    }

    /// How far the build of the index of `matrix` is, from 0 to 1, when it is under way.
    pub(in crate::engine) fn progress(&self, matrix: &Matrix) -> Option<f64> {
        let build = lock(&self.builds).get(&matrix.name).map(Arc::clone)?;
        Some(build.progress.load(Ordering::Relaxed) as f64 / 1000.0)
    }

    /// Counts a column slice of `matrix`, which has no index: begins to build it when there were enough, or when
    /// there is one of another version of the artifact.
    pub(in crate::engine) fn asked(self: &Arc<Self>, context: &ReadContext, matrix: &Matrix) {
        let count = {
            let mut asked = lock(&self.asked);
            let count = asked.get_or_insert_mut(matrix.name.clone(), || 0);
            *count += 1;
            *count
        };
        let (indexes, context, matrix) = (Arc::clone(self), context.clone(), matrix.clone());
        tokio::spawn(async move {
            let is_enough = indexes.after > 0 && count >= indexes.after;
            // What is seen first may be a new version of what is indexed.
            if is_enough || (count == 1 && indexes.has_other_version(&matrix).await) {
                // A failure is logged by the build; the count begins anew.
                lock(&indexes.asked).put(matrix.name.clone(), 1);
                drop(indexes.build(&context, &matrix).await);
            }
        });
    }

    /// Builds the index of `matrix`, or waits for who does, or finds it. When all who wait are gone, it stops.
    /// Gives its size: `{"state": "ready", "entries": …, "bytes": …}`.
    ///
    /// # Errors
    /// As [`build::build`]; `ResourceExhausted` when too many builds wait.
    pub(in crate::engine) async fn build(self: &Arc<Self>, context: &ReadContext, matrix: &Matrix) -> Result<Value> {
        loop {
            if let Some(open) = self.find(matrix).await {
                return Ok(summary(&open.record));
            }
            let Some((build, wanted)) = self.join(context, matrix)? else {
                // One that was given up is about to end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let mut done = build.done.clone();
            let ended = done.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
            drop(wanted);
            return match ended {
                Ok(Some(Ok(found))) => Ok(found),
                Ok(Some(Err((kind, message, retry)))) => {
                    let error = Error::new(kind, message);
                    Err(if retry { error.retryable() } else { error })
                }
                Ok(None) | Err(_) => Err(Error::internal("a build of a column index was lost")),
            };
        }
    }

    /// Begins to build without waiting for it; says whether it is there, or how far it is.
    ///
    /// # Errors
    /// As [`ColumnIndexes::build`], of what shows at once.
    pub(in crate::engine) async fn begin(self: &Arc<Self>, context: &ReadContext, matrix: &Matrix) -> Result<Value> {
        if let Some(open) = self.find(matrix).await {
            return Ok(summary(&open.record));
        }
        matrix.parts()?;
        if let Some(progress) = self.progress(matrix) {
            return Ok(json!({ "state": "building", "progress": progress }));
        }
        let (indexes, context, wanted) = (Arc::clone(self), context.clone(), matrix.clone());
        tokio::spawn(async move { drop(indexes.build(&context, &wanted).await) });
        Ok(json!({ "state": "building", "progress": 0.0 }))
    }

    /// The build of `matrix`, begun when there is none; none when it is being given up.
    fn join(self: &Arc<Self>, context: &ReadContext, matrix: &Matrix) -> Result<Option<(Arc<Build>, Arc<Wanted>)>> {
        let mut builds = lock(&self.builds);
        if let Some(build) = builds.get(&matrix.name) {
            return Ok(build.wanted.upgrade().map(|wanted| (Arc::clone(build), wanted)));
        }
        if builds.len() >= MOST_BUILDS {
            return Err(Error::resource_exhausted(format!("{MOST_BUILDS} column indexes wait to be built")).retryable());
        }
        let stop = CancellationToken::new();
        let (sender, done) = watch::channel(None);
        let (progress, wanted) = (Arc::new(Progress::new(0)), Arc::new(Wanted(stop.clone())));
        let build = Arc::new(Build { progress: Arc::clone(&progress), done, wanted: Arc::downgrade(&wanted) });
        builds.insert(matrix.name.clone(), Arc::clone(&build));
        let (indexes, context, matrix) = (Arc::clone(self), context.in_background(), matrix.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = indexes.run(&context, &matrix, &progress) => ended,
                () = stop.cancelled() => Err(Error::new(Kind::Cancelled, "nobody waits for the column index any more")),
            };
            let node = matrix.sparse.path.as_str();
            let outcome = match ended {
                Ok(record) => {
                    tracing::info!(url = matrix.url, node, bytes = record.bytes, "built a column index");
                    Ok(summary(&record))
                }
                Err(error) => {
                    tracing::warn!(%error, url = matrix.url, node, "no column index");
                    Err((error.kind(), error.message().to_owned(), error.is_retryable()))
                }
            };
            lock(&indexes.builds).remove(&matrix.name);
            // When nobody waits, nobody is told.
            drop(sender.send(Some(outcome)));
        });
        Ok(Some((build, wanted)))
    }

    async fn run(&self, context: &ReadContext, matrix: &Matrix, progress: &Arc<Progress>) -> Result<Record> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let _turn = turn.map_err(|error| Error::internal("builds closed").with_source(error))?;
        tracing::info!(url = matrix.url, node = matrix.sparse.path, "building a column index");
        let (store, name) = (Arc::clone(&self.store), matrix.name.clone());
        let place = blocking(move || store.workplace(&name)).await?;
        build::build(context, matrix, place, progress).await
    }

    async fn open_index(&self, matrix: &Matrix) -> Option<Arc<OpenIndex>> {
        let (store, name, identity) = (Arc::clone(&self.store), matrix.name.clone(), matrix.identity.clone());
        let record = blocking(move || Ok(store.record(&name, &identity))).await.ok()??;
        match self.open_store(matrix, record).await {
            Ok(open) => Some(Arc::new(open)),
            Err(error) => {
                tracing::warn!(%error, name = matrix.name, "a column index cannot be opened; it is removed");
                let (store, name) = (Arc::clone(&self.store), matrix.name.clone());
                drop(tokio::task::spawn_blocking(move || store.remove(&name)).await);
                None
            }
        }
    }

    async fn open_store(&self, matrix: &Matrix, record: Record) -> Result<OpenIndex> {
        let url = join_url(&self.url, &matrix.name)?;
        let mut files = self.storages.list_files(&url).await?;
        files.retain(|file| record.has(&file.path));
        let folder = self.storages.pinned_folder(&url, &files).await?;
        // Chunks are kept under the versions of the files that they are of.
        let versions: String = files.iter().map(|file| format!("{}\n", file.etag)).collect();
        let identity = format!("column index {} {}", matrix.name, matrix::digest(&versions));
        let store = ZarrStore::open(folder, &identity, Arc::new(NoIndexStore)).await?;
        let hierarchy = Hierarchy::Zarr(Arc::new(store));
        let Meaning::Sparse(sparse) = meaning(hierarchy.tree(), "")? else {
            return Err(Error::data_loss("it holds no sparse matrix"));
        };
        let entries = hierarchy.tree().array(&sparse.data())?.element_count()?;
        if sparse.major != matrix.across() || sparse.shape != matrix.sparse.shape || entries != record.entries {
            return Err(Error::data_loss("it is of another matrix"));
        }
        let places = (!record.is_ordered).then(|| "places".to_owned());
        let touched = Instant::now().checked_sub(TOUCHED).unwrap_or_else(Instant::now);
        Ok(OpenIndex { hierarchy, sparse, places, record, touched: Mutex::new(touched) })
    }

    async fn has_other_version(&self, matrix: &Matrix) -> bool {
        let (store, url, node) = (Arc::clone(&self.store), matrix.url.clone(), matrix.sparse.path.clone());
        blocking(move || Ok(!store.of_source(&url, &node).is_empty())).await.unwrap_or(false)
    }
}

fn summary(record: &Record) -> Value {
    json!({ "state": "ready", "entries": record.entries, "bytes": record.bytes })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("work on column indexes stopped unexpectedly").with_source(error))?
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
