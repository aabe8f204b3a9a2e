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
    Tree { nodes: nodes.into_iter().map(|(path, node)| (path.to_owned(), node)).collect(), by_name: false }
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
    assert_eq!(view.axes(&found, &node), [Axis::Observations, Axis::Variables]);
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

/// A Loom file of 4 genes and 3 cells.
fn loom() -> Tree {
    tree(vec![
        ("", group(serde_json::json!({}))),
        ("matrix", array(&[4, 3], DataType::Float32)),
        ("layers", group(serde_json::json!({}))),
        ("layers/spliced", array(&[4, 3], DataType::Float32)),
        ("row_attrs", group(serde_json::json!({}))),
        ("row_attrs/Gene", array(&[4], DataType::String)),
        ("col_attrs", group(serde_json::json!({}))),
        ("col_attrs/CellID", array(&[3], DataType::String)),
        ("col_attrs/Age", array(&[3], DataType::Float64)),
        ("col_attrs/Embedding", array(&[3, 2], DataType::Float64)),
    ])
}

fn names(frame: &Frame) -> Vec<&str> {
    frame.columns.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_loom_file_is_the_transpose_of_what_it_stores() {
    let found = loom();
    let view = View::at(&found, "").unwrap();
    assert_eq!((view.name(), View::below(&found).len()), ("loom", 0));
    let Meaning::Column(matrix) = view.meaning(&found, "X").unwrap() else { panic!("X is no array") };
    assert_eq!(matrix.shape(&found).unwrap(), [3, 4]);
    let obs = view.frame(&found, Axis::Observations).unwrap();
    assert_eq!((names(&obs), obs.index.as_deref(), obs.rows), (vec!["Age", "CellID"], Some("CellID"), 3));
    assert_eq!(view.axes(&found, "matrix"), [Axis::Variables, Axis::Observations]);
    assert!(matches!(view.meaning(&found, "obsm/Embedding").unwrap(), Meaning::Column(_)));
}

#[test]
fn a_loom_file_whose_parts_differ_in_length_is_refused() {
    let kind = |path: &str, node: Node, asked: &str| {
        let mut found = loom();
        found.nodes.insert(path.to_owned(), node);
        View::at(&found, "").unwrap().meaning(&found, asked).unwrap_err().kind()
    };
    use crate::error::Kind::DataLoss;
    assert_eq!(kind("layers/spliced", array(&[4, 4], DataType::Float32), "layers/spliced"), DataLoss);
    assert_eq!(kind("col_attrs/Age", array(&[2], DataType::Float64), "obs"), DataLoss);
    assert_eq!(kind("row_attrs/Gene", array(&[3], DataType::String), "var"), DataLoss);
}

/// The nodes of a count matrix of 3 cells and 4 genes in `group`, as version 2 of Cell Ranger has them.
fn counts(group: &str) -> Vec<(String, Node)> {
    let mut nodes = vec![(group.to_owned(), self::group(serde_json::json!({})))];
    let lengths = [("barcodes", 3), ("data", 7), ("indices", 7), ("indptr", 4), ("genes", 4), ("gene_names", 4)];
    nodes.extend(lengths.map(|(name, length)| (join(group, name), array(&[length], DataType::Int64))));
    nodes
}

#[test]
fn the_only_genome_is_the_view_of_the_root() {
    let mut found = tree(vec![("", group(serde_json::json!({}))), ("hg-19x", group(serde_json::json!({})))]);
    found.nodes.extend(counts("hg"));
    let (view, node) = View::locate(&found, "X");
    let view = view.unwrap();
    let Meaning::Sparse(matrix) = view.meaning(&found, &node).unwrap() else { panic!("X is not sparse") };
    assert_eq!((matrix.path.as_str(), matrix.major, matrix.shape), ("hg", 0, [3, 4]));
    assert_eq!(names(&view.frame(&found, Axis::Variables).unwrap()), ["gene_ids", "_index"]);
    assert_eq!(View::locate(&found, "hg/X").0.unwrap().axes(&found, "hg/barcodes"), [Axis::Observations]);
    assert_eq!(View::locate(&found, "hg").1, "hg");
    found.nodes.extend(counts("mm"));
    assert!(View::at(&found, "").is_none());
    let below = View::below(&found);
    assert_eq!(below.iter().map(View::root).collect::<Vec<_>>(), ["hg", "mm"]);
}

#[test]
fn lists_of_features_follow_the_variables_and_other_lists_beside_them_do_not() {
    let mut found = tree(vec![("", group(serde_json::json!({})))]);
    found.nodes.extend(counts("matrix"));
    found.nodes.insert("matrix/features".to_owned(), group(serde_json::json!({})));
    for (name, length) in [("id", 4), ("name", 4), ("read", 4), ("_all_tag_keys", 1), ("target_sets/panel", 2)] {
        found.nodes.insert(format!("matrix/features/{name}"), array(&[length], DataType::String));
    }
    let axes = |path: &str| {
        let (view, node) = View::locate(&found, path);
        view.unwrap().axes(&found, &node)
    };
    for name in ["id", "name", "read"] {
        assert_eq!(axes(&format!("matrix/features/{name}")), [Axis::Variables], "{name}");
    }
    for name in ["_all_tag_keys", "target_sets/panel", "none"] {
        assert!(axes(&format!("matrix/features/{name}")).is_empty(), "{name}");
    }
    let (view, node) = View::locate(&found, "var");
    let Meaning::Frame(var) = view.unwrap().meaning(&found, &node).unwrap() else { panic!("var is no frame") };
    assert_eq!(names(&var), ["gene_ids", "read", "_index"]);
}

#[test]
fn counts_whose_parts_differ_in_length_are_refused() {
    for (part, length) in [("indptr", 5), ("indices", 6), ("genes", 3), ("barcodes", 4)] {
        let mut found = tree(vec![("", group(serde_json::json!({})))]);
        found.nodes.extend(counts("hg"));
        found.nodes.insert(join("hg", part), array(&[length], DataType::Int64));
        let error = View::at(&found, "").unwrap().meaning(&found, "X").unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::DataLoss, "{part}");
    }
}

#[test]
fn modalities_are_found_without_encodings() {
    let mut found = Tree::default();
    for root in ["", "mod/rna", "mod/prot"] {
        found.nodes.extend(anndata(root, 3));
        found.nodes.insert(root.to_owned(), group(serde_json::json!({})));
    }
    found.nodes.insert("mod".to_owned(), group(serde_json::json!({})));
    let view = View::at(&found, "").unwrap();
    assert_eq!((view.name(), view.axes(&found, "obsmap/rna")), ("mudata", &[Axis::Observations][..]));
    assert_eq!(View::below(&found).iter().map(View::root).collect::<Vec<_>>(), ["mod/prot", "mod/rna"]);
    assert_eq!(View::locate(&found, "mod/rna").1, "mod/rna/obs");
    assert_eq!(View::locate(&found, "mod").1, "mod");
}
