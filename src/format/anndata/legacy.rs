//! The layout of files written before anndata 0.7: compound data sets, categories in `uns`,
//! `h5sparse_*` attributes, `raw.X` at the root. The rules are those of anndata's own reader.

use super::frame::{Frame, rows_of};
use super::meaning::{Column, Sparse, sparse as sparse_at};
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Node, Tree};

/// `raw/X` of an old file is stored as `raw.X`: the path under which a node is really found.
pub fn alias(tree: &Tree, path: &str) -> String {
    if tree.get(path).is_none()
        && let Some(rest) = path.strip_prefix("raw/")
    {
        let old = format!("raw.{rest}");
        let top = old.split('/').next().unwrap_or(&old);
        if tree.get(top).is_some() {
            return old;
        }
    }
    path.to_owned()
}

/// The frame of a one-dimensional compound array named as AnnData's annotations are.
pub(super) fn compound_frame(tree: &Tree, path: &str, array: &ArrayNode) -> Option<Frame> {
    let DataType::Struct { fields, .. } = &array.data_type else { return None };
    if !matches!(path, "obs" | "var" | "raw.var") || array.shape.len() != 1 {
        return None;
    }
    let (first, rest) = fields.split_first()?;
    let index = fields.iter().find(|field| matches!(field.name.as_str(), "index" | "_index")).unwrap_or(first);
    let mut columns: Vec<_> = std::iter::once(first)
        .chain(rest)
        .filter(|field| field.name != index.name)
        .map(|field| (field.name.clone(), field_column(tree, path, &field.name, &field.data_type)))
        .collect();
    let source = Column::Field { path: path.to_owned(), field: index.name.clone() };
    columns.push((index.name.clone(), source));
    let rows = rows_of(tree, path, &columns).ok()?;
    Some(Frame { path: path.to_owned(), index: Some(index.name.clone()), columns, rows })
}

/// A field, or the categorical that it forms with `uns/<name>_categories`.
fn field_column(tree: &Tree, path: &str, name: &str, data_type: &DataType) -> Column {
    let field = Column::Field { path: path.to_owned(), field: name.to_owned() };
    let categories = format!("uns/{name}_categories");
    match tree.get(&categories) {
        Some(Node::Array(array)) if data_type.is_integer() && array.shape.len() <= 1 => {
            Column::Categorical { codes: Box::new(field), categories, ordered: false }
        }
        _ => field,
    }
}

/// A sparse matrix marked by `h5sparse_format`, or none.
///
/// # Errors
/// `Unimplemented` for another format, `DataLoss` for missing parts.
pub(super) fn sparse(tree: &Tree, path: &str) -> Result<Option<Sparse>> {
    match tree.text_attribute(path, "h5sparse_format") {
        None => Ok(None),
        Some("csr") => sparse_at(tree, path, 0).map(Some),
        Some("csc") => sparse_at(tree, path, 1).map(Some),
        Some(other) => Err(Error::unimplemented(format!("sparse matrix '{path}' has h5sparse_format '{other}'"))),
    }
}
