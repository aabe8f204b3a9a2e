//! A file seen from its superblock: addresses count from there, their width is known. The crate that
//! parses HDF5 structures reads through this.

use std::sync::Arc;

use bytes::Bytes;
use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::storage::{Storage, StorageBuffer};
use hdf5_reader::superblock::Superblock;
use serde::{Deserialize, Serialize};

use super::source::BlockSource;
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

/// A file with its addressing. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(super) source: Arc<BlockSource>,
    pub(super) addressing: Addressing,
}

/// Bytes asked for at once when the superblock is looked for.
const HEAD_BYTES: u64 = 256 * 1024;
/// Bits of the superblock's consistency flags that mean "open for writing".
const WRITING: u32 = 0x05;

impl View {
    /// A file whose addressing is known.
    pub(crate) fn new(source: Arc<BlockSource>, addressing: Addressing) -> Self {
        Self { source, addressing }
    }

    /// How addresses count.
    pub(crate) fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Finds and checks the superblock; returns the view and the address of the root group.
    pub(super) fn open(source: Arc<BlockSource>) -> Result<(Self, u64)> {
        let (url, size) = (source.url().to_owned(), source.size());
        source.prefetch([0], HEAD_BYTES.min(size.saturating_sub(1)));
        let whole = Addressing { base: 0, offset_size: 8, length_size: 8 };
        let superblock = Superblock::parse_from_storage(&Self::new(Arc::clone(&source), whole));
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
        Ok((Self::new(source, addressing), root))
    }

    /// `length` bytes at `address`.
    pub(super) fn read(&self, address: u64, length: usize) -> Result<Bytes> {
        let offset = address
            .checked_add(self.addressing.base)
            .ok_or_else(|| Error::data_loss(format!("address {address:#x} is outside the file")))?;
        self.source.read(offset, length)
    }

    /// Bytes from address 0 to the end of the object.
    pub(super) fn end(&self) -> u64 {
        self.source.size().saturating_sub(self.addressing.base)
    }

    /// Fetches `length` bytes at each address in parallel.
    pub(super) fn prefetch(&self, addresses: impl IntoIterator<Item = u64>, length: u64) {
        let base = self.addressing.base;
        self.source.prefetch(addresses.into_iter().filter_map(|address| address.checked_add(base)), length);
    }

    /// Runs `parse`; a panic in it becomes `DataLoss`, a failed read is told as it was.
    pub(super) fn guarded<T>(source: &BlockSource, parse: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).unwrap_or_else(|_| {
            Err(Error::data_loss(format!("'{}': the metadata is corrupt, its parser gave up", source.url())))
        });
        result.map_err(|error| source.take_failure().unwrap_or(error))
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
