//! Listings of Hugging Face repositories, page by page, all of one commit.

use futures::TryStreamExt;
use http::header::LINK;
use http::{HeaderMap, Method, StatusCode};
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::{ListResult, ObjectMeta};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::answer::Answer;
use super::fetcher::never;
use super::hugging_face::{HuggingFace, allowed, plain};
use super::hugging_face_file::{RepositoryFile, is_commit, location_of};
use super::version::text;
use crate::error::Kind;
use crate::storage::failure::StoreFailure;

/// Longest answer of the API that is read, in bytes; a page of 1,000 files has about 300 kB.
const MOST_ANSWER_BYTES: usize = 32 << 20;

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// A file or folder of a page.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: Option<String>,
    #[serde(default)]
    size: u64,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    oid: String,
    size: Option<u64>,
}

impl HuggingFace {
    /// A page of what lies below `prefix`; the token for the next one holds the commit and its URL.
    pub(super) async fn tree_page(
        &self,
        prefix: &str,
        options: &PaginatedListOptions,
    ) -> Result<PaginatedListResult, StoreFailure> {
        let folder = RepositoryFile::of(prefix)?;
        let (commit, url) = match options.page_token.as_deref().and_then(|token| token.split_once(' ')) {
            Some((commit, url)) => (commit.to_owned(), self.own_url(url)?),
            None => {
                let commit = self.commit(&folder).await?;
                let url = folder.tree_url(&self.endpoint, self.kind, &commit, options.delimiter.is_none())?;
                (commit, url)
            }
        };
        let answer = allowed(self.fetcher.send(&Method::GET, url.clone(), &plain(), never).await?)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(PaginatedListResult { result: empty(), page_token: None });
        }
        let next = next_page(&answer.headers, &url);
        let next = next.map(|next| self.own_url(&next).map(|next| format!("{commit} {next}"))).transpose()?;
        let entries: Vec<Entry> = json(answer.success()?).await?;
        if entries.is_empty() && next.is_some() {
            return Err(broken("an empty page is not its last"));
        }
        let mut result = empty();
        for entry in entries {
            add(&mut result, entry, prefix, &commit, options)?;
        }
        Ok(PaginatedListResult { result, page_token: next })
    }

    /// The commit that the revision stands for now.
    async fn commit(&self, folder: &RepositoryFile) -> Result<String, StoreFailure> {
        if is_commit(&folder.revision) {
            return Ok(folder.revision.clone());
        }
        let url = folder.revision_url(&self.endpoint, self.kind)?;
        let answer = allowed(self.fetcher.send(&Method::GET, url, &plain(), never).await?)?;
        let Revision { sha } = json(answer.success()?).await?;
        if is_commit(&sha) { Ok(sha) } else { Err(broken("it names no commit")) }
    }

    /// A URL of the API, which never lies elsewhere.
    fn own_url(&self, url: &str) -> Result<Url, StoreFailure> {
        let parsed = Url::parse(url).ok().filter(|url| self.fetcher.redirects.is_own(url));
        parsed.ok_or_else(|| broken("its next page lies elsewhere"))
    }
}

/// Puts an entry where it belongs, when it was asked for.
fn add(
    result: &mut ListResult,
    entry: Entry,
    prefix: &str,
    commit: &str,
    options: &PaginatedListOptions,
) -> Result<(), StoreFailure> {
    let location = location_of(prefix, &entry.path).ok_or_else(|| broken("a path of it is not valid"))?;
    if !format!("{location}/").starts_with(prefix) {
        return Err(broken("a path of it lies outside the folder"));
    }
    if options.offset.as_deref().is_some_and(|offset| location.as_ref() <= offset) {
        return Ok(());
    }
    match entry.kind.as_str() {
        "directory" if options.delimiter.is_some() => result.common_prefixes.push(location),
        "file" => {
            let (tag, size) = match &entry.lfs {
                Some(large) => (Some(large.oid.trim_start_matches("sha256:")), large.size.unwrap_or(entry.size)),
                None => (entry.oid.as_deref(), entry.size),
            };
            let e_tag = tag.map(|tag| format!("{tag}@{commit}"));
            let meta = ObjectMeta { location, last_modified: Default::default(), size, e_tag, version: None };
            result.objects.push(meta);
        }
        _ => {}
    }
    Ok(())
}

fn empty() -> ListResult {
    ListResult { common_prefixes: Vec::new(), objects: Vec::new() }
}

/// The URL that the header `Link: <…>; rel="next"` names, against that of the page.
fn next_page(headers: &HeaderMap, url: &Url) -> Option<String> {
    let link = text(headers, &LINK)?.split(',').find(|link| link.contains("rel=\"next\""))?;
    let target = link.split_once('<')?.1.split_once('>')?.0;
    url.join(target).ok().map(String::from)
}

/// The body of an answer as JSON.
async fn json<T: DeserializeOwned>(answer: Answer) -> Result<T, StoreFailure> {
    let mut body = Vec::new();
    let mut pieces = answer.body.bytes_stream();
    let broke_off = |_| StoreFailure::new(Kind::Unavailable, "the answer of the store broke off", true);
    while let Some(piece) = pieces.try_next().await.map_err(broke_off)? {
        if body.len().saturating_add(piece.len()) > MOST_ANSWER_BYTES {
            return Err(broken(&format!("it exceeds {MOST_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).map_err(|_| broken("it is not the JSON that was expected"))
}

fn broken(what: &str) -> StoreFailure {
    StoreFailure::new(Kind::Unavailable, format!("the answer of the API of Hugging Face cannot be used: {what}"), false)
}
