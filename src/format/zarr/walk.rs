//! Finding the documents of a store that is neither consolidated nor listed: level by level.
//!
//! Of each group the folders in it are listed, then the documents of all of them are read together.
//! Folders of arrays are not listed, so that no chunk ever is. A level takes two rounds of requests.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::documents::{Documents, NodeDocuments, READS_IN_FLIGHT, check_count, fetch, no_metadata, place};
use crate::error::{Error, Result};
use crate::model::tree::join;
use crate::storage::reader::FolderReader;

/// Folders without metadata that are looked into, at most: some writers leave out the documents of groups.
pub const MAX_BARE_FOLDERS: usize = 1000;

const V3: &[&str] = &["zarr.json"];
const V2: &[&str] = &[".zarray", ".zgroup", ".zattrs"];
const BOTH: &[&str] = &["zarr.json", ".zarray", ".zgroup", ".zattrs"];

/// All documents of the store in `folder`, whose root has the version 3 document `root` or none.
///
/// # Errors
/// `NotFound` when there is none, `DataLoss` for one that is corrupt, `ResourceExhausted` for more nodes,
/// bytes or folders without metadata than a limit, and the errors of reading and listing.
pub(super) async fn documents(folder: &dyn FolderReader, root: Option<Value>) -> Result<Documents> {
    let mut walk = Walk { folder, names: BOTH, documents: Documents::new(), bytes: 0, folders: 0, bare: 0 };
    match root {
        Some(root) => {
            walk.names = V3;
            place(&mut walk.documents, "zarr.json", root)?;
        }
        None => {
            walk.read(vec![String::new()], V2).await?;
            if walk.documents.get("").is_some_and(|root| root.array.is_some() || root.group.is_some()) {
                walk.names = V2;
            }
        }
    }
    let mut level = if is_array(walk.documents.get("")) { Vec::new() } else { vec![String::new()] };
    while !level.is_empty() {
        level = walk.below(level).await?;
    }
    let Walk { mut documents, .. } = walk;
    if documents.values().any(|node| node.v3.is_some()) {
        documents.retain(|_, node| node.v3.is_some());
    }
    if documents.is_empty() { Err(no_metadata(folder)) } else { Ok(documents) }
}

struct Walk<'a> {
    folder: &'a dyn FolderReader,
    /// Names of the documents that a node can have.
    names: &'static [&'static str],
    documents: Documents,
    /// Of the documents so far.
    bytes: usize,
    /// Folders found so far.
    folders: usize,
    /// Folders without metadata so far.
    bare: usize,
}

impl Walk<'_> {
    /// The groups directly below `groups`; their documents are read.
    async fn below(&mut self, groups: Vec<String>) -> Result<Vec<String>> {
        let folder = self.folder;
        let list = |group: String| async move {
            let names = folder.folders(&group).await?;
            Ok::<_, Error>(names.into_iter().map(move |name| join(&group, &name)).collect::<Vec<_>>())
        };
        let mut lists = stream::iter(groups.into_iter().map(list)).buffer_unordered(READS_IN_FLIGHT);
        let mut below = Vec::new();
        while let Some(folders) = lists.try_next().await? {
            below.extend(folders);
            check_count(self.folders.saturating_add(below.len()))?;
        }
        self.folders = self.folders.saturating_add(below.len());
        self.read(below.clone(), self.names).await?;
        below.retain(|path| !is_array(self.documents.get(path)));
        self.bare = self.bare.saturating_add(below.iter().filter(|path| !self.documents.contains_key(*path)).count());
        if self.bare > MAX_BARE_FOLDERS {
            return Err(Error::resource_exhausted(format!(
                "'{}' has more folders without zarr metadata than the limit (MAX_BARE_FOLDERS) of {MAX_BARE_FOLDERS}",
                folder.url()
            )));
        }
        Ok(below)
    }

    /// Reads the documents called `names` of the nodes at `paths`.
    async fn read(&mut self, paths: Vec<String>, names: &[&str]) -> Result<()> {
        let objects = paths.iter().flat_map(|path| names.iter().map(move |name| join(path, name))).collect();
        for (object, document) in fetch(self.folder, objects, &mut self.bytes).await? {
            if let Some(document) = document {
                place(&mut self.documents, &object, document)?;
            }
        }
        Ok(())
    }
}

fn is_array(node: Option<&NodeDocuments>) -> bool {
    let v3 = |node: &NodeDocuments| node.v3.as_ref()?.get("node_type")?.as_str().map(|kind| kind == "array");
    node.is_some_and(|node| node.array.is_some() || v3(node) == Some(true))
}
