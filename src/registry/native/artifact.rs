//! Artifacts from and to rows.

use std::collections::HashMap;

use rusqlite::{Row, Transaction};

use super::failure::{self, unsigned};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};

/// The columns that [`from_row`] reads, of table `artifacts` named `a`.
pub(crate) const COLUMNS: &str = "a.id, a.uid, a.key, a.version, a.is_latest, a.suffix, a.kind, a.url, a.size, \
    a.n_files, a.n_observations, a.etag, a.description, a.created_at, a.created_by, a.trashed_at";

/// An artifact and its row number; labels and files are empty.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) artifact: Artifact,
}

/// One artifact of a row with [`COLUMNS`].
pub(crate) fn from_row(row: &Row<'_>) -> Result<Found> {
    let of = failure::of;
    let count = |column: usize, name: &str| -> Result<Option<u64>> {
        row.get::<_, Option<i64>>(column).map_err(of)?.map(|number| unsigned(number, name)).transpose()
    };
    let kind: String = row.get(6).map_err(of)?;
    let artifact = Artifact {
        uid: row.get(1).map_err(of)?,
        key: row.get(2).map_err(of)?,
        version: row.get(3).map_err(of)?,
        is_latest: row.get(4).map_err(of)?,
        suffix: row.get(5).map_err(of)?,
        kind: kind_of(&kind)?,
        url: row.get(7).map_err(of)?,
        size: unsigned(row.get(8).map_err(of)?, "size")?,
        n_files: count(9, "number of files")?,
        n_observations: count(10, "number of observations")?,
        etag: row.get(11).map_err(of)?,
        description: row.get(12).map_err(of)?,
        created_at: row.get(13).map_err(of)?,
        created_by: row.get(14).map_err(of)?,
        trashed_at: row.get(15).map_err(of)?,
        ..Artifact::default()
    };
    Ok(Found { id: row.get(0).map_err(of)?, artifact })
}

/// All artifacts that a query with [`COLUMNS`] gives.
pub(crate) fn query(transaction: &Transaction<'_>, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Found>> {
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query(parameters).map_err(failure::of)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failure::of)? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// The row numbers as SQLite's `json_each` reads them.
pub(crate) fn id_list(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

/// Gives all artifacts their labels, in one query.
pub(crate) fn add_labels(transaction: &Transaction<'_>, found: &mut [Found]) -> Result<()> {
    let ids = id_list(found.iter().map(|found| found.id));
    let places: HashMap<i64, usize> = found.iter().enumerate().map(|(place, found)| (found.id, place)).collect();
    let sql = "SELECT m.artifact_id, m.feature, l.name FROM json_each(?1) i \
        CROSS JOIN labelled m ON m.artifact_id = i.value CROSS JOIN labels l ON l.id = m.label_id \
        ORDER BY m.artifact_id, l.name";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query([ids]).map_err(failure::of)?;
    while let Some(row) = rows.next().map_err(failure::of)? {
        let (id, feature): (i64, String) = (row.get(0).map_err(failure::of)?, row.get(1).map_err(failure::of)?);
        let name = row.get(2).map_err(failure::of)?;
        let Some(found) = places.get(&id).and_then(|place| found.get_mut(*place)) else { continue };
        match feature.as_str() {
            "" => found.artifact.labels.push(name),
            _ => found.artifact.features.entry(feature).or_default().push(name),
        }
    }
    Ok(())
}

/// The artifact with its labels and files.
pub(crate) fn complete(transaction: &Transaction<'_>, found: Found) -> Result<Artifact> {
    let mut found = [found];
    add_labels(transaction, &mut found)?;
    let [Found { id, mut artifact }] = found;
    let sql = "SELECT path, size, etag FROM files WHERE artifact_id = ?1 ORDER BY path";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut rows = statement.query([id]).map_err(failure::of)?;
    while let Some(row) = rows.next().map_err(failure::of)? {
        artifact.files.push(PinnedFile {
            path: row.get(0).map_err(failure::of)?,
            size: unsigned(row.get(1).map_err(failure::of)?, "size")?,
            etag: row.get(2).map_err(failure::of)?,
        });
    }
    Ok(artifact)
}

/// The word under which a kind is kept.
pub(crate) fn kind_name(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Hdf5 => "hdf5",
        ArtifactKind::H5ad => "h5ad",
        ArtifactKind::Zarr => "zarr",
        ArtifactKind::Parquet => "parquet",
        ArtifactKind::Other => "other",
    }
}

/// The kind that is kept under a word.
pub(crate) fn kind_of(name: &str) -> Result<ArtifactKind> {
    let kinds =
        [ArtifactKind::Hdf5, ArtifactKind::H5ad, ArtifactKind::Zarr, ArtifactKind::Parquet, ArtifactKind::Other];
    kinds
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .ok_or_else(|| Error::data_loss(format!("the registry holds an unknown artifact kind {name:?}")))
}
