//! Canned answers over a real connection: sizes, errors, panics, dropping, deadlines, stopping,
//! health and reflection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use futures::TryStreamExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::canned::{Canned, batch};
use crate::error::{Kind, Result};
use crate::flight::client::Client;
use crate::flight::{Transport, serve};
use crate::model::request::{SliceRequest, Source};
use crate::server::drain;
use crate::ticket::encode_request;

const TRANSPORT: Transport = Transport { max_concurrent_streams: 16, max_decoding_message_bytes: 1 << 20 };

struct Running {
    address: SocketAddr,
    canned: Canned,
    channel: Channel,
    ended: JoinHandle<Result<()>>,
    stop: tokio::sync::oneshot::Sender<()>,
}

async fn start(drain_time: Duration) -> Running {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let canned = Canned::default();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let (service, token) = (canned.clone(), canned.stop.clone());
    let ended = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        drain(drain_time, token, stopped, |stopping| serve(listener, service, TRANSPORT, stopping)).await
    });
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    Running { address, canned, channel, ended, stop }
}

/// The request for a canned answer.
fn named(answer: &str) -> SliceRequest {
    SliceRequest { source: Source::Key { key: answer.into(), version: None }, ..SliceRequest::default() }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A stream that does not end is a failure, not a test that hangs.
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await }).unwrap();
}

impl Running {
    async fn get(&self, ticket: &str) -> Result<Streaming<FlightData>, Status> {
        self.get_within(ticket, None).await
    }

    async fn get_within(&self, ticket: &str, timeout: Option<Duration>) -> Result<Streaming<FlightData>, Status> {
        let mut request = Request::new(Ticket { ticket: encode_request(&named(ticket)).into() });
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        // The default limit of 4 MiB holds: nothing of ours is larger.
        Ok(FlightServiceClient::new(self.channel.clone()).do_get(request).await?.into_inner())
    }

    async fn batches(&self, ticket: &str) -> Result<Vec<RecordBatch>, Status> {
        let messages = self.get(ticket).await?.map_err(FlightError::from);
        FlightRecordBatchStream::new_from_flight_data(messages).try_collect().await.map_err(Status::from)
    }

    async fn alive(&self, expected: usize) {
        let start = Instant::now();
        while self.canned.alive.load(Ordering::SeqCst) != expected {
            assert!(start.elapsed() < Duration::from_secs(5), "streams did not become {expected}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[test]
fn answers_arrive_whole_with_the_default_limits_of_a_client() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        let batches = server.batches("large").await.unwrap();
        assert!(batches.len() >= 7, "{}", batches.len());
        let whole = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(whole, batch(2_000_000));
        assert!(server.batches("empty").await.unwrap().is_empty());
        let mut empty = server.get("empty").await.unwrap();
        assert!(!empty.message().await.unwrap().unwrap().data_header.is_empty());
        assert!(empty.message().await.unwrap().is_none());
    });
}

#[test]
fn errors_keep_their_code_and_panics_leave_the_server_running() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        for (ticket, code, words) in [
            ("refused", Code::NotFound, "no artifact 'refused'"),
            ("fails", Code::FailedPrecondition, "object changed"),
            ("panics", Code::Internal, "a fault of the server; its log has the cause"),
            ("panics at once", Code::Internal, "a fault of the server; its log has the cause"),
        ] {
            let status = server.batches(ticket).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (code, words), "{ticket}");
            assert!(server.batches("empty").await.is_ok());
        }
        let mut fails = server.get("fails").await.unwrap();
        assert!(fails.message().await.unwrap().is_some() && fails.message().await.unwrap().is_some());
        assert_eq!(fails.message().await.unwrap_err().code(), Code::FailedPrecondition);
    });
}

#[test]
fn dropping_the_reader_stops_the_work() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        let mut stream = server.get("endless").await.unwrap();
        for _ in 0..3 {
            stream.message().await.unwrap().unwrap();
        }
        assert_eq!(server.canned.alive.load(Ordering::SeqCst), 1);
        drop(stream);
        server.alive(0).await;
        let made = server.canned.made.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.canned.made.load(Ordering::SeqCst), made);
    });
}

#[test]
fn a_reader_that_does_not_read_holds_the_work_back() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        let mut stream = server.get("flood").await.unwrap();
        stream.message().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = server.canned.made.load(Ordering::SeqCst);
        // Batches of 1 MiB that take no time to make: without a bound there would be hundreds.
        assert!((1..=16).contains(&before), "{before}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(server.canned.made.load(Ordering::SeqCst), before);
        drop(stream);
        server.alive(0).await;
    });
}

