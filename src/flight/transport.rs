//! The gRPC server around a Flight service: limits, keepalive, health and reflection.

use std::future::Future;
use std::time::Duration;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::direct::Direct;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ticket::DESCRIPTORS;

/// Interval of HTTP/2 pings, and the wait for their answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Largest HTTP/2 frame; the default of 16 KiB costs CPU on large messages.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Largest headers of a request.
const MAX_HEADER_BYTES: u32 = 32 << 10;

/// Bounds of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Most calls at the same time on one connection.
    pub max_concurrent_streams: u32,
    /// Largest message a client may send, in bytes.
    pub max_decoding_message_bytes: usize,
}

impl From<&Config> for Transport {
    fn from(config: &Config) -> Self {
        Self {
            max_concurrent_streams: config.transport.max_concurrent_streams,
            max_decoding_message_bytes: usize::try_from(config.transport.max_decoding_message_bytes)
                .unwrap_or(usize::MAX),
        }
    }
}

/// Serves `service` on `listener` until `shutdown` ends, and then until the last call has ended.
///
/// # Errors
/// `Unavailable` when the transport fails, `Internal` when the descriptors for reflection are bad.
pub async fn serve<S: FlightService>(
    listener: TcpListener,
    service: S,
    transport: Transport,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let flight = FlightServiceServer::new(service).max_decoding_message_size(transport.max_decoding_message_bytes);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let bad_descriptors = |error| Error::internal(format!("bad descriptors for reflection: {error}"));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<FlightServiceServer<S>>().await;
    let stopping = async {
        shutdown.await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        reporter.set_not_serving::<FlightServiceServer<S>>().await;
    };
    Server::builder()
        .max_concurrent_streams(transport.max_concurrent_streams)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(Direct(flight))
        .add_service(health)
        .add_service(reflection().build_v1().map_err(bad_descriptors)?)
        .add_service(reflection().build_v1alpha().map_err(bad_descriptors)?)
        // tonic sets TCP_NODELAY only on the listeners that it binds itself.
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopping)
        .await
        .map_err(|error| Error::unavailable("the transport failed").with_source(error))
}
