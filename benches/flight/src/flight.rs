//! The part of Arrow Flight that a load needs: `DoGet`, whose messages are counted and not decoded.

use std::error::Error;

use http::uri::PathAndQuery;
use prost::bytes::Bytes;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// Largest message that is taken.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Flow-control windows as C++ clients come to have them; the default of 64 KiB would make a 40 kB answer of
/// several streams wait for the client.
const WINDOW_BYTES: u32 = 4 << 20;

/// `arrow.flight.protocol.Ticket`.
#[derive(Clone, PartialEq, prost::Message)]
struct Ticket {
    #[prost(bytes = "bytes", tag = "1")]
    ticket: Bytes,
}

/// `arrow.flight.protocol.FlightData`, without its descriptor.
#[derive(Clone, PartialEq, prost::Message)]
struct FlightData {
    #[prost(bytes = "bytes", tag = "2")]
    data_header: Bytes,
    #[prost(bytes = "bytes", tag = "1000")]
    data_body: Bytes,
}

/// What one answer held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Messages, the schema included.
    pub messages: u64,
    /// Bytes of headers and bodies.
    pub bytes: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    grpc: Grpc<Channel>,
}

impl Connection {
    /// Connects to `grpc://HOST:PORT`.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn open(url: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let address = url.rsplit("://").next().unwrap_or(url);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(8 * WINDOW_BYTES);
        let channel = endpoint.connect().await?;
        Ok(Self { grpc: Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES) })
    }

    /// Gets a ticket's answer to its end.
    ///
    /// # Errors
    /// The status with which the call or its stream ended.
    pub async fn get(&mut self, ticket: Bytes) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        self.grpc.ready().await?;
        let codec = ProstCodec::<Ticket, FlightData>::default();
        let path = PathAndQuery::from_static("/arrow.flight.protocol.FlightService/DoGet");
        let answer = self.grpc.server_streaming(Request::new(Ticket { ticket }), path, codec).await?;
        let mut messages = answer.into_inner();
        let mut found = Answer::default();
        while let Some(message) = messages.message().await? {
            found.messages += 1;
            found.bytes += (message.data_header.len() + message.data_body.len()) as u64;
        }
        Ok(found)
    }
}
