//! The body of an answer on its way out: paced, counted and, if a fault says so,
//! stalled, cut short or corrupted.
//!
//! It does not read files: the inner body does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep, sleep_until};

use crate::journal::Passage;
use crate::network::Pace;

/// Time for the connection to send what it holds before it is cut.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// The error type of bodies.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is done to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It never comes.
    Stall,
    /// It ends in an error after so many bytes.
    Cut(u64),
    /// The byte at this place is flipped.
    Flip(u64),
}

/// A body with its pace and its place in the journal.
pub(crate) struct SentBody {
    inner: s3s::Body,
    length: Option<u64>,
    sent: u64,
    rest: Bytes,
    held: Option<(Bytes, Pin<Box<Sleep>>)>,
    cut: Option<Pin<Box<Sleep>>>,
    harm: Option<Harm>,
    pace: Option<Pace>,
    passage: Option<Passage>,
}

impl SentBody {
    /// A body that is neither paced nor counted.
    pub(crate) fn plain(inner: s3s::Body) -> Self {
        let length = inner.size_hint().exact();
        Self {
            inner,
            length,
            sent: 0,
            rest: Bytes::new(),
            held: None,
            cut: None,
            harm: None,
            pace: None,
            passage: None,
        }
    }

    /// A body of `length` bytes, paced, counted and harmed.
    pub(crate) fn simulated(
        inner: s3s::Body,
        length: Option<u64>,
        harm: Option<Harm>,
        pace: Pace,
        mut passage: Passage,
    ) -> Self {
        if length == Some(0) {
            passage.finish();
        }
        Self { length, harm, pace: Some(pace), passage: Some(passage), ..Self::plain(inner) }
    }

    /// The next piece and whether it has to wait; `None` at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let mut size = self.pace.as_ref().map_or(self.rest.len(), Pace::piece).min(self.rest.len());
        if let Some(Harm::Cut(end)) = self.harm {
            size = size.min(usize::try_from(end - self.sent.min(end)).unwrap_or(size));
        }
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }

    /// Counts a piece and gives it to the connection.
    fn deliver(&mut self, mut piece: Bytes) -> Frame<Bytes> {
        if let Some(Harm::Flip(place)) = self.harm
            && let Some(offset) = place.checked_sub(self.sent).and_then(|o| usize::try_from(o).ok())
            && offset < piece.len()
        {
            let mut changed = BytesMut::from(&piece[..]);
            changed[offset] ^= 0xFF;
            piece = changed.freeze();
        }
        self.sent += piece.len() as u64;
        if let Some(passage) = &mut self.passage {
            passage.sent(piece.len());
            if self.length == Some(self.sent) {
                passage.finish();
            }
        }
        Frame::data(piece)
    }

    /// Whether all that a cut body may send has been sent.
    fn is_cut(&self) -> bool {
        matches!(self.harm, Some(Harm::Cut(end)) if self.sent >= end)
    }

    /// Waits for the connection to empty, then fails the body.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let wait = self.cut.get_or_insert_with(|| Box::pin(sleep(BEFORE_CUT)));
        ready!(wait.as_mut().poll(context));
        self.passage = None;
        Poll::Ready(Some(Err("simulated: body cut short".into())))
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let body = &mut *self;
        if body.harm == Some(Harm::Stall) {
            return Poll::Pending;
        }
        if body.held.is_none() {
            if body.is_cut() {
                return body.poll_cut(context);
            }
            let piece = match ready!(body.poll_piece(context)) {
                Some(Ok(piece)) => piece,
                end => {
                    body.passage = None;
                    return Poll::Ready(end.map(|failure| failure.map(Frame::data)));
                }
            };
            match body.pace.as_mut().and_then(|pace| pace.reserve(piece.len())) {
                Some(due) => body.held = Some((piece, Box::pin(sleep_until(due)))),
                None => return Poll::Ready(Some(Ok(body.deliver(piece)))),
            }
        }
        if let Some((_, wait)) = &mut body.held {
            ready!(wait.as_mut().poll(context));
        }
        let piece = body.held.take().map(|(piece, _)| piece).unwrap_or_default();
        Poll::Ready(Some(Ok(body.deliver(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(self.sent)
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.sent)),
            None => SizeHint::default(),
        }
    }
}
