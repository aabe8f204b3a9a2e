//! Which objects are registered in the version that they have now.

use rusqlite::{OptionalExtension, params};

use super::NativeRegistry;
use super::failure::{self, signed};
use crate::error::Result;

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// URL without secrets.
    pub url: String,
    /// Size in bytes.
    pub size: u64,
    /// ETag, or the digest of a folder.
    pub etag: String,
}

impl NativeRegistry {
    /// For each object, whether the latest version of some key is just this version of it.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn known(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>> {
        let objects = objects.to_vec();
        self.read(move |transaction| {
            let sql = "SELECT 1 FROM artifacts INDEXED BY artifacts_url \
                WHERE url = ?1 AND size = ?2 AND etag = ?3 AND is_latest = 1";
            let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
            let mut known = Vec::with_capacity(objects.len());
            for ObjectVersion { url, size, etag } in &objects {
                let values = params![url, signed(*size, "size")?, etag];
                let found = statement.query_row(values, |_| Ok(())).optional().map_err(failure::of)?;
                known.push(found.is_some());
            }
            Ok(known)
        })
        .await
    }
}