#[test]
fn a_deadline_holds_for_the_stream_too() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        for ticket in ["endless", "hangs"] {
            let start = Instant::now();
            let mut stream = server.get_within(ticket, Some(Duration::from_millis(300))).await.unwrap();
            let status = loop {
                match stream.message().await {
                    Ok(message) => assert!(message.is_some(), "the stream ended without an error"),
                    Err(status) => break status,
                }
            };
            assert_eq!(status.code(), Code::DeadlineExceeded, "{ticket}: {status}");
            assert!(start.elapsed() < Duration::from_secs(3));
            server.alive(0).await;
        }
    });
}

#[test]
fn a_stop_lets_streams_end_and_then_ends_them() {
    run(async {
        let server = start(Duration::from_millis(400)).await;
        let mut stream = server.get("endless").await.unwrap();
        stream.message().await.unwrap().unwrap();
        let asked = Instant::now();
        server.stop.send(()).unwrap();
        let status = loop {
            if let Err(status) = stream.message().await {
                break status;
            }
        };
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the server is stopping"));
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(3), "{took:?}");
        server.ended.await.unwrap().unwrap();
    });
}

#[test]
fn a_stop_without_streams_is_quick() {
    run(async {
        let server = start(Duration::from_secs(60)).await;
        server.batches("empty").await.unwrap();
        server.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap().unwrap();
    });
}

#[test]
fn the_client_gets_slices_and_does_actions() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        let client = Client::connect(&format!("grpc://{}", server.address)).await.unwrap();
        let (schema, batches) = client.get(&named("large")).await.unwrap();
        assert_eq!(schema, batch(0).schema());
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        assert_eq!(arrow::compute::concat_batches(&schema, &batches).unwrap(), batch(2_000_000));
        let (schema, mut batches) = client.get(&named("empty")).await.unwrap();
        assert_eq!(schema, batch(0).schema());
        assert!(batches.try_next().await.unwrap().is_none());
        let error = client.get(&named("refused")).await.err().unwrap();
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "no artifact 'refused'"));
        let (_, mut batches) = client.get(&named("fails")).await.unwrap();
        assert_eq!(batches.try_next().await.unwrap().unwrap(), batch(3));
        assert_eq!(batches.try_next().await.unwrap_err().kind(), Kind::FailedPrecondition);
        let echoed = client.action("echo", br#"{"a": 1}"#.to_vec()).await.unwrap();
        assert_eq!(echoed, [serde_json::json!({"a": 1}), serde_json::json!({"a": 1})]);
        assert_eq!(client.action("echo", b"no json".to_vec()).await.unwrap_err().kind(), Kind::DataLoss);
    });
}

#[test]
fn a_server_that_is_not_there_or_not_understood() {
    run(async {
        for (url, kind) in [
            ("grpc://127.0.0.1:1", Kind::Unavailable),
            ("grpc+tls://127.0.0.1:1", Kind::Unimplemented),
            ("http://127.0.0.1:1", Kind::InvalidArgument),
            ("127.0.0.1:1", Kind::InvalidArgument),
        ] {
            assert_eq!(Client::connect(url).await.unwrap_err().kind(), kind, "{url}");
        }
    });
}

#[test]
fn health_and_reflection_are_served() {
    run(async {
        let server = start(Duration::from_secs(1)).await;
        for service in ["", "arrow.flight.protocol.FlightService"] {
            let request = HealthCheckRequest { service: service.into() };
            let answer = HealthClient::new(server.channel.clone()).check(request).await.unwrap();
            assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
        }
        let listed = reflection::services(server.channel.clone()).await;
        for name in
            ["arrow.flight.protocol.FlightService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
        {
            assert!(listed.iter().any(|service| service == name), "{name} is not in {listed:?}");
        }
        assert!(
            reflection::file_of(server.channel.clone(), "sliceflight.v1.SliceRequest").await.contains("slice.proto")
        );
        let alpha = reflection::services_alpha(server.channel.clone()).await;
        assert!(alpha.iter().any(|service| service == "arrow.flight.protocol.FlightService"), "{alpha:?}");
    });
}

mod reflection {
    use futures::stream;
    use prost::Message;
    use tonic::transport::Channel;
    use tonic_reflection::pb::{v1, v1alpha};

    pub(super) async fn services(channel: Channel) -> Vec<String> {
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let ask = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
        let mut answers = client.server_reflection_info(stream::iter([ask])).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn file_of(channel: Channel, symbol: &str) -> String {
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let ask = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::FileContainingSymbol(symbol.into())),
        };
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
        let mut answers = client.server_reflection_info(stream::iter([ask])).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::FileDescriptorResponse(files)) => {
                // Field 1 of a FileDescriptorProto is its name.
                String::from_utf8_lossy(&files.encode_to_vec()).into_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn services_alpha(channel: Channel) -> Vec<String> {
        use v1alpha::server_reflection_request::MessageRequest;
        use v1alpha::server_reflection_response::MessageResponse;
        let ask = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
        let mut answers = client.server_reflection_info(stream::iter([ask])).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}
