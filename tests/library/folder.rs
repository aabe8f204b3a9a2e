//! Files that are served with libhdf5: the fixtures of virtual datasets, in a folder of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sliceflight::error::Result;
use sliceflight::format::Hierarchy;
use sliceflight::format::hdf5::{Hdf5File, Library, LibraryOptions, Outside};
use sliceflight::model::index_store::NoIndexStore;
use sliceflight::model::selection::AxisSelection;
use sliceflight::read::array::{ArrayValues, Caching, read_array};
use sliceflight::read::context::ReadContext;
use sliceflight::storage::reader::{ObjectIdentity, RangeReader};
use sliceflight::storage::{StorageOptions, Storages, StoredSiblings, absolute_url};

/// The path of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of the fixtures below a storage root.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    storages: Arc<Storages>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self::of("virtual")
    }

    /// A copy of other fixtures.
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(name), &folder.path().join("data"));
        let storages = Arc::new(Storages::new(StorageOptions::default()));
        storages.add(folder.path().to_str().unwrap(), std::collections::BTreeMap::new()).unwrap();
        Self { folder, storages }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// Puts new bytes in the place of a file, at once.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path("fresh"), bytes).unwrap();
        std::fs::rename(self.path("fresh"), self.path(name)).unwrap();
    }

    /// Opens joined.h5; its own ranges take `delay` once that is set.
    pub(crate) async fn open(&self, library: Option<Arc<Library>>, delay: &Arc<Delay>) -> Hierarchy {
        self.try_open(library, delay).await.unwrap()
    }

    pub(crate) async fn try_open(&self, library: Option<Arc<Library>>, delay: &Arc<Delay>) -> Result<Hierarchy> {
        self.open_file("joined.h5", library, delay).await
    }

    /// Opens the file `name`.
    pub(crate) async fn open_file(
        &self,
        name: &str,
        library: Option<Arc<Library>>,
        delay: &Arc<Delay>,
    ) -> Result<Hierarchy> {
        let url = absolute_url(self.path(name).to_str().unwrap()).unwrap();
        let inner = self.storages.open(self.storages.head(&url).await.unwrap()).await.unwrap();
        let reader = Arc::new(Slow { inner, delay: Arc::clone(delay) });
        let siblings = StoredSiblings::new(Arc::clone(&self.storages), url);
        let outside = Outside { siblings: Some(Arc::new(siblings)), library };
        let file = Hdf5File::open_with(reader, Arc::new(NoIndexStore), outside, None).await?;
        Ok(Hierarchy::Hdf5(Arc::new(file)))
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The program, with the command `hdf5-worker`: `SLICEFLIGHT_BIN`, else the build of this test.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("SLICEFLIGHT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_sliceflight").into()).into()
}

/// Workers of `program`; `memory_bytes` tells their processes apart.
pub(crate) fn library(program: PathBuf, workers: usize, memory_bytes: u64, time: Duration) -> Arc<Library> {
    Arc::new(Library::new(LibraryOptions { program, workers, memory_bytes, time }))
}

/// Reads whole arrays.
pub(crate) async fn read(hierarchy: &Hierarchy, path: &str) -> Result<ArrayValues> {
    let context = ReadContext::new(1 << 30, 1 << 27, 2, 8, Duration::from_secs(60));
    let shape = hierarchy.tree().array(path)?.shape.clone();
    let selection: Vec<_> = shape.into_iter().map(AxisSelection::all).collect();
    read_array(&context, hierarchy, path, &selection, Caching::Bypass).await
}

/// How long each range takes.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    milliseconds: AtomicU64,
    pub(crate) reads: AtomicU64,
}

impl Delay {
    pub(crate) fn set(&self, delay: Duration) {
        self.milliseconds.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Slow {
    inner: Arc<dyn RangeReader>,
    delay: Arc<Delay>,
}

impl Slow {
    async fn wait(&self) {
        self.delay.reads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(self.delay.milliseconds.load(Ordering::SeqCst))).await;
    }
}

#[async_trait]
impl RangeReader for Slow {
    fn identity(&self) -> &ObjectIdentity {
        self.inner.identity()
    }

    async fn read(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.wait().await;
        self.inner.read(range).await
    }

    async fn read_cached(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.wait().await;
        self.inner.read_cached(range).await
    }
}
