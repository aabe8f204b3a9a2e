//! The accessor summary: shape, and what each attribute holds.

use serde_json::{Map, Value, json};

use super::meaning::{Meaning, meaning};
use crate::model::data_type::DataType;
use crate::model::tree::{Node, Tree};

/// Attributes of an AnnData object in the order in which they are shown.
const ATTRIBUTES: [&str; 9] = ["layers", "obs", "obsm", "obsp", "raw", "uns", "var", "varm", "varp"];

/// `{"shape": [n_obs, n_vars], "attributes": {"obs": [...], ...}, "X": {...}}`; empty attributes are
/// left out, names are in byte order and include the index columns.
pub fn summary(tree: &Tree) -> Value {
    let mut attributes = Map::new();
    for name in ATTRIBUTES {
        let members = members(tree, name);
        if !members.is_empty() {
            attributes.insert(name.to_owned(), json!(members));
        }
    }
    json!({ "shape": [rows(tree, "obs"), rows(tree, "var")], "attributes": attributes, "X": matrix(tree) })
}

fn members(tree: &Tree, name: &str) -> Vec<String> {
    let mut members = match tree.get(name) {
        Some(Node::Array(array)) => match &array.data_type {
            DataType::Struct { fields, .. } => fields.iter().map(|field| field.name.clone()).collect(),
            _ => Vec::new(),
        },
        Some(Node::Group { .. }) => tree.children(name).into_iter().map(str::to_owned).collect(),
        _ if name == "raw" => {
            let parts = ["X", "var", "varm"].into_iter();
            parts.filter(|part| tree.get(&format!("raw.{part}")).is_some()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    members.retain(|member| member != "__categories");
    members.sort();
    members
}

/// Rows of the frame at `path`; null when it cannot be told.
fn rows(tree: &Tree, path: &str) -> Option<u64> {
    match meaning(tree, path).ok()? {
        Meaning::Frame(frame) => Some(frame.rows),
        _ => None,
    }
}

/// Shape, element type and encoding of `X`; null when there is none.
fn matrix(tree: &Tree) -> Value {
    match meaning(tree, "X") {
        Ok(Meaning::Column(column)) => json!({
            "shape": column.shape(tree).ok(),
            "dtype": column.stored_type(tree).ok().map(|data_type| data_type.name()),
            "encoding": "array",
        }),
        Ok(Meaning::Sparse(sparse)) => json!({
            "shape": sparse.shape,
            "dtype": tree.array(&sparse.data()).ok().map(|array| array.data_type.name()),
            "encoding": if sparse.major == 0 { "csr_matrix" } else { "csc_matrix" },
        }),
        _ => Value::Null,
    }
}
