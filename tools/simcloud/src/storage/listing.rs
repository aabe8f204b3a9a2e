//! Listings: the keys of a bucket in byte order, by prefix and delimiter, in
//! pages.
//!
//! Folders are walked only where the page can need them. Empty folders are not
//! objects and do not show.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use s3s::{S3Result, s3_error};

use super::{Storage, internal};

/// What a page of a listing is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// What keys begin with.
    pub(crate) prefix: String,
    /// Where keys are rolled up; empty for nowhere.
    pub(crate) delimiter: String,
    /// The most entries.
    pub(crate) limit: usize,
    /// Only keys after this one.
    pub(crate) start_after: Option<String>,
    /// The token that the page before ended with.
    pub(crate) token: Option<String>,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its key.
    pub(crate) key: String,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was last changed.
    pub(crate) modified: SystemTime,
    /// Its ETag, without quotes.
    pub(crate) etag: String,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The objects.
    pub(crate) items: Vec<Item>,
    /// What keys were rolled up to.
    pub(crate) common_prefixes: Vec<String>,
    /// The token for the next page, if there is more.
    pub(crate) next: Option<String>,
}

impl Storage {
    /// Makes one page.
    pub(crate) fn list(&self, bucket: &str, asked: Asked) -> S3Result<Listing> {
        let folder = self.bucket(bucket)?;
        let mut page = Page::new(asked)?;
        if page.asked.limit > 0 {
            let (start, key) = deepest(&folder, &page.asked.prefix);
            // A break only says that the page is full.
            let _ = walk(&start, &key, &mut page);
        }
        let Page { files, common_prefixes, full, last, .. } = page;
        let items = files.into_iter().filter_map(|(key, path)| self.item(key, &path).transpose());
        Ok(Listing { items: items.collect::<S3Result<_>>()?, common_prefixes, next: full.then_some(last).flatten() })
    }

    /// Describes one object; `None` if it has gone in the meantime.
    fn item(&self, key: String, path: &Path) -> S3Result<Option<Item>> {
        let Ok(file) = File::open(path) else { return Ok(None) };
        let metadata = file.metadata().map_err(internal)?;
        let etag = self.etags.of(path, &file).map_err(internal)?;
        let modified = metadata.modified().map_err(internal)?;
        Ok(Some(Item { key, size: metadata.len(), modified, etag }))
    }
}

/// A page being filled, in order of keys.
struct Page {
    asked: Asked,
    /// Keys up to here are done.
    after: String,
    /// Keys that begin so are done.
    rolled: Option<String>,
    files: Vec<(String, PathBuf)>,
    common_prefixes: Vec<String>,
    full: bool,
    last: Option<String>,
}

impl Page {
    /// An empty page that begins where its token or `start_after` says.
    fn new(asked: Asked) -> S3Result<Self> {
        let (mut after, mut rolled) = (asked.start_after.clone().unwrap_or_default(), None);
        if let Some(token) = &asked.token {
            match token.split_at_checked(1) {
                Some(("k", key)) => after = key.to_owned(),
                Some(("p", prefix)) => (after, rolled) = (prefix.to_owned(), Some(prefix.to_owned())),
                _ => return Err(s3_error!(InvalidArgument, "unknown continuation token")),
            }
        }
        Ok(Self { asked, after, rolled, files: Vec::new(), common_prefixes: Vec::new(), full: false, last: None })
    }

    /// Whether keys that begin with `folder` (which ends with a slash, or is
    /// empty) can still be needed.
    fn wants(&self, folder: &str) -> bool {
        let prefix = self.asked.prefix.as_str();
        let related = folder.starts_with(prefix) || prefix.starts_with(folder);
        let done = *folder < *self.after && !self.after.starts_with(folder);
        related && !done && !self.is_rolled(folder)
    }

    /// Whether a key or folder is part of the common prefix that came last.
    fn is_rolled(&self, key: &str) -> bool {
        self.rolled.as_ref().is_some_and(|rolled| key.starts_with(rolled.as_str()))
    }

    /// Takes a key into the page, unless it is not wanted; breaks if the page is
    /// full already.
    fn offer(&mut self, key: &str, path: &Path) -> ControlFlow<()> {
        let Some(tail) = key.strip_prefix(self.asked.prefix.as_str()) else {
            return ControlFlow::Continue(());
        };
        if *key <= *self.after || self.is_rolled(key) {
            return ControlFlow::Continue(());
        }
        if self.files.len() + self.common_prefixes.len() >= self.asked.limit {
            self.full = true;
            return ControlFlow::Break(());
        }
        let delimiter = self.asked.delimiter.as_str();
        match tail.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => {
                let length = key.len() - tail.len() + at + delimiter.len();
                let prefix = key[..length].to_owned();
                self.last = Some(format!("p{prefix}"));
                self.rolled = Some(prefix.clone());
                self.common_prefixes.push(prefix);
            }
            None => {
                self.last = Some(format!("k{key}"));
                self.files.push((key.to_owned(), path.to_path_buf()));
            }
        }
        ControlFlow::Continue(())
    }
}

/// The deepest folder that holds all keys beginning with `prefix`, and its key.
/// A prefix that no file can have leads to a folder that is not walked further.
fn deepest(bucket: &Path, prefix: &str) -> (PathBuf, String) {
    let Some((parents, _)) = prefix.rsplit_once('/') else {
        return (bucket.to_path_buf(), String::new());
    };
    match super::locate::object(bucket, parents) {
        Some(path) => (path, format!("{parents}/")),
        None => (bucket.to_path_buf(), String::new()),
    }
}

/// Offers the page all keys below a folder, in byte order. Folders sort with
/// their slash, for that is how their keys go on.
fn walk(folder: &Path, key: &str, page: &mut Page) -> ControlFlow<()> {
    let mut entries: Vec<(String, PathBuf)> = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.is_dir() {
            entries.push((format!("{key}{name}/"), path));
        } else if metadata.is_file() {
            entries.push((format!("{key}{name}"), path));
        }
    }
    entries.sort();
    for (entry, path) in entries {
        if !page.wants(key) {
            break;
        }
        if !entry.ends_with('/') {
            page.offer(&entry, &path)?;
        } else if page.wants(&entry) {
            walk(&path, &entry, page)?;
        }
    }
    ControlFlow::Continue(())
}
