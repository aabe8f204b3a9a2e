//! Artifacts from rows of a mirror.

use std::collections::HashMap;

use rusqlite::{Row, Transaction};

use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, Recorded};
use crate::registry::native::artifact::{id_list, kind_of};
use crate::registry::native::failure;

/// The columns that [`from_row`] reads, of table `artifacts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.uid, a.key, a.version, a.is_latest, a.suffix, a.kind, a.url, a.size, \
    a.n_files, a.n_observations, a.description, a.created_at, a.hash, a.hash_type, a.refusal, \
    coalesce(a.handle, a.name, '')";

/// Who made it, of table `a`.
pub(super) const MAKER: &str = "coalesce(a.handle, a.name, '')";

/// What everybody sees: no trash, no archive, nothing of a branch that is not merged.
pub(super) const VISIBLE: &str = "a.branch = 1";

/// An artifact and its row number; labels are empty.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) artifact: Artifact,
}

/// All artifacts that a query with [`COLUMNS`] gives, without labels.
pub(super) fn query(transaction: &Transaction<'_>, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Found>> {
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query(parameters).map_err(failure::of)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failure::of)? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// The artifacts with their labels, each name once in byte order, and those that are values of features.
pub(super) fn with_labels(transaction: &Transaction<'_>, mut found: Vec<Found>) -> Result<Vec<Artifact>> {
    let places: HashMap<i64, usize> = found.iter().enumerate().map(|(place, found)| (found.id, place)).collect();
    let sql = "SELECT DISTINCT m.artifact_id, l.name, m.feature FROM json_each(?1) i \
        CROSS JOIN artifact_labels m ON m.artifact_id = i.value CROSS JOIN labels l ON l.id = m.label_id \
        WHERE l.branch = 1 ORDER BY m.artifact_id, l.name";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query([id_list(found.iter().map(|found| found.id))]).map_err(failure::of)?;
    while let Some(row) = rows.next().map_err(failure::of)? {
        let (id, name): (i64, String) = (row.get(0).map_err(failure::of)?, row.get(1).map_err(failure::of)?);
        let feature: Option<String> = row.get(2).map_err(failure::of)?;
        let Some(Found { artifact, .. }) = places.get(&id).and_then(|place| found.get_mut(*place)) else { continue };
        if let Some(feature) = feature {
            artifact.features.entry(feature).or_default().push(name.clone());
        }
        if artifact.labels.last() != Some(&name) {
            artifact.labels.push(name);
        }
    }
    Ok(found.into_iter().map(|found| found.artifact).collect())
}

/// The one artifact with its labels.
pub(super) fn complete(transaction: &Transaction<'_>, found: Found) -> Result<Artifact> {
    let one = with_labels(transaction, vec![found])?.pop();
    one.ok_or_else(|| Error::internal("an artifact was lost"))
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
        created_by: row.get(16).map_err(of)?,
        recorded: Some(Box::new(recorded)),
        ..Artifact::default()
    };
    Ok(Found { id: row.get(0).map_err(of)?, artifact })
}
