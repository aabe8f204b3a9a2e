//! The storage roots that the operator registered. Options are kept by name only: what they hold,
//! credentials too, stays in the configuration.

use rusqlite::params;

use super::register::check_url;
use super::{NativeRegistry, failure};
use crate::error::{Error, Result};

/// A registered storage root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredStorage {
    /// Root URL without secrets.
    pub url: String,
    /// What it is: `local`, `s3`, `gcs`, `azure`, `http`, `hugging_face`.
    pub kind: String,
    /// Name of its options in the configuration.
    pub options_name: Option<String>,
    /// When it was added, RFC 3339 in UTC.
    pub created_at: String,
}

impl NativeRegistry {
    /// Adds a storage root, or gives a known one another kind or options name.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL with a user name, password or query, `Unavailable` when the database
    /// cannot be written.
    pub async fn add_storage(&self, url: &str, kind: &str, options_name: Option<&str>) -> Result<()> {
        check_url(url)?;
        let values = (url.to_owned(), kind.to_owned(), options_name.map(str::to_owned));
        self.write(move |transaction| {
            let sql = "INSERT INTO storages (url, kind, options_name, created_at) \
                VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) \
                ON CONFLICT (url) DO UPDATE SET kind = excluded.kind, options_name = excluded.options_name";
            transaction.execute(sql, params![values.0, values.1, values.2]).map_err(failure::of)?;
            Ok(())
        })
        .await
    }

    /// All storage roots, by URL.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn list_storages(&self) -> Result<Vec<RegisteredStorage>> {
        self.read(|transaction| {
            let sql = "SELECT url, kind, options_name, created_at FROM storages ORDER BY url";
            let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
            let rows = statement.query_map([], |row| {
                Ok(RegisteredStorage {
                    url: row.get(0)?,
                    kind: row.get(1)?,
                    options_name: row.get(2)?,
                    created_at: row.get(3)?,
                })
            });
            rows.map_err(failure::of)?.collect::<rusqlite::Result<_>>().map_err(failure::of)
        })
        .await
    }

    /// Removes a storage root; artifacts below it stay registered and cannot be read.
    ///
    /// # Errors
    /// `NotFound` when it is not registered, `Unavailable` when the database cannot be written.
    pub async fn remove_storage(&self, url: &str) -> Result<()> {
        let url = url.to_owned();
        self.write(move |transaction| {
            match transaction.execute("DELETE FROM storages WHERE url = ?1", [url]).map_err(failure::of)? {
                0 => Err(Error::not_found("no storage root is registered with this URL")),
                _ => Ok(()),
            }
        })
        .await
    }
}
