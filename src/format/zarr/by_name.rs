//! Finding the documents of a store that cannot be listed: those of a node that is asked for, of the groups
//! above it, and of the nodes that the attributes of any of them name.
//!
//! Sits beside `walk`, which lists. A round of requests finds what the attributes of the round before name.
//! What a mapping holds (`layers`, `uns`) is told by no attribute: such nodes are found by their own paths only.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::documents::{Documents, NodeDocuments, READS_IN_FLIGHT, consolidated_v2, place, read};
use super::{documents, node};
use crate::error::{Error, Kind, Result};
use crate::format::anndata::members::{self, Member};
use crate::model::tree::{Attributes, Node, Tree, join};
use crate::storage::reader::{FolderReader, Known};

/// Nodes that one request may look for by name, at most.
pub const MAX_NAMED_NODES: usize = 20_000;
/// Rounds in which attributes name further nodes, at most: a column of a modality of a MuData takes seven.
pub const MAX_ROUNDS: usize = 16;

const V3: &[&str] = &["zarr.json"];
const V2: &[&str] = &[".zarray", ".zgroup", ".zattrs"];

/// The documents of the root of a store that cannot be listed, or all that its consolidated metadata has; `None`
/// when none of them was found when it was registered.
///
/// # Errors
/// `DataLoss` for one that is corrupt, and the errors of reading.
pub(super) async fn root(folder: &dyn FolderReader) -> Result<Option<Documents>> {
    let is_known = |name: &str| matches!(folder.known(name), Known::Size(_));
    if folder.is_listed() {
        return Ok(None);
    }
    if is_known(".zmetadata") {
        return read(folder, ".zmetadata").await?.map(consolidated_v2).transpose();
    }
    if is_known("zarr.json") {
        // Found as in a store that is listed.
        return Ok(None);
    }
    if !is_known(".zarray") && !is_known(".zgroup") {
        return Ok(None);
    }
    let mut documents = Documents::new();
    for name in V2.iter().filter(|name| is_known(name) || **name == ".zattrs") {
        if let Some(document) = read(folder, name).await? {
            place(&mut documents, name, document)?;
        }
    }
    Ok(Some(documents))
}

/// Whether the documents of a store that cannot be listed tell all of it: they are consolidated, or the root is
/// an array.
pub(super) fn is_whole(folder: &dyn FolderReader, documents: &Documents) -> bool {
    if matches!(folder.known(".zmetadata"), Known::Size(_)) {
        return true;
    }
    let has_array = |node: &NodeDocuments| {
        let kind = node.v3.as_ref().and_then(|document| document.get("node_type")).and_then(Value::as_str);
        node.array.is_some() || kind == Some("array")
    };
    let is_consolidated = |node: &NodeDocuments| {
        let consolidated = node.v3.as_ref().and_then(|document| document.get("consolidated_metadata"));
        consolidated.is_some_and(|consolidated| consolidated.get("kind").and_then(Value::as_str) == Some("inline"))
    };
    documents.len() > 1 || documents.get("").is_some_and(|root| has_array(root) || is_consolidated(root))
}

/// The nodes that `known` lacks of those at `path`, above it, and named by the attributes of any of them. One
/// that is named and refused is there as unreadable; one that need not be there is left out then.
///
/// # Errors
/// `PermissionDenied` when the documents of `path` itself are refused, `DataLoss` for a corrupt document,
/// `ResourceExhausted` above [`MAX_NAMED_NODES`] or [`MAX_ROUNDS`], and the errors of reading.
pub(super) async fn nodes(folder: &dyn FolderReader, known: &Tree, path: &str) -> Result<BTreeMap<String, Node>> {
    let mut search = Search { folder, known, found: BTreeMap::new(), asked: BTreeSet::new(), bytes: 0 };
    let mut wanted = search.above(path);
    let mut refusal = None;
    for _ in 0..MAX_ROUNDS {
        if wanted.is_empty() {
            if let Some(error) = refusal
                && !search.is_in_array(path)
            {
                return Err(error);
            }
            return Ok(search.found);
        }
        let (next, refused) = search.round(wanted, path).await?;
        refusal = refusal.or(refused);
        wanted = next;
    }
    Err(Error::resource_exhausted(format!(
        "node '{path}': its metadata names nodes below nodes deeper than the limit (MAX_ROUNDS) of {MAX_ROUNDS}"
    )))
}

/// Paths that are looked for, and whether a refusal matters.
type Wanted = BTreeMap<String, Need>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It may be missing.
    Perhaps,
    /// What names it makes no sense without it.
    Required,
    /// Without it an array would be read as something else.
    Meaning,
}

/// What came of looking for a node.
enum Found {
    Node(Box<Node>),
    Nothing,
    Refused(Error),
}

struct Search<'a> {
    folder: &'a dyn FolderReader,
    known: &'a Tree,
    found: BTreeMap<String, Node>,
    asked: BTreeSet<String>,
    /// Of the documents so far.
    bytes: usize,
}

