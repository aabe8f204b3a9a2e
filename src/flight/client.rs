//! A client of this server, for the command line: actions and slices in the engine's words.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, FlightClient, Ticket, error::FlightError};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

use super::status::from_status;
use crate::engine::BatchStream;
use crate::error::{Error, Result};
use crate::model::request::SliceRequest;
use crate::ticket::encode_request;

/// Largest message taken from a server: single rows may be larger than gRPC's default of 4 MiB.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    inner: FlightServiceClient<Channel>,
}

impl Client {
    /// Connects to `grpc://HOST:PORT`.
    ///
    /// # Errors
    /// `InvalidArgument` for another URL, `Unimplemented` for TLS, `Unavailable` when nothing answers.
    pub async fn connect(url: &str) -> Result<Self> {
        let Some((scheme, address)) = url.split_once("://") else {
            return Err(Error::invalid(format!("server '{url}': expected grpc://HOST:PORT")));
        };
        match scheme {
            "grpc" | "grpc+tcp" => {}
            "grpc+tls" => return Err(Error::unimplemented(format!("server '{url}': TLS is not supported"))),
            _ => return Err(Error::invalid(format!("server '{url}': expected grpc://HOST:PORT"))),
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Error::invalid(format!("server '{url}': {error}")))?
            .connect_timeout(CONNECT_TIMEOUT);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Error::unavailable(format!("server '{url}' does not answer")).with_source(error))?;
        Ok(Self { inner: FlightServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES) })
    }

    /// Runs an action; one JSON value per result.
    ///
    /// # Errors
    /// The server's error; `DataLoss` when a result is no JSON.
    pub async fn action(&self, name: &str, body: Vec<u8>) -> Result<Vec<Value>> {
        let action = Action { r#type: name.to_owned(), body: body.into() };
        let results = self.inner.clone().do_action(action).await.map_err(|status| from_status(&status))?;
        results
            .into_inner()
            .map_err(|status| from_status(&status))
            .and_then(|result| async move {
                serde_json::from_slice(&result.body)
                    .map_err(|error| Error::data_loss("the server's answer is no JSON").with_source(error))
            })
            .try_collect()
            .await
    }

    /// Streams a slice: its schema, and its batches in order.
    ///
    /// # Errors
    /// The server's error; `DataLoss` when the stream begins without a schema.
    pub async fn get(&self, request: &SliceRequest) -> Result<(SchemaRef, BatchStream)> {
        let ticket = Ticket { ticket: encode_request(request).into() };
        let stream = FlightClient::new_from_inner(self.inner.clone()).do_get(ticket).await.map_err(from_flight)?;
        // The first message is the schema; the decoder passes it on its way to the first batch.
        let mut stream = stream.map_err(from_flight).peekable();
        if let Some(Err(_)) = std::pin::Pin::new(&mut stream).peek().await
            && let Some(Err(error)) = stream.next().await
        {
            return Err(error);
        }
        let schema = stream.get_ref().get_ref().schema().cloned();
        let schema = schema.ok_or_else(|| Error::data_loss("the server's stream begins without a schema"))?;
        Ok((schema, stream.boxed()))
    }
}

fn from_flight(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => from_status(&status),
        other => Error::data_loss(format!("the server's stream could not be read: {other}")).with_source(other),
    }
}
