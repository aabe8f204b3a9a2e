//! Where in a tree an AnnData lies, and what the paths below it mean.
//!
//! Sits between a tree and everyone who asks about a node: the root of a `.h5ad` is a view, and so is
//! each modality of a MuData file and each table of a SpatialData store. It reads nothing.
//!
//! ```text
//! mod/rna/obsm/X_pca  ──▶  the view at mod/rna  ──▶  its axis of observations, the frame mod/rna/obs
//! ```

use super::axes::{Axis, axes_of};
use super::frame::Frame;
use super::legacy::alias;
use super::meaning::{Meaning, meaning};
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::{Node, Tree, join, normalise};

/// What is seen as an AnnData.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An AnnData as anndata writes it.
    AnnData,
}

/// An AnnData within a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    root: String,
    kind: Kind,
}

impl View {
    /// The view whose root is the group at `path`, if that is one.
    pub fn at(tree: &Tree, path: &str) -> Option<Self> {
        let root = normalise(path);
        kind_of(tree, &root).map(|kind| Self { root, kind })
    }

    /// The node that a request for `path` means, and the nearest view around it: the root of a view
    /// stands for the view's observations, except where it is a value of another's `uns`.
    pub fn locate(tree: &Tree, path: &str) -> (Option<Self>, String) {
        let path = normalise(path);
        let around = Self::around(tree, &path);
        if !around.as_ref().is_some_and(|view| view.is_mapping(&path))
            && let Some(view) = Self::at(tree, &path)
        {
            let node = view.default_node();
            return (Some(view), node);
        }
        let node = alias(tree, &path);
        (around, node)
    }

    /// The nearest view that has `path` below its root.
    fn around(tree: &Tree, path: &str) -> Option<Self> {
        let mut below = path;
        while !below.is_empty() {
            below = below.rsplit_once('/').map_or("", |(parent, _)| parent);
            if let Some(view) = Self::at(tree, below) {
                return Some(view);
            }
        }
        None
    }

    /// The node that the view's root stands for.
    pub fn default_node(&self) -> String {
        join(&self.root, "obs")
    }

    /// Whether the node at `path` lies in `uns`, whose groups are values.
    pub fn is_mapping(&self, path: &str) -> bool {
        self.relative(path).split('/').next() == Some("uns")
    }

    /// The axes that the first dimensions of the node at `path` follow; dimensions beyond have none.
    pub fn axes(&self, path: &str) -> &'static [Axis] {
        axes_of(self.relative(path))
    }

    /// The frame that describes `axis`.
    ///
    /// # Errors
    /// `DataLoss` when it is none, and the errors of [`View::meaning`].
    pub fn frame(&self, tree: &Tree, axis: Axis) -> Result<Frame> {
        let path = join(&self.root, axis.frame_path());
        match self.meaning(tree, &path)? {
            Meaning::Frame(frame) => Ok(frame),
            _ => Err(Error::data_loss(format!("axis '{path}' is no data frame"))),
        }
    }

    /// What the node at `path` (from the root of the tree) means in this view.
    ///
    /// # Errors
    /// As [`meaning`].
    pub fn meaning(&self, tree: &Tree, path: &str) -> Result<Meaning> {
        match self.kind {
            Kind::AnnData => meaning(tree, path),
        }
    }

    /// `path` from the view's root on; unchanged when it does not lie below it.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.root.as_str()).map_or(path, |rest| rest.trim_start_matches('/'))
    }

    /// Path of the view's root, `""` for the tree's.
    pub fn root(&self) -> &str {
        &self.root
    }
}

/// What the group at `path` is seen as: by its encoding, or by the layout of older files.
fn kind_of(tree: &Tree, path: &str) -> Option<Kind> {
    if tree.text_attribute(path, "encoding-type") == Some("anndata") {
        return Some(Kind::AnnData);
    }
    let table = |name: &str| match tree.get(&join(path, name)) {
        Some(Node::Array(array)) => matches!(array.data_type, DataType::Struct { .. }),
        Some(Node::Group { attributes }) => attributes.contains_key("_index"),
        _ => false,
    };
    (table("obs") && table("var")).then_some(Kind::AnnData)
}

#[cfg(test)]
mod tests;
