//! Collections of an instance, with their members in order.

use rusqlite::{Row, Transaction, params};

use super::Mirror;
use super::artifact::{self, COLUMNS, VISIBLE};
use super::find::{count, hidden, near_keys, only};
use crate::error::{Error, Result};
use crate::model::artifact::Collection;
use crate::registry::native::near::OFFERED;
use crate::registry::native::{failure, uid};

const FIELDS: &str = "a.id, a.uid, a.key, a.description, a.created_at, coalesce(a.handle, a.name, '')";

impl Mirror {
    /// The collection of a key (its latest version) or of a uid (full, or the unique beginning of one), with its
    /// artifacts in the order in which they were put in.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when several are meant,
    /// `FailedPrecondition` when a member is in the trash or gone: the rest would not be the collection.
    pub(in crate::registry::lamindb) async fn collection(&self, name: &str) -> Result<Collection> {
        let name = name.to_owned();
        self.read(move |transaction| {
            let (id, mut collection) = find(transaction, &name)?;
            let sql = format!(
                "SELECT {COLUMNS} FROM collection_members m JOIN artifacts a ON a.id = m.artifact_id \
                 WHERE m.collection_id = ?1 AND {VISIBLE} ORDER BY m.position"
            );
            collection.artifacts = artifact::with_labels(transaction, artifact::query(transaction, &sql, [id])?)?;
            let members = "SELECT count(*) FROM collection_members WHERE collection_id = ?1";
            let members: i64 = transaction.query_row(members, [id], |row| row.get(0)).map_err(failure::of)?;
            let found = collection.artifacts.len();
            if failure::unsigned(members, "number of members")? != found as u64 {
                return Err(Error::failed_precondition(format!(
                    "the collection {:?} has {members} artifacts, of which {found} are there: the others are in the \
                     trash, in the archive or on another branch",
                    collection.key
                )));
            }
            Ok(collection)
        })
        .await
    }

    /// The number of artifacts that everybody sees.
    ///
    /// # Errors
    /// Those of the database.
    pub(in crate::registry::lamindb) async fn count(&self) -> Result<u64> {
        self.read(count).await
    }

    /// The roots of the instance's storages, each with the options (as JSON) that its records hold.
    ///
    /// # Errors
    /// Those of the database.
    pub(in crate::registry::lamindb) async fn storages(&self) -> Result<Vec<(String, String)>> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT url, options FROM storages ORDER BY url").map_err(failure::of)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failure::of)?;
            rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
        })
        .await
    }
}

fn find(transaction: &Transaction<'_>, name: &str) -> Result<(i64, Collection)> {
    let latest = query(transaction, "a.key = ?1 AND a.is_latest = 1", name)?;
    if let Some(found) = only(latest, &format!("the collection {name:?}"), shown)? {
        return Ok(found);
    }
    let newest = query(transaction, "a.key = ?1 ORDER BY a.created_at DESC, a.uid DESC", name)?;
    if let Some(found) = newest.into_iter().next() {
        return Ok(found);
    }
    if uid::is_prefix(name) {
        let latest_of_stem = if name.len() <= uid::STEM { " AND a.is_latest = 1" } else { "" };
        let found = query(transaction, &format!("a.uid >= ?1 AND a.uid < ?1 || '~'{latest_of_stem}"), name)?;
        if let Some(found) = only(found, &format!("the collection uid {name:?}"), shown)? {
            return Ok(found);
        }
        if let Some(reason) = hidden(transaction, "collections", name)? {
            return Err(Error::not_found(format!("the collection with the uid {name:?} {reason}")));
        }
    }
    let near = near_keys(transaction, "collections", name)?;
    Err(Error::not_found(format!("no collection has the key or uid {name:?}{near}")))
}

fn query(transaction: &Transaction<'_>, condition: &str, name: &str) -> Result<Vec<(i64, Collection)>> {
    let sql = format!("SELECT {FIELDS} FROM collections a WHERE {VISIBLE} AND {condition} LIMIT {}", OFFERED + 1);
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params![name], from_row).map_err(failure::of)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
}

fn shown(found: &(i64, Collection)) -> String {
    format!("{} ({})", found.1.uid, found.1.key)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Collection)> {
    let collection = Collection {
        uid: row.get(1)?,
        key: row.get(2)?,
        artifacts: Vec::new(),
        description: row.get(3)?,
        created_at: row.get(4)?,
        created_by: row.get(5)?,
    };
    Ok((row.get(0)?, collection))
}
