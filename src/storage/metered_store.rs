//! An object store whose every request is counted, bounded and retried. Read-only: sliceflight never
//! writes to the stores it serves.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};

use super::failure::StoreFailure;
use super::pace::Pace;
use super::requests::{Listing, Requests};
use crate::error::Kind;
use crate::model::coalesce::{Coalesced, coalesce};

/// Requests of one `get_ranges` call that run at the same time.
const RANGES_AT_ONCE: usize = 8;

/// Counts, bounds and retries the requests to one store.
#[derive(Clone, Debug)]
pub struct MeteredStore {
    requests: Arc<Requests>,
}

impl MeteredStore {
    pub(crate) fn new(requests: Requests) -> Self {
        Self { requests: Arc::new(requests) }
    }

    /// How fast the store answers.
    pub(crate) fn pace(&self) -> Pace {
        self.requests.pace.pace()
    }

    /// Children of a local folder that lies, with all its files, inside the root.
    async fn local_children(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        self.requests.check(&folder).await?;
        self.requests.meter.count_list();
        let found = self.requests.store.list_with_delimiter(prefix).await?;
        for object in &found.objects {
            self.requests.check(&object.location).await?;
        }
        Ok(found)
    }

    fn objects(&self, listing: Listing) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        if let Some(pages) = self.requests.pages(listing.clone()) {
            let objects = pages.map_ok(|page| futures::stream::iter(page.result.objects.into_iter().map(Ok)));
            return objects.try_flatten().boxed();
        }
        self.requests.meter.count_list();
        let store = &self.requests.store;
        let objects = match &listing.offset {
            Some(offset) => store.list_with_offset(listing.prefix.as_ref(), offset),
            None => store.list(listing.prefix.as_ref()),
        };
        self.requests.guarded(objects)
    }
}

impl fmt::Display for MeteredStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MeteredStore({})", self.requests.store)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for MeteredStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(read_only("put_multipart"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.requests.get(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        let options = &self.requests.options;
        get_ranges(self, location, ranges, options.coalesce_gap_bytes, options.largest_request_bytes).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        locations.map(|_| Err(read_only("delete"))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.objects(Listing { prefix: prefix.cloned(), ..Listing::default() })
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.objects(Listing { prefix: prefix.cloned(), offset: Some(offset.clone()), flat: false })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        let listing = Listing { prefix: prefix.cloned(), offset: None, flat: true };
        let Some(mut pages) = self.requests.pages(listing) else {
            return self.local_children(prefix).await;
        };
        let limit = self.requests.options.listed_objects;
        let (mut folders, mut objects) = (BTreeSet::new(), Vec::new());
        while let Some(page) = pages.try_next().await? {
            folders.extend(page.result.common_prefixes);
            objects.extend(page.result.objects);
            if folders.len().saturating_add(objects.len()) > limit {
                let reason = format!("the listing exceeds the limit of {limit} objects");
                let failure = StoreFailure::new(Kind::ResourceExhausted, reason, false);
                return Err(failure.into_store_error(&prefix.cloned().unwrap_or_default()));
            }
        }
        Ok(ListResult { common_prefixes: folders.into_iter().collect(), objects })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(read_only("copy"))
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> StoreResult<()> {
        Err(read_only("rename"))
    }
}

/// The bytes of each range, in the asked order; neighbours share a request of `store`.
pub(crate) async fn get_ranges(
    store: &dyn ObjectStore,
    location: &Path,
    ranges: &[Range<u64>],
    gap: u64,
    largest: u64,
) -> StoreResult<Vec<Bytes>> {
    let mut found = vec![Bytes::new(); ranges.len()];
    let fetched = coalesce(ranges, gap, largest).into_iter().map(|Coalesced { range, members }| async move {
        let options = GetOptions::new().with_range(Some(range.clone()));
        let bytes = store.get_opts(location, options).await?.bytes().await?;
        Ok::<_, StoreError>((range, members, bytes))
    });
    let mut fetched = futures::stream::iter(fetched).buffered(RANGES_AT_ONCE);
    while let Some((whole, members, bytes)) = fetched.try_next().await? {
        for member in members {
            let (Some(range), Some(place)) = (ranges.get(member), found.get_mut(member)) else { continue };
            *place = part(&bytes, &whole, range).ok_or_else(|| short(location, range, &whole, bytes.len()))?;
        }
    }
    Ok(found)
}

/// The bytes of `range` out of the bytes of `whole`.
pub(crate) fn part(bytes: &Bytes, whole: &Range<u64>, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start.checked_sub(whole.start)?).ok()?;
    let end = usize::try_from(range.end.checked_sub(whole.start)?).ok()?;
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

fn short(location: &Path, range: &Range<u64>, whole: &Range<u64>, found: usize) -> StoreError {
    let reason = format!("range {range:?} lies outside the object: {found} bytes found from {}", whole.start);
    StoreFailure::new(Kind::DataLoss, reason, false).into_store_error(location)
}

fn read_only(operation: &str) -> StoreError {
    StoreError::NotImplemented { operation: operation.to_owned(), implementer: "MeteredStore (read-only)".to_owned() }
}
