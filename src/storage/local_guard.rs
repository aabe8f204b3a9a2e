//! Keeps reads of local files inside their root: symlinks that leave it, devices and pipes are refused.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path;

use super::failure::StoreFailure;
use crate::error::Kind;

/// The folder that local reads must stay in; resolved of symlinks.
#[derive(Clone, Debug)]
pub(crate) struct LocalGuard {
    root: Arc<PathBuf>,
}

impl LocalGuard {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root: Arc::new(root) }
    }

    /// Says whether the file or folder at `location` may be read. What does not exist may: reading it
    /// says so.
    ///
    /// The check and the read are two steps; who may change links below a root between them could
    /// also put the file itself there.
    pub(crate) async fn check(&self, location: &Path) -> Result<(), StoreFailure> {
        let root = Arc::clone(&self.root);
        let path = location.as_ref().split('/').fold(root.as_path().to_path_buf(), |path, part| path.join(part));
        let checked = tokio::task::spawn_blocking(move || allowed(&root, &path)).await;
        match checked {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(reason))) => Err(StoreFailure::new(Kind::PermissionDenied, reason, false)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(StoreFailure::new(Kind::PermissionDenied, "the file system refuses access", false))
            }
            Ok(Err(error)) => Err(StoreFailure::new(
                Kind::Unavailable,
                format!("the path cannot be resolved: {}", error.kind()),
                false,
            )),
            Err(_) => Err(StoreFailure::new(Kind::Internal, "the check of the path was stopped", false)),
        }
    }
}

/// Why the path may not be read, if so.
fn allowed(root: &std::path::Path, path: &std::path::Path) -> io::Result<Option<&'static str>> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !real.starts_with(root) {
        return Ok(Some("a symbolic link leads out of the storage root"));
    }
    let found = real.metadata()?;
    Ok((!found.is_file() && !found.is_dir()).then_some("neither a file nor a folder"))
}
