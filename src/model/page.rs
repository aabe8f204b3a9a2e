//! Pages of what a registry holds, and where the next one begins.
//!
//! A page token holds all there is to know of the place: no server keeps anything of it, and any server with
//! the same registries takes it. It is good for the query that it came from, with any limit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::artifact::{Artifact, Collection};
use crate::error::{Error, Result};

/// Entries of a page unless the query asks for another number.
pub const DEFAULT_LIMIT: u64 = 1_000;

/// Most entries of a page.
pub const MAX_LIMIT: u64 = 10_000;

/// Most members that the entry of a collection names.
pub const NAMED_MEMBERS: usize = 100;

/// Characters of the fingerprint in a token.
const FINGERPRINT_BYTES: usize = 8;

/// What a listing holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An artifact, with labels and without files.
    Artifact(Artifact),
    /// A collection.
    Collection(CollectionEntry),
}

/// A collection as a listing shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionEntry {
    /// 16 + 4 base62 characters.
    pub uid: String,
    /// The name under which people find it.
    pub key: String,
    /// Number of its members.
    pub n_artifacts: u64,
    /// uid and key of its first members, at most [`NAMED_MEMBERS`], in order.
    pub artifacts: Vec<(String, String)>,
    /// Free text.
    pub description: Option<String>,
    /// When it was created, RFC 3339 in UTC.
    pub created_at: String,
    /// Who created it; empty where that is not known.
    pub created_by: String,
}

impl From<Collection> for CollectionEntry {
    fn from(collection: Collection) -> Self {
        let Collection { uid, key, artifacts, description, created_at, created_by } = collection;
        let n_artifacts = artifacts.len() as u64;
        let named = artifacts.into_iter().take(NAMED_MEMBERS).map(|artifact| (artifact.uid, artifact.key));
        Self { uid, key, n_artifacts, artifacts: named.collect(), description, created_at, created_by }
    }
}

/// A member of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// uid of the collection.
    pub collection_uid: String,
    /// Key of the collection.
    pub collection_key: String,
    /// Its place in the collection, from 0.
    pub position: u64,
    /// uid of the artifact.
    pub artifact_uid: String,
    /// Key of the artifact.
    pub artifact_key: String,
    /// Version of the artifact.
    pub version: u32,
}

/// Some entries in order, and how to get those after them.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The entries; there may be fewer than asked for, also where more follow.
    pub entries: Vec<T>,
    /// Where the next page begins; none after the last.
    pub next_page_token: Option<String>,
}

/// What one registry gives to a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Where what follows begins in the same registry; none after the last.
    pub next: Option<Position>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), next: None }
    }
}

/// A place in what one registry lists: artifacts by key, newest version first, or by rank; then collections by
/// key. Labels are listed by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Position {
    /// After this artifact.
    Artifact {
        /// Its key.
        key: String,
        /// Its uid.
        uid: String,
    },
    /// After so many artifacts by rank.
    Ranked(u64),
    /// Before the artifact of this number, where the newest come first.
    Before(i64),
    /// After the collection of this key; before the first one when there is none.
    Collection(Option<String>),
    /// After the label of this name.
    Label(String),
    /// After this member of a collection.
    Member {
        /// Key of the collection.
        collection: String,
        /// Its place in it.
        position: u64,
    },
}

/// A place in what all registries list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageToken {
    /// Fingerprint of the query.
    query: String,
    /// Name of the registry; empty for our own.
    pub registry: String,
    /// Where it goes on; none at the start.
    pub after: Option<Position>,
}

impl PageToken {
    /// The text of a place in the answer to `query`, which must not hold limit and token.
    ///
    /// # Errors
    /// `Internal` for a query that has no JSON form.
    pub fn text(query: &impl Serialize, registry: &str, after: Option<Position>) -> Result<String> {
        let token = Self { query: fingerprint(query)?, registry: registry.to_owned(), after };
        let json = serde_json::to_vec(&token).map_err(|error| Error::internal("a page token").with_source(error))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the text of a token that was given with `query`.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no token, and for the token of another query.
    pub fn read(text: &str, query: &impl Serialize) -> Result<Self> {
        let malformed = || Error::invalid("'page_token' is not one that this server gave");
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        let token: Self = serde_json::from_slice(&json).map_err(|_| malformed())?;
        if token.query != fingerprint(query)? {
            return Err(Error::invalid("'page_token' belongs to another query"));
        }
        Ok(token)
    }
}

/// The number of entries of a page with the limit that was asked for.
pub fn page_size(limit: Option<u64>) -> u64 {
    limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)
}

fn fingerprint(query: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(query).map_err(|error| Error::internal("a query").with_source(error))?;
    let digest = Sha256::digest(json);
    Ok(digest.iter().take(FINGERPRINT_BYTES).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_belong_to_their_query() {
        let places = [
            None,
            Some(Position::Artifact { key: "a/ä \"x".into(), uid: "u".into() }),
            Some(Position::Ranked(u64::MAX)),
            Some(Position::Before(7)),
            Some(Position::Collection(None)),
            Some(Position::Collection(Some("c".into()))),
            Some(Position::Label("l".into())),
        ];
        for after in places {
            let text = PageToken::text(&"query", "instance", after.clone()).unwrap();
            let token = PageToken::read(&text, &"query").unwrap();
            assert_eq!((token.registry.as_str(), &token.after), ("instance", &after));
            let error = PageToken::read(&text, &"other").unwrap_err();
            assert!(error.message().contains("another query"), "{error}");
            for bad in [text[1..].to_owned(), format!("{text}x"), String::new(), "ä".into(), "e30".into()] {
                assert!(PageToken::read(&bad, &"query").unwrap_err().message().contains("'page_token'"), "{bad}");
            }
        }
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!([None, Some(0), Some(7), Some(u64::MAX)].map(page_size), [1_000, 0, 7, 10_000]);
    }
}
