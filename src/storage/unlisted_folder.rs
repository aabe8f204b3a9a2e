//! Objects below one folder of a store that does not tell what is there: each is read by its name.
//!
//! Sits beside [`super::folder`] and [`super::pinned_folder`]. A few objects are pinned and stand for the
//! version of the folder; the rest is read as it is. It never lists, and takes no refusal for an absence
//! unless the operator says so: S3 answers 403 for a missing object to a caller who may not list.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::GetOptions;
use tokio::sync::Mutex;

use super::folder::Folder;
use super::pin;
use super::pinned_object::PinnedObject;
use super::reader::{Edge, FolderReader, Known, RangeReader};
use crate::error::{Error, Kind, Result};

/// The storage option by which the operator says what a refused object is, and its one value.
const OPTION: (&str, &str) = ("missing", "403");

/// How long the pinned objects count as unchanged for a new request after they were looked at.
const CONFIRMED_FOR: Duration = Duration::from_secs(5);

/// Pinned objects that are looked at together.
const LOOKS_AT_ONCE: usize = 8;

/// Takes the option `missing` out of those of the root `url`; whether it says that a refused object is a
/// missing one.
///
/// # Errors
/// `InvalidArgument` for another value than `403`.
pub(crate) fn refused_is_missing(options: &mut BTreeMap<String, String>, url: &str) -> Result<bool> {
    let (name, value) = OPTION;
    match options.remove(name) {
        None => Ok(false),
        Some(given) if given == value => Ok(true),
        Some(_) => Err(Error::invalid(format!("storage option {name} of {url} must be \"{value}\""))),
    }
}

/// Reads the objects of a folder that is not listed.
#[derive(Debug)]
pub(crate) struct UnlistedFolder {
    folder: Folder,
    pinned: HashMap<String, PinnedObject>,
    refused_is_missing: bool,
    /// The last time at or after which the pinned objects were seen unchanged.
    confirmed: Mutex<Option<Instant>>,
}

impl UnlistedFolder {
    pub(crate) fn new(folder: Folder, pinned: HashMap<String, PinnedObject>, refused_is_missing: bool) -> Self {
        Self { folder, pinned, refused_is_missing, confirmed: Mutex::new(None) }
    }

    /// What was read of an object that is not pinned. That it is missing is believed only when the pinned
    /// objects are seen after that: without its bucket, or with credentials that expired, every object is
    /// missing or refused.
    async fn believed<T>(&self, read: Result<Option<T>>) -> Result<Option<T>> {
        match read {
            Ok(None) => {}
            Err(error) if error.kind() == Kind::PermissionDenied => {
                if !self.refused_is_missing || self.pinned.is_empty() {
                    return Err(ambiguous(&error));
                }
            }
            found => return found,
        }
        self.seen_since(Instant::now()).await?;
        Ok(None)
    }

    /// Looks at the pinned objects, unless somebody did at `moment` or later. One looks, the others wait for it.
    async fn seen_since(&self, moment: Instant) -> Result<()> {
        let mut confirmed = self.confirmed.lock().await;
        if confirmed.is_some_and(|at| at >= moment) {
            return Ok(());
        }
        let began = Instant::now();
        let looks = self.pinned.values().map(|object| async move {
            let options = GetOptions { head: true, ..GetOptions::default() };
            pin::get(object.store.as_ref(), &object.path, &object.identity, options).await.map(drop)
        });
        stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS_AT_ONCE).try_collect::<Vec<()>>().await?;
        *confirmed = Some(began);
        Ok(())
    }

    fn unlisted(&self) -> Error {
        Error::permission_denied(format!("folder {} cannot be listed", self.folder.url))
    }
}

/// A refusal with what it may mean.
fn ambiguous(error: &Error) -> Error {
    let (name, value) = OPTION;
    Error::permission_denied(format!(
        "{error}; without the permission to list, S3 refuses a missing object too: the storage option \
         {name} = \"{value}\" takes every refused object for a missing one"
    ))
}

#[async_trait]
impl FolderReader for UnlistedFolder {
    fn url(&self) -> &str {
        &self.folder.url
    }

    fn known(&self, path: &str) -> Known {
        self.pinned.get(path).map_or(Known::Nothing, |object| Known::Size(object.identity.size))
    }

    fn is_listed(&self) -> bool {
        false
    }

    async fn confirm(&self) -> Result<()> {
        let now = Instant::now();
        self.seen_since(now.checked_sub(CONFIRMED_FOR).unwrap_or(now)).await
    }

    async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        if let Some(object) = self.pinned.get(path) {
            let range = range.unwrap_or(0..object.identity.size);
            return object.read(range).await.map(Some);
        }
        self.believed(self.folder.read(path, range).await).await
    }

    async fn read_edge(&self, path: &str, edge: Edge, length: u64) -> Result<Option<(Bytes, u64)>> {
        self.believed(self.folder.read_edge(path, edge, length).await).await
    }

    async fn list(&self, _: &str) -> Result<Vec<String>> {
        Err(self.unlisted())
    }

    async fn folders(&self, _: &str) -> Result<Vec<String>> {
        Err(self.unlisted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_has_one_value() {
        let options = |value: &str| BTreeMap::from([("missing".to_owned(), value.to_owned())]);
        assert!(!refused_is_missing(&mut BTreeMap::new(), "s3://bucket").unwrap());
        let mut given = options("403");
        assert!(refused_is_missing(&mut given, "s3://bucket").unwrap() && given.is_empty());
        let error = refused_is_missing(&mut options("404"), "s3://bucket").unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains("missing") && error.to_string().contains("s3://bucket"), "{error}");
    }
}
