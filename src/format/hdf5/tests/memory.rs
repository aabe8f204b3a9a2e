//! An object and an index store in memory that count what is asked of them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::hdf5::Hdf5File;
use crate::model::index_store::IndexStore;
use crate::storage::reader::{ObjectIdentity, RangeReader};

/// Fixtures made by the generator, and those of the notebook.
pub(in crate::format::hdf5) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[derive(Debug)]
pub(in crate::format::hdf5) struct MemoryReader {
    identity: ObjectIdentity,
    bytes: Bytes,
    delay: Duration,
    /// Read number at which the store fails, counted from 0.
    pub(in crate::format::hdf5) fail_at: Option<u64>,
    pub(in crate::format::hdf5) reads: AtomicU64,
    pub(in crate::format::hdf5) read_bytes: AtomicU64,
    running: AtomicUsize,
    pub(in crate::format::hdf5) most_running: AtomicUsize,
    pub(in crate::format::hdf5) ranges: Mutex<Vec<Range<u64>>>,
}

impl MemoryReader {
    pub(in crate::format::hdf5) fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let identity = ObjectIdentity {
            url: format!("memory://{name}"),
            etag: "\"1\"".into(),
            version: None,
            size: bytes.len() as u64,
        };
        Self {
            identity,
            bytes,
            delay: Duration::ZERO,
            fail_at: None,
            reads: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            ranges: Mutex::default(),
        }
    }

    pub(in crate::format::hdf5) fn of_fixture(name: &str) -> Self {
        Self::new(name, std::fs::read(fixture(name)).unwrap())
    }

    pub(in crate::format::hdf5) fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(in crate::format::hdf5) fn count(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl RangeReader for MemoryReader {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst);
        self.read_bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
        self.ranges.lock().unwrap().push(range.clone());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        if self.fail_at.is_some_and(|at| number >= at) {
            return Err(Error::unavailable("the store is down"));
        }
        if range.end > self.identity.size {
            return Err(Error::data_loss(format!("{range:?} is outside the object")));
        }
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        self.read(range).await
    }
}

#[derive(Debug, Default)]
pub(in crate::format::hdf5) struct MemoryIndexes {
    pub(in crate::format::hdf5) records: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl IndexStore for MemoryIndexes {
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.records.lock().unwrap().get(&format!("{identity}|{name}")).cloned())
    }

    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()> {
        self.records.lock().unwrap().insert(format!("{identity}|{name}"), record);
        Ok(())
    }
}

/// Opens `reader` with `indexes`.
pub(in crate::format::hdf5) async fn open(
    reader: &Arc<MemoryReader>,
    indexes: &Arc<MemoryIndexes>,
) -> Result<Hdf5File> {
    let reader: Arc<dyn RangeReader> = Arc::<MemoryReader>::clone(reader);
    let indexes: Arc<dyn IndexStore> = Arc::<MemoryIndexes>::clone(indexes);
    Hdf5File::open(reader, indexes).await
}

/// Opens a fixture with fresh indexes.
pub(in crate::format::hdf5) async fn open_fixture(name: &str) -> Hdf5File {
    open(&Arc::new(MemoryReader::of_fixture(name)), &Arc::default()).await.unwrap()
}
