//! Opens artifacts: an HDF5 file or zarr store with its tree, a table with its files. What was opened
//! stays open for the next request, pinned to the version that was registered.

use std::sync::{Arc, PoisonError};

use super::Engine;
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::hdf5::{Hdf5File, Outside};
use crate::format::zarr::ROOT_DOCUMENTS;
use crate::format::zarr::ZarrStore;
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};
use crate::model::index_store::IndexStore;
use crate::storage::reader::{FolderReader, ObjectIdentity};
use crate::storage::{ListedFile, PinnedStore, StoredSiblings, join_url};
use crate::table::{self, Table, TableFile, TableOptions, TableSource};

/// A scan of parquet reads ahead so much of the memory for slices: one in so many bytes.
const AHEAD_SHARE: usize = 16;

/// An artifact that is open.
#[derive(Clone, Debug)]
pub(super) enum Opened {
    /// An HDF5 file or zarr store.
    Hierarchy(Hierarchy),
    /// Parquet files.
    Table(Arc<Table>),
}

impl Engine {
    /// The open artifact, from the cache or anew; then what the node `asked` needs may be read at the same time.
    pub(super) async fn opened(&self, artifact: &Artifact, asked: Option<&str>) -> Result<Opened> {
        let name = format!("{}\n{}\n{}", artifact.uid, artifact.url, artifact.etag);
        if let Some(opened) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&name)
            && !matches!(opened, Opened::Hierarchy(hierarchy) if hierarchy.is_outdated())
        {
            return Ok(opened.clone());
        }
        self.learn_storage_of(&artifact.url).await?;
        let opened = self.open_artifact(artifact, asked).await;
        let opened = opened.with_context(|| format!("artifact '{}'", artifact.key))?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).put(name, opened.clone());
        Ok(opened)
    }

    /// The open hierarchy of an artifact that must be one, with `node` in its tree if there is such a node.
    pub(super) async fn hierarchy(&self, artifact: &Artifact, node: &str) -> Result<Hierarchy> {
        match self.opened(artifact, Some(node)).await? {
            Opened::Hierarchy(hierarchy) => {
                hierarchy.with_node(node).await.with_context(|| format!("artifact '{}'", artifact.key))
            }
            Opened::Table(_) => Err(Error::invalid(format!("artifact '{}' is a table", artifact.key))),
        }
    }

    /// The parquet files of several artifacts as one table, in order.
    pub(super) async fn table_of(&self, artifacts: &[Artifact]) -> Result<Arc<Table>> {
        let mut files = Vec::new();
        for artifact in artifacts {
            if artifact.kind != ArtifactKind::Parquet {
                return Err(Error::unimplemented(format!(
                    "a collection with '{}', which is no parquet table, cannot be read as one",
                    artifact.key
                )));
            }
            self.learn_storage_of(&artifact.url).await?;
            files.extend(self.table_files(artifact)?);
        }
        let memory_bytes = usize::try_from(self.context.memory_bytes()).unwrap_or(usize::MAX);
        let counts_rows = artifacts.iter().any(|artifact| artifact.n_observations.is_none());
        let ahead_bytes = memory_bytes / AHEAD_SHARE;
        let options = TableOptions { memory_bytes, ahead_bytes, counts_rows, ..TableOptions::default() };
        Ok(Arc::new(table::open(TableSource { files }, options).await?))
    }

    pub(super) async fn open_artifact(&self, artifact: &Artifact, asked: Option<&str>) -> Result<Opened> {
        match artifact.kind {
            ArtifactKind::Hdf5 | ArtifactKind::H5ad => {
                let identity = ObjectIdentity {
                    url: artifact.url.clone(),
                    etag: artifact.etag.clone(),
                    version: None,
                    size: artifact.size,
                };
                let reader = self.storages.open(identity).await?;
                let indexes: Arc<dyn IndexStore> = Arc::clone(&self.registry) as _;
                let siblings = StoredSiblings::new(Arc::clone(&self.storages), artifact.url.clone());
                let outside = Outside { siblings: Some(Arc::new(siblings)), library: self.library.clone() };
                let file = Hdf5File::open_with(reader, indexes, outside, asked).await?;
                Ok(Opened::Hierarchy(Hierarchy::Hdf5(Arc::new(file))))
            }
            ArtifactKind::Zarr => {
                let folder = self.zarr_folder(artifact).await?;
                let indexes: Arc<dyn IndexStore> = Arc::clone(&self.registry) as _;
                let identity = format!("{}\n{}", artifact.url, artifact.etag);
                let store = ZarrStore::open(folder, &identity, indexes).await?;
                Ok(Opened::Hierarchy(Hierarchy::Zarr(Arc::new(store))))
            }
            ArtifactKind::Parquet => Ok(Opened::Table(self.table_of(std::slice::from_ref(artifact)).await?)),
            ArtifactKind::Other => Err(Error::unimplemented(format!(
                "files of suffix '{}' are not read; .h5ad, .h5, .hdf5, .zarr, .zarr.zip and .parquet are",
                artifact.suffix
            ))),
        }
    }

    /// The objects of a zarr store: a zip archive, pinned objects of a folder, or a folder.
    async fn zarr_folder(&self, artifact: &Artifact) -> Result<Arc<dyn FolderReader>> {
        match artifact.files.as_slice() {
            [file] if file.path.is_empty() => self.zip_folder(&artifact.url, &file.etag, file.size).await,
            // How many files there are is not known where they cannot be listed.
            files if artifact.n_files.is_none() => self.storages.unlisted_folder(&artifact.url, &listed(files)).await,
            [] => self.storages.folder(&artifact.url).await,
            files => self.storages.pinned_folder(&artifact.url, &listed(files)).await,
        }
    }

    /// The zarr store in a zip archive.
    pub(super) async fn zip_folder(&self, url: &str, etag: &str, size: u64) -> Result<Arc<dyn FolderReader>> {
        let identity = ObjectIdentity { url: url.to_owned(), etag: etag.to_owned(), version: None, size };
        self.storages.zip_folder(identity, self.registry.as_ref(), &ROOT_DOCUMENTS).await
    }

    /// The artifact's parquet files, each pinned to its registered ETag.
    fn table_files(&self, artifact: &Artifact) -> Result<Vec<TableFile>> {
        let single = [PinnedFile { path: String::new(), size: artifact.size, etag: artifact.etag.clone() }];
        let files = if artifact.files.is_empty() { &single[..] } else { &artifact.files[..] };
        files.iter().map(|file| self.table_file(artifact, file)).collect()
    }

    fn table_file(&self, artifact: &Artifact, file: &PinnedFile) -> Result<TableFile> {
        let url = match file.path.as_str() {
            "" => artifact.url.clone(),
            path => join_url(&artifact.url, path)?,
        };
        let location = self.storages.resolve(&url)?;
        let identity = ObjectIdentity { url: url.clone(), etag: file.etag.clone(), version: None, size: file.size };
        let pins = [(location.path.clone(), identity)].into();
        let store = PinnedStore::new(Arc::clone(&location.store), pins, Arc::clone(self.storages.options()));
        Ok(TableFile {
            url,
            store: Arc::new(store),
            path: location.path,
            size: file.size,
            etag: file.etag.clone(),
            rows: None,
            hive: hive_values(&file.path),
        })
    }
}

fn listed(files: &[PinnedFile]) -> Vec<ListedFile> {
    let file = |file: &PinnedFile| ListedFile { path: file.path.clone(), size: file.size, etag: file.etag.clone() };
    files.iter().map(file).collect()
}

/// The `name=value` folders of a path below the artifact's URL, as written.
fn hive_values(path: &str) -> Vec<(String, String)> {
    let (folders, _) = path.rsplit_once('/').unwrap_or(("", path));
    let pairs = folders.split('/').filter_map(|folder| folder.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
