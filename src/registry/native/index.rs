//! Kept layouts and chunk indexes, within a number of bytes: the oldest go first.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};

use super::NativeRegistry;
use super::failure::{self, signed, unsigned};
use crate::error::{Error, Result};
use crate::model::index_store::IndexStore;

#[async_trait]
impl IndexStore for NativeRegistry {
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let (identity, name) = (identity.to_owned(), name.to_owned());
        self.read(move |transaction| {
            let sql = "SELECT record FROM indexes WHERE identity = ?1 AND name = ?2";
            let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
            statement.query_row(params![identity, name], |row| row.get(0)).optional().map_err(failure::of)
        })
        .await
    }

    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()> {
        let (limit, length) = (self.options.index_bytes, record.len() as u64);
        if length > limit {
            let message = format!("index {name} of {length} bytes exceeds the limit of {limit} bytes (index_bytes)");
            return Err(Error::resource_exhausted(message));
        }
        let (identity, name) = (identity.to_owned(), name.to_owned());
        self.write(move |transaction| {
            let old = "DELETE FROM indexes WHERE identity = ?1 AND name = ?2";
            transaction.execute(old, params![identity, name]).map_err(failure::of)?;
            make_room(transaction, limit - length)?;
            let sql = "INSERT INTO indexes (identity, name, size, record, created_at) \
                VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";
            let size = signed(length, "size")?;
            transaction.execute(sql, params![identity, name, size, record]).map_err(failure::of)?;
            Ok(())
        })
        .await
    }
}

/// Removes the oldest records until at most `limit` bytes are kept.
fn make_room(transaction: &Transaction<'_>, limit: u64) -> Result<()> {
    let total = "SELECT coalesce(sum(size), 0) FROM indexes";
    let total = unsigned(transaction.query_row(total, [], |row| row.get(0)).map_err(failure::of)?, "size")?;
    let Some(mut excess) = total.checked_sub(limit).filter(|excess| *excess > 0) else { return Ok(()) };
    let mut statement = transaction.prepare_cached("SELECT id, size FROM indexes ORDER BY id").map_err(failure::of)?;
    let mut rows = statement.query([]).map_err(failure::of)?;
    let mut oldest = Vec::new();
    while let Some(row) = rows.next().map_err(failure::of)? {
        if excess == 0 {
            break;
        }
        oldest.push(row.get::<_, i64>(0).map_err(failure::of)?);
        excess = excess.saturating_sub(unsigned(row.get(1).map_err(failure::of)?, "size")?);
    }
    for id in oldest {
        transaction.execute("DELETE FROM indexes WHERE id = ?1", [id]).map_err(failure::of)?;
    }
    Ok(())
}
