//! URLs as storage understands them: parsed without guessing, refused where two readings are possible.
//!
//! `s3://bucket/key`, `gs://`, `az://` and `hf://` name keys literally, as the tools of these stores do; `file:///path`
//! and `http(s)://host/path` are percent-decoded. Relative parts, empty parts, backslashes, control characters and
//! their percent-encoded forms (once or several times) are refused in all of them; so is `?`, which would begin a
//! query, and in encoded ones `#`.

use std::path::Component;

use object_store::path::Path;
use url::Url;

use super::repository::{RepositoryKind, normal_parts, written};
use super::scheme::Scheme;
use crate::error::{Error, Result};

/// Longest URL that is looked at, in bytes.
const URL_BYTES: usize = 4096;

/// A URL in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageUrl {
    /// Which kind of store.
    pub(crate) scheme: Scheme,
    /// Its bucket, container or host; the kind of repository; nothing for `file://`.
    pub(crate) authority: String,
    /// Parts of the key or path, decoded.
    pub(crate) components: Vec<String>,
}

impl StorageUrl {
    /// The parts of a URL.
    ///
    /// # Errors
    /// `InvalidArgument` for what is malformed or of an unknown scheme, `PermissionDenied` for parts that could leave
    /// a root. Messages hold no user name, password or query.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        if url.len() > URL_BYTES {
            return Err(Error::invalid(format!("a URL of {} bytes exceeds the limit of {URL_BYTES}", url.len())));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Error::invalid(format!("expected a URL such as s3://bucket/key, found {}", redact(url))));
        };
        if rest.contains('?') {
            let message = format!("URL {} holds a query, which is not supported", redact(url));
            return Err(Error::invalid(message));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (scheme, authority) = Scheme::parse(&scheme.to_ascii_lowercase(), authority, url)?;
        if matches!(scheme, Scheme::Http | Scheme::Https) && path.contains('#') {
            return Err(Error::invalid(format!("URL {} holds a fragment, which is not supported", redact(url))));
        }
        let whole = if scheme == Scheme::HuggingFace && RepositoryKind::of(&authority) == RepositoryKind::Model {
            rest
        } else {
            path
        };
        let path = whole.strip_suffix('/').unwrap_or(whole);
        let mut components = Vec::new();
        for component in path.split('/').filter(|_| !path.is_empty()) {
            check_component(component, url)?;
            let decoded = if scheme.is_encoded() { decode(component, url)? } else { component.to_owned() };
            components.push(decoded);
        }
        if scheme == Scheme::HuggingFace {
            let authority = RepositoryKind::of(&authority).authority().to_owned();
            return Ok(Self { scheme, authority, components: normal_parts(components, url)? });
        }
        Ok(Self { scheme, authority, components })
    }

    /// The one spelling of this URL; no slash at the end, except of the file system's root.
    pub(crate) fn to_url(&self) -> Result<String> {
        let (name, authority) = (self.scheme.name(), &self.authority);
        let path = match self.scheme {
            Scheme::HuggingFace => written(&self.components),
            scheme if !scheme.is_encoded() => self.components.join("/"),
            _ => {
                let failed = |_| Error::internal("a URL could not be built");
                let base = if self.scheme == Scheme::File { "file:///" } else { "http://host/" };
                let mut url = Url::parse(base).map_err(|error| failed(error.to_string()))?;
                url.path_segments_mut().map_err(|()| failed(String::new()))?.clear().extend(&self.components);
                url.path().trim_start_matches('/').to_owned()
            }
        };
        Ok(match (authority.as_str(), path.as_str()) {
            ("", path) if self.scheme == Scheme::File => format!("file:///{path}"),
            ("", path) => format!("{name}://{path}"),
            (authority, "") => format!("{name}://{authority}"),
            (authority, path) => format!("{name}://{authority}/{path}"),
        })
    }

    /// The parts below `root`, compared whole part by whole part.
    pub(crate) fn below(&self, root: &Self) -> Option<&[String]> {
        if (self.scheme, &self.authority) != (root.scheme, &root.authority) {
            return None;
        }
        self.components.strip_prefix(root.components.as_slice())
    }

    /// The folder of a `file://` URL.
    pub(crate) fn to_folder(&self) -> std::path::PathBuf {
        std::iter::once("/").chain(self.components.iter().map(String::as_str)).collect()
    }
}

