//! Removing artifacts from the registry. Objects are never touched.

use rusqlite::{OptionalExtension, Transaction};

use super::{NativeRegistry, failure, find, search};
use crate::error::{Error, Result};
use crate::model::request::Source;

impl NativeRegistry {
    /// Removes the version that `source` names, or all versions of its key; says how many. When the
    /// latest version goes, the newest that stays is the latest.
    ///
    /// # Errors
    /// As [`NativeRegistry::artifact`]; `FailedPrecondition` naming the collection when a version is a member
    /// of one (nothing is removed then).
    pub async fn remove(&self, source: &Source, all_versions: bool) -> Result<u64> {
        let source = source.clone();
        self.write(move |transaction| {
            let named = find::artifact(transaction, &source)?;
            let family = "SELECT family_id FROM artifacts WHERE id = ?1";
            let family: i64 = transaction.query_row(family, [named.id], |row| row.get(0)).map_err(failure::of)?;
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

fn remove_one(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    let sql = "SELECT c.key, a.key, a.version FROM collection_members m JOIN collections c ON c.id = m.collection_id \
        JOIN artifacts a ON a.id = m.artifact_id WHERE m.artifact_id = ?1 ORDER BY c.key LIMIT 1";
    let member: rusqlite::Result<(String, String, u32)> =
        transaction.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    if let Some((collection, key, version)) = member.optional().map_err(failure::of)? {
        return Err(Error::failed_precondition(format!(
            "version {version} of {key:?} is a member of the collection {collection:?}"
        )));
    }
    search::remove(transaction, id)?;
    transaction.execute("DELETE FROM artifacts WHERE id = ?1", [id]).map_err(failure::of)?;
    Ok(())
}

/// Gives the family a latest version again, or forgets it when none is left.
fn settle(transaction: &Transaction<'_>, family: i64) -> Result<()> {
    let newest = "UPDATE artifacts SET is_latest = 1 WHERE id = \
        (SELECT id FROM artifacts WHERE family_id = ?1 ORDER BY version DESC LIMIT 1)";
    if transaction.execute(newest, [family]).map_err(failure::of)? == 0 {
        transaction.execute("DELETE FROM families WHERE id = ?1", [family]).map_err(failure::of)?;
    }
    Ok(())
}
