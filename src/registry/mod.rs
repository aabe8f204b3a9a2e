//! What exists: artifacts with their versions, labels, collections.
//!
//! Sits between the command line or the Flight service and the databases. What is read asks every
//! registry that is served; what is written goes to the one of our own ([`Registry::native`]).

pub mod native;

use std::path::Path;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::artifact::{Artifact, Collection};
use crate::model::criteria::Criteria;
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

    /// All collections, with their artifacts.
    ///
    /// # Errors
    /// As [`NativeRegistry::collections`].
    pub async fn collections(&self) -> Result<Vec<Collection>> {
        self.native.collections().await
    }

    /// Artifacts that meet the criteria: by rank when words are searched, else by key.
    ///
    /// # Errors
    /// As [`NativeRegistry::list`].
    pub async fn list(&self, criteria: &Criteria) -> Result<Vec<Artifact>> {
        let Some(words) = &criteria.search else { return self.native.list(criteria.clone()).await };
        let found = self.native.search(words, None).await?;
        Ok(found.into_iter().filter(|artifact| meets(artifact, criteria)).collect())
    }
}

fn meets(artifact: &Artifact, criteria: &Criteria) -> bool {
    criteria.key_prefix.as_ref().is_none_or(|prefix| artifact.key.starts_with(prefix.as_str()))
        && criteria.suffix.as_ref().is_none_or(|suffix| artifact.suffix == *suffix)
        && criteria.label.as_ref().is_none_or(|label| artifact.labels.contains(label))
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
