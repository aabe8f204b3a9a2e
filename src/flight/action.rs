//! Actions: JSON in, JSON out. The body of each is read whole before anything is done.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::entry::{artifact_json, entry_json};
use super::json::object;
use super::list::criteria;
use crate::engine::{Engine, Entry, Registration};
use crate::error::{Error, Result};
use crate::model::criteria::Criteria;
use crate::model::request::{SliceRequest, Source};
use crate::ticket;

/// Name and description of each action.
pub(super) const ACTIONS: [(&str, &str); 8] = [
    ("describe", "the summary of an artifact or collection; body: {\"key\": …} or uid, collection, url"),
    ("tree", "all nodes of a hierarchy or files of a folder; body as for describe"),
    ("search", "artifacts and collections, one result each; body: key_prefix, label, suffix, search, limit"),
    ("explain", "which ranges of which objects a slice would read; body: a slice request"),
    ("register", "adds a URL to the registry; body: url, key, labels, description; needs allow_register"),
    ("create_collection", "an ordered set of artifacts; body: key, artifacts, description; needs allow_register"),
    ("label", "attaches labels to an artifact; body: {\"key\": …, \"labels\": […]}; needs allow_register"),
    ("remove", "removes the record, never data; body as for describe; needs allow_register"),
];

/// An action with its body read.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Describe(Source),
    Tree(Source),
    Search(Criteria),
    Explain(Box<SliceRequest>),
    Register(Registration),
    CreateCollection(NewCollection),
    Label(Source, Vec<String>),
    Remove(Source),
}

/// Body of `create_collection`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCollection {
    key: String,
    artifacts: Vec<String>,
    #[serde(default)]
    description: Option<String>,
}

/// Body of the actions on one artifact or collection; `labels` only for `label`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    key: Option<String>,
    version: Option<String>,
    uid: Option<String>,
    collection: Option<String>,
    url: Option<String>,
    labels: Option<Vec<String>>,
}

/// Does the action `name` for a caller who may change the registry: the command line.
///
/// # Errors
/// As the server's action.
pub async fn act(engine: &Arc<Engine>, name: &str, body: &[u8]) -> Result<Vec<Value>> {
    run(engine, parse(name, body, true, ticket::MAX_TICKET_BYTES)?).await
}

/// Reads an action.
///
/// # Errors
/// `Unimplemented` for an unknown type, `PermissionDenied` for a change that is not allowed,
/// `InvalidArgument` naming an unknown or wrong field, `ResourceExhausted` for a body too long.
pub(super) fn parse(name: &str, body: &[u8], allow_register: bool, max_bytes: usize) -> Result<Call> {
    if body.len() > max_bytes {
        return Err(Error::resource_exhausted(format!(
            "body of action '{name}' has {} bytes, the limit is {max_bytes}",
            body.len()
        )));
    }
    if matches!(name, "register" | "create_collection" | "label" | "remove") && !allow_register {
        return Err(Error::permission_denied(format!(
            "action '{name}' changes the registry, which this server does not allow (allow_register is off)"
        )));
    }
    let call = match name {
        "describe" => target(body).map(Call::Describe),
        "tree" => target(body).map(Call::Tree),
        "search" => criteria(body).map(Call::Search),
        "explain" => ticket::decode_command(body, max_bytes).map(|request| Call::Explain(Box::new(request))),
        "register" => read(body).map(Call::Register),
        "create_collection" => read(body).map(Call::CreateCollection),
        "label" => labelled(body),
        "remove" => target(body).map(Call::Remove),
        _ => {
            let known: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).collect();
            return Err(Error::unimplemented(format!("unknown action '{name}'; known are {}", known.join(", "))));
        }
    };
    call.map_err(|error| error.context(format!("action '{name}'")))
}

/// Does an action; one JSON value per result.
///
/// # Errors
/// Those of the engine.
pub(super) async fn run(engine: &Arc<Engine>, call: Call) -> Result<Vec<Value>> {
    let one = match call {
        Call::Describe(source) => engine.describe(&source).await?,
        Call::Tree(source) => engine.tree(&source).await?,
        Call::Search(criteria) => return engine.list(&criteria).await?.iter().map(entry_json).collect(),
        Call::Explain(request) => engine.prepare(&request, &[]).await?.explain().await?,
        Call::Register(registration) => artifact_json(&engine.register(&registration).await?)?,
        Call::CreateCollection(NewCollection { key, artifacts, description }) => {
            let collection = engine.create_collection(&key, &artifacts, description.as_deref()).await?;
            entry_json(&Entry::Collection(collection))?
        }
        Call::Label(source, labels) => artifact_json(&engine.label(&source, &labels).await?)?,
        Call::Remove(source) => json!({"removed": engine.remove(&source).await?}),
    };
    Ok(vec![one])
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    object("body", body)
}

fn target(body: &[u8]) -> Result<Source> {
    match source_and_labels(body)? {
        (source, None) => Ok(source),
        (_, Some(_)) => Err(Error::invalid("unknown field 'labels'")),
    }
}

fn labelled(body: &[u8]) -> Result<Call> {
    match source_and_labels(body)? {
        (source, Some(labels)) if !labels.is_empty() => Ok(Call::Label(source, labels)),
        _ => Err(Error::invalid("'labels' is missing or empty, expected a list of names")),
    }
}

fn source_and_labels(body: &[u8]) -> Result<(Source, Option<Vec<String>>)> {
    let Target { key, version, uid, collection, url, labels } = read(body)?;
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
        (Some(source), None) => Ok((source, labels)),
        _ => Err(Error::invalid("expected exactly one of 'key', 'uid', 'collection', 'url'")),
    }
}
