//! From what a request names to the one artifact it means: LaminDB's `get`, but never the first of several.

use rusqlite::types::Value;
use rusqlite::{Transaction, params, params_from_iter};

use super::Mirror;
use super::artifact::{self, COLUMNS, Found, VISIBLE};
use crate::error::{Error, Result};
use crate::model::artifact::Artifact;
use crate::model::request::Source;
use crate::registry::native::near::{self, OFFERED};
use crate::registry::native::{failure, uid};

/// Most names that are compared to offer near matches.
const COMPARED: u32 = 20_000;

impl Mirror {
    /// The artifact that `source` names, with labels.
    ///
    /// # Errors
    /// As [`crate::registry::Registry::artifact`].
    pub(in crate::registry::lamindb) async fn artifact(&self, source: &Source) -> Result<Artifact> {
        let source = source.clone();
        self.read(move |transaction| {
            let found = match &source {
                Source::Key { key, version } => by_key(transaction, key, version.as_deref())?,
                Source::Uid(prefix) => by_uid(transaction, prefix)?,
                Source::Url(url) => by_url(transaction, url)?,
                Source::Collection(name) => {
                    return Err(Error::invalid(format!("expected an artifact, found the collection {name:?}")));
                }
                Source::Registry(table) => {
                    return Err(Error::invalid(format!("expected an artifact, found the registry's {}", table.name())));
                }
            };
            artifact::complete(transaction, found)
        })
        .await
    }
}

/// The one that was found; none when nothing was.
///
/// # Errors
/// `InvalidArgument` listing candidates when there are several.
pub(super) fn only<T>(found: Vec<T>, asked: &str, shown: impl Fn(&T) -> String) -> Result<Option<T>> {
    if found.len() > 1 {
        let candidates: Vec<String> = found.iter().take(OFFERED).map(shown).collect();
        let more = if found.len() > OFFERED { ", …" } else { "" };
        return Err(Error::invalid(format!("{asked} is ambiguous; candidates: {}{more}", candidates.join(", "))));
    }
    Ok(found.into_iter().next())
}

/// What to add to "not found": near keys of what everybody sees in `table`.
pub(super) fn near_keys(transaction: &Transaction<'_>, table: &str, asked: &str) -> Result<String> {
    let sql = format!("SELECT DISTINCT key FROM {table} a WHERE {VISIBLE} ORDER BY key LIMIT {COMPARED}");
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(failure::of)?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    Ok(near::offer(&near::nearest(asked, names)))
}

