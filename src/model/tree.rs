//! The nodes of one hierarchical file (HDF5) or store (zarr): groups and arrays with attributes.
//!
//! A tree holds what a listing shows. It never holds chunk tables: those are loaded per array, when
//! a slice needs them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data_type::DataType;
use crate::error::{Error, Result};

/// Attributes of a node. HDF5 scalars and small arrays become JSON scalars and arrays; an attribute
/// whose type has no JSON form becomes a text that says so. An HDF5 object reference becomes
/// `{"reference": "/path"}`.
pub type Attributes = serde_json::Map<String, serde_json::Value>;

/// All nodes by absolute path without the leading slash; the root is `""`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Nodes by path, in byte order of the path.
    pub nodes: BTreeMap<String, Node>,
    /// Paths of links that lead back to a group above them, and the path of that group. They are unreadable
    /// nodes, so that a listing ends; [`Tree::canonical`] follows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cycles: BTreeMap<String, String>,
    /// Whether only nodes that were asked for by their paths are there, and those that their attributes name:
    /// the store cannot be listed. What else a group holds is not known then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_name: bool,
}

/// A group, an array, or a link that leads nowhere readable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// A group; its children are the nodes whose path extends its own by one part.
    Group {
        /// Attributes of the group.
        attributes: Attributes,
    },
    /// An array.
    Array(ArrayNode),
    /// A soft, external or dangling link, or an object of a kind that is not served, with the
    /// reason that is given when it is asked for.
    Unreadable {
        /// What the node is and why it cannot be read.
        reason: String,
    },
}

/// Shape, type and storage of one array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArrayNode {
    /// Elements along each dimension; empty for a scalar. An HDF5 null dataspace has `is_null`.
    pub shape: Vec<u64>,
    /// Whether the dataspace is null (no elements, not even one).
    #[serde(default)]
    pub is_null: bool,
    /// Element type.
    pub data_type: DataType,
    /// Elements of one chunk along each dimension. Equal to `shape` for arrays stored in one piece.
    pub chunk_shape: Vec<u64>,
    /// Names of the filters or codecs, in the order in which they were applied when written.
    pub filters: Vec<String>,
    /// Whether a chunk's bytes are its elements (no filter but byte order), so that a part of a
    /// chunk can be read by itself.
    pub partly_readable: bool,
    /// Attributes of the array.
    pub attributes: Attributes,
    /// What the format module needs to find and decode the chunks; opaque to everyone else.
    pub storage: serde_json::Value,
}

impl ArrayNode {
    /// Number of elements.
    ///
    /// # Errors
    /// `DataLoss` when the product of the shape does not fit in 64 bits.
    pub fn element_count(&self) -> Result<u64> {
        if self.is_null {
            return Ok(0);
        }
        self.shape
            .iter()
            .try_fold(1_u64, |total, length| total.checked_mul(*length))
            .ok_or_else(|| Error::data_loss(format!("shape {:?} has more than 2^64 elements", self.shape)))
    }

    /// Number of chunks along each dimension.
    pub fn grid(&self) -> Vec<u64> {
        self.shape.iter().zip(&self.chunk_shape).map(|(length, chunk)| length.div_ceil((*chunk).max(1))).collect()
    }

    /// Bytes of one decoded chunk, as far as they fit in 64 bits.
    pub fn chunk_bytes(&self) -> u64 {
        let elements = self.chunk_shape.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
        elements.saturating_mul(self.data_type.item_size() as u64)
    }
}

impl Tree {
    /// The node at `path`; leading, trailing and double slashes do not count.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&normalise(path))
    }

    /// `path` normalised, and without detours: a part `.` is none, and one that leads back to a group above it
    /// is that group.
    pub fn canonical(&self, path: &str) -> String {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").fold(String::new(), |above, part| {
            let next = join(&above, part);
            self.cycles.get(&next).cloned().unwrap_or(next)
        })
    }

    /// The array at `path`.
    ///
    /// # Errors
    /// `NotFound` when there is no such node or it is a group, `Unimplemented` when it is unreadable.
    pub fn array(&self, path: &str) -> Result<&ArrayNode> {
        match self.get(path) {
            Some(Node::Array(array)) => Ok(array),
            Some(Node::Group { .. }) => Err(Error::not_found(format!("node '{path}' is a group, expected an array"))),
            Some(Node::Unreadable { reason }) => Err(Error::unimplemented(format!("node '{path}': {reason}"))),
            None => Err(self.missing(path)),
        }
    }

    /// Whether `path` is a group.
    pub fn is_group(&self, path: &str) -> bool {
        matches!(self.get(path), Some(Node::Group { .. }))
    }

    /// Attributes of the node at `path`; none for a missing or unreadable node.
    pub fn attributes(&self, path: &str) -> Option<&Attributes> {
        match self.get(path)? {
            Node::Group { attributes } => Some(attributes),
            Node::Array(array) => Some(&array.attributes),
            Node::Unreadable { .. } => None,
        }
    }

    /// A text attribute of the node at `path`.
    pub fn text_attribute(&self, path: &str, name: &str) -> Option<&str> {
        self.attributes(path)?.get(name)?.as_str()
    }

    /// Names of the direct children of the group at `path`, in byte order.
    pub fn children(&self, path: &str) -> Vec<&str> {
        let prefix = match normalise(path) {
            root if root.is_empty() => root,
            group => group + "/",
        };
        self.nodes
            .range(prefix.clone()..)
            .take_while(|(child, _)| child.starts_with(&prefix))
            .filter_map(|(child, _)| child.get(prefix.len()..))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .collect()
    }

    /// Refuses to say what is below `path` where that is not known.
    ///
    /// # Errors
    /// `Unimplemented` naming the path, when nodes are known by name only.
    pub fn check_listed(&self, path: &str) -> Result<()> {
        if !self.by_name {
            return Ok(());
        }
        Err(Error::unimplemented(format!(
            "what is below '/{}' is not known: the store cannot be listed and has no consolidated metadata; ask for \
             a node by its whole path",
            normalise(path)
        )))
    }

    /// The error for a node that does not exist: names it and the nearest group's children, or the unreadable
    /// node that lies on the way.
    pub fn missing(&self, path: &str) -> Error {
        if self.by_name {
            return Error::not_found(format!("no node '{path}' in a store that cannot be listed"));
        }
        let mut parent = normalise(path);
        loop {
            parent = parent.rfind('/').map_or(String::new(), |at| parent[..at].to_owned());
            if let Some(Node::Unreadable { reason }) = self.nodes.get(&parent) {
                return Error::unimplemented(format!("node '{path}' lies behind '{parent}': {reason}"));
            }
            if parent.is_empty() || self.is_group(&parent) {
                break;
            }
        }
        let children = self.children(&parent);
        let shown = children.iter().take(20).copied().collect::<Vec<_>>().join(", ");
        let more = if children.len() > 20 { ", …" } else { "" };
        Error::not_found(format!("no node '{path}'; '/{parent}' has [{shown}{more}]"))
    }
}

/// `path` without leading, trailing and double slashes.
pub fn normalise(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// `parent` and `child` as one path.
pub fn join(parent: &str, child: &str) -> String {
    if parent.is_empty() { child.to_owned() } else { format!("{parent}/{child}") }
}
