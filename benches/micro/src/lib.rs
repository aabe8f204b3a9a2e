//! Opens the files of `data.py` through the project's public engine and formats.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use sliceflight::engine::{Engine, EngineOptions, Limits, Registration};
use sliceflight::error::Result;
use sliceflight::format::hdf5::Hdf5File;
use sliceflight::format::zarr::ZarrStore;
use sliceflight::format::{ChunkDecoder, Hierarchy};
use sliceflight::model::chunk::ChunkLocation;
use sliceflight::model::index_store::NoIndexStore;
use sliceflight::model::request::{SliceRequest, Source};
use sliceflight::model::selection::AxisSelection;
use sliceflight::plan::tasks::tasks;
use sliceflight::storage::{StorageOptions, Storages};

/// The folder that `data.py` filled: `MICRO_DATA`.
///
/// # Panics
/// When the variable is not set.
pub fn folder() -> PathBuf {
    std::env::var_os("MICRO_DATA").expect("MICRO_DATA names the folder that data.py filled").into()
}

/// The URL of a file or store of that folder.
pub fn url(name: &str) -> String {
    format!("file://{}", folder().join(name).display())
}

/// An encoded chunk and its decoder.
pub struct EncodedChunk {
    /// What decodes it.
    pub decoder: ChunkDecoder,
    /// Its bytes as stored.
    pub bytes: Bytes,
    /// Where they were.
    pub location: ChunkLocation,
    /// Bytes of its elements.
    pub decoded: u64,
}

/// The first chunk of the array `path` in an HDF5 file or a zarr store.
///
/// # Errors
/// Those of opening and reading.
pub async fn first_chunk(name: &str, path: &str) -> Result<EncodedChunk> {
    let storages = Storages::new(StorageOptions::default());
    storages.add(&format!("file://{}", folder().display()), std::collections::BTreeMap::new())?;
    let hierarchy = if name.ends_with(".zarr") {
        let store = storages.folder(&url(name)).await?;
        Hierarchy::Zarr(Arc::new(ZarrStore::open(store, "", Arc::new(NoIndexStore)).await?))
    } else {
        let reader = storages.open(storages.head(&url(name)).await?).await?;
        Hierarchy::Hdf5(Arc::new(Hdf5File::open(reader, Arc::new(NoIndexStore)).await?))
    };
    let node = hierarchy.tree().array(path)?.clone();
    let whole: Vec<_> = node.chunk_shape.iter().map(|length| AxisSelection::all(*length)).collect();
    let positions: Vec<_> = tasks(&node, &whole)?.into_iter().take(1).map(|task| task.position).collect();
    let location = hierarchy.locate(path, &positions).await?.remove(0);
    let bytes = match (&hierarchy, &location) {
        (Hierarchy::Hdf5(file), ChunkLocation::Range { offset, length, .. }) => {
            file.reader().read(*offset..offset + length).await?
        }
        (Hierarchy::Zarr(store), ChunkLocation::Object { path, part, .. }) => {
            store.folder().read(path, part.clone()).await?.expect("the chunk was written")
        }
        (_, other) => panic!("the chunk is not stored as bytes: {other:?}"),
    };
    Ok(EncodedChunk { decoder: hierarchy.decoder(path)?, bytes, location, decoded: node.chunk_bytes() })
}

/// An engine that keeps what it decoded, with these files of the folder registered by their names.
///
/// # Errors
/// Those of opening and registering.
pub async fn engine(names: &[&str]) -> Result<Arc<Engine>> {
    let registry = folder().join(format!("registry-{}.db", std::process::id()));
    let limits = Limits { memory_budget: 8 << 30, chunk_cache_bytes: 1 << 30, ..Limits::default() };
    let storages = vec![(format!("file://{}", folder().display()), std::collections::BTreeMap::new())];
    let engine = Engine::open(EngineOptions { registry, storages, limits, ..EngineOptions::default() }).await?;
    for name in names {
        engine
            .register(&Registration { url: url(name), key: Some((*name).to_owned()), ..Registration::default() })
            .await?;
    }
    Ok(engine)
}

/// The request for a node of a registered file.
pub fn request(key: &str, node: &str) -> SliceRequest {
    SliceRequest {
        source: Source::Key { key: key.to_owned(), version: None },
        node: node.to_owned(),
        ..SliceRequest::default()
    }
}

/// Reads a slice to its end; gives its rows.
///
/// # Errors
/// Those of reading.
pub async fn read(engine: &Arc<Engine>, request: &SliceRequest) -> Result<usize> {
    let slice = engine.prepare(request, &[]).await?;
    slice.stream(None).try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) }).await
}
