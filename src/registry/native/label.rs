//! Labels of artifact versions.

use rusqlite::{OptionalExtension, Transaction, params};

use super::register::{by_id, check_name};
use super::{NativeRegistry, artifact, failure, find, search};
use crate::error::{Error, Result};
use crate::model::artifact::Artifact;
use crate::model::criteria::FeatureLabel;
use crate::model::request::Source;

/// Longest name of a label or feature, in bytes.
const LABEL_BYTES: usize = 256;

impl NativeRegistry {
    /// Adds labels to an artifact, each maybe as the value of a feature; those it has already change nothing.
    ///
    /// # Errors
    /// `NotFound` or `InvalidArgument` as [`NativeRegistry::artifact`], `InvalidArgument` for a malformed
    /// name, `Unavailable` when the database cannot be written.
    pub async fn label(&self, source: &Source, labels: &[FeatureLabel]) -> Result<Artifact> {
        labels.iter().try_for_each(check)?;
        let (source, labels) = (source.clone(), labels.to_vec());
        self.write(move |transaction| {
            let found = find::artifact(transaction, &source)?;
            add(transaction, found.id, &labels)?;
            search::update(transaction, found.id)?;
            artifact::complete(transaction, by_id(transaction, found.id)?)
        })
        .await
    }

    /// Removes labels from an artifact: all of a name, or as the value of one feature. What it does not have
    /// is refused, and nothing is removed then.
    ///
    /// # Errors
    /// As [`NativeRegistry::label`]; `NotFound` naming a label that the artifact does not have.
    pub async fn unlabel(&self, source: &Source, labels: &[FeatureLabel]) -> Result<Artifact> {
        let (source, labels) = (source.clone(), labels.to_vec());
        self.write(move |transaction| {
            let found = find::artifact(transaction, &source)?;
            for label in &labels {
                if !remove(transaction, found.id, label)? {
                    let (key, name) = (&found.artifact.key, &label.name);
                    let of = label.feature.as_ref().map(|feature| format!(" of the feature {feature:?}"));
                    let of = of.unwrap_or_default();
                    return Err(Error::not_found(format!("the artifact {key:?} has no label {name:?}{of}")));
                }
            }
            search::update(transaction, found.id)?;
            artifact::complete(transaction, by_id(transaction, found.id)?)
        })
        .await
    }
}

/// Refuses names that are empty, too long or hold control characters.
pub(crate) fn check(label: &FeatureLabel) -> Result<()> {
    check_name("label", &label.name, LABEL_BYTES)?;
    label.feature.as_ref().map_or(Ok(()), |feature| check_name("feature", feature, LABEL_BYTES))
}

pub(crate) fn add(transaction: &Transaction<'_>, artifact_id: i64, labels: &[FeatureLabel]) -> Result<()> {
    for FeatureLabel { name, feature } in labels {
        let sql = "INSERT INTO labels (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([name])).map_err(failure::of)?;
        let sql = "INSERT INTO labelled (artifact_id, label_id, feature, by_itself, is_latest, key, uid) \
            SELECT a.id, l.id, ?3, ?4, a.is_latest, a.key, a.uid FROM artifacts a, labels l \
            WHERE a.id = ?1 AND l.name = ?2 \
            ON CONFLICT DO UPDATE SET by_itself = max(by_itself, excluded.by_itself)";
        let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
        let by_itself = feature.is_none();
        statement.execute(params![artifact_id, name, "", by_itself]).map_err(failure::of)?;
        if let Some(feature) = feature {
            statement.execute(params![artifact_id, name, feature, false]).map_err(failure::of)?;
        }
    }
    Ok(())
}

/// Removes a label; says whether it was there.
fn remove(transaction: &Transaction<'_>, artifact_id: i64, label: &FeatureLabel) -> Result<bool> {
    let sql = "SELECT id FROM labels WHERE name = ?1";
    let id: Option<i64> =
        transaction.query_row(sql, [&label.name], |row| row.get(0)).optional().map_err(failure::of)?;
    let Some(id) = id else { return Ok(false) };
    let removed = match &label.feature {
        None => {
            let sql = "DELETE FROM labelled WHERE artifact_id = ?1 AND label_id = ?2";
            transaction.execute(sql, [artifact_id, id]).map_err(failure::of)?
        }
        Some(feature) => {
            let sql = "DELETE FROM labelled WHERE artifact_id = ?1 AND label_id = ?2 AND feature = ?3";
            let removed = transaction.execute(sql, params![artifact_id, id, feature]).map_err(failure::of)?;
            // A label that was there for its features only goes with the last of them.
            let sql = "DELETE FROM labelled WHERE artifact_id = ?1 AND label_id = ?2 AND feature = '' AND by_itself = 0 \
                AND NOT EXISTS (SELECT 1 FROM labelled m \
                    WHERE m.artifact_id = ?1 AND m.label_id = ?2 AND m.feature <> '')";
            transaction.execute(sql, [artifact_id, id]).map_err(failure::of)?;
            removed
        }
    };
    let unused = "DELETE FROM labels WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM labelled WHERE label_id = ?1)";
    transaction.execute(unused, [id]).map_err(failure::of)?;
    Ok(removed > 0)
}
