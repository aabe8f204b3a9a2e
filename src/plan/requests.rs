//! Which requests fetch the bytes of a list of chunk tasks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::entries::{Entry, together};
use super::tasks::{ChunkTask, row_bytes};
use crate::error::{Error, Result, ResultExt};
use crate::model::chunk::{ChunkLocation, Hyperslab};
use crate::model::coalesce::{Coalesced, coalesce, gap_within};
use crate::model::tree::ArrayNode;

/// How neighbouring ranges are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merging {
    /// Ranges closer than this many bytes are fetched together.
    pub gap: u64,
    /// No merged request is longer than this many bytes (a single chunk may be).
    pub longest: u64,
    /// Requests among which the bytes of one read are spread where they can be: each connection has its
    /// own bandwidth, and what has come is decoded while the rest comes. 1 spreads nothing.
    pub spread: u64,
    /// Whether gaps are narrowed until the bytes between ranges are few beside those asked for.
    pub frugal: bool,
}

/// Of the bytes of a read, at most this part of those asked for are fetched for nothing: a request that is saved saves
/// time, but others share the bandwidth.
const UNWANTED_PART: u64 = 16;

/// Gaps are not narrowed below this many bytes: a request for so few costs more than they do.
const LEAST_NARROWED: u64 = 16 << 10;

/// Requests are not made shorter than this many bytes only to be spread.
const LEAST_SPREAD_BYTES: u64 = 256 << 10;

/// A read is not spread over more requests than this: each takes time of its own, here and in the store.
const MOST_SPREAD: u64 = 32;

/// Bounds of a gap that follows the pace of a store, in bytes.
const GAP_BOUNDS: (u64, u64) = (4 << 10, 2 << 20);

impl Default for Merging {
    fn default() -> Self {
        Self { gap: 16 * 1024, longest: 8 * 1024 * 1024, spread: 1, frugal: false }
    }
}

impl Merging {
    /// The gap at which reading the bytes between two ranges costs as much as one more request.
    ///
    /// Of `in_flight` requests that wait at the same time, each costs an `in_flight`-th of
    /// `first_byte`; a byte in a gap costs its share of the bandwidth that all of them have together,
    /// `bytes_per_second`. So the gap is `first_byte / in_flight * bytes_per_second`: at 30 ms and 64
    /// in flight 47 kB at 100 MB/s, and 470 kB at 1 GB/s. It stays within 4 KiB (one page, below which a
    /// request costs more by itself) and 2 MiB (what a single stream may waste for others to pay), and
    /// is a power of two, so that plans do not follow every breath of the store. It is narrowed, to 16 KiB at the
    /// least, where it would add more than a sixteenth to what is read of an object.
    #[must_use]
    pub fn at_pace(first_byte: Duration, bytes_per_second: u64, in_flight: usize) -> Self {
        let waited = first_byte.as_secs_f64() / in_flight.max(1) as f64;
        let gap = (waited * bytes_per_second as f64) as u64;
        let gap = gap.clamp(GAP_BOUNDS.0, GAP_BOUNDS.1);
        Self { gap: 1 << gap.ilog2(), spread: in_flight.max(1) as u64, frugal: true, ..Self::default() }
    }

    /// The given gap, with `in_flight` requests at the same time.
    #[must_use]
    pub fn with_gap(gap: u64, in_flight: usize) -> Self {
        Self { gap, spread: in_flight.max(1) as u64, ..Self::default() }
    }

    /// The longest merged request of a read of `bytes` bytes.
    pub(super) fn longest_of(&self, bytes: u64) -> u64 {
        self.longest.min(bytes.div_ceil(self.spread.clamp(1, MOST_SPREAD)).max(LEAST_SPREAD_BYTES.min(self.longest)))
    }
}

/// One fetch: the bytes it asks for and the tasks it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Object below the artifact's root; `None` for the artifact's only object.
    pub object: Option<String>,
    /// Bytes asked for; `None` asks for the whole object.
    pub range: Option<Range<u64>>,
    /// Elements asked for, of an array that the format reads from other objects; there is no object and
    /// no range then.
    pub elements: Option<Hyperslab>,
    /// Objects of which each is one task of `members`, in the same order, that lie together in `range` of the one
    /// object that holds all (entries of a zip archive); none for other requests.
    pub entries: Vec<String>,
    /// Bytes that `entries` take beside `range` once they are unpacked.
    pub unpacked: u64,
    /// Tasks served: index into the task list, and the task's bytes within the answer of this
    /// request (`None` = all of it).
    pub members: Vec<(usize, Option<Range<u64>>)>,
}

