//! Finding the metadata documents of a store, with as few reads as the store allows.
//!
//! Consolidated metadata is used when there (one read for version 3, two for version 2). Otherwise the
//! documents that a known listing shows are read together, or the store is walked (`walk`). Nothing is
//! interpreted beyond what is needed to find the next document.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};

use super::{by_name, json, walk};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::storage::reader::{FolderReader, Known};

/// Largest metadata document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Largest sum of all metadata documents of a store without consolidated metadata, in bytes.
pub const MAX_LISTED_BYTES: usize = 256 << 20;
/// Most nodes of a store.
pub const MAX_NODES: usize = 200_000;
/// Metadata documents that are read at the same time.
pub const READS_IN_FLIGHT: usize = 32;

/// The documents of one node as they were stored.
#[derive(Debug, Default)]
pub(super) struct NodeDocuments {
    /// `zarr.json`.
    pub(super) v3: Option<Value>,
    /// `.zarray`.
    pub(super) array: Option<Value>,
    /// `.zgroup`.
    pub(super) group: Option<Value>,
    /// `.zattrs`.
    pub(super) attributes: Option<Value>,
}

/// Documents by path of the node; the root is `""`.
pub(super) type Documents = BTreeMap<String, NodeDocuments>;

/// All metadata documents of the store in `folder`; of one that is neither listed nor consolidated those of the
/// root.
///
/// # Errors
/// `NotFound` when there is none, `DataLoss` for one that is corrupt, `ResourceExhausted` for more
/// than this reader holds, and the errors of reading.
pub(super) async fn find(folder: &dyn FolderReader) -> Result<Documents> {
    if let Some(documents) = by_name::root(folder).await? {
        return Ok(documents);
    }
    let root = match read(folder, "zarr.json").await {
        Ok(root) => root,
        // A store that must not be listed refuses what does not exist; consolidated metadata of version 2
        // proves that there is no `zarr.json`.
        Err(error) if error.kind() == Kind::PermissionDenied => match read(folder, ".zmetadata").await {
            Ok(Some(document)) => return consolidated_v2(document),
            _ => return Err(error),
        },
        Err(error) => return Err(error),
    };
    if let Some(root) = root {
        return match consolidated_v3(&root)? {
            Some(documents) => Ok(documents),
            None if is_group(&root) => unconsolidated(folder, Some(root)).await,
            None => Ok(of_root(root)),
        };
    }
    match read(folder, ".zmetadata").await? {
        Some(document) => consolidated_v2(document),
        None => unconsolidated(folder, None).await,
    }
}

/// The documents of a store that tells them one by one: by its listing where that is known, else by
/// walking, which does not list chunks. `root` is the document of a version 3 root.
async fn unconsolidated(folder: &dyn FolderReader, root: Option<Value>) -> Result<Documents> {
    match folder.known("zarr.json") {
        _ if !folder.is_listed() => match root {
            Some(root) => Ok(of_root(root)),
            None => Err(no_metadata(folder)),
        },
        Known::Nothing => walk::documents(folder, root).await,
        Known::Absent | Known::Size(_) => list(folder).await,
    }
}

fn is_group(document: &Value) -> bool {
    document.get("node_type").and_then(Value::as_str) == Some("group")
}

/// The one document of a version 3 root.
fn of_root(document: Value) -> Documents {
    Documents::from([(String::new(), NodeDocuments { v3: Some(document), ..Default::default() })])
}

/// The document at `path`, if there is one.
pub(super) async fn read(folder: &dyn FolderReader, path: &str) -> Result<Option<Value>> {
    match folder.read_cached(path).await? {
        Some(text) => parse(&text, path).map(Some),
        None => Ok(None),
    }
}

/// The document in `text`, if it is not too large.
pub(super) fn parse(text: &[u8], path: &str) -> Result<Value> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(Error::resource_exhausted(format!(
            "metadata object '{path}' has {} bytes, the limit (MAX_DOCUMENT_BYTES) is {MAX_DOCUMENT_BYTES}",
            text.len()
        )));
    }
    json::parse(text, path)
}

/// The documents in the root's consolidated metadata, if it has any of a kind that is known.
fn consolidated_v3(root: &Value) -> Result<Option<Documents>> {
    let consolidated = root.get("consolidated_metadata").filter(|value| is_group(root) && !value.is_null());
    let Some(consolidated) = consolidated else {
        return Ok(None);
    };
    if consolidated.get("kind").and_then(Value::as_str) != Some("inline") {
        return Ok(None);
    }
    let Some(Value::Object(nodes)) = consolidated.get("metadata") else {
        return Err(Error::data_loss("object 'zarr.json': consolidated_metadata has no object 'metadata'"));
    };
    check_count(nodes.len())?;
    let mut documents = Documents::new();
    for (path, document) in nodes {
        slot(&mut documents, path, "zarr.json")?.v3 = Some(document.clone());
    }
    slot(&mut documents, "", "zarr.json")?.v3 = Some(root.clone());
    Ok(Some(documents))
}

