//! Listing artifacts.

use rusqlite::params;

use super::artifact::{self, COLUMNS};
use super::{NativeRegistry, failure};
use crate::error::Result;
use crate::model::artifact::Artifact;
use crate::model::criteria::Criteria;

/// Artifacts that a listing or a search gives unless asked otherwise.
pub(crate) const DEFAULT_LIMIT: u64 = 1_000;
/// Most artifacts that a listing or a search gives.
const MOST: u64 = 100_000;

impl NativeRegistry {
    /// Artifacts by key, newest version first, with labels and without files; the words of a search are not
    /// looked at.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn list(&self, criteria: Criteria) -> Result<Vec<Artifact>> {
        self.read(move |transaction| {
            let sql = format!(
                "SELECT {COLUMNS} FROM artifacts a WHERE (a.is_latest = 1 OR ?1) \
                 AND (?2 IS NULL OR substr(a.key, 1, length(?2)) = ?2) AND (?3 IS NULL OR a.suffix = ?3) \
                 AND (?4 IS NULL OR EXISTS (SELECT 1 FROM artifact_labels m JOIN labels l ON l.id = m.label_id \
                      WHERE m.artifact_id = a.id AND l.name = ?4)) \
                 ORDER BY a.key, a.version DESC LIMIT ?5"
            );
            let limit = limit_of(criteria.limit)?;
            let Criteria { key_prefix, label, suffix, all_versions, .. } = criteria;
            let values = params![all_versions, key_prefix, suffix, label, limit];
            let found = artifact::query(transaction, &sql, values)?;
            found.into_iter().map(|found| Ok(artifact::with_labels(transaction, found)?.artifact)).collect()
        })
        .await
    }
}

/// The limit of a query.
pub(crate) fn limit_of(asked: Option<u64>) -> Result<i64> {
    failure::signed(asked.unwrap_or(DEFAULT_LIMIT).min(MOST), "limit")
}
