use super::*;
use crate::model::tree::{ArrayNode, Attributes};

fn group(attributes: serde_json::Value) -> Node {
    let attributes = attributes.as_object().cloned().unwrap_or_default();
    Node::Group { attributes }
}

fn array(shape: &[u64], data_type: DataType) -> Node {
    Node::Array(ArrayNode {
        shape: shape.to_vec(),
        is_null: false,
        data_type,
        chunk_shape: shape.to_vec(),
        filters: Vec::new(),
        partly_readable: true,
        attributes: Attributes::new(),
        storage: serde_json::Value::Null,
    })
}

fn tree(nodes: Vec<(&str, Node)>) -> Tree {
    Tree { nodes: nodes.into_iter().map(|(path, node)| (path.to_owned(), node)).collect() }
}

/// The nodes of an AnnData of `rows` observations and 2 variables at `root`.
fn anndata(root: &str, rows: u64) -> Vec<(String, Node)> {
    let frame =
        || group(serde_json::json!({ "encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "i" }));
    let own = group(serde_json::json!({ "encoding-type": "anndata", "encoding-version": "0.1.0" }));
    vec![
        (root.to_owned(), own),
        (join(root, "X"), array(&[rows, 2], DataType::Float32)),
        (join(root, "obs"), frame()),
        (join(root, "obs/i"), array(&[rows], DataType::String)),
        (join(root, "var"), frame()),
        (join(root, "var/i"), array(&[2], DataType::String)),
    ]
}

#[test]
fn nested_views_answer_for_their_own_paths() {
    let mut found = tree(vec![("", group(serde_json::json!({}))), ("tables", group(serde_json::json!({})))]);
    found.nodes.extend(anndata("tables/a", 3));
    found.nodes.extend(anndata("tables/b", 5));
    let (view, node) = View::locate(&found, "/tables//b/X");
    let view = view.unwrap();
    assert_eq!((view.root(), node.as_str()), ("tables/b", "tables/b/X"));
    assert_eq!(view.axes(&node), [Axis::Observations, Axis::Variables]);
    let frame = view.frame(&found, Axis::Observations).unwrap();
    assert_eq!((frame.path.as_str(), frame.rows), ("tables/b/obs", 5));
    assert_eq!(View::locate(&found, "tables/a").1, "tables/a/obs");
    assert_eq!(View::locate(&found, "tables"), (None, "tables".to_owned()));
    assert_eq!(View::locate(&found, ""), (None, String::new()));
}

#[test]
fn an_anndata_in_uns_is_a_value_and_a_view() {
    let mut found = Tree::default();
    found.nodes.extend(anndata("", 3));
    found.nodes.insert("uns".to_owned(), group(serde_json::json!({})));
    found.nodes.extend(anndata("uns/inner", 4));
    let (view, node) = View::locate(&found, "uns/inner");
    assert_eq!((view.unwrap().root(), node.as_str()), ("", "uns/inner"));
    let (view, node) = View::locate(&found, "uns/inner/X");
    let view = view.unwrap();
    assert!(!view.is_mapping(&node));
    assert_eq!(view.frame(&found, Axis::Observations).unwrap().rows, 4);
    assert_eq!(View::locate(&found, "").1, "obs");
}
