//! Cuts the entries of many slices of the stored axis into pieces that are read together.

use std::collections::VecDeque;

/// Entries `[start, end)` of the slice at output position `slice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlicePart {
    /// Output position on the stored axis.
    pub(super) slice: u64,
    /// First entry.
    pub(super) start: u64,
    /// Behind the last entry.
    pub(super) end: u64,
}

/// Entries that are read together, never none, in the order of their slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Parts with at least one entry each.
    pub(super) parts: Vec<SlicePart>,
}

impl Piece {
    /// Number of entries.
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    /// First entry of the adjoining parts at the end.
    fn last_run(&self) -> u64 {
        let pairs = self.parts.iter().zip(self.parts.iter().skip(1));
        let broken = pairs.enumerate().rfind(|(_, (left, right))| left.end != right.start);
        self.parts.get(broken.map_or(0, |(at, _)| at + 1)).map_or(0, |part| part.start)
    }
}

/// Cuts `spans`, the entries of the slices from `first` on, into pieces of at most `most` entries.
///
/// A piece ends at the last border of a chunk of `chunk` entries that it can reach, so that adjoining
/// slices decode each chunk once; when a chunk has more entries than fit, it is cut.
pub(super) fn pieces(first: u64, spans: &[(u64, u64)], most: u64, chunk: u64) -> Vec<Piece> {
    let (most, chunk) = (most.max(1), chunk.max(1));
    let parts = (first..).zip(spans).map(|(slice, (start, end))| SlicePart { slice, start: *start, end: *end });
    let mut left: VecDeque<SlicePart> = parts.filter(|part| part.end > part.start).collect();
    let mut pieces = Vec::new();
    let (mut piece, mut taken) = (Piece::default(), 0);
    while let Some(part) = left.pop_front() {
        let room = most - taken;
        if part.end - part.start <= room {
            taken += part.end - part.start;
            piece.parts.push(part);
            continue;
        }
        let limit = part.start + room;
        if room > 0 {
            piece.parts.push(SlicePart { end: limit, ..part });
        }
        left.push_front(SlicePart { start: limit, ..part });
        let adjoins = piece.parts.last().is_some_and(|last| last.end == limit);
        let border = limit - limit % chunk;
        if adjoins && border > piece.last_run() {
            give_back(&mut piece, &mut left, border);
        }
        pieces.push(std::mem::take(&mut piece));
        taken = 0;
    }
    if !piece.parts.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// Moves what `piece` has from entry `border` on, in its last adjoining parts, to the front of `left`.
fn give_back(piece: &mut Piece, left: &mut VecDeque<SlicePart>, border: u64) {
    while let Some(last) = piece.parts.pop() {
        if last.end > border {
            let kept = last.start.max(border);
            match left.front_mut() {
                Some(next) if next.slice == last.slice && next.start == last.end => next.start = kept,
                _ => left.push_front(SlicePart { start: kept, ..last }),
            }
        }
        if last.start < border {
            piece.parts.push(SlicePart { end: last.end.min(border), ..last });
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every entry comes once, in order, and no piece is empty or too long.
        #[test]
        fn pieces_hold_every_entry_in_order(
            spans in proptest::collection::vec((0_u64..50, 0_u64..30), 0..12),
            most in 1_u64..40,
            chunk in 1_u64..40,
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(start, count)| (start, start + count)).collect();
            let found = pieces(7, &spans, most, chunk);
            prop_assert!(found.iter().all(|piece| piece.len() > 0 && piece.len() <= most));
            let entries = |part: &SlicePart| (part.start..part.end).map(|entry| (part.slice, entry)).collect::<Vec<_>>();
            let flat: Vec<_> = found.iter().flat_map(|piece| piece.parts.iter().flat_map(entries)).collect();
            let expected: Vec<_> =
                (7..).zip(&spans).flat_map(|(slice, (start, end))| (*start..*end).map(move |at| (slice, at))).collect();
            prop_assert_eq!(flat, expected);
        }

        /// Adjoining slices are cut at chunk borders only, when a chunk fits.
        #[test]
        fn adjoining_slices_decode_each_chunk_once(
            lengths in proptest::collection::vec(0_u64..20, 1..20),
            first in 0_u64..30,
            chunk in 1_u64..16,
            more in 0_u64..30,
        ) {
            let mut end = first;
            let spans: Vec<_> = lengths.iter().map(|length| { let start = end; end += length; (start, end) }).collect();
            let found = pieces(0, &spans, chunk + more, chunk);
            for piece in found.iter().rev().skip(1) {
                prop_assert_eq!(piece.parts.last().unwrap().end % chunk, 0);
            }
        }
    }
}
