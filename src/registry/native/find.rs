//! From what a request names to the one artifact it means.

use rusqlite::{OptionalExtension, Transaction, params};

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
    /// latest version; a URL means the newest artifact registered with it. What is in the trash is found by
    /// its full uid only.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when a prefix is ambiguous
    /// or when `source` names a collection.
    pub async fn artifact(&self, source: &Source) -> Result<Artifact> {
        let (kept, version) = self.remembered.get(source);
        if let Some(artifact) = kept {
            return Ok(Artifact::clone(&artifact));
        }
        let asked = source.clone();
        let read = self.read(move |transaction| {
            let found = artifact(transaction, &asked)?;
            artifact::complete(transaction, found)
        });
        let found = read.await?;
        if let Some(version) = version {
            self.remembered.put(source.clone(), &found, version);
        }
        Ok(found)
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
        Source::Key { key, version } => by_key(transaction, key, version.as_deref(), false),
        Source::Uid(prefix) => by_uid(transaction, prefix),
        Source::Url(url) => by_url(transaction, url),
        Source::Registry(table) => {
            Err(Error::invalid(format!("expected an artifact, found the registry's {}", table.name())))
        }
        Source::Collection(name) => Err(Error::invalid(format!("expected an artifact, found the collection {name:?}"))),
    }
}

/// The artifact that `source` names, also when a key is that of something in the trash: its newest version.
pub(crate) fn with_trash(transaction: &Transaction<'_>, source: &Source) -> Result<Found> {
    match source {
        Source::Key { key, version } => by_key(transaction, key, version.as_deref(), true),
        _ => artifact(transaction, source),
    }
}

/// The family of an artifact.
pub(crate) fn family(transaction: &Transaction<'_>, id: i64) -> Result<i64> {
    let sql = "SELECT family_id FROM artifacts WHERE id = ?1";
    transaction.query_row(sql, [id], |row| row.get(0)).map_err(failure::of)
}

/// What to add to "not found": near names of `table`.
pub(crate) fn near_keys(transaction: &Transaction<'_>, table: &str, asked: &str) -> Result<String> {
    let sql = match table {
        "artifacts" => format!("SELECT key FROM artifacts WHERE is_latest = 1 ORDER BY key LIMIT {COMPARED}"),
        _ => format!("SELECT key FROM {table} ORDER BY key LIMIT {COMPARED}"),
    };
    let mut statement = transaction.prepare(&sql).map_err(failure::of)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(failure::of)?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    Ok(near::offer(&near::nearest(asked, names)))
}

fn by_key(transaction: &Transaction<'_>, key: &str, version: Option<&str>, trash: bool) -> Result<Found> {
    let number = version.map(uid::version_of).transpose()?;
    let condition = match (number.is_some(), trash) {
        (true, true) => "a.version = ?2",
        (true, false) => "a.version = ?2 AND a.trashed_at IS NULL",
        (false, true) => "?2 IS NULL ORDER BY a.is_latest DESC, a.version DESC LIMIT 1",
        (false, false) => "a.is_latest = 1 AND ?2 IS NULL",
    };
    let sql = format!("SELECT {COLUMNS} FROM artifacts a WHERE a.key = ?1 AND {condition}");
    let found = artifact::query(transaction, &sql, params![key, number])?.into_iter().next();
    found.map_or_else(|| Err(unknown_key(transaction, key, version)?), Ok)
}

/// What is wrong with a key, or a version of a key, that is not there.
fn unknown_key(transaction: &Transaction<'_>, key: &str, version: Option<&str>) -> Result<Error> {
    let exists = |table: &str| -> Result<bool> {
        let sql = format!("SELECT count(*) > 0 FROM {table} WHERE key = ?1");
        transaction.query_row(&sql, [key], |row| row.get(0)).map_err(failure::of)
    };
    let sql = "SELECT max(version), max(trashed_at) FROM artifacts WHERE key = ?1";
    let latest = "SELECT version FROM artifacts WHERE key = ?1 AND is_latest = 1";
    let (newest, trashed): (Option<u32>, Option<String>) =
        transaction.query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failure::of)?;
    let latest: Option<u32> = transaction.query_row(latest, [key], |row| row.get(0)).optional().map_err(failure::of)?;
    if let (Some(_), None) = (newest, latest) {
        return Ok(Error::not_found(format!("the artifact {key:?} is in the trash: restore it, or name its full uid")));
    }
    if let (Some(latest), Some(version)) = (latest, version) {
        let trash = if trashed.is_some() { " outside the trash" } else { "" };
        return Ok(Error::not_found(format!(
            "the key {key:?} has no version {version:?}{trash}; its latest is {latest}"
        )));
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
    if prefix.len() == uid::STEM + uid::SUFFIX {
        // The only name under which something in the trash is shown.
        let sql = format!("SELECT {COLUMNS} FROM artifacts a WHERE a.uid = ?1");
        let found = artifact::query(transaction, &sql, [prefix])?.into_iter().next();
        return found.ok_or_else(|| Error::not_found(format!("no artifact has the uid {prefix:?}")));
    }
    // '~' sorts after every base62 character.
    let families = "SELECT count(DISTINCT family_id) FROM artifacts \
        WHERE uid >= ?1 AND uid < ?1 || '~' AND trashed_at IS NULL";
    let families: i64 = transaction.query_row(families, [prefix], |row| row.get(0)).map_err(failure::of)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts a WHERE a.uid >= ?1 AND a.uid < ?1 || '~' \
         AND a.trashed_at IS NULL ORDER BY a.is_latest DESC, a.version DESC LIMIT {}",
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
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts a WHERE a.url = ?1 AND a.trashed_at IS NULL \
         ORDER BY a.is_latest DESC, a.id DESC LIMIT 1"
    );
    let found = artifact::query(transaction, &sql, [url])?;
    // Only a URL without secrets is repeated.
    let shown = check_url(url).map(|()| url).unwrap_or("asked for");
    found.into_iter().next().ok_or_else(|| Error::not_found(format!("no artifact is registered with the URL {shown}")))
}
