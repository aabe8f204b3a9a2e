//! Files of Hugging Face repositories. What a branch or tag stands for is looked up once, and everything is then read
//! from that commit, which cannot change.
//!
//! ```text
//! GET {endpoint}/datasets/owner/name/resolve/{commit}/path ─302─▶ signed URL at the CDN ─206─▶ bytes
//!     X-Repo-Commit, X-Linked-Etag, X-Linked-Size          └─ kept for some minutes (places)
//! ```
//!
//! A version is `<content id>@<commit>`: the SHA-256 of a large file, the Git blob id of a small one. The ETags of the
//! CDN are another thing and are not looked at.

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path;
use object_store::{GetOptions, GetResult};
use url::Url;

use super::answer::{Answer, unknown_size};
use super::client::fetcher;
use super::fetcher::{Fetcher, never};
use super::hugging_face_file::{RepositoryFile, commit_of, is_commit};
use super::options::{WebOptions, bad, bearer, flag, refuse_others};
use super::places::Places;
use super::read_only::WebReader;
use super::version::text;
use crate::error::{Error, Kind, Result};
use crate::storage::failure::StoreFailure;
use crate::storage::location::StorageUrl;
use crate::storage::options::StorageOptions;
use crate::storage::repository::RepositoryKind;

const ENDPOINT: &str = "https://huggingface.co";

/// Where Hugging Face keeps large files.
const CDN_HOSTS: [&str; 2] = ["*.hf.co", "*.huggingface.co"];

/// Options of these roots beside the common ones.
const OPTIONS: [&str; 3] = ["anonymous", "endpoint", "token"];

const REPO_COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");

/// Reads files of the repositories of one kind.
#[derive(Debug)]
pub(crate) struct HuggingFace {
    pub(super) fetcher: Fetcher,
    pub(super) endpoint: Url,
    pub(super) kind: RepositoryKind,
    whole_object_bytes: u64,
    places: Places,
}

/// What the answers on the way to a file tell of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    tag: Option<String>,
    commit: Option<String>,
    size: Option<u64>,
}

impl HuggingFace {
    /// A reader of repositories of the kind of the root at `url`. `HF_TOKEN` and `HF_ENDPOINT` hold where the options
    /// say nothing.
    ///
    /// # Errors
    /// `InvalidArgument` naming an option that is unknown or has a bad value, and for a root without a repository.
    pub(crate) fn new(
        parsed: &StorageUrl,
        url: &str,
        given: &BTreeMap<String, String>,
        options: &StorageOptions,
    ) -> Result<Self> {
        if parsed.components.len() < 2 {
            return Err(Error::invalid(format!("expected hf://datasets/owner/name[@revision], found {url}")));
        }
        let mut given = given.clone();
        let web = WebOptions::take(&mut given, url)?;
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let anonymous = given.remove("anonymous").map_or(Ok(false), |value| flag("anonymous", &value, url))?;
        let token = given.remove("token").or_else(|| environment("HF_TOKEN")).filter(|_| !anonymous);
        let authorization = token.map(|token| bearer(&token, url)).transpose()?;
        let endpoint = given.remove("endpoint").or_else(|| environment("HF_ENDPOINT"));
        let endpoint = endpoint_of(endpoint.as_deref().unwrap_or(ENDPOINT), url)?;
        refuse_others(&given, url, &OPTIONS)?;
        let fetcher = fetcher(&endpoint, &web, &CDN_HOSTS, authorization, options.connect_timeout)?;
        let kind = RepositoryKind::of(&parsed.authority);
        Ok(Self { fetcher, endpoint, kind, whole_object_bytes: web.whole_object_bytes, places: Places::default() })
    }

    /// The metadata, from the answer before the redirect to the CDN.
    async fn head(&self, location: &Path, file: &RepositoryFile, revision: &str) -> Result<GetResult, StoreFailure> {
        let url = file.resolve_url(&self.endpoint, self.kind, revision)?;
        let answer = self.fetcher.send(&Method::HEAD, url, &plain(), tells_all).await?;
        let answer = if tells_all(&answer.headers) { answer } else { allowed(answer)?.success()? };
        let facts = Facts::of(&answer);
        let size = facts.size.or_else(|| answer.size()).ok_or_else(unknown_size)?;
        let version = facts.version(revision)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        let whole = Answer { status: StatusCode::OK, headers, ..answer };
        whole.into_result(location, None, |_, _| Ok(version), u64::MAX)
    }

    /// The answer of the place where the file at `url` was found before, when it still gives its bytes.
    async fn get_again(&self, url: &Url, headers: &HeaderMap) -> Option<(Answer, Facts)> {
        let (place, facts) = self.places.get(url)?;
        match self.fetcher.send(&Method::GET, place, headers, never).await {
            Ok(answer) if answer.status.is_success() => Some((answer, facts)),
            _ => {
                self.places.forget(url);
                None
            }
        }
    }

