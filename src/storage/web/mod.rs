//! Stores that are read over plain HTTP: web servers, and Hugging Face.
//!
//! ```text
//! MeteredStore ─▶ ReadOnly<HttpReader | HuggingFace> ─▶ Fetcher ─▶ one HTTP client
//!                     │ which URL, which version          │ redirects that the root allows, addresses that it may reach
//! ```
//!
//! It is our own rather than `object_store`'s HTTP store because of three things: redirects are followed only where the
//! root allows them, objects without an ETag are pinned by their time of modification, and a whole object that comes
//! where a range was asked for is read only when it is small. It does not repeat or count requests: what calls it does.

mod addresses;
mod answer;
mod client;
mod fetcher;
mod http_reader;
mod hugging_face;
mod hugging_face_file;
mod hugging_face_pages;
mod options;
mod places;
mod read_only;
mod redirects;
mod resolver;
mod version;

use std::collections::BTreeMap;

use self::http_reader::HttpReader;
use self::hugging_face::HuggingFace;
use self::read_only::ReadOnly;
use super::location::StorageUrl;
use super::options::StorageOptions;
use crate::error::Result;

#[cfg(test)]
mod tests;

/// The store of a web server: the root at `url`, whose parts are `parsed`, with `given` options.
///
/// # Errors
/// `InvalidArgument` naming an option that is unknown or has a bad value, `PermissionDenied` for a host that may never
/// be a root.
pub(crate) fn http(
    parsed: &StorageUrl,
    url: &str,
    given: &BTreeMap<String, String>,
    options: &StorageOptions,
) -> Result<ReadOnly<HttpReader>> {
    Ok(ReadOnly(HttpReader::new(parsed, url, given, options)?))
}

/// The store of the repositories of Hugging Face that are of the kind of the root at `url`, whose parts are `parsed`,
/// with `given` options.
///
/// # Errors
/// As [`http()`]; `InvalidArgument` for a root that names no repository.
pub(crate) fn hugging_face(
    parsed: &StorageUrl,
    url: &str,
    given: &BTreeMap<String, String>,
    options: &StorageOptions,
) -> Result<ReadOnly<HuggingFace>> {
    Ok(ReadOnly(HuggingFace::new(parsed, url, given, options)?))
}
