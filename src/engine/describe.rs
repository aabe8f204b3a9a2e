//! The accessor summary and the tree of an artifact or collection, as JSON.

use serde_json::{Map, Value, json};

use super::open::Opened;
use super::{Engine, Found, listing};
use crate::error::Result;
use crate::format::Hierarchy;
use crate::format::anndata::summary;
use crate::format::anndata::view::View;
use crate::model::artifact::Artifact;
use crate::model::request::Source;
use crate::table::Table;

impl Engine {
    /// The accessor summary of an artifact or collection.
    ///
    /// # Errors
    /// `NotFound` and the errors of opening.
    pub async fn describe(&self, source: &Source) -> Result<Value> {
        match self.find(source).await? {
            Found::Artifact(artifact) => {
                let detail = match self.opened(&artifact, None).await? {
                    Opened::Hierarchy(open) => describe_hierarchy(&open.with_node("").await?)?,
                    Opened::Table(table) => describe_table(&table).await?,
                };
                Ok(merged(json!({ "artifact": artifact_json(&artifact) }), detail))
            }
            Found::Collection(collection) => {
                let members: Vec<_> = collection.artifacts.iter().map(artifact_json).collect();
                let head = json!({
                    "collection": { "uid": collection.uid, "key": collection.key,
                        "description": collection.description, "created_at": collection.created_at },
                    "members": members,
                });
                if let Some(detail) = self.describe_joined(&collection).await? {
                    return Ok(merged(head, detail));
                }
                let table = self.table_of(&collection.artifacts).await?;
                Ok(merged(head, describe_table(&table).await?))
            }
        }
    }

    /// All nodes (hierarchies) or files (folders, collections) of an artifact.
    ///
    /// # Errors
    /// As [`Engine::describe`].
    pub async fn tree(&self, source: &Source) -> Result<Value> {
        match self.find(source).await? {
            Found::Artifact(artifact) => {
                let detail = match self.opened(&artifact, None).await? {
                    Opened::Hierarchy(open) => {
                        let open = open.with_node("").await?;
                        merged(json!({ "nodes": listing::nodes_json(open.tree(), "")? }), incomplete(&open))
                    }
                    Opened::Table(_) => json!({ "files": files(&artifact) }),
                };
                Ok(merged(json!({ "artifact": artifact_json(&artifact) }), detail))
            }
            Found::Collection(collection) => {
                let member =
                    |artifact: &Artifact| json!({ "artifact": artifact_json(artifact), "files": files(artifact) });
                let members: Vec<_> = collection.artifacts.iter().map(member).collect();
                Ok(json!({ "collection": { "uid": collection.uid, "key": collection.key }, "members": members }))
            }
        }
    }
}

/// The record of an artifact without its list of files.
pub(super) fn artifact_json(artifact: &Artifact) -> Value {
    let mut value = serde_json::to_value(artifact).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.remove("files");
    }
    value
}

/// The files of a folder of shards, or the one file.
fn files(artifact: &Artifact) -> Value {
    if artifact.files.is_empty() {
        let name = artifact.url.rsplit('/').next().unwrap_or(&artifact.url);
        return json!([{ "path": name, "size": artifact.size, "etag": artifact.etag }]);
    }
    json!(artifact.files)
}

/// Says so where a listing has only what is known by name.
fn incomplete(open: &Hierarchy) -> Value {
    match open.tree().check_listed("") {
        Ok(()) => json!({}),
        Err(unknown) => json!({ "incomplete": unknown.message() }),
    }
}

fn describe_hierarchy(open: &Hierarchy) -> Result<Value> {
    let tree = open.tree();
    if let Some(view) = View::at(tree, "") {
        let summary = merged(summary::summary(tree, &view), summary::views(tree));
        return Ok(with_kind("anndata", merged(summary, incomplete(open))));
    }
    let kind = if matches!(open, Hierarchy::Hdf5(_)) { "hdf5" } else { "zarr" };
    let nodes = listing::nodes_json(tree, "")?;
    let detail = json!({ "nodes": nodes, "root_attributes": tree.attributes("") });
    Ok(with_kind(kind, merged(merged(summary::views(tree), detail), incomplete(open))))
}

async fn describe_table(table: &Table) -> Result<Value> {
    let schema = table.schema();
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() });
    let columns: Vec<_> = schema.fields().iter().map(column).collect();
    Ok(with_kind(
        "table",
        json!({ "schema": columns, "n_files": table.file_count(), "n_rows": table.count_rows().await? }),
    ))
}

fn with_kind(kind: &str, detail: Value) -> Value {
    merged(json!({ "kind": kind }), detail)
}

fn merged(head: Value, tail: Value) -> Value {
    let mut fields = Map::new();
    for part in [head, tail] {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    Value::Object(fields)
}
