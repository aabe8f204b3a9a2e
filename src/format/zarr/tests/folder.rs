//! A folder in memory that counts what is asked of it, and the fixtures.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::format::zarr::ZarrStore;
use crate::model::chunk::{ChunkLocation, ChunkPosition, Elements};
use crate::model::index_store::{IndexStore, NoIndexStore};
use crate::storage::reader::{Edge, FolderReader, Known};

/// Objects by path.
#[derive(Debug, Default)]
pub(super) struct MemoryFolder {
    pub(super) objects: BTreeMap<String, Bytes>,
    /// Reading a path that ends so fails as an unreachable store does.
    pub(super) failing: Option<&'static str>,
    pub(super) reads: AtomicUsize,
    pub(super) lists: AtomicUsize,
    /// Folders whose folders were asked for.
    pub(super) listed: Mutex<Vec<String>>,
    /// Whether sizes are known, as those of a pinned store are.
    pub(super) pinned: bool,
    /// Whether nothing but ends of objects is there (a shard that went after its index was read).
    pub(super) gone_after_index: bool,
    /// What was read.
    pub(super) log: Mutex<Vec<(String, Range<u64>)>>,
    pub(super) in_flight: AtomicUsize,
    /// Most reads that were under way at the same time.
    pub(super) most_in_flight: AtomicUsize,
}

impl MemoryFolder {
    /// The packed fixture store `name`.
    pub(super) fn fixture(name: &str) -> Self {
        if name.ends_with(".zarr") {
            let root = fixtures().join("notebook").join(name);
            let mut folder = Self::default();
            folder.add(&root, &root);
            return folder;
        }
        let path = ["zarr", "zarr_stores"].map(|folder| fixtures().join(folder).join(format!("{name}.json")));
        let text = path.iter().find_map(|path| std::fs::read(path).ok()).unwrap();
        let packed: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
        let unpack = |(path, text): (String, String)| (path, Bytes::from(BASE64_STANDARD.decode(text).unwrap()));
        Self { objects: packed.into_iter().map(unpack).collect(), ..Self::default() }
    }

    /// A folder of these texts.
    pub(super) fn of(objects: &[(&str, &str)]) -> Self {
        let copy = |(path, text): &(&str, &str)| ((*path).to_owned(), Bytes::from((*text).to_owned()));
        Self { objects: objects.iter().map(copy).collect(), ..Self::default() }
    }

