//! The trash: artifacts that are hidden until they are restored or removed. Objects are never touched.

use rusqlite::{Transaction, params};

use super::remove::{refuse_member, settle};
use super::{NativeRegistry, failure, find};
use crate::error::{Error, Result};
use crate::model::request::Source;

impl NativeRegistry {
    /// Moves the version that `source` names, or all versions of its key, to the trash; says how many. They
    /// are hidden from keys, listings and searches then, and found by their full uid. When the latest version
    /// goes, the newest that stays is the latest.
    ///
    /// # Errors
    /// As [`NativeRegistry::artifact`]; `FailedPrecondition` naming the collection when a version is a member
    /// of one, or when it is in the trash already (nothing is moved then).
    pub async fn trash(&self, source: &Source, all_versions: bool) -> Result<u64> {
        let source = source.clone();
        self.write(move |transaction| {
            let named = find::artifact(transaction, &source)?;
            if named.artifact.trashed_at.is_some() {
                let uid = named.artifact.uid;
                return Err(Error::failed_precondition(format!("the artifact {uid} is in the trash already")));
            }
            let family = find::family(transaction, named.id)?;
            let ids = match all_versions {
                true => versions(transaction, family, "trashed_at IS NULL")?,
                false => vec![named.id],
            };
            for id in &ids {
                refuse_member(transaction, *id)?;
                let sql = "UPDATE artifacts SET is_latest = 0, trashed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
                    WHERE id = ?1";
                transaction.execute(sql, [id]).map_err(failure::of)?;
            }
            settle(transaction, family)?;
            Ok(ids.len() as u64)
        })
        .await
    }

    /// Takes the version that `source` names (by its full uid, or key and version), or all versions of a key,
    /// out of the trash; says how many. The newest version of the key is the latest then.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FailedPrecondition` when it is not in the trash or when a collection has
    /// the key.
    pub async fn restore(&self, source: &Source) -> Result<u64> {
        let source = source.clone();
        self.write(move |transaction| {
            let named = find::with_trash(transaction, &source)?;
            let family = find::family(transaction, named.id)?;
            let ids = match &source {
                Source::Key { version: None, .. } => versions(transaction, family, "trashed_at IS NOT NULL")?,
                _ if named.artifact.trashed_at.is_some() => vec![named.id],
                _ => Vec::new(),
            };
            if ids.is_empty() {
                let key = named.artifact.key;
                return Err(Error::failed_precondition(format!("the artifact {key:?} is not in the trash")));
            }
            for id in &ids {
                let sql = "UPDATE artifacts SET trashed_at = NULL WHERE id = ?1";
                transaction.execute(sql, [id]).map_err(failure::of)?;
            }
            settle(transaction, family)?;
            Ok(ids.len() as u64)
        })
        .await
    }
}

fn versions(transaction: &Transaction<'_>, family: i64, state: &str) -> Result<Vec<i64>> {
    let sql = format!("SELECT id FROM artifacts WHERE family_id = ?1 AND {state}");
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params![family], |row| row.get(0)).map_err(failure::of)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
}
