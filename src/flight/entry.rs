//! Artifacts and collections as JSON for listings: what `search` and `ListFlights` show.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::artifact::Artifact;
use crate::model::lookup::LabelEntry;
use crate::model::page::Entry;

/// The JSON of an artifact, with `"type": "artifact"` and without its list of files.
///
/// # Errors
/// `Internal` when it has no JSON form.
pub fn artifact_json(artifact: &Artifact) -> Result<Value> {
    let mut value = serde_json::to_value(artifact)
        .map_err(|error| Error::internal("an artifact has no JSON form").with_source(error))?;
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("files");
        fields.shift_insert(0, "type".into(), "artifact".into());
    }
    Ok(value)
}

/// The JSON of an entry; a collection has `"type": "collection"`, the number of its artifacts, and the uid and
/// key of the first.
///
/// # Errors
/// As [`artifact_json`].
pub fn entry_json(entry: &Entry) -> Result<Value> {
    match entry {
        Entry::Artifact(artifact) => artifact_json(artifact),
        Entry::Collection(collection) => Ok(json!({
            "type": "collection",
            "uid": collection.uid,
            "key": collection.key,
            "n_artifacts": collection.n_artifacts,
            "artifacts": collection
                .artifacts
                .iter()
                .map(|(uid, key)| json!({"uid": uid, "key": key}))
                .collect::<Vec<_>>(),
            "description": collection.description,
            "created_at": collection.created_at,
            "created_by": collection.created_by,
        })),
    }
}

/// The JSON of a label; it has `"type": "label"`.
///
/// # Errors
/// As [`artifact_json`].
pub fn label_json(label: &LabelEntry) -> Result<Value> {
    let mut value =
        serde_json::to_value(label).map_err(|error| Error::internal("a label has no JSON form").with_source(error))?;
    if let Value::Object(fields) = &mut value {
        fields.shift_insert(0, "type".into(), "label".into());
    }
    Ok(value)
}
