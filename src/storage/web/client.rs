//! The HTTP client of one web root: guarded addresses, no redirects of its own, no compression.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use object_store::client::HttpClient;
use reqwest::redirect::Policy;
use url::Url;

use super::addresses::{Addresses, Reach, literal, reach};
use super::fetcher::Fetcher;
use super::options::WebOptions;
use super::redirects::{HostPattern, Redirects};
use super::resolver::GuardedResolver;
use crate::error::{Error, Result};

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// What sends the requests of the root whose origin is `origin`; `own_hosts` are redirect targets beside the options'.
///
/// # Errors
/// `PermissionDenied` when the root lies at an address that is never read, `InvalidArgument` for a bad option,
/// `Unavailable` without certificates to trust.
pub(crate) fn fetcher(
    origin: &Url,
    options: &WebOptions,
    own_hosts: &[&str],
    authorization: Option<HeaderValue>,
    connect_timeout: Duration,
) -> Result<Fetcher> {
    if literal(origin).is_some_and(|address| reach(address) == Reach::Never) {
        let host = origin.host_str().unwrap_or_default();
        return Err(Error::permission_denied(format!(
            "{host} cannot be a storage root: link-local addresses, where clouds give out credentials, are never read"
        )));
    }
    let mut addresses = Addresses::of(origin);
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("sliceflight/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .pool_idle_timeout(IDLE)
        .connect_timeout(connect_timeout);
    if let Some(proxy) = &options.proxy {
        addresses = addresses.with_proxy(proxy);
        // The text of the error shows the URL, which may hold a password.
        let made = reqwest::Proxy::all(proxy.clone());
        builder =
            builder.proxy(made.map_err(|_| Error::invalid("storage option proxy must be http(s)://host[:port]"))?);
    }
    let addresses = Arc::new(addresses);
    let client = builder
        .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&addresses))))
        .build()
        .map_err(|_| Error::unavailable("no HTTP client could be made: check that CA certificates are installed"))?;
    let own_hosts = own_hosts.iter().filter_map(|host| HostPattern::parse(host));
    let hosts = own_hosts.chain(options.redirects.iter().cloned()).collect();
    Ok(Fetcher {
        client: HttpClient::new(client),
        redirects: Redirects::new(origin.clone(), hosts, addresses),
        authorization,
    })
}
