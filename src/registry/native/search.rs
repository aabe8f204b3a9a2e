//! The words by which artifacts are found: those of key, description and labels.

use rusqlite::Transaction;

use super::failure;
use crate::error::Result;

/// Most words of a search; more are left out.
const WORDS: usize = 32;

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
    let words = words.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).take(WORDS);
    let quoted: Vec<String> =
        words.map(|word| format!("\"{}\"*", word.replace('\0', "").replace('"', "\"\""))).collect();
    quoted.join(" ")
}
