//! Where layouts and chunk indexes are kept between restarts: the contract, not the database.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;

/// Keeps opaque index records per object version. A record is only found again for the same
/// identity, so a changed object never meets an old index.
#[async_trait]
pub trait IndexStore: Debug + Send + Sync {
    /// The record `name` of the object version `identity`, if it was kept.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>>;

    /// Keeps the record `name` of the object version `identity`, over an older one.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be written.
    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()>;
}

/// Keeps nothing: every open indexes anew.
#[derive(Debug, Default)]
pub struct NoIndexStore;

#[async_trait]
impl IndexStore for NoIndexStore {
    async fn load(&self, _identity: &str, _name: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn save(&self, _identity: &str, _name: &str, _record: Vec<u8>) -> Result<()> {
        Ok(())
    }
}
