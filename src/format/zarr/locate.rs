//! Where chunks lie: the key of each is computed, and of inner chunks of shards the index of the shard is
//! read. A chunk whose object the listing of the store does not have was never written.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use zarrs::array::ChunkKeyEncoding;
use zarrs::array::chunk_key_encoding::V2ChunkKeyEncoding;
use zarrs::metadata::ChunkKeySeparator;
use zarrs::metadata::v3::MetadataV3;

use super::codec::version;
use super::shard::Sharding;
use super::shard_index::ShardIndexes;
use crate::error::{Error, Result};
use crate::model::chunk::{ChunkLocation, ChunkPosition};
use crate::model::tree::{ArrayNode, join, normalise};
use crate::storage::reader::{FolderReader, Known};

/// Indexes of shards that one call reads at the same time.
pub const INDEXES_IN_FLIGHT: usize = 16;

/// Where the chunks at `positions` of the array at `path` lie, in the same order. Where inner chunks of
/// shards are read one by one, a position is that of an inner chunk.
///
/// # Errors
/// `OutOfRange` for a position outside the grid, `Unimplemented` for a key encoding that is not
/// known, `DataLoss` naming a shard that is cut off or whose index is corrupt, and the errors of
/// reading it.
pub(super) async fn locate(
    path: &str,
    array: &ArrayNode,
    positions: &[ChunkPosition],
    store: &dyn FolderReader,
    indexes: &ShardIndexes,
) -> Result<Vec<ChunkLocation>> {
    let encoding = key_encoding(path, array)?;
    let grid = array.grid();
    let folder = normalise(path);
    let inside = |position: &ChunkPosition| {
        position.len() == grid.len() && position.iter().zip(&grid).all(|(at, length)| at < length)
    };
    if let Some(position) = positions.iter().find(|position| !inside(position)) {
        return Err(Error::out_of_range(format!(
            "chunk {position:?} of array '{path}' is outside its grid of {grid:?} chunks"
        )));
    }
    let object = |position: &ChunkPosition| join(&folder, encoding.encode(position).as_str());
    match Sharding::of(&array.storage) {
        None => Ok(positions.iter().map(|position| whole_object(object(position), store)).collect()),
        Some(sharding) => in_shards(&sharding, positions, &object, store, indexes)
            .await
            .map_err(|error| error.context(format!("array '{path}'"))),
    }
}

fn whole_object(path: String, store: &dyn FolderReader) -> ChunkLocation {
    let place = store.place(&path);
    match store.known(&path) {
        Known::Absent => ChunkLocation::Missing,
        Known::Size(length) => ChunkLocation::Object { path, length: Some(length), part: None, place },
        Known::Nothing => ChunkLocation::Object { path, length: None, part: None, place },
    }
}

/// Where inner chunks lie; the index of each shard is read once, if it is not kept.
async fn in_shards(
    sharding: &Sharding,
    positions: &[ChunkPosition],
    object: &(dyn Fn(&ChunkPosition) -> String + Send + Sync),
    store: &dyn FolderReader,
    indexes: &ShardIndexes,
) -> Result<Vec<ChunkLocation>> {
    // Of each shard: places in the answer, and in the shard's index.
    let mut shards: BTreeMap<ChunkPosition, Vec<(usize, u64)>> = BTreeMap::new();
    for (place, position) in positions.iter().enumerate() {
        let (shard, inner) = sharding.place(position);
        shards.entry(shard).or_default().push((place, inner));
    }
    let located = shards.into_iter().map(|(shard, members)| async move {
        let path = object(&shard);
        let Some(index) = indexes.get(store, &path, sharding).await? else { return Ok(Vec::new()) };
        let mut found = Vec::with_capacity(members.len());
        for (place, inner) in members {
            if let Some(part) = index.chunk(&path, inner)? {
                let length = Some(index.shard_bytes());
                found
                    .push((place, ChunkLocation::Object { path: path.clone(), length, part: Some(part), place: None }));
            }
        }
        Ok::<_, Error>(found)
    });
    let mut located = stream::iter(located).buffer_unordered(INDEXES_IN_FLIGHT);
    let mut locations = vec![ChunkLocation::Missing; positions.len()];
    while let Some(found) = located.try_next().await? {
        for (place, location) in found {
            if let Some(slot) = locations.get_mut(place) {
                *slot = location;
            }
        }
    }
    Ok(locations)
}

fn key_encoding(path: &str, array: &ArrayNode) -> Result<ChunkKeyEncoding> {
    let corrupt = |error: serde_json::Error| {
        Error::data_loss(format!("array '{path}': chunk keys cannot be derived: {error}")).with_source(error)
    };
    if version(array) == Some(2) {
        let separator = match array.storage.get("dimension_separator") {
            None | Some(Value::Null) => ChunkKeySeparator::Dot,
            Some(separator) => serde_json::from_value(separator.clone()).map_err(corrupt)?,
        };
        return Ok(ChunkKeyEncoding::new(V2ChunkKeyEncoding::new(separator)));
    }
    let stored = array.storage.get("chunk_key_encoding").cloned().unwrap_or_default();
    let metadata: MetadataV3 = serde_json::from_value(stored).map_err(corrupt)?;
    if !matches!(metadata.name(), "default" | "v2") {
        let name = metadata.name();
        return Err(Error::unimplemented(format!("array '{path}': chunk key encoding '{name}' is not supported")));
    }
    ChunkKeyEncoding::from_metadata(&metadata)
        .map_err(|error| Error::data_loss(format!("array '{path}': chunk keys cannot be derived: {error}")))
}
