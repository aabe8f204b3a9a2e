//! Multipart uploads: parts kept aside until they are joined.
//!
//! They are forgotten when the server stops. Parts may be of any size.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::{S3Result, s3_error};

use super::write::discard;
use super::{Conditions, Storage, internal};

/// One upload that is open.
#[derive(Clone, Debug)]
struct Upload {
    bucket: String,
    key: String,
    folder: PathBuf,
}

/// The uploads that are open, by their identifiers.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<HashMap<String, Upload>>,
}

impl Uploads {
    /// The open uploads.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part as the request to join names it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its number.
    pub(crate) number: i32,
    /// Its ETag, without quotes.
    pub(crate) etag: Option<String>,
}

impl Storage {
    /// Opens an upload and tells its identifier.
    pub(crate) fn begin_upload(&self, bucket: &str, key: &str) -> S3Result<String> {
        self.bucket(bucket)?;
        let folder = self.scratch()?;
        fs::create_dir(&folder).map_err(internal)?;
        let name = self.fresh_name();
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), folder };
        self.uploads.lock().insert(name.clone(), upload);
        Ok(name)
    }

    /// Takes a finished file as a part and tells its ETag.
    pub(crate) fn add_part(&self, written: &Path, target: (&str, &str), name: &str, number: i32) -> S3Result<String> {
        let added = self.upload(target, name).and_then(|upload| {
            let path = part_path(&upload.folder, number);
            fs::rename(written, &path).map_err(internal)?;
            self.part_etag(&path)
        });
        if added.is_err() {
            discard(written);
        }
        added
    }

    /// Joins parts to the object and tells its ETag.
    pub(crate) fn finish_upload(
        &self,
        target: (&str, &str),
        name: &str,
        parts: &[Part],
        conditions: &Conditions,
    ) -> S3Result<String> {
        let upload = self.upload(target, name)?;
        self.check_parts(&upload, parts)?;
        let joined = self.scratch()?;
        if let Err(error) = join(&upload.folder, parts, &joined) {
            discard(&joined);
            return Err(internal(error));
        }
        let etag = self.publish(&joined, target, conditions)?;
        self.uploads.lock().remove(name);
        discard(&upload.folder);
        Ok(etag)
    }

    /// Gives an upload up.
    pub(crate) fn abort_upload(&self, target: (&str, &str), name: &str) -> S3Result<()> {
        let upload = self.upload(target, name)?;
        self.uploads.lock().remove(name);
        discard(&upload.folder);
        Ok(())
    }

    /// An upload that is open for this object.
    fn upload(&self, (bucket, key): (&str, &str), name: &str) -> S3Result<Upload> {
        let upload = self.uploads.lock().get(name).cloned();
        upload.filter(|upload| upload.bucket == bucket && upload.key == key).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// Checks that the parts named are there, as named, in order.
    fn check_parts(&self, upload: &Upload, parts: &[Part]) -> S3Result<()> {
        if parts.is_empty() {
            return Err(s3_error!(MalformedXML, "no parts"));
        }
        if !parts.is_sorted_by(|one, next| one.number < next.number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        for part in parts {
            let path = part_path(&upload.folder, part.number);
            if !path.is_file() {
                return Err(s3_error!(InvalidPart));
            }
            let etag = self.part_etag(&path)?;
            if part.etag.as_ref().is_some_and(|given| *given != etag) {
                return Err(s3_error!(InvalidPart));
            }
        }
        Ok(())
    }

    /// The ETag of a part.
    fn part_etag(&self, path: &Path) -> S3Result<String> {
        let file = File::open(path).map_err(internal)?;
        self.etags.of(path, &file).map_err(internal)
    }
}

/// Where a part is kept.
fn part_path(folder: &Path, number: i32) -> PathBuf {
    folder.join(format!("part-{number}"))
}

/// Writes the parts one after another.
fn join(folder: &Path, parts: &[Part], joined: &Path) -> io::Result<()> {
    let mut output = File::create_new(joined)?;
    for part in parts {
        io::copy(&mut File::open(part_path(folder, part.number))?, &mut output)?;
    }
    Ok(())
}
