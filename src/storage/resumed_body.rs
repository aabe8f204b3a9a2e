//! The body of one answer, to its last byte: where the store breaks off or stalls, the rest is asked
//! for again, of the same version of the object.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectMeta, Result as StoreResult};
use tokio::time::timeout;

use super::failure::StoreFailure;
use super::pace::BodyWatch;
use super::requests::{Permit, Requests};
use super::retry::Attempts;
use crate::error::Kind;

type Body = BoxStream<'static, StoreResult<Bytes>>;

/// What is still to come of a body, and how to ask for it.
pub(crate) struct ResumedBody {
    requests: Arc<Requests>,
    location: Path,
    /// The bytes of the object still to come.
    rest: Range<u64>,
    etag: Option<String>,
    version: Option<String>,
    attempts: Attempts,
    /// How fast it comes; none once it was broken off.
    watch: Option<BodyWatch>,
    /// Freed when the body has ended or is dropped.
    _permit: Permit,
}

impl ResumedBody {
    pub(crate) fn new(
        requests: Arc<Requests>,
        meta: &ObjectMeta,
        rest: Range<u64>,
        options: &GetOptions,
        attempts: Attempts,
        permit: Permit,
    ) -> Self {
        let watch = Some(requests.pace.body(rest.end.saturating_sub(rest.start)));
        Self {
            requests,
            location: meta.location.clone(),
            rest,
            etag: meta.e_tag.clone(),
            version: options.version.clone(),
            attempts,
            watch,
            _permit: permit,
        }
    }

    /// The pieces of the body: exactly the bytes of the range, or an error.
    pub(crate) fn into_stream(self, body: Body) -> Body {
        let pieces = futures::stream::try_unfold((self, body), |(mut rest, mut body)| async move {
            match rest.next(&mut body).await {
                Ok(Some(bytes)) => Ok(Some((bytes, (rest, body)))),
                Ok(None) => Ok(None),
                Err(failure) => Err(failure.into_store_error(&rest.location)),
            }
        });
        pieces.boxed()
    }

    async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, StoreFailure> {
        let patience = self.requests.options.request_timeout;
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let reason = match timeout(patience, body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => return self.take(bytes).map(Some),
                Ok(Some(Err(_))) => "the answer of the store broke off".to_owned(),
                Ok(None) => format!("the answer of the store ended {} bytes early", self.rest.end - self.rest.start),
                Err(_) => format!("the answer of the store stalled for {patience:?}"),
            };
            *body = self.resume(StoreFailure::new(Kind::Unavailable, reason, true)).await?;
        }
    }

    fn take(&mut self, bytes: Bytes) -> Result<Bytes, StoreFailure> {
        let length = bytes.len() as u64;
        let left = self.rest.end - self.rest.start;
        if length > left {
            let reason =
                format!("the answer of the store is longer than asked for: {length} bytes where {left} were left");
            return Err(StoreFailure::new(Kind::Unavailable, reason, false));
        }
        self.rest.start += length;
        self.requests.meter.count_bytes(length);
        self.attempts.progressed();
        if self.rest.is_empty()
            && let Some(watch) = self.watch.take()
        {
            watch.came();
        }
        Ok(bytes)
    }

    /// The body of a new answer with the bytes that are still to come.
    async fn resume(&mut self, mut failure: StoreFailure) -> Result<Body, StoreFailure> {
        // Without a version to hold on to, the rest could be that of another object.
        failure.retry = self.etag.is_some();
        self.watch = None;
        let pause = self.attempts.pause_after(failure)?;
        self.requests.wait(pause).await;
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.rest.clone())),
            if_match: self.etag.clone(),
            version: self.version.clone(),
            ..GetOptions::default()
        };
        let answer = self.requests.try_get(&self.location, &options, &mut self.attempts).await?;
        match answer.payload {
            GetResultPayload::Stream(body) if answer.range == self.rest => Ok(body),
            _ => Err(StoreFailure::new(Kind::Unavailable, "the store answered with another range", false)),
        }
    }
}
