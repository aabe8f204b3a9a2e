//! Data frames: an index and named columns.

use super::meaning::{Column, Meaning, check_codes, meaning, truth};
use crate::error::{Error, Result};
use crate::model::tree::{Node, Tree, join, normalise};

/// A table with an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Path of the group or compound array.
    pub path: String,
    /// Name of the index column; it is one of `columns`, the last.
    pub index: Option<String>,
    /// Columns in column order, then the index.
    pub columns: Vec<(String, Column)>,
    /// Number of rows.
    pub rows: u64,
}

impl Frame {
    /// Position and source of the column `name`.
    ///
    /// # Errors
    /// `NotFound` naming the column and those there are.
    pub fn column(&self, name: &str) -> Result<(usize, &Column)> {
        let found = self.columns.iter().enumerate().find(|(_, (candidate, _))| candidate == name);
        found.map(|(at, (_, column))| (at, column)).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().take(50).map(|(name, _)| name.as_str()).collect();
            Error::not_found(format!("no column '{name}' in '{}'; it has [{}]", self.path, names.join(", ")))
        })
    }
}

/// The frame of the group at `path` (encoding `dataframe`, 0.1.0 and 0.2.0).
///
/// # Errors
/// `DataLoss` when the index is missing or lengths differ, `NotFound` for a missing column.
pub fn frame(tree: &Tree, path: &str) -> Result<Frame> {
    let index = tree.text_attribute(path, "_index").ok_or_else(|| {
        Error::data_loss(format!("data frame '{path}': expected an attribute '_index' that names the index"))
    })?;
    let order = match tree.attributes(path).and_then(|all| all.get("column-order")) {
        Some(serde_json::Value::Array(names)) => names.iter().filter_map(|name| name.as_str()).collect(),
        Some(serde_json::Value::String(name)) => vec![name.as_str()],
        _ => Vec::new(),
    };
    let mut columns = Vec::with_capacity(order.len() + 1);
    for name in order.into_iter().filter(|name| *name != index).chain([index]) {
        columns.push((name.to_owned(), column(tree, &join(path, name))?));
    }
    let rows = rows_of(tree, path, &columns)?;
    Ok(Frame { path: path.to_owned(), index: Some(index.to_owned()), columns, rows })
}

/// The column at `path`.
fn column(tree: &Tree, path: &str) -> Result<Column> {
    match meaning(tree, path)? {
        Meaning::Column(column) => Ok(column),
        Meaning::Sparse(_) | Meaning::Awkward(_) | Meaning::Frame(_) | Meaning::Group => {
            Err(Error::unimplemented(format!("column '{path}' is no array and no known encoding of a column")))
        }
    }
}

/// Number of rows, which all columns must share.
pub(super) fn rows_of(tree: &Tree, path: &str, columns: &[(String, Column)]) -> Result<u64> {
    let mut rows = None;
    for (name, column) in columns {
        let shape = column.shape(tree)?;
        let length = shape.first().copied().ok_or_else(|| {
            Error::data_loss(format!("column '{name}' of '{path}': expected an array, found a scalar"))
        })?;
        match rows {
            None => rows = Some(length),
            Some(rows) if rows == length => {}
            Some(rows) => {
                return Err(Error::data_loss(format!(
                    "data frame '{path}': column '{name}' has {length} rows, expected {rows}"
                )));
            }
        }
    }
    Ok(rows.unwrap_or(0))
}

/// The categorical behind a codes array whose attribute `categories` names its categories: anndata
/// 0.7 (`dataframe` 0.1.0) wrote columns so.
pub(super) fn series_of_old_frame(tree: &Tree, path: &str) -> Option<Column> {
    let attribute = tree.attributes(path)?.get("categories")?;
    let (parent, _) = path.rsplit_once('/').unwrap_or(("", path));
    let categories = match attribute {
        serde_json::Value::String(relative) => join(parent, relative),
        serde_json::Value::Object(reference) => normalise(reference.get("reference")?.as_str()?),
        _ => return None,
    };
    let Some(Node::Array(array)) = tree.get(&categories) else { return None };
    check_codes(tree, path).ok()?;
    let ordered = array.attributes.get("ordered").is_some_and(truth);
    Some(Column::Categorical { codes: Box::new(Column::Array { path: path.to_owned() }), categories, ordered })
}
