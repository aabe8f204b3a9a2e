//! The schema, in numbered steps, and which of them a file has seen.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::failure;
use crate::error::{Error, Result};

/// Marks a SQLite file as a registry of sliceflight ("slft").
const APPLICATION_ID: i64 = 0x736c_6674;

/// The steps; number n is at place n − 1. A step that was released is never changed.
const STEPS: [(&str, &str); 2] =
    [("start", include_str!("migrations/0001_start.sql")), ("queries", include_str!("migrations/0002_queries.sql"))];

/// Takes the steps that the file has not seen, in one transaction.
pub(crate) fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<()> {
    let shown = path.display();
    let named = |error: rusqlite::Error| failure::of(error).context(format!("registry {shown}"));
    if !is_registry(connection).map_err(named)? && !is_empty(connection).map_err(named)? {
        return Err(Error::failed_precondition(format!(
            "{shown} is a SQLite database, but not a sliceflight registry"
        )));
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(named)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(named)?;
    let create = "CREATE TABLE IF NOT EXISTS migrations \
        (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT";
    transaction.execute(create, []).map_err(named)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(named)?;
    let seen = "SELECT coalesce(max(number), 0) FROM migrations";
    let seen: u32 = transaction.query_row(seen, [], |row| row.get(0)).map_err(named)?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if seen > known {
        return Err(Error::failed_precondition(format!(
            "registry {shown} has schema version {seen}, this program knows versions up to {known}"
        )));
    }
    for (number, (name, step)) in (1_u32..).zip(STEPS).filter(|(number, _)| *number > seen) {
        transaction.execute_batch(step).map_err(named)?;
        let note = "INSERT INTO migrations VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";
        transaction.execute(note, (number, name)).map_err(named)?;
    }
    transaction.commit().map_err(named)
}

fn is_registry(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    Ok(id == APPLICATION_ID)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}
