//! The conditional headers of a read: If-Match, If-None-Match,
//! If-Modified-Since, If-Unmodified-Since.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{ETAG, HeaderValue};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// Only if the ETag is one of these.
    pub(crate) if_match: Option<ETagCondition>,
    /// Only if the ETag is none of these.
    pub(crate) if_none_match: Option<ETagCondition>,
    /// Only if changed after this time.
    pub(crate) if_modified_since: Option<Timestamp>,
    /// Only if not changed after this time.
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Whether an object may be answered with; else 412 or 304. Where an ETag
    /// condition is given, the corresponding time is ignored (RFC 9110, 13.2.2).
    pub(crate) fn check(&self, etag: &str, modified: SystemTime) -> S3Result<()> {
        let modified = whole_seconds(modified);
        let kept = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => names(condition, etag),
            (None, Some(time)) => modified <= *time,
            (None, None) => true,
        };
        if !kept {
            return Err(s3_error!(PreconditionFailed));
        }
        let changed = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => !names(condition, etag),
            (None, Some(time)) => modified > *time,
            (None, None) => true,
        };
        if changed {
            return Ok(());
        }
        let mut error = s3_error!(NotModified);
        if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
            error.set_headers(HeaderMap::from_iter([(ETAG, value)]));
        }
        Err(error)
    }
}

/// Whether a condition names an ETag: `*`, or one of a list.
pub(super) fn names(condition: &ETagCondition, etag: &str) -> bool {
    match condition.as_etag() {
        None => true,
        Some(given) => given.value().split(',').any(|one| {
            let one = one.trim();
            one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == etag
        }),
    }
}

/// A time as HTTP dates give it.
fn whole_seconds(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}
