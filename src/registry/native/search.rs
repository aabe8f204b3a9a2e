//! Searching artifacts by words of key, description and labels.

use rusqlite::{Transaction, params};

use super::artifact::{self, COLUMNS};
use super::list::limit_of;
use super::{NativeRegistry, failure};
use crate::error::Result;
use crate::model::artifact::Artifact;

/// Most words of a search; more are left out.
const WORDS: usize = 32;

impl NativeRegistry {
    /// Latest versions that hold every word (or a word that starts so) in key, description or labels,
    /// best first; with labels and without files. No words find nothing.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn search(&self, words: &str, limit: Option<u64>) -> Result<Vec<Artifact>> {
        let query = quoted(words);
        if query.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |transaction| {
            let sql = format!(
                "SELECT {COLUMNS} FROM artifact_search s JOIN artifacts a ON a.id = s.rowid \
                 WHERE artifact_search MATCH ?1 AND a.is_latest = 1 ORDER BY bm25(artifact_search), a.key LIMIT ?2"
            );
            let found = artifact::query(transaction, &sql, params![query, limit_of(limit)?])?;
            found.into_iter().map(|found| Ok(artifact::with_labels(transaction, found)?.artifact)).collect()
        })
        .await
    }
}

/// Makes the search words of an artifact those of its row.
pub(crate) fn update(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    remove(transaction, id)?;
    let sql = "INSERT INTO artifact_search (rowid, key, description, labels) \
        SELECT a.id, a.key, coalesce(a.description, ''), coalesce((SELECT group_concat(l.name, ' ') FROM labels l \
            JOIN artifact_labels m ON m.label_id = l.id WHERE m.artifact_id = a.id), '') \
        FROM artifacts a WHERE a.id = ?1";
    transaction.execute(sql, [id]).map_err(failure::of)?;
    Ok(())
}

/// Forgets the search words of an artifact.
pub(crate) fn remove(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    transaction.execute("DELETE FROM artifact_search WHERE rowid = ?1", [id]).map_err(failure::of)?;
    Ok(())
}

/// The words as quoted prefixes: nothing in them is syntax of the search engine.
pub(crate) fn quoted(words: &str) -> String {
    let words = words.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).take(WORDS);
    let quoted: Vec<String> =
        words.map(|word| format!("\"{}\"*", word.replace('\0', "").replace('"', "\"\""))).collect();
    quoted.join(" ")
}
