//! What the fuzz targets share: objects in memory, and a walk that reads what a hierarchy says it has.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use sliceflight::error::{Error, Result};
use sliceflight::format::Hierarchy;
use sliceflight::format::anndata::meaning::meaning;
use sliceflight::model::chunk::{ChunkLocation, Elements};
use sliceflight::model::data_type::DataType;
use sliceflight::model::tree::Node;
use sliceflight::storage::reader::{Edge, FolderReader, ObjectIdentity, RangeReader};

/// Chunks larger than this are located and not decoded: a file may declare chunks up to the server's
/// limit of a gigabyte without holding a byte of them.
const LARGEST_DECODED: u64 = 16 << 20;
/// Bytes of sequences that are resolved at once.
const LARGEST_SEQUENCES: usize = 1 << 20;
/// Arrays of one input that are read.
const READ_ARRAYS: usize = 24;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
});

static QUIET: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| {})));

/// Lets panics of libraries pass that the server catches and turns into errors: libFuzzer's own hook ends
/// the process at any panic. One that nobody catches still ends it.
pub fn allow_caught_panics() {
    LazyLock::force(&QUIET);
}

/// Runs `work` to its end.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    allow_caught_panics();
    RUNTIME.block_on(work)
}

/// One object in memory.
#[derive(Debug)]
pub struct MemoryObject {
    identity: ObjectIdentity,
    bytes: Bytes,
}

impl MemoryObject {
    /// The object that holds `bytes`.
    pub fn new(bytes: &[u8]) -> Arc<Self> {
        let identity = ObjectIdentity {
            url: "memory://object".into(),
            etag: "\"1\"".into(),
            version: None,
            size: bytes.len() as u64,
        };
        Arc::new(Self { identity, bytes: Bytes::copy_from_slice(bytes) })
    }
}

#[async_trait]
impl RangeReader for MemoryObject {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        part(&self.bytes, range)
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        part(&self.bytes, range)
    }
}

/// Objects in memory by path; every path that is not there holds `others`.
#[derive(Debug)]
pub struct MemoryFolder {
    /// Objects by path.
    pub objects: BTreeMap<String, Bytes>,
    /// What any other path holds.
    pub others: Option<Bytes>,
}

impl MemoryFolder {
    fn get(&self, path: &str) -> Option<&Bytes> {
        let metadata = ["zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"];
        let is_metadata = metadata.iter().any(|name| path.ends_with(name));
        self.objects.get(path).or_else(|| self.others.as_ref().filter(|_| !is_metadata))
    }
}

#[async_trait]
impl FolderReader for MemoryFolder {
    fn url(&self) -> &str {
        "memory://folder"
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        match (self.get(path), range) {
            (None, _) => Ok(None),
            (Some(bytes), None) => Ok(Some(bytes.clone())),
            (Some(bytes), Some(range)) => part(bytes, range).map(Some),
        }
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        let Some(bytes) = self.get(path) else { return Ok(None) };
        let size = bytes.len() as u64;
        let range = match edge {
            Edge::Start => 0..length,
            Edge::End => size.checked_sub(length).ok_or_else(|| Error::data_loss("object is cut off"))?..size,
        };
        Ok(Some((part(bytes, range)?, size)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }
}

fn part(bytes: &Bytes, range: Range<u64>) -> Result<Bytes> {
    assert!(range.start <= range.end, "asked for the backward range {range:?}");
    if range.end > bytes.len() as u64 {
        return Err(Error::data_loss(format!("{range:?} lies outside an object of {} bytes", bytes.len())));
    }
    Ok(bytes.slice(range.start as usize..range.end as usize))
}

/// Asks every node for its meaning, and reads the first and the last chunk of the first arrays. What
/// is decoded must have the size that the tree promises.
pub async fn read_all(hierarchy: &Hierarchy, fetch: impl AsyncFn(&ChunkLocation) -> Result<Option<Bytes>>) {
    let tree = hierarchy.tree();
    for path in tree.nodes.keys() {
        let _ = meaning(tree, path);
    }
    let arrays = tree.nodes.iter().filter_map(|(path, node)| match node {
        Node::Array(array) if !array.is_null => Some((path, array)),
        _ => None,
    });
    for (path, array) in arrays.take(READ_ARRAYS) {
        let grid = array.grid();
        if grid.contains(&0) {
            continue;
        }
        let first = vec![0; grid.len()];
        let last: Vec<u64> = grid.iter().map(|count| count - 1).collect();
        let Ok(decoder) = hierarchy.decoder(path) else { continue };
        let Ok(locations) = hierarchy.locate(path, &[first, last]).await else { continue };
        assert_eq!(locations.len(), 2, "locations of '{path}'");
        if array.chunk_bytes() > LARGEST_DECODED {
            continue;
        }
        for location in &locations {
            let Ok(encoded) = fetch(location).await else { continue };
            let Ok(elements) = decoder.decode(encoded, location) else { continue };
            let count: u64 = array.chunk_shape.iter().product();
            match elements {
                Elements::Fixed(bytes) => {
                    assert_eq!(bytes.len() as u64, array.chunk_bytes(), "decoded bytes of '{path}'");
                    match &array.data_type {
                        DataType::String => drop(hierarchy.resolve_texts(&bytes, LARGEST_SEQUENCES).await),
                        DataType::List { element, .. } => {
                            drop(hierarchy.resolve_sequences(&bytes, element.item_size(), LARGEST_SEQUENCES).await);
                        }
                        _ => {}
                    }
                }
                Elements::Text(texts) => assert_eq!(texts.len() as u64, count, "decoded texts of '{path}'"),
            }
        }
    }
}
