//! ETags: the MD5 of a file's content, remembered as long as the file looks the
//! same (inode, size, time of change).
//!
//! A multipart upload gets the MD5 of the whole too, not S3's MD5 of MD5s.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};

/// A file changed so recently may change again within the same clock tick: its
/// ETag is not remembered.
const TOO_FRESH: Duration = Duration::from_millis(50);
/// How much is read at once.
const PIECE: usize = 1 << 20;

/// What a file looked like when its ETag was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Looks {
    /// The looks that `metadata` describes.
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was changed just now.
    fn is_fresh(&self) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now < changed + TOO_FRESH
    }
}

/// One file's ETag; the lock is held while it is computed, so that many requests
/// for a new file read it once.
type Entry = Arc<Mutex<Option<(Looks, String)>>>;

/// The ETags known.
#[derive(Debug, Default)]
pub(super) struct Etags {
    entries: Mutex<HashMap<PathBuf, Entry>>,
}

impl Etags {
    /// The ETag of the open file `file` at `path`, without quotes.
    pub(super) fn of(&self, path: &Path, file: &File) -> io::Result<String> {
        let entry = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(entries.entry(path.to_path_buf()).or_default())
        };
        let mut known = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = Looks::of(&file.metadata()?);
        if let Some((seen, etag)) = known.as_ref()
            && *seen == looks
        {
            return Ok(etag.clone());
        }
        let fresh = looks.is_fresh();
        let etag = digest(file)?;
        let unchanged = Looks::of(&file.metadata()?) == looks;
        *known = (unchanged && !fresh).then(|| (looks, etag.clone()));
        Ok(etag)
    }
}

/// The MD5 of a whole file, in hexadecimal digits.
fn digest(file: &File) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; PIECE];
    let mut position = 0;
    loop {
        let length = file.read_at(&mut buffer, position)?;
        if length == 0 {
            return Ok(format!("{:x}", hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
        position += length as u64;
    }
}
