//! The accessor summary: shape, and what each attribute holds.

use serde_json::{Map, Value, json};

use super::axes::Axis;
use super::meaning::{Column, Meaning};
use super::members::named;
use super::spatialdata::is_spatialdata;
use super::view::View;
use crate::model::data_type::DataType;
use crate::model::tree::{Node, Tree, join};

/// Attributes of an AnnData object in the order in which they are shown.
const ATTRIBUTES: [&str; 11] =
    ["layers", "obs", "obsm", "obsmap", "obsp", "raw", "uns", "var", "varm", "varmap", "varp"];

/// `{"shape": [n_obs, n_vars], "attributes": {"obs": [...], ...}, "X": {...}}`; empty attributes are
/// left out, names are in byte order and include the index columns. Null where they are not known, in a store
/// that cannot be listed.
pub fn summary(tree: &Tree, view: &View) -> Value {
    let mut attributes = Map::new();
    for name in ATTRIBUTES {
        let members = members(tree, view, name);
        if is_unknown(tree, &join(view.root(), name)) {
            attributes.insert(name.to_owned(), Value::Null);
            continue;
        }
        if !members.is_empty() {
            attributes.insert(name.to_owned(), json!(members));
        }
    }
    // Null where it cannot be told.
    let rows = |axis: Axis| view.frame(tree, axis).ok().map(|frame| frame.rows);
    let shape = json!([rows(Axis::Observations), rows(Axis::Variables)]);
    json!({ "shape": shape, "attributes": attributes, "X": matrix(tree, view) })
}

/// What is found in the tree beyond an AnnData at its root: `{"view": "mudata", "views": {"mod/rna": {…}}}`,
/// where `views` are the summaries of the views below the root; empty for a plain AnnData and other trees.
pub fn views(tree: &Tree) -> Value {
    let mut found = Map::new();
    let below: Map<_, _> = View::below(tree).iter().map(|view| (view.root().to_owned(), summary(tree, view))).collect();
    let name = match View::at(tree, "") {
        Some(view) => Some(view.name()).filter(|name| *name != "anndata"),
        None if is_spatialdata(tree) => Some("spatialdata"),
        None => View::below(tree).first().map(View::name),
    };
    if let Some(name) = name {
        found.insert("view".to_owned(), json!(name));
    }
    if !below.is_empty() {
        found.insert("views".to_owned(), Value::Object(below));
    }
    Value::Object(found)
}

/// Whether the group at `path` holds what cannot be known: nothing lists it, and its attributes do not tell.
fn is_unknown(tree: &Tree, path: &str) -> bool {
    tree.by_name && matches!(tree.get(path), Some(Node::Group { attributes }) if named(attributes).is_none())
}

fn members(tree: &Tree, view: &View, name: &str) -> Vec<String> {
    if let Some(mut members) = view.seen_members(tree, name) {
        members.sort();
        return members;
    }
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
            "encoding": if matches!(column, Column::Transposed { .. }) { "array, transposed" } else { "array" },
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
