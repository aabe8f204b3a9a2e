//! Counts what storage asks of the stores. Every attempt counts, so a repeated request counts twice.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all requests of one [`super::Storages`].
#[derive(Debug, Default)]
pub struct Meter {
    get: AtomicU64,
    head: AtomicU64,
    list: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterSnapshot {
    /// Reads of objects or of ranges of objects.
    pub get: u64,
    /// Questions for the metadata of an object.
    pub head: u64,
    /// Pages of listings.
    pub list: u64,
    /// How many of the requests repeated a failed one.
    pub retries: u64,
    /// Body bytes of reads that arrived.
    pub bytes: u64,
}

impl MeterSnapshot {
    /// Requests of every kind.
    pub fn requests(&self) -> u64 {
        self.get.saturating_add(self.head).saturating_add(self.list)
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            get: self.get.saturating_sub(earlier.get),
            head: self.head.saturating_sub(earlier.head),
            list: self.list.saturating_sub(earlier.list),
            retries: self.retries.saturating_sub(earlier.retries),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

impl Meter {
    /// The counters now.
    pub fn snapshot(&self) -> MeterSnapshot {
        MeterSnapshot {
            get: self.get.load(Ordering::Relaxed),
            head: self.head.load(Ordering::Relaxed),
            list: self.list.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count_get(&self) {
        self.get.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_head(&self) {
        self.head.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_list(&self) {
        self.list.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
