//! `hf://` URLs in parts: which repository of Hugging Face, which revision of it, which file.
//!
//! `hf://datasets/owner/name[@revision]/path`, `hf://spaces/…`, and `hf://owner/name` for models. The revision may
//! also stand behind the last part of the path (`hf://datasets/owner/name/path@revision`); where the repository has
//! one, an `@` in the path is a letter of a name. No revision means `main`.

use super::location::redact;
use crate::error::{Error, Result};

/// The revision of a repository that is meant when none is named.
pub(crate) const MAIN: &str = "main";

/// Longest revision, in bytes.
const REVISION_BYTES: usize = 255;

/// Kinds of repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepositoryKind {
    /// `hf://owner/name`.
    Model,
    /// `hf://datasets/owner/name`.
    Dataset,
    /// `hf://spaces/owner/name`.
    Space,
}

impl RepositoryKind {
    /// The kind that the authority of an `hf://` URL tells.
    pub(crate) fn of(authority: &str) -> Self {
        match authority {
            "datasets" => Self::Dataset,
            "spaces" => Self::Space,
            _ => Self::Model,
        }
    }

    /// The authority of its URLs; models have none.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets",
            Self::Space => "spaces",
        }
    }
}

/// The one spelling of the parts after `hf://`: owner, name with its revision (unless that is `main`), path.
///
/// # Errors
/// `InvalidArgument` for a URL that names no repository, or a revision that is none.
pub(crate) fn normal_parts(mut parts: Vec<String>, url: &str) -> Result<Vec<String>> {
    let [_, name, path @ ..] = parts.as_mut_slice() else { return Ok(parts) };
    if !name.contains('@')
        && let Some(last) = path.last_mut()
        && let Some((file, revision)) = last.clone().rsplit_once('@')
    {
        *name = format!("{name}@{revision}");
        *last = file.to_owned();
    }
    if let Some((repository, revision)) = name.clone().split_once('@') {
        check_revision(revision, url)?;
        if repository.is_empty() || path.last().is_some_and(String::is_empty) {
            return Err(Error::invalid(format!("expected a name before the @ in {}", redact(url))));
        }
        if revision == MAIN {
            *name = repository.to_owned();
        }
    }
    Ok(parts)
}

/// The parts as they are written: with the revision where the path could be taken to hold it.
pub(crate) fn written(parts: &[String]) -> String {
    let mut parts = parts.to_vec();
    if let [_, name, .., last] = parts.as_mut_slice()
        && !name.contains('@')
        && last.contains('@')
    {
        name.push_str("@main");
    }
    parts.join("/")
}

fn check_revision(revision: &str, url: &str) -> Result<()> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'+');
    let body = revision.strip_prefix('~').unwrap_or(revision);
    if body.is_empty() || revision.len() > REVISION_BYTES || !body.bytes().all(letter) || body.starts_with('.') {
        return Err(Error::invalid(format!(
            "expected a branch, tag or commit without '/' after the @ in {} (~parquet is refs/convert/parquet)",
            redact(url)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::location::{StorageUrl, join_url};

    #[test]
    fn a_revision_may_stand_behind_the_repository_or_the_path() {
        for (url, expected) in [
            ("hf://datasets/o/r", "hf://datasets/o/r"),
            ("hf://datasets/o/r@main/a.parquet", "hf://datasets/o/r/a.parquet"),
            ("hf://datasets/o/r@v1/a.parquet", "hf://datasets/o/r@v1/a.parquet"),
            ("hf://datasets/o/r/a/b.parquet@v1", "hf://datasets/o/r@v1/a/b.parquet"),
            ("hf://datasets/o/r/a/b.parquet@main", "hf://datasets/o/r/a/b.parquet"),
            ("hf://datasets/o/r@main/a@2x.parquet", "hf://datasets/o/r@main/a@2x.parquet"),
            ("hf://datasets/o/r@v1/a@2x.parquet", "hf://datasets/o/r@v1/a@2x.parquet"),
            ("hf://datasets/o/r@~parquet/default", "hf://datasets/o/r@~parquet/default"),
            ("hf://o/r/model.h5", "hf://o/r/model.h5"),
            ("hf://spaces/o/r/x", "hf://spaces/o/r/x"),
        ] {
            let parsed = StorageUrl::parse(url).unwrap();
            assert_eq!(parsed.to_url().unwrap(), expected, "{url}");
            assert_eq!(StorageUrl::parse(expected).unwrap(), parsed, "{expected}");
        }
        assert_eq!(join_url("hf://datasets/o/r", "a@2x.parquet").unwrap(), "hf://datasets/o/r@main/a@2x.parquet");
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        for url in [
            "hf://datasets/o/r@/a",
            "hf://datasets/o/r@../a",
            "hf://datasets/o/r@.hidden/a",
            "hf://datasets/o/r@a?b/c",
            "hf://datasets/o/r@refs%2Fpr%2F1/a",
            "hf://datasets/o/@v1/a",
            "hf://datasets/o/r/@v1",
        ] {
            assert!(StorageUrl::parse(url).is_err(), "{url}");
        }
    }
}
