//! The first look at an object of a cloud: which version is there and how it begins, in one request where
//! asking and then reading would be two. What comes is kept as blocks, for [`RangeReader::read_cached`].
//!
//! [`RangeReader::read_cached`]: super::reader::RangeReader::read_cached

use object_store::{GetOptions, GetResult};

use super::exact::bytes_of;
use super::failure::error_of;
use super::kind::StorageKind;
use super::reader::ObjectIdentity;
use super::storages::{Location, Storages};
use crate::error::{Kind, Result};

/// How much of the block cache the beginning of one object may take: one part of so many.
const LEAST_ROOM: u64 = 4;

impl Storages {
    /// As [`Storages::head`], and keeps the first `bytes` bytes of the object. For an object that is opened next;
    /// where nothing is gained (a local file, a web server, a small cache), the same as `head`.
    ///
    /// # Errors
    /// As [`Storages::head`].
    pub async fn first_look(&self, url: &str, bytes: u64) -> Result<ObjectIdentity> {
        let location = self.resolve(url)?;
        let is_cloud = matches!(location.kind, StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure);
        let has_room = bytes > 0 && bytes.saturating_mul(LEAST_ROOM) <= self.cache_counts().capacity;
        if !is_cloud || !has_room || location.path.is_root() {
            return self.head(url).await;
        }
        let options = GetOptions::new().with_range(Some(0..bytes));
        match location.store.get_opts(&location.path, options).await {
            Ok(answer) => match self.keep_start(location, answer).await {
                Some(identity) => Ok(identity),
                None => self.head(url).await,
            },
            Err(error) => {
                let error = error_of(error, &location.url);
                match error.kind() {
                    Kind::NotFound | Kind::PermissionDenied | Kind::Unavailable => Err(error),
                    // An empty object has no first byte: its answer is an error.
                    _ => self.head(url).await,
                }
            }
        }
    }

    /// Keeps the beginning of an object as it came; which version it is of, if the answer says so.
    async fn keep_start(&self, location: Location, answer: GetResult) -> Option<ObjectIdentity> {
        let (meta, start) = (answer.meta.clone(), answer.range.start);
        let url = location.url.clone();
        let identity = ObjectIdentity { url, etag: meta.e_tag?, version: meta.version, size: meta.size };
        if start == 0
            // What does not come now is read when it is asked for.
            && let Ok(bytes) = bytes_of(answer, self.options().largest_read_bytes, &identity.url).await
        {
            // Registered objects are known by their ETag alone.
            self.object(location, ObjectIdentity { version: None, ..identity.clone() }).keep_start(&bytes);
        }
        Some(identity)
    }
}
