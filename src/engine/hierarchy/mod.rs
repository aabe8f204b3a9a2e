//! Resolves a request on an HDF5 file or a zarr store: which node, which positions, which answer. One file
//! for each kind of node, and one each for what they share: selections, and columns beside an answer.

use std::sync::Arc;

use super::column_index::ColumnIndexes;
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::{Meaning, Sparse};
use crate::format::anndata::view::{View, meaning_in};
use crate::model::request::{Partitioning, SliceRequest};
use crate::model::tree::Attributes;
use crate::read::context::ReadContext;
use crate::read::windowed::Windowed;

mod array;
mod awkward;
mod columns;
mod frame;
mod group;
mod indexed;
mod selection;
mod sparse;

pub(super) use columns::refuse_duplicates;
pub(super) use indexed::ColumnSlice;
pub(super) use selection::intersect;

/// A request resolved on a hierarchy.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Path of the node, normalised.
    pub(super) node: String,
    /// The answer.
    pub(super) answer: Arc<dyn Windowed>,
    /// Shape of the node.
    pub(super) shape_before: Vec<u64>,
    /// Shape of the answer.
    pub(super) shape_after: Vec<u64>,
    /// Name of the index column of a data frame, when the answer has it.
    pub(super) index: Option<String>,
    /// Whether the answer is a data frame.
    pub(super) is_frame: bool,
    /// Attributes of the node.
    pub(super) attributes: Attributes,
    /// Names of the answer's dimensions, where the array has them.
    pub(super) dimension_names: Option<Vec<Option<String>>>,
    /// A slice that a column index serves, or could.
    pub(super) columns: Option<ColumnSlice>,
}

/// Resolves `request` on `hierarchy`; reads the columns and names that the selectors need. Slices across the
/// stored axis of a sparse matrix may come from `indexes`.
///
/// # Errors
/// Those of slice-request semantics.
pub(super) async fn resolve_request(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    request: &SliceRequest,
    indexes: Option<&Arc<ColumnIndexes>>,
) -> Result<Resolved> {
    let tree = hierarchy.tree();
    refuse_table_only(request)?;
    let (view, node) = View::locate(tree, &request.node);
    if view.is_none() && (!request.obs.is_empty() || !request.var.is_empty()) {
        return Err(Error::invalid("obs and var select on AnnData files, this one is none: use axes or slice"));
    }
    let found = meaning_in(view.as_ref(), tree, &node)?;
    let is_mapping = view.as_ref().is_some_and(|view| view.is_mapping(&node));
    let resolver = Resolver { context, hierarchy, request, node: &node, view, indexes };
    let mut resolved = match found {
        Meaning::Column(column) => resolver.dense(column).await?,
        Meaning::Sparse(sparse) => resolver.sparse(sparse).await?,
        Meaning::Awkward(awkward) => resolver.awkward(awkward).await?,
        Meaning::Frame(frame) => resolver.frame(&frame).await?,
        Meaning::Group if is_mapping => resolver.nested()?,
        Meaning::Group => resolver.listing()?,
    };
    resolved.attributes = tree.attributes(&node).cloned().unwrap_or_default();
    Ok(resolved)
}

/// The sparse matrix at `node`.
///
/// # Errors
/// `NotFound` when there is no such node, `InvalidArgument` when it is no sparse matrix.
pub(super) fn sparse_at(hierarchy: &Hierarchy, node: &str) -> Result<Sparse> {
    let tree = hierarchy.tree();
    let (view, node) = View::locate(tree, node);
    match meaning_in(view.as_ref(), tree, &node)? {
        Meaning::Sparse(sparse) => Ok(sparse),
        _ => Err(Error::invalid(format!("'{node}' is no sparse matrix: it needs no column index"))),
    }
}

pub(super) fn refuse_table_only(request: &SliceRequest) -> Result<()> {
    if request.partitioning != Partitioning::None {
        return Err(Error::invalid("partitioning applies to folders of shards"));
    }
    if request.substrait_filter.is_some() {
        return Err(Error::unimplemented("substrait filters (field 'filter') are not supported, use 'where'"));
    }
    Ok(())
}

struct Resolver<'a> {
    context: &'a ReadContext,
    hierarchy: &'a Hierarchy,
    request: &'a SliceRequest,
    node: &'a str,
    /// The AnnData around the node.
    view: Option<View>,
    indexes: Option<&'a Arc<ColumnIndexes>>,
}

impl Resolver<'_> {
    fn no_table_fields(&self) -> Result<()> {
        if self.request.columns.is_some() {
            return Err(Error::invalid(format!("columns apply to tables, '{}' is an array: use var", self.node)));
        }
        if self.request.filter.is_some() {
            return Err(Error::invalid(format!(
                "where applies to tables, '{}' is an array: use obs.where or var.where",
                self.node
            )));
        }
        Ok(())
    }

    fn name(&self) -> &str {
        let name = self.node.rsplit('/').next().unwrap_or(self.node);
        name.strip_prefix("raw.").unwrap_or(name)
    }

    fn unserved_layout(&self, form: &str) -> Error {
        Error::unimplemented(format!("layout {:?} of '{}', which is {form}", self.request.layout, self.node))
    }

    fn resolved(&self, answer: Arc<dyn Windowed>, shape_before: Vec<u64>, shape_after: Vec<u64>) -> Resolved {
        let node = self.node.to_owned();
        let attributes = Attributes::new();
        Resolved {
            node,
            answer,
            shape_before,
            shape_after,
            index: None,
            is_frame: false,
            attributes,
            dimension_names: None,
            columns: None,
        }
    }
}
