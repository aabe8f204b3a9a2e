//! A file seen from its superblock: addresses count from there, their width is known. The crate that
//! parses HDF5 structures reads through this.

use std::sync::Arc;

use bytes::Bytes;
use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::storage::{Storage, StorageBuffer};
use hdf5_reader::superblock::Superblock;
use serde::{Deserialize, Serialize};

use super::super::fetch::Outcome;
use super::blocks::{BLOCK_SIZE, Blocks, Missing};
use crate::error::{Error, Kind, Result};

/// What the superblock says about addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addressing {
    /// Byte of the object at which address 0 lies (behind a user block).
    pub(crate) base: u64,
    /// Bytes of an address.
    pub(crate) offset_size: u8,
    /// Bytes of a length.
    pub(crate) length_size: u8,
}

/// A file with its addressing, and what was missing when it was looked at.
#[derive(Debug)]
pub(super) struct View {
    blocks: Arc<Blocks>,
    missing: Missing,
    pub(super) addressing: Addressing,
}

/// Bytes asked for at once when the superblock is looked for.
pub(crate) const HEAD_BYTES: u64 = 256 * 1024;
/// Bytes of the end asked for with them: what was linked last, often the whole root group, is found from there.
pub(crate) const TAIL_BYTES: u64 = BLOCK_SIZE;
/// Bits of the superblock's consistency flags that mean "open for writing".
const WRITING: u32 = 0x05;

impl View {
    /// Runs `parse`. A panic in it becomes `DataLoss`; whatever it makes of missing bytes is no result.
    pub(super) fn parse<T>(
        blocks: &Arc<Blocks>,
        addressing: Addressing,
        parse: impl FnOnce(&Self) -> Result<T>,
    ) -> Outcome<T> {
        let view = Self { blocks: Arc::clone(blocks), missing: Missing::default(), addressing };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| parse(&view))).unwrap_or_else(|_| {
            Err(Error::data_loss(format!("'{}': the metadata is corrupt, its parser gave up", blocks.url())))
        });
        match (view.missing.is_empty(), &result) {
            (true, _) => Outcome::Done(result),
            // More than may be held is missing: asking for it would end the same way.
            (false, Err(error)) if error.kind() == Kind::ResourceExhausted => Outcome::Done(result),
            (false, _) => Outcome::Missing(view.missing.take()),
        }
    }

    /// Finds and checks the superblock; returns how addresses count and the address of the root group.
    pub(super) fn superblock(blocks: &Arc<Blocks>) -> Outcome<(Addressing, u64)> {
        let whole = Addressing { base: 0, offset_size: 8, length_size: 8 };
        Self::parse(blocks, whole, |view| {
            view.prefetch([0], HEAD_BYTES);
            view.prefetch([view.end().saturating_sub(1)], 1);
            view.find_superblock()
        })
    }

    fn find_superblock(&self) -> Result<(Addressing, u64)> {
        let (url, size) = (self.blocks.url().to_owned(), self.blocks.size());
        let superblock = Superblock::parse_from_storage(self);
        let superblock = superblock.map_err(|error| superblock_error(&url, size, error))?;
        if superblock.eof_address > size && superblock.eof_address != u64::MAX {
            return Err(Error::data_loss(format!(
                "'{url}' is truncated: its superblock says {} bytes, found {size}",
                superblock.eof_address
            )));
        }
        if superblock.version >= 3 && superblock.consistency_flags & WRITING != 0 {
            return Err(Error::failed_precondition(format!("'{url}' was not closed by the program that writes it")));
        }
        let sizes = [superblock.offset_size, superblock.length_size];
        if sizes.iter().any(|size| ![2, 4, 8].contains(size)) {
            return Err(Error::data_loss(format!(
                "'{url}': the superblock gives addresses of {} and lengths of {} bytes, expected 2, 4 or 8",
                superblock.offset_size, superblock.length_size
            )));
        }
        let root = superblock.root_object_header_address().map_err(|error| parser_error(&error))?;
        let addressing = Addressing {
            base: superblock.base_address,
            offset_size: superblock.offset_size,
            length_size: superblock.length_size,
        };
        Ok((addressing, root))
    }

    /// `length` bytes at `address`.
    pub(super) fn read(&self, address: u64, length: usize) -> Result<Bytes> {
        let offset = address
            .checked_add(self.addressing.base)
            .ok_or_else(|| Error::data_loss(format!("address {address:#x} is outside the file")))?;
        self.blocks.read(offset, length, &self.missing)
    }

    /// Bytes from address 0 to the end of the object.
    pub(super) fn end(&self) -> u64 {
        self.blocks.size().saturating_sub(self.addressing.base)
    }

    /// Says that `length` bytes at each address will be read, so that they are fetched together.
    pub(super) fn prefetch(&self, addresses: impl IntoIterator<Item = u64>, length: u64) {
        for offset in addresses.into_iter().filter_map(|address| address.checked_add(self.addressing.base)) {
            self.blocks.expect(offset, length, &self.missing);
        }
    }

    /// What `work` makes of each item. An item whose bytes are missing does not keep the others from
    /// asking for theirs; the whole fails then.
    pub(super) fn each<I, T>(
        &self,
        items: impl IntoIterator<Item = I>,
        mut work: impl FnMut(I) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut results = Vec::new();
        let mut first = None;
        for item in items {
            match work(item) {
                Ok(result) => results.push(result),
                Err(error) if error.kind() == Kind::ResourceExhausted || self.missing.is_empty() => return Err(error),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        first.map_or(Ok(results), Err)
    }
}

impl Storage for View {
    fn len(&self) -> u64 {
        self.end()
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        let bytes = self.read(offset, len).map_err(|error| match error.kind() {
            Kind::ResourceExhausted => hdf5_reader::error::Error::ResourceLimit(error.message().to_owned()),
            _ => hdf5_reader::error::Error::Other(error.message().to_owned()),
        })?;
        StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len)
    }
}

