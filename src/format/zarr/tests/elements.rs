//! Every node and every element of every fixture equals what the reference reader found.

use serde_json::{Value, json};

use super::folder::{MemoryFolder, expected, fetch, open, positions, read_all};
use crate::error::Kind;
use crate::format::zarr::ZarrStore;
use crate::model::chunk::Elements;
use crate::model::data_type::DataType;
use crate::model::tree::Node;

/// numpy's name of a type, without byte order.
fn numpy_name(data_type: &DataType) -> String {
    match data_type {
        DataType::FixedString { length, .. } => format!("|S{length}"),
        DataType::FixedUtf32 { length } => format!("<U{length}"),
        DataType::String => "StringDType()".into(),
        DataType::Binary => "object".into(),
        DataType::Opaque { size } => format!("|V{size}"),
        other => other.name(),
    }
}

/// `dtype` as numpy prints it, without big-endian byte order.
fn without_order(dtype: &str) -> String {
    let kinds = [("i", "int"), ("u", "uint"), ("f", "float"), ("c", "complex")];
    match dtype.strip_prefix('>') {
        Some(rest) if rest.starts_with('U') => format!("<{rest}"),
        Some(rest) if rest.starts_with("M8") => rest.replacen("M8", "datetime64", 1),
        Some(rest) if rest.starts_with("m8") => rest.replacen("m8", "timedelta64", 1),
        Some(rest) => {
            let (_, name) = kinds.iter().find(|(kind, _)| rest.starts_with(kind)).unwrap();
            format!("{name}{}", rest[1..].parse::<u32>().unwrap() * 8)
        }
        None => dtype.to_owned(),
    }
}

async fn check_array(store: &ZarrStore, name: &str, path: &str, node: &Value) {
    let label = format!("{name}/{path}");
    let array = store.tree().array(path).unwrap();
    assert_eq!(json!(array.shape), node["shape"], "{label}");
    assert_eq!(json!(array.chunk_shape), node["chunks"], "{label}");
    let Some(crc) = node.get("crc32") else {
        let error = store.decoder(path).unwrap_err();
        assert_eq!(error.kind(), Kind::Unimplemented, "{label}: {error:?}");
        assert!(matches!(array.data_type, DataType::Unsupported { .. }), "{label}");
        return;
    };
    let dtype = node["dtype"].as_str().unwrap();
    if dtype.starts_with('[') {
        let DataType::Struct { fields, .. } = &array.data_type else { panic!("{label}") };
        let names: Vec<String> = fields.iter().map(|field| format!("('{}',", field.name)).collect();
        assert!(names.iter().all(|name| dtype.contains(name)), "{label}: {names:?}");
    } else {
        assert_eq!(numpy_name(&array.data_type), without_order(dtype), "{label}");
    }
    let elements = read_all(store, path).await.unwrap_or_else(|error| panic!("{label}: {error:?}"));
    let bytes = elements.concat();
    assert_eq!(json!(bytes.len()), node["bytes"], "{label}");
    assert_eq!(json!(libdeflater::crc32(&bytes)), *crc, "{label}: {:?}, expected {}", elements.first(), node["values"]);
}

#[tokio::test]
async fn every_element_equals_the_reference_readers() {
    let mut arrays = 0;
    for (name, nodes) in expected() {
        let store = open(MemoryFolder::fixture(&name)).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let paths: Vec<&String> = store.tree().nodes.keys().collect();
        assert_eq!(paths, nodes.keys().collect::<Vec<_>>(), "{name}");
        for (path, node) in &nodes {
            let attributes = store.tree().attributes(path).unwrap();
            assert_eq!(Value::Object(attributes.clone()), node["attributes"], "{name}/{path}");
            assert_eq!(node.get("shape").is_none(), store.tree().is_group(path), "{name}/{path}");
            if node.get("shape").is_some() {
                check_array(&store, &name, path, node).await;
                arrays += 1;
            }
        }
    }
    assert!(arrays > 300, "{arrays}");
}

/// A part of a partly readable chunk decodes to the same elements as the whole.
#[tokio::test]
async fn parts_equal_the_whole_where_they_may_be_read() {
    let mut seen = 0;
    for name in expected().keys() {
        let store = open(MemoryFolder::fixture(name)).await.unwrap();
        for (path, node) in &store.tree().nodes {
            let Node::Array(array) = node else { continue };
            if !array.partly_readable {
                continue;
            }
            let (decoder, size) = (store.decoder(path).unwrap(), array.data_type.item_size());
            for position in positions(&array.grid()) {
                let Some(bytes) = fetch(&store, path, &position).await.unwrap() else { continue };
                let Elements::Fixed(whole) = decoder.decode(Some(bytes.clone())).unwrap() else { panic!() };
                let count = bytes.len() / size;
                let (start, end) = (count / 3 * size, (count / 3 + count.div_ceil(2)).min(count) * size);
                let part = decoder.decode_part(bytes.slice(start..end)).unwrap();
                assert_eq!(part, Elements::Fixed(whole.slice(start..end)), "{name}/{path}");
                assert_eq!(decoder.decode_part(bytes.slice(0..0)).unwrap(), Elements::Fixed(bytes.slice(0..0)));
                if size > 1 {
                    let error = decoder.decode_part(bytes.slice(0..size - 1)).unwrap_err();
                    assert_eq!(error.kind(), Kind::DataLoss);
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

/// Exactly the arrays whose bytes are their elements are partly readable.
#[tokio::test]
async fn only_plain_chunks_are_partly_readable() {
    let rows = [
        ("codecs_v2", vec!["none"]),
        ("codecs_v3", vec!["none"]),
        ("fortran_v2", vec!["line", "scalar"]),
        ("sharding_v3", vec!["plain"]),
        ("types_v3", vec![]),
    ];
    for (name, plain) in rows {
        let store = open(MemoryFolder::fixture(name)).await.unwrap();
        let is_plain = |node: &Node| matches!(node, Node::Array(array) if array.partly_readable);
        let found: Vec<&str> =
            store.tree().nodes.iter().filter(|(_, node)| is_plain(node)).map(|(path, _)| path.as_str()).collect();
        assert_eq!(found, plain, "{name}");
    }
}

/// Chunks without a filter are handed on, not copied.
#[tokio::test]
async fn plain_chunks_are_not_copied() {
    let store = open(MemoryFolder::fixture("codecs_v3")).await.unwrap();
    let bytes = fetch(&store, "none", &[0, 0]).await.unwrap().unwrap();
    let Elements::Fixed(decoded) = store.decoder("none").unwrap().decode(Some(bytes.clone())).unwrap() else {
        panic!()
    };
    assert_eq!(decoded.as_ptr(), bytes.as_ptr());
}
