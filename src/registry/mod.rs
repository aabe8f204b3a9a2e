//! What exists: artifacts with their versions, labels, collections.
//!
//! Sits between the command line or the Flight service and the databases. What is read asks every
//! registry that is served; what is written goes to the one of our own ([`Registry::native`]).

mod find;
pub mod lamindb;
pub mod native;
mod pages;
mod parts;

use std::path::Path;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::model::index_store::IndexStore;
use lamindb::Instance;
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