    fn add(&mut self, root: &Path, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add(root, &path);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                self.objects.insert(key, Bytes::from(std::fs::read(&path).unwrap()));
            }
        }
    }

    async fn read_present(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.most_in_flight.fetch_max(self.in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.failing.is_some_and(|end| path.ends_with(end)) {
            return Err(Error::unavailable("the store does not answer"));
        }
        let Some(whole) = self.objects.get(path).cloned() else { return Ok(None) };
        let range = range.unwrap_or(0..whole.len() as u64);
        self.log.lock().unwrap().push((path.to_owned(), range.clone()));
        if range.start > range.end || range.end > whole.len() as u64 {
            return Err(Error::data_loss(format!("bytes {range:?} lie outside '{path}'")));
        }
        Ok(Some(whole.slice(range.start as usize..range.end as usize)))
    }

    /// Reads and lists so far.
    pub(super) fn requests(&self) -> (usize, usize) {
        (self.reads.load(Ordering::SeqCst), self.lists.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl FolderReader for MemoryFolder {
    fn url(&self) -> &str {
        "memory:"
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        if self.gone_after_index && path.contains("/c/") {
            return Ok(None);
        }
        self.read_present(path, range).await
    }

    fn known(&self, path: &str) -> Known {
        match self.objects.get(path) {
            _ if !self.pinned => Known::Nothing,
            None => Known::Absent,
            Some(bytes) => Known::Size(bytes.len() as u64),
        }
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        let Some(size) = self.objects.get(path).map(|bytes| bytes.len() as u64) else { return Ok(None) };
        let rest = size.checked_sub(length).ok_or_else(|| Error::data_loss(format!("object '{path}' is cut off")))?;
        let range = if edge == Edge::Start { 0..length } else { rest..size };
        Ok(self.read_present(path, Some(range)).await?.map(|bytes| (bytes, size)))
    }

    async fn folders(&self, path: &str) -> Result<Vec<String>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.listed.lock().unwrap().push(path.to_owned());
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let below =
            self.objects.keys().filter_map(|key| Some(key.strip_prefix(&prefix)?.split_once('/')?.0.to_owned()));
        Ok(below.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        Ok(self.objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }
}

/// Records in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryIndexes(pub(super) Mutex<BTreeMap<(String, String), Vec<u8>>>);

#[async_trait]
impl IndexStore for MemoryIndexes {
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(&(identity.to_owned(), name.to_owned())).cloned())
    }

    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()> {
        self.0.lock().unwrap().insert((identity.to_owned(), name.to_owned()), record);
        Ok(())
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Nodes by store and path, as the reference reader described them.
pub(super) fn expected() -> BTreeMap<String, BTreeMap<String, Value>> {
    let stores = |path: &str| -> BTreeMap<String, BTreeMap<String, Value>> {
        let text = std::fs::read(fixtures().join(path)).unwrap();
        let mut document: Value = serde_json::from_slice(&text).unwrap();
        serde_json::from_value(document["stores"].take()).unwrap()
    };
    let mut all = stores("zarr/expected.json");
    all.extend(stores("zarr_stores/stores.json"));
    all
}

/// The store in `folder`, opened without records.
pub(super) async fn open(folder: MemoryFolder) -> Result<ZarrStore> {
    ZarrStore::open(Arc::new(folder), "", Arc::new(NoIndexStore)).await
}

/// Every position of a grid, in C order.
pub(super) fn positions(grid: &[u64]) -> Vec<ChunkPosition> {
    let mut positions = vec![Vec::new()];
    for length in grid {
        positions = positions
            .into_iter()
            .flat_map(|start: ChunkPosition| (0..*length).map(move |at| [start.clone(), vec![at]].concat()))
            .collect();
    }
    positions
}

/// The bytes of one chunk as the pipeline fetches them.
pub(super) async fn fetch(store: &ZarrStore, path: &str, position: &[u64]) -> Result<Option<Bytes>> {
    match store.locate(path, &[position.to_vec()]).await?.remove(0) {
        ChunkLocation::Object { path, part, .. } => store.folder().read(&path, part).await,
        ChunkLocation::Missing => Ok(None),
        other => panic!("{other:?}"),
    }
}

/// All elements of an array in C order, one by one: bytes of an element, or of a text with a null
/// byte after it.
pub(super) async fn read_all(store: &ZarrStore, path: &str) -> Result<Vec<Vec<u8>>> {
    let array = store.tree().array(path)?.clone();
    let decoder = store.decoder(path)?;
    let count = array.element_count()? as usize;
    let mut elements: Vec<Option<Vec<u8>>> = vec![None; count];
    for position in positions(&array.grid()) {
        let decoded = decoder.decode(fetch(store, path, &position).await?)?;
        for (index, inner) in positions(&array.chunk_shape).into_iter().enumerate() {
            let at = |axis: usize| position[axis] * array.chunk_shape[axis] + inner[axis];
            if (0..inner.len()).any(|axis| at(axis) >= array.shape[axis]) {
                continue;
            }
            let flat = (0..inner.len()).fold(0, |flat, axis| flat * array.shape[axis] + at(axis));
            let element = match &decoded {
                Elements::Fixed(bytes) => {
                    let size = array.data_type.item_size();
                    bytes[index * size..(index + 1) * size].to_vec()
                }
                Elements::Text(texts) => [texts.get(index).unwrap(), b"\0"].concat(),
            };
            assert!(elements[flat as usize].replace(element).is_none(), "{path}: element {flat} comes twice");
        }
    }
    Ok(elements.into_iter().map(|element| element.expect("an element no chunk holds")).collect())
}
