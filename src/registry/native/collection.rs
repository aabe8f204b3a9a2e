//! Collections: ordered sets of artifact versions.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::artifact::{self, COLUMNS};
use super::register::{check_description, check_key};
use super::{NativeRegistry, failure, find, near, uid};
use crate::error::{Error, Result};
use crate::model::artifact::Collection;
use crate::model::request::Source;

/// Most members of a collection.
pub(crate) const MEMBERS: usize = 100_000;

/// A collection to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewCollection {
    /// The name under which people find it.
    pub key: String,
    /// Its members in order; a key means its version that is the latest now.
    pub members: Vec<Source>,
    /// Free text.
    pub description: Option<String>,
    /// Who makes it; empty where that is not known.
    pub created_by: String,
}

impl NativeRegistry {
    /// Makes a collection of artifact versions. One with the same key and members is kept as it is.
    ///
    /// # Errors
    /// `InvalidArgument` without members, with one twice or with more than 100,000, `NotFound` as
    /// [`NativeRegistry::artifact`], `FailedPrecondition` when the key belongs to an artifact or to a
    /// collection of other members.
    pub async fn create_collection(&self, new: NewCollection) -> Result<Collection> {
        check_key(&new.key)?;
        check_description(new.description.as_deref())?;
        if new.members.is_empty() || new.members.len() > MEMBERS {
            let found = new.members.len();
            return Err(Error::invalid(format!("a collection has 1 to {MEMBERS} members, found {found}")));
        }
        self.write(move |transaction| {
            let members = resolve(transaction, &new.members)?;
            match id_of(transaction, &new.key)? {
                Some(known) if member_ids(transaction, known)? == members => {}
                Some(_) => {
                    let key = &new.key;
                    return Err(Error::failed_precondition(format!(
                        "the collection {key:?} exists with other members; remove it first"
                    )));
                }
                None => insert(transaction, &new, &members)?,
            }
            find(transaction, &new.key)
        })
        .await
    }

    /// Removes a collection; its artifacts stay.
    ///
    /// # Errors
    /// As [`NativeRegistry::collection`].
    pub async fn remove_collection(&self, key_or_uid: &str) -> Result<()> {
        let name = key_or_uid.to_owned();
        self.write(move |transaction| {
            let uid = find(transaction, &name)?.uid;
            transaction.execute("DELETE FROM collections WHERE uid = ?1", [uid]).map_err(failure::of)?;
            Ok(())
        })
        .await
    }
}

/// The collection of a key or uid, with its artifacts.
pub(crate) fn find(transaction: &Transaction<'_>, name: &str) -> Result<Collection> {
    let id = require(transaction, name)?;
    let sql = "SELECT uid, key, description, created_at, created_by FROM collections WHERE id = ?1";
    let mut collection = transaction.query_row(sql, [id], from_row).map_err(failure::of)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts a JOIN collection_members m ON m.artifact_id = a.id \
         WHERE m.collection_id = ?1 ORDER BY m.position"
    );
    for found in artifact::query(transaction, &sql, [id])? {
        collection.artifacts.push(artifact::complete(transaction, found)?);
    }
    Ok(collection)
}

/// The row of the collection of a key or uid.
pub(crate) fn require(transaction: &Transaction<'_>, name: &str) -> Result<i64> {
    if let Some(id) = id_of_name(transaction, name)? {
        return Ok(id);
    }
    let near = find::near_keys(transaction, "collections", name)?;
    Err(Error::not_found(format!("no collection has the key or uid {name:?}{near}")))
}

/// The row of the collection of a key or uid, when there is one.
pub(crate) fn id_of_name(transaction: &Transaction<'_>, name: &str) -> Result<Option<i64>> {
    match id_of(transaction, name)? {
        None => id_by_uid(transaction, name),
        found => Ok(found),
    }
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Collection> {
    Ok(Collection {
        uid: row.get(0)?,
        key: row.get(1)?,
        artifacts: Vec::new(),
        description: row.get(2)?,
        created_at: row.get(3)?,
        created_by: row.get(4)?,
    })
}

fn id_of(transaction: &Transaction<'_>, key: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM collections WHERE key = ?1";
    transaction.query_row(sql, [key], |row| row.get(0)).optional().map_err(failure::of)
}

fn id_by_uid(transaction: &Transaction<'_>, prefix: &str) -> Result<Option<i64>> {
    if !uid::is_prefix(prefix) {
        return Ok(None);
    }
    let sql =
        format!("SELECT id, key FROM collections WHERE uid >= ?1 AND uid < ?1 || '~' LIMIT {}", near::OFFERED + 1);
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failure::of)?;
    let found: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    match found.as_slice() {
        [] => Ok(None),
        [(id, _)] => Ok(Some(*id)),
        several => {
            let keys: Vec<&str> = several.iter().take(near::OFFERED).map(|(_, key)| key.as_str()).collect();
            let keys = keys.join(", ");
            Err(Error::invalid(format!("the collection uid {prefix:?} is ambiguous; candidates: {keys}")))
        }
    }
}

/// The rows of the artifacts that are named, each once.
pub(crate) fn resolve(transaction: &Transaction<'_>, members: &[Source]) -> Result<Vec<i64>> {
    let mut ids = Vec::with_capacity(members.len());
    let mut seen = HashSet::new();
    for member in members {
        let found = find::artifact(transaction, member)?;
        if !seen.insert(found.id) {
            let key = found.artifact.key;
            return Err(Error::invalid(format!("the artifact {key:?} is twice among the members")));
        }
        ids.push(found.id);
    }
    Ok(ids)
}

/// The rows of the members, in order.
pub(crate) fn member_ids(transaction: &Transaction<'_>, id: i64) -> Result<Vec<i64>> {
    let sql = "SELECT artifact_id FROM collection_members WHERE collection_id = ?1 ORDER BY position";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let rows = statement.query_map([id], |row| row.get(0)).map_err(failure::of)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
}

fn insert(transaction: &Transaction<'_>, new: &NewCollection, members: &[i64]) -> Result<()> {
    // Also in the trash, from where it may come back.
    let taken = "SELECT count(*) > 0 FROM artifacts WHERE key = ?1";
    if transaction.query_row(taken, [&new.key], |row| row.get(0)).map_err(failure::of)? {
        return Err(Error::failed_precondition(format!("the key {:?} is that of an artifact", new.key)));
    }
    let uid = format!("{}{}", uid::new_stem()?, uid::suffix_of(0)?);
    let sql = "INSERT INTO collections (uid, key, description, created_by, created_at) \
        VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";
    transaction.execute(sql, params![uid, new.key, new.description, new.created_by]).map_err(failure::of)?;
    insert_members(transaction, transaction.last_insert_rowid(), members)
}

/// Gives a collection without members these.
pub(crate) fn insert_members(transaction: &Transaction<'_>, id: i64, members: &[i64]) -> Result<()> {
    let sql = "INSERT INTO collection_members (collection_id, position, artifact_id) VALUES (?1, ?2, ?3)";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    for (position, member) in (0_i64..).zip(members) {
        statement.execute(params![id, position, member]).map_err(failure::of)?;
    }
    Ok(())
}
