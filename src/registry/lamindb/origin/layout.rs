//! Which file below a storage root is the instance's database. Pure.

use crate::error::{Error, Result};

/// Paths below the root, the one that LaminDB writes now first; `.gz` is the public copy of an instance in
/// PostgreSQL.
pub(super) const CURRENT: [&str; 2] = [".lamindb/lamin.db", ".lamindb/lamin.db.gz"];

/// Ends of the names of files that are databases themselves.
const FILES: [&str; 6] = [".db", ".db.gz", ".lndb", ".lndb.gz", ".sqlite", ".sqlite3"];

/// Whether a URL names a database file and no storage root.
pub(super) fn is_file(url: &str) -> bool {
    FILES.iter().any(|end| url.ends_with(end))
}

/// The database of older releases among the names right below a root: `<32 hexadecimal digits>.lndb`.
///
/// # Errors
/// `NotFound` when there is none, `InvalidArgument` when there are several.
pub(super) fn legacy(names: impl IntoIterator<Item = String>, root: &str) -> Result<String> {
    let is_legacy = |name: &String| {
        let stem = name.strip_suffix(".lndb").unwrap_or_default();
        stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut found: Vec<String> = names.into_iter().filter(is_legacy).collect();
    found.sort();
    match found.len() {
        0 => Err(Error::not_found(format!(
            "no LaminDB instance in {root}: expected {} or <instance id>.lndb",
            CURRENT.join(" or ")
        ))),
        1 => Ok(found.swap_remove(0)),
        _ => Err(Error::invalid(format!("several LaminDB instances in {root}: {}; name one", found.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn one_legacy_file_is_the_instance() {
        let id = "84249a149c4558ce8f6b8fd714015897.lndb";
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(legacy(names(&["x.lndb", id, "pbmc68k.h5ad"]), "r").unwrap(), id);
        assert_eq!(legacy(names(&["x.lndb"]), "r").unwrap_err().kind(), Kind::NotFound);
        let other = "94249a149c4558ce8f6b8fd714015897.lndb";
        let error = legacy(names(&[other, id]), "r").unwrap_err();
        assert!(error.message().contains(id) && error.message().contains(other), "{error}");
    }

    #[test]
    fn files_are_told_from_roots_by_their_names() {
        for file in ["s3://b/x/lamin.db", "/x/lamin.db.gz", "x.lndb"] {
            assert!(is_file(file), "{file}");
        }
        assert!(!is_file("s3://bucket/prefix") && !is_file("s3://bucket"));
    }
}
