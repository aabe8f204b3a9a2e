//! Registration: adds what lies at a URL to the registry, with its number of observations.

use super::open::Opened;
use super::{Engine, Registration};
use crate::error::Result;
use crate::format::anndata::axes::Axis;
use crate::format::anndata::view::View;
use crate::model::artifact::{Artifact, ArtifactKind};
use crate::model::request::Source;
use crate::registry::native::{NewArtifact, Registered};

impl Engine {
    /// Registers a URL; the same key with other content makes a new version, the same content changes
    /// nothing and is not opened again. New content is opened to learn its number of observations; what
    /// cannot be opened is registered all the same, and its error comes when it is read.
    ///
    /// # Errors
    /// `PermissionDenied` outside the storages, `NotFound` for a missing object, `InvalidArgument` for
    /// a folder that is neither a zarr store nor one of parquet files.
    pub async fn register(&self, registration: &Registration) -> Result<Registered> {
        let mut found = self.look(&registration.url).await?;
        if let Some(key) = &registration.key {
            found.key.clone_from(key);
        }
        let key = Source::Key { key: found.key.clone(), version: None };
        let same = |known: &Artifact| known.url == found.url && known.size == found.size && known.etag == found.etag;
        if !self.registry.native().artifact(&key).await.is_ok_and(|known| same(&known)) {
            found.n_observations = self.observations(&found).await;
        }
        let new = NewArtifact {
            key: found.key,
            url: found.url,
            suffix: found.suffix,
            kind: found.kind,
            size: found.size,
            n_files: found.n_files,
            n_observations: found.n_observations,
            etag: found.etag,
            files: found.files,
            description: registration.description.clone(),
            labels: registration.labels.clone(),
            created_by: self.user.clone(),
        };
        self.registry.native().register(new).await
    }

    /// Rows of the table or observations of the AnnData file; none when it has none or does not open.
    pub(super) async fn observations(&self, artifact: &Artifact) -> Option<u64> {
        if artifact.kind == ArtifactKind::Other {
            return None;
        }
        let counted = match self.open_artifact(artifact, None).await {
            Ok(Opened::Hierarchy(open)) => open.with_node("").await.map(|open| {
                let view = View::at(open.tree(), "");
                let frame = view.and_then(|view| view.frame(open.tree(), Axis::Observations).ok());
                frame.map(|frame| frame.rows)
            }),
            Ok(Opened::Table(table)) => table.count_rows().await.map(Some),
            Err(error) => Err(error),
        };
        counted.unwrap_or_else(|error| {
            tracing::warn!(url = artifact.url, ?error, "registered content that does not open");
            None
        })
    }
}
