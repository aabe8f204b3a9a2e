//! What is listed of the registries, and what changes our own. Nothing here reads or writes user data.

use std::sync::Arc;

use futures::stream::BoxStream;

use super::{Engine, Found};
use crate::error::{Error, Kind, Result};
use crate::model::artifact::{Artifact, Collection};
use crate::model::criteria::{Criteria, EntryType, KeyPattern};
use crate::model::lookup::{LabelEntry, Lookup};
use crate::model::page::{Entry, Page};
use crate::model::request::Source;
use crate::registry::native::NewCollection;

impl Engine {
    /// One page of the artifacts and collections that meet the criteria.
    ///
    /// # Errors
    /// `InvalidArgument` for a page token of another query, `Unavailable` when a registry cannot be read.
    pub async fn page(&self, criteria: &Criteria) -> Result<Page<Entry>> {
        self.registry.page(criteria).await
    }

    /// All artifacts and collections that meet the criteria, read page by page as they are asked for.
    pub fn entries(&self, criteria: Criteria) -> BoxStream<'static, Result<Entry>> {
        self.registry.entries(criteria)
    }

    /// One page of labels.
    ///
    /// # Errors
    /// As [`Engine::page`].
    pub async fn labels(&self, lookup: &Lookup) -> Result<Page<LabelEntry>> {
        self.registry.labels(lookup).await
    }

    /// One page of the collections that a look-up asks for.
    ///
    /// # Errors
    /// As [`Engine::page`].
    pub async fn look_up_collections(&self, lookup: &Lookup) -> Result<Page<Entry>> {
        let key = lookup.search.as_deref().map(|text| KeyPattern::parse(containing(text))).transpose()?;
        let criteria = Criteria {
            entry_type: Some(EntryType::Collection),
            key,
            key_prefix: lookup.prefix.clone(),
            limit: lookup.limit,
            page_token: lookup.page_token.clone(),
            ..Criteria::default()
        };
        self.registry.page(&criteria).await
    }

    /// Creates the collection `key` of the artifacts named by key or uid, in order.
    ///
    /// # Errors
    /// `NotFound` naming a missing artifact, `FailedPrecondition` when the key is taken.
    pub async fn create_collection(
        &self,
        key: &str,
        artifacts: &[String],
        description: Option<&str>,
    ) -> Result<Collection> {
        let members = self.named_members(artifacts).await?;
        let (key, description) = (key.to_owned(), description.map(str::to_owned));
        let new = NewCollection { key, members, description, created_by: self.user.clone() };
        self.registry.native().create_collection(new).await
    }

    /// Takes the artifacts named by key or uid out of a collection, then adds others at its end.
    ///
    /// # Errors
    /// As [`crate::registry::native::NativeRegistry::change_members`].
    pub async fn change_members(&self, collection: &str, add: &[String], remove: &[String]) -> Result<Collection> {
        let (add, remove) = (self.named_members(add).await?, self.named_members(remove).await?);
        self.registry.native().change_members(collection, &add, &remove).await
    }

    /// Gives an artifact or a collection another description, or none.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn set_description(self: &Arc<Self>, source: &Source, description: Option<&str>) -> Result<Entry> {
        let native = self.registry.native();
        match self.registered(source).await? {
            Found::Artifact(_) => native.describe(source, description).await.map(Entry::Artifact),
            Found::Collection(collection) => {
                let changed = native.describe_collection(&collection.key, description).await?;
                Ok(Entry::Collection(changed.into()))
            }
        }
    }

    /// Attaches labels to an artifact, each maybe as the value of a feature.
    ///
    /// # Errors
    /// `NotFound` for an unknown artifact.
    pub async fn label(&self, source: &Source, labels: &[crate::model::criteria::FeatureLabel]) -> Result<Artifact> {
        self.registry.native().label(source, labels).await
    }

    /// Takes labels off an artifact: all of a name, or as the value of one feature.
    ///
    /// # Errors
    /// `NotFound` for an unknown artifact and for a label that it does not have.
    pub async fn unlabel(&self, source: &Source, labels: &[crate::model::criteria::FeatureLabel]) -> Result<Artifact> {
        self.registry.native().unlabel(source, labels).await
    }

    /// Moves an artifact (all versions, unless the source names one) to the trash. Returns how many records
    /// went.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FailedPrecondition` for a member of a collection and for what is in the
    /// trash already.
    pub async fn trash(&self, source: &Source) -> Result<u64> {
        self.registry.native().trash(source, !names_one_version(source)).await
    }

    /// Takes an artifact (all versions, unless the source names one) out of the trash. Returns how many
    /// records came.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FailedPrecondition` when it is not in the trash.
    pub async fn restore(&self, source: &Source) -> Result<u64> {
        self.registry.native().restore(source).await
    }

    /// Removes the record of an artifact (all versions, unless the source names one; also from the trash) or
    /// of a collection; never user data. Returns how many records went.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FailedPrecondition` for a member of a collection.
    pub async fn remove(&self, source: &Source) -> Result<u64> {
        let native = self.registry.native();
        match self.registered(source).await {
            Ok(Found::Collection(collection)) => {
                native.remove_collection(&collection.key).await?;
                Ok(1)
            }
            Err(error) if error.kind() == Kind::FailedPrecondition => Err(error),
            // What is in the trash is not found by its key, and may go all the same.
            _ => native.remove(source, !names_one_version(source)).await,
        }
    }

    /// The artifact or collection that `source` names, when it is registered.
    async fn registered(&self, source: &Source) -> Result<Found> {
        match self.named(source).await? {
            Found::Artifact(artifact) if artifact.recorded.is_some() => Err(Error::failed_precondition(format!(
                "'{}' belongs to a LaminDB instance, which is only read",
                artifact.key
            ))),
            Found::Artifact(artifact) if artifact.uid.is_empty() => {
                Err(Error::not_found(format!("'{}' is not registered", artifact.url)))
            }
            found => Ok(found),
        }
    }

    async fn named_members(&self, names: &[String]) -> Result<Vec<Source>> {
        let mut members = Vec::with_capacity(names.len().min(1024));
        for name in names {
            members.push(self.member(name).await?);
        }
        Ok(members)
    }

    /// The artifact that `name` is the key or else the uid of.
    async fn member(&self, name: &str) -> Result<Source> {
        let key = Source::Key { key: name.to_owned(), version: None };
        let Err(unknown) = self.registry.artifact(&key).await else { return Ok(key) };
        let uid = Source::Uid(name.to_owned());
        // The error of the key names near matches.
        self.registry.artifact(&uid).await.map(|_| uid).map_err(|_| unknown)
    }
}

fn names_one_version(source: &Source) -> bool {
    matches!(source, Source::Uid(_) | Source::Key { version: Some(_), .. })
}

/// The pattern of keys that hold `text`, whatever the case of its ASCII letters.
fn containing(text: &str) -> String {
    let mut pattern = String::from("*");
    for character in text.chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            letter if letter.is_ascii_alphabetic() => {
                pattern.extend(['[', letter.to_ascii_lowercase(), letter.to_ascii_uppercase(), ']']);
            }
            other => pattern.push(other),
        }
    }
    pattern + "*"
}
