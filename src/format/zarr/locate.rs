//! Where chunks lie: the key of each is computed, nothing is read. A chunk that the listing of the store
//! does not have was never written.

use serde_json::Value;
use zarrs::array::ChunkKeyEncoding;
use zarrs::array::chunk_key_encoding::V2ChunkKeyEncoding;
use zarrs::metadata::ChunkKeySeparator;
use zarrs::metadata::v3::MetadataV3;

use super::codec::version;
use crate::error::{Error, Result};
use crate::model::chunk::{ChunkLocation, ChunkPosition};
use crate::model::tree::{ArrayNode, join, normalise};
use crate::storage::reader::{FolderReader, Known};

/// The objects of the chunks at `positions` of the array at `path`, in the same order. For a sharded
/// array a position is that of a shard.
///
/// # Errors
/// `OutOfRange` for a position outside the grid, `Unimplemented` for a key encoding that is not
/// known.
pub(super) fn locate(
    path: &str,
    array: &ArrayNode,
    positions: &[ChunkPosition],
    store: &dyn FolderReader,
) -> Result<Vec<ChunkLocation>> {
    let encoding = key_encoding(path, array)?;
    let grid = array.grid();
    let folder = normalise(path);
    let location = |position: &ChunkPosition| {
        let inside = position.len() == grid.len() && position.iter().zip(&grid).all(|(at, length)| at < length);
        if !inside {
            return Err(Error::out_of_range(format!(
                "chunk {position:?} of array '{path}' is outside its grid of {grid:?} chunks"
            )));
        }
        let path = join(&folder, encoding.encode(position).as_str());
        Ok(match store.known(&path) {
            Known::Absent => ChunkLocation::Missing,
            Known::Size(length) => ChunkLocation::Object { path, length: Some(length) },
            Known::Nothing => ChunkLocation::Object { path, length: None },
        })
    };
    positions.iter().map(location).collect()
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
