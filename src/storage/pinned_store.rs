//! An object store that serves only the listed objects, each in the listed version: what a query
//! engine gets for the files of a pinned folder.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};

use super::exact::bytes_of;
use super::failure::{error_of, into_store_error};
use super::metered_store::get_ranges;
use super::options::StorageOptions;
use super::pin;
use super::reader::ObjectIdentity;
use crate::error::Error;

/// Adds `If-Match` to every read. A changed object gives `object_store::Error::Precondition` that
/// [`super::error_of`] and [`super::find_error`] turn into `FailedPrecondition` naming the object's URL
/// and both ETags; the other errors name the URL too.
#[derive(Clone)]
pub struct PinnedStore {
    store: Arc<dyn ObjectStore>,
    objects: Arc<HashMap<Path, ObjectIdentity>>,
    options: Arc<StorageOptions>,
}

impl PinnedStore {
    /// Serves `objects` of `store`; every other path is refused as not found.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        objects: HashMap<Path, ObjectIdentity>,
        options: Arc<StorageOptions>,
    ) -> Self {
        Self { store, objects: Arc::new(objects), options }
    }
}

impl fmt::Debug for PinnedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PinnedStore({}, {} objects)", self.store, self.objects.len())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for PinnedStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(refused("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(refused("put_multipart"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let Some(identity) = self.objects.get(location) else {
            let error = Error::not_found(format!("object {location} is not among the pinned files"));
            return Err(into_store_error(error, location));
        };
        let ranged = options.range.is_some() && !options.head;
        let answer = pin::get(self.store.as_ref(), location, identity, options).await;
        let answer = answer.map_err(|error| into_store_error(error, location))?;
        let GetResult { payload, meta, range, attributes } = answer;
        let payload = match payload {
            GetResultPayload::Stream(body) => GetResultPayload::Stream(named(body, identity, location)),
            // A range is read at once, so that a change of the file meanwhile is noticed.
            payload if ranged => {
                let answer =
                    GetResult { payload, meta: meta.clone(), range: range.clone(), attributes: attributes.clone() };
                let bytes = bytes_of(answer, self.options.largest_read_bytes, &identity.url).await;
                let bytes = bytes.map_err(|error| into_store_error(error, location))?;
                GetResultPayload::Stream(futures::stream::iter([Ok(bytes)]).boxed())
            }
            payload => payload,
        };
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        get_ranges(self, location, ranges, self.options.coalesce_gap_bytes, self.options.largest_request_bytes).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        locations.map(|_| Err(refused("delete"))).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        futures::stream::iter([Err(refused("list"))]).boxed()
    }

    fn list_with_offset(&self, _: Option<&Path>, _: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        futures::stream::iter([Err(refused("list_with_offset"))]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> StoreResult<ListResult> {
        Err(refused("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(refused("copy"))
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> StoreResult<()> {
        Err(refused("rename"))
    }
}

/// The body, with the URL of its object in what goes wrong.
fn named(
    body: BoxStream<'static, StoreResult<Bytes>>,
    identity: &ObjectIdentity,
    location: &Path,
) -> BoxStream<'static, StoreResult<Bytes>> {
    let (url, location) = (identity.url.clone(), location.clone());
    body.map_err(move |error| into_store_error(error_of(error, &url), &location)).boxed()
}

fn refused(operation: &str) -> StoreError {
    let implementer = "PinnedStore (reads of pinned files only)".to_owned();
    StoreError::NotImplemented { operation: operation.to_owned(), implementer }
}
