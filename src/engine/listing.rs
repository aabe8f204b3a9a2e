//! The nodes below a group, as a table and as JSON.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder, UInt64Builder};
use arrow::array::{ListArray, ListBuilder};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::record_batch::RecordBatch;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::format::dimensions::dimension_names;
use crate::model::tree::{Node, Tree};

/// One row per node below `path`: path, kind, shape, dtype, chunks, filters, attributes (JSON), names of
/// dimensions.
///
/// # Errors
/// `NotFound` for a missing group.
pub(super) fn nodes(tree: &Tree, path: &str) -> Result<RecordBatch> {
    let below = below(tree, path)?;
    let texts = |value: fn(&Node) -> Option<String>| -> ArrayRef {
        Arc::new(below.iter().map(|(_, node)| value(node)).collect::<StringArray>())
    };
    let lengths = |value: fn(&Node) -> Option<&[u64]>| -> ArrayRef { Arc::new(lists(&below, value)) };
    let item = Arc::new(Field::new("item", ArrowType::UInt64, true));
    let list = ArrowType::List(item);
    let schema = Schema::new(vec![
        Field::new("path", ArrowType::Utf8, false),
        Field::new("kind", ArrowType::Utf8, false),
        Field::new("shape", list.clone(), true),
        Field::new("dtype", ArrowType::Utf8, true),
        Field::new("chunks", list, true),
        Field::new("filters", ArrowType::Utf8, true),
        Field::new("attributes", ArrowType::Utf8, true),
        Field::new("dimension_names", ArrowType::new_list(ArrowType::Utf8, true), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(below.iter().map(|(path, _)| Some(path.as_str())).collect::<StringArray>()),
        texts(|node| Some(kind(node).to_owned())),
        lengths(|node| array(node).map(|array| array.shape.as_slice())),
        texts(|node| array(node).map(|array| array.data_type.name())),
        lengths(|node| array(node).map(|array| array.chunk_shape.as_slice())),
        texts(|node| array(node).map(|array| array.filters.join(", "))),
        texts(|node| attributes(node).map(|attributes| Value::Object(attributes.clone()).to_string())),
        Arc::new(names(&below)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| Error::internal("the listing of nodes does not form a table").with_source(error))
}

/// The nodes below `path` as a JSON list, in the order of their paths.
///
/// # Errors
/// `NotFound` for a missing group.
pub(super) fn nodes_json(tree: &Tree, path: &str) -> Result<Value> {
    let node = |(path, node): &(String, &Node)| match node {
        Node::Array(array) => json!({
            "path": path, "kind": "array", "shape": array.shape, "dtype": array.data_type.name(),
            "chunks": array.chunk_shape, "filters": array.filters, "attributes": array.attributes,
            "dimension_names": dimension_names(array),
        }),
        Node::Group { attributes } => json!({ "path": path, "kind": "group", "attributes": attributes }),
        Node::Unreadable { reason } => json!({ "path": path, "kind": "unreadable", "reason": reason }),
    };
    Ok(Value::Array(below(tree, path)?.iter().map(node).collect()))
}

/// Nodes below `path`, or the node itself when it is an array.
fn below<'a>(tree: &'a Tree, path: &str) -> Result<Vec<(String, &'a Node)>> {
    let path = tree.canonical(path);
    let node = tree.get(&path).ok_or_else(|| tree.missing(&path))?;
    if let Node::Array(_) = node {
        return Ok(vec![(path, node)]);
    }
    let prefix = if path.is_empty() { path } else { path + "/" };
    let nodes = tree.nodes.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    Ok(nodes.filter(|(path, _)| !path.is_empty()).map(|(path, node)| (path.clone(), node)).collect())
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::Group { .. } => "group",
        Node::Array(_) => "array",
        Node::Unreadable { .. } => "unreadable",
    }
}

fn array(node: &Node) -> Option<&crate::model::tree::ArrayNode> {
    match node {
        Node::Array(array) => Some(array),
        _ => None,
    }
}

fn attributes(node: &Node) -> Option<&crate::model::tree::Attributes> {
    match node {
        Node::Array(array) => Some(&array.attributes),
        Node::Group { attributes } => Some(attributes),
        Node::Unreadable { .. } => None,
    }
}

fn lists(nodes: &[(String, &Node)], value: fn(&Node) -> Option<&[u64]>) -> ListArray {
    let mut builder = ListBuilder::new(UInt64Builder::new());
    for (_, node) in nodes {
        match value(node) {
            None => builder.append_null(),
            Some(lengths) => {
                builder.values().append_slice(lengths);
                builder.append(true);
            }
        }
    }
    builder.finish()
}

/// Names of dimensions; null for arrays that have none.
fn names(nodes: &[(String, &Node)]) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for (_, node) in nodes {
        match array(node).and_then(dimension_names) {
            None => builder.append_null(),
            Some(names) => builder.append_value(names),
        }
    }
    builder.finish()
}