/// The requests for `tasks`, and the tasks that need no bytes from the store (inline or missing).
///
/// Ranges of one object are sorted, merged by `merging`, and never read twice.
///
/// # Errors
/// `DataLoss` when a chunk has no bytes or fewer than its rows need.
pub fn requests(
    node: &ArrayNode,
    tasks: &[ChunkTask],
    locations: &[ChunkLocation],
    merging: Merging,
) -> Result<(Vec<Request>, Vec<usize>)> {
    // By object; none is the artifact's only one.
    let mut ranges: BTreeMap<Option<&str>, Vec<(Range<u64>, usize)>> = BTreeMap::new();
    let mut requests = Vec::new();
    let mut entries = Vec::new();
    let mut local = Vec::new();
    for (index, (task, location)) in tasks.iter().zip(locations).enumerate() {
        match location {
            ChunkLocation::Inline(_) | ChunkLocation::Missing => local.push(index),
            ChunkLocation::Range { offset, length, .. } => {
                let range = range_of(node, task, *offset, *length)?;
                ranges.entry(None).or_default().push((range, index));
            }
            ChunkLocation::Object { path, part: Some(part), .. } => {
                let range = range_of(node, task, part.start, part.end.saturating_sub(part.start))
                    .with_context(|| format!("object '{path}'"))?;
                ranges.entry(Some(path)).or_default().push((range, index));
            }
            ChunkLocation::Object { path, length: Some(length), part: None, place: Some(place) }
                if task.rows.is_none() =>
            {
                entries.push(Entry { path, length: *length, place: place.clone(), task: index });
            }
            ChunkLocation::Object { path, length, part: None, .. } => {
                let range = match (&task.rows, length) {
                    (None, length) => length.map(|length| 0..length),
                    (Some(rows), Some(length)) => Some(part_of(node, rows, 0, *length)?),
                    (Some(rows), None) => Some(scale(rows, row_bytes(node))),
                };
                let object = Some(path.clone());
                requests.push(Request { object, range, members: vec![(index, None)], ..Request::default() });
            }
            ChunkLocation::Elsewhere(hyperslab) => {
                let elements = Some(hyperslab.clone());
                requests.push(Request { elements, members: vec![(index, None)], ..Request::default() });
            }
        }
    }
    let merging =
        Merging { longest: merging.longest_of(total(ranges.values().flatten().map(|(range, _)| range))), ..merging };
    requests.extend(together(&entries, merging));
    for (object, ranges) in &ranges {
        requests.extend(merge(*object, ranges, merging));
    }
    Ok((requests, local))
}

/// Bytes that `request` moves, when known without asking the store.
pub fn request_bytes(request: &Request) -> Option<u64> {
    request.range.as_ref().map(|range| range.end - range.start)
}

/// Bytes of all `ranges`.
pub(super) fn total<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> u64 {
    ranges.fold(0, |total, range| total.saturating_add(range.end.saturating_sub(range.start)))
}

/// The bytes that `task` needs of a chunk of `length` bytes at `offset`.
fn range_of(node: &ArrayNode, task: &ChunkTask, offset: u64, length: u64) -> Result<Range<u64>> {
    let range = match &task.rows {
        None => offset..offset.saturating_add(length),
        Some(rows) => part_of(node, rows, offset, length)?,
    };
    if range.is_empty() {
        return Err(Error::data_loss(format!("chunk at offset {offset} has no bytes")));
    }
    Ok(range)
}

fn scale(rows: &Range<u64>, row_bytes: u64) -> Range<u64> {
    rows.start.saturating_mul(row_bytes)..rows.end.saturating_mul(row_bytes)
}

/// The bytes of `rows` in an unfiltered chunk at `offset`.
fn part_of(node: &ArrayNode, rows: &Range<u64>, offset: u64, length: u64) -> Result<Range<u64>> {
    let part = scale(rows, row_bytes(node));
    if part.end > length {
        return Err(Error::data_loss(format!(
            "chunk at offset {offset} is truncated: expected at least {} bytes, found {length}",
            part.end
        )));
    }
    Ok(offset.saturating_add(part.start)..offset.saturating_add(part.end))
}

/// Ranges of tasks in one object, merged where their gap is small enough.
fn merge(object: Option<&str>, ranges: &[(Range<u64>, usize)], merging: Merging) -> Vec<Request> {
    let asked: Vec<Range<u64>> = ranges.iter().map(|(range, _)| range.clone()).collect();
    let request = |Coalesced { range: whole, members }: Coalesced| {
        let members = members
            .into_iter()
            .filter_map(|place| ranges.get(place))
            .map(|(range, task)| (*task, Some(range.start - whole.start..range.end - whole.start)))
            .collect();
        Request { object: object.map(str::to_owned), range: Some(whole), members, ..Request::default() }
    };
    let gap = if merging.frugal {
        let within = gap_within(&asked, merging.gap, total(asked.iter()) / UNWANTED_PART);
        within.max(merging.gap.min(LEAST_NARROWED))
    } else {
        merging.gap
    };
    coalesce(&asked, gap, merging.longest).into_iter().map(request).collect()
}
