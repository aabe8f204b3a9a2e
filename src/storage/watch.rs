//! Watches HTTP requests, so that what came of each is known as a value and not only as a text.
//!
//! Sits between the object store client and its HTTP client. A request carries an [`Outcome`] slot in
//! its extensions; the answer's status or the kind of transport failure is written there. It does not
//! repeat, count or change anything, and follows no redirect: these could lead out of the storage roots.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, NoProxy, Proxy};

use super::cloud::WHOLE_REQUEST;

/// What came of one HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The status of the answer.
    Status(u16),
    /// There was no answer.
    Transport(HttpErrorKind),
}

/// Where the outcome of a request is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutcomeSlot(Arc<Mutex<Option<Outcome>>>);

impl OutcomeSlot {
    pub(crate) fn get(&self) -> Option<Outcome> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

/// Makes HTTP clients that are watched.
#[derive(Debug)]
pub(crate) struct WatchingConnector {
    /// Longest wait for a connection.
    pub(crate) connect_timeout: Duration,
}

impl HttpConnector for WatchingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = client(options, self.connect_timeout).map_err(|error| object_store::Error::Generic {
            store: "HTTP client",
            source: Box::new(error.without_url()),
        })?;
        Ok(HttpClient::new(WatchedService { client: HttpClient::new(client) }))
    }
}

/// The client that `object_store` would make of its options, but without redirects.
fn client(options: &ClientOptions, connect_timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let value = |key: ClientConfigKey| options.get_config_value(&key);
    let is_set = |key: ClientConfigKey| value(key).is_some_and(|value| value == "true");
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("sliceflight/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(connect_timeout)
        .timeout(WHOLE_REQUEST)
        .danger_accept_invalid_certs(is_set(ClientConfigKey::AllowInvalidCertificates))
        .https_only(!is_set(ClientConfigKey::AllowHttp))
        .dns_resolver(Arc::new(SpreadingResolver));
    if let Some(url) = value(ClientConfigKey::ProxyUrl) {
        let mut proxy = Proxy::all(url)?;
        if let Some(excludes) = value(ClientConfigKey::ProxyExcludes) {
            proxy = proxy.no_proxy(NoProxy::from_string(&excludes));
        }
        builder = builder.proxy(proxy);
    }
    if let Some(certificate) = value(ClientConfigKey::ProxyCaCertificate) {
        builder = builder.add_root_certificate(Certificate::from_pem(certificate.as_bytes())?);
    }
    builder.build()
}

/// Spreads connections over all addresses of a host: each is resolved anew, and begins with another.
struct SpreadingResolver;

impl Resolve for SpreadingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let first = getrandom::u32().map_or(0, |random| random as usize) % found.len().max(1);
            found.rotate_left(first);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct WatchedService {
    client: HttpClient,
}

#[async_trait]
impl HttpService for WatchedService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let slot = request.extensions().get::<OutcomeSlot>().cloned();
        let answer = self.client.execute(request).await;
        if let Some(slot) = slot {
            slot.set(match &answer {
                Ok(answer) => Outcome::Status(answer.status().as_u16()),
                Err(error) => Outcome::Transport(error.kind()),
            });
        }
        answer
    }
}