/// The documents in a `.zmetadata` object.
pub(super) fn consolidated_v2(document: Value) -> Result<Documents> {
    let nodes = match document {
        Value::Object(mut fields) => match fields.remove("metadata") {
            Some(Value::Object(nodes)) => nodes,
            _ => Map::new(),
        },
        _ => Map::new(),
    };
    if nodes.is_empty() {
        return Err(Error::data_loss("object '.zmetadata' has no object 'metadata' with documents"));
    }
    check_count(nodes.len() / 2)?;
    let mut documents = Documents::new();
    for (key, document) in nodes {
        place(&mut documents, &key, document).with_context(|| "object '.zmetadata'")?;
    }
    Ok(documents)
}

/// Reads every metadata document that a listing shows.
async fn list(folder: &dyn FolderReader) -> Result<Documents> {
    let names: Vec<String> = folder.list("").await?.into_iter().filter(|path| is_metadata(path)).collect();
    let is_v3 = |path: &String| split(path).1 == "zarr.json";
    let has_v2_root = names.iter().any(|path| path == ".zgroup" || path == ".zarray");
    let version_3 = names.iter().any(|path| path == "zarr.json") || (!has_v2_root && names.iter().any(is_v3));
    let names: Vec<String> = names.into_iter().filter(|path| is_v3(path) == version_3).collect();
    if names.is_empty() {
        return Err(no_metadata(folder));
    }
    check_count(if version_3 { names.len() } else { names.len() / 2 })?;
    let (mut documents, mut total) = (Documents::new(), 0_usize);
    for (path, document) in fetch(folder, names, &mut total).await? {
        let gone = || Error::failed_precondition(format!("object '{path}' went away while the store was opened"));
        place(&mut documents, &path, document.ok_or_else(gone)?)?;
    }
    Ok(documents)
}

/// The error for a store without metadata.
pub(super) fn no_metadata(folder: &dyn FolderReader) -> Error {
    Error::not_found(format!("'{}' has no zarr metadata", folder.url()))
}

/// The documents at `paths` that are there, read together; `total` counts their bytes.
///
/// # Errors
/// `DataLoss` for one that is corrupt, `ResourceExhausted` above a limit, and the errors of reading.
pub(super) async fn fetch(
    folder: &dyn FolderReader,
    paths: Vec<String>,
    total: &mut usize,
) -> Result<Vec<(String, Option<Value>)>> {
    let read = |path: String| async move { Ok::<_, Error>((folder.read(&path, None).await?, path)) };
    let mut texts = stream::iter(paths.into_iter().map(read)).buffer_unordered(READS_IN_FLIGHT);
    let mut documents = Vec::new();
    while let Some((text, path)) = texts.try_next().await? {
        *total = total.saturating_add(text.as_ref().map_or(0, bytes::Bytes::len));
        check_bytes(folder, *total)?;
        let document = text.map(|text| parse(&text, &path)).transpose()?;
        documents.push((path, document));
    }
    Ok(documents)
}

/// Refuses documents of more than [`MAX_LISTED_BYTES`] bytes together.
pub(super) fn check_bytes(folder: &dyn FolderReader, total: usize) -> Result<()> {
    if total <= MAX_LISTED_BYTES {
        return Ok(());
    }
    Err(Error::resource_exhausted(format!(
        "the metadata of '{}' exceeds the limit (MAX_LISTED_BYTES) of {MAX_LISTED_BYTES} bytes",
        folder.url()
    )))
}

/// Puts a document under the node that its key names; keys that are no metadata are left out.
pub(super) fn place(documents: &mut Documents, key: &str, document: Value) -> Result<()> {
    if !is_metadata(key) {
        return Ok(());
    }
    let (path, name) = split(key);
    let node = slot(documents, path, key)?;
    let place = match name {
        "zarr.json" => &mut node.v3,
        ".zarray" => &mut node.array,
        ".zgroup" => &mut node.group,
        _ => &mut node.attributes,
    };
    *place = Some(document);
    Ok(())
}

/// The node at `path`. Paths become keys of objects, so one that leads elsewhere is refused.
fn slot<'a>(documents: &'a mut Documents, path: &str, object: &str) -> Result<&'a mut NodeDocuments> {
    let outside = |part: &str| part.is_empty() || part == "." || part == "..";
    if !path.is_empty() && path.split('/').any(outside) {
        return Err(Error::data_loss(format!("object '{object}': '{path}' is not the path of a node")));
    }
    Ok(documents.entry(path.to_owned()).or_default())
}

pub(super) fn check_count(nodes: usize) -> Result<()> {
    if nodes <= MAX_NODES {
        return Ok(());
    }
    Err(Error::resource_exhausted(format!("the store has {nodes} nodes, the limit (MAX_NODES) is {MAX_NODES}")))
}

fn is_metadata(path: &str) -> bool {
    matches!(split(path).1, "zarr.json" | ".zarray" | ".zgroup" | ".zattrs")
}

/// Folder and name of an object.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
