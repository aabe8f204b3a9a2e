//! Where the content of an artifact lies: the path rule of LaminDB, over the root of its storage. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

/// Folder below a storage root that holds what LaminDB names by itself.
const AUTOMATIC: &str = ".lamindb";

/// Characters of a uid that all versions of an artifact share.
const STEM: usize = 16;

/// What the rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) uid: &'a str,
    pub(super) key: Option<&'a str>,
    /// The path of a file that was registered under another key.
    pub(super) real_key: Option<&'a str>,
    pub(super) suffix: &'a str,
    /// Whether the key is only a name, and the path is made of the uid.
    pub(super) key_is_virtual: bool,
    /// Whether all versions lie at one path: so it is of folders.
    pub(super) overwrites_versions: bool,
}

/// The path below the storage root.
pub(super) fn storage_path(named: Named<'_>) -> String {
    if let Some(real) = named.real_key {
        return real.to_owned();
    }
    match named.key {
        Some(key) if !named.key_is_virtual => key.to_owned(),
        _ => {
            let stem = if named.overwrites_versions { named.uid.get(..STEM) } else { None };
            format!("{AUTOMATIC}/{}{}", stem.unwrap_or(named.uid), named.suffix)
        }
    }
}

/// A storage root as it is read: without the query that LaminDB keeps in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// URL without query and without a slash at the end.
    pub(super) url: String,
    /// Options of its object store.
    pub(super) options: BTreeMap<String, String>,
}

/// The root that `text` (`/folder`, `s3://bucket/prefix?endpoint_url=…`) stands for, after `remap`: the longest
/// root in it that holds `text` is replaced.
pub(super) fn root(text: &str, region: Option<&str>, remap: &BTreeMap<String, String>) -> Root {
    let (plain, _) = split_query(text);
    match remapped(plain, remap) {
        // Another place has its own endpoint and region.
        Some(moved) => parsed(&moved, None),
        None => parsed(text, region),
    }
}

/// The URL of `path` below `root`. Nothing is resolved: a path that would leave the root stays one, for the
/// storage to refuse.
pub(super) fn url_below(root: &str, path: &str) -> String {
    match root.strip_prefix("file://") {
        Some(_) => {
            let encoded: Vec<String> = path.split('/').map(encoded).collect();
            format!("{}/{}", root.trim_end_matches('/'), encoded.join("/"))
        }
        None => format!("{root}/{path}"),
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((plain, query)) => (plain.trim_end_matches('/'), Some(query)),
        None => (if text == "/" { text } else { text.trim_end_matches('/') }, None),
    }
}

fn remapped(plain: &str, remap: &BTreeMap<String, String>) -> Option<String> {
    let below = |from: &str| {
        let from = from.trim_end_matches('/');
        let rest = plain.strip_prefix(from)?;
        (rest.is_empty() || rest.starts_with('/')).then_some((from.len(), rest))
    };
    let holding = remap.iter().filter_map(|(from, to)| below(from).map(|(length, rest)| (length, rest, to)));
    let (_, rest, to) = holding.max_by_key(|(length, ..)| *length)?;
    let (to, query) = split_query(to);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{rest}{query}", to.trim_end_matches('/')))
}

fn parsed(text: &str, region: Option<&str>) -> Root {
    let (plain, query) = split_query(text);
    let mut options = BTreeMap::new();
    if plain.starts_with("s3://") {
        options.extend(region.filter(|region| !region.is_empty()).map(|one| ("region".to_owned(), one.to_owned())));
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        for (name, value) in pairs {
            let name = if name == "endpoint_url" { "endpoint".to_owned() } else { name.into_owned() };
            options.insert(name, value.into_owned());
        }
    }
    if plain.contains("://") {
        return Root { url: plain.to_owned(), options };
    }
    let url = Url::from_file_path(Path::new(plain)).map_or_else(|()| plain.to_owned(), |url| url.to_string());
    Root { url, options }
}

/// One part of a path, percent-encoded as the URL library does it.
fn encoded(part: &str) -> String {
    let file = Url::from_file_path(format!("/{part}")).map(|url| url.path().trim_start_matches('/').to_owned());
    // A part that is no name of a file (`..`) is for the storage to refuse, as it is.
    file.ok().filter(|encoded| !encoded.is_empty()).unwrap_or_else(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_rule() {
        let named = |key, real_key, key_is_virtual, overwrites_versions| Named {
            uid: "mONPQbCnv2hKBMEE0001",
            key,
            real_key,
            suffix: ".zarr",
            key_is_virtual,
            overwrites_versions,
        };
        let rows = [
            (named(Some("a/b.zarr"), None, false, true), "a/b.zarr"),
            (named(Some("a/b.zarr"), None, true, true), ".lamindb/mONPQbCnv2hKBMEE.zarr"),
            (named(Some("a/b.zarr"), None, true, false), ".lamindb/mONPQbCnv2hKBMEE0001.zarr"),
            (named(None, None, false, false), ".lamindb/mONPQbCnv2hKBMEE0001.zarr"),
            (named(Some("pretty.zarr"), Some("raw/x.zarr"), true, false), "raw/x.zarr"),
        ];
        for (named, expected) in rows {
            assert_eq!(storage_path(named), expected);
        }
    }

    #[test]
    fn roots_lose_their_query_and_move() {
        let remap = [
            ("/data/lamindb", "s3://bucket/moved"),
            ("/data", "/mnt"),
            ("s3://old", "s3://new?endpoint_url=http://h:9"),
        ];
        let remap = remap.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let rows = [
            ("/data/lamindb/v1", "s3://bucket/moved/v1", None),
            ("/data/lamindbs", "file:///mnt/lamindbs", None),
            ("/da ta/x/", "file:///da%20ta/x", None),
            ("s3://b/p?endpoint_url=https://minio.org:9000", "s3://b/p", Some("https://minio.org:9000")),
            ("s3://b?endpoint_url=https%3A%2F%2Fminio.org", "s3://b", Some("https://minio.org")),
            ("s3://old/p?endpoint_url=https://gone", "s3://new/p", Some("http://h:9")),
            ("gs://b/p/", "gs://b/p", None),
        ];
        for (text, url, endpoint) in rows {
            let root = root(text, Some("eu-central-1"), &remap);
            assert_eq!(root.url, url, "{text}");
            assert_eq!(root.options.get("endpoint").map(String::as_str), endpoint, "{text}");
        }
        assert_eq!(root("s3://b", Some("eu-central-1"), &BTreeMap::new()).options["region"], "eu-central-1");
    }

    #[test]
    fn urls_below_a_root_are_literal_in_buckets_and_encoded_in_folders() {
        assert_eq!(url_below("s3://b/p", "a b/%41.h5ad"), "s3://b/p/a b/%41.h5ad");
        assert_eq!(url_below("file:///d", "a b/%41.h5ad"), "file:///d/a%20b/%2541.h5ad");
        assert_eq!(url_below("file:///d", "../x"), "file:///d/../x");
    }
}
