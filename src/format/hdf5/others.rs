//! Objects beside a file that the file names: sources of virtual datasets, external raw data.
//!
//! Each is pinned at its first use, also that it is missing, for as long as this file is open: no
//! answer mixes versions. When a pinned object changed, or the pins are old, the file says that it is
//! [outdated](Others::is_outdated) and is opened anew for the next request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::error::{Error, Kind, Result};
use crate::storage::reader::{RangeReader, Siblings};

/// Names of other objects that one file may use.
const MAX_NAMES: usize = 100_000;
/// How long pins hold for new requests.
const PINNED_FOR: Duration = Duration::from_secs(60);

/// The objects that a file and its parts name.
#[derive(Debug)]
pub(crate) struct Others {
    siblings: Option<Arc<dyn Siblings>>,
    pinned: Mutex<Pinned>,
    since: OnceLock<Instant>,
    changed: AtomicBool,
}

/// Objects by number; number 0 is the file itself.
#[derive(Debug)]
struct Pinned {
    names: HashMap<String, Option<u32>>,
    readers: Vec<Arc<dyn RangeReader>>,
}

/// An object with its number.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u32,
    pub(crate) reader: Arc<dyn RangeReader>,
}

impl Others {
    /// The surroundings of the file behind `reader`; without siblings every name is refused.
    pub(crate) fn new(reader: Arc<dyn RangeReader>, siblings: Option<Arc<dyn Siblings>>) -> Self {
        let pinned = Pinned { names: HashMap::new(), readers: vec![reader] };
        Self { siblings, pinned: Mutex::new(pinned), since: OnceLock::new(), changed: AtomicBool::new(false) }
    }

    /// Whether other objects can be opened at all.
    pub(crate) fn are_known(&self) -> bool {
        self.siblings.is_some()
    }

    /// The object called `name`; none when there was none when it was asked for first.
    ///
    /// # Errors
    /// `PermissionDenied` for a name that leads out of the storage roots, `ResourceExhausted` for too many
    /// names, and the errors of the store.
    pub(crate) async fn open(&self, name: &str) -> Result<Option<Numbered>> {
        let Some(siblings) = &self.siblings else {
            return Err(Error::unimplemented(format!("'{name}' is another object, none can be opened here")));
        };
        let mut pinned = self.pinned.lock().await;
        if let Some(known) = pinned.names.get(name) {
            return Ok(known.and_then(|number| pinned.numbered(number)));
        }
        if pinned.names.len() >= MAX_NAMES {
            return Err(Error::resource_exhausted(format!("the file names more than {MAX_NAMES} other objects")));
        }
        let found = siblings.open(name).await?;
        self.since.get_or_init(Instant::now);
        let number = found.map(|reader| pinned.number(reader)).transpose()?;
        pinned.names.insert(name.to_owned(), number);
        Ok(number.and_then(|number| pinned.numbered(number)))
    }

    /// The object with this number.
    pub(crate) async fn numbered(&self, number: u32) -> Option<Numbered> {
        self.pinned.lock().await.numbered(number)
    }

    /// Takes note of an error that reading another object met.
    pub(crate) fn note(&self, error: &Error) {
        if matches!(error.kind(), Kind::FailedPrecondition | Kind::NotFound) {
            self.renew();
        }
    }

    /// New requests do not use these pins.
    pub(crate) fn renew(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Whether new requests should not use these pins any more.
    pub(crate) fn is_outdated(&self) -> bool {
        self.changed.load(Ordering::Relaxed) || self.since.get().is_some_and(|since| since.elapsed() > PINNED_FOR)
    }
}

impl Pinned {
    fn numbered(&self, number: u32) -> Option<Numbered> {
        let reader = self.readers.get(usize::try_from(number).ok()?)?;
        Some(Numbered { number, reader: Arc::clone(reader) })
    }

    /// The number of an object; what has the same URL has the same number and the same pin.
    fn number(&mut self, reader: Arc<dyn RangeReader>) -> Result<u32> {
        let url = &reader.identity().url;
        let known = self.readers.iter().position(|known| known.identity().url == *url);
        let number = known.unwrap_or(self.readers.len());
        if known.is_none() {
            self.readers.push(reader);
        }
        u32::try_from(number).map_err(|_| Error::resource_exhausted("too many other objects"))
    }
}
