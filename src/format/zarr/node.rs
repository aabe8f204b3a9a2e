//! From metadata documents to the nodes of a tree.
//!
//! An array that is described well but cannot be served (another chunk grid, an extension that must
//! be understood) is listed as unreadable with the reason; a document that contradicts zarr's
//! specification is corrupt and fails the open.

use serde_json::{Map, Value, json};

use super::data_type;
use super::documents::{Documents, NodeDocuments};
use super::shard::Sharding;
use crate::error::{Error, Result, ResultExt};
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Attributes, Node, Tree, join};

/// Fields of a version 3 array that are not extensions.
const V3_ARRAY_FIELDS: [&str; 10] = [
    "zarr_format",
    "node_type",
    "shape",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
    "fill_value",
    "codecs",
    "storage_transformers",
    "dimension_names",
];

/// The tree that `documents` describe. Groups above a node that have no document are added.
///
/// # Errors
/// `DataLoss` naming the document that is corrupt.
pub(super) fn tree(documents: Documents) -> Result<Tree> {
    let mut tree = Tree::default();
    for (path, documents) in documents {
        if let Some(node) = node(&path, documents)? {
            tree.nodes.insert(path, node);
        }
    }
    let paths: Vec<String> = tree.nodes.keys().cloned().collect();
    for path in paths {
        let mut parent = path.as_str();
        while !parent.is_empty() {
            parent = parent.rsplit_once('/').map_or("", |(parent, _)| parent);
            tree.nodes.entry(parent.to_owned()).or_insert_with(|| Node::Group { attributes: Attributes::new() });
        }
    }
    Ok(tree)
}

/// One node; `None` when there are attributes but neither group nor array.
fn node(path: &str, documents: NodeDocuments) -> Result<Option<Node>> {
    let object = |name: &str| format!("object '{}'", join(path, name));
    if let Some(document) = documents.v3 {
        return v3(document).with_context(|| object("zarr.json")).map(Some);
    }
    let attributes = match documents.attributes {
        Some(document) => fields(document).with_context(|| object(".zattrs"))?,
        None => Attributes::new(),
    };
    if let Some(document) = documents.array {
        return v2_array(document, attributes).with_context(|| object(".zarray")).map(Some);
    }
    let Some(document) = documents.group else { return Ok(None) };
    let group = fields(document).with_context(|| object(".zgroup"))?;
    check_format(&group, 2).with_context(|| object(".zgroup"))?;
    Ok(Some(Node::Group { attributes }))
}

fn v3(document: Value) -> Result<Node> {
    let mut document = fields(document)?;
    check_format(&document, 3)?;
    document.remove("consolidated_metadata");
    let attributes = match document.remove("attributes") {
        None | Some(Value::Null) => Attributes::new(),
        Some(attributes) => fields(attributes).with_context(|| "attributes")?,
    };
    match document.get("node_type").and_then(Value::as_str) {
        Some("group") => Ok(Node::Group { attributes }),
        Some("array") => v3_array(document, attributes),
        _ => Err(corrupt("node_type", "'group' or 'array'", document.get("node_type"))),
    }
}

fn v3_array(mut document: Map<String, Value>, attributes: Attributes) -> Result<Node> {
    if let Some(reason) = v3_refusal(&document)? {
        return Ok(Node::Unreadable { reason });
    }
    document.retain(|field, _| V3_ARRAY_FIELDS.contains(&field.as_str()));
    let shape = lengths(document.get("shape"), "shape")?;
    let chunk_shape =
        chunk_shape(&shape, document.get("chunk_grid").and_then(|grid| grid.pointer("/configuration/chunk_shape")))?;
    if let Some(stored) = document.get_mut("chunk_grid").and_then(|grid| grid.pointer_mut("/configuration/chunk_shape"))
    {
        *stored = json!(chunk_shape);
    }
    let filters = names(document.get("codecs").unwrap_or(&Value::Null))?;
    let data_type = data_type::from_v3(document.get("data_type").unwrap_or(&Value::Null));
    let storage = Value::Object(document);
    let (chunk_shape, chunk_codecs) = match Sharding::of(&storage) {
        Some(sharding) => (sharding.chunk_shape, names(&sharding.codecs)?),
        None => (chunk_shape, filters.clone()),
    };
    let partly_readable = chunk_codecs == ["bytes"] && is_plain(&data_type);
    Ok(Node::Array(ArrayNode {
        shape,
        is_null: false,
        data_type,
        chunk_shape,
        filters,
        partly_readable,
        attributes,
        storage,
    }))
}

/// The names of a list of codecs.
fn names(codecs: &Value) -> Result<Vec<String>> {
    let Value::Array(list) = codecs else { return Err(corrupt("codecs", "a list", Some(codecs))) };
    list.iter().map(|codec| name_of(codec, "name")).collect()
}

