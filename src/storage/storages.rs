//! The allow-list: which roots may be read, and the one way from a URL to an object in them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use super::block_cache::BlockCache;
use super::connect::{Connected, connect, given_endpoint};
use super::disk_cache::{DiskCache, DiskCounts};
use super::failure::error_of;
use super::folder::Folder;
use super::kind::StorageKind;
use super::location::{StorageUrl, absolute_url, join_url, joined, redact};
use super::meter::Meter;
use super::metered_store::MeteredStore;
use super::options::StorageOptions;
use super::pace::{Pace, PaceMeter};
use super::pinned_folder::PinnedFolder;
use super::pinned_object::PinnedObject;
use super::reader::{FolderReader, ObjectIdentity, RangeReader};
use super::requests::Requests;
use super::root_options::RootOptions;
use super::unlisted_folder::{self, UnlistedFolder};
use super::zip::ZipFolder;
use crate::error::{Error, Result};
use crate::model::index_store::IndexStore;
use crate::model::shared_cache::CacheCounts;

/// All roots that may be read, and what their readers share: permits, cache, meter.
pub struct Storages {
    options: Arc<StorageOptions>,
    roots: RwLock<Roots>,
    permits: Arc<Semaphore>,
    meter: Arc<Meter>,
    cache: Arc<BlockCache>,
    disk: Option<Arc<DiskCache>>,
}

#[derive(Default)]
struct Roots {
    list: Vec<Root>,
    /// Clients by bucket, container or host (or local root) and options.
    clients: HashMap<(String, BTreeMap<String, String>), Arc<MeteredStore>>,
}

struct Root {
    public: StorageRoot,
    parsed: StorageUrl,
    store: Arc<MeteredStore>,
    /// Whether the operator says that a refused object is a missing one.
    refused_is_missing: bool,
}

/// A root that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRoot {
    /// URL without secrets and without a slash at the end.
    pub url: String,
    /// What it is.
    pub kind: StorageKind,
}

/// Where an object or a folder of objects lies.
#[derive(Clone, Debug)]
pub struct Location {
    /// URL of the root that allows it.
    pub root: String,
    /// The counted, bounded and retrying store.
    pub store: Arc<dyn ObjectStore>,
    /// Path in that store.
    pub path: Path,
    /// The one spelling of its URL, without secrets.
    pub url: String,
    /// What kind of storage the root is.
    pub kind: StorageKind,
    /// Whether the operator says that a refused object is a missing one.
    pub refused_is_missing: bool,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Path below the listed URL.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// ETag as the store gave it.
    pub etag: String,
}

