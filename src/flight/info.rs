//! Descriptors to requests, and answers to `FlightInfo` and schemas.

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, Location, SchemaAsIpc, Ticket};
use prost::bytes::Bytes;

use super::answer::Answer;
use super::size::check_schema;
use crate::error::{Error, Result};
use crate::model::request::SliceRequest;
use crate::ticket::{self, ServerTicket};

/// Tells clients to use the connection they have. The query separator belongs to it.
const REUSE_CONNECTION: &str = "arrow-flight-reuse-connection://?";

/// All tickets of one `FlightInfo` together are at most so long (or it has one endpoint), as each
/// repeats the request and the message must stay below gRPC's default limit.
const TICKETS_BYTES: usize = 2 << 20;

/// The request that a descriptor names.
///
/// # Errors
/// `InvalidArgument` for a malformed descriptor, and the errors of [`ticket::decode_command`].
pub(super) fn request_of(descriptor: &FlightDescriptor, max_ticket_bytes: usize) -> Result<SliceRequest> {
    match DescriptorType::try_from(descriptor.r#type) {
        Ok(DescriptorType::Path) => ticket::for_path(&descriptor.path),
        Ok(DescriptorType::Cmd) => ticket::decode_command(&descriptor.cmd, max_ticket_bytes),
        _ => Err(Error::invalid(format!("descriptor has type {}, expected PATH (1) or CMD (2)", descriptor.r#type))),
    }
}

/// The `FlightInfo` of an answer; `descriptor` is echoed as it came.
///
/// # Errors
/// `Unimplemented` naming a column whose type cannot be sent.
pub(super) fn flight_info(
    descriptor: FlightDescriptor,
    request: &SliceRequest,
    answer: &Answer,
    endpoint_bytes: u64,
) -> Result<FlightInfo> {
    let info = FlightInfo::new()
        .with_descriptor(descriptor)
        .with_total_records(count(answer.total_rows))
        .with_total_bytes(count(answer.total_bytes))
        .with_ordered(true)
        .with_app_metadata(answer.summary.to_string())
        .with_endpoints(endpoints(request, answer, endpoint_bytes));
    Ok(FlightInfo { schema: schema_bytes(&answer.schema)?, ..info })
}

/// A schema as `FlightInfo` and `GetSchema` carry it: an encapsulated IPC message.
///
/// # Errors
/// `Unimplemented` naming a column whose type cannot be sent.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes> {
    check_schema(schema)?;
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|error| Error::internal(format!("the schema could not be encoded: {error}")))?;
    Ok(bytes)
}

/// An endpoint on this connection.
pub(super) fn endpoint(ticket: Vec<u8>) -> FlightEndpoint {
    FlightEndpoint {
        ticket: Some(Ticket { ticket: ticket.into() }),
        location: vec![Location { uri: REUSE_CONNECTION.into() }],
        ..FlightEndpoint::default()
    }
}

fn endpoints(request: &SliceRequest, answer: &Answer, endpoint_bytes: u64) -> Vec<FlightEndpoint> {
    let mut ticket = ServerTicket { request: request.clone(), rows: None, pins: answer.pins.clone() };
    let whole = ticket.encode();
    let most = (TICKETS_BYTES / whole.len().max(1)).max(1);
    let mut target = endpoint_bytes.max(1);
    let mut partitions = (answer.partitions)(target);
    while partitions.len() > most && target < u64::MAX {
        target = target.saturating_mul(2);
        partitions = (answer.partitions)(target);
    }
    if partitions.len() <= 1 || partitions.len() > most {
        return vec![endpoint(whole)];
    }
    partitions
        .into_iter()
        .map(|rows| {
            ticket.rows = Some(rows);
            endpoint(ticket.encode())
        })
        .collect()
}

/// −1 says unknown.
fn count(number: Option<u64>) -> i64 {
    number.and_then(|number| i64::try_from(number).ok()).unwrap_or(-1)
}
