//! Count matrices of Cell Ranger (`.h5`) as AnnData: what `scanpy.read_10x_h5(gex_only=False)` gives.
//!
//! ```text
//! data, indices, indptr            columns of features × barcodes  ──▶  X, rows of cells × genes
//! barcodes                                                         ──▶  index of obs
//! features/{name, id, …}           (version 3, in `matrix`)        ──▶  index and columns of var
//! gene_names, genes                (version 2, in `<genome>`)      ──▶  index and column of var
//! ```
//!
//! Nothing is turned: the columns of the one are the rows of the other. Element types stay as stored.

use std::ops::Bound::{Excluded, Unbounded};

use super::axes::Axis;
use super::frame::{Frame, rows_of};
use super::meaning::{Column, Meaning, Sparse, checked};
use crate::error::Result;
use crate::model::tree::{Node, Tree, join};

/// Members of `features` that get another name in `var`, in the order of its columns.
const RENAMED: [(&str, &str); 2] = [("id", "gene_ids"), ("feature_type", "feature_types")];

/// Most members of the root of a file of Cell Ranger.
const MAX_MEMBERS: usize = 64;

/// Name of an index that has none of its own, as anndata writes it.
const INDEX: &str = "_index";

/// The group of the count matrix that the group at `root` shows: its own, the one called `matrix`, or
/// the only genome.
pub(super) fn group(tree: &Tree, root: &str) -> Option<String> {
    if is_group(tree, root) {
        return Some(root.to_owned());
    }
    if !root.is_empty() {
        return None;
    }
    match genomes(tree).as_slice() {
        [group] => Some(group.clone()),
        _ => None,
    }
}

/// The groups at the root of the tree that hold a count matrix; none where the root has more than
/// [`MAX_MEMBERS`], so that this stays quick on trees of many nodes.
pub(super) fn genomes(tree: &Tree) -> Vec<String> {
    let mut genomes = Vec::new();
    let mut after = String::new();
    for _ in 0..2 * MAX_MEMBERS {
        let Some((path, _)) = tree.nodes.range::<str, _>((Excluded(after.as_str()), Unbounded)).next() else {
            return genomes;
        };
        after = match path.split_once('/') {
            // Past everything below the member: '0' follows '/'.
            Some((member, _)) => format!("{member}0"),
            None => path.clone(),
        };
        if path.split_once('/').is_none() && is_group(tree, path) {
            genomes.push(path.clone());
        }
    }
    Vec::new()
}

/// What `path`, below the root of the view, means for the matrix in `group`; none for other paths.
///
/// # Errors
/// `NotFound` for a missing column, `DataLoss` for parts that do not fit each other.
pub(super) fn meaning(tree: &Tree, group: &str, path: &str) -> Result<Option<Meaning>> {
    let parts: Vec<&str> = path.split('/').collect();
    Ok(match parts.as_slice() {
        ["X"] => Some(Meaning::Sparse(matrix(tree, group)?)),
        ["obs"] => Some(Meaning::Frame(obs(tree, group)?)),
        ["var"] => Some(Meaning::Frame(var(tree, group)?)),
        ["obs", column] => Some(column_of(&obs(tree, group)?, column)?),
        ["var", column] => Some(column_of(&var(tree, group)?, column)?),
        _ => None,
    })
}

/// Axes of the nodes as stored, by their path below the group.
pub(super) fn axes_of_stored(path: &str) -> &'static [Axis] {
    match path {
        "barcodes" | "filtered_barcodes" => &[Axis::Observations],
        "genes" | "gene_names" => &[Axis::Variables],
        path if path.starts_with("features/") => &[Axis::Variables],
        _ => &[],
    }
}

/// Members of an attribute of the view.
pub(super) fn members(tree: &Tree, group: &str, attribute: &str) -> Vec<String> {
    let frame = match attribute {
        "obs" => obs(tree, group),
        "var" => var(tree, group),
        _ => return Vec::new(),
    };
    frame.map(|frame| frame.columns.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

fn is_group(tree: &Tree, path: &str) -> bool {
    let is_list = |name: &str| length(tree, &join(path, name)).is_some();
    ["barcodes", "data", "indices", "indptr"].into_iter().all(is_list)
        && (["features/id", "features/name"].into_iter().all(is_list)
            || ["genes", "gene_names"].into_iter().all(is_list))
}

/// Length of a one-dimensional array.
fn length(tree: &Tree, path: &str) -> Option<u64> {
    match tree.get(path) {
        Some(Node::Array(array)) => array.shape.first().copied().filter(|_| array.shape.len() == 1),
        _ => None,
    }
}

/// The lengths of the axes are those of their names; the dataset `shape` repeats them.
fn matrix(tree: &Tree, group: &str) -> Result<Sparse> {
    let shape = [obs(tree, group)?.rows, var(tree, group)?.rows];
    checked(tree, Sparse { path: group.to_owned(), major: 0, shape })
}

fn obs(tree: &Tree, group: &str) -> Result<Frame> {
    let mut columns = Vec::new();
    let filtered = join(group, "filtered_barcodes");
    if length(tree, &filtered).is_some() {
        columns.push(("filtered_barcodes".to_owned(), Column::Array { path: filtered }));
    }
    frame(tree, "obs", columns, join(group, "barcodes"))
}

fn var(tree: &Tree, group: &str) -> Result<Frame> {
    let features = join(group, "features");
    if tree.get(&features).is_none() {
        let ids = Column::Array { path: join(group, "genes") };
        return frame(tree, "var", vec![("gene_ids".to_owned(), ids)], join(group, "gene_names"));
    }
    let names = join(&features, "name");
    let rows = length(tree, &names);
    let is_column = |name: &str| length(tree, &join(&features, name)) == rows;
    // A matrix of probes has the genes' ids beside its own.
    let has_probes = is_column("gene_id");
    let renamed: &[_] = if has_probes {
        &[("gene_id", "gene_ids"), ("id", "probe_ids"), ("feature_type", "feature_types")]
    } else {
        &RENAMED
    };
    let first = renamed.iter().filter(|(name, _)| is_column(name)).copied();
    let members = tree.children(&features).into_iter();
    let others = members.filter(|name| {
        !matches!(*name, "name" | "_all_tag_keys") && is_column(name) && renamed.iter().all(|(known, _)| known != name)
    });
    let columns = first.chain(others.map(|name| (name, name)));
    let columns =
        columns.map(|(stored, name)| (name.to_owned(), Column::Array { path: join(&features, stored) })).collect();
    frame(tree, "var", columns, names)
}

fn frame(tree: &Tree, path: &str, mut columns: Vec<(String, Column)>, index: String) -> Result<Frame> {
    columns.push((INDEX.to_owned(), Column::Array { path: index }));
    let rows = rows_of(tree, path, &columns)?;
    Ok(Frame { path: path.to_owned(), index: Some(INDEX.to_owned()), columns, rows })
}

fn column_of(frame: &Frame, name: &str) -> Result<Meaning> {
    frame.column(name).map(|(_, column)| Meaning::Column(column.clone()))
}
