//! `ListFlights`: one `FlightInfo` per artifact and collection.
//!
//! Nothing is opened for a listing, so its infos have no schema (no bytes) and no sizes beyond what
//! the registry knows; `GetFlightInfo` of the descriptor has them.

use arrow_flight::{FlightDescriptor, FlightInfo};
use serde_json::json;

use super::entry::entry_json;
use super::info::endpoint;
use super::json::object;
use crate::error::Result;
use crate::model::criteria::Criteria;
use crate::model::page::Entry;
use crate::model::request::{SliceRequest, Source};
use crate::ticket::ServerTicket;

/// The criteria of a listing: nothing, or JSON.
///
/// # Errors
/// `InvalidArgument` naming an unknown or wrong field.
pub(super) fn criteria(expression: &[u8]) -> Result<Criteria> {
    if expression.iter().all(u8::is_ascii_whitespace) {
        return Ok(Criteria::default());
    }
    Criteria::from_json(object("criteria", expression)?)
}

/// The info of one entry: its descriptor, a ticket for its default node, and its record as
/// `app_metadata`.
///
/// # Errors
/// `Internal` when it has no JSON form.
pub(super) fn entry_info(entry: &Entry) -> Result<FlightInfo> {
    let (key, source, rows) = match entry {
        Entry::Artifact(artifact) => {
            // A key means its latest version; any other is named by its uid.
            let source = match artifact.is_latest {
                true => Source::Key { key: artifact.key.clone(), version: None },
                false => Source::Uid(artifact.uid.clone()),
            };
            (&artifact.key, source, artifact.n_observations)
        }
        Entry::Collection(collection) => (&collection.key, Source::Collection(collection.key.clone()), None),
    };
    let descriptor = match &source {
        Source::Uid(uid) => FlightDescriptor::new_cmd(json!({"uid": uid}).to_string()),
        _ => FlightDescriptor::new_path(vec![key.clone()]),
    };
    let ticket =
        ServerTicket { request: SliceRequest { source, ..SliceRequest::default() }, rows: None, pins: Vec::new() };
    let rows = rows.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1);
    Ok(FlightInfo::new()
        .with_descriptor(descriptor)
        .with_total_records(rows)
        .with_ordered(true)
        .with_app_metadata(entry_json(entry)?.to_string())
        .with_endpoint(endpoint(ticket.encode())))
}
