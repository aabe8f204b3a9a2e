//! One version for many files.

use sha2::{Digest, Sha256};

use crate::storage::ListedFile;

/// One text for the versions of all files: the SHA-256 of their paths, sizes and ETags.
pub(super) fn digest(files: &[ListedFile]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(format!("{}\n{}\n{}\n", file.path, file.size, file.etag));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
