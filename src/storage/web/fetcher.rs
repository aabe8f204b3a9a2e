//! Sends one request of a web root, and follows the redirects that the root allows.

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use object_store::client::{HttpClient, HttpError, HttpRequestBody};
use url::Url;

use super::answer::Answer;
use super::redirects::{MOST_REDIRECTS, Redirects};
use super::resolver::RefusedAddress;
use super::version::text;
use crate::error::Kind;
use crate::storage::failure::{StoreFailure, of_transport};

/// Sends requests to one root.
pub(crate) struct Fetcher {
    pub(crate) client: HttpClient,
    pub(crate) redirects: Redirects,
    /// Sent to the root's own origin only.
    pub(crate) authorization: Option<HeaderValue>,
}

// The client and the header hold credentials.
impl std::fmt::Debug for Fetcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fetcher").field("redirects", &self.redirects).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// The answer at the end of all redirects, whatever its status; or the redirect whose headers are `enough`.
    ///
    /// # Errors
    /// `NotFound` when the server redirects to the same URL with a slash behind it: that is a folder.
    /// `PermissionDenied` for a redirect that the root does not allow, `Unavailable` without an answer.
    pub(crate) async fn send(
        &self,
        method: &Method,
        mut url: Url,
        headers: &HeaderMap,
        enough: fn(&HeaderMap) -> bool,
    ) -> Result<Answer, StoreFailure> {
        let mut hops = Vec::new();
        loop {
            let own = self.redirects.is_own(&url);
            let request = self.request(method, &url, headers, own)?;
            let (head, body) = self.client.execute(request).await.map_err(|error| failed(&error))?.into_parts();
            if !is_redirect(head.status) || enough(&head.headers) {
                return Ok(Answer { status: head.status, headers: head.headers, body, hops, own, url });
            }
            let next = self.target(&url, &head.headers)?;
            if hops.len() >= MOST_REDIRECTS {
                let reason = format!("the store redirects more than {MOST_REDIRECTS} times");
                return Err(StoreFailure::new(Kind::Unavailable, reason, false));
            }
            hops.push(head.headers);
            url = next;
        }
    }

    fn request(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        own: bool,
    ) -> Result<Request<HttpRequestBody>, StoreFailure> {
        let made = Request::builder().method(method).uri(url.as_str()).body(HttpRequestBody::empty());
        let invalid = |_| StoreFailure::new(Kind::InvalidArgument, "the URL cannot be asked for", false);
        let mut request = made.map_err(invalid)?;
        *request.headers_mut() = headers.clone();
        if let Some(value) = self.authorization.as_ref().filter(|_| own) {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }

    /// Where a redirect from `url` leads.
    fn target(&self, url: &Url, headers: &HeaderMap) -> Result<Url, StoreFailure> {
        let refuse = |kind: Kind, reason: String| Err(StoreFailure::new(kind, reason, false));
        let Some(mut target) = text(headers, &LOCATION).and_then(|location| url.join(location).ok()) else {
            return refuse(Kind::Unavailable, "the store redirects without saying where".into());
        };
        target.set_fragment(None);
        if self.redirects.is_own(&target) && target.path().strip_suffix('/') == Some(url.path()) {
            return refuse(Kind::NotFound, "it is a folder".into());
        }
        match self.redirects.refuse(&target) {
            Some(reason) => refuse(Kind::PermissionDenied, reason),
            None => Ok(target),
        }
    }
}

/// Follows every redirect to its end.
pub(crate) fn never(_: &HeaderMap) -> bool {
    false
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What it means that there was no answer.
fn failed(error: &HttpError) -> StoreFailure {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(refused) = error.downcast_ref::<RefusedAddress>() {
            return StoreFailure::new(Kind::PermissionDenied, refused.to_string(), false);
        }
        current = error.source();
    }
    of_transport(error.kind())
}
