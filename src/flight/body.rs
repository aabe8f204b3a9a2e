//! Bodies of the actions: one JSON object each.

use serde::{Deserialize, Deserializer};

use super::json::object;
use crate::error::{Error, Result};
use crate::model::criteria::FeatureLabel;
use crate::model::request::Source;

/// Body of `create_collection`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCollection {
    pub(super) key: String,
    pub(super) artifacts: Vec<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// Body of `change_collection`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedCollection {
    pub(super) collection: String,
    #[serde(default)]
    pub(super) add: Vec<String>,
    #[serde(default)]
    pub(super) remove: Vec<String>,
}

/// Body of `expand`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pub(super) url: String,
}

/// Body of the actions on one artifact or collection; `labels` and `description` only for those that take
/// them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    key: Option<String>,
    version: Option<String>,
    uid: Option<String>,
    collection: Option<String>,
    url: Option<String>,
    labels: Option<Vec<FeatureLabel>>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
}

/// Body of `build_index`.
#[derive(Deserialize)]
struct MatrixBody {
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    wait: Option<bool>,
    #[serde(flatten)]
    target: serde_json::Map<String, serde_json::Value>,
}

/// A value that was written, also when it is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// One artifact or collection.
///
/// # Errors
/// `InvalidArgument` saying what is wrong.
pub(super) fn target(body: &[u8]) -> Result<Source> {
    let (source, labels, description) = read(body)?;
    match (labels, description) {
        (None, None) => Ok(source),
        (Some(_), _) => Err(Error::invalid("unknown field 'labels'")),
        (_, Some(_)) => Err(Error::invalid("unknown field 'description'")),
    }
}

/// One artifact, and labels.
///
/// # Errors
/// As [`target`].
pub(super) fn labelled(body: &[u8]) -> Result<(Source, Vec<FeatureLabel>)> {
    match read(body)? {
        (_, _, Some(_)) => Err(Error::invalid("unknown field 'description'")),
        (source, Some(labels), None) if !labels.is_empty() => Ok((source, labels)),
        _ => Err(Error::invalid("'labels' is missing or empty, expected a list of labels")),
    }
}

/// One artifact or collection, and a description or null.
///
/// # Errors
/// As [`target`].
pub(super) fn described(body: &[u8]) -> Result<(Source, Option<String>)> {
    match read(body)? {
        (_, Some(_), _) => Err(Error::invalid("unknown field 'labels'")),
        (source, None, Some(description)) => Ok((source, description)),
        (_, None, None) => Err(Error::invalid("'description' is missing, expected a text or null")),
    }
}

/// One artifact, a node of it (`X` when none is named), and whether to wait (as when nothing is said).
///
/// # Errors
/// As [`target`].
pub(super) fn matrix(body: &[u8]) -> Result<(Source, String, bool)> {
    let MatrixBody { node, wait, target } = object("body", body)?;
    let source = self::target(serde_json::Value::Object(target).to_string().as_bytes())?;
    Ok((source, node.unwrap_or_else(|| "X".to_owned()), wait.unwrap_or(true)))
}

type Parts = (Source, Option<Vec<FeatureLabel>>, Option<Option<String>>);

fn read(body: &[u8]) -> Result<Parts> {
    let Target { key, version, uid, collection, url, labels, description } = object("body", body)?;
    let has_key = key.is_some();
    let given = [
        key.map(|key| Source::Key { key, version: version.clone() }),
        uid.map(Source::Uid),
        collection.map(Source::Collection),
        url.map(Source::Url),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(_), None) if version.is_some() && !has_key => Err(Error::invalid("'version' goes with 'key'")),
        (Some(source), None) => Ok((source, labels, description)),
        _ => Err(Error::invalid("expected exactly one of 'key', 'uid', 'collection', 'url'")),
    }
}