impl Search<'_> {
    /// `path` and the groups above it, and what a root that does not say what it is may hold.
    fn above(&self, path: &str) -> Wanted {
        let mut wanted = Wanted::new();
        let mut above = path;
        while !above.is_empty() {
            wanted.insert(above.to_owned(), Need::Perhaps);
            above = above.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        // The root alone was read when the store was opened.
        if self.known.nodes.len() <= 1 {
            let attributes = self.known.attributes("").cloned().unwrap_or_default();
            let members = members::named(&attributes).unwrap_or_else(members::of_plain_root);
            add(&mut wanted, "", members);
        }
        wanted.retain(|path, _| !self.known.nodes.contains_key(path));
        wanted
    }

    /// Looks for `wanted`; what the attributes of those found name, and the refusal of `path`.
    async fn round(&mut self, wanted: Wanted, path: &str) -> Result<(Wanted, Option<Error>)> {
        self.asked.extend(wanted.keys().cloned());
        if self.asked.len() > MAX_NAMED_NODES {
            return Err(Error::resource_exhausted(format!(
                "node '{path}': its metadata names more nodes than the limit (MAX_NAMED_NODES) of {MAX_NAMED_NODES}"
            )));
        }
        let (folder, names) = (self.folder, self.names());
        let looks =
            wanted.into_iter().map(|(path, need)| async move { (look(folder, names, &path).await, path, need) });
        let mut looks = stream::iter(looks).buffer_unordered((READS_IN_FLIGHT / names.len()).max(1));
        let (mut next, mut refusal) = (Wanted::new(), None);
        while let Some((found, at, need)) = looks.next().await {
            let (found, bytes) = found?;
            self.bytes = self.bytes.saturating_add(bytes);
            documents::check_bytes(folder, self.bytes)?;
            match found {
                Found::Node(node) => {
                    name_members(&mut next, &at, &node);
                    self.found.insert(at, *node);
                }
                Found::Refused(error) if at == path => refusal = Some(error),
                Found::Refused(error) if need == Need::Meaning => return Err(error),
                Found::Refused(error) if need == Need::Required => {
                    self.found.insert(at, Node::Unreadable { reason: error.message().to_owned() });
                }
                Found::Refused(_) | Found::Nothing => {}
            }
        }
        next.retain(|path, _| !self.asked.contains(path) && !self.known.nodes.contains_key(path));
        Ok((next, refusal))
    }

    /// Names of the documents that a node can have: those of the root's version.
    fn names(&self) -> &'static [&'static str] {
        if matches!(self.folder.known(".zgroup"), Known::Size(_)) { V2 } else { V3 }
    }

    /// Whether `path` is below an array: a field of a compound one, which has no documents.
    fn is_in_array(&self, path: &str) -> bool {
        let is_array =
            |path: &str| matches!(self.found.get(path).or_else(|| self.known.nodes.get(path)), Some(Node::Array(_)));
        path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(is_array))
    }
}

/// Adds what the attributes of the node at `path` name.
fn name_members(wanted: &mut Wanted, path: &str, node: &Node) {
    match node {
        Node::Group { attributes } => add(wanted, path, members::named(attributes).unwrap_or_default()),
        Node::Array(array) => {
            if let Some(categories) = categories(path, &array.attributes) {
                wanted.insert(categories, Need::Meaning);
            }
        }
        Node::Unreadable { .. } => {}
    }
}

/// Where an array's attribute says that its categories lie, when that can be a path.
fn categories(path: &str, attributes: &Attributes) -> Option<String> {
    members::categories(path, attributes).filter(|path| is_path(path))
}

fn add(wanted: &mut Wanted, group: &str, members: Vec<Member>) {
    for Member { name, required } in members {
        let need = if required { Need::Required } else { Need::Perhaps };
        let path = join(group, &name);
        if is_path(&path) {
            wanted.entry(path).or_insert(need);
        }
    }
}

/// Whether a path that a file or a client gave stays below the root.
fn is_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The node at `path` by its documents called `names`, and the bytes of these.
async fn look(folder: &dyn FolderReader, names: &[&str], path: &str) -> Result<(Found, usize)> {
    let reads = names.iter().map(|name| async move {
        let object = join(path, name);
        match folder.read(&object, None).await {
            Ok(text) => Ok((object, text, None)),
            Err(error) if error.kind() == Kind::PermissionDenied => Ok((object, None, Some(error))),
            Err(error) => Err(error),
        }
    });
    let reads: Vec<_> = stream::iter(reads.collect::<Vec<_>>()).buffered(names.len().max(1)).try_collect().await?;
    let (mut documents, mut refusals, mut bytes) = (Documents::new(), Vec::new(), 0);
    for (object, text, refused) in reads {
        refusals.extend(refused.map(|error| (object.clone(), error)));
        if let Some(text) = text {
            bytes += text.len();
            place(&mut documents, &object, documents::parse(&text, &object)?)?;
        }
    }
    let is_there =
        documents.get(path).is_some_and(|found| found.v3.is_some() || found.array.is_some() || found.group.is_some());
    // Of a node that is there, only the attributes may be what is refused: a node is an array or a group.
    refusals.retain(|(object, _)| !is_there || object.ends_with(".zattrs"));
    if let Some((_, error)) = refusals.into_iter().next() {
        return Ok((Found::Refused(error), bytes));
    }
    let node = node::tree(documents)?.nodes.remove(path);
    Ok((node.map_or(Found::Nothing, |node| Found::Node(Box::new(node))), bytes))
}
