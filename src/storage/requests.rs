//! Sends requests to one object store: bounded in number, in time and in repetitions, and counted.
//!
//! Everything that storage asks of a store passes here. It knows no URLs and no versions.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, Result as StoreResult,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::failure::{StoreFailure, classify};
use super::local_guard::LocalGuard;
use super::meter::Meter;
use super::options::StorageOptions;
use super::pace::PaceMeter;
use super::resumed_body::ResumedBody;
use super::retry::Attempts;
use super::watch::OutcomeSlot;
use crate::error::Kind;

/// One object store and the bounds under which it is asked.
pub(crate) struct Requests {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Lists page by page, where the store has pages.
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    /// Where the store is a local folder.
    pub(crate) guard: Option<LocalGuard>,
    pub(crate) meter: Arc<Meter>,
    /// How fast this store answers.
    pub(crate) pace: Arc<PaceMeter>,
    pub(crate) permits: Arc<Semaphore>,
    /// The bound of this store alone, where it has one.
    pub(crate) own_permits: Option<Arc<Semaphore>>,
    pub(crate) options: Arc<StorageOptions>,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(crate) struct Permit {
    _own: Option<OwnedSemaphorePermit>,
    _common: OwnedSemaphorePermit,
}

/// What a listing asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Objects below this path, not the object at it.
    pub(crate) prefix: Option<Path>,
    /// Only paths after this one.
    pub(crate) offset: Option<Path>,
    /// Only direct children, and the names of folders.
    pub(crate) flat: bool,
}

// Debug of a store client shows its credentials; its Display names the store only.
impl fmt::Debug for Requests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Requests({})", self.store)
    }
}

impl Requests {
    /// The object's metadata, and its bytes as a stream that resumes where the store broke off.
    pub(crate) async fn get(self: &Arc<Self>, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let permit = self.permit(location).await?;
        let mut attempts = Attempts::new(&self.options.retry);
        let answer = self.try_get(location, &options, &mut attempts).await;
        let GetResult { payload, meta, range, attributes } =
            answer.map_err(|failure| failure.into_store_error(location))?;
        let payload = match payload {
            payload if options.head => payload,
            GetResultPayload::Stream(stream) => {
                let body = ResumedBody::new(Arc::clone(self), &meta, range.clone(), &options, attempts, permit);
                GetResultPayload::Stream(body.into_stream(stream))
            }
            payload => {
                self.meter.count_bytes(range.end.saturating_sub(range.start));
                payload
            }
        };
        Ok(GetResult { payload, meta, range, attributes })
    }

    /// One answer that says success, after as many attempts as are left.
    pub(crate) async fn try_get(
        &self,
        location: &Path,
        options: &GetOptions,
        attempts: &mut Attempts,
    ) -> Result<GetResult, StoreFailure> {
        if let Some(guard) = &self.guard {
            guard.check(location).await?;
        }
        loop {
            if options.head {
                self.meter.count_head();
            } else {
                self.meter.count_get();
            }
            match self.get_once(location, options.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.wait(attempts.pause_after(failure)?).await,
            }
        }
    }

    /// One page of a listing.
    async fn page(&self, listing: &Listing, token: Option<String>) -> StoreResult<PaginatedListResult> {
        let prefix = listing.prefix.clone().unwrap_or_default();
        let _permit = self.permit(&prefix).await?;
        let mut attempts = Attempts::new(&self.options.retry);
        loop {
            self.meter.count_list();
            match self.page_once(listing, token.clone()).await {
                Ok(page) => return Ok(page),
                Err(failure) => match attempts.pause_after(failure) {
                    Ok(pause) => self.wait(pause).await,
                    Err(failure) => return Err(failure.into_store_error(&prefix)),
                },
            }
        }
    }

    /// The pages of a listing, one after the other; `None` when the store has no pages.
    pub(crate) fn pages(
        self: &Arc<Self>,
        listing: Listing,
    ) -> Option<BoxStream<'static, StoreResult<PaginatedListResult>>> {
        self.pages.as_ref()?;
        let requests = Arc::clone(self);
        // Some(token) while there is a page to fetch.
        let first: Option<Option<String>> = Some(None);
        let pages = futures::stream::try_unfold(first, move |token| {
            let (requests, listing) = (Arc::clone(&requests), listing.clone());
            async move {
                let Some(token) = token else { return Ok(None) };
                let page = requests.page(&listing, token).await?;
                let next = page.page_token.clone().map(Some);
                Ok::<_, StoreError>(Some((page, next)))
            }
        });
        Some(pages.boxed())
    }

    /// Refuses what a listing of a local folder found outside it.
    pub(crate) fn guarded(
        self: &Arc<Self>,
        objects: BoxStream<'static, StoreResult<ObjectMeta>>,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let requests = Arc::clone(self);
        let checked = objects.and_then(move |object| {
            let requests = Arc::clone(&requests);
            async move {
                requests.check(&object.location).await?;
                Ok(object)
            }
        });
        checked.boxed()
    }

    /// Refuses a local path that leads out of the root.
    pub(crate) async fn check(&self, location: &Path) -> StoreResult<()> {
        match &self.guard {
            Some(guard) => guard.check(location).await.map_err(|failure| failure.into_store_error(location)),
            None => Ok(()),
        }
    }

    async fn get_once(&self, location: &Path, mut options: GetOptions) -> Result<GetResult, StoreFailure> {
        let slot = OutcomeSlot::default();
        options.extensions.insert(slot.clone());
        let (is_read, began) = (!options.head, Instant::now());
        match timeout(self.options.request_timeout, self.store.get_opts(location, options)).await {
            Ok(Ok(answer)) => {
                if is_read {
                    self.pace.answered(began.elapsed());
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(classify(&error, slot.get())),
            Err(_) => Err(self.no_answer()),
        }
    }

    async fn page_once(&self, listing: &Listing, token: Option<String>) -> Result<PaginatedListResult, StoreFailure> {
        let Some(pages) = &self.pages else {
            return Err(StoreFailure::new(Kind::Internal, "the store has no pages", false));
        };
        let slot = OutcomeSlot::default();
        let mut options = PaginatedListOptions {
            offset: listing.offset.as_ref().map(ToString::to_string),
            delimiter: listing.flat.then_some(Cow::Borrowed("/")),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        options.extensions.insert(slot.clone());
        let prefix = listing.prefix.as_ref().filter(|prefix| !prefix.is_root()).map(|prefix| format!("{prefix}/"));
        match timeout(self.options.request_timeout, pages.list_paginated(prefix.as_deref(), options)).await {
            Ok(page) => page.map_err(|error| classify(&error, slot.get())),
            Err(_) => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> StoreFailure {
        let reason = format!("no answer within {:?}", self.options.request_timeout);
        StoreFailure::new(Kind::Unavailable, reason, true)
    }

    pub(crate) async fn wait(&self, pause: std::time::Duration) {
        tokio::time::sleep(pause).await;
        self.meter.count_retry();
    }

    async fn permit(&self, location: &Path) -> StoreResult<Permit> {
        let stopping =
            |_| StoreFailure::new(Kind::Unavailable, "the server is stopping", false).into_store_error(location);
        // First that of this store: who waits for a narrow store keeps nobody from the others.
        let own = match &self.own_permits {
            Some(permits) => Some(Arc::clone(permits).acquire_owned().await.map_err(stopping)?),
            None => None,
        };
        Ok(Permit { _own: own, _common: Arc::clone(&self.permits).acquire_owned().await.map_err(stopping)? })
    }
}
