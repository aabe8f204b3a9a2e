//! Where in a tree an AnnData lies, and what the paths below it mean.
//!
//! Sits between a tree and everyone who asks about a node: the root of a `.h5ad` is a view, and so is
//! each modality of a MuData file and each table of a SpatialData store. Files of Loom and Cell Ranger are
//! seen as AnnData: there a node of the view need not be a node of the tree. It reads nothing.
//!
//! ```text
//! mod/rna/obsm/X_pca  ──▶  the view at mod/rna  ──▶  its axis of observations, the frame mod/rna/obs
//! X                   ──▶  the view of a Loom file  ──▶  the transpose of the array `matrix`
//! ```

use super::axes::{Axis, axes_of};
use super::frame::Frame;
use super::legacy::alias;
use super::meaning::{Meaning, meaning};
use super::{loom, spatialdata, tenx};
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::{Node, Tree, join, normalise};

/// What is seen as an AnnData.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// An AnnData as anndata writes it.
    AnnData,
    /// The axes that the modalities of a MuData share.
    MuData,
    /// A Loom file.
    Loom,
    /// A count matrix of Cell Ranger.
    TenX {
        /// Path of the group that holds it.
        group: String,
    },
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
        let path = tree.canonical(path);
        let around = Self::around(tree, &path);
        if !around.as_ref().is_some_and(|view| view.is_mapping(&path))
            && let Some(view) = Self::at(tree, &path)
            && (path.is_empty() || !view.is_foreign())
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

    /// The views that lie below the root of the tree: modalities, tables, or genomes where there are several.
    pub fn below(tree: &Tree) -> Vec<Self> {
        let root = Self::at(tree, "");
        match &root {
            Some(Self { kind: Kind::MuData, .. }) => {
                tree.children("mod").into_iter().filter_map(|name| Self::at(tree, &join("mod", name))).collect()
            }
            Some(_) => Vec::new(),
            None if spatialdata::is_spatialdata(tree) => spatialdata::tables(tree),
            None => tenx::genomes(tree).iter().filter_map(|name| Self::at(tree, name)).collect(),
        }
    }

    /// What is seen as an AnnData: `anndata`, `mudata`, `loom` or `10x`.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::AnnData => "anndata",
            Kind::MuData => "mudata",
            Kind::Loom => "loom",
            Kind::TenX { .. } => "10x",
        }
    }

    /// Whether the nodes of the view are not stored under their own paths.
    fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Loom | Kind::TenX { .. })
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
    pub fn axes(&self, tree: &Tree, path: &str) -> &'static [Axis] {
        let path = self.relative(path);
        match (axes_of(path), &self.kind) {
            ([], Kind::Loom) => loom::axes_of_stored(path),
            ([], Kind::TenX { group }) => tenx::axes_of_stored(tree, group, path),
            ([], Kind::MuData) if path.starts_with("obsmap/") => &[Axis::Observations],
            ([], Kind::MuData) if path.starts_with("varmap/") => &[Axis::Variables],
            (axes, _) => axes,
        }
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
    /// As [`meaning`]; `Unimplemented` naming what is not seen as AnnData.
    pub fn meaning(&self, tree: &Tree, path: &str) -> Result<Meaning> {
        let seen = match &self.kind {
            Kind::AnnData | Kind::MuData => None,
            Kind::Loom => loom::meaning(tree, self.relative(path))?,
            Kind::TenX { group } => tenx::meaning(tree, group, self.relative(path))?,
        };
        seen.map_or_else(|| meaning(tree, path), Ok)
    }

    /// Names of the members of an attribute (`obs`, `layers`) of a view whose nodes are not stored under
    /// their own paths; none for other views.
    pub(super) fn seen_members(&self, tree: &Tree, attribute: &str) -> Option<Vec<String>> {
        match &self.kind {
            Kind::AnnData | Kind::MuData => None,
            Kind::Loom => Some(loom::members(tree, attribute)),
            Kind::TenX { group } => Some(tenx::members(tree, group, attribute)),
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

/// What a node of the tree means in the view around it, or by itself where there is none.
///
/// # Errors
/// As [`View::meaning`].
pub fn meaning_in(view: Option<&View>, tree: &Tree, path: &str) -> Result<Meaning> {
    match view {
        Some(view) => view.meaning(tree, path),
        None => spatialdata::refuse_parquet(tree, path).and_then(|()| meaning(tree, path)),
    }
}

/// What the group at `path` is seen as: by its encoding, or by its layout.
fn kind_of(tree: &Tree, path: &str) -> Option<Kind> {
    match tree.text_attribute(path, "encoding-type") {
        Some("anndata") => return Some(Kind::AnnData),
        Some("MuData") => return Some(Kind::MuData),
        _ => {}
    }
    if has_tables(tree, path) {
        let modalities = join(path, "mod");
        let is_modality = |name: &&str| kind_of(tree, &join(&modalities, name)) == Some(Kind::AnnData);
        let has_modalities = tree.children(&modalities).iter().any(is_modality);
        return Some(if has_modalities { Kind::MuData } else { Kind::AnnData });
    }
    if path.is_empty() && loom::is_loom(tree) {
        return Some(Kind::Loom);
    }
    tenx::group(tree, path).map(|group| Kind::TenX { group })
}

/// Whether the group at `path` has the tables `obs` and `var`.
fn has_tables(tree: &Tree, path: &str) -> bool {
    let table = |name: &str| match tree.get(&join(path, name)) {
        Some(Node::Array(array)) => matches!(array.data_type, DataType::Struct { .. }),
        Some(Node::Group { attributes }) => attributes.contains_key("_index"),
        _ => false,
    };
    table("obs") && table("var")
}

#[cfg(test)]
mod tests;
