//! The named bounds of storage, with their defaults. Nothing here reads a file or the environment.

use std::time::Duration;

/// How storage reads: sizes, limits and patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Size of a block of the block cache, in bytes; at least 1.
    pub block_bytes: u64,
    /// Most bytes kept in the block cache, bookkeeping included; 0 keeps nothing.
    pub cache_bytes: u64,
    /// Most bytes fetched in one request on behalf of the block cache or of coalesced ranges.
    pub largest_request_bytes: u64,
    /// Most bytes that one read may ask for.
    pub largest_read_bytes: u64,
    /// Ranges of one call that lie at most so many bytes apart are fetched in one request.
    pub coalesce_gap_bytes: u64,
    /// Most requests in flight, all callers and stores together; at least 1.
    pub requests_in_flight: usize,
    /// Most objects that one listing returns.
    pub listed_objects: usize,
    /// Longest wait for the head of an answer, and between two pieces of its body.
    pub request_timeout: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// When and how often a failed request is sent again.
    pub retry: RetryPolicy,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            block_bytes: 64 << 10,
            cache_bytes: 256 << 20,
            largest_request_bytes: 8 << 20,
            largest_read_bytes: 1 << 30,
            coalesce_gap_bytes: 256 << 10,
            requests_in_flight: 256,
            listed_objects: 1_000_000,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
        }
    }
}

/// When and how often a failed request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most repetitions of one request.
    pub max_retries: u32,
    /// Longest time from the first failure of a row of failures to the last repetition. A row ends
    /// when body bytes arrive. One request therefore fails at the latest after this time and two
    /// request timeouts, counted from its last byte.
    pub total_time: Duration,
    /// Pause before the first repetition; each further pause is twice as long, all shortened at random
    /// by up to half.
    pub first_pause: Duration,
    /// Longest pause between two repetitions.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 6,
            total_time: Duration::from_secs(30),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}
