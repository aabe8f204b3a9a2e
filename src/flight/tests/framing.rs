//! Bodies of responses against those that tonic makes of the same messages: bytes, and trailers.

use std::pin::Pin;
use std::task::Poll;

use arrow::buffer::Buffer;
use arrow_flight::FlightData;
use arrow_flight::flight_service_server::FlightService;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use http::HeaderMap;
use http_body::Body;
use tonic::codec::{Codec, EncodeBody, SingleMessageCompressionOverride};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::canned::Canned;
use crate::error::Kind;
use crate::flight::direct::{MessageBody, Messages};
use crate::flight::frames::Frames;
use crate::flight::message::Message;
use crate::model::request::{SliceRequest, Source};
use crate::ticket::encode_request;

/// All of a body that never waits: its frames, and the trailers.
fn received(body: impl Body<Data = Bytes, Error = Status>) -> (Vec<Bytes>, Option<HeaderMap>) {
    let (mut body, mut data, mut trailers) = (Box::pin(body), Vec::new(), None);
    let frames = std::future::poll_fn(|context| {
        while let Some(frame) = std::task::ready!(body.as_mut().poll_frame(context)) {
            match frame.unwrap().into_data() {
                Ok(bytes) => {
                    assert!(trailers.is_none(), "bytes behind the trailers");
                    data.push(bytes);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Poll::Ready(())
    });
    frames.now_or_never().unwrap();
    assert!(body.is_end_stream());
    (data, trailers)
}

fn message(header: &[u8], body: &[u8]) -> (Message, FlightData) {
    let data =
        FlightData { data_header: header.to_vec().into(), data_body: body.to_vec().into(), ..FlightData::default() };
    (Message::new(Buffer::from(header), vec![Buffer::from(body)]), data)
}

/// Checks an answer of messages of the given header and body lengths that ends with `end`.
fn check(lengths: &[(usize, usize)], end: Option<Status>) {
    let messages: Vec<_> = lengths.iter().map(|(header, body)| message(&vec![1; *header], &vec![2; *body])).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    let ours = stream::iter(ours).map(Ok).chain(stream::iter(end.clone()).map(Err));
    let theirs = stream::iter(theirs).map(Ok).chain(stream::iter(end).map(Err));
    let (data, trailers) = received(MessageBody::new(ours.boxed()));
    let encoder = ProstCodec::<FlightData, FlightData>::default().encoder();
    let expected = EncodeBody::new_server(encoder, theirs, None, SingleMessageCompressionOverride::default(), None);
    let (expected, expected_trailers) = received(expected);
    assert!(data.concat() == expected.concat(), "{lengths:?}");
    assert!(trailers.is_some());
    assert_eq!(trailers, expected_trailers);
}

#[test]
fn bodies_and_trailers_are_those_of_tonic() {
    let mut metadata = tonic::metadata::MetadataMap::new();
    metadata.insert("x-request-id", "7".parse().unwrap());
    let details = Bytes::from_static(b"\x08\x09 details");
    let detailed = Status::with_details_and_metadata(Code::DataLoss, "chunk 7 of 'é'\n", details, metadata);
    for end in [None, Some(Status::failed_precondition("object changed")), Some(detailed)] {
        check(&[], end.clone());
        check(&[(0, 0)], end.clone());
        check(&[(300, 0), (200, 100)], end.clone());
        check(&[(300, 0), (200, 100_000), (200, 20_000), (100, 1), (130, 127), (130, 128), (1, 3 << 20)], end);
    }
}

#[test]
fn short_messages_that_are_ready_together_share_a_frame() {
    let messages = (0..1000).map(|_| Ok(message(&[1; 50], &[2; 80]).0));
    let (data, _) = received(MessageBody::new(stream::iter(messages).boxed()));
    assert!((2..=3).contains(&data.len()), "{}", data.len());
    let headers = (0..1000).map(|_| Ok(message(&[1; 130], &[]).0));
    let (data, _) = received(MessageBody::new(stream::iter(headers).boxed()));
    assert!((2..=3).contains(&data.len()), "{}", data.len());
}

#[test]
fn what_is_written_is_sent_before_the_next_message_is_waited_for() {
    let messages = stream::iter([Ok(message(&[1; 50], &[2; 80]).0)]).chain(stream::pending());
    let mut body = MessageBody::new(messages.boxed());
    let mut next = || std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).now_or_never();
    let frame = next().unwrap().unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap().len(), 5 + (2 + 50) + (3 + 80));
    assert!(next().is_none());
}

#[test]
fn a_message_of_two_gibibytes_is_refused() {
    // The same 64 MiB again and again: nothing is written of it.
    let part = Buffer::from_vec(vec![0_u8; 64 << 20]);
    let long = Message::new(Buffer::from_vec(vec![1_u8; 8]), vec![part; 32]);
    let mut frames = Frames::default();
    assert_eq!(long.clone().write(&mut frames).unwrap_err().kind(), Kind::ResourceExhausted);
    assert!(frames.next_at_once().is_none());
    let messages: Messages = stream::iter([Ok(long)]).chain(stream::pending()).boxed();
    let (data, trailers) = received(MessageBody::new(messages));
    assert!(data.is_empty());
    assert_eq!(Status::from_header_map(&trailers.unwrap()).unwrap().code(), Code::ResourceExhausted);
}

#[test]
fn messages_that_nobody_takes_over_are_an_error() {
    let source = Source::Key { key: "large".into(), version: None };
    let ticket = encode_request(&SliceRequest { source, ..SliceRequest::default() }).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = Canned::default().do_get(Request::new(arrow_flight::Ticket { ticket })).await.unwrap();
        let items: Vec<_> = answer.into_inner().collect().await;
        assert_eq!(items.into_iter().map(|item| item.unwrap_err().code()).collect::<Vec<_>>(), [Code::Internal]);
    });
}
