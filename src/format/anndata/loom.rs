//! Loom files (specification 3.0) as AnnData: what `anndata.io.read_loom(sparse=False, X_name="")` gives.
//!
//! ```text
//! matrix, layers/<k>   genes × cells   ──▶  X, layers/<k>   cells × genes
//! col_attrs/<k>        per cell        ──▶  obs, and obsm/<k> where it has more dimensions
//! row_attrs/<k>        per gene        ──▶  var, and varm/<k>
//! ```
//!
//! `layers/<k>` names the layer of the view; every other stored path keeps its meaning.

use super::axes::Axis;
use super::frame::{Frame, rows_of};
use super::meaning::{Column, Meaning};
use crate::error::{Error, Result};
use crate::model::tree::{Node, Tree, join};

/// What holds the annotations of one axis, and the attributes that name its positions, best first.
struct Annotations {
    group: &'static str,
    graphs: &'static str,
    names: [&'static str; 2],
    /// The dimension of `matrix`.
    dimension: usize,
}

const CELLS: Annotations =
    Annotations { group: "col_attrs", graphs: "col_graphs", names: ["CellID", "obs_names"], dimension: 1 };
const GENES: Annotations =
    Annotations { group: "row_attrs", graphs: "row_graphs", names: ["Gene", "var_names"], dimension: 0 };

/// Whether the tree is a Loom file: the matrix and both groups of annotations are there.
pub(super) fn is_loom(tree: &Tree) -> bool {
    let is_matrix = matches!(tree.get("matrix"), Some(Node::Array(array)) if array.shape.len() == 2);
    let is_group = |path| matches!(tree.get(path), Some(Node::Group { .. }));
    is_matrix && is_group(CELLS.group) && is_group(GENES.group)
}

/// What `path` means in the view; none where it means what is stored there.
///
/// # Errors
/// `NotFound` for a missing layer or column, `Unimplemented` for graphs, `DataLoss` for annotations that
/// do not fit the matrix.
pub(super) fn meaning(tree: &Tree, path: &str) -> Result<Option<Meaning>> {
    let parts: Vec<&str> = path.split('/').collect();
    Ok(match parts.as_slice() {
        ["X"] => Some(transposed(tree, "matrix")?),
        ["layers", name] => Some(transposed(tree, &join("layers", name))?),
        ["obs"] => Some(Meaning::Frame(frame(tree, "obs", &CELLS)?)),
        ["var"] => Some(Meaning::Frame(frame(tree, "var", &GENES)?)),
        ["obs", column] => Some(column_of(&frame(tree, "obs", &CELLS)?, column)?),
        ["var", column] => Some(column_of(&frame(tree, "var", &GENES)?, column)?),
        ["obsm", name] => Some(matrix_of(tree, "obsm", &CELLS, name)?),
        ["varm", name] => Some(matrix_of(tree, "varm", &GENES, name)?),
        ["obsp", name] => return Err(graph(tree, &CELLS, name, path)),
        ["varp", name] => return Err(graph(tree, &GENES, name, path)),
        _ => None,
    })
}

/// Axes of the nodes as stored.
pub(super) fn axes_of_stored(path: &str) -> &'static [Axis] {
    let mut parts = path.split('/');
    match (parts.next().unwrap_or(""), parts.next()) {
        ("matrix", None) => &[Axis::Variables, Axis::Observations],
        ("col_attrs", Some(_)) => &[Axis::Observations],
        ("row_attrs", Some(_)) => &[Axis::Variables],
        _ => &[],
    }
}

/// Members of an attribute of the view.
pub(super) fn members(tree: &Tree, attribute: &str) -> Vec<String> {
    let of = |annotations: &Annotations, tables: bool| {
        let names = tree.children(annotations.group).into_iter();
        let wanted = |name: &&str| is_column(tree, annotations, name).is_some_and(|column| column == tables);
        names.filter(wanted).map(str::to_owned).collect()
    };
    match attribute {
        "obs" => of(&CELLS, true),
        "var" => of(&GENES, true),
        "obsm" => of(&CELLS, false),
        "varm" => of(&GENES, false),
        "layers" => tree.children("layers").into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn transposed(tree: &Tree, path: &str) -> Result<Meaning> {
    let shape = &tree.array(path)?.shape;
    let matrix = &tree.array("matrix")?.shape;
    if shape != matrix {
        return Err(Error::data_loss(format!("layer '{path}' has shape {shape:?}, expected {matrix:?} as 'matrix'")));
    }
    Ok(Meaning::Column(Column::Transposed { path: path.to_owned() }))
}

/// The one-dimensional annotations, in byte order of their names, the index last.
fn frame(tree: &Tree, path: &str, annotations: &Annotations) -> Result<Frame> {
    let names = tree.children(annotations.group);
    let index = annotations.names.into_iter().find(|name| is_column(tree, annotations, name) == Some(true));
    let columns = names.into_iter().filter(|name| Some(*name) != index).chain(index);
    let columns: Vec<_> = columns
        .filter(|name| is_column(tree, annotations, name) != Some(false))
        .map(|name| (name.to_owned(), Column::Array { path: join(annotations.group, name) }))
        .collect();
    let rows = tree.array("matrix")?.shape.get(annotations.dimension).copied().unwrap_or(0);
    let found = rows_of(tree, path, &columns)?;
    if !columns.is_empty() && found != rows {
        let group = annotations.group;
        return Err(Error::data_loss(format!("'{group}' has {found} rows, 'matrix' has {rows}")));
    }
    Ok(Frame { path: path.to_owned(), index: index.map(str::to_owned), columns, rows })
}

/// Whether an annotation is a column (and no matrix); none for what is no array.
fn is_column(tree: &Tree, annotations: &Annotations, name: &str) -> Option<bool> {
    match tree.get(&join(annotations.group, name)) {
        Some(Node::Array(array)) => Some(array.shape.len() <= 1),
        _ => None,
    }
}

fn column_of(frame: &Frame, name: &str) -> Result<Meaning> {
    frame.column(name).map(|(_, column)| Meaning::Column(column.clone()))
}

fn matrix_of(tree: &Tree, attribute: &str, annotations: &Annotations, name: &str) -> Result<Meaning> {
    if is_column(tree, annotations, name) == Some(false) {
        return Ok(Meaning::Column(Column::Array { path: join(annotations.group, name) }));
    }
    let known = members(tree, attribute).join(", ");
    Err(Error::not_found(format!("no matrix '{name}' in '{attribute}'; it has [{known}]")))
}

/// Graphs are refused by name; what is stored of them is read by its own path.
fn graph(tree: &Tree, annotations: &Annotations, name: &str, path: &str) -> Error {
    let stored = join(annotations.graphs, name);
    match tree.get(&stored) {
        None => tree.missing(path),
        Some(_) => Error::unimplemented(format!(
            "'{path}' is a graph of a Loom file, which is stored as lists of edges: read '{stored}/a', '{stored}/b' and '{stored}/w'"
        )),
    }
}
