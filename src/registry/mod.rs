//! What exists: artifacts with their versions, labels, collections.
//!
//! Sits between the command line or the Flight service and the databases. What is read asks every
//! registry that is served; what is written goes to the one of our own ([`Registry::native`]).

mod find;
pub mod lamindb;
pub mod native;

use std::path::Path;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, Collection};
use crate::model::criteria::Criteria;
use crate::model::index_store::IndexStore;
use lamindb::{After, Instance};
use native::NativeRegistry;

/// Everything that is served under keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    native: NativeRegistry,
    instances: Vec<Instance>,
}

impl Registry {
    /// Opens the registry of our own at `path`; a new one when there is no file.
    ///
    /// # Errors
    /// As [`NativeRegistry::open_with`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { native: NativeRegistry::open(path).await?, instances: Vec::new() })
    }

    /// Serves a LaminDB instance beside what there is. Its keys begin with its name, if it has one.
    ///
    /// # Errors
    /// `InvalidArgument` when another instance has the same name, or none like this one.
    pub fn add_instance(&mut self, instance: Instance) -> Result<()> {
        if let Some(other) = self.instances.iter().find(|other| other.name() == instance.name()) {
            let (name, other) = (instance.name().unwrap_or("none"), other.shown());
            return Err(Error::invalid(format!(
                "the LaminDB instances {other} and {} have the same name ({name}): each but one needs a name of its own",
                instance.shown()
            )));
        }
        self.instances.push(instance);
        Ok(())
    }

    /// The LaminDB instances that are served.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The registry of our own: the only one that is ever written.
    pub fn native(&self) -> &NativeRegistry {
        &self.native
    }

    /// All collections, with their artifacts.
    ///
    /// # Errors
    /// As [`NativeRegistry::collections`].
    pub async fn collections(&self) -> Result<Vec<Collection>> {
        let mut all = self.native.collections().await?;
        for instance in &self.instances {
            all.extend(instance.collections().await?);
        }
        all.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(all)
    }

    /// Artifacts that meet the criteria: by rank when words are searched, else by key.
    ///
    /// # Errors
    /// As [`NativeRegistry::list`].
    pub async fn list(&self, criteria: &Criteria) -> Result<Vec<Artifact>> {
        let mut found: Vec<(f64, Artifact)> = match &criteria.search {
            None => self.native.list(criteria.clone()).await?.into_iter().map(|artifact| (0.0, artifact)).collect(),
            Some(words) => {
                let found = self.native.search(words, None).await?.into_iter();
                found.filter(|artifact| meets(artifact, criteria)).map(|artifact| (0.0, artifact)).collect()
            }
        };
        let limit = criteria.limit.unwrap_or(1_000).min(100_000);
        for instance in &self.instances {
            found.extend(instance.list(criteria, After::default(), limit).await?);
        }
        let order = |(rank, artifact): &(f64, Artifact)| (*rank, artifact.key.clone());
        found.sort_by(|left, right| order(left).partial_cmp(&order(right)).unwrap_or(std::cmp::Ordering::Equal));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, artifact)| artifact).collect())
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
