//! One answer of a web server as a read of an object: which of its bytes came, and of how many.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, StatusCode};
use object_store::client::HttpResponseBody;
use object_store::path::Path;
use object_store::{Attributes, Error as StoreError, GetRange, GetResult, GetResultPayload, ObjectMeta};
use url::Url;

use super::version::{modified, text};
use crate::error::Kind;
use crate::storage::failure::{StoreFailure, of_status};

/// The answer at the end of all redirects.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: HttpResponseBody,
    /// Headers of the redirects before it.
    pub(crate) hops: Vec<HeaderMap>,
    /// Whether it comes from the root's own origin.
    pub(crate) own: bool,
    /// Where it comes from.
    pub(crate) url: Url,
}

impl Answer {
    /// The answer, when it says success and its bytes are those of the object.
    pub(crate) fn success(self) -> Result<Self, StoreFailure> {
        if !self.status.is_success() {
            return Err(of_status(self.status.as_u16()));
        }
        match text(&self.headers, &CONTENT_ENCODING) {
            None | Some("identity") => Ok(self),
            Some(encoding) => {
                let shown: String = encoding.chars().take(32).collect();
                let reason = format!("the server sends it with the content encoding {shown:?}, which is not supported");
                Err(StoreFailure::new(Kind::Unimplemented, reason, false))
            }
        }
    }

    /// Size of the object in bytes, where the answer tells it.
    pub(crate) fn size(&self) -> Option<u64> {
        match self.status {
            StatusCode::PARTIAL_CONTENT => self.content_range().map(|(_, size)| size),
            _ => text(&self.headers, &CONTENT_LENGTH)?.parse().ok(),
        }
    }

    /// The bytes that came, and the size of the object.
    fn content_range(&self) -> Option<(Range<u64>, u64)> {
        let (range, size) = text(&self.headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.trim().split_once('-')?;
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let (end, size) = (last.checked_add(1)?, size.trim().parse().ok()?);
        (first < end && end <= size).then_some((first..end, size))
    }

    /// The asked bytes of the object at `location` in the version `version`. A whole object of at most
    /// `whole_object_bytes` bytes will do where a part of it was asked for.
    ///
    /// # Errors
    /// `Unimplemented` when the server sends a larger object whole, or does not say how large it is; `DataLoss` for a
    /// range outside the object; `Unavailable` when another range came.
    pub(crate) fn into_result(
        self,
        location: &Path,
        asked: Option<&GetRange>,
        version: impl FnOnce(&Self, u64) -> Result<Option<String>, StoreFailure>,
        whole_object_bytes: u64,
    ) -> Result<GetResult, StoreFailure> {
        let size = self.size().ok_or_else(unknown_size)?;
        let came = match self.status {
            StatusCode::PARTIAL_CONTENT => self.content_range().map_or(0..0, |(range, _)| range),
            _ => 0..size,
        };
        let range = match asked {
            None => 0..size,
            Some(asked) => asked.as_range(size).map_err(|_| of_status(416))?,
        };
        if came != range && self.status == StatusCode::PARTIAL_CONTENT {
            return Err(StoreFailure::new(Kind::Unavailable, "the store answered with another range", false));
        }
        if came != range && size > whole_object_bytes {
            return Err(StoreFailure::new(
                Kind::Unimplemented,
                format!(
                    "the server sent all {size} bytes where a range was asked for; objects of at most \
                     {whole_object_bytes} bytes (option whole_object_bytes) are read from servers without ranges"
                ),
                false,
            ));
        }
        let e_tag = version(&self, size)?;
        let last_modified = modified(&self.headers);
        let meta = ObjectMeta { location: location.clone(), last_modified, size, e_tag, version: None };
        let payload = GetResultPayload::Stream(part_of(self.body, &came, &range));
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }
}

pub(crate) fn unknown_size() -> StoreFailure {
    StoreFailure::new(Kind::Unimplemented, "the server does not tell how large it is", false)
}

/// The bytes `wanted` out of a body of the bytes `came`.
fn part_of(
    body: HttpResponseBody,
    came: &Range<u64>,
    wanted: &Range<u64>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let pieces = body.bytes_stream().map_err(|error| StoreError::Generic { store: "web", source: Box::new(error) });
    if came == wanted {
        return pieces.boxed();
    }
    let state = (pieces, wanted.start.saturating_sub(came.start), wanted.end.saturating_sub(wanted.start));
    let part = futures::stream::try_unfold(state, |(mut pieces, mut skip, mut left)| async move {
        while left > 0 {
            let Some(mut piece) = pieces.try_next().await? else { break };
            let dropped = piece.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            skip -= dropped as u64;
            let mut piece = piece.split_off(dropped);
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if !piece.is_empty() {
                left -= piece.len() as u64;
                return Ok(Some((piece, (pieces, skip, left))));
            }
        }
        Ok(None)
    });
    part.boxed()
}
