//! How many rows of a batch fit into one message.

use arrow::record_batch::RecordBatch;

use super::size::message_size;

/// Bounds of one record batch message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageLimits {
    /// Largest message in bytes, unless a single row is larger.
    pub(super) bytes: usize,
    /// Most rows.
    pub(super) rows: usize,
    /// Largest dictionary message in bytes. It does not follow what a request asks for: the cost of
    /// a dictionary in pieces grows with their number.
    pub(super) dictionary_bytes: usize,
}

/// Room for the header of a dictionary message.
const DICTIONARY_HEADER: u64 = 4096;

impl MessageLimits {
    /// The server's size, narrowed by what a request asks for. A request cannot ask for more than
    /// `largest`, with which every client can cope.
    pub(super) fn new(default: u64, largest: u64, asked_bytes: Option<u64>, asked_rows: Option<u64>) -> Self {
        let whole = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            bytes: whole(asked_bytes.unwrap_or(default).min(largest)),
            rows: asked_rows.map_or(usize::MAX, whole).max(1),
            dictionary_bytes: whole(largest.saturating_sub(DICTIONARY_HEADER)).max(1),
        }
    }
}

/// The most rows from `start` on whose message is within the limits; at least one while rows are
/// left.
pub(super) fn fitting_rows(batch: &RecordBatch, start: usize, limits: MessageLimits) -> usize {
    let left = batch.num_rows().saturating_sub(start).min(limits.rows);
    if left <= 1 || message_size(batch, start, left) <= limits.bytes {
        return left;
    }
    largest(left, |rows| message_size(batch, start, rows) <= limits.bytes)
}

/// The largest number in `1..=most` that `fits`, where smaller numbers fit when larger ones do; 1
/// when none does.
pub(super) fn largest(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, most + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
