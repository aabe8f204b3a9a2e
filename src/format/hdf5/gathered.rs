//! Where the bytes that heap references mean go: each to its own place, in whatever order the collections
//! come. So no collection has to stay in memory until another one is there.

use std::ops::Range;

use super::collection::{Collection, HeapReference};
use crate::error::{Error, Result};
use crate::model::chunk::TextBuffer;

/// The objects of some references, as far as their collections came.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    references: &'a [HeapReference],
    /// Bytes of one element that the lengths of references count.
    size: u64,
    /// Numbers of the references that mean something, by address.
    by_address: Vec<usize>,
    found: TextBuffer,
}

impl<'a> Gathered<'a> {
    /// Places for what `references` mean, whose lengths count elements of `size` bytes.
    ///
    /// # Errors
    /// `ResourceExhausted` for more than `limit` bytes.
    pub(crate) fn new(references: &'a [HeapReference], size: u64, limit: usize) -> Result<Self> {
        let mut found = TextBuffer::new();
        let mut end = 0_u64;
        for reference in references {
            end = end.saturating_add(u64::from(reference.length).saturating_mul(size));
            found.offsets.push(end);
        }
        let bytes = usize::try_from(end).ok().filter(|bytes| *bytes <= limit).ok_or_else(|| too_much(limit))?;
        found.bytes = vec![0; bytes];
        let used = |(_, reference): &(usize, &HeapReference)| reference.length > 0;
        let mut by_address: Vec<usize> = references.iter().enumerate().filter(used).map(|(number, _)| number).collect();
        by_address.sort_by_key(|number| references.get(*number).map(|reference| reference.address));
        Ok(Self { references, size, by_address, found })
    }

    /// The addresses of all collections that are needed, ascending.
    pub(crate) fn addresses(&self) -> Vec<u64> {
        let mut addresses: Vec<u64> = self.by_address.iter().filter_map(|number| self.address(*number)).collect();
        addresses.dedup();
        addresses
    }

    /// Takes the objects of the collection at `address`.
    ///
    /// # Errors
    /// `DataLoss` for a reference to what the collection does not hold.
    pub(crate) fn take(&mut self, address: u64, collection: &Collection) -> Result<()> {
        for number in self.by_address.get(self.numbers_at(address)).unwrap_or_default() {
            let Some(reference) = self.references.get(*number) else { continue };
            let object = collection.object(*reference, self.size)?;
            let place = self.found.offsets.get(*number).and_then(|start| usize::try_from(*start).ok());
            let place = place.and_then(|start| self.found.bytes.get_mut(start..start.checked_add(object.len())?));
            place.ok_or_else(|| Error::internal("an object of a heap has no place"))?.copy_from_slice(object);
        }
        Ok(())
    }

    /// What was gathered.
    pub(crate) fn finish(self) -> TextBuffer {
        self.found
    }

    fn address(&self, number: usize) -> Option<u64> {
        self.references.get(number).map(|reference| reference.address)
    }

    fn numbers_at(&self, address: u64) -> Range<usize> {
        let start = self.by_address.partition_point(|number| self.address(*number) < Some(address));
        start..self.by_address.partition_point(|number| self.address(*number) <= Some(address))
    }
}

/// The refusal of more than `limit` bytes.
pub(crate) fn too_much(limit: usize) -> Error {
    Error::resource_exhausted(format!("more than {limit} bytes of variable-length data at once"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;

    /// A collection whose object 1 is `byte`, four times, and object 2 is one more, three times.
    fn collection(byte: u8) -> Collection {
        let object = |index: u8, size: u8, byte: u8| {
            [vec![index, 0, 1, 0, 0, 0, 0, 0, size, 0, 0, 0, 0, 0, 0, 0], vec![byte; 8]].concat()
        };
        let head = [b"GCOL\x01\0\0\0".to_vec(), 64_u64.to_le_bytes().to_vec()].concat();
        Collection::parse(Bytes::from([head, object(1, 4, byte), object(2, 3, byte + 1)].concat()), 8).unwrap()
    }

    proptest! {
        #[test]
        fn objects_go_to_their_references(chosen in proptest::collection::vec((0_u64..5, 1_u32..3, 0_u32..4), 0..40)) {
            let references: Vec<_> = chosen
                .iter()
                .map(|(at, index, length)| HeapReference { length: *length, address: at * 64, index: *index })
                .collect();
            let mut gathered = Gathered::new(&references, 1, 1000).unwrap();
            for address in gathered.addresses().into_iter().rev() {
                gathered.take(address, &collection(address as u8)).unwrap();
            }
            let found = gathered.finish();
            prop_assert_eq!(found.len(), references.len());
            for (number, reference) in references.iter().enumerate() {
                let byte = reference.address as u8 + reference.index as u8 - 1;
                prop_assert_eq!(found.get(number).unwrap(), vec![byte; reference.length as usize]);
            }
        }
    }

    #[test]
    fn what_does_not_fit_or_is_not_there_is_refused() {
        let reference = |length, index| HeapReference { length, address: 64, index };
        let error = Gathered::new(&[reference(3, 1), reference(2, 1)], 2, 9).unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        for wrong in [reference(5, 1), reference(1, 3)] {
            let references = [reference(4, 1), wrong];
            let mut gathered = Gathered::new(&references, 1, 100).unwrap();
            assert_eq!(gathered.take(64, &collection(7)).unwrap_err().kind(), Kind::DataLoss);
        }
    }
}
