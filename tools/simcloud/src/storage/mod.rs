//! The folder behind the server: buckets, objects, listings and uploads.
//!
//! Everything here blocks and is called from blocking tasks. Nothing is
//! remembered between requests but ETags and open multipart uploads, so files may
//! be added, replaced and deleted under a running server. Symbolic links are
//! followed: keys cannot leave the root, whoever owns the folder can.

mod conditions;
mod etag;
mod listing;
mod locate;
mod multipart;
mod object;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

pub(crate) use conditions::Conditions;
pub(crate) use listing::{Asked, Item};
pub(crate) use multipart::Part;
pub(crate) use object::Selection;

/// The folder inside the root for uploads that are not finished.
const SCRATCH: &str = ".simcloud";

/// One root folder.
pub(crate) struct Storage {
    root: PathBuf,
    etags: etag::Etags,
    uploads: multipart::Uploads,
    names: AtomicU64,
    writing: Mutex<()>,
}

impl Storage {
    /// Takes an existing folder as root.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            let reason = format!("{} is not a folder", root.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, reason));
        }
        Ok(Self {
            root,
            etags: etag::Etags::default(),
            uploads: multipart::Uploads::default(),
            names: AtomicU64::new(0),
            writing: Mutex::new(()),
        })
    }

    /// The names of the buckets in byte order, with the times of their folders.
    pub(crate) fn buckets(&self) -> S3Result<Vec<(String, SystemTime)>> {
        let mut found = Vec::new();
        for entry in self.root.read_dir().map_err(internal)? {
            let entry = entry.map_err(internal)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(metadata) = entry.path().metadata() else { continue };
            if metadata.is_dir() && locate::is_bucket_name(&name) {
                found.push((name, metadata.modified().map_err(internal)?));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Computes the ETags of all objects.
    pub(crate) fn warm(&self) -> S3Result<()> {
        for (bucket, _) in self.buckets()? {
            self.list(&bucket, Asked { limit: usize::MAX, ..Asked::default() })?;
        }
        Ok(())
    }

    /// The folder of a bucket that exists.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<PathBuf> {
        let path = locate::bucket(&self.root, name);
        path.filter(|path| path.is_dir()).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// Makes a bucket.
    pub(crate) fn create_bucket(&self, name: &str) -> S3Result<()> {
        let Some(path) = locate::bucket(&self.root, name) else {
            return Err(s3_error!(InvalidBucketName));
        };
        std::fs::create_dir(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => s3_error!(BucketAlreadyOwnedByYou),
            _ => internal(error),
        })
    }
}

/// An error of the file system that S3 has no name for.
fn internal(error: io::Error) -> S3Error {
    S3Error::with_source(S3ErrorCode::InternalError, Box::new(error))
}
