//! What exists: artifacts with their versions, labels, collections.
//!
//! Sits between the command line or the Flight service and the databases. What is read asks every
//! registry that is served; what is written goes to the one of our own ([`Registry::native`]).

pub mod native;
mod pages;

use std::path::Path;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::artifact::{Artifact, Collection};
use crate::model::index_store::IndexStore;
use crate::model::request::Source;
use native::NativeRegistry;

/// Everything that is served under keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    native: NativeRegistry,
}

impl Registry {
    /// Opens the registry of our own at `path`; a new one when there is no file.
    ///
    /// # Errors
    /// As [`NativeRegistry::open_with`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { native: NativeRegistry::open(path).await? })
    }

    /// The registry of our own: the only one that is ever written.
    pub fn native(&self) -> &NativeRegistry {
        &self.native
    }

    /// The artifact that `source` names, with labels and files.
    ///
    /// # Errors
    /// As [`NativeRegistry::artifact`].
    pub async fn artifact(&self, source: &Source) -> Result<Artifact> {
        self.native.artifact(source).await
    }

    /// The collection of a key or of a uid (full or a unique prefix), with its artifacts in order.
    ///
    /// # Errors
    /// As [`NativeRegistry::collection`].
    pub async fn collection(&self, key_or_uid: &str) -> Result<Collection> {
        self.native.collection(key_or_uid).await
    }
}

/// Layouts and chunk indexes are kept in the registry of our own, whoever knows the artifact.
#[async_trait]
impl IndexStore for Registry {
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>> {
        self.native.load(identity, name).await
    }

    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()> {
        self.native.save(identity, name, record).await
    }
}
