//! Artifacts from rows of a mirror.

use rusqlite::{Row, Transaction};

use crate::error::Result;
use crate::model::artifact::{Artifact, Recorded};
use crate::registry::native::artifact::kind_of;
use crate::registry::native::failure;

/// The columns that [`from_row`] reads, of table `artifacts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.uid, a.key, a.version, a.is_latest, a.suffix, a.kind, a.url, a.size, \
    a.n_files, a.n_observations, a.description, a.created_at, a.hash, a.hash_type, a.refusal";

/// What everybody sees: no trash, no archive, nothing of a branch that is not merged.
pub(super) const VISIBLE: &str = "a.branch = 1";

/// An artifact and its row number; labels are empty.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) artifact: Artifact,
}

/// All artifacts that a query with [`COLUMNS`] gives, without labels.
pub(super) fn query(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Found>> {
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query(parameters).map_err(failure::of)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failure::of)? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// As [`query`], of a query that has a rank after [`COLUMNS`].
pub(super) fn query_ranked(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<(f64, Found)>> {
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query(parameters).map_err(failure::of)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failure::of)? {
        found.push((row.get("rank_of").map_err(failure::of)?, from_row(row)?));
    }
    Ok(found)
}

/// The artifact with its labels, by name.
pub(super) fn with_labels(transaction: &Transaction<'_>, found: Found) -> Result<Artifact> {
    let Found { id, mut artifact } = found;
    let sql = "SELECT DISTINCT l.name FROM artifact_labels m JOIN labels l ON l.id = m.label_id \
        WHERE m.artifact_id = ?1 AND l.branch = 1 ORDER BY l.name";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let names = statement.query_map([id], |row| row.get(0)).map_err(failure::of)?;
    artifact.labels = names.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    Ok(artifact)
}

fn from_row(row: &Row<'_>) -> Result<Found> {
    let of = failure::of;
    let count = |column: usize, name: &str| -> Result<Option<u64>> {
        row.get::<_, Option<i64>>(column).map_err(of)?.map(|number| failure::unsigned(number, name)).transpose()
    };
    let size = count(8, "size")?;
    let kind: String = row.get(6).map_err(of)?;
    let recorded = Recorded {
        hash: row.get(13).map_err(of)?,
        hash_type: row.get(14).map_err(of)?,
        size,
        refusal: row.get(15).map_err(of)?,
    };
    let artifact = Artifact {
        uid: row.get(1).map_err(of)?,
        key: row.get(2).map_err(of)?,
        version: row.get(3).map_err(of)?,
        is_latest: row.get(4).map_err(of)?,
        suffix: row.get(5).map_err(of)?,
        kind: kind_of(&kind)?,
        url: row.get(7).map_err(of)?,
        size: size.unwrap_or_default(),
        n_files: count(9, "number of files")?,
        n_observations: count(10, "number of observations")?,
        description: row.get(11).map_err(of)?,
        created_at: row.get(12).map_err(of)?,
        recorded: Some(recorded),
        ..Artifact::default()
    };
    Ok(Found { id: row.get(0).map_err(of)?, artifact })
}
