//! Records in the index store: a magic, a version, the size and the CRC-32 of the body, then the body,
//! compressed. A record that does not read back is as good as none: it is built anew.

use libdeflater::crc32;
use serde::{Deserialize, Serialize};

use super::parser::Addressing;
use crate::error::{Error, Result};
use crate::format::codec::deflate;
use crate::model::index_store::IndexStore;
use crate::model::tree::{Attributes, Tree};

/// Name of the tree's record.
pub(crate) const TREE_RECORD: &str = "hdf5/tree";
const TREE_MAGIC: [u8; 8] = *b"SFH5TRE\x04";
/// Bytes of an uncompressed record at most.
const MAX_RECORD_BYTES: u64 = 1 << 30;

/// What is kept of an opened file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TreeRecord {
    /// How addresses count.
    pub(crate) addressing: Addressing,
    /// All nodes.
    pub(crate) tree: Tree,
    /// Paths of objects by address, without the leading slash; empty where no data refers to objects.
    pub(crate) paths: Vec<(u64, String)>,
    /// Paths of what is refused by name and may be a dataset that libhdf5 reads, with its attributes.
    pub(crate) refused: Vec<(String, Attributes)>,
}

impl TreeRecord {
    /// The record as bytes.
    ///
    /// # Errors
    /// `Internal` when it does not serialise.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(self)
            .map_err(|error| Error::internal("the tree of an HDF5 file cannot be kept").with_source(error))?;
        pack(TREE_MAGIC, &plain)
    }

    /// The record in `bytes`, if it is one of this version and undamaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(&unpack(TREE_MAGIC, bytes)?).ok()
    }
}

/// The kept record; none when the store fails, which is logged.
pub(crate) async fn load(indexes: &dyn IndexStore, identity: &str, name: &str) -> Option<Vec<u8>> {
    match indexes.load(identity, name).await {
        Ok(record) => record,
        Err(error) => {
            tracing::warn!(name, ?error, "an index record cannot be loaded, the index is built anew");
            None
        }
    }
}

/// Keeps the record; a store that fails is logged.
pub(crate) async fn save(indexes: &dyn IndexStore, identity: &str, name: &str, record: Vec<u8>) {
    if let Err(error) = indexes.save(identity, name, record).await {
        tracing::warn!(name, ?error, "an index record cannot be kept, the next open builds it anew");
    }
}

/// `plain` compressed behind `magic` (whose last byte is the version), its size and its CRC-32.
///
/// # Errors
/// `Internal` when it does not compress.
pub(crate) fn pack(magic: [u8; 8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut record = magic.to_vec();
    record.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    record.extend_from_slice(&crc32(plain).to_le_bytes());
    record.extend_from_slice(&deflate::compress(plain)?);
    Ok(record)
}

/// What [`pack`] made a record of; `None` for anything else.
pub(crate) fn unpack(magic: [u8; 8], record: &[u8]) -> Option<Vec<u8>> {
    let (found, rest) = record.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, body) = rest.split_first_chunk::<4>()?;
    let size = u64::from_le_bytes(*size);
    if *found != magic || size > MAX_RECORD_BYTES {
        return None;
    }
    let size = usize::try_from(size).ok()?;
    deflate::decompress(body, size, size)
        .ok()
        .filter(|plain| plain.len() == size && crc32(plain) == u32::from_le_bytes(*checksum))
}
