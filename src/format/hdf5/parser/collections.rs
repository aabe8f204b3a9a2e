//! Data of variable length while the tree is parsed; data goes another way.

use std::collections::HashMap;

use bytes::Bytes;

use super::view::View;
use crate::error::Result;
use crate::format::hdf5::collection::{COLLECTION_HEAD, Collection, HeapReference, collection_size};

/// Bytes to which libhdf5 lets a collection grow while texts are written one after the other. Attributes that are
/// written later lie in the last of these.
const USUAL_BYTES: u64 = 64 * 1024;

/// Says that the collections of the references of `size` bytes in `data` will be read.
pub(super) fn prefetch_texts(view: &View, data: &[u8], size: usize) {
    let used = |reference: &HeapReference| reference.length > 0 && reference.address > 0;
    let references = data.chunks_exact(size.max(1)).filter_map(HeapReference::parse).filter(used);
    view.prefetch(references.map(|reference| reference.address), USUAL_BYTES);
}

/// The heap collections of one attribute.
pub(super) struct HeapView<'a> {
    view: &'a View,
    collections: HashMap<u64, Collection>,
}

impl<'a> HeapView<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self { view, collections: HashMap::new() }
    }

    /// The bytes that `reference` means, whose length counts elements of `size` bytes.
    pub(super) fn object(&mut self, reference: HeapReference, size: u64) -> Result<Bytes> {
        let address = reference.address;
        if !self.collections.contains_key(&address) {
            let length_size = self.view.addressing.length_size;
            let size = collection_size(&self.view.read(address, COLLECTION_HEAD)?, length_size)?;
            let bytes = self.view.read(address, usize::try_from(size).unwrap_or(usize::MAX))?;
            self.collections.insert(address, Collection::parse(bytes, length_size)?);
        }
        match self.collections.get(&address) {
            Some(collection) => Ok(Bytes::copy_from_slice(collection.object(reference, size)?)),
            None => Ok(Bytes::new()),
        }
    }
}