/// Why an array cannot be served although its document is well formed.
fn v3_refusal(document: &Map<String, Value>) -> Result<Option<String>> {
    let grid = name_of(document.get("chunk_grid").unwrap_or(&Value::Null), "name").with_context(|| "chunk_grid")?;
    if grid != "regular" {
        return Ok(Some(format!("chunk grid '{grid}' is not supported, only 'regular' is")));
    }
    if let Some(Value::Array(transformers)) = document.get("storage_transformers")
        && let Some(transformer) = transformers.first()
    {
        return Ok(Some(format!("storage transformer '{}' is not supported", name_of(transformer, "name")?)));
    }
    let must_understand = |value: &Value| value.get("must_understand") != Some(&Value::Bool(false));
    let extension =
        document.iter().find(|(field, value)| !V3_ARRAY_FIELDS.contains(&field.as_str()) && must_understand(value));
    Ok(extension.map(|(field, _)| format!("extension '{field}' must be understood and is not supported")))
}

fn v2_array(document: Value, attributes: Attributes) -> Result<Node> {
    let mut document = fields(document)?;
    check_format(&document, 2)?;
    let shape = lengths(document.get("shape"), "shape")?;
    let chunk_shape = chunk_shape(&shape, document.get("chunks"))?;
    document.insert("chunks".into(), json!(chunk_shape));
    let order = document.get("order").and_then(Value::as_str);
    let Some(order @ ("C" | "F")) = order else {
        return Err(corrupt("order", "'C' or 'F'", document.get("order")));
    };
    let mut filters = Vec::new();
    if let Some(Value::Array(stored)) = document.get("filters") {
        filters = stored.iter().map(|filter| name_of(filter, "id")).collect::<Result<_>>()?;
    }
    let data_type = data_type::from_v2(document.get("dtype").unwrap_or(&Value::Null), &filters);
    if let Some(compressor) = document.get("compressor").filter(|compressor| !compressor.is_null()) {
        filters.push(name_of(compressor, "id")?);
    }
    let partly_readable = filters.is_empty() && is_plain(&data_type) && (order == "C" || shape.len() < 2);
    if shape.len() < 2 {
        // Both orders are the same here, and the codec library relies on a transposition having axes.
        document.insert("order".into(), json!("C"));
    }
    Ok(Node::Array(ArrayNode {
        shape,
        is_null: false,
        data_type,
        chunk_shape,
        filters,
        partly_readable,
        attributes,
        storage: Value::Object(document),
    }))
}

/// Whether elements lie in a chunk as they are, but for byte order.
fn is_plain(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::String | DataType::Binary | DataType::Unsupported { .. })
}

/// The shape of a chunk, one positive length per dimension of `shape`.
fn chunk_shape(shape: &[u64], stored: Option<&Value>) -> Result<Vec<u64>> {
    let mut chunks = lengths(stored, "chunk shape")?;
    if chunks.len() != shape.len() {
        let message = format!("chunk shape {chunks:?} and shape {shape:?} differ in their number of dimensions");
        return Err(Error::data_loss(message));
    }
    for (chunk, length) in chunks.iter_mut().zip(shape) {
        match (*chunk, *length) {
            // Some writers give an empty axis chunks of 0; there are no elements either way.
            (0, 0) => *chunk = 1,
            (0, _) => return Err(Error::data_loss(format!("shape {shape:?} has a chunk length of 0"))),
            _ => {}
        }
    }
    Ok(chunks)
}

fn lengths(value: Option<&Value>, field: &str) -> Result<Vec<u64>> {
    let lengths = value.and_then(Value::as_array).map(|list| list.iter().map(Value::as_u64).collect());
    match lengths {
        Some(Some(lengths)) => Ok(lengths),
        _ => Err(corrupt(field, "a list of lengths", value)),
    }
}

fn fields(document: Value) -> Result<Map<String, Value>> {
    match document {
        Value::Object(fields) => Ok(fields),
        other => Err(corrupt("document", "an object", Some(&other))),
    }
}

fn check_format(document: &Map<String, Value>, expected: u64) -> Result<()> {
    let format = document.get("zarr_format");
    if format.and_then(Value::as_u64) == Some(expected) {
        return Ok(());
    }
    Err(corrupt("zarr_format", &expected.to_string(), format))
}

/// The name in an extension's metadata: the text itself, or its field `key`.
fn name_of(extension: &Value, key: &str) -> Result<String> {
    let name = extension.as_str().or_else(|| extension.get(key)?.as_str());
    name.map(str::to_owned).ok_or_else(|| corrupt(key, "a name", Some(extension)))
}

/// The longest piece of a document that an error message shows, in characters.
const MAX_SHOWN: usize = 80;

fn corrupt(field: &str, expected: &str, found: Option<&Value>) -> Error {
    let found: String = found.map_or("nothing".into(), |value| value.to_string().chars().take(MAX_SHOWN).collect());
    Error::data_loss(format!("{field}: expected {expected}, found {found}"))
}
