//! What the clients of the cloud stores have in common: no repetitions and no redirects of their own, one set of
//! patience, and options that are checked by name and never shown.

use std::time::Duration;

use object_store::{ClientOptions, RetryConfig};

use super::options::StorageOptions;
use super::watch::WatchingConnector;
use crate::error::{Error, Result};

/// Bound of a whole request in the HTTP client. Our own timeouts (head of the answer, stalled body)
/// strike long before; a long body that keeps coming may take its time.
pub(crate) const WHOLE_REQUEST: Duration = Duration::from_secs(3600);

/// A root of a cloud store, for messages about its options.
pub(crate) struct CloudRoot<'a> {
    /// Its URL without secrets.
    pub(crate) url: String,
    /// Names of its options.
    pub(crate) options: &'a [&'a str],
}

impl CloudRoot<'_> {
    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str, value: &str) -> Result<bool> {
        let refused = |_| Error::invalid(format!("storage option {name} of {} must be true or false", self.url));
        value.parse().map_err(refused)
    }

    /// An endpoint is shown in logs: it may not hold a password.
    pub(crate) fn endpoint<'a>(&self, name: &str, endpoint: &'a str) -> Result<&'a str> {
        let refuse = || Error::invalid(format!("storage option {name} of {} must be http(s)://host[:port]", self.url));
        let url = url::Url::parse(endpoint).map_err(|_| refuse())?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if plain && web { Ok(endpoint) } else { Err(refuse()) }
    }

    /// The error for an option that the root cannot have.
    pub(crate) fn unknown(&self, name: &str) -> Error {
        let known = self.options.join(", ");
        Error::invalid(format!("unknown storage option {name:?} of {}; known are {known}", self.url))
    }

    /// The error for options that are no client together; what the library says may show a secret.
    pub(crate) fn no_client(&self) -> Error {
        Error::invalid(format!("no client for {}: check its endpoint, account and credential options", self.url))
    }
}

/// The client never repeats: `requests` does, and counts every attempt.
pub(crate) fn no_retry(options: &StorageOptions) -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: options.retry.total_time, ..RetryConfig::default() }
}

/// The patience of the client.
pub(crate) fn client_options(options: &StorageOptions, allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(options.connect_timeout)
        .with_timeout(WHOLE_REQUEST)
}

/// What makes the HTTP client.
pub(crate) fn connector(options: &StorageOptions) -> WatchingConnector {
    WatchingConnector { connect_timeout: options.connect_timeout }
}
