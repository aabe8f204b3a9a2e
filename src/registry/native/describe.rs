//! Changing what is said of an artifact or a collection.

use rusqlite::params;

use super::register::{by_id, check_description};
use super::{NativeRegistry, artifact, collection, failure, find, search};
use crate::error::Result;
use crate::model::artifact::{Artifact, Collection};
use crate::model::request::Source;

impl NativeRegistry {
    /// Gives an artifact version another description, or none.
    ///
    /// # Errors
    /// As [`NativeRegistry::artifact`]; `InvalidArgument` for a text that is too long.
    pub async fn describe(&self, source: &Source, description: Option<&str>) -> Result<Artifact> {
        check_description(description)?;
        let (source, description) = (source.clone(), description.map(str::to_owned));
        self.write(move |transaction| {
            let found = find::artifact(transaction, &source)?;
            let sql = "UPDATE artifacts SET description = ?2 WHERE id = ?1";
            transaction.execute(sql, params![found.id, description]).map_err(failure::of)?;
            search::update(transaction, found.id)?;
            artifact::complete(transaction, by_id(transaction, found.id)?)
        })
        .await
    }

    /// Gives a collection another description, or none.
    ///
    /// # Errors
    /// As [`NativeRegistry::collection`]; `InvalidArgument` for a text that is too long.
    pub async fn describe_collection(&self, key_or_uid: &str, description: Option<&str>) -> Result<Collection> {
        check_description(description)?;
        let (name, description) = (key_or_uid.to_owned(), description.map(str::to_owned));
        self.write(move |transaction| {
            let id = collection::require(transaction, &name)?;
            let sql = "UPDATE collections SET description = ?2 WHERE id = ?1";
            transaction.execute(sql, params![id, description]).map_err(failure::of)?;
            collection::find(transaction, &name)
        })
        .await
    }
}
