//! The way from a request to a stream of record batches: registry, open artifact, selection, plan,
//! read. Flight, HTTP and the command line are shells around this.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::artifact::{Artifact, Collection};
use crate::model::request::{SliceRequest, Source};

/// Record batches in order; dropping the stream stops its work.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// Serves slices of the artifacts of one registry.
#[derive(Debug)]
pub struct Engine {}

/// What an engine is opened with.
#[derive(Clone, Default)]
pub struct EngineOptions {
    /// The registry's SQLite file; created when missing.
    pub registry: PathBuf,
    /// Root URLs that may be read, each with its options for the object store (secrets allowed).
    pub storages: Vec<(String, BTreeMap<String, String>)>,
    /// Bounds of memory, requests and time.
    pub limits: Limits,
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
            .field("limits", &self.limits)
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
    /// Requests to stores in flight, all streams together.
    pub requests_in_flight: u64,
    /// Requests to stores in flight of one stream.
    pub requests_in_flight_per_stream: u64,
    /// Threads that decode; 0 means one per core.
    pub decode_threads: u64,
    /// Memory of the block cache for metadata and small reads.
    pub block_cache_bytes: u64,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_budget: 1 << 30,
            stream_memory: 256 << 20,
            requests_in_flight: 64,
            requests_in_flight_per_stream: 16,
            decode_threads: 0,
            block_cache_bytes: 64 << 20,
            retry_attempts: 5,
            retry_initial_backoff: Duration::from_millis(100),
            retry_max_backoff: Duration::from_secs(5),
            retry_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// What `register` is asked to add.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// URL of a file, a folder of shards or a zarr store, inside a registered storage.
    pub url: String,
    /// Key under which it is found; default: the path below the storage root.
    #[serde(default)]
    pub key: Option<String>,
    /// Labels to attach; created when new.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// Which artifacts a listing shows; all given criteria must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Keys starting with this.
    pub key_prefix: Option<String>,
    /// Artifacts with this label.
    pub label: Option<String>,
    /// Artifacts with this suffix (`.h5ad`).
    pub suffix: Option<String>,
    /// Words searched in key, description and labels.
    pub search: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// An artifact as it was when a ticket was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// uid of the artifact.
    pub uid: String,
    /// Its ETag.
    pub etag: String,
}

/// What a listing holds.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An artifact (latest version).
    Artifact(Artifact),
    /// A collection.
    Collection(Collection),
}

impl Engine {
    /// Opens the registry (created when missing) and the storages.
    ///
    /// # Errors
    /// `InvalidArgument` for a storage root or option that is not understood, `Unavailable` when the
    /// registry cannot be opened.
    pub async fn open(_options: EngineOptions) -> Result<Arc<Self>> {
        unimplemented!()
    }

    /// Adds a storage root to the registry's storages, without options; nothing when it is there.
    ///
    /// # Errors
    /// `InvalidArgument` for a root that is not understood.
    pub async fn add_storage(&self, _root: &str) -> Result<()> {
        unimplemented!()
    }

    /// Resolves a request: finds the artifact, opens it, evaluates the selection. Reads metadata and
    /// the columns that the selection names, no data. `pins` are the sources of a ticket, empty for a
    /// fresh request.
    ///
    /// # Errors
    /// Every error of slice-request semantics; `FailedPrecondition` when a pinned source changed.
    pub async fn prepare(self: &Arc<Self>, _request: &SliceRequest, _pins: &[Pin]) -> Result<Slice> {
        unimplemented!()
    }

    /// The accessor summary of an artifact or collection, as JSON.
    ///
    /// # Errors
    /// `NotFound` and the errors of opening.
    pub async fn describe(&self, _source: &Source) -> Result<serde_json::Value> {
        unimplemented!()
    }

    /// All nodes (hierarchies) or files (folders) of an artifact, as JSON.
    ///
    /// # Errors
    /// As [`Engine::describe`].
    pub async fn tree(&self, _source: &Source) -> Result<serde_json::Value> {
        unimplemented!()
    }

    /// Artifacts (latest versions) and collections that meet the criteria, by key.
    ///
    /// # Errors
    /// `Unavailable` when the registry cannot be read.
    pub async fn list(&self, _criteria: &Criteria) -> Result<Vec<Entry>> {
        unimplemented!()
    }

    /// Registers a URL; the same key with other content makes a new version, the same content changes
    /// nothing.
    ///
    /// # Errors
    /// `PermissionDenied` outside the storages, `NotFound` for a missing object.
    pub async fn register(&self, _registration: &Registration) -> Result<Artifact> {
        unimplemented!()
    }

    /// Creates (or replaces by a new version) the collection `key` of the named artifacts, in order.
    ///
    /// # Errors
    /// `NotFound` naming a missing artifact.
    pub async fn create_collection(
        &self,
        _key: &str,
        _artifacts: &[String],
        _description: Option<&str>,
    ) -> Result<Collection> {
        unimplemented!()
    }

    /// Attaches labels to an artifact.
    ///
    /// # Errors
    /// `NotFound` for an unknown artifact.
    pub async fn label(&self, _source: &Source, _labels: &[String]) -> Result<Artifact> {
        unimplemented!()
    }

    /// Removes the record of an artifact (all versions) or collection; never user data. Returns how many records went.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn remove(&self, _source: &Source) -> Result<u64> {
        unimplemented!()
    }
}

/// A resolved request: ready to be explained, split and streamed.
#[derive(Clone, Debug)]
pub struct Slice {}

impl Slice {
    /// Schema of the answer, with its metadata.
    pub fn schema(&self) -> SchemaRef {
        unimplemented!()
    }

    /// Rows of the whole answer, when known without reading data.
    pub fn total_rows(&self) -> Option<u64> {
        unimplemented!()
    }

    /// Bytes of the whole answer in Arrow buffers, when known without reading data.
    pub fn total_bytes(&self) -> Option<u64> {
        unimplemented!()
    }

    /// The artifacts it reads, as they are now.
    pub fn pins(&self) -> Vec<Pin> {
        unimplemented!()
    }

    /// JSON for `app_metadata`: artifact, shape before and after, estimate of requests and bytes.
    pub fn summary(&self) -> serde_json::Value {
        unimplemented!()
    }

    /// Splits the answer into row ranges of about `target_bytes` each; one range `0..rows` when it is
    /// small, none when the rows are not known beforehand (then it is served as one stream).
    pub fn partitions(&self, _target_bytes: u64) -> Vec<Range<u64>> {
        unimplemented!()
    }

    /// Streams the answer, or the given output rows of it. Every batch has exactly [`Slice::schema`].
    /// Batches are at most `max_batch_rows` rows; their bytes may exceed the message size: the
    /// transport splits them.
    pub fn stream(&self, _rows: Option<Range<u64>>) -> BatchStream {
        unimplemented!()
    }

    /// Which ranges of which objects would be read, how many requests and bytes, as JSON.
    ///
    /// # Errors
    /// The errors of reading chunk indexes and sparse row pointers.
    pub async fn explain(&self) -> Result<serde_json::Value> {
        unimplemented!()
    }
}