/// The URL that `text`, a URL or a local path, stands for: local paths are made absolute.
///
/// For the command line and the configuration; what comes from clients must be a URL already.
///
/// # Errors
/// `InvalidArgument` for malformed URLs and paths that are not Unicode, `NotFound` for a relative path
/// with `..` that does not exist.
pub fn absolute_url(text: &str) -> Result<String> {
    if text.contains("://") {
        return StorageUrl::parse(text)?.to_url();
    }
    let failed = |error: std::io::Error| Error::not_found(format!("path {text:?}: {}", error.kind()));
    let mut path = std::path::absolute(text).map_err(failed)?;
    if path.components().any(|part| part == Component::ParentDir) {
        path = path.canonicalize().map_err(failed)?;
    }
    let mut components = Vec::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        let name = name.to_str().ok_or_else(|| Error::invalid(format!("path {text:?} is not Unicode")))?;
        components.push(name.to_owned());
    }
    let url = StorageUrl { scheme: Scheme::File, authority: String::new(), components }.to_url()?;
    StorageUrl::parse(&url)?.to_url()
}

/// The URL of the object at `path` below the folder `url`; `path` is taken literally, as listings give
/// it, and percent-encoded where the URL needs it.
///
/// # Errors
/// `PermissionDenied` for a path that could leave the folder, else as for malformed URLs.
pub fn join_url(url: &str, path: &str) -> Result<String> {
    let mut joined = StorageUrl::parse(url)?;
    for component in path.split('/').filter(|_| !path.is_empty()) {
        check_component(component, path)?;
        joined.components.push(component.to_owned());
    }
    joined.to_url()
}

/// The URL of what the object at `url` calls `name`: a path relative to its folder. `.` and `..` mean what
/// they mean in a path; whether the result may be read is for the storage roots to say.
///
/// # Errors
/// `PermissionDenied` for an absolute path, one that leads above the bucket or file system, and parts that
/// other readers could take for separators.
pub(crate) fn sibling_url(url: &str, name: &str) -> Result<String> {
    let mut sibling = StorageUrl::parse(url)?;
    sibling.components.pop();
    if name.is_empty() || name.starts_with('/') {
        return Err(Error::permission_denied(format!(
            "the name {name:?} is refused: expected a path relative to the folder of {}",
            redact(url)
        )));
    }
    for part in name.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part != ".." {
            check_component(part, name)?;
            sibling.components.push(part.to_owned());
        } else if sibling.components.pop().is_none() {
            return Err(Error::permission_denied(format!("the name {name:?} leads above {}", redact(url))));
        }
    }
    sibling.to_url()
}

/// Refuses a part that is empty, relative, or holds what some reader would take for a separator, also
/// when percent-encoded (once or several times).
pub(crate) fn check_component(component: &str, whole: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::permission_denied(format!("{} is refused: it holds {what}", redact(whole))));
    let mut current = component.as_bytes().to_vec();
    loop {
        match current.as_slice() {
            b"" => return refuse("an empty part"),
            b"." | b".." => return refuse("a relative part"),
            bytes if bytes.iter().any(|byte| matches!(byte, b'/' | b'\\')) => {
                return refuse("a separator inside a part");
            }
            bytes if bytes.iter().any(u8::is_ascii_control) => return refuse("a control character"),
            _ => {}
        }
        let decoded = decode_once(&current);
        if decoded == current {
            return Ok(());
        }
        current = decoded;
    }
}

/// The path of `components` below `root`.
pub(crate) fn joined<S: AsRef<str>>(root: &Path, components: &[S]) -> Result<Path> {
    let parts: Vec<&str> = components.iter().map(AsRef::as_ref).collect();
    let below = parts.join("/");
    let whole = if root.is_root() || below.is_empty() { format!("{root}{below}") } else { format!("{root}/{below}") };
    Path::parse(&whole).map_err(|_| Error::invalid(format!("path {below:?} is not valid in an object store")))
}

/// A URL for messages: without user name, password, query.
pub(crate) fn redact(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let shown = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) =
                rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
            // Before the @ of these stands a container or the name of a repository.
            let is_name = |user: &str| matches!(scheme, "abfs" | "abfss" | "hf") && !user.contains(':');
            let authority = match authority.rsplit_once('@') {
                Some((user, host)) if !is_name(user) => format!("***@{host}"),
                _ => authority.to_owned(),
            };
            path.map_or(format!("{scheme}://{authority}"), |path| format!("{scheme}://{authority}/{path}"))
        }
        None => url.to_owned(),
    };
    shown.chars().take(URL_BYTES).flat_map(char::escape_debug).collect()
}

fn decode(component: &str, url: &str) -> Result<String> {
    String::from_utf8(decode_once(component.as_bytes()))
        .map_err(|_| Error::invalid(format!("URL {} is not Unicode when decoded", redact(url))))
}

/// Replaces `%XX` by its byte; a `%` without two hexadecimal digits stays.
fn decode_once(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match after {
            [high, low, tail @ ..] if *first == b'%' => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push((high << 4) | low);
                    rest = tail;
                    continue;
                }
                _ => decoded.push(*first),
            },
            _ => decoded.push(*first),
        }
        rest = after;
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