impl fmt::Debug for Storages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<String> = self.roots().into_iter().map(|root| root.url).collect();
        formatter.debug_struct("Storages").field("roots", &roots).field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Storages {
    /// No roots yet: everything is refused.
    pub fn new(options: StorageOptions) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(options.requests_in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            meter: Arc::new(Meter::default()),
            cache: Arc::new(BlockCache::new(options.cache_bytes)),
            disk: None,
            roots: RwLock::new(Roots::default()),
            options: Arc::new(options),
        }
    }

    /// Keeps what is read of objects that are not local in the folder `path`, at most `bytes` bytes.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made or listed.
    pub fn with_disk_cache(self, path: &std::path::Path, bytes: u64) -> Result<Self> {
        Ok(Self { disk: Some(Arc::new(DiskCache::open(path, bytes)?)), ..self })
    }

    /// What the disk cache has done, when there is one.
    pub fn disk_counts(&self) -> Option<DiskCounts> {
        self.disk.as_ref().map(|disk| disk.counts())
    }

    /// A local file is as near as the cache.
    fn disk_for(&self, kind: StorageKind) -> Option<Arc<DiskCache>> {
        self.disk.as_ref().filter(|_| kind != StorageKind::Local).map(Arc::clone)
    }

    /// Allows everything below `root_url`: `s3://bucket[/prefix]` (with `?endpoint_url=…`, as LaminDB writes it, that
    /// is the option `endpoint`), `gs://`, `az://`, `abfss://`, `http(s)://`, `hf://`, `file:///folder` or a local path.
    /// A root that is there already gets the new options.
    ///
    /// # Errors
    /// `NotFound` for a local folder that does not exist, `InvalidArgument` for a malformed URL or
    /// option (named), `PermissionDenied` for a host that may never be a root.
    pub fn add(&self, root_url: &str, options: BTreeMap<String, String>) -> Result<StorageRoot> {
        let (root_url, mut options) = given_endpoint(root_url, options)?;
        let url = absolute_url(&root_url)?;
        let refused_is_missing = unlisted_folder::refused_is_missing(&mut options, &url)?;
        let parsed = StorageUrl::parse(&url)?;
        let kind = StorageKind::of(parsed.scheme);
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        let shared = format!("{}://{}", parsed.scheme.name(), parsed.authority);
        let client = (if kind == StorageKind::Local { url.clone() } else { shared }, options);
        let store = match roots.clients.get(&client) {
            Some(store) => Arc::clone(store),
            None => {
                let store = Arc::new(self.connect(&parsed, &url, &client.1)?);
                roots.clients.insert(client, Arc::clone(&store));
                store
            }
        };
        let public = StorageRoot { url, kind };
        roots.list.retain(|root| root.public.url != public.url);
        roots.list.push(Root { public: public.clone(), parsed, store, refused_is_missing });
        Ok(public)
    }

    /// Closes a root (its URL as [`Self::add`] gave it); says whether there was one. Readers that are
    /// open stay so.
    pub fn remove(&self, root_url: &str) -> bool {
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        let before = roots.list.len();
        roots.list.retain(|root| root.public.url != root_url);
        let Roots { list, clients } = &mut *roots;
        clients.retain(|_, client| list.iter().any(|root| Arc::ptr_eq(&root.store, client)));
        list.len() < before
    }

    /// The roots, in the order they were added.
    pub fn roots(&self) -> Vec<StorageRoot> {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        roots.list.iter().map(|root| root.public.clone()).collect()
    }

    /// The options that all readers share.
    pub fn options(&self) -> &Arc<StorageOptions> {
        &self.options
    }

    /// The counters of all requests.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Bytes that the block cache holds now, bookkeeping included.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.counts().bytes
    }

    /// What the block cache has done.
    pub fn cache_counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// How fast the store of `url` answers; the usual pace for a URL that no root holds.
    pub fn pace(&self, url: &str) -> Pace {
        let Ok(parsed) = StorageUrl::parse(url) else { return Pace::default() };
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let holding = roots.list.iter().filter(|root| parsed.below(&root.parsed).is_some());
        let longest = holding.max_by_key(|root| root.parsed.components.len());
        longest.map(|root| root.store.pace()).unwrap_or_default()
    }

    /// Where `url` lies: in the longest root that holds it.
    ///
    /// # Errors
    /// `PermissionDenied` naming the URL when no root holds it or it could leave one,
    /// `InvalidArgument` or `Unimplemented` when it is not a URL that can be read.
    pub fn resolve(&self, url: &str) -> Result<Location> {
        let parsed = StorageUrl::parse(url)?;
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let holding = roots.list.iter().filter(|root| parsed.below(&root.parsed).is_some());
        let Some(root) = holding.max_by_key(|root| root.parsed.components.len()) else {
            return Err(Error::permission_denied(format!("{} lies outside all storage roots", redact(url))));
        };
        let below = match root.public.kind {
            StorageKind::Local => parsed.below(&root.parsed).unwrap_or_default(),
            _ => parsed.components.as_slice(),
        };
        Ok(Location {
            root: root.public.url.clone(),
            store: Arc::clone(&root.store) as Arc<dyn ObjectStore>,
            path: joined(&Path::ROOT, below)?,
            url: parsed.to_url()?,
            kind: root.public.kind,
            refused_is_missing: root.refused_is_missing,
        })
    }

    /// The store behind a root (its URL as [`Self::add`] gave it), for a query engine: counted,
    /// bounded and retried like all reads. Paths in it are those of [`Location::path`].
    ///
    /// # Errors
    /// `PermissionDenied` when there is no such root.
    pub fn store_for(&self, root_url: &str) -> Result<Arc<dyn ObjectStore>> {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let found = roots.list.iter().find(|root| root.public.url == root_url);
        let root =
            found.ok_or_else(|| Error::permission_denied(format!("{} is not a storage root", redact(root_url))))?;
        Ok(Arc::clone(&root.store) as Arc<dyn ObjectStore>)
    }

    /// Which version of the object is there now.
    ///
    /// # Errors
    /// As [`Self::resolve`]; `NotFound` when there is no object, `Unavailable` when the store fails
    /// after retries, `PermissionDenied` when it refuses, `Unimplemented` when it gives no ETag.
    pub async fn head(&self, url: &str) -> Result<ObjectIdentity> {
        let Location { store, path, url, .. } = self.resolve(url)?;
        if path.is_root() {
            return Err(Error::not_found(format!("object {url} does not exist: it is a folder")));
        }
        let object = store.head(&path).await.map_err(|error| error_of(error, &url))?;
        let Some(etag) = object.e_tag else {
            return Err(Error::unimplemented(format!(
                "object {url} has neither an ETag nor a time of modification: it cannot be pinned to a version"
            )));
        };
        Ok(ObjectIdentity { url, etag, version: object.version, size: object.size })
    }

    /// All objects below the folder `url`, in byte order of their paths below it; none when there is no
    /// such folder.
    ///
    /// # Errors
    /// As [`Self::head`]; `ResourceExhausted` when there are more than `listed_objects`.
    pub async fn list_files(&self, url: &str) -> Result<Vec<ListedFile>> {
        let Location { store, path, url, .. } = self.resolve(url)?;
        list_below(store.as_ref(), &path, &path, &url, self.options.listed_objects).await
    }

    /// Whether there is any object below `url`. An empty local folder holds none.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn is_folder(&self, url: &str) -> Result<bool> {
        let Location { store, path, url, .. } = self.resolve(url)?;
        let mut objects = store.list(Some(&path));
        loop {
            match objects.try_next().await {
                Ok(None) => return Ok(false),
                Ok(Some(object)) if object.location != path => return Ok(true),
                Ok(Some(_)) => {}
                Err(error) => return Err(error_of(error, &url)),
            }
        }
    }

    /// A reader of one version of one object. Asks the store nothing yet.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn open(&self, identity: ObjectIdentity) -> Result<Arc<dyn RangeReader>> {
        let location = self.resolve(&identity.url)?;
        Ok(Arc::new(self.object(location, identity)))
    }

    /// A reader of the objects below `url`. Asks the store nothing yet.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn folder(&self, url: &str) -> Result<Arc<dyn FolderReader>> {
        let Location { store, path, url, .. } = self.resolve(url)?;
        Ok(Arc::new(Folder { url, store, path, options: Arc::clone(&self.options) }))
    }

    /// A reader of exactly `files` below `url`, each in its listed version. Asks the store nothing yet.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn pinned_folder(&self, url: &str, files: &[ListedFile]) -> Result<Arc<dyn FolderReader>> {
        let Location { url, .. } = self.resolve(url)?;
        Ok(Arc::new(PinnedFolder { objects: self.pinned(&url, files)?, url }))
    }

    /// A reader of the objects below `url` of a store that cannot be listed: `files` are read in their listed
    /// versions and stand for the version of all. Asks the store nothing yet.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn unlisted_folder(&self, url: &str, files: &[ListedFile]) -> Result<Arc<dyn FolderReader>> {
        let Location { store, path, url, refused_is_missing, .. } = self.resolve(url)?;
        let objects = self.pinned(&url, files)?;
        let folder = Folder { url, store, path, options: Arc::clone(&self.options) };
        Ok(Arc::new(UnlistedFolder::new(folder, objects, refused_is_missing)))
    }

    /// Readers of `files` below `url`, by their paths.
    fn pinned(&self, url: &str, files: &[ListedFile]) -> Result<HashMap<String, PinnedObject>> {
        let mut objects = HashMap::with_capacity(files.len());
        for file in files {
            let location = self.resolve(&join_url(url, &file.path)?)?;
            let (url, etag) = (location.url.clone(), file.etag.clone());
            let identity = ObjectIdentity { url, etag, version: None, size: file.size };
            objects.insert(file.path.clone(), self.object(location, identity));
        }
        Ok(objects)
    }

    /// The object at `location` in the version `identity`.
    pub(super) fn object(&self, location: Location, identity: ObjectIdentity) -> PinnedObject {
        PinnedObject {
            identity: Arc::new(identity),
            store: location.store,
            path: location.path,
            cache: Arc::clone(&self.cache),
            disk: self.disk_for(location.kind),
            options: Arc::clone(&self.options),
        }
    }

    /// A reader of the entries of one version of a zip archive: of the folder in it that holds one of
    /// `markers`. Its directory is kept in `indexes`.
    ///
    /// # Errors
    /// As [`Self::resolve`]; `DataLoss`, `Unimplemented` or `ResourceExhausted` for an archive that is
    /// damaged, of a kind that is not supported or above a limit; `NotFound` when no folder in it holds a
    /// marker, `InvalidArgument` when several do; and the errors of reading.
    pub async fn zip_folder(
        &self,
        identity: ObjectIdentity,
        indexes: &dyn IndexStore,
        markers: &[&str],
    ) -> Result<Arc<dyn FolderReader>> {
        let reader = self.open(identity).await?;
        Ok(Arc::new(ZipFolder::open(reader, indexes, markers).await?))
    }

    fn connect(&self, parsed: &StorageUrl, url: &str, given: &BTreeMap<String, String>) -> Result<MeteredStore> {
        let RootOptions { options, requests_in_flight, store } = RootOptions::of(given, url, &self.options)?;
        let Connected { store, pages, guard } = connect(parsed, url, &store, &options)?;
        Ok(MeteredStore::new(Requests {
            store,
            pages,
            guard,
            meter: Arc::clone(&self.meter),
            pace: Arc::new(PaceMeter::default()),
            permits: Arc::clone(&self.permits),
            own_permits: requests_in_flight.map(|most| Arc::new(Semaphore::new(most))),
            options: Arc::new(options),
        }))
    }
}

/// Objects below `start`, in byte order, named by their path below `root`.
pub(crate) async fn list_below(
    store: &dyn ObjectStore,
    start: &Path,
    root: &Path,
    url: &str,
    limit: usize,
) -> Result<Vec<ListedFile>> {
    let mut objects = store.list(Some(start));
    let mut files = Vec::new();
    while let Some(object) = objects.try_next().await.map_err(|error| error_of(error, url))? {
        // Some tools mark folders by empty objects; the path of such a marker is that of the folder.
        let below = object.location.as_ref().strip_prefix(root.as_ref()).map(|path| path.trim_start_matches('/'));
        let Some(path) = below.filter(|path| !path.is_empty()) else { continue };
        if files.len() >= limit {
            return Err(Error::resource_exhausted(format!(
                "folder {url} holds more objects than the limit of {limit} (listed_objects)"
            )));
        }
        let etag = object.e_tag.unwrap_or_default();
        files.push(ListedFile { path: path.to_owned(), size: object.size, etag });
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}
