//! From the URL of a root to the client of its store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::list::PaginatedListStore;
use object_store::local::LocalFileSystem;

use super::azure;
use super::gcs;
use super::local_guard::LocalGuard;
use super::location::{StorageUrl, redact};
use super::options::StorageOptions;
use super::s3;
use super::scheme::Scheme;
use super::web;
use crate::error::{Error, Result};

/// The client of a store, and what goes with it.
pub(crate) struct Connected {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Lists page by page, where the store has pages.
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    /// Where the store is a local folder.
    pub(crate) guard: Option<LocalGuard>,
}

impl Connected {
    /// A store that lists page by page.
    fn paged<S: ObjectStore + PaginatedListStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { store: Arc::clone(&store) as Arc<dyn ObjectStore>, pages: Some(store), guard: None }
    }
}

/// The client of the root at `url`, whose parts are `parsed`, with `given` options.
///
/// # Errors
/// `InvalidArgument` naming an option that is unknown or has a bad value, `NotFound` for a local folder that is not
/// there, `PermissionDenied` for a host that may never be a root.
pub(crate) fn connect(
    parsed: &StorageUrl,
    url: &str,
    given: &BTreeMap<String, String>,
    options: &StorageOptions,
) -> Result<Connected> {
    match parsed.scheme {
        Scheme::File => local(parsed, url, given),
        Scheme::S3 => Ok(Connected::paged(s3::client(&parsed.authority, given, options)?)),
        Scheme::Gs => Ok(Connected::paged(gcs::client(&parsed.authority, given, options)?)),
        Scheme::Az | Scheme::Abfss => Ok(Connected::paged(azure::client(&parsed.authority, given, options)?)),
        Scheme::Http | Scheme::Https => Ok(Connected::paged(web::http(parsed, url, given, options)?)),
        Scheme::HuggingFace => Ok(Connected::paged(web::hugging_face(parsed, url, given, options)?)),
    }
}

/// Takes `?endpoint_url=…` off an S3 root, as LaminDB writes it, into the options.
///
/// # Errors
/// `InvalidArgument` when the query holds anything else, or the options name another endpoint.
pub(crate) fn given_endpoint(
    root_url: &str,
    mut options: BTreeMap<String, String>,
) -> Result<(String, BTreeMap<String, String>)> {
    let Some((root, query)) = root_url.split_once('?').filter(|_| root_url.starts_with("s3://")) else {
        return Ok((root_url.to_owned(), options));
    };
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let [(name, endpoint)] = pairs.as_slice() else { return Err(other_query(root)) };
    if name != "endpoint_url" || endpoint.is_empty() {
        return Err(other_query(root));
    }
    match options.get("endpoint") {
        Some(other) if other != endpoint => {
            let message = format!("root {} names another endpoint than its option endpoint", redact(root));
            Err(Error::invalid(message))
        }
        _ => {
            options.insert("endpoint".to_owned(), endpoint.clone());
            Ok((root.to_owned(), options))
        }
    }
}

fn other_query(root: &str) -> Error {
    Error::invalid(format!("expected no query but ?endpoint_url=https://host after the root {}", redact(root)))
}

/// The store of a local folder, resolved of symlinks.
fn local(parsed: &StorageUrl, url: &str, given: &BTreeMap<String, String>) -> Result<Connected> {
    if let Some(name) = given.keys().next() {
        let message = format!("unknown storage option {name:?} of {url}; local roots have none");
        return Err(Error::invalid(message));
    }
    let real: PathBuf = parsed
        .to_folder()
        .canonicalize()
        .map_err(|_| Error::not_found(format!("storage root {url} does not exist")))?;
    if !real.is_dir() {
        return Err(Error::invalid(format!("storage root {url} is not a folder")));
    }
    let store = LocalFileSystem::new_with_prefix(&real)
        .map_err(|_| Error::unavailable(format!("storage root {url} cannot be read")))?;
    Ok(Connected { store: Arc::new(store), pages: None, guard: Some(LocalGuard::new(real)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_in_a_root_is_an_option() {
        let none = BTreeMap::new;
        let option = |endpoint: &str| BTreeMap::from([("endpoint".to_owned(), endpoint.to_owned())]);
        for (root, given, expected) in [
            ("s3://b/p?endpoint_url=https://h:9", none(), Some(("s3://b/p", option("https://h:9")))),
            ("s3://b?endpoint_url=http%3A%2F%2Fh", none(), Some(("s3://b", option("http://h")))),
            ("s3://b?endpoint_url=http://h", option("http://h"), Some(("s3://b", option("http://h")))),
            ("s3://b?endpoint_url=http://h", option("http://other"), None),
            ("s3://b?endpoint_url=", none(), None),
            ("s3://b?region=x", none(), None),
            ("s3://b?endpoint_url=http://h&region=x", none(), None),
            ("s3://b/p", none(), Some(("s3://b/p", none()))),
            ("/local/a?b", none(), Some(("/local/a?b", none()))),
        ] {
            let found = given_endpoint(root, given).ok();
            assert_eq!(found, expected.map(|(root, options)| (root.to_owned(), options)), "{root}");
        }
    }
}
