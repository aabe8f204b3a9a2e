//! A store that pins versions as the caller's stores do, counts, and can stop.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// Objects in memory under their ETags.
#[derive(Debug, Default)]
pub(super) struct CountingStore {
    inner: InMemory,
    pub(super) requests: Mutex<Vec<(String, Range<u64>)>>,
    pub(super) failing: AtomicBool,
    /// How many others may do something before an answer comes.
    pub(super) turns: AtomicUsize,
    /// Requests that follow each other: one more than the most of a request that was answered.
    pub(super) rounds: AtomicUsize,
}

impl CountingStore {
    /// Stores `bytes` at `path` as a file of a table.
    pub(super) async fn file(self: &Arc<Self>, path: &str, bytes: Vec<u8>) -> TableFile {
        let location = Path::parse(path).unwrap();
        let size = bytes.len() as u64;
        self.inner.put(&location, PutPayload::from(bytes)).await.unwrap();
        let etag = self.inner.head(&location).await.unwrap().e_tag.unwrap();
        let folders = path.split('/').filter_map(|folder| folder.split_once('='));
        TableFile {
            url: format!("memory:///{path}"),
            store: Arc::new(Pinned { store: Arc::clone(self), etag: etag.clone() }),
            path: location,
            size,
            etag,
            rows: None,
            hive: folders.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    pub(super) async fn remove(&self, path: &str) {
        self.inner.delete(&Path::parse(path).unwrap()).await.unwrap();
    }

    /// Requests and bytes since the last call.
    pub(super) fn taken(&self) -> (usize, u64) {
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        (requests.len(), requests.iter().map(|(_, range)| range.end - range.start).sum())
    }

    /// Different objects asked for since the last call.
    pub(super) fn objects(&self) -> Vec<String> {
        let mut objects: Vec<String> = self.requests.lock().unwrap().drain(..).map(|(path, _)| path).collect();
        objects.sort();
        objects.dedup();
        objects
    }
}

/// Reads of one object, pinned to one version.
#[derive(Debug)]
struct Pinned {
    store: Arc<CountingStore>,
    etag: String,
}

impl fmt::Display for Pinned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("pinned")
    }
}

#[async_trait]
impl ObjectStore for Pinned {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(GetRange::Bounded(range)) = options.range.clone() else { panic!("unbounded read of {location}") };
        assert!(!options.head, "head of {location}");
        self.store.requests.lock().unwrap().push((location.to_string(), range));
        if self.store.failing.load(Ordering::Relaxed) {
            return Err(object_store::Error::Generic { store: "counting", source: "503 slow down".into() });
        }
        let round = self.store.rounds.load(Ordering::Relaxed) + 1;
        for _ in 0..self.store.turns.load(Ordering::Relaxed).max(1) {
            tokio::task::yield_now().await;
        }
        self.store.rounds.fetch_max(round, Ordering::Relaxed);
        self.store.inner.get_opts(location, options.with_if_match(Some(self.etag.clone()))).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        panic!("write")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        panic!("write")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        panic!("delete")
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        panic!("list")
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        panic!("list")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        panic!("copy")
    }
}
