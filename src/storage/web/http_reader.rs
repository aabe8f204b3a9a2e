//! Objects of a web server, by the paths of their URLs. There is no listing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult};
use url::Url;

use super::answer::{Answer, unknown_size};
use super::client::fetcher;
use super::fetcher::{Fetcher, never};
use super::options::{WebOptions, bad, basic, bearer, flag, refuse_others};
use super::read_only::WebReader;
use super::version;
use crate::error::{Error, Kind, Result};
use crate::storage::failure::{StoreFailure, of_status};
use crate::storage::location::StorageUrl;
use crate::storage::options::StorageOptions;

/// Options of these roots beside the common ones.
const OPTIONS: [&str; 4] = ["password", "pin_by_size", "token", "username"];

/// Reads objects of one web server.
#[derive(Debug)]
pub(crate) struct HttpReader {
    fetcher: Fetcher,
    /// Scheme, host and port.
    origin: Url,
    /// Largest object that is read whole when the server knows no ranges.
    whole_object_bytes: u64,
    /// Whether the size will do as a version where there is nothing else.
    pin_by_size: bool,
}

impl HttpReader {
    /// A reader of the server of the root at `url`.
    ///
    /// # Errors
    /// `InvalidArgument` naming an option that is unknown or has a bad value, `PermissionDenied` for a host that may
    /// never be a root.
    pub(crate) fn new(
        parsed: &StorageUrl,
        url: &str,
        given: &BTreeMap<String, String>,
        options: &StorageOptions,
    ) -> Result<Self> {
        let mut given = given.clone();
        let web = WebOptions::take(&mut given, url)?;
        let authorization = match (given.remove("token"), given.remove("username"), given.remove("password")) {
            (None, None, None) => None,
            (Some(token), None, None) => Some(bearer(&token, url)?),
            (None, Some(username), password) => Some(basic(&username, &password.unwrap_or_default(), url)?),
            _ => return Err(bad("token", url, "alone, or username and password without it")),
        };
        let pin_by_size = given.remove("pin_by_size").map_or(Ok(false), |value| flag("pin_by_size", &value, url))?;
        refuse_others(&given, url, &OPTIONS)?;
        let origin = Url::parse(&format!("{}://{}/", parsed.scheme.name(), parsed.authority))
            .map_err(|_| Error::internal("a URL could not be built"))?;
        let fetcher = fetcher(&origin, &web, &[], authorization, options.connect_timeout)?;
        Ok(Self { fetcher, origin, whole_object_bytes: web.whole_object_bytes, pin_by_size })
    }

    async fn ask(&self, method: &Method, location: &Path, options: &GetOptions) -> Result<Answer, StoreFailure> {
        let headers = headers(options.range.as_ref(), options.if_match.as_deref());
        self.fetcher.send(method, url_of(&self.origin, location)?, &headers, never).await
    }

    fn version(&self, answer: &Answer, size: u64) -> Option<String> {
        version::of(&answer.headers, size, self.pin_by_size)
    }

    /// The metadata: from a HEAD, or from a GET of the first byte where the server knows no HEAD or tells no size.
    async fn head(&self, location: &Path, options: &GetOptions) -> Result<GetResult, StoreFailure> {
        let answer = self.ask(&Method::HEAD, location, options).await?;
        let unknown = matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        let answer = if unknown || (answer.status.is_success() && answer.size().is_none()) {
            let first = GetOptions { range: Some(GetRange::Bounded(0..1)), ..options.clone() };
            self.ask(&Method::GET, location, &first).await?
        } else {
            answer
        };
        let answer = answer.success()?;
        let size = answer.size().ok_or_else(unknown_size)?;
        let version = self.version(&answer, size);
        if version.as_deref().is_some_and(|version| version::is_fresh(version, &answer.headers)) {
            let reason = "it was modified less than a second ago: its time of modification tells no versions apart yet";
            return Err(StoreFailure::new(Kind::Unavailable, reason, true));
        }
        // The range of the fallback is no range of the question.
        let whole = Answer { status: StatusCode::OK, headers: with_length(answer.headers, size), ..answer };
        whole.into_result(location, None, |_, _| Ok(version), self.whole_object_bytes)
    }
}

#[async_trait]
impl WebReader for HttpReader {
    fn name(&self) -> String {
        format!("HttpReader({})", self.origin)
    }

    async fn get(&self, location: &Path, options: &GetOptions) -> Result<GetResult, StoreFailure> {
        if options.head {
            return self.head(location, options).await;
        }
        let answer = self.ask(&Method::GET, location, options).await?.success()?;
        let version = |answer: &Answer, size| Ok(self.version(answer, size));
        answer.into_result(location, options.range.as_ref(), version, self.whole_object_bytes)
    }

    async fn page(&self, _: Option<&str>, _: &PaginatedListOptions) -> Result<PaginatedListResult, StoreFailure> {
        Err(StoreFailure::new(Kind::Unimplemented, "folders of web servers cannot be listed", false))
    }
}

/// The headers of a read: which bytes, unchanged by the server, of which version.
fn headers(range: Option<&GetRange>, version: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range.to_string()).ok()) {
        headers.insert(RANGE, range);
    }
    headers.extend(version.and_then(version::condition));
    headers
}

/// The URL of the object at `location`; its parts are names, and are encoded.
fn url_of(base: &Url, location: &Path) -> Result<Url, StoreFailure> {
    let mut url = base.clone();
    let invalid = |()| StoreFailure::new(Kind::InvalidArgument, "the URL cannot have a path", false);
    url.path_segments_mut().map_err(invalid)?.pop_if_empty().extend(location.as_ref().split('/'));
    // Parts that a URL would resolve away lead elsewhere.
    if url.path_segments().is_none_or(|segments| segments.count() < location.parts().count()) {
        return Err(of_status(404));
    }
    Ok(url)
}

fn with_length(mut headers: HeaderMap, size: u64) -> HeaderMap {
    headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(size));
    headers
}
