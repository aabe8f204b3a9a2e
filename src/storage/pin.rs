//! Reads of one version of an object: the condition that goes with every request, and what it means
//! when it does not hold.

use std::ops::Range;

use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt};

use super::failure::error_of;
use super::reader::ObjectIdentity;
use crate::error::{Error, Kind, Result};

/// The options with the condition that the object still is the version `identity`.
pub(crate) fn pinned(mut options: GetOptions, identity: &ObjectIdentity) -> GetOptions {
    options.if_match = Some(identity.etag.clone());
    options.version = identity.version.clone();
    options
}

/// The answer of the store for the version `identity` of the object at `path`.
///
/// # Errors
/// `FailedPrecondition` naming the expected and the found ETag when the object is another version,
/// `NotFound` when it is gone, else as [`error_of`] says.
pub(crate) async fn get(
    store: &dyn ObjectStore,
    path: &Path,
    identity: &ObjectIdentity,
    options: GetOptions,
) -> Result<GetResult> {
    match store.get_opts(path, pinned(options, identity)).await {
        Ok(answer) => {
            check(&answer, identity)?;
            Ok(answer)
        }
        Err(error) => Err(explain(error_of(error, &identity.url), store, path, identity).await),
    }
}

/// The same for a range, which must lie inside the object.
pub(crate) async fn get_range(
    store: &dyn ObjectStore,
    path: &Path,
    identity: &ObjectIdentity,
    range: Range<u64>,
) -> Result<GetResult> {
    let answer = get(store, path, identity, GetOptions::new().with_range(Some(range.clone()))).await?;
    if answer.range != range {
        let (url, found) = (&identity.url, &answer.range);
        return Err(Error::data_loss(format!("object {url}: asked for bytes {range:?}, found {found:?}")));
    }
    Ok(answer)
}

/// Puts the found ETag into an error that says "changed".
pub(crate) async fn explain(error: Error, store: &dyn ObjectStore, path: &Path, identity: &ObjectIdentity) -> Error {
    if error.kind() != Kind::FailedPrecondition {
        return error;
    }
    match store.head(path).await {
        Ok(now) => changed(identity, now.e_tag.as_deref()),
        Err(missing) => match error_of(missing, &identity.url) {
            missing if missing.kind() == Kind::NotFound => missing,
            _ => error,
        },
    }
}

/// A store that knows no conditions answers with whatever is there: look.
fn check(answer: &GetResult, identity: &ObjectIdentity) -> Result<()> {
    let found = answer.meta.e_tag.as_deref();
    if found != Some(identity.etag.as_str()) {
        return Err(changed(identity, found));
    }
    if answer.meta.size != identity.size {
        let (url, expected, found) = (&identity.url, identity.size, answer.meta.size);
        return Err(Error::failed_precondition(format!("object {url}: expected {expected} bytes, found {found}")));
    }
    Ok(())
}

fn changed(identity: &ObjectIdentity, found: Option<&str>) -> Error {
    let ObjectIdentity { url, etag, .. } = identity;
    let found = found.unwrap_or("none");
    Error::failed_precondition(format!(
        "object {url} changed since it was registered or opened: expected ETag {etag}, found {found}"
    ))
}
