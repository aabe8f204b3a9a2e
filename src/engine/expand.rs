//! Which objects a pattern of URLs means, and which of them are registered as they are now: with one listing,
//! without a request for each.

use std::collections::BTreeMap;

use super::Engine;
use super::look::folder;
use crate::error::{Error, Result};
use crate::model::criteria::KeyPattern;
use crate::registry::native::ObjectVersion;
use crate::storage::ListedFile;

/// An object or folder that a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its URL.
    pub url: String,
    /// Whether the latest version of some key is just this version of it.
    pub registered: bool,
}

impl Engine {
    /// The files and folders below a storage root whose URL matches `pattern`, by URL. In each part between
    /// `/`, `*`, `?` and `[…]` stand for what is in one part; a part `**` for any number of them. Inside of a
    /// folder that matches nothing is looked for.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed pattern, `PermissionDenied` outside the storages, and the errors of
    /// the listing.
    pub async fn expand(&self, pattern: &str) -> Result<Vec<Match>> {
        let (base, parts) = split(pattern)?;
        self.learn_storage_of(&base).await?;
        let base = self.storages.resolve(&base)?.url;
        let base = base.trim_end_matches('/');
        let found = grouped(self.storages.list_files(base).await?, &parts);
        let urls: Vec<String> = found.keys().map(|path| format!("{base}/{path}")).collect();
        let versions: Vec<ObjectVersion> =
            urls.iter().zip(found.into_values()).map(|(url, files)| version(url, files)).collect();
        let known = self.registry.native().known(&versions).await?;
        Ok(urls.into_iter().zip(known).map(|(url, registered)| Match { url, registered }).collect())
    }
}

/// The folder before the first part with a pattern, and the patterns of the parts from there on.
fn split(pattern: &str) -> Result<(String, Vec<KeyPattern>)> {
    let (scheme, rest) =
        pattern.split_once("://").ok_or_else(|| Error::invalid("expected a URL such as s3://bucket/prefix/*.h5ad"))?;
    let mut parts = rest.split('/');
    let mut base = Vec::new();
    let first = loop {
        match parts.next() {
            Some(part) if KeyPattern::parse(part)?.is_exact() => base.push(part),
            Some(part) => break part,
            None => return Err(Error::invalid(format!("'{pattern}' holds no pattern (*, ? or [])"))),
        }
    };
    if base.is_empty() {
        return Err(Error::invalid(format!("'{pattern}': a pattern stands after the bucket, not in its name")));
    }
    let parts = std::iter::once(first).chain(parts).map(KeyPattern::parse).collect::<Result<_>>()?;
    Ok((format!("{scheme}://{}", base.join("/")), parts))
}

/// The files by the shortest beginning of their path that matches.
fn grouped(files: Vec<ListedFile>, pattern: &[KeyPattern]) -> BTreeMap<String, Vec<ListedFile>> {
    let mut found: BTreeMap<String, Vec<ListedFile>> = BTreeMap::new();
    for file in files {
        let parts: Vec<&str> = file.path.split('/').collect();
        let matching = (1..=parts.len()).find_map(|count| parts.get(..count).filter(|parts| matches(pattern, parts)));
        let Some(matching) = matching.map(|parts| parts.join("/")) else { continue };
        let below = file.path.get(matching.len() + 1..).unwrap_or_default().to_owned();
        found.entry(matching).or_default().push(ListedFile { path: below, ..file });
    }
    found
}

fn matches(pattern: &[KeyPattern], parts: &[&str]) -> bool {
    match (pattern, parts) {
        ([], []) => true,
        ([any, rest @ ..], _) if any.text() == "**" => {
            (0..=parts.len()).any(|skipped| parts.get(skipped..).is_some_and(|parts| matches(rest, parts)))
        }
        ([one, pattern @ ..], [part, parts @ ..]) => one.matches(part) && matches(pattern, parts),
        _ => false,
    }
}

/// The version of a file, or of the folder of several: what its registration would say.
fn version(url: &str, files: Vec<ListedFile>) -> ObjectVersion {
    let url = url.to_owned();
    match files.as_slice() {
        [file] if file.path.is_empty() => ObjectVersion { url, size: file.size, etag: file.etag.clone() },
        _ => match folder(&url, files) {
            Ok(artifact) => ObjectVersion { url, size: artifact.size, etag: artifact.etag },
            // What cannot be registered is not: that is for its registration to say.
            Err(_) => ObjectVersion { url, size: 0, etag: String::new() },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> ListedFile {
        ListedFile { path: path.into(), size: 1, etag: "e".into() }
    }

    #[test]
    fn parts_match_by_themselves_and_two_stars_any_number() {
        let files = ["a.h5ad", "b.txt", "x/c.h5ad", "x/y/d.h5ad", "s.zarr/zarr.json", "x/t.zarr/X/c/0"];
        let rows = [
            ("s3://b/*.h5ad", vec!["a.h5ad"]),
            ("s3://b/*/*.h5ad", vec!["x/c.h5ad"]),
            ("s3://b/**/*.h5ad", vec!["a.h5ad", "x/c.h5ad", "x/y/d.h5ad"]),
            ("s3://b/**/*.zarr", vec!["s.zarr", "x/t.zarr"]),
            ("s3://b/*", vec!["a.h5ad", "b.txt", "s.zarr", "x"]),
            ("s3://b/[ab].*", vec!["a.h5ad", "b.txt"]),
            ("s3://b/?", vec!["x"]),
        ];
        for (pattern, expected) in rows {
            let (base, parts) = split(pattern).unwrap();
            assert_eq!(base, "s3://b");
            let found = grouped(files.iter().map(|path| file(path)).collect(), &parts);
            assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{pattern}");
        }
        let (base, parts) = split("s3://b/x/y/*.h5ad").unwrap();
        assert_eq!((base.as_str(), parts.len()), ("s3://b/x/y", 1));
        let found = grouped(vec![file("t.zarr/X/c/0"), file("t.zarr/zarr.json")], &split("s3://b/*.zarr").unwrap().1);
        assert_eq!(found["t.zarr"].iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["X/c/0", "zarr.json"]);
    }

    #[test]
    fn malformed_patterns_are_named() {
        for (pattern, word) in
            [("a/*.h5ad", "URL"), ("s3://b/a.h5ad", "no pattern"), ("s3://b/[a", "']'"), ("s3://*/a", "bucket")]
        {
            let error = split(pattern).unwrap_err();
            assert!(error.message().contains(word), "{pattern}: {error}");
        }
    }
}
