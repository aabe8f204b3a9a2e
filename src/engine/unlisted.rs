//! Registration where a folder cannot be listed: what lies there is asked for by name.

use futures::future::try_join_all;

use super::Engine;
use super::folder_version::digest;
use crate::error::{Error, Kind, Result};
use crate::format::zarr::{ROOT_DOCUMENTS, WHOLE_DOCUMENTS};
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};
use crate::storage::{ListedFile, join_url};

/// Whether a listing failed because the store does not give any, and not because it fails.
pub(super) fn cannot_list(error: &Error) -> bool {
    matches!(error.kind(), Kind::PermissionDenied | Kind::Unimplemented | Kind::NotFound)
}

impl Engine {
    /// A zarr store whose folder cannot be listed, known by the versions of the documents at its root.
    ///
    /// # Errors
    /// Of the kind of `refused`, the error of the listing or of the object itself, when there are none;
    /// `Unavailable` when the store fails.
    pub(super) async fn unlisted(&self, url: &str, refused: Error) -> Result<Artifact> {
        let found: Vec<ListedFile> =
            try_join_all(ROOT_DOCUMENTS.map(|name| self.document(url, name))).await?.into_iter().flatten().collect();
        let files = roots(found);
        if files.is_empty() {
            return Err(Error::new(
                refused.kind(),
                format!(
                    "{refused}; '{url}' is no object that can be read, cannot be listed, and has no zarr metadata at its root ({}): \
                     the files of another folder cannot be known, register each by its own URL and make a collection",
                    ROOT_DOCUMENTS.join(", ")
                ),
            ));
        }
        let pinned =
            |file: &ListedFile| PinnedFile { path: file.path.clone(), size: file.size, etag: file.etag.clone() };
        Ok(Artifact {
            size: files.iter().fold(0, |total: u64, file| total.saturating_add(file.size)),
            etag: digest(&files),
            files: files.iter().map(pinned).collect(),
            kind: ArtifactKind::Zarr,
            ..Artifact::default()
        })
    }

    /// The version of a document, if it is there. A store that is not listed may refuse what does not exist.
    async fn document(&self, url: &str, name: &str) -> Result<Option<ListedFile>> {
        match self.storages.head(&join_url(url, name)?).await {
            Ok(identity) => Ok(Some(ListedFile { path: name.to_owned(), size: identity.size, etag: identity.etag })),
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Of the documents at a root those that it is read by: one that tells the whole store, else all of version 2.
fn roots(found: Vec<ListedFile>) -> Vec<ListedFile> {
    for whole in WHOLE_DOCUMENTS {
        if let Some(document) = found.iter().find(|document| document.path == whole) {
            return vec![document.clone()];
        }
    }
    let is_node = |document: &ListedFile| matches!(document.path.as_str(), ".zgroup" | ".zarray");
    if found.iter().any(is_node) { found } else { Vec::new() }
}
