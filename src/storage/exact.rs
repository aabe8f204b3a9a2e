//! The exact bytes of an answer, checked.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::{GetResult, GetResultPayload};

use super::failure::error_of;
use crate::error::{Error, Result};

/// All bytes of the answer's range.
///
/// # Errors
/// `Unavailable` when they do not come, `FailedPrecondition` when a local file changes while it is
/// read, `ResourceExhausted` when there are more than `limit`.
pub(crate) async fn bytes_of(answer: GetResult, limit: u64, url: &str) -> Result<Bytes> {
    let GetResult { payload, meta, range, .. } = answer;
    let length = allowed_length(&range, limit, url)?;
    match payload {
        GetResultPayload::File(file, _) => {
            let modified = SystemTime::from(meta.last_modified);
            let url = url.to_owned();
            let read =
                tokio::task::spawn_blocking(move || read_file(&file, range.start, length, meta.size, modified, &url));
            read.await.map_err(|error| Error::internal("reading a file was stopped").with_source(error))?
        }
        GetResultPayload::Stream(mut stream) => {
            let mut first = Bytes::new();
            let mut rest = BytesMut::new();
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|error| error_of(error, url))?;
                if first.is_empty() {
                    first = piece;
                    continue;
                }
                if rest.is_empty() {
                    rest.reserve(length);
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&piece);
            }
            let found = if rest.is_empty() { first } else { rest.freeze() };
            if found.len() != length {
                let found = found.len();
                return Err(Error::unavailable(format!("object {url}: expected {length} bytes, found {found}")));
            }
            Ok(found)
        }
    }
}

/// Length of the range in memory, when it is within the limit.
pub(crate) fn allowed_length(range: &Range<u64>, limit: u64, url: &str) -> Result<usize> {
    let length = range.end.saturating_sub(range.start);
    match usize::try_from(length) {
        Ok(fits) if length <= limit => Ok(fits),
        _ => Err(Error::resource_exhausted(format!(
            "a read of {length} bytes of {url} exceeds the limit of {limit} bytes (largest_read_bytes)"
        ))),
    }
}

fn read_file(mut file: &File, start: u64, length: usize, size: u64, modified: SystemTime, url: &str) -> Result<Bytes> {
    // Into capacity, as zeros that are written over at once would be written for nothing.
    let mut buffer = Vec::with_capacity(length);
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(length as u64).read_to_end(&mut buffer));
    // A file written to in place keeps its handle; what was read may be a mixture.
    let now = file.metadata().map_err(|error| failed(&error, url))?;
    if now.len() != size || now.modified().ok() != Some(modified) {
        return Err(Error::failed_precondition(format!("object {url} changed while it was read")));
    }
    match read {
        Ok(found) if found == length => Ok(Bytes::from(buffer)),
        Ok(_) => Err(failed(&io::ErrorKind::UnexpectedEof.into(), url)),
        Err(error) => Err(failed(&error, url)),
    }
}

fn failed(error: &io::Error, url: &str) -> Error {
    Error::unavailable(format!("object {url} could not be read: {}", error.kind()))
}
