//! Metadata of the answer's schema: where it comes from, and what pandas needs to restore its index.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};

use super::hierarchy::Resolved;
use super::selection_summary::selection_summary;
use crate::model::artifact::Artifact;
use crate::model::request::{Join, SliceRequest};

/// Attributes longer than this are left out of the metadata; the tree lists them.
const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;

/// The metadata that every answer from an artifact carries.
pub(super) fn of_artifact(artifact: &Artifact, node: &str, request: &SliceRequest) -> HashMap<String, String> {
    [
        ("sliceflight.uid", artifact.uid.clone()),
        ("sliceflight.key", artifact.key.clone()),
        ("sliceflight.version", artifact.version.to_string()),
        ("sliceflight.url", artifact.url.clone()),
        ("sliceflight.etag", artifact.etag.clone()),
        ("sliceflight.node", node.to_owned()),
        ("sliceflight.selection", selection_summary(request).to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// `schema` with the metadata of an answer from a hierarchy.
pub(super) fn of_resolved(resolved: &Resolved, artifact: &Artifact, request: &SliceRequest) -> SchemaRef {
    completed(resolved, of_artifact(artifact, &resolved.node, request))
}

/// The schema with the metadata of an answer from the joined members of the collection `key`.
pub(super) fn of_collection(resolved: &Resolved, key: &str, request: &SliceRequest) -> SchemaRef {
    let join = match request.join.unwrap_or_default() {
        Join::Inner => "inner",
        Join::Outer => "outer",
    };
    let metadata = [
        ("sliceflight.collection", key.to_owned()),
        ("sliceflight.join", join.to_owned()),
        ("sliceflight.node", resolved.node.clone()),
        ("sliceflight.selection", selection_summary(request).to_string()),
    ];
    completed(resolved, metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The schema of the answer with `metadata` and what the answer itself tells.
fn completed(resolved: &Resolved, mut metadata: HashMap<String, String>) -> SchemaRef {
    let attributes = &resolved.attributes;
    for (name, attribute) in
        [("sliceflight.encoding_type", "encoding-type"), ("sliceflight.encoding_version", "encoding-version")]
    {
        if let Some(value) = attributes.get(attribute).and_then(Value::as_str) {
            metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    metadata.insert("sliceflight.shape_before".to_owned(), json!(resolved.shape_before).to_string());
    metadata.insert("sliceflight.shape_after".to_owned(), json!(resolved.shape_after).to_string());
    let attributes = Value::Object(attributes.clone()).to_string();
    if attributes.len() <= MAX_ATTRIBUTES_BYTES {
        metadata.insert("sliceflight.attributes".to_owned(), attributes);
    }
    let schema = resolved.answer.schema();
    if resolved.is_frame {
        metadata.insert("pandas".to_owned(), pandas(schema.fields(), resolved.index.as_deref()).to_string());
    }
    // The value column of an array tells the shape of the whole answer.
    let last = schema.fields().len().saturating_sub(1);
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        if at != last || resolved.is_frame || field.metadata().contains_key("shape") {
            return Arc::clone(field);
        }
        let mut metadata = field.metadata().clone();
        metadata.insert("shape".to_owned(), json!(resolved.shape_after).to_string());
        if let Some(names) = &resolved.dimension_names {
            metadata.insert("dimension_names".to_owned(), json!(names).to_string());
            name_tensor(&mut metadata, names);
        }
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<arrow::datatypes::Fields>(), metadata))
}

/// Adds the names of a tensor's dimensions, those behind the rows, if each has one.
fn name_tensor(metadata: &mut HashMap<String, String>, names: &[Option<String>]) {
    let behind: Option<Vec<&String>> = names.iter().skip(1).map(Option::as_ref).collect();
    let is_tensor = metadata.get("ARROW:extension:name").is_some_and(|name| name == "arrow.fixed_shape_tensor");
    let (Some(behind), true) = (behind, is_tensor) else { return };
    if let Some(text) = metadata.get_mut("ARROW:extension:metadata")
        && let Ok(Value::Object(mut fields)) = serde_json::from_str(text)
    {
        fields.insert("dim_names".to_owned(), json!(behind));
        *text = Value::Object(fields).to_string();
    }
}

/// pandas' own schema metadata (pandas developer guide, "Storing pandas DataFrame objects in Apache
/// Parquet format"): column types, and which column is the index.
fn pandas(fields: &arrow::datatypes::Fields, index: Option<&str>) -> Value {
    let column = |field: &Arc<Field>| {
        // anndata names an index `_index` that has no name of its own.
        let unnamed = index == Some(field.name()) && field.name() == "_index";
        let (pandas_type, numpy_type, metadata) = pandas_type(field);
        json!({
            "name": if unnamed { Value::Null } else { json!(field.name()) },
            "field_name": field.name(), "pandas_type": pandas_type, "numpy_type": numpy_type, "metadata": metadata,
        })
    };
    let index_columns: Vec<_> = index.into_iter().collect();
    let names = json!([{
        "name": null, "field_name": null, "pandas_type": "unicode", "numpy_type": "object",
        "metadata": { "encoding": "UTF-8" },
    }]);
    json!({
        "index_columns": index_columns,
        "column_indexes": names,
        "columns": fields.iter().map(column).collect::<Vec<_>>(),
        "creator": { "library": "sliceflight", "version": env!("CARGO_PKG_VERSION") },
        "pandas_version": "2.0.0",
    })
}

fn times(pandas: &str, numpy: &str, unit: TimeUnit) -> (String, String, Value) {
    let unit = match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    (pandas.to_owned(), format!("{numpy}[{unit}]"), Value::Null)
}

/// pandas type, numpy type and metadata of a column.
fn pandas_type(field: &Field) -> (String, String, Value) {
    let plain = |name: &str| (name.to_owned(), name.to_owned(), Value::Null);
    let nullable = |pandas: &str, numpy: &str| {
        let numpy = if field.is_nullable() { numpy } else { pandas };
        (pandas.to_owned(), numpy.to_owned(), Value::Null)
    };
    match field.data_type() {
        ArrowType::Boolean => nullable("bool", "boolean"),
        ArrowType::Int8 => nullable("int8", "Int8"),
        ArrowType::Int16 => nullable("int16", "Int16"),
        ArrowType::Int32 => nullable("int32", "Int32"),
        ArrowType::Int64 => nullable("int64", "Int64"),
        ArrowType::UInt8 => nullable("uint8", "UInt8"),
        ArrowType::UInt16 => nullable("uint16", "UInt16"),
        ArrowType::UInt32 => nullable("uint32", "UInt32"),
        ArrowType::UInt64 => nullable("uint64", "UInt64"),
        ArrowType::Float16 => plain("float16"),
        ArrowType::Float32 => plain("float32"),
        ArrowType::Float64 => plain("float64"),
        ArrowType::Utf8 => ("unicode".to_owned(), "object".to_owned(), Value::Null),
        ArrowType::Dictionary(key, _) => {
            let codes = key.to_string().to_lowercase();
            let ordered = field.dict_is_ordered().unwrap_or(false);
            ("categorical".to_owned(), codes, json!({ "num_categories": null, "ordered": ordered }))
        }
        ArrowType::Timestamp(unit, _) => times("datetime", "datetime64", *unit),
        ArrowType::Duration(unit) => times("timedelta", "timedelta64", *unit),
        _ => ("object".to_owned(), "object".to_owned(), Value::Null),
    }
}
