//! Where what the user names lies: its URL, and the storage that it is in.

use url::Url;

use crate::error::{Error, Result};

/// A URL as given, or the file:// URL of a local path.
pub(super) fn absolute_url(given: &str) -> Result<Url> {
    if given.contains("://") {
        return Url::parse(given).map_err(|error| Error::invalid(format!("'{given}' is not a URL: {error}")));
    }
    let path = std::path::absolute(given)
        .map_err(|error| Error::invalid(format!("'{given}' is not a path")).with_source(error))?;
    // `absolute` keeps `..`, which a URL must not.
    let path = path
        .canonicalize()
        .map_err(|error| Error::not_found(format!("no file or folder '{}'", path.display())).with_source(error))?;
    Url::from_file_path(&path).map_err(|()| Error::invalid(format!("'{}' is not a path", path.display())))
}

/// The storage that a URL lies in when none is known: the folder of a local file or of a web server, the repository of
/// Hugging Face at its revision, else the bucket.
pub(super) fn storage_root(url: &Url) -> Result<String> {
    let mut root = url.clone();
    root.set_query(None);
    root.set_fragment(None);
    if matches!(url.scheme(), "file" | "http" | "https") {
        let no_folder = || Error::invalid(format!("'{url}' lies in no folder"));
        let mut parts = root.path_segments_mut().map_err(|()| no_folder())?;
        parts.pop_if_empty().pop();
        drop(parts);
        return Ok(root.into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::invalid(format!("'{url}' names no bucket")));
    }
    if url.scheme() == "hf" {
        return repository_root(url);
    }
    root.set_path("");
    Ok(root.into())
}

/// The repository of an `hf://` URL; a revision that stands behind the path is the repository's.
fn repository_root(url: &Url) -> Result<String> {
    let kind = url.host_str().filter(|host| matches!(*host, "datasets" | "spaces"));
    let parts: Vec<&str> =
        kind.map_or(url.host_str(), |_| None).into_iter().chain(url.path_segments().into_iter().flatten()).collect();
    let [owner, name, path @ ..] = parts.as_slice() else {
        return Err(Error::invalid(format!("'{url}' names no repository")));
    };
    let behind = path.last().and_then(|last| last.rsplit_once('@')).filter(|_| !name.contains('@'));
    let revision = behind.map_or(String::new(), |(_, revision)| format!("@{revision}"));
    let kind = kind.map_or(String::new(), |kind| format!("{kind}/"));
    Ok(format!("hf://{kind}{owner}/{name}{revision}"))
}
