//! Restricts the entries of sparse slices to the selected positions of the other axis.

use arrow::datatypes::ArrowNativeType;

use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;

/// No output position.
const NONE: u32 = u32::MAX;

/// From stored positions of the minor axis to output positions; a stored position that was asked for
/// several times leads to all of them.
#[derive(Debug)]
pub(super) struct MinorMap {
    /// First output position of each stored position.
    first: Vec<u32>,
    /// The next output position with the same stored position.
    next: Vec<u32>,
    /// Whether output positions grow with stored positions, so that the stored order can stay.
    ascending: bool,
}

/// Entries that are left, with positions as `I`.
#[derive(Debug)]
pub(super) struct Kept<I> {
    /// Output positions on the minor axis.
    pub(super) indices: Vec<I>,
    /// Which stored entries they come from.
    pub(super) entries: Vec<u32>,
    /// One more offset than there are slices.
    pub(super) offsets: Vec<usize>,
}

impl MinorMap {
    /// The map of `selection` on an axis of `length`.
    pub(super) fn new(selection: &AxisSelection, length: u64) -> Result<Self> {
        let too_long = || Error::resource_exhausted(format!("a sparse axis of {length} is longer than 2^32 - 1"));
        if length >= u64::from(NONE) || selection.len() >= u64::from(NONE) {
            return Err(too_long());
        }
        let positions = selection.positions();
        let mut first = vec![NONE; length as usize];
        let mut next = vec![NONE; positions.len()];
        // From the last to the first, so that each chain ascends.
        for (output, position) in positions.iter().enumerate().rev() {
            let head = first.get_mut(*position as usize).ok_or_else(too_long)?;
            next[output] = *head;
            *head = output as u32;
        }
        let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
        Ok(Self { first, next, ascending })
    }

    /// Output positions of the stored position `index`, ascending.
    pub(super) fn outputs(&self, index: u64) -> impl Iterator<Item = u32> + '_ {
        let at = |position: Option<&u32>| position.copied().filter(|position| *position != NONE);
        let head = usize::try_from(index).ok().and_then(|index| at(self.first.get(index)));
        std::iter::successors(head, move |position| at(self.next.get(*position as usize)))
    }

    /// How often the most asked stored position was asked for.
    pub(super) fn most_outputs(&self) -> u64 {
        (0..self.first.len() as u64).map(|index| self.outputs(index).count() as u64).max().unwrap_or(0)
    }

    /// The entries of `indices` (slices cut by `offsets`) that are selected, their output positions as `output`
    /// gives them. Within a slice they keep their stored order when the selection ascends, and are sorted by output
    /// position otherwise.
    pub(super) fn apply<I: ArrowNativeType>(
        &self,
        indices: &[I],
        offsets: &[usize],
        output: impl Fn(u32) -> I,
    ) -> Result<Kept<I>> {
        let too_many = || Error::resource_exhausted("a window has more than 2^32 sparse entries");
        u32::try_from(indices.len()).map_err(|_| too_many())?;
        let mut kept = Kept { indices: Vec::new(), entries: Vec::new(), offsets: vec![0] };
        let mut slice: Vec<(u32, u32)> = Vec::new();
        for bounds in offsets.windows(2) {
            slice.clear();
            let stored =
                indices.get(bounds[0]..bounds[1]).ok_or_else(|| Error::internal("a slice leaves its entries"))?;
            for (entry, index) in (bounds[0] as u32..).zip(stored) {
                // Most entries are not selected: nothing but this look-up is done for them.
                let mut position = self.first.get(index.as_usize()).copied().unwrap_or(NONE);
                while position != NONE {
                    slice.push((position, entry));
                    position = self.next.get(position as usize).copied().unwrap_or(NONE);
                }
            }
            if !self.ascending {
                slice.sort_by_key(|(position, _)| *position);
            }
            kept.indices.extend(slice.iter().map(|(position, _)| output(*position)));
            kept.entries.extend(slice.iter().map(|(_, entry)| *entry));
            kept.offsets.push(kept.indices.len());
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against looking at every pair of an entry and an output position.
        #[test]
        fn entries_are_those_of_the_selected_positions(
            (length, positions) in (1_u64..12).prop_flat_map(|length| {
                (Just(length), proptest::collection::vec(0..length, 0..15))
            }),
            slices in proptest::collection::vec(proptest::collection::vec(0_u64..12, 0..10), 0..5),
        ) {
            let slices: Vec<Vec<u64>> =
                slices.into_iter().map(|slice| slice.into_iter().filter(|index| *index < length).collect()).collect();
            let indices = slices.concat();
            let mut offsets = vec![0];
            offsets.extend(slices.iter().scan(0, |end, slice| { *end += slice.len(); Some(*end) }));
            let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
            let map = MinorMap::new(&AxisSelection::Indices(positions.clone().into()), length).unwrap();
            let kept = map.apply(&indices, &offsets, u64::from).unwrap();
            let (mut expected_indices, mut expected_entries, mut expected_offsets) = (Vec::new(), Vec::new(), vec![0]);
            for bounds in offsets.windows(2) {
                let mut slice = Vec::new();
                for (entry, index) in indices.iter().enumerate().take(bounds[1]).skip(bounds[0]) {
                    for (output, position) in positions.iter().enumerate() {
                        if position == index {
                            slice.push((output as u64, entry as u32));
                        }
                    }
                }
                if !ascending {
                    slice.sort_by_key(|(output, _)| *output);
                }
                expected_indices.extend(slice.iter().map(|(output, _)| *output));
                expected_entries.extend(slice.iter().map(|(_, entry)| *entry));
                expected_offsets.push(expected_indices.len());
            }
            prop_assert_eq!(kept.indices, expected_indices);
            prop_assert_eq!(kept.entries, expected_entries);
            prop_assert_eq!(kept.offsets, expected_offsets);
        }
    }
}
