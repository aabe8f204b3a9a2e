//! A database file in an object store: downloaded when its ETag is another one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Origin, blocking, file, layout, unpack};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::model::object_files::ObjectFiles;
use crate::registry::lamindb::InstanceOptions;
use crate::registry::lamindb::mirror::{Mirror, ScratchFile};

/// How often an object that changes while it is downloaded is downloaded anew.
const TRIES: u32 = 5;

/// A storage root or a database file in an object store.
pub(super) struct Object {
    options: Arc<InstanceOptions>,
    files: Arc<dyn ObjectFiles>,
    /// The database below the root, when it was found.
    database: Mutex<Option<String>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Object({})", self.options.shown())
    }
}

impl Object {
    pub(super) fn new(options: Arc<InstanceOptions>, files: Arc<dyn ObjectFiles>) -> Self {
        Self { options, files, database: Mutex::default() }
    }

    /// The URL and the ETag of the database.
    async fn found(&self) -> Result<(String, String)> {
        let known = self.database.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(url) = known {
            match self.files.etag(&url).await {
                // It may have another name by now.
                Err(error) if error.kind() == Kind::NotFound => {}
                etag => return Ok((url, etag?)),
            }
        }
        let (url, etag) = self.look().await?;
        *self.database.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
        Ok((url, etag))
    }

    async fn look(&self) -> Result<(String, String)> {
        let root = self.options.plain_url();
        if layout::is_file(root) {
            return Ok((root.to_owned(), self.files.etag(root).await?));
        }
        for name in layout::CURRENT {
            let url = format!("{root}/{name}");
            match self.files.etag(&url).await {
                Err(error) if matches!(error.kind(), Kind::NotFound) => {}
                etag => return Ok((url, etag?)),
            }
        }
        let url = format!("{root}/{}", layout::legacy(self.files.names(root).await?, root)?);
        let etag = self.files.etag(&url).await?;
        Ok((url, etag))
    }
}

#[async_trait]
impl Origin for Object {
    async fn state(&self) -> Result<String> {
        self.found().await.map(|(url, etag)| format!("{url} {etag}"))
    }

    async fn mirror(&self) -> Result<(String, Mirror)> {
        for _ in 0..TRIES {
            let (url, etag) = self.found().await?;
            let options = Arc::clone(&self.options);
            let download = ScratchFile::new(&options.scratch, "download");
            match self.files.download(&url, &etag, download.path(), options.database_bytes).await {
                Err(error) if error.kind() == Kind::FailedPrecondition => continue,
                done => done?,
            }
            let state = format!("{url} {etag}");
            let mirror = blocking(move || {
                let copy = ScratchFile::new(&options.scratch, "copy");
                unpack::copy(download.path(), copy.path(), options.database_bytes)?;
                drop(download);
                file::mirror_of(&copy, &options)
            });
            return Ok((state, mirror.await.with_context(|| format!("the database {url}"))?));
        }
        let shown = self.options.shown();
        Err(Error::unavailable(format!("{shown} changed each of the {TRIES} times that it was downloaded")).retryable())
    }
}
