//! The way from a request to a stream of record batches: registry, open artifact, selection, plan,
//! read. Flight and the command line are shells around this.
//!
//! ```text
//! SliceRequest ──registry──▶ Artifact ──open──▶ Hierarchy | Table ──hierarchy/tabular──▶ Slice
//! Slice ──▶ schema, totals, partitions, explain, stream
//! ```

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use lru::LruCache;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::hdf5::{Library, LibraryOptions};
use crate::model::artifact::{Artifact, Collection};
use crate::model::criteria::FeatureLabel;
use crate::model::request::Source;
use crate::model::shared_cache::CacheCounts;
use crate::plan::requests::Merging;
use crate::read::context::ReadContext;
use crate::registry::Registry;
use crate::storage::{DiskCounts, RetryPolicy, StorageOptions, Storages};

mod axis_table;
mod catalogue;
mod column_index;
mod describe;
mod expand;
mod explain;
mod folder_version;
mod hierarchy;
mod index_columns;
mod instances;
mod joined;
mod listing;
mod look;
mod manage;
mod metadata;
mod open;
mod options;
mod prepare;
mod register;
mod selection_summary;
mod slice;
mod tabular;
mod unlisted;

pub use column_index::ColumnIndexOptions;
pub use expand::Match;
pub use instances::LaminDb;
pub use options::{EngineOptions, Limits, MergeGap};
pub use slice::Slice;

pub use crate::registry::native::Registered;

use column_index::ColumnIndexes;
use instances::{Contents, Look};
use open::Opened;

/// Record batches in order; dropping the stream stops its work.
pub type BatchStream = BoxStream<'static, Result<arrow::record_batch::RecordBatch>>;

/// Artifacts that stay open, with their trees.
const OPEN_ARTIFACTS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Files of which it is remembered that they were looked at.
const LOOKED_AT: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Collections of AnnData whose members stay open, with what was learnt of them together.
const OPEN_COLLECTIONS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Serves slices of the artifacts of one registry.
#[derive(Debug)]
pub struct Engine {
    registry: Arc<Registry>,
    storages: Arc<Storages>,
    context: ReadContext,
    merge_gap: MergeGap,
    opened: Mutex<LruCache<String, Opened>>,
    /// URLs of files that were looked at.
    looked: Mutex<LruCache<String, ()>>,
    joined: Mutex<LruCache<String, Arc<joined::Members>>>,
    /// LaminDB instances as configured, in the order of those of the registry.
    instances: Vec<LaminDb>,
    contents: Arc<Contents>,
    /// Matrices stored the other way as well, where there is a folder for them.
    column_indexes: Option<Arc<ColumnIndexes>>,
    /// libhdf5 in worker processes, where it is built in.
    library: Option<Arc<Library>>,
    /// Who makes what is registered; empty where that is not known.
    user: String,
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
    /// Labels to attach, each maybe as the value of a feature; created when new.
    #[serde(default)]
    pub labels: Vec<FeatureLabel>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

impl Engine {
    /// Opens the registry (created when missing) and its storages, those of `options` first.
    ///
    /// # Errors
    /// `InvalidArgument` for a storage root or option that is not understood, `Unavailable` when the
    /// registry cannot be opened.
    pub async fn open(options: EngineOptions) -> Result<Arc<Self>> {
        let limits = &options.limits;
        let mut registry = Registry::open(&options.registry).await?;
        instances::open_all(&mut registry, &options.instances, &storage_options(limits)).await?;
        let mut storages = Storages::new(storage_options(limits));
        if let Some((path, bytes)) = options.disk_cache.clone() {
            // Listing a large cache takes a while, and blocks.
            let open = move || storages.with_disk_cache(&path, bytes);
            let opened = tokio::task::spawn_blocking(open).await;
            storages = opened.map_err(|error| Error::internal("opening the disk cache").with_source(error))??;
        }
        for (root, store_options) in &options.storages {
            storages.add(root, store_options.clone())?;
        }
        add_registered(&storages, &registry).await?;
        instances::add_storages(&storages, &registry, &options.instances).await?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let decoders = usize::try_from(limits.decode_threads).unwrap_or(cores);
        let context = ReadContext::new(
            limits.memory_budget,
            limits.stream_memory,
            if decoders == 0 { cores } else { decoders },
            limits.requests().1,
            limits.memory_wait,
        )
        .with_chunk_cache(limits.chunk_cache_bytes);
        let column_indexes = match &options.column_index {
            Some(folder) => Some(ColumnIndexes::open(folder).await?),
            None => None,
        };
        Ok(Arc::new(Self {
            column_indexes,
            registry: Arc::new(registry),
            storages: Arc::new(storages),
            context,
            merge_gap: limits.merge_gap,
            opened: Mutex::new(LruCache::new(OPEN_ARTIFACTS)),
            looked: Mutex::new(LruCache::new(LOOKED_AT)),
            joined: Mutex::new(LruCache::new(OPEN_COLLECTIONS)),
            instances: options.instances,
            contents: Arc::default(),
            library: library(options.hdf5_worker, &options.limits),
            user: options.user,
        }))
    }

