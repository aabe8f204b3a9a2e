//! The tree as a record of the index store, so that a later open reads nothing from the store.
//!
//! A record is a version line, the CRC-32 of the rest (little-endian) and the tree as JSON. One of
//! another version, or a damaged one, is no record: the store is read anew.

use libdeflater::Crc;

use crate::error::{Error, Result};
use crate::model::tree::Tree;

/// Name of the record.
pub(super) const NAME: &str = "zarr/tree";
/// First bytes of a record; the number changes with what a tree or its arrays' `storage` hold.
const VERSION: &[u8] = b"zarr tree 3\n";

/// The record of `tree`.
///
/// # Errors
/// `Internal` when the tree has no JSON form.
pub(super) fn encode(tree: &Tree) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(tree)
        .map_err(|error| Error::internal("the tree of a zarr store has no JSON form").with_source(error))?;
    let mut record = VERSION.to_vec();
    record.extend_from_slice(&checksum(&body).to_le_bytes());
    record.extend_from_slice(&body);
    Ok(record)
}

/// The tree in `record`, if it is whole and of this version.
pub(super) fn decode(record: &[u8]) -> Option<Tree> {
    let (sum, body) = record.strip_prefix(VERSION)?.split_first_chunk::<4>()?;
    (checksum(body) == u32::from_le_bytes(*sum)).then(|| serde_json::from_slice(body).ok())?
}

fn checksum(body: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(body);
    crc.sum()
}
