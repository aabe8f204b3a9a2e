//! Answers of `DoGet` that go to the connection without being copied.
//!
//! Sits between tonic's server, which decodes the call and writes the headers of the answer, and HTTP/2. The
//! codec of tonic copies each message into a buffer of its own; here the body that it would make is replaced
//! by one that hands on the frames of [`Message`]. Everything else of a call stays tonic's: limits, errors
//! before the first message, headers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use http::HeaderMap;
use http_body::{Body, Frame};
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Response, Status};

use super::message::Message;
use super::status::to_status;
use crate::error::Error;

/// The messages of an answer; an error is the last.
pub(super) type Messages = BoxStream<'static, Result<Message, Status>>;

/// The messages of an answer, on their way through tonic to [`Direct`].
#[derive(Clone)]
struct HandedOver(Arc<Mutex<Option<Messages>>>);

/// The response whose body [`Direct`] makes of `messages`. Without it, the response is an error.
pub(super) fn handed_over<T: 'static>(messages: Messages) -> Response<BoxStream<'static, Result<T, Status>>> {
    let lost = async { Err(to_status("DoGet", &Error::internal("the messages of an answer were not taken over"))) };
    let mut response = Response::new(stream::once(lost).boxed());
    response.extensions_mut().insert(HandedOver(Arc::new(Mutex::new(Some(messages)))));
    response
}

/// A gRPC service, with the bodies of responses that were [`handed_over`].
#[derive(Clone, Debug)]
pub(super) struct Direct<S>(pub(super) S);

impl<S: NamedService> NamedService for Direct<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<tonic::body::Body>> for Direct<S>
where
    S: Service<http::Request<tonic::body::Body>, Response = http::Response<tonic::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let messages = response.extensions_mut().remove::<HandedOver>();
            if let Some(messages) = messages.and_then(|HandedOver(messages)| taken(&messages)) {
                *response.body_mut() = tonic::body::Body::new(MessageBody::new(messages));
            }
            Ok(response)
        })
    }
}

fn taken(messages: &Mutex<Option<Messages>>) -> Option<Messages> {
    messages.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The body of a response: the frames of its messages, then the status as trailers. Dropping it drops the
/// messages.
pub(super) struct MessageBody {
    /// None when the stream has ended.
    messages: Option<Messages>,
    /// Frames of the message that is being sent.
    frames: VecDeque<Bytes>,
}

impl MessageBody {
    /// The body of an answer of `messages`.
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages: Some(messages), frames: VecDeque::new() }
    }

    /// The last frame: how the call ended.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.messages = None;
        let mut trailers = HeaderMap::new();
        if let Err(status) = status.add_header(&mut trailers) {
            // A status that cannot be written is told by one that can.
            trailers.clear();
            trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from(i32::from(status.code())));
        }
        Frame::trailers(trailers)
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
            let status = match std::task::ready!(Pin::new(messages).poll_next(context)) {
                Some(Ok(message)) => match message.frames() {
                    Ok(frames) => {
                        self.frames = frames;
                        continue;
                    }
                    Err(error) => to_status("DoGet", &error),
                },
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            return Poll::Ready(Some(Ok(self.end(&status))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none() && self.frames.is_empty()
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MessageBody").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}