/// What is wrong with a uid, when it is that of a row of `table` that is hidden.
pub(super) fn hidden(transaction: &Transaction<'_>, table: &str, prefix: &str) -> Result<Option<&'static str>> {
    let sql = format!("SELECT min(branch) FROM {table} WHERE uid >= ?1 AND uid < ?1 || '~' AND branch <> 1");
    let branch: Option<i64> = transaction.query_row(&sql, [prefix], |row| row.get(0)).map_err(failure::of)?;
    Ok(branch.map(|branch| match branch {
        -1 => "is in the trash",
        0 => "is in the archive",
        _ => "is on a branch that is not merged into the main one",
    }))
}

fn select(transaction: &Transaction<'_>, condition: &str, values: &[Value]) -> Result<Vec<Found>> {
    let sql = format!("SELECT {COLUMNS} FROM artifacts a WHERE {VISIBLE} AND {condition} LIMIT {}", OFFERED + 1);
    artifact::query(transaction, &sql, params_from_iter(values))
}

fn shown(found: &Found) -> String {
    format!("{} ({})", found.artifact.uid, found.artifact.key)
}

fn by_key(transaction: &Transaction<'_>, key: &str, version: Option<&str>) -> Result<Found> {
    let name = Value::from(key.to_owned());
    let Some(version) = version else {
        let latest = select(transaction, "a.key = ?1 AND a.is_latest = 1", std::slice::from_ref(&name))?;
        if let Some(found) = only(latest, &format!("the key {key:?}"), shown)? {
            return Ok(found);
        }
        // Whoever trashes the latest version may leave none that is called so.
        let newest = select(transaction, "a.key = ?1 ORDER BY a.created_at DESC, a.uid DESC", &[name])?;
        return newest.into_iter().next().map_or_else(|| Err(unknown_key(transaction, key)?), Ok);
    };
    let tagged = "a.key = ?1 AND (a.version_tag = ?2 OR a.version = ?3)";
    let number = uid::version_of(version).ok();
    let values = [name, Value::from(version.to_owned()), Value::from(number)];
    let found = select(transaction, tagged, &values)?;
    if let Some(found) = only(found, &format!("version {version:?} of the key {key:?}"), shown)? {
        return Ok(found);
    }
    let known = "SELECT group_concat(coalesce(a.version_tag, a.version), ', ') FROM (SELECT * FROM artifacts a \
        WHERE a.branch = 1 AND a.key = ?1 ORDER BY a.version DESC LIMIT 20) a";
    let known: Option<String> = transaction.query_row(known, [key], |row| row.get(0)).map_err(failure::of)?;
    match known {
        Some(known) => Err(Error::not_found(format!("the key {key:?} has no version {version:?}; it has {known}"))),
        None => Err(unknown_key(transaction, key)?),
    }
}

fn unknown_key(transaction: &Transaction<'_>, key: &str) -> Result<Error> {
    let collection = "SELECT count(*) > 0 FROM collections WHERE key = ?1 AND branch = 1";
    if transaction.query_row(collection, [key], |row| row.get(0)).map_err(failure::of)? {
        return Ok(Error::not_found(format!("no artifact has the key {key:?}; a collection has it")));
    }
    let near = near_keys(transaction, "artifacts", key)?;
    Ok(Error::not_found(format!("no artifact has the key {key:?}{near}")))
}

/// Up to 16 characters mean the latest version of the one artifact whose uids begin so, more a version.
fn by_uid(transaction: &Transaction<'_>, prefix: &str) -> Result<Found> {
    if !uid::is_prefix(prefix) {
        return Err(Error::invalid(format!("expected 1 to 20 base62 characters of a uid, found {prefix:?}")));
    }
    // '~' sorts after every base62 character.
    let mut condition = "a.uid >= ?1 AND a.uid < ?1 || '~'".to_owned();
    if prefix.len() <= uid::STEM {
        condition.push_str(
            " AND NOT EXISTS (SELECT 1 FROM artifacts b WHERE b.branch = 1 AND b.uid <> a.uid \
            AND substr(b.uid, 1, 16) = substr(a.uid, 1, 16) AND b.uid >= substr(a.uid, 1, 16) \
            AND b.uid < substr(a.uid, 1, 16) || '~' AND (b.is_latest, b.version) > (a.is_latest, a.version))",
        );
    }
    let found = select(transaction, &condition, &[prefix.to_owned().into()])?;
    if let Some(found) = only(found, &format!("the uid {prefix:?}"), shown)? {
        return Ok(found);
    }
    Err(match hidden(transaction, "artifacts", prefix)? {
        Some(reason) => Error::not_found(format!("the artifact with the uid {prefix:?} {reason}")),
        None => Error::not_found(format!("no artifact has a uid that starts with {prefix:?}")),
    })
}

fn by_url(transaction: &Transaction<'_>, url: &str) -> Result<Found> {
    let condition = "a.url = ?1 ORDER BY a.is_latest DESC, a.id DESC";
    let found = select(transaction, condition, &[url.to_owned().into()])?;
    found.into_iter().next().ok_or_else(|| Error::not_found("no artifact is registered with this URL"))
}

/// The number of visible artifacts.
pub(super) fn count(transaction: &Transaction<'_>) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM artifacts a WHERE {VISIBLE}");
    let count: i64 = transaction.query_row(&sql, params![], |row| row.get(0)).map_err(failure::of)?;
    failure::unsigned(count, "number of artifacts")
}
