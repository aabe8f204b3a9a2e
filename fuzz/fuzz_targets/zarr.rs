//! The input is a zarr store: one byte tells which metadata object it has at its root, then come the
//! metadata, a null byte, and the bytes of every chunk.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sliceflight::format::Hierarchy;
use sliceflight::format::zarr::ZarrStore;
use sliceflight::model::chunk::ChunkLocation;
use sliceflight::model::index_store::NoIndexStore;
use sliceflight::storage::reader::FolderReader;
use sliceflight_fuzz::{MemoryFolder, read_all, run};

const ROOTS: [&str; 3] = ["zarr.json", ".zarray", ".zmetadata"];

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (metadata, chunk) = rest.split_at(end);
    let root = ROOTS[usize::from(*kind) % ROOTS.len()];
    let objects = BTreeMap::from([(root.to_owned(), Bytes::copy_from_slice(metadata))]);
    let others = chunk.split_first().map(|(_, chunk)| Bytes::copy_from_slice(chunk));
    run(async {
        let folder: Arc<dyn FolderReader> = Arc::new(MemoryFolder { objects, others });
        let Ok(store) = ZarrStore::open(Arc::clone(&folder), "", Arc::new(NoIndexStore)).await else { return };
        let hierarchy = Hierarchy::Zarr(Arc::new(store));
        read_all(&hierarchy, async |location| match location {
            ChunkLocation::Object { path, part, .. } => folder.read(path, part.clone()).await,
            _ => Ok(None),
        })
        .await;
    });
});
