//! From a request to a [`Slice`]: which artifacts, pinned how, resolved by which format.

use std::sync::Arc;

use super::slice::{Answer, Slice};
use super::{Engine, Found, Look, hierarchy, joined, metadata};
use crate::error::{Error, Result, ResultExt};
use crate::model::artifact::{Artifact, ArtifactKind, Pin};
use crate::model::request::{SliceRequest, Source};

impl Engine {
    /// Resolves a request: finds the artifact, opens it, evaluates the selection. Reads metadata and
    /// the columns that the selection names, no data. `pins` are the sources of a ticket, empty for a
    /// fresh request.
    ///
    /// # Errors
    /// Every error of slice-request semantics; `FailedPrecondition` when a pinned source changed.
    pub async fn prepare(self: &Arc<Self>, request: &SliceRequest, pins: &[Pin]) -> Result<Slice> {
        if let Source::Registry(table) = request.source {
            return self.prepare_catalogue(request, table);
        }
        let found = self.pinned(request, pins).await?;
        let sources = found.artifacts().to_vec();
        let prepared = match found {
            Found::Artifact(artifact) => {
                joined::refuse_join(request, &artifact.key)?;
                match artifact.kind {
                    ArtifactKind::Parquet => self.prepare_table(request, vec![artifact], None).await,
                    _ => self.prepare_hierarchy(request, artifact).await,
                }
            }
            Found::Collection(collection) => self.prepare_collection(request, collection).await,
        };
        match prepared {
            Ok(slice) => Ok(Slice { contents: Some(Arc::clone(&self.contents)), ..slice }),
            Err(error) => {
                self.contents.forget_when_changed(&sources, &error);
                Err(error)
            }
        }
    }

    /// What the request names; a ticket names the versions that it was made for.
    async fn pinned(&self, request: &SliceRequest, pins: &[Pin]) -> Result<Found> {
        if matches!(&request.source, Source::Key { key, .. } if key.is_empty()) {
            return Err(Error::invalid("the request names no source: expected key, uid, collection or url"));
        }
        let found = match (pins, &request.source) {
            ([pin], source) if !matches!(source, Source::Collection(_)) && !pin.uid.is_empty() => {
                // A newer version of the key may exist: the ticket's own version is meant.
                match self.registry.artifact(&Source::Uid(pin.uid.clone())).await {
                    Ok(artifact) => Found::Artifact(artifact),
                    Err(_) => self.named(source).await?,
                }
            }
            (_, source) => self.named(source).await?,
        };
        let look = if pins.is_empty() { Look::IfOld } else { Look::IfUnknown };
        let mut found = self.contents_of(found, look).await?;
        if pins.is_empty() || found.is(pins) {
            return Ok(found);
        }
        // The ticket may be of a server that has looked later.
        found = self.contents_of(found, Look::Again).await?;
        if found.is(pins) {
            return Ok(found);
        }
        let now = found.artifacts();
        let names: Vec<_> = now.iter().map(|artifact| artifact.key.as_str()).collect();
        Err(Error::failed_precondition(format!(
            "the registered sources changed since the ticket was issued, now [{}]: ask for a new FlightInfo",
            names.join(", ")
        )))
    }

    async fn prepare_hierarchy(&self, request: &SliceRequest, artifact: Artifact) -> Result<Slice> {
        let open = self.hierarchy(&artifact, &request.node).await?;
        let context = self.context_at(&artifact.url);
        let resolved = hierarchy::resolve_request(&context, &open, request, self.column_indexes.as_ref()).await;
        let resolved = resolved.with_context(|| format!("artifact '{}'", artifact.key))?;
        let known = |shape: &[u64]| shape.iter().copied().map(Some).collect();
        Ok(Slice {
            schema: metadata::of_resolved(&resolved, &artifact, request),
            node: resolved.node,
            shape_before: known(&resolved.shape_before),
            shape_after: known(&resolved.shape_after),
            sources: vec![artifact],
            collection: None,
            context,
            answer: Answer::Windowed(resolved.answer),
            columns: resolved.columns.map(Arc::new),
            contents: None,
        })
    }
}

impl Found {
    /// The artifacts, in order.
    fn artifacts(&self) -> &[Artifact] {
        match self {
            Self::Artifact(artifact) => std::slice::from_ref(artifact),
            Self::Collection(collection) => &collection.artifacts,
        }
    }

    /// Whether it is what a ticket was made for.
    fn is(&self, pins: &[Pin]) -> bool {
        let now = self.artifacts();
        now.len() == pins.len()
            && now.iter().zip(pins).all(|(artifact, pin)| artifact.uid == pin.uid && artifact.etag == pin.etag)
    }
}
