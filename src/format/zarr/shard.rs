//! How inner chunks lie in the shards of an array, from its metadata. Pure.
//!
//! Inner chunks are read one by one where `sharding_indexed` is the array's only codec and the index
//! of a shard has a fixed size within [`MAX_INDEX_BYTES`]. Any other sharded array is read shard by
//! shard: there the codec library finds the inner chunks.

use serde_json::Value;

use crate::model::chunk::ChunkPosition;

/// Largest index of one shard whose inner chunks are read one by one, in bytes: a million chunks.
pub const MAX_INDEX_BYTES: u64 = 16 << 20;

/// Bytes of an index for one inner chunk: its offset and its length.
const ENTRY_BYTES: u64 = 16;
/// Bytes that a checksum adds.
const CHECKSUM_BYTES: u64 = 4;

/// The shards of one array.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sharding {
    /// Elements of an inner chunk along each dimension.
    pub(super) chunk_shape: Vec<u64>,
    /// Inner chunks of a shard along each dimension.
    pub(super) chunks_per_shard: Vec<u64>,
    /// Codecs of an inner chunk, as stored.
    pub(super) codecs: Value,
    /// Codecs of an index, as stored.
    pub(super) index_codecs: Value,
    /// Whether the index is at the start of the shard and not at its end.
    pub(super) index_at_start: bool,
    /// Bytes of an encoded index.
    pub(super) index_bytes: u64,
}

impl Sharding {
    /// The shards of the array with the metadata `storage`; `None` when its chunks are not inner chunks.
    pub(super) fn of(storage: &Value) -> Option<Self> {
        let [codec] = storage.get("codecs")?.as_array()?.as_slice() else { return None };
        if name(codec) != Some("sharding_indexed") {
            return None;
        }
        let shard_shape = lengths(storage.pointer("/chunk_grid/configuration/chunk_shape")?)?;
        let chunk_shape = lengths(codec.pointer("/configuration/chunk_shape")?)?;
        let chunks_per_shard = divided(&shard_shape, &chunk_shape)?;
        let index_codecs = codec.pointer("/configuration/index_codecs")?.clone();
        let index_at_start = match codec.pointer("/configuration/index_location").map(Value::as_str) {
            None | Some(Some("end")) => false,
            Some(Some("start")) => true,
            Some(_) => return None,
        };
        let count = chunks_per_shard.iter().try_fold(1_u64, |total, length| total.checked_mul(*length))?;
        let index_bytes = count.checked_mul(ENTRY_BYTES)?.checked_add(checksum_bytes(&index_codecs)?)?;
        if index_bytes > MAX_INDEX_BYTES {
            return None;
        }
        let codecs = codec.pointer("/configuration/codecs")?.clone();
        Some(Self { chunk_shape, chunks_per_shard, codecs, index_codecs, index_at_start, index_bytes })
    }

    /// The shard that holds the inner chunk at `position`, and the chunk's place in its index.
    pub(super) fn place(&self, position: &[u64]) -> (ChunkPosition, u64) {
        let mut place = 0_u64;
        let mut shard = Vec::with_capacity(position.len());
        for (at, count) in position.iter().zip(&self.chunks_per_shard) {
            shard.push(at / count);
            // Below the number of chunks of a shard, which is bounded by MAX_INDEX_BYTES.
            place = place.saturating_mul(*count).saturating_add(at % count);
        }
        (shard, place)
    }
}

/// What the codecs of an index add to its entries; `None` for codecs of another result.
fn checksum_bytes(codecs: &Value) -> Option<u64> {
    match codecs.as_array()?.as_slice() {
        [bytes] if name(bytes) == Some("bytes") => Some(0),
        [bytes, sum] if name(bytes) == Some("bytes") && name(sum) == Some("crc32c") => Some(CHECKSUM_BYTES),
        _ => None,
    }
}

fn name(codec: &Value) -> Option<&str> {
    codec.as_str().or_else(|| codec.get("name")?.as_str())
}

fn lengths(stored: &Value) -> Option<Vec<u64>> {
    stored.as_array()?.iter().map(Value::as_u64).collect()
}

/// `shard` by `chunk`, if that leaves nothing.
fn divided(shard: &[u64], chunk: &[u64]) -> Option<Vec<u64>> {
    if shard.len() != chunk.len() {
        return None;
    }
    let divide = |(shard, chunk): (&u64, &u64)| {
        let whole = *chunk > 0 && *shard > 0 && shard.is_multiple_of(*chunk);
        whole.then(|| shard / chunk)
    };
    shard.iter().zip(chunk).map(divide).collect()
}
