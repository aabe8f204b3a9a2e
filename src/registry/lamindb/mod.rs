//! A LaminDB instance, served as it is and never written or locked.
//!
//! Its rows are mirrored (`mirror`) from wherever its database is (`origin`); a task looks for changes and
//! swaps the mirror. While the database is away, broken or being written, the last mirror answers.
//!
//! ```text
//! SQLite file | object in a store | PostgreSQL ──origin, tables──▶ mirror ──▶ artifacts, collections, searches
//! ```

mod mirror;
mod options;
mod origin;
mod path;
mod tables;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use crate::error::{Error, Result, ResultExt};
use crate::model::artifact::{Artifact, Collection};
use crate::model::criteria::Criteria;
use crate::model::lookup::{LabelEntry, Lookup};
use crate::model::object_files::ObjectFiles;
use crate::model::page::{Entry, Member, Part, Position};
use crate::model::request::Source;
use mirror::Mirror;
use origin::Origin;

pub use options::InstanceOptions;

/// A LaminDB instance. Cheap to clone.
#[derive(Clone)]
pub struct Instance(Arc<Inner>);

struct Inner {
    name: Option<String>,
    shown: String,
    origin: Box<dyn Origin>,
    /// One look for changes at a time; the state of the mirror.
    state: tokio::sync::Mutex<String>,
    mirror: RwLock<Mirror>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Instance({})", self.0.shown)
    }
}

impl Instance {
    /// Reads the instance for the first time, and then looks for changes every `options.refresh` for as long as
    /// there is a clone.
    ///
    /// # Errors
    /// `NotFound` when there is no database, `FailedPrecondition` when it is not one of LaminDB, `DataLoss` when it
    /// is damaged, `Unavailable` when it cannot be reached, and those of a malformed URL.
    pub async fn open(options: InstanceOptions, files: Arc<dyn ObjectFiles>) -> Result<Self> {
        options.check()?;
        let (name, shown, refresh) = (options.naming.name.clone(), options.shown(), options.refresh);
        let context = || format!("LaminDB instance {shown}");
        let origin = origin::of(options, files).with_context(context)?;
        let (state, mirror) = origin.mirror().await.with_context(context)?;
        let artifacts = mirror.count().await?;
        tracing::info!(instance = shown, artifacts, "read a LaminDB instance");
        let state = tokio::sync::Mutex::new(state);
        let inner = Arc::new(Inner { name, shown, origin, state, mirror: RwLock::new(mirror) });
        drop(tokio::spawn(look_for_changes(Arc::downgrade(&inner), refresh)));
        Ok(Self(inner))
    }

    /// Its name, which begins its keys.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Where it is, without secrets.
    pub fn shown(&self) -> &str {
        &self.0.shown
    }

    /// Looks for changes now, and says whether there were any. Requests that run end on what they began with.
    ///
    /// # Errors
    /// As [`Self::open`]; the old answers stay.
    pub async fn refresh(&self) -> Result<bool> {
        self.0.refresh().await
    }

    /// The artifact that `source` names, with labels. Its content was not looked at: it has no ETag and no files.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when several are meant.
    pub async fn artifact(&self, source: &Source) -> Result<Artifact> {
        self.mirror().artifact(source).await
    }

    /// The collection of a key or uid, with its artifacts in order.
    ///
    /// # Errors
    /// As [`Self::artifact`]; `FailedPrecondition` when members are hidden.
    pub async fn collection(&self, name: &str) -> Result<Collection> {
        self.mirror().collection(name).await
    }

    /// At most `limit` artifacts and then collections that meet the criteria, from `after` on.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of a listing, and those of the mirror.
    pub async fn part(&self, criteria: &Criteria, after: Option<Position>, limit: u64) -> Result<Part<Entry>> {
        self.mirror().part(criteria, after, limit).await
    }

    /// At most `limit` labels by name, from `after` on.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of labels, and those of the mirror.
    pub async fn labels(&self, lookup: &Lookup, after: Option<Position>, limit: u64) -> Result<Part<LabelEntry>> {
        self.mirror().labels(lookup, after, limit).await
    }

    /// At most `limit` members of the latest versions of all collections, by key of the collection and place in it,
    /// from `after` on.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of members, and those of the mirror.
    pub async fn members_part(&self, after: Option<Position>, limit: u64) -> Result<Part<Member>> {
        self.mirror().members_part(after, limit).await
    }

    /// Roots of its storages, each with the options that its records hold (an endpoint, a region).
    ///
    /// # Errors
    /// Those of the mirror.
    pub async fn storages(&self) -> Result<Vec<(String, BTreeMap<String, String>)>> {
        let roots = self.mirror().storages().await?.into_iter();
        let read = |(url, options): (String, String)| match serde_json::from_str(&options) {
            Ok(options) => Ok((url, options)),
            Err(error) => Err(Error::internal("a mirror holds malformed options").with_source(error)),
        };
        roots.map(read).collect()
    }

    fn mirror(&self) -> Mirror {
        self.0.mirror.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    async fn refresh(&self) -> Result<bool> {
        let mut known = self.state.lock().await;
        if self.origin.state().await? == *known {
            return Ok(false);
        }
        let (state, mirror) = self.origin.mirror().await?;
        *self.mirror.write().unwrap_or_else(PoisonError::into_inner) = mirror;
        let changed = state != *known;
        *known = state;
        Ok(changed)
    }
}

/// Refreshes again and again, until nobody has the instance any more. Trouble is told when it begins and ends.
async fn look_for_changes(instance: Weak<Inner>, every: Duration) {
    let mut failing = false;
    loop {
        tokio::time::sleep(every).await;
        let Some(instance) = instance.upgrade() else { return };
        match instance.refresh().await {
            Ok(changed) => {
                if changed || failing {
                    tracing::info!(instance = instance.shown, "the LaminDB instance was read anew");
                }
                failing = false;
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        instance = instance.shown,
                        ?error,
                        "old answers: the LaminDB instance is not readable"
                    );
                }
                failing = true;
            }
        }
    }
}
