//! The operations of S3 over the storage: each takes its input apart, has the
//! storage do the work in a blocking task and puts the output together.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::io::AsyncWriteExt;

use crate::storage::{Asked, Conditions, Item, Part, Selection, Storage};

/// The content type of every object: none is stored.
const CONTENT_TYPE: &str = "binary/octet-stream";
/// The most entries of a page of a listing.
const PAGE_LIMIT: i32 = 1000;

/// S3 over one storage.
pub(crate) struct Cloud {
    storage: Arc<Storage>,
}

impl Cloud {
    /// S3 over `storage`.
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage: Arc::new(storage) }
    }

    /// Has the storage do something in a blocking task.
    async fn run<T, F>(&self, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Storage) -> S3Result<T> + Send + 'static,
    {
        let storage = Arc::clone(&self.storage);
        let done = tokio::task::spawn_blocking(move || work(&storage)).await;
        done.map_err(S3Error::internal_error)?
    }

    /// Writes a request's body aside, then has `work` do something with the file.
    async fn receive<T, F>(&self, body: Option<StreamingBlob>, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Storage, &Path) -> S3Result<T> + Send + 'static,
    {
        let path = self.run(Storage::scratch).await?;
        if let Err(error) = save(body, &path).await {
            // The file may not exist; the first error is the one to tell.
            let _ = tokio::fs::remove_file(&path).await;
            return Err(error);
        }
        self.run(move |storage| work(storage, &path)).await
    }
}

/// Writes a body into a new file.
async fn save(body: Option<StreamingBlob>, path: &Path) -> S3Result<()> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(S3Error::internal_error)?;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            file.write_all(&piece).await.map_err(S3Error::internal_error)?;
        }
    }
    file.flush().await.map_err(S3Error::internal_error)
}

/// A length as S3's outputs give it.
fn length(value: u64) -> S3Result<i64> {
    i64::try_from(value).map_err(S3Error::internal_error)
}

/// An object as listings give it.
fn listed(item: Item) -> S3Result<Object> {
    Ok(Object {
        key: Some(item.key),
        size: Some(length(item.size)?),
        last_modified: Some(Timestamp::from(item.modified)),
        e_tag: Some(ETag::Strong(item.etag)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Default::default()
    })
}

/// The answer to a GET.
fn fetched(selection: Selection) -> S3Result<GetObjectOutput> {
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(length(selection.range.end - selection.range.start)?),
        content_range: selection.content_range(),
        content_type: Some(CONTENT_TYPE.to_owned()),
        e_tag: Some(ETag::Strong(selection.object.etag.clone())),
        last_modified: Some(Timestamp::from(selection.object.modified)),
        body: Some(StreamingBlob::from(selection.into_body())),
        ..Default::default()
    })
}

/// The parts that a request to join names.
fn named_parts(upload: Option<CompletedMultipartUpload>) -> S3Result<Vec<Part>> {
    let parts = upload.and_then(|upload| upload.parts).unwrap_or_default();
    let named = parts.into_iter().map(|part| {
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        Ok(Part { number, etag: part.e_tag.map(ETag::into_value) })
    });
    named.collect()
}

#[async_trait]
impl S3 for Cloud {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let (bucket, key, range) = (input.bucket, input.key, input.range);
        let selection = self.run(move |storage| storage.select((&bucket, &key), &conditions, range, true)).await?;
        Ok(S3Response::new(fetched(selection)?))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let (bucket, key, range) = (input.bucket, input.key, input.range);
        let selection = self.run(move |storage| storage.select((&bucket, &key), &conditions, range, false)).await?;
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(selection.range.end - selection.range.start)?),
            content_range: selection.content_range(),
            content_type: Some(CONTENT_TYPE.to_owned()),
            e_tag: Some(ETag::Strong(selection.object.etag)),
            last_modified: Some(Timestamp::from(selection.object.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let max_keys = input.max_keys.unwrap_or(PAGE_LIMIT);
        let limit = usize::try_from(max_keys.min(PAGE_LIMIT))
            .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
        let asked = Asked {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            limit,
            start_after: input.start_after.clone(),
            token: input.continuation_token.clone(),
        };
        let bucket = input.bucket.clone();
        let listing = self.run(move |storage| storage.list(&bucket, asked)).await?;
        let count = listing.items.len() + listing.common_prefixes.len();
        let contents = listing.items.into_iter().map(listed).collect::<S3Result<Vec<_>>>()?;
        let rolled = listing.common_prefixes.into_iter();
        let common = rolled.map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            max_keys: Some(max_keys),
            key_count: i32::try_from(count).ok(),
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            is_truncated: Some(listing.next.is_some()),
            next_continuation_token: listing.next,
            contents: Some(contents),
            common_prefixes: Some(common),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_buckets(&self, _request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let found = self.run(Storage::buckets).await?;
        let buckets = found.into_iter().map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(Timestamp::from(created)),
            ..Default::default()
        });
        let output = ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.run(move |storage| storage.create_bucket(&bucket)).await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.run(move |storage| storage.bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.run(move |storage| storage.bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Default::default() };
        let (bucket, key) = (input.bucket, input.key);
        let etag =
            self.receive(input.body, move |storage, path| storage.publish(path, (&bucket, &key), &conditions)).await?;
        let output = PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (request.input.bucket, request.input.key);
        self.run(move |storage| storage.delete(&bucket, &key)).await?;
        Ok(S3Response::with_status(DeleteObjectOutput::default(), hyper::StatusCode::NO_CONTENT))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let (bucket, delete) = (request.input.bucket, request.input.delete);
        let deleted = self
            .run(move |storage| {
                let mut deleted = Vec::new();
                for object in delete.objects {
                    storage.delete(&bucket, &object.key)?;
                    deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
                }
                Ok(deleted)
            })
            .await?;
        let output = DeleteObjectsOutput { deleted: Some(deleted), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (bucket, key) = (request.input.bucket, request.input.key);
        let target = (bucket.clone(), key.clone());
        let upload = self.run(move |storage| storage.begin_upload(&target.0, &target.1)).await?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let (bucket, key) = (input.bucket, input.key);
        let (upload, number) = (input.upload_id, input.part_number);
        let etag = self
            .receive(input.body, move |storage, path| storage.add_part(path, (&bucket, &key), &upload, number))
            .await?;
        let output = UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Default::default() };
        let parts = named_parts(input.multipart_upload)?;
        let (bucket, key, upload) = (input.bucket, input.key, input.upload_id);
        let target = (bucket.clone(), key.clone());
        let etag = self
            .run(move |storage| storage.finish_upload((&target.0, &target.1), &upload, &parts, &conditions))
            .await?;
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("/{bucket}/{key}")),
            bucket: Some(bucket),
            key: Some(key),
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.run(move |storage| storage.abort_upload((&input.bucket, &input.key), &input.upload_id)).await?;
        let output = AbortMultipartUploadOutput::default();
        Ok(S3Response::with_status(output, hyper::StatusCode::NO_CONTENT))
    }
}
