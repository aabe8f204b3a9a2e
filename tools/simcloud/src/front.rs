//! The way of one HTTP request: admin or S3, latency, faults, journal.
//!
//! What S3 answers comes from `s3s` over [`crate::cloud::Cloud`]; here it is only
//! delayed, harmed and counted.

use std::future::pending;
use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;
use tokio::time::{Instant, sleep_until};

use crate::admin;
use crate::fault::FaultKind;
use crate::fault_set::FaultSet;
use crate::journal::{Journal, Passage};
use crate::network::{Network, Pace};
use crate::question::Question;
use crate::sent_body::{Harm, SentBody};

/// The error that makes hyper close a connection without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("simulated: connection dropped")
    }
}

impl std::error::Error for Dropped {}

/// All that stands between the connections and the storage.
pub(crate) struct Front {
    /// S3 over the folder.
    pub(crate) service: S3Service,
    /// The simulated network.
    pub(crate) network: Arc<Network>,
    /// Counters and log.
    pub(crate) journal: Arc<Journal>,
    /// Active faults.
    pub(crate) faults: FaultSet,
}

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<SentBody>, Dropped> {
        if request.uri().path().starts_with(admin::PREFIX) {
            return Ok(admin::answer(&self, request).await);
        }
        self.simulate(request).await
    }

    /// Answers an S3 request, with latency and faults.
    async fn simulate(&self, request: Request<Incoming>) -> Result<Response<SentBody>, Dropped> {
        let arrived = Instant::now();
        let question = Question::of(&request);
        let injury = self.faults.strike(&question);
        let mut passage = self.journal.begin(&question, injury.strikes);
        let latency = self.network.latency() + injury.delay;
        match injury.kind {
            Some(FaultKind::Reset) => {
                sleep_until(arrived + latency).await;
                passage.finish();
                Err(Dropped)
            }
            Some(FaultKind::Status(status)) => {
                sleep_until(arrived + latency).await;
                Ok(self.send(&request_method(&request), refusal(status), None, passage).await)
            }
            kind => {
                let method = request_method(&request);
                let uploads = !request.body().is_end_stream();
                let mut response = self.ask(request).await;
                if kind == Some(FaultKind::Unlisted)
                    && (question.method == "LIST" || response.status() == StatusCode::NOT_FOUND)
                {
                    response = refusal(StatusCode::FORBIDDEN.as_u16());
                }
                let from = if uploads { Instant::now() } else { arrived };
                sleep_until(from + latency).await;
                Ok(self.send(&method, response, kind, passage).await)
            }
        }
    }

    /// Has S3 answer.
    async fn ask(&self, request: Request<Incoming>) -> Response<s3s::Body> {
        match self.service.call(request.map(s3s::Body::from)).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(?error, "the S3 service failed");
                refusal(500)
            }
        }
    }

    /// Turns an answer into what is sent, and notes it in the journal.
    async fn send(
        &self,
        method: &Method,
        response: Response<s3s::Body>,
        kind: Option<FaultKind>,
        mut passage: Passage,
    ) -> Response<SentBody> {
        let (parts, mut body) = response.into_parts();
        let mut length = declared_length(&parts.headers).or_else(|| body.size_hint().exact());
        let bare = *method == Method::HEAD || matches!(parts.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
        if bare {
            (body, length) = (s3s::Body::empty(), Some(0));
        }
        let range = sent_range(method, parts.status, &parts.headers, length);
        passage.answered(parts.status.as_u16(), range);
        if kind == Some(FaultKind::Stall) && length == Some(0) {
            pending::<()>().await;
        }
        let pace = Pace::new(Arc::clone(&self.network));
        let body = SentBody::simulated(body, length, harm(kind, length), pace, passage);
        Response::from_parts(parts, body)
    }
}

/// A copy of the request's method.
fn request_method(request: &Request<Incoming>) -> Method {
    request.method().clone()
}

/// What a fault does to a body of `length` bytes.
fn harm(kind: Option<FaultKind>, length: Option<u64>) -> Option<Harm> {
    let half = length.unwrap_or(0) / 2;
    match kind? {
        FaultKind::Stall => Some(Harm::Stall),
        FaultKind::Short => Some(Harm::Cut(half)),
        FaultKind::Corrupt => Some(Harm::Flip(half)),
        FaultKind::Status(_) | FaultKind::Slow(_) | FaultKind::Reset | FaultKind::Unlisted => None,
    }
}

/// The Content-Length header.
fn declared_length(headers: &hyper::HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The bytes of the object that a successful GET sends.
fn sent_range(
    method: &Method,
    status: StatusCode,
    headers: &hyper::HeaderMap,
    length: Option<u64>,
) -> Option<[u64; 2]> {
    if *method != Method::GET {
        return None;
    }
    match (status, headers.get(CONTENT_RANGE)) {
        (StatusCode::PARTIAL_CONTENT, Some(value)) => {
            let span = value.to_str().ok()?.strip_prefix("bytes ")?.split('/').next()?;
            let (first, last) = span.split_once('-')?;
            Some([first.parse().ok()?, last.parse::<u64>().ok()? + 1])
        }
        (StatusCode::OK, _) if headers.contains_key(hyper::header::ETAG) => Some([0, length?]),
        _ => None,
    }
}

/// An S3 error answer with this status.
fn refusal(status: u16) -> Response<s3s::Body> {
    let code = match status {
        403 => "AccessDenied",
        404 => "NoSuchKey",
        412 => "PreconditionFailed",
        429 | 503 => "SlowDown",
        500 => "InternalError",
        _ => "Simulated",
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <Error><Code>{code}</Code><Message>simulated fault</Message></Error>"
    );
    let mut response = Response::new(s3s::Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
