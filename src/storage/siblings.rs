//! Objects that another object names: resolved against its folder, and only inside the storage roots.

use std::sync::Arc;

use async_trait::async_trait;

use super::location::sibling_url;
use super::reader::{RangeReader, Siblings};
use super::storages::Storages;
use crate::error::{Kind, Result};

/// The surroundings of one object.
#[derive(Debug)]
pub struct StoredSiblings {
    storages: Arc<Storages>,
    /// URL of the object that names the others.
    url: String,
}

impl StoredSiblings {
    /// The surroundings of the object at `url`.
    pub fn new(storages: Arc<Storages>, url: impl Into<String>) -> Self {
        Self { storages, url: url.into() }
    }
}

#[async_trait]
impl Siblings for StoredSiblings {
    async fn open(&self, name: &str) -> Result<Option<Arc<dyn RangeReader>>> {
        let url = sibling_url(&self.url, name)?;
        match self.storages.head(&url).await {
            Ok(identity) => self.storages.open(identity).await.map(Some),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "s3://bucket/data/run/main.h5";

    #[test]
    fn names_are_relative_to_the_folder_of_the_object() {
        for (name, expected) in [
            ("source.h5", "s3://bucket/data/run/source.h5"),
            ("./parts/a b.h5", "s3://bucket/data/run/parts/a b.h5"),
            ("../other//x.h5", "s3://bucket/data/other/x.h5"),
            ("../../x.h5", "s3://bucket/x.h5"),
        ] {
            assert_eq!(sibling_url(FILE, name).unwrap(), expected, "{name}");
        }
        assert_eq!(sibling_url("file:///a%20b/main.h5", "c d.h5").unwrap(), "file:///a%20b/c%20d.h5");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["", "/etc/passwd", "../../../x.h5", "a\\b.h5", "%2e%2e/x.h5", "a%2fb.h5", "a\u{0}b", "s3://other/x"]
        {
            match sibling_url(FILE, name) {
                Err(error) => assert_eq!(error.kind(), Kind::PermissionDenied, "{name}: {error}"),
                Ok(url) => assert_eq!((name, url.as_str()), ("s3://other/x", "s3://bucket/data/run/s3:/other/x")),
            }
        }
    }

    #[tokio::test]
    async fn only_what_lies_inside_a_root_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("run")).unwrap();
        for (path, text) in [("root/run/main.h5", "main"), ("root/near.h5", "near"), ("outside.h5", "secret")] {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        let storages = Arc::new(Storages::new(crate::storage::StorageOptions::default()));
        storages.add(root.to_str().unwrap(), std::collections::BTreeMap::new()).unwrap();
        let url = crate::storage::absolute_url(root.join("run/main.h5").to_str().unwrap()).unwrap();
        let siblings = StoredSiblings::new(storages, url);
        let near = siblings.open("../near.h5").await.unwrap().unwrap();
        assert_eq!(near.read(0..4).await.unwrap(), "near");
        assert!(siblings.open("missing.h5").await.unwrap().is_none());
        let error = siblings.open("../../outside.h5").await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied, "{error}");
    }
}
