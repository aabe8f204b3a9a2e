//! What an engine is opened with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::column_index::ColumnIndexOptions;
use super::instances::LaminDb;

/// What an engine is opened with.
#[derive(Clone, Default)]
pub struct EngineOptions {
    /// The registry's SQLite file; created when missing.
    pub registry: PathBuf,
    /// Root URLs that may be read, each with its options for the object store (secrets allowed).
    pub storages: Vec<(String, BTreeMap<String, String>)>,
    /// LaminDB instances that are served as well.
    pub instances: Vec<LaminDb>,
    /// Where raw blocks are kept on disk, and how many bytes; none keeps nothing.
    pub disk_cache: Option<(PathBuf, u64)>,
    /// Where sparse matrices are kept stored the other way; none keeps nothing.
    pub column_index: Option<ColumnIndexOptions>,
    /// Bounds of memory, requests and time.
    pub limits: Limits,
    /// The program whose command `hdf5-worker` reads virtual HDF5 datasets; none where libhdf5 is not
    /// built in.
    pub hdf5_worker: Option<PathBuf>,
    /// Who makes what is registered; empty where that is not known.
    pub user: String,
}

impl std::fmt::Debug for EngineOptions {
    /// Shows the names of storage options, never their values.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let storages: Vec<_> =
            self.storages.iter().map(|(root, options)| (root, options.keys().collect::<Vec<_>>())).collect();
        formatter
            .debug_struct("EngineOptions")
            .field("registry", &self.registry)
            .field("storages", &storages)
            .field("instances", &self.instances)
            .field("disk_cache", &self.disk_cache)
            .field("column_index", &self.column_index)
            .field("limits", &self.limits)
            .field("hdf5_worker", &self.hdf5_worker)
            .field("user", &self.user)
            .finish()
    }
}

/// Bounds of one engine; sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all streams together.
    pub memory_budget: u64,
    /// Memory of one stream.
    pub stream_memory: u64,
    /// Longest wait of a stream for memory that others use.
    pub memory_wait: Duration,
    /// Requests to stores in flight, all streams together.
    pub requests_in_flight: u64,
    /// Requests to stores in flight of one stream.
    pub requests_in_flight_per_stream: u64,
    /// Threads that decode; 0 means one per core.
    pub decode_threads: u64,
    /// How far apart ranges of one object may lie that are fetched together.
    pub merge_gap: MergeGap,
    /// Memory of the block cache for metadata and small reads.
    pub block_cache_bytes: u64,
    /// Memory of the cache of decoded chunks and columns; at most an eighth of the memory budget.
    pub chunk_cache_bytes: u64,
    /// How often a failed request is repeated.
    pub retry_attempts: u64,
    /// Wait before the first repetition; doubled each time.
    pub retry_initial_backoff: Duration,
    /// Longest wait between repetitions.
    pub retry_max_backoff: Duration,
    /// Time for one request with all its repetitions.
    pub retry_timeout: Duration,
    /// Time for one try of a request.
    pub request_timeout: Duration,
    /// Processes that read with libhdf5; 0 means none, virtual datasets are then refused.
    pub hdf5_workers: u64,
    /// Address space of one of them.
    pub hdf5_worker_memory: u64,
    /// Time for one command to them.
    pub hdf5_worker_time: Duration,
}

/// How far apart ranges of one object may lie that are fetched together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeGap {
    /// As far as the bytes between them cost less than a request, by the measured pace of the store.
    #[default]
    Auto,
    /// So many bytes.
    Bytes(u64),
}

/// Part of the memory budget that comes with each request in flight: connections keep buffers of up to 400 KiB.
const BUDGET_OF_A_REQUEST: u64 = 4 << 20;

/// Requests that may be in flight with any budget.
const FEWEST_REQUESTS: u64 = 16;

impl Limits {
    /// Requests in flight that all streams and one stream may have: as configured, but no more than one for each 4 MiB
    /// of the memory budget, or 16 where that is less.
    pub fn requests(&self) -> (usize, usize) {
        let room = (self.memory_budget / BUDGET_OF_A_REQUEST).max(FEWEST_REQUESTS);
        let most = |wanted: u64| usize::try_from(wanted.min(room)).unwrap_or(usize::MAX);
        (most(self.requests_in_flight), most(self.requests_in_flight_per_stream))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_budget: 1 << 30,
            stream_memory: 128 << 20,
            memory_wait: Duration::from_secs(60),
            requests_in_flight: 256,
            requests_in_flight_per_stream: 96,
            decode_threads: 0,
            merge_gap: MergeGap::Auto,
            block_cache_bytes: 64 << 20,
            chunk_cache_bytes: 128 << 20,
            retry_attempts: 5,
            retry_initial_backoff: Duration::from_millis(100),
            retry_max_backoff: Duration::from_secs(5),
            retry_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            hdf5_workers: 2,
            hdf5_worker_memory: 1 << 30,
            hdf5_worker_time: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_budget_has_fewer_requests_in_flight() {
        let limits =
            |memory_budget, requests_in_flight| Limits { memory_budget, requests_in_flight, ..Limits::default() };
        assert_eq!(Limits::default().requests(), (256, 96));
        assert_eq!(limits(128 << 20, 256).requests(), (32, 32));
        assert_eq!(limits(1 << 20, 256).requests(), (16, 16));
        assert_eq!(limits(1 << 20, 3).requests().0, 3);
    }
}
