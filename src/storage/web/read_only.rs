//! A reader of web objects as an object store that cannot be written.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};

use crate::error::Kind;
use crate::storage::failure::StoreFailure;

/// Reads objects by their paths. Nothing is repeated here.
#[async_trait]
pub(crate) trait WebReader: fmt::Debug + Send + Sync + 'static {
    /// Kind and place of the store, for logs; without secrets.
    fn name(&self) -> String;

    /// The object or its metadata (`options.head`); `if_match` is a version as the reader itself gives it.
    async fn get(&self, location: &Path, options: &GetOptions) -> Result<GetResult, StoreFailure>;

    /// A page of the objects below `prefix`, which ends with a slash; `Unimplemented` where nothing can be listed.
    async fn page(
        &self,
        prefix: Option<&str>,
        options: &PaginatedListOptions,
    ) -> Result<PaginatedListResult, StoreFailure>;
}

/// A [`WebReader`] as an object store.
#[derive(Debug)]
pub(crate) struct ReadOnly<R>(pub(crate) R);

impl<R: WebReader> fmt::Display for ReadOnly<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.name())
    }
}

#[async_trait]
impl<R: WebReader> PaginatedListStore for ReadOnly<R> {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> StoreResult<PaginatedListResult> {
        let page = self.0.page(prefix, &options).await;
        page.map_err(|failure| failure.into_store_error(&Path::from(prefix.unwrap_or_default())))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: WebReader> ObjectStore for ReadOnly<R> {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(refused("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(refused("put_multipart"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let GetOptions { if_none_match, if_modified_since, if_unmodified_since, version, .. } = &options;
        if if_none_match.is_some() || if_modified_since.is_some() || if_unmodified_since.is_some() || version.is_some()
        {
            let reason = "web stores know no condition but a version of their own";
            return Err(StoreFailure::new(Kind::Unimplemented, reason, false).into_store_error(location));
        }
        self.0.get(location, &options).await.map_err(|failure| failure.into_store_error(location))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        let mut found = Vec::with_capacity(ranges.len());
        for range in ranges {
            let options = GetOptions::new().with_range(Some(range.clone()));
            found.push(self.get_opts(location, options).await?.bytes().await?);
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        locations.map(|_| Err(refused("delete"))).boxed()
    }

    // `Requests` lists by pages, with its bounds and repetitions; nothing else may list.
    fn list(&self, _: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        futures::stream::iter([Err(refused("list without pages"))]).boxed()
    }

    fn list_with_offset(&self, _: Option<&Path>, _: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        futures::stream::iter([Err(refused("list without pages"))]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> StoreResult<ListResult> {
        Err(refused("list without pages"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(refused("copy"))
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> StoreResult<()> {
        Err(refused("rename"))
    }
}

fn refused(operation: &str) -> StoreError {
    StoreError::NotImplemented { operation: operation.to_owned(), implementer: "web store (read-only)".to_owned() }
}
