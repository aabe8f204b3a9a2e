//! The first look at an object of a cloud: which version is there, how it begins and perhaps how it ends, in one round
//! of requests where asking and then reading would be two. What comes is kept as blocks, for [`RangeReader::read_cached`].
//!
//! [`RangeReader::read_cached`]: super::reader::RangeReader::read_cached

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectMeta};

use super::exact::bytes_of;
use super::failure::error_of;
use super::kind::StorageKind;
use super::reader::ObjectIdentity;
use super::storages::{Location, Storages};
use crate::error::{Kind, Result};

/// How much of the block cache the beginning of one object may take: one part of so many.
const LEAST_ROOM: u64 = 4;

impl Storages {
    /// As [`Storages::head`], and keeps the first `bytes` bytes of the object, and, read at the same time, the last
    /// `tail`. For an object that is opened next; where nothing is gained (a local file, a web server, a small cache),
    /// the same as `head`.
    ///
    /// # Errors
    /// As [`Storages::head`].
    pub async fn first_look(&self, url: &str, bytes: u64, tail: u64) -> Result<ObjectIdentity> {
        let location = self.resolve(url)?;
        let has_room =
            bytes > 0 && bytes.saturating_add(tail).saturating_mul(LEAST_ROOM) <= self.cache_counts().capacity;
        if !location.kind.is_cloud() || !has_room || location.path.is_root() {
            return self.head(url).await;
        }
        let start = self.part_of(&location, GetRange::Bounded(0..bytes));
        // Azure knows no last bytes of what it did not tell the size of.
        let has_tail = tail > 0 && location.kind != StorageKind::Azure;
        let tail = async { if has_tail { self.part_of(&location, GetRange::Suffix(tail)).await.ok() } else { None } };
        // Nothing waits for the end of what cannot be read at its beginning.
        match tokio::try_join!(start, async { Ok(tail.await) }) {
            Ok((start, tail)) => {
                let Some(identity) = identity_of(&location, &start.meta) else { return self.head(url).await };
                // What is of another version is read when it is asked for.
                for part in [Some(start), tail].into_iter().flatten() {
                    if identity_of(&location, &part.meta).as_ref() == Some(&identity)
                        && let Some(bytes) = part.bytes
                    {
                        // Registered objects are known by their ETag alone.
                        let object = ObjectIdentity { version: None, ..identity.clone() };
                        self.object(location.clone(), object).keep(part.start, &bytes);
                    }
                }
                Ok(identity)
            }
            Err(error) => {
                match error.kind() {
                    Kind::NotFound | Kind::PermissionDenied | Kind::Unavailable => Err(error),
                    // An empty object has no first byte: its answer is an error.
                    _ => self.head(url).await,
                }
            }
        }
    }

    /// One end of an object. Its bytes are none where they did not come: what stands before them did.
    async fn part_of(&self, location: &Location, range: GetRange) -> Result<Part> {
        let options = GetOptions::new().with_range(Some(range));
        let answer = location.store.get_opts(&location.path, options).await;
        let answer = answer.map_err(|error| error_of(error, &location.url))?;
        let (meta, start) = (answer.meta.clone(), answer.range.start);
        let bytes = bytes_of(answer, self.options().largest_read_bytes, &location.url).await.ok();
        Ok(Part { meta, start, bytes })
    }
}

/// Bytes of an object from `start` on, and what the answer says of the object.
struct Part {
    meta: ObjectMeta,
    start: u64,
    bytes: Option<Bytes>,
}

fn identity_of(location: &Location, meta: &ObjectMeta) -> Option<ObjectIdentity> {
    let etag = meta.e_tag.clone()?;
    Some(ObjectIdentity { url: location.url.clone(), etag, version: meta.version.clone(), size: meta.size })
}
