//! The words by which artifacts are found: those of key, description and labels.

use rusqlite::{Transaction, params};

use super::failure;
use crate::error::Result;

/// How many artifacts have the words, counted up to `most`.
pub(crate) fn count(transaction: &Transaction<'_>, quoted: &str, most: u64) -> Result<u64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM artifact_search WHERE artifact_search MATCH ?1 LIMIT ?2)";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let most = failure::signed(most, "number of artifacts")?;
    let count = statement.query_row(params![quoted, most], |row| row.get(0)).map_err(failure::of)?;
    failure::unsigned(count, "number of artifacts")
}

/// Makes the search words of an artifact those of its row.
pub(crate) fn update(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    remove(transaction, id)?;
    let sql = "INSERT INTO artifact_search (rowid, key, description, labels) \
        SELECT a.id, a.key, coalesce(a.description, ''), coalesce((SELECT group_concat(l.name, ' ') FROM labels l \
            JOIN labelled m ON m.label_id = l.id WHERE m.artifact_id = a.id AND m.feature = ''), '') \
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
    let words = words.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric));
    let quoted: Vec<String> =
        words.map(|word| format!("\"{}\"*", word.replace('\0', "").replace('"', "\"\""))).collect();
    quoted.join(" ")
}
