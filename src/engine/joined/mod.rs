//! Collections of AnnData, in HDF5 or zarr, read as one AnnData: what `anndata.concat` of the members
//! along the observations gives, with the uid of each row's artifact as a column.
//!
//! ```text
//! Members (open artifacts) ──axis──▶ names of variables, joined   ──matrix──▶ aligned, concatenated
//!                          ──columns▶ columns of obs, united       ──frame───▶ converted, concatenated
//! ```
//! Sits between the resolution of requests and the answers of [`crate::read::united`]. Members that
//! give no rows are not read beyond their trees, the names of their variables and the categories of
//! asked columns.

use std::sync::{Arc, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::slice::{Answer, Slice};
use super::{Engine, metadata};
use crate::error::{Error, Result, ResultExt};
use crate::format::anndata::axes::Axis;
use crate::model::artifact::{Artifact, ArtifactKind, Collection};
use crate::model::request::{Join, SliceRequest};

mod axis;
mod columns;
mod frame;
mod matrix;
mod member;
mod resolve;
mod table;

use member::Member;
pub(super) use member::Members;

/// Members that are opened at the same time.
const OPENING: usize = 8;

/// Most members of a collection that is read as one AnnData: all of them are open.
const MAX_MEMBERS: usize = 2000;

/// Name of the column that tells the artifact of a row.
const UID_COLUMN: &str = "artifact_uid";

impl Engine {
    /// The slice of a collection: of one table, or of one AnnData.
    pub(super) async fn prepare_collection(&self, request: &SliceRequest, collection: Collection) -> Result<Slice> {
        if !is_hierarchical(&collection)? {
            refuse_join(request, &collection.key)?;
            return self.prepare_table(request, collection.artifacts, Some(collection.key)).await;
        }
        let named = || format!("collection '{}'", collection.key);
        let members = self.members(&collection).await.with_context(named)?;
        let resolved = resolve::resolve(&self.context, &members, request).await.with_context(named)?;
        let known = |shape: &[u64]| shape.iter().copied().map(Some).collect();
        Ok(Slice {
            schema: metadata::of_collection(&resolved, &collection.key, request),
            node: resolved.node,
            shape_before: known(&resolved.shape_before),
            shape_after: known(&resolved.shape_after),
            sources: collection.artifacts,
            collection: Some(collection.key),
            context: self.context.clone(),
            answer: Answer::Windowed(resolved.answer),
            columns: None,
            contents: None,
        })
    }

    /// The summary of a collection of AnnData joined by the default; none for other collections.
    pub(super) async fn describe_joined(&self, collection: &Collection) -> Result<Option<Value>> {
        if !is_hierarchical(collection)? {
            return Ok(None);
        }
        let named = || format!("collection '{}'", collection.key);
        let members = self.members(collection).await.with_context(named)?;
        let variables = members.axis(&self.context, Axis::Variables, Join::default()).await.with_context(named)?;
        let columns = columns::names(&members, Join::default())?;
        Ok(Some(json!({
            "kind": "anndata",
            "shape": [members.rows(), variables.len()],
            "attributes": members.attributes(columns),
            "X": members.summary_of_x(),
            "join": "inner",
        })))
    }

    /// The open members, from the cache or anew.
    async fn members(&self, collection: &Collection) -> Result<Arc<Members>> {
        if collection.artifacts.len() > MAX_MEMBERS {
            let found = collection.artifacts.len();
            return Err(Error::resource_exhausted(format!("{found} AnnData, at most {MAX_MEMBERS} are read as one")));
        }
        let name: String =
            collection.artifacts.iter().map(|one| format!("{}\n{}\n{}\n", one.uid, one.url, one.etag)).collect();
        if let Some(members) = self.joined.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(members));
        }
        let opening: Vec<_> = collection.artifacts.iter().map(|artifact| self.open_member(artifact)).collect();
        let opened = stream::iter(opening).buffered(OPENING).try_collect::<Vec<_>>();
        let members = Arc::new(Members::new(opened.await?));
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).put(name, Arc::clone(&members));
        Ok(members)
    }

    async fn open_member(&self, artifact: &Artifact) -> Result<Member> {
        let hierarchy = self.hierarchy(artifact, "").await?;
        // What a member lacks is filled: that must not be what is only not known.
        hierarchy.tree().check_listed("").with_context(|| format!("artifact '{}'", artifact.key))?;
        Member::new(artifact.clone(), hierarchy).with_context(|| format!("artifact '{}'", artifact.key))
    }
}

/// Refuses `join` where there is nothing to join.
pub(super) fn refuse_join(request: &SliceRequest, name: &str) -> Result<()> {
    match request.join {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!("join applies to collections of AnnData, '{name}' is none"))),
    }
}

/// Whether the members are HDF5 files and zarr stores, and not tables.
fn is_hierarchical(collection: &Collection) -> Result<bool> {
    let hierarchical =
        |artifact: &&Artifact| matches!(artifact.kind, ArtifactKind::H5ad | ArtifactKind::Hdf5 | ArtifactKind::Zarr);
    let Some(one) = collection.artifacts.iter().find(hierarchical) else { return Ok(false) };
    match collection.artifacts.iter().find(|artifact| !hierarchical(artifact)) {
        None => Ok(true),
        Some(other) => Err(Error::unimplemented(format!(
            "the collection '{}' cannot be read as one: '{}' is AnnData or another hierarchy, '{}' is not",
            collection.key, one.key, other.key
        ))),
    }
}
