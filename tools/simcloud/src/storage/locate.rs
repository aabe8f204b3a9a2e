//! From bucket and key to a path that cannot leave the root.

use std::path::{Path, PathBuf};

/// Whether a folder of the root with this name is a bucket. Names with a leading
/// dot are not: they could be hidden files, `..` or the server's own folder.
pub(super) fn is_bucket_name(name: &str) -> bool {
    is_component(name) && !name.starts_with('.')
}

/// The folder of a bucket, whether it exists or not.
pub(super) fn bucket(root: &Path, name: &str) -> Option<PathBuf> {
    is_bucket_name(name).then(|| root.join(name))
}

/// The file of an object in a bucket's folder; `None` for keys that no file can
/// have: empty, with empty parts or a slash at an end, with `.` or `..` as a part.
pub(super) fn object(bucket: &Path, key: &str) -> Option<PathBuf> {
    let mut path = bucket.to_path_buf();
    for part in key.split('/') {
        if !is_component(part) {
            return None;
        }
        path.push(part);
    }
    Some(path)
}

/// Whether this is one plain name in a path.
fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::{bucket, object};
    use std::path::Path;

    #[test]
    fn keys_stay_below_the_bucket() {
        let folder = Path::new("/data/bucket");
        for key in ["", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\0b"] {
            assert_eq!(object(folder, key), None, "{key:?}");
        }
        assert_eq!(object(folder, "a/..b").as_deref(), Some(Path::new("/data/bucket/a/..b")));
    }

    #[test]
    fn buckets_stay_below_the_root() {
        for name in ["", ".", "..", "a/b", ".simcloud"] {
            assert_eq!(bucket(Path::new("/root"), name), None, "{name:?}");
        }
    }
}
