//! Which of the three forms some bytes have, and what they ask for.

use prost::Message;

use super::from_wire::request_from_wire;
use super::limits::MAX_TICKET_BYTES;
use super::server_ticket::{SERVER_TICKET_PREFIX, ServerTicket};
use super::{check, json, wire};
use crate::error::{Error, Result, ResultExt};
use crate::model::request::{SliceRequest, Source};

/// What a `DoGet` ticket holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Ticket {
    /// A ticket that a server made.
    Server(ServerTicket),
    /// A request used as a ticket.
    Request(SliceRequest),
}

/// Reads a `DoGet` ticket of at most `max_bytes` (itself at most [`MAX_TICKET_BYTES`]).
///
/// # Errors
/// `ResourceExhausted` when it is too long, `InvalidArgument` when it is malformed,
/// `Unimplemented` for a Flight SQL command.
pub fn decode_ticket(bytes: &[u8], max_bytes: usize) -> Result<Ticket> {
    check_length("ticket", bytes, max_bytes)?;
    match bytes.strip_prefix(SERVER_TICKET_PREFIX) {
        Some(body) => ServerTicket::decode_body(body).map(Ticket::Server),
        None => decode_request("ticket", bytes).map(Ticket::Request),
    }
}

/// Reads the bytes of a CMD descriptor: a request as JSON or protobuf.
///
/// # Errors
/// As [`decode_ticket`]; `InvalidArgument` for a server ticket, which only `DoGet` takes.
pub fn decode_command(bytes: &[u8], max_bytes: usize) -> Result<SliceRequest> {
    check_length("command", bytes, max_bytes)?;
    if bytes.starts_with(SERVER_TICKET_PREFIX) {
        return Err(Error::invalid("command is a server ticket, expected a slice request; use the ticket with DoGet"));
    }
    decode_request("command", bytes)
}

/// The request of a PATH descriptor: the key, then the parts of the node.
///
/// # Errors
/// `InvalidArgument` when the path is empty or its key is.
pub fn for_path<S: AsRef<str>>(path: &[S]) -> Result<SliceRequest> {
    let Some((key, node)) = path.split_first() else {
        return Err(Error::invalid("descriptor has an empty path, expected the key of an artifact"));
    };
    if key.as_ref().is_empty() {
        return Err(Error::invalid("descriptor path begins with an empty key"));
    }
    Ok(SliceRequest {
        source: Source::Key { key: key.as_ref().to_owned(), version: None },
        node: node.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("/"),
        ..SliceRequest::default()
    })
}

fn check_length(what: &str, bytes: &[u8], max_bytes: usize) -> Result<()> {
    let limit = max_bytes.min(MAX_TICKET_BYTES);
    if bytes.len() > limit {
        return Err(Error::resource_exhausted(format!("{what} has {} bytes, the limit is {limit}", bytes.len())));
    }
    Ok(())
}

fn decode_request(what: &str, bytes: &[u8]) -> Result<SliceRequest> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid(format!("{what} is empty, expected a slice request as JSON or protobuf")));
    }
    if is_json(bytes) {
        return request_from_wire(json::decode(bytes)?);
    }
    let context = || format!("{what} is not JSON (which begins with '{{') and so read as protobuf");
    check::check_message(&check::SLICE_REQUEST, bytes).with_context(context)?;
    let message = wire::SliceRequest::decode(bytes)
        .map_err(|error| Error::invalid(format!("malformed protobuf in SliceRequest: {error}")).context(context()))?;
    request_from_wire(message)
}

/// Whether the first byte that is not a space is `{`. No protobuf `SliceRequest` begins with `{` or
/// a space, but for one: a newline is also the tag of `key`, whose length may be a space or a `{`.
/// After a newline the `{` must therefore begin a JSON object: the next byte that is not a space
/// is `"` or `}`, with which no key begins.
fn is_json(bytes: &[u8]) -> bool {
    let mut visible = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    let opens = visible.next() == Some(&b'{');
    opens && (bytes.first() != Some(&b'\n') || matches!(visible.next(), Some(b'"' | b'}')))
}
