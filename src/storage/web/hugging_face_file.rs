//! Names of files in Hugging Face repositories: from paths of the store to URLs of the hub.

use object_store::path::Path;
use url::Url;

use crate::error::Kind;
use crate::storage::failure::StoreFailure;
use crate::storage::repository::{MAIN, RepositoryKind};

/// A file or folder of a repository, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RepositoryFile {
    pub(super) owner: String,
    pub(super) name: String,
    /// Branch, tag or commit.
    pub(super) revision: String,
    /// Parts of the path in the repository.
    pub(super) path: Vec<String>,
}

impl RepositoryFile {
    /// The file at `owner/name[@revision]/path` in the store.
    pub(super) fn of(location: &str) -> Result<Self, StoreFailure> {
        let mut parts = location.split('/').filter(|part| !part.is_empty());
        let (Some(owner), Some(repository)) = (parts.next(), parts.next()) else {
            return Err(StoreFailure::new(Kind::InvalidArgument, "expected owner/name of a repository", false));
        };
        let (name, revision) = repository.split_once('@').unwrap_or((repository, MAIN));
        let revision =
            revision.strip_prefix('~').map_or_else(|| revision.to_owned(), |name| format!("refs/convert/{name}"));
        let path = parts.map(str::to_owned).collect();
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), revision, path })
    }

    /// Where the bytes of the file are, at `revision`.
    pub(super) fn resolve_url(
        &self,
        endpoint: &Url,
        kind: RepositoryKind,
        revision: &str,
    ) -> Result<Url, StoreFailure> {
        let folder = Some(kind.authority()).filter(|name| !name.is_empty());
        let start = folder.into_iter().chain([self.owner.as_str(), &self.name, "resolve", revision]);
        url_with(endpoint, start.chain(self.path.iter().map(String::as_str)))
    }

    /// Where the commit of the revision is told.
    pub(super) fn revision_url(&self, endpoint: &Url, kind: RepositoryKind) -> Result<Url, StoreFailure> {
        url_with(endpoint, ["api", api_name(kind), &self.owner, &self.name, "revision", &self.revision])
    }

    /// Where the files below the folder are listed, at `commit`.
    pub(super) fn tree_url(
        &self,
        endpoint: &Url,
        kind: RepositoryKind,
        commit: &str,
        recursive: bool,
    ) -> Result<Url, StoreFailure> {
        let start = ["api", api_name(kind), &self.owner, &self.name, "tree", commit];
        let mut url = url_with(endpoint, start.into_iter().chain(self.path.iter().map(String::as_str)))?;
        url.set_query(Some(if recursive { "recursive=true" } else { "recursive=false" }));
        Ok(url)
    }
}

/// The commit in a version `<content id>@<commit>`.
pub(super) fn commit_of(version: &str) -> Option<&str> {
    version.rsplit_once('@').map(|(_, commit)| commit).filter(|commit| is_commit(commit))
}

/// Whether `revision` is a whole commit id, which can never mean another state.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The path in the store of the file `path` of the repository that `prefix` lies in.
pub(super) fn location_of(prefix: &str, path: &str) -> Option<Path> {
    let mut parts = prefix.split('/');
    let (owner, repository) = (parts.next()?, parts.next()?);
    Path::parse(format!("{owner}/{repository}/{path}")).ok()
}

fn api_name(kind: RepositoryKind) -> &'static str {
    match kind {
        RepositoryKind::Model => "models",
        RepositoryKind::Dataset => "datasets",
        RepositoryKind::Space => "spaces",
    }
}

/// The URL of `parts` below the endpoint, each encoded.
fn url_with<'a>(endpoint: &Url, parts: impl IntoIterator<Item = &'a str>) -> Result<Url, StoreFailure> {
    let mut url = endpoint.clone();
    let invalid = |()| StoreFailure::new(Kind::InvalidArgument, "the endpoint cannot have a path", false);
    url.path_segments_mut().map_err(invalid)?.pop_if_empty().extend(parts);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_urls() {
        let endpoint = Url::parse("https://hub.example.org/mirror/").unwrap();
        let url = |location: &str, kind| {
            let file = RepositoryFile::of(location).unwrap();
            file.resolve_url(&endpoint, kind, &file.revision).unwrap().to_string()
        };
        for (location, kind, expected) in [
            ("o/r/a b/c#1.h5", RepositoryKind::Dataset, "datasets/o/r/resolve/main/a%20b/c%231.h5"),
            ("o/r@v1/x?y", RepositoryKind::Model, "o/r/resolve/v1/x%3Fy"),
            ("o/r@~parquet/x", RepositoryKind::Space, "spaces/o/r/resolve/refs%2Fconvert%2Fparquet/x"),
        ] {
            assert_eq!(url(location, kind), format!("https://hub.example.org/mirror/{expected}"));
        }
        let file = RepositoryFile::of("o/r/sub/").unwrap();
        let tree = file.tree_url(&endpoint, RepositoryKind::Dataset, "c0ffee", true).unwrap();
        assert_eq!(tree.as_str(), "https://hub.example.org/mirror/api/datasets/o/r/tree/c0ffee/sub?recursive=true");
        assert!(RepositoryFile::of("o").is_err());
    }

    #[test]
    fn versions_hold_commits() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit_of(&format!("tag@{commit}")), Some(commit));
        assert_eq!((commit_of("tag@main"), commit_of("tag"), commit_of("tag@../../x")), (None, None, None));
    }
}
