//! The admin paths under `/_sim/`: faults, counters, log and network profile.
//!
//! They ask for no signature, are not delayed and are not counted.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Profile;
use crate::fault::Fault;
use crate::front::Front;
use crate::journal::Stats;
use crate::sent_body::SentBody;

/// What the paths of this module begin with.
pub(crate) const PREFIX: &str = "/_sim/";
/// The longest request body that is read.
const LONGEST_BODY: usize = 1 << 20;

/// Status and JSON text of an answer.
type Answer = (StatusCode, String);

/// Answers one admin request.
pub(crate) async fn answer(front: &Front, request: Request<Incoming>) -> Response<SentBody> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (status, text) = match (&parts.method, path) {
        (&Method::GET, "stats") => json(&stats(front)),
        (&Method::GET, "log") => json(&front.journal.log()),
        (&Method::GET, "fault") => json(&front.faults.list()),
        (&Method::GET, "profile") => json(&front.network.profile()),
        (&Method::POST, "fault") => set_fault(front, body).await,
        (&Method::POST, "profile") => set_profile(front, body).await,
        (&Method::DELETE, "fault") => {
            front.faults.clear();
            json(&front.faults.list())
        }
        (&Method::POST, "reset") => {
            front.journal.reset();
            json(&stats(front))
        }
        _ => refuse(StatusCode::NOT_FOUND, "no such admin path or method"),
    };
    let mut response = Response::new(SentBody::plain(s3s::Body::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The counters with the active faults.
pub(crate) fn stats(front: &Front) -> Stats {
    Stats { faults: front.faults.list(), ..front.journal.stats() }
}

/// Adds the fault that the body describes.
async fn set_fault(front: &Front, body: Incoming) -> Answer {
    match read::<Fault>(body).await {
        Ok(fault) => {
            front.faults.add(fault);
            json(&front.faults.list())
        }
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

/// Replaces the profile by the one in the body; what it leaves out is off.
async fn set_profile(front: &Front, body: Incoming) -> Answer {
    let profile = read::<Profile>(body).await.and_then(|profile| profile.check().map(|()| profile));
    match profile {
        Ok(profile) => {
            front.network.set_profile(profile);
            json(&profile)
        }
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

/// Reads a JSON body.
async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, String> {
    let collected = Limited::new(body, LONGEST_BODY).collect().await;
    let bytes = collected.map_err(|error| error.to_string())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// A good answer.
fn json<T: Serialize>(value: &T) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A refusal with its reason.
fn refuse(status: StatusCode, reason: &str) -> Answer {
    (status, serde_json::json!({ "error": reason }).to_string())
}
