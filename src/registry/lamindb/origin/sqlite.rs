//! Rows of a SQLite file that is ours alone: a copy, with what a writer left half done beside it.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::error::{Error, Result};
use crate::registry::lamindb::tables::{Record, Tables};
use crate::registry::native::failure;

/// The tables of one SQLite file.
#[derive(Debug)]
pub(super) struct SqliteTables(Connection);

impl SqliteTables {
    /// Opens a copy of a database. SQLite takes back what its journal says was not finished.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is no database, `DataLoss` when it is damaged.
    pub(super) fn open(copy: &Path) -> Result<Self> {
        let connection = Connection::open(copy).map_err(failure::of)?;
        // Nothing that the file defines is run, and its cells are checked as they are read.
        connection.pragma_update(None, "trusted_schema", false).map_err(failure::of)?;
        connection.pragma_update(None, "cell_size_check", true).map_err(failure::of)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failure::of)?;
        Ok(Self(connection))
    }
}

impl Tables for SqliteTables {
    fn columns(&mut self, table: &str) -> Result<HashSet<String>> {
        let mut statement = self.0.prepare("SELECT name FROM pragma_table_info(?1)").map_err(failure::of)?;
        let names = statement.query_map([table], |row| row.get(0)).map_err(failure::of)?;
        names.collect::<rusqlite::Result<_>>().map_err(failure::of)
    }

    fn rows(&mut self, sql: &str, each: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        let mut statement = self.0.prepare(sql).map_err(failure::of)?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(failure::of)?;
        let mut record = Record::default();
        while let Some(row) = rows.next().map_err(failure::of)? {
            record.0.clear();
            for column in 0..columns {
                record.0.push(text(row.get_ref(column).map_err(failure::of)?)?);
            }
            each(&record)?;
        }
        Ok(())
    }
}

fn text(value: ValueRef<'_>) -> Result<Option<String>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Error::data_loss("the database holds a text that is not UTF-8")),
        },
        other => Err(Error::internal(format!("expected a text of the database, found {:?}", other.data_type()))),
    }
}
