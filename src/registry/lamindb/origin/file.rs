//! A database file of this machine. It is copied, never opened: LaminDB may write it at any moment, and must not
//! meet a lock of ours.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::sqlite::SqliteTables;
use super::{Origin, blocking, layout, unpack};
use crate::error::{Error, Result, ResultExt};
use crate::registry::lamindb::InstanceOptions;
use crate::registry::lamindb::mirror::{Mirror, ScratchFile};

/// How often a file that changes while it is copied is copied anew, and how long is waited before.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Two writes within one step of the file system's clock have the same time.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// Files that SQLite keeps beside a database: what is not finished, and what is not merged yet.
const BESIDE: [&str; 2] = ["-journal", "-wal"];

/// Where the number of changes is in a SQLite file, and how long it is.
const CHANGE_COUNTER: (u64, usize) = (24, 4);

/// A storage root or a database file.
#[derive(Debug)]
pub(super) struct LocalFile {
    pub(super) path: PathBuf,
    pub(super) options: Arc<InstanceOptions>,
}

#[async_trait]
impl Origin for LocalFile {
    async fn state(&self) -> Result<String> {
        let path = self.path.clone();
        blocking(move || state(&database(&path)?)).await
    }

    async fn mirror(&self) -> Result<(String, Mirror)> {
        let (path, options) = (self.path.clone(), Arc::clone(&self.options));
        blocking(move || {
            let database = database(&path)?;
            let copy = ScratchFile::new(&options.scratch, "copy");
            let state = copied(&database, &copy, options.database_bytes)?;
            let mirror = mirror_of(&copy, &options);
            Ok((state, mirror.with_context(|| format!("the database {}", database.display()))?))
        })
        .await
    }
}

/// The mirror of a private copy.
pub(super) fn mirror_of(copy: &ScratchFile, options: &InstanceOptions) -> Result<Mirror> {
    let mut tables = SqliteTables::open(copy.path())?;
    Mirror::of(&mut tables, &options.naming, &options.scratch, options.database_bytes)
}

/// The database file that a path means.
fn database(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    if let Some(found) = layout::CURRENT.iter().map(|name| path.join(name)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let names = path.read_dir().map_err(|error| unpack::failure(error, path))?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(path.join(layout::legacy(names, &path.display().to_string())?))
}

/// Copies the database and what lies beside it, as a crash at one moment would leave them: SQLite knows how to go
/// on from there. Gives the state that was copied.
fn copied(database: &Path, copy: &ScratchFile, most_bytes: u64) -> Result<String> {
    for _ in 0..TRIES {
        settle(database);
        let before = state(database)?;
        unpack::copy(database, copy.path(), most_bytes)?;
        for end in BESIDE {
            match unpack::copy(&beside(database, end), &copy.beside(end), most_bytes) {
                Err(error) if error.kind() == crate::error::Kind::NotFound => {
                    // It may be there from a try before.
                    drop(std::fs::remove_file(copy.beside(end)));
                }
                copied => copied?,
            }
        }
        if state(database)? == before {
            return Ok(before);
        }
        std::thread::sleep(PAUSE);
    }
    let shown = database.display();
    Err(Error::unavailable(format!("{shown} changed each of the {TRIES} times that it was copied")).retryable())
}

/// Waits until the next write must have another time than the last.
fn settle(database: &Path) {
    let modified = database.metadata().and_then(|about| about.modified()).ok();
    let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    if age.is_some_and(|age| age < CLOCK_STEP) {
        std::thread::sleep(CLOCK_STEP);
    }
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Identity, length, time and change counter of the database and the files beside it.
fn state(database: &Path) -> Result<String> {
    let about = database.metadata().map_err(|error| unpack::failure(error, database))?;
    let mut state = format!("{} {} {:?}", database.display(), signature(&about), change_counter(database));
    for end in BESIDE {
        if let Ok(about) = beside(database, end).metadata() {
            state.push_str(&format!(" {end} {}", signature(&about)));
        }
    }
    Ok(state)
}

fn signature(about: &std::fs::Metadata) -> String {
    format!("{} {} {} {}.{}", about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec())
}

fn change_counter(database: &Path) -> Option<Vec<u8>> {
    let (at, length) = CHANGE_COUNTER;
    let mut bytes = vec![0; length];
    let mut file = File::open(database).ok()?;
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
