//! The ticket that a server makes: a request, the rows of its answer, and the sources as they were.
//!
//! It holds nothing that only one server knows, so any server with the same registry can serve it.

use std::ops::Range;

use prost::Message;

use super::from_wire::request_from_wire;
use super::to_wire::request_to_wire;
use super::{check, wire};
use crate::error::{Error, Result};
use crate::model::artifact::Pin;
use crate::model::request::SliceRequest;

/// The four bytes before the protobuf bytes of a server ticket; no `SliceRequest` begins with them.
pub const SERVER_TICKET_PREFIX: &[u8] = b"SFT1";

/// A partition of a request's answer, pinned to the versions of its sources.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTicket {
    /// The request as asked.
    pub request: SliceRequest,
    /// Rows of the whole answer, half open; none for all of them.
    pub rows: Option<Range<u64>>,
    /// The sources when the ticket was made.
    pub pins: Vec<Pin>,
}

impl ServerTicket {
    /// The bytes of the ticket, with the prefix.
    pub fn encode(&self) -> Vec<u8> {
        let rows = self.rows.clone().unwrap_or(0..0);
        let message = wire::ServerTicket {
            request: Some(request_to_wire(&self.request)),
            first_row: rows.start,
            row_count: rows.end.saturating_sub(rows.start),
            partitioned: self.rows.is_some(),
            sources: self
                .pins
                .iter()
                .map(|pin| wire::PinnedSource { uid: pin.uid.clone(), etag: pin.etag.clone() })
                .collect(),
        };
        let mut bytes = SERVER_TICKET_PREFIX.to_vec();
        bytes.extend(message.encode_to_vec());
        bytes
    }

    /// Reads the bytes after the prefix.
    pub(super) fn decode_body(body: &[u8]) -> Result<Self> {
        check::check_message(&check::SERVER_TICKET, body)?;
        let message = wire::ServerTicket::decode(body)
            .map_err(|error| Error::invalid(format!("malformed server ticket: {error}")))?;
        let Some(request) = message.request else {
            return Err(Error::invalid("server ticket holds no request"));
        };
        let rows = match (message.partitioned, message.first_row.checked_add(message.row_count)) {
            (false, _) => None,
            (true, Some(end)) => Some(message.first_row..end),
            (true, None) => return Err(Error::invalid("server ticket names rows beyond 2^64")),
        };
        Ok(Self {
            request: request_from_wire(request)?,
            rows,
            pins: message.sources.into_iter().map(|source| Pin { uid: source.uid, etag: source.etag }).collect(),
        })
    }
}
