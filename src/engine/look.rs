//! What lies at a URL now: a file, a zarr store or a folder of tables, how large it is, which version it is.
//! Opens nothing, but for zip archives, whose directory tells what they are.

use std::pin::pin;
use std::sync::PoisonError;

use futures::future::{Either, join_all, select};

use super::Engine;
use super::folder_version::digest;
use super::unlisted::cannot_list;
use crate::error::{Error, Kind, Result};
use crate::format::hdf5::{HEAD_BYTES, TAIL_BYTES};
use crate::format::zarr::{ROOT_DOCUMENTS, WHOLE_DOCUMENTS};
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};
use crate::model::request::Source;
use crate::storage::reader::ObjectIdentity;
use crate::storage::{ListedFile, Location, join_url};

/// How much of a document is read before it is known which version of a zarr store is there.
const FIRST_DOCUMENT_BYTES: u64 = 1 << 20;
const ZARR_SUFFIX: &str = ".zarr";

/// zarr stores of more objects are not pinned object by object: the listing would be too long to keep
/// and load with the artifact. Their version is still the digest of the listing.
const MAX_PINNED_CHUNKS: usize = 20_000;

impl Engine {
    /// What lies at `url` now, as an artifact that no registry knows (its uid is empty).
    ///
    /// # Errors
    /// As [`Engine::register`].
    pub(super) async fn look(&self, url: &str) -> Result<Artifact> {
        self.look_at(url).await.map(|(artifact, _)| artifact)
    }

    /// As [`Engine::look`], with the bytes of all that is stored there, also of what is not read; none for a
    /// folder that cannot be listed.
    ///
    /// # Errors
    /// As [`Engine::register`].
    pub(super) async fn look_at(&self, url: &str) -> Result<(Artifact, Option<u64>)> {
        self.learn_storage_of(url).await?;
        let location = self.storages.resolve(url)?;
        let mut stored = None;
        let (object, listed) = self.object_or_listing(&location).await;
        let mut found = match object {
            Ok(identity) => {
                stored = Some(identity.size);
                self.file(identity).await?
            }
            Err(error) if may_be_folder(&error) => {
                let listed = match listed {
                    Some(listed) => listed,
                    None => self.storages.list_files(&location.url).await,
                };
                match listed {
                    Ok(files) if files.is_empty() => return Err(error),
                    Ok(files) => {
                        stored = Some(bytes_of(&files));
                        folder(&location.url, files)?
                    }
                    Err(refused) if cannot_list(&refused) => {
                        // A store that offers no listing still tells what is wrong with the object.
                        let told = if refused.kind() == Kind::Unimplemented { error } else { refused };
                        self.unlisted(&location.url, told).await?
                    }
                    Err(other) => return Err(other),
                }
            }
            Err(error) => return Err(error),
        };
        found.key = default_key(&location);
        let is_shards = found.kind == ArtifactKind::Parquet && found.n_files.is_some();
        found.suffix = if is_shards { String::new() } else { suffix(&location.url) };
        found.url = location.url;
        found.is_latest = true;
        Ok((found, stored))
    }

    /// Which version of the object at `location` is there. A folder that is new here, by its name, is listed at the
    /// same time; what tells all of a zarr store, which is opened next, is read meanwhile.
    async fn object_or_listing(
        &self,
        location: &Location,
    ) -> (Result<ObjectIdentity>, Option<Result<Vec<ListedFile>>>) {
        let url = &location.url;
        if !location.kind.is_cloud() || !is_named_as_folder(url) || !self.is_new(url).await {
            return (self.object_at(url).await, None);
        }
        let folder = pin!(async { tokio::join!(self.storages.list_files(url), self.look_at_documents(url)).0 });
        match select(pin!(self.storages.head(url)), folder).await {
            Either::Left((Err(error), folder)) if may_be_folder(&error) => (Err(error), Some(folder.await)),
            Either::Left((object, _)) => (object, None),
            Either::Right((listed, object)) => (object.await, Some(listed)),
        }
    }

