//! Where files of Hugging Face were redirected to. The URLs are signed and hold for about an hour; kept for minutes,
//! they save every read after the first a request to the hub, which limits their rate.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use url::Url;

use super::hugging_face::Facts;

/// Most files whose place is kept.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How long a place is used.
const KEPT: Duration = Duration::from_secs(300);

/// The places of files at commits.
pub(super) struct Places(Mutex<LruCache<Url, Place>>);

struct Place {
    url: Url,
    facts: Facts,
    since: Instant,
}

impl Default for Places {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

// The URLs hold signatures.
impl fmt::Debug for Places {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Places")
    }
}

impl Places {
    /// Where the file at `url` lies, when that was learned lately.
    pub(super) fn get(&self, url: &Url) -> Option<(Url, Facts)> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(url)?;
        if place.since.elapsed() > KEPT {
            places.pop(url);
            return None;
        }
        Some((place.url.clone(), place.facts.clone()))
    }

    /// Forgets the place of `url`.
    pub(super) fn forget(&self, url: &Url) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(url);
    }

    /// Keeps where the file at `url` lies.
    pub(super) fn keep(&self, url: &Url, place: &Url, facts: &Facts) {
        let place = Place { url: place.clone(), facts: facts.clone(), since: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(url.clone(), place);
    }
}
