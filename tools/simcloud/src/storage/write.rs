//! Writes: a finished file moved to its key, and deletes.
//!
//! Objects appear whole: they are written aside and renamed. Two keys of which
//! one is a folder of the other (`a` and `a/b`) cannot both exist, as they can in
//! S3.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use s3s::{S3Error, S3Result, s3_error};

use super::{Conditions, SCRATCH, Storage, internal, locate};

impl Storage {
    /// A path for a file or folder that is not an object yet.
    pub(crate) fn scratch(&self) -> S3Result<PathBuf> {
        let folder = self.root.join(SCRATCH);
        fs::create_dir_all(&folder).map_err(internal)?;
        Ok(folder.join(self.fresh_name()))
    }

    /// A name that no server on this root has given before.
    pub(super) fn fresh_name(&self) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{:x}-{number:x}", now.as_nanos(), std::process::id())
    }

    /// Makes a finished file the object `key`, if `conditions` allow it, and
    /// tells its ETag. The file is gone afterwards in any case.
    pub(crate) fn publish(
        &self,
        written: &Path,
        (bucket, key): (&str, &str),
        conditions: &Conditions,
    ) -> S3Result<String> {
        let published = self.try_publish(written, (bucket, key), conditions);
        if published.is_err() {
            discard(written);
        }
        published
    }

    /// [`Self::publish`], leaving the file where it is after an error.
    fn try_publish(&self, written: &Path, (bucket, key): (&str, &str), conditions: &Conditions) -> S3Result<String> {
        let folder = self.bucket(bucket)?;
        let path = locate::object(&folder, key)
            .ok_or_else(|| s3_error!(InvalidArgument, "this server cannot store such a key"))?;
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_write((bucket, key), conditions)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(unwritable)?;
        }
        fs::rename(written, &path).map_err(unwritable)?;
        let file = File::open(&path).map_err(internal)?;
        self.etags.of(&path, &file).map_err(internal)
    }

    /// Checks If-Match and If-None-Match of a write against what is there now.
    fn check_write(&self, (bucket, key): (&str, &str), conditions: &Conditions) -> S3Result<()> {
        if conditions.if_match.is_none() && conditions.if_none_match.is_none() {
            return Ok(());
        }
        let present = self.object(bucket, key).ok();
        let named =
            |condition| present.as_ref().is_some_and(|object| super::conditions::names(condition, &object.etag));
        let kept = conditions.if_match.as_ref().is_none_or(named);
        let refused = conditions.if_none_match.as_ref().is_some_and(named);
        if !kept && present.is_none() {
            return Err(s3_error!(NoSuchKey));
        }
        if !kept || refused {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }

    /// Deletes an object, and the folders that it leaves empty. One that does not
    /// exist is deleted already.
    pub(crate) fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let folder = self.bucket(bucket)?;
        let Some(path) = locate::object(&folder, key) else { return Ok(()) };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match path.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() => fs::remove_file(&path).map_err(internal)?,
            _ => return Ok(()),
        }
        for parent in path.ancestors().skip(1).take_while(|parent| *parent != folder) {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Removes a file or folder that is not needed any more.
pub(crate) fn discard(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(?error, ?path, "scratch could not be removed");
    }
}

/// The S3 error for a key that a folder or file is in the way of.
fn unwritable(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::InvalidFilename => {
            s3_error!(InvalidArgument, "this server cannot store such a key beside those it has")
        }
        _ => internal(error),
    }
}
