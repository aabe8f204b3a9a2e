//! Objects to be read: the file, its ETag and times, the range asked of it and a
//! body that reads that range in big pieces.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http_body_util::StreamBody;
use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::{CONTENT_RANGE, HeaderValue};
use s3s::{Body, S3Error, S3Result, s3_error};

use super::{Conditions, Storage, internal, locate};

/// How much of a file is read at once.
const PIECE: u64 = 512 * 1024;

/// An object that was found, with its file open: what happens to the name from
/// now on does not change what is read.
#[derive(Debug)]
pub(crate) struct Object {
    file: Arc<File>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was last changed.
    pub(crate) modified: SystemTime,
    /// Its ETag, without quotes.
    pub(crate) etag: String,
}

/// What one request reads of an object.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The object.
    pub(crate) object: Object,
    /// The bytes of it.
    pub(crate) range: Range<u64>,
    /// Whether a range was asked for.
    pub(crate) partial: bool,
    first: Bytes,
}

impl Storage {
    /// Finds an object.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<Object> {
        let bucket = self.bucket(bucket)?;
        let path = locate::object(&bucket, key).ok_or_else(|| s3_error!(NoSuchKey))?;
        let file = File::open(&path).map_err(absent)?;
        let metadata = file.metadata().map_err(internal)?;
        if !metadata.is_file() {
            return Err(s3_error!(NoSuchKey));
        }
        let etag = self.etags.of(&path, &file).map_err(internal)?;
        Ok(Object {
            size: metadata.len(),
            modified: metadata.modified().map_err(internal)?,
            etag,
            file: Arc::new(file),
        })
    }

    /// Finds an object, checks the conditions and cuts the range; reads the first
    /// piece if `read`.
    pub(crate) fn select(
        &self,
        (bucket, key): (&str, &str),
        conditions: &Conditions,
        asked: Option<s3s::dto::Range>,
        read: bool,
    ) -> S3Result<Selection> {
        let object = self.object(bucket, key)?;
        conditions.check(&object.etag, object.modified)?;
        let range = match asked {
            Some(asked) => cut(asked, object.size)?,
            None => 0..object.size,
        };
        let first = if read { piece(&object.file, &range).map_err(internal)? } else { Bytes::new() };
        Ok(Selection { object, range, partial: asked.is_some(), first })
    }
}

impl Selection {
    /// The Content-Range header, if a range was asked for.
    pub(crate) fn content_range(&self) -> Option<String> {
        let Range { start, end } = self.range;
        self.partial.then(|| format!("bytes {start}-{}/{}", end.saturating_sub(1), self.object.size))
    }

    /// The body of the answer.
    pub(crate) fn into_body(self) -> Body {
        let Self { object, range, first, .. } = self;
        let rest = range.start + first.len() as u64..range.end;
        if rest.is_empty() {
            return Body::from(first);
        }
        let file = object.file;
        let later = stream::try_unfold(rest, move |rest| read_next(Arc::clone(&file), rest));
        let pieces = futures::StreamExt::chain(stream::iter([Ok::<_, io::Error>(first)]), later);
        Body::http_body_unsync(StreamBody::new(pieces.map_ok(Frame::data)))
    }
}

/// Reads the next piece of `rest` and says what is left.
async fn read_next(file: Arc<File>, rest: Range<u64>) -> io::Result<Option<(Bytes, Range<u64>)>> {
    if rest.is_empty() {
        return Ok(None);
    }
    let asked = rest.clone();
    let read = tokio::task::spawn_blocking(move || piece(&file, &asked)).await;
    let bytes = read.map_err(io::Error::other)??;
    let left = rest.start + bytes.len() as u64..rest.end;
    Ok(Some((bytes, left)))
}

/// Reads the first piece of a range.
fn piece(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = (range.end - range.start).min(PIECE);
    let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut buffer, range.start)?;
    Ok(Bytes::from(buffer))
}

/// The bytes that a Range header asks of `size` bytes; else 416.
fn cut(asked: s3s::dto::Range, size: u64) -> S3Result<Range<u64>> {
    match asked.check(size) {
        Ok(range) if size > 0 => Ok(range),
        _ => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                error.set_headers(HeaderMap::from_iter([(CONTENT_RANGE, value)]));
            }
            Err(error)
        }
    }
}

/// The S3 error for a file that could not be opened.
fn absent(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename => s3_error!(NoSuchKey),
        io::ErrorKind::PermissionDenied => s3_error!(AccessDenied),
        _ => internal(error),
    }
}
