//! Actions: JSON in, JSON out. The body of each is read whole before anything is done.

use std::sync::Arc;

use serde_json::{Value, json};

use super::body::{ChangedCollection, NewCollection, Pattern, described, labelled, matrix, target};
use super::entry::{artifact_json, entry_json, label_json};
use super::json::object;
use super::list::criteria;
use crate::engine::{Engine, Registered, Registration};
use crate::error::{Error, Result};
use crate::model::criteria::{Criteria, FeatureLabel};
use crate::model::lookup::{Lookup, LookupOf};
use crate::model::page::{Entry, Page};
use crate::model::request::{SliceRequest, Source};
use crate::ticket;

/// Name and description of each action.
pub(super) const ACTIONS: [(&str, &str); 16] = [
    ("describe", "the summary of an artifact or collection; body: {\"key\": …} or uid, collection, url"),
    ("tree", "all nodes of a hierarchy or files of a folder; body as for describe"),
    ("search", "a page of artifacts and collections, one result each; body: criteria as for ListFlights"),
    (
        "lookup",
        "a page of labels or collections, one result each; body: of, prefix, search, feature, limit, page_token",
    ),
    (
        "build_index",
        "builds the column index of a sparse matrix; body: as for describe, node, wait; needs allow_register",
    ),
    ("explain", "which ranges of which objects a slice would read; body: a slice request"),
    (
        "expand",
        "the objects that a pattern of URLs means; body: {\"url\": \"s3://bucket/*.h5ad\"}; needs allow_register",
    ),
    ("register", "adds a URL to the registry; body: url, key, labels, description; needs allow_register"),
    ("create_collection", "an ordered set of artifacts; body: key, artifacts, description; needs allow_register"),
    ("change_collection", "adds and removes members; body: collection, add, remove; needs allow_register"),
    ("label", "attaches labels to an artifact; body: {\"key\": …, \"labels\": […]}; needs allow_register"),
    ("unlabel", "takes labels off an artifact; body as for label; needs allow_register"),
    ("update", "changes the description; body: {\"key\": …, \"description\": …}; needs allow_register"),
    ("trash", "hides an artifact until it is restored or removed; body as for describe; needs allow_register"),
    ("restore", "takes an artifact out of the trash; body as for describe; needs allow_register"),
    ("remove", "removes the record, never data; body as for describe; needs allow_register"),
];

/// The actions that anybody may do.
const READING: [&str; 5] = ["describe", "tree", "search", "lookup", "explain"];

/// An action with its body read.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Describe(Source),
    Tree(Source),
    Search(Box<Criteria>),
    Lookup(Lookup),
    Explain(Box<SliceRequest>),
    BuildIndex(Source, String, bool),
    Expand(Pattern),
    Register(Registration),
    CreateCollection(NewCollection),
    ChangeCollection(ChangedCollection),
    Label(Source, Vec<FeatureLabel>),
    Unlabel(Source, Vec<FeatureLabel>),
    Update(Source, Option<String>),
    Trash(Source),
    Restore(Source),
    Remove(Source),
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
    let is_known = ACTIONS.iter().any(|(known, _)| *known == name);
    if is_known && !READING.contains(&name) && !allow_register {
        return Err(Error::permission_denied(format!(
            "action '{name}' changes what the server keeps, which it does not allow (allow_register is off)"
        )));
    }
    let call = match name {
        "describe" => target(body).map(Call::Describe),
        "tree" => target(body).map(Call::Tree),
        "search" => criteria(body).map(|criteria| Call::Search(Box::new(criteria))),
        "lookup" => lookup(body).map(Call::Lookup),
        "explain" => ticket::decode_command(body, max_bytes).map(|request| Call::Explain(Box::new(request))),
        "build_index" => matrix(body).map(|(source, node, wait)| Call::BuildIndex(source, node, wait)),
        "expand" => object("body", body).map(Call::Expand),
        "register" => object("body", body).map(Call::Register),
        "create_collection" => object("body", body).map(Call::CreateCollection),
        "change_collection" => object("body", body).map(Call::ChangeCollection),
        "label" => labelled(body).map(|(source, labels)| Call::Label(source, labels)),
        "unlabel" => labelled(body).map(|(source, labels)| Call::Unlabel(source, labels)),
        "update" => described(body).map(|(source, description)| Call::Update(source, description)),
        "trash" => target(body).map(Call::Trash),
        "restore" => target(body).map(Call::Restore),
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
        Call::Search(criteria) => return page(engine.page(&criteria).await?, entry_json),
        Call::Lookup(lookup) => return look_up(engine, &lookup).await,
        Call::Explain(request) => engine.prepare(&request, &[]).await?.explain().await?,
        Call::BuildIndex(source, node, wait) => engine.build_index(&source, &node, wait).await?,
        Call::Expand(Pattern { url }) => {
            let found = engine.expand(&url).await?.into_iter();
            return Ok(found.map(|found| json!({"url": found.url, "registered": found.registered})).collect());
        }
        Call::Register(registration) => registered_json(engine.register(&registration).await?)?,
        Call::CreateCollection(NewCollection { key, artifacts, description }) => {
            let collection = engine.create_collection(&key, &artifacts, description.as_deref()).await?;
            entry_json(&Entry::Collection(collection.into()))?
        }
        Call::ChangeCollection(ChangedCollection { collection, add, remove }) => {
            let collection = engine.change_members(&collection, &add, &remove).await?;
            entry_json(&Entry::Collection(collection.into()))?
        }
        Call::Label(source, labels) => artifact_json(&engine.label(&source, &labels).await?)?,
        Call::Unlabel(source, labels) => artifact_json(&engine.unlabel(&source, &labels).await?)?,
        Call::Update(source, description) => {
            entry_json(&engine.set_description(&source, description.as_deref()).await?)?
        }
        Call::Trash(source) => json!({"trashed": engine.trash(&source).await?}),
        Call::Restore(source) => json!({"restored": engine.restore(&source).await?}),
        Call::Remove(source) => json!({"removed": engine.remove(&source).await?}),
    };
    Ok(vec![one])
}

async fn look_up(engine: &Arc<Engine>, lookup: &Lookup) -> Result<Vec<Value>> {
    match lookup.of {
        LookupOf::Collections => page(engine.look_up_collections(lookup).await?, entry_json),
        LookupOf::Labels => page(engine.labels(lookup).await?, label_json),
    }
}

/// One result for each entry, and one that says where the next page begins when there is one.
fn page<T>(page: Page<T>, json: impl Fn(&T) -> Result<Value>) -> Result<Vec<Value>> {
    let next = page.next_page_token.map(|token| Ok(json!({"type": "page", "next_page_token": token})));
    page.entries.iter().map(json).chain(next).collect()
}

fn registered_json(registered: Registered) -> Result<Value> {
    let mut value = artifact_json(&registered.artifact)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("created".into(), registered.created.into());
    }
    Ok(value)
}

fn lookup(body: &[u8]) -> Result<Lookup> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Lookup::default());
    }
    Lookup::from_json(object("lookup", body)?)
}
