//! Answers of `DoGet` that go to the connection without being copied.
//!
//! Sits between tonic's server, which decodes the call and writes the headers of the answer, and HTTP/2. The
//! codec of tonic copies each message into a buffer of its own; here the body that it would make is replaced
//! by one that hands on [`Frames`]. Everything else of a call stays tonic's: limits, errors before the first
//! message, headers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Response, Status};

use super::frames::Frames;
use super::message::Message;
use super::status::to_status;
use crate::error::Error;

/// The call whose answers go this way.
const CALL: &str = "DoGet";

/// The messages of an answer; an error is the last.
pub(super) type Messages = BoxStream<'static, Result<Message, Status>>;

/// The messages of an answer, on their way through tonic to [`Direct`].
#[derive(Clone)]
struct HandedOver(Arc<Mutex<Option<Messages>>>);

/// The response whose body [`Direct`] makes of `messages`. Without it, the response is an error.
pub(super) fn handed_over<T: 'static>(messages: Messages) -> Response<BoxStream<'static, Result<T, Status>>> {
    let lost = async { Err(to_status(CALL, &Error::internal("the messages of an answer were not taken over"))) };
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
#[derive(Debug)]
pub(super) struct MessageBody {
    source: Source,
    /// What is written and not yet sent: parts of one message, or of short ones that were ready together.
    frames: Frames,
}

/// What is still to come after the frames.
enum Source {
    Messages(Messages),
    Status(Status),
    Nothing,
}

impl MessageBody {
    /// The body of an answer of `messages`.
    pub(super) fn new(messages: Messages) -> Self {
        Self { source: Source::Messages(messages), frames: Frames::default() }
    }

    /// Writes the next message; false when it has to be waited for.
    fn advance(&mut self, messages: Poll<Option<Result<Message, Status>>>) -> bool {
        let status = match messages {
            Poll::Pending => return false,
            Poll::Ready(Some(Ok(message))) => match message.write(&mut self.frames) {
                Ok(()) => return true,
                Err(error) => to_status(CALL, &error),
            },
            Poll::Ready(Some(Err(status))) => status,
            Poll::Ready(None) => Status::ok(""),
        };
        self.source = Source::Status(status);
        true
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(frame) = self.frames.next() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            if let Source::Messages(messages) = &mut self.source {
                let next = messages.as_mut().poll_next(context);
                if self.advance(next) {
                    continue;
                }
            }
            if let Some(frame) = self.frames.next_at_once() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            return match std::mem::replace(&mut self.source, Source::Nothing) {
                Source::Messages(messages) => {
                    self.source = Source::Messages(messages);
                    Poll::Pending
                }
                Source::Status(status) => Poll::Ready(Some(Ok(Frame::trailers(trailers(&status))))),
                Source::Nothing => Poll::Ready(None),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Nothing)
    }
}

/// The trailers that tell how a call ended.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A message that cannot be written is left out.
        trailers.clear();
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    trailers
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Messages(_) => "Messages",
            Self::Status(_) => "Status",
            Self::Nothing => "Nothing",
        })
    }
}
