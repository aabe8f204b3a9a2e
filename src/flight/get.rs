//! `DoGet`: a ticket to a stream of messages.

use std::sync::Arc;

use futures::Stream;
use prost::bytes::Bytes;

use super::aside::aside;
use super::encode::messages;
use super::message::Message;
use super::service::Settings;
use super::split::MessageLimits;
use crate::config::LARGEST_MESSAGE_BYTES;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ticket::{ServerTicket, Ticket, decode_ticket};

/// Prepares the slice of a ticket and starts its stream.
///
/// # Errors
/// Those of the ticket and of [`Engine::prepare`]; `OutOfRange` when a ticket names rows that the
/// answer does not have.
pub(super) async fn get(
    engine: &Arc<Engine>,
    settings: &Settings,
    ticket: Bytes,
) -> Result<impl Stream<Item = Result<Message>> + Send + use<>> {
    let most = settings.max_ticket_bytes;
    let decoded = aside(ticket.len(), move || decode_ticket(&ticket, most)).await?;
    let ServerTicket { request, rows, pins } = match decoded {
        Ticket::Server(ticket) => ticket,
        Ticket::Request(request) => ServerTicket { request, rows: None, pins: Vec::new() },
    };
    let limits = MessageLimits::new(
        settings.message_bytes,
        LARGEST_MESSAGE_BYTES,
        request.max_batch_bytes,
        request.max_batch_rows,
    );
    let slice = engine.prepare(&request, &pins).await?;
    if let (Some(rows), Some(total)) = (&rows, slice.total_rows())
        && rows.end > total
    {
        return Err(Error::out_of_range(format!(
            "ticket names rows {}..{} of an answer of {total} rows",
            rows.start, rows.end
        )));
    }
    messages(&slice.schema(), slice.stream(rows), limits)
}
