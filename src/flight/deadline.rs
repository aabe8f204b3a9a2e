//! The client's deadline (`grpc-timeout`), which holds for the whole answer: tonic itself only
//! applies it until the response's headers.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::error::{Error, Kind, Result};

const HEADER: &str = "grpc-timeout";

/// Fires a little before tonic's own timer, which would answer CANCELLED.
const EARLIER: Duration = Duration::from_millis(5);

/// When a call must have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    /// The deadline that the request's headers state, from now.
    ///
    /// # Errors
    /// `InvalidArgument` when the header is malformed.
    pub(super) fn from_metadata(metadata: &MetadataMap) -> Result<Self> {
        let Some(value) = metadata.get(HEADER) else { return Ok(Self::default()) };
        let timeout = value.to_str().ok().and_then(parse).ok_or_else(|| {
            Error::invalid(format!("header '{HEADER}': expected up to 8 digits and a unit, found {value:?}"))
        })?;
        let timeout = timeout.saturating_sub(EARLIER.min(timeout / 10));
        Ok(Self { at: Instant::now().checked_add(timeout) })
    }

    /// Waits until the deadline; for ever without one.
    pub(super) async fn passed(self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// The error of a call that did not end in time.
    pub(super) fn error() -> Error {
        Error::new(Kind::DeadlineExceeded, "the call did not end before the client's deadline")
    }
}

/// `TimeoutValue TimeoutUnit` of gRPC over HTTP/2.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn timeouts() {
        for (text, expected) in [
            ("5010m", Some(Duration::from_millis(5010))),
            ("1S", Some(Duration::from_secs(1))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("+1S", None),
            ("1s", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
