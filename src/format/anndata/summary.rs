//! The accessor summary: shape, and what each attribute holds.

use serde_json::{Map, Value, json};

use super::axes::Axis;
use super::meaning::Meaning;
use super::view::View;
use crate::model::data_type::DataType;
use crate::model::tree::{Node, Tree, join};

/// Attributes of an AnnData object in the order in which they are shown.
const ATTRIBUTES: [&str; 9] = ["layers", "obs", "obsm", "obsp", "raw", "uns", "var", "varm", "varp"];

/// `{"shape": [n_obs, n_vars], "attributes": {"obs": [...], ...}, "X": {...}}`; empty attributes are
/// left out, names are in byte order and include the index columns.
pub fn summary(tree: &Tree, view: &View) -> Value {
    let mut attributes = Map::new();
    for name in ATTRIBUTES {
        let members = members(tree, view, name);
        if !members.is_empty() {
            attributes.insert(name.to_owned(), json!(members));
        }
    }
    // Null where it cannot be told.
    let rows = |axis: Axis| view.frame(tree, axis).ok().map(|frame| frame.rows);
    let shape = json!([rows(Axis::Observations), rows(Axis::Variables)]);
    json!({ "shape": shape, "attributes": attributes, "X": matrix(tree, view) })
}

fn members(tree: &Tree, view: &View, name: &str) -> Vec<String> {
    let path = join(view.root(), name);
    let mut members = match tree.get(&path) {
        Some(Node::Array(array)) => match &array.data_type {
            DataType::Struct { fields, .. } => fields.iter().map(|field| field.name.clone()).collect(),
            _ => Vec::new(),
        },
        Some(Node::Group { .. }) => tree.children(&path).into_iter().map(str::to_owned).collect(),
        _ if name == "raw" => {
            let parts = ["X", "var", "varm"].into_iter();
            parts.filter(|part| tree.get(&format!("{path}.{part}")).is_some()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    members.retain(|member| member != "__categories");
    members.sort();
    members
}

/// Shape, element type and encoding of `X`; null when there is none.
fn matrix(tree: &Tree, view: &View) -> Value {
    match view.meaning(tree, &join(view.root(), "X")) {
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
        Ok(Meaning::Awkward(awkward)) => json!({
            "shape": [awkward.length], "dtype": null, "encoding": "awkward-array",
        }),
        _ => Value::Null,
    }
}
