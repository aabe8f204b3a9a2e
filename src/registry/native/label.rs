//! Labels of artifact versions.

use rusqlite::{Transaction, params};

use super::register::{by_id, check_name};
use super::{NativeRegistry, artifact, failure, find, search};
use crate::error::Result;
use crate::model::artifact::Artifact;
use crate::model::request::Source;

/// Longest name of a label, in bytes.
const LABEL_BYTES: usize = 256;

impl NativeRegistry {
    /// Adds labels to an artifact; those it has already change nothing.
    ///
    /// # Errors
    /// `NotFound` or `InvalidArgument` as [`NativeRegistry::artifact`], `InvalidArgument` for a malformed
    /// name, `Unavailable` when the database cannot be written.
    pub async fn label(&self, source: &Source, names: &[String]) -> Result<Artifact> {
        names.iter().try_for_each(|name| check(name))?;
        let (source, names) = (source.clone(), names.to_vec());
        self.write(move |transaction| {
            let found = find::artifact(transaction, &source)?;
            add(transaction, found.id, &names)?;
            search::update(transaction, found.id)?;
            artifact::complete(transaction, by_id(transaction, found.id)?)
        })
        .await
    }
}

/// Refuses names that are empty, too long or hold control characters.
pub(crate) fn check(name: &str) -> Result<()> {
    check_name("label", name, LABEL_BYTES)
}

pub(crate) fn add(transaction: &Transaction<'_>, artifact_id: i64, names: &[String]) -> Result<()> {
    for name in names {
        let sql = "INSERT INTO labels (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        transaction.execute(sql, [name]).map_err(failure::of)?;
        let sql = "INSERT INTO artifact_labels (artifact_id, label_id) \
            SELECT ?1, id FROM labels WHERE name = ?2 ON CONFLICT DO NOTHING";
        transaction.execute(sql, params![artifact_id, name]).map_err(failure::of)?;
    }
    Ok(())
}
