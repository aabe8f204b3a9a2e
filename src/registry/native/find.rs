//! From what a request names to the one artifact it means.

use rusqlite::{Transaction, params};

use super::artifact::{self, COLUMNS, Found};
use super::near::{self, OFFERED};
use super::register::check_url;
use super::{NativeRegistry, collection, failure, uid};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, Collection};
use crate::model::request::Source;

/// Most names that are compared to offer near matches.
const COMPARED: u32 = 20_000;

impl NativeRegistry {
    /// The artifact that `source` names, with labels and files.
    ///
    /// A key means its latest version unless one is named (4 base62 characters as at the end of a uid,
    /// else a decimal number); a uid may be a unique prefix, and up to 16 characters of it mean the
    /// latest version; a URL means the newest artifact registered with it.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when a prefix is ambiguous
    /// or when `source` names a collection.
    pub async fn artifact(&self, source: &Source) -> Result<Artifact> {
        let source = source.clone();
        self.read(move |transaction| {
            let found = artifact(transaction, &source)?;
            artifact::complete(transaction, found)
        })
        .await
    }

    /// The collection of a key or of a uid (full or a unique prefix), with its artifacts in order.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when a prefix is ambiguous.
    pub async fn collection(&self, key_or_uid: &str) -> Result<Collection> {
        let name = key_or_uid.to_owned();
        self.read(move |transaction| collection::find(transaction, &name)).await
    }
}

/// The artifact that `source` names, without labels and files.
pub(crate) fn artifact(transaction: &Transaction<'_>, source: &Source) -> Result<Found> {
    match source {
        Source::Key { key, version } => by_key(transaction, key, version.as_deref()),
        Source::Uid(prefix) => by_uid(transaction, prefix),
        Source::Url(url) => by_url(transaction, url),
        Source::Collection(name) => Err(Error::invalid(format!("expected an artifact, found the collection {name:?}"))),
    }
}

/// What to add to "not found": near names of `table`.
pub(crate) fn near_keys(transaction: &Transaction<'_>, table: &str, asked: &str) -> Result<String> {
    let sql = format!("SELECT DISTINCT key FROM {table} ORDER BY key LIMIT {COMPARED}");
    let mut statement = transaction.prepare(&sql).map_err(failure::of)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(failure::of)?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    Ok(near::offer(&near::nearest(asked, names)))
}

fn by_key(transaction: &Transaction<'_>, key: &str, version: Option<&str>) -> Result<Found> {
    let number = version.map(uid::version_of).transpose()?;
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts a WHERE a.key = ?1 AND CASE WHEN ?2 IS NULL THEN a.is_latest = 1 \
         ELSE a.version = ?2 END"
    );
    let found = artifact::query(transaction, &sql, params![key, number])?.into_iter().next();
    found.map_or_else(|| Err(unknown_key(transaction, key, version)?), Ok)
}

/// What is wrong with a key, or a version of a key, that is not there.
fn unknown_key(transaction: &Transaction<'_>, key: &str, version: Option<&str>) -> Result<Error> {
    let exists = |table: &str| -> Result<bool> {
        let sql = format!("SELECT count(*) > 0 FROM {table} WHERE key = ?1");
        transaction.query_row(&sql, [key], |row| row.get(0)).map_err(failure::of)
    };
    let known = exists("artifacts")?;
    if let Some(version) = version.filter(|_| known) {
        let latest: u32 = transaction
            .query_row("SELECT max(version) FROM artifacts WHERE key = ?1", [key], |row| row.get(0))
            .map_err(failure::of)?;
        return Ok(Error::not_found(format!("the key {key:?} has no version {version:?}; its latest is {latest}")));
    }
    if exists("collections")? {
        return Ok(Error::not_found(format!("no artifact has the key {key:?}; a collection has it")));
    }
    let near = near_keys(transaction, "artifacts", key)?;
    Ok(Error::not_found(format!("no artifact has the key {key:?}{near}")))
}

fn by_uid(transaction: &Transaction<'_>, prefix: &str) -> Result<Found> {
    if !uid::is_prefix(prefix) {
        return Err(Error::invalid(format!("expected 1 to 20 base62 characters of a uid, found {prefix:?}")));
    }
    // '~' sorts after every base62 character.
    let families = "SELECT count(DISTINCT family_id) FROM artifacts WHERE uid >= ?1 AND uid < ?1 || '~'";
    let families: i64 = transaction.query_row(families, [prefix], |row| row.get(0)).map_err(failure::of)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts a WHERE a.uid >= ?1 AND a.uid < ?1 || '~' \
         ORDER BY a.is_latest DESC, a.version DESC LIMIT {}",
        OFFERED + 1
    );
    let found = artifact::query(transaction, &sql, [prefix])?;
    let whole_family = families == 1 && prefix.len() <= uid::STEM;
    if found.len() > 1 && !whole_family {
        let candidates: Vec<String> = found.iter().take(OFFERED).map(|found| shown(&found.artifact)).collect();
        let candidates = candidates.join(", ");
        return Err(Error::invalid(format!("the uid {prefix:?} is ambiguous; candidates: {candidates}")));
    }
    found
        .into_iter()
        .next()
        .ok_or_else(|| Error::not_found(format!("no artifact has a uid that starts with {prefix:?}")))
}

fn shown(artifact: &Artifact) -> String {
    format!("{} ({})", artifact.uid, artifact.key)
}

fn by_url(transaction: &Transaction<'_>, url: &str) -> Result<Found> {
    let sql =
        format!("SELECT {COLUMNS} FROM artifacts a WHERE a.url = ?1 ORDER BY a.is_latest DESC, a.id DESC LIMIT 1");
    let found = artifact::query(transaction, &sql, [url])?;
    // Only a URL without secrets is repeated.
    let shown = check_url(url).map(|()| url).unwrap_or("asked for");
    found.into_iter().next().ok_or_else(|| Error::not_found(format!("no artifact is registered with the URL {shown}")))
}