    /// Reads what may tell all of a zarr store that is new here. Whatever fails is met again by what needs it.
    async fn look_at_documents(&self, url: &str) {
        let look = |name: &'static str| async move {
            let document = join_url(url, name)?;
            self.storages.first_look(&document, FIRST_DOCUMENT_BYTES, 0).await
        };
        if url.ends_with(ZARR_SUFFIX) {
            join_all(WHOLE_DOCUMENTS.map(look)).await;
        }
    }

    /// Which version of the object at `url` is there. A file that is new here is opened next: what that reads first
    /// comes in the same request.
    async fn object_at(&self, url: &str) -> Result<ObjectIdentity> {
        let opens_at_start = matches!(ArtifactKind::of_file(url), ArtifactKind::Hdf5 | ArtifactKind::H5ad);
        if opens_at_start && self.is_new(url).await {
            return self.storages.first_look(url, HEAD_BYTES, TAIL_BYTES).await;
        }
        self.storages.head(url).await
    }

    /// Whether `url` was never looked at by this server and no registry knows it.
    async fn is_new(&self, url: &str) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner).put(url.to_owned(), ());
        looked.is_none() && self.registry.artifact(&Source::Url(url.to_owned())).await.is_err()
    }

    /// A single object as an artifact. A zip archive is a zarr store when it is called so or holds one.
    async fn file(&self, identity: ObjectIdentity) -> Result<Artifact> {
        let ObjectIdentity { url, etag, size, .. } = identity;
        let mut kind = ArtifactKind::of_file(&url);
        let mut files = Vec::new();
        if is_zip(&url) {
            let is_zarr = is_zarr_zip(&url) || self.holds_zarr(&url, &etag, size).await?;
            kind = if is_zarr { ArtifactKind::Zarr } else { ArtifactKind::Other };
            files.extend(is_zarr.then(|| PinnedFile { path: String::new(), size, etag: etag.clone() }));
        }
        Ok(Artifact { size, etag, kind, files, ..Artifact::default() })
    }

    /// Whether there is a zarr store in the zip archive. A damaged archive holds none.
    async fn holds_zarr(&self, url: &str, etag: &str, size: u64) -> Result<bool> {
        match self.zip_folder(url, etag, size).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::FailedPrecondition) => Err(error),
            Err(error) => {
                tracing::info!(url, ?error, "a zip archive without a zarr store");
                Ok(false)
            }
        }
    }
}

/// The key below the storage root.
fn default_key(location: &Location) -> String {
    let below = location.url.strip_prefix(location.root.as_str()).unwrap_or(&location.url);
    let below = below.trim_matches('/');
    let name = location.url.trim_end_matches('/').rsplit('/').next().unwrap_or(&location.url);
    if below.is_empty() { name.to_owned() } else { below.to_owned() }
}

/// Whether an object that is not there may be a folder: without the right to list, a store refuses what does not exist.
fn may_be_folder(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied)
}

/// Whether the last part of `url` is that of a zarr store, or has no suffix.
fn is_named_as_folder(url: &str) -> bool {
    let suffix = suffix(url);
    suffix.is_empty() || suffix.ends_with(ZARR_SUFFIX)
}

fn is_zip(url: &str) -> bool {
    url.ends_with(".zip")
}

fn is_zarr_zip(url: &str) -> bool {
    url.ends_with(".zarr.zip")
}

/// Suffixes of more than one part; the longer first.
const COMPOSITE_SUFFIXES: [&str; 3] = [".anndata.zarr.zip", ".anndata.zarr", ".zarr.zip"];

/// Suffix of the last part of `url`, with the dot; `.anndata.zarr` and `.zarr.zip` are one.
fn suffix(url: &str) -> String {
    let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or(url);
    if let Some(composite) = COMPOSITE_SUFFIXES.into_iter().find(|composite| name.ends_with(composite)) {
        return composite.to_owned();
    }
    name.rfind('.').filter(|at| *at > 0).map_or(String::new(), |at| name[at..].to_owned())
}

/// A folder as an artifact: a zarr store, or parquet shards in byte order of their paths.
pub(super) fn folder(url: &str, files: Vec<ListedFile>) -> Result<Artifact> {
    let size = bytes_of(&files);
    let etag = digest(&files);
    let is_zarr = files.iter().any(|file| ROOT_DOCUMENTS.contains(&file.path.as_str()));
    let pinned = |file: ListedFile| PinnedFile { path: file.path, size: file.size, etag: file.etag };
    if is_zarr {
        let n_files = Some(files.len() as u64);
        let files = if files.len() > MAX_PINNED_CHUNKS { Vec::new() } else { files };
        let files = files.into_iter().map(pinned).collect();
        return Ok(Artifact { size, etag, n_files, files, kind: ArtifactKind::Zarr, ..Artifact::default() });
    }
    let hidden = |file: &ListedFile| {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        name.starts_with(['.', '_'])
    };
    let shards: Vec<_> = files.into_iter().filter(|file| !hidden(file)).collect();
    let other = shards.iter().find(|file| ArtifactKind::of_file(&file.path) != ArtifactKind::Parquet);
    if let Some(other) = other {
        return Err(Error::invalid(format!(
            "folder '{url}' is neither a zarr store nor a folder of parquet files: it has '{}'",
            other.path
        )));
    }
    let size = bytes_of(&shards);
    Ok(Artifact {
        size,
        etag,
        n_files: Some(shards.len() as u64),
        kind: ArtifactKind::Parquet,
        files: shards.into_iter().map(pinned).collect(),
        ..Artifact::default()
    })
}

fn bytes_of(files: &[ListedFile]) -> u64 {
    files.iter().fold(0, |total, file| total.saturating_add(file.size))
}
