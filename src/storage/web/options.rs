//! The options of web roots, checked by name; values are never shown.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;

use super::redirects::HostPattern;
use crate::error::{Error, Result};

/// Largest object that is read whole where a range was asked for and the server sent all of it, in bytes.
const WHOLE_OBJECT_BYTES: u64 = 8 << 20;

/// Most that the option for it may say.
const MOST_WHOLE_OBJECT_BYTES: u64 = 1 << 30;

/// What web roots have in common.
#[derive(Clone)]
pub(crate) struct WebOptions {
    /// Hosts that redirects may lead to.
    pub(crate) redirects: Vec<HostPattern>,
    /// Largest object that is read whole when the server knows no ranges.
    pub(crate) whole_object_bytes: u64,
    /// The proxy that all requests go through.
    pub(crate) proxy: Option<Url>,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self { redirects: Vec::new(), whole_object_bytes: WHOLE_OBJECT_BYTES, proxy: None }
    }
}

// The URL of a proxy may hold a password.
impl fmt::Debug for WebOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redirects, whole_object_bytes, proxy } = self;
        let mut shown = formatter.debug_struct("WebOptions");
        shown.field("redirects", redirects).field("whole_object_bytes", whole_object_bytes);
        shown.field("proxy", &proxy.is_some()).finish()
    }
}

impl WebOptions {
    /// Takes the common options out of `given`; what is left belongs to the kind of root.
    ///
    /// # Errors
    /// `InvalidArgument` naming an option with a bad value.
    pub(crate) fn take(given: &mut BTreeMap<String, String>, url: &str) -> Result<Self> {
        let mut options = Self::default();
        if let Some(hosts) = given.remove("redirects") {
            let pattern = |host: &str| {
                let expected = "hosts: name, name:port or *.domain.org, several as a list";
                HostPattern::parse(host.trim()).ok_or_else(|| bad("redirects", url, expected))
            };
            options.redirects =
                hosts.split(',').filter(|host| !host.trim().is_empty()).map(pattern).collect::<Result<_>>()?;
        }
        if let Some(bytes) = given.remove("whole_object_bytes") {
            let number = bytes.parse().ok().filter(|number| *number <= MOST_WHOLE_OBJECT_BYTES);
            let expected = format!("a number of bytes up to {MOST_WHOLE_OBJECT_BYTES}");
            options.whole_object_bytes = number.ok_or_else(|| bad("whole_object_bytes", url, &expected))?;
        }
        if let Some(proxy) = given.remove("proxy") {
            let parsed = Url::parse(&proxy).ok().filter(|proxy| matches!(proxy.scheme(), "http" | "https"));
            options.proxy = Some(parsed.ok_or_else(|| bad("proxy", url, "http(s)://host[:port]"))?);
        }
        Ok(options)
    }
}

/// The header that carries `token`.
///
/// # Errors
/// `InvalidArgument` for a token that no header can carry.
pub(crate) fn bearer(token: &str, url: &str) -> Result<HeaderValue> {
    secret(&format!("Bearer {token}"), "token", url)
}

/// The header that carries a user name and a password.
///
/// # Errors
/// `InvalidArgument` for a user name with a colon.
pub(crate) fn basic(username: &str, password: &str, url: &str) -> Result<HeaderValue> {
    if username.contains(':') {
        return Err(bad("username", url, "without a colon"));
    }
    secret(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))), "username", url)
}

/// `true` or `false`.
///
/// # Errors
/// `InvalidArgument` naming the option.
pub(crate) fn flag(name: &str, value: &str, url: &str) -> Result<bool> {
    value.parse().map_err(|_| bad(name, url, "true or false"))
}

/// Refuses options that are left over.
///
/// # Errors
/// `InvalidArgument` naming the option and those that are known.
pub(crate) fn refuse_others(given: &BTreeMap<String, String>, url: &str, own: &[&str]) -> Result<()> {
    let Some(name) = given.keys().next() else { return Ok(()) };
    let known = [own, &["proxy", "redirects", "whole_object_bytes"]].concat().join(", ");
    Err(Error::invalid(format!("unknown storage option {name:?} of {url}; known are {known}")))
}

pub(crate) fn bad(name: &str, url: &str, expected: &str) -> Error {
    Error::invalid(format!("storage option {name} of {url} must be {expected}"))
}

fn secret(text: &str, name: &str, url: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| bad(name, url, "plain text"))?;
    value.set_sensitive(true);
    Ok(value)
}
