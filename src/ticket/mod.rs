//! Wire bytes to [`SliceRequest`] and back.
//!
//! Sits between the transport and the engine: it knows the three forms a request has on the wire
//! and tells them apart by their first bytes, never by trying one after the other:
//!
//! ```text
//! "SFT1" …          a ticket that a server made: request, rows and pinned sources (protobuf)
//! "{" after spaces   a SliceRequest as proto3 JSON with shorthands
//! anything else      a SliceRequest as protobuf
//! ```
//!
//! It does not look into the registry and does not judge selectors against a shape.

mod check;
mod command;
mod from_wire;
mod json;
mod limits;
mod server_ticket;
#[cfg(test)]
mod tests;
mod to_wire;
mod wire;

pub use command::{Ticket, decode_command, decode_ticket, for_path};
pub use limits::{MAX_JSON_DEPTH, MAX_JSON_ITEMS, MAX_LIST_ITEMS, MAX_MESSAGES, MAX_TICKET_BYTES};
pub use server_ticket::{SERVER_TICKET_PREFIX, ServerTicket};
pub use to_wire::encode_request;

#[cfg(doc)]
use crate::model::request::SliceRequest;

/// Descriptors of the wire contract and of Arrow Flight, for gRPC reflection: an encoded
/// `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