    async fn read(
        &self,
        location: &Path,
        options: &GetOptions,
        file: &RepositoryFile,
        revision: &str,
    ) -> Result<GetResult, StoreFailure> {
        let url = file.resolve_url(&self.endpoint, self.kind, revision)?;
        let mut headers = plain();
        headers.extend(
            options
                .range
                .as_ref()
                .and_then(|range| HeaderValue::from_str(&range.to_string()).ok().map(|value| (RANGE, value))),
        );
        let (answer, facts) = match self.get_again(&url, &headers).await {
            Some(found) => found,
            None => {
                let answer =
                    allowed(self.fetcher.send(&Method::GET, url.clone(), &headers, never).await?)?.success()?;
                let facts = Facts::of(&answer);
                if !answer.own && is_commit(revision) {
                    self.places.keep(&url, &answer.url, &facts);
                }
                (answer, facts)
            }
        };
        let version = |_: &Answer, size: u64| match facts.size {
            Some(linked) if linked != size => {
                let reason = format!("Hugging Face tells {linked} bytes and sends {size}");
                Err(StoreFailure::new(Kind::Unavailable, reason, false))
            }
            _ => facts.version(revision),
        };
        answer.success()?.into_result(location, options.range.as_ref(), version, self.whole_object_bytes)
    }
}

#[async_trait]
impl WebReader for HuggingFace {
    fn name(&self) -> String {
        format!("HuggingFace({}{})", self.endpoint, self.kind.authority())
    }

    async fn get(&self, location: &Path, options: &GetOptions) -> Result<GetResult, StoreFailure> {
        let file = RepositoryFile::of(location.as_ref())?;
        if file.path.is_empty() {
            return Err(StoreFailure::new(Kind::NotFound, "it is a repository", false));
        }
        let pinned = options.if_match.as_deref().and_then(commit_of);
        let revision = pinned.unwrap_or(&file.revision);
        if options.head {
            return self.head(location, &file, revision).await;
        }
        self.read(location, options, &file, revision).await
    }

    async fn page(
        &self,
        prefix: Option<&str>,
        options: &PaginatedListOptions,
    ) -> Result<PaginatedListResult, StoreFailure> {
        self.tree_page(prefix.unwrap_or_default(), options).await
    }
}

impl Facts {
    /// What the redirects told, and the answer itself where it is Hugging Face's.
    fn of(answer: &Answer) -> Self {
        let own = answer.hops.iter().chain(answer.own.then_some(&answer.headers));
        let first = |name: &HeaderName| own.clone().find_map(|headers| text(headers, name).map(str::to_owned));
        let plain_tag = answer.own.then(|| text(&answer.headers, &ETAG).map(str::to_owned)).flatten();
        Self {
            tag: first(&LINKED_ETAG).or(plain_tag).map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned()),
            commit: first(&REPO_COMMIT).filter(|commit| is_commit(commit)),
            size: first(&LINKED_SIZE).and_then(|size| size.parse().ok()),
        }
    }

    /// The version of the file, found at `revision`; none where the server gives the content no id.
    fn version(&self, revision: &str) -> Result<Option<String>, StoreFailure> {
        let asked = is_commit(revision).then_some(revision);
        let Some(commit) = self.commit.as_deref().or(asked) else {
            let reason = "the server does not tell the commit of the revision (X-Repo-Commit)";
            return Err(StoreFailure::new(Kind::Unimplemented, reason, false));
        };
        Ok(self.tag.as_ref().map(|tag| format!("{tag}@{commit}")))
    }
}

fn tells_all(headers: &HeaderMap) -> bool {
    [&REPO_COMMIT, &LINKED_ETAG, &LINKED_SIZE].into_iter().all(|name| text(headers, name).is_some())
}

/// Says what Hugging Face means by refusing.
pub(super) fn allowed(answer: Answer) -> Result<Answer, StoreFailure> {
    if !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Ok(answer);
    }
    let reason = "Hugging Face refuses access: the repository is private or gated, or does not exist";
    Err(StoreFailure::new(Kind::PermissionDenied, reason, false))
}

/// The headers of every request: bytes as they are stored.
pub(super) fn plain() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))])
}

fn endpoint_of(endpoint: &str, url: &str) -> Result<Url> {
    let parsed = Url::parse(endpoint).ok().filter(|parsed| {
        let bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
        bare && parsed.fragment().is_none() && matches!(parsed.scheme(), "http" | "https")
    });
    parsed.ok_or_else(|| bad("endpoint", url, "http(s)://host[:port]"))
}
