//! Data of variable length while the tree is parsed; data goes another way.

use std::collections::HashMap;

use bytes::Bytes;

use super::view::View;
use crate::error::Result;
use crate::format::hdf5::collection::{COLLECTION_HEAD, Collection, HeapReference, collection_size};

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
