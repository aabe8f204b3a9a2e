//! Removing artifacts from the registry. Objects are never touched.

use rusqlite::{OptionalExtension, Transaction};

use super::{NativeRegistry, failure, find, search};
use crate::error::{Error, Result};
use crate::model::request::Source;

impl NativeRegistry {
    /// Removes the version that `source` names, or all versions of its key, also from the trash; says how
    /// many. When the latest version goes, the newest that stays is the latest.
    ///
    /// # Errors
    /// As [`NativeRegistry::artifact`]; `FailedPrecondition` naming the collection when a version is a member
    /// of one (nothing is removed then).
    pub async fn remove(&self, source: &Source, all_versions: bool) -> Result<u64> {
        let source = source.clone();
        self.write(move |transaction| {
            let named = find::with_trash(transaction, &source)?;
            let family = find::family(transaction, named.id)?;
            let ids = if all_versions { versions(transaction, family)? } else { vec![named.id] };
            for id in &ids {
                remove_one(transaction, *id)?;
            }
            settle(transaction, family)?;
            Ok(ids.len() as u64)
        })
        .await
    }
}

fn versions(transaction: &Transaction<'_>, family: i64) -> Result<Vec<i64>> {
    let mut statement =
        transaction.prepare_cached("SELECT id FROM artifacts WHERE family_id = ?1").map_err(failure::of)?;
    let rows = statement.query_map([family], |row| row.get(0)).map_err(failure::of)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
}

/// Refuses what is a member of a collection, which would lose it.
pub(crate) fn refuse_member(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    let sql = "SELECT c.key, a.key, a.version FROM collection_members m JOIN collections c ON c.id = m.collection_id \
        JOIN artifacts a ON a.id = m.artifact_id WHERE m.artifact_id = ?1 ORDER BY c.key LIMIT 1";
    let member: rusqlite::Result<(String, String, u32)> =
        transaction.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    if let Some((collection, key, version)) = member.optional().map_err(failure::of)? {
        return Err(Error::failed_precondition(format!(
            "version {version} of {key:?} is a member of the collection {collection:?}"
        )));
    }
    Ok(())
}

fn remove_one(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    refuse_member(transaction, id)?;
    search::remove(transaction, id)?;
    transaction.execute("DELETE FROM artifacts WHERE id = ?1", [id]).map_err(failure::of)?;
    Ok(())
}

/// Makes the newest version outside the trash the latest, and forgets the family when no version is left.
pub(crate) fn settle(transaction: &Transaction<'_>, family: i64) -> Result<()> {
    let sql = "SELECT id, is_latest FROM artifacts WHERE family_id = ?1 AND trashed_at IS NULL \
        ORDER BY version DESC LIMIT 1";
    let newest = transaction.query_row(sql, [family], |row| Ok((row.get(0)?, row.get(1)?)));
    let newest: Option<(i64, bool)> = newest.optional().map_err(failure::of)?;
    if let Some((id, is_latest)) = newest {
        if !is_latest {
            let old = "UPDATE artifacts SET is_latest = 0 WHERE family_id = ?1 AND is_latest = 1";
            transaction.execute(old, [family]).map_err(failure::of)?;
            transaction.execute("UPDATE artifacts SET is_latest = 1 WHERE id = ?1", [id]).map_err(failure::of)?;
        }
        return Ok(());
    }
    let empty = "DELETE FROM families WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM artifacts WHERE family_id = ?1)";
    transaction.execute(empty, [family]).map_err(failure::of)?;
    Ok(())
}
