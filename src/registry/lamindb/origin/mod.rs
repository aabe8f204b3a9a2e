//! Where an instance's database is: told apart here and nowhere above.

mod file;
mod layout;
mod object;
mod postgres;
mod sqlite;
mod tls;
mod unpack;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::InstanceOptions;
use super::mirror::Mirror;
use crate::error::{Error, Result};
use crate::model::object_files::ObjectFiles;

/// A database that can be mirrored.
#[async_trait]
pub(super) trait Origin: fmt::Debug + Send + Sync {
    /// What tells the present state of the database from others.
    ///
    /// # Errors
    /// Those of the database.
    async fn state(&self) -> Result<String>;

    /// A mirror of the present state, and what tells that state.
    ///
    /// # Errors
    /// As [`Mirror::of`], and those of the database.
    async fn mirror(&self) -> Result<(String, Mirror)>;
}

/// The origin that a URL names: `postgresql://…`, a local path or `file://` URL, or an object store's URL.
///
/// # Errors
/// `InvalidArgument` for a URL that is not understood; nothing is opened yet.
pub(super) fn of(options: InstanceOptions, files: Arc<dyn ObjectFiles>) -> Result<Box<dyn Origin>> {
    let options = Arc::new(options);
    match options.url.split_once("://") {
        Some(("postgresql" | "postgres", _)) => Ok(Box::new(postgres::Postgres::new(options)?)),
        Some(("file", _)) => {
            let url = url::Url::parse(&options.url).ok().and_then(|url| url.to_file_path().ok());
            let path = url.ok_or_else(|| Error::invalid(format!("expected file:///path, found {}", options.url)))?;
            Ok(Box::new(file::LocalFile { path, options }))
        }
        Some(_) => Ok(Box::new(object::Object::new(options, files))),
        None => Ok(Box::new(file::LocalFile { path: PathBuf::from(&options.url), options })),
    }
}

/// Runs what blocks away from the async runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("reading a LaminDB instance was stopped").with_source(error))?
}