    /// Adds a storage root, without options, here and in the registry; nothing when it is there.
    ///
    /// # Errors
    /// `InvalidArgument` for a root that is not understood.
    pub async fn add_storage(&self, root: &str) -> Result<()> {
        let added = self.storages.add(root, std::collections::BTreeMap::new())?;
        self.registry.native().add_storage(&added.url, added.kind.name(), None).await
    }

    /// What the caches have done: that of blocks, and that of decoded chunks and columns.
    pub fn cache_counts(&self) -> [(&'static str, CacheCounts); 2] {
        [("blocks", self.storages.cache_counts()), ("chunks", self.context.chunks.counts())]
    }

    /// What the cache on disk has done, when there is one.
    pub fn disk_counts(&self) -> Option<DiskCounts> {
        self.storages.disk_counts()
    }

    /// The context in which the objects at `url` are read: ranges merge by the pace of their store. A
    /// slice keeps what it was given, so that its explanation and its stream are the same plan.
    fn context_at(&self, url: &str) -> ReadContext {
        let in_flight = self.context.requests_in_flight;
        self.context.with_merging(match self.merge_gap {
            MergeGap::Bytes(gap) => Merging::with_gap(gap, in_flight),
            MergeGap::Auto => {
                let pace = self.storages.pace(url);
                Merging::at_pace(pace.first_byte, pace.bytes_per_second, in_flight)
            }
        })
    }

    /// Learns of storages that the command line added to the registry since the engine was opened, when
    /// `url` lies in none that is known.
    async fn learn_storage_of(&self, url: &str) -> Result<()> {
        match self.storages.resolve(url) {
            Err(error) if error.kind() == crate::error::Kind::PermissionDenied => {
                add_registered(&self.storages, &self.registry).await?;
                instances::add_storages(&self.storages, &self.registry, &self.instances).await
            }
            _ => Ok(()),
        }
    }

    /// The artifact that `source` names, or the collection when no artifact has its key, with their contents.
    async fn find(&self, source: &Source) -> Result<Found> {
        self.contents_of(self.named(source).await?, Look::IfOld).await
    }

    /// What `source` names, as the registries know it.
    async fn named(&self, source: &Source) -> Result<Found> {
        match source {
            Source::Collection(name) => Ok(Found::Collection(self.registry.collection(name).await?)),
            Source::Key { key, version: None } => match self.registry.artifact(source).await {
                Ok(artifact) => Ok(Found::Artifact(artifact)),
                Err(error) if error.kind() == crate::error::Kind::NotFound => {
                    // The artifact's error names near matches: it is the better one when neither is there.
                    self.registry.collection(key).await.map(Found::Collection).map_err(|_| error)
                }
                Err(error) => Err(error),
            },
            Source::Url(url) => match self.registry.artifact(source).await {
                // A URL inside a storage may be read without being registered.
                Err(error) if error.kind() == crate::error::Kind::NotFound => self.look(url).await.map(Found::Artifact),
                found => found.map(Found::Artifact),
            },
            Source::Registry(table) => Err(Error::invalid(format!(
                "expected an artifact or collection, found the registry's {}",
                table.name()
            ))),
            Source::Key { .. } | Source::Uid(_) => Ok(Found::Artifact(self.registry.artifact(source).await?)),
        }
    }
}

/// Adds the storages of the registry that are not known yet.
async fn add_registered(storages: &Storages, registry: &Registry) -> Result<()> {
    for known in registry.native().list_storages().await? {
        if !storages.roots().iter().any(|root| root.url == known.url) {
            storages.add(&known.url, std::collections::BTreeMap::new())?;
        }
    }
    Ok(())
}

/// What a source names.
#[derive(Debug)]
enum Found {
    Artifact(Artifact),
    Collection(Collection),
}

/// The workers, if there may be any.
fn library(program: Option<std::path::PathBuf>, limits: &Limits) -> Option<Arc<Library>> {
    let workers = usize::try_from(limits.hdf5_workers).unwrap_or(usize::MAX);
    let program = program.filter(|_| workers > 0)?;
    let (memory_bytes, time) = (limits.hdf5_worker_memory, limits.hdf5_worker_time);
    Some(Arc::new(Library::new(LibraryOptions { program, workers, memory_bytes, time })))
}

fn storage_options(limits: &Limits) -> StorageOptions {
    StorageOptions {
        cache_bytes: limits.block_cache_bytes,
        requests_in_flight: limits.requests().0,
        request_timeout: limits.request_timeout,
        retry: RetryPolicy {
            max_retries: u32::try_from(limits.retry_attempts).unwrap_or(u32::MAX),
            total_time: limits.retry_timeout,
            first_pause: limits.retry_initial_backoff,
            longest_pause: limits.retry_max_backoff,
        },
        ..StorageOptions::default()
    }
}