/// What the crate says, by what a caller can do about it.
pub(super) fn parser_error(error: &hdf5_reader::error::Error) -> Error {
    use hdf5_reader::error::Error as Parser;
    let message = error.to_string();
    match error {
        Parser::Context { source, .. } => parser_error(source),
        Parser::ResourceLimit(_) => Error::resource_exhausted(message),
        Parser::UnsupportedSuperblockVersion(_)
        | Parser::UnsupportedObjectHeaderVersion(_)
        | Parser::UnsupportedDataspaceVersion(_)
        | Parser::UnsupportedLayoutClass(_)
        | Parser::UnsupportedLayoutVersion(_)
        | Parser::UnsupportedFilterPipelineVersion(_)
        | Parser::UnsupportedFillValueVersion(_)
        | Parser::UnsupportedLinkVersion(_)
        | Parser::UnsupportedLinkType(_)
        | Parser::UnsupportedAttributeVersion(_)
        | Parser::UnsupportedChunkIndexType(_)
        | Parser::UnsupportedFilter(_)
        | Parser::UnsupportedEncoding(_) => Error::unimplemented(message),
        _ => Error::data_loss(message),
    }
}

/// The checksum of metadata structures.
pub(super) fn metadata_checksum(bytes: &[u8]) -> u32 {
    jenkins_lookup3(bytes)
}

fn superblock_error(url: &str, size: u64, error: hdf5_reader::error::Error) -> Error {
    match error {
        hdf5_reader::error::Error::InvalidMagic if size == 0 => {
            Error::data_loss(format!("'{url}' is not an HDF5 file: it is empty"))
        }
        hdf5_reader::error::Error::InvalidMagic => {
            Error::data_loss(format!("'{url}' is not an HDF5 file: no superblock signature in its {size} bytes"))
        }
        other => parser_error(&other).context(format_args!("'{url}': superblock")),
    }
}
