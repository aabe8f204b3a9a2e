//! What the artifacts of instances hold: looked at when one is first opened, and then remembered.
//!
//! LaminDB pins nothing. So the objects of an artifact are inspected as registering does it, held against what the
//! instance recorded, and read in just that version from then on. Another replica looks for itself, and a ticket
//! says what it must find.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use lru::LruCache;

use super::hash::other_digest;
use crate::engine::{Engine, Found};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::model::artifact::{Artifact, Recorded};

/// Artifacts that are remembered, and files of them all together.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
const REMEMBERED_FILES: usize = 400_000;

/// After this time a new request (none with a ticket) looks again: somebody may have replaced an object without
/// telling the instance.
const OLD: Duration = Duration::from_secs(600);

/// Members of a collection that are looked at together.
const TOGETHER: usize = 8;

/// When an artifact is looked at that was looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Look {
    /// When that was long ago: for requests that begin.
    IfOld,
    /// Not at all: for tickets, which say what was found then.
    IfUnknown,
    /// At once.
    Again,
}

/// An artifact as the instance records it: the same uid with other content is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    uid: String,
    url: String,
    hash: Option<String>,
    size: Option<u64>,
}

impl Name {
    fn of(artifact: &Artifact, recorded: &Recorded) -> Self {
        let Artifact { uid, url, .. } = artifact.clone();
        Self { uid, url, hash: recorded.hash.clone(), size: recorded.size }
    }
}

/// What was found, and when.
#[derive(Clone, Debug)]
struct Seen {
    artifact: Arc<Artifact>,
    at: Instant,
}

/// One artifact: whoever looks at it holds the lock, so that nobody else does at the same time.
type Slot = Arc<tokio::sync::Mutex<Option<Seen>>>;

/// What was found in the artifacts of instances.
#[derive(Debug)]
pub(in crate::engine) struct Contents(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    slots: LruCache<Name, (Slot, usize)>,
    files: usize,
}

impl Default for Contents {
    fn default() -> Self {
        Self(Mutex::new(Kept { slots: LruCache::new(REMEMBERED), files: 0 }))
    }
}

impl Contents {
    fn slot(&self, name: &Name) -> Slot {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, _)) = kept.slots.get(name) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        if let Some((_, (_, files))) = kept.slots.push(name.clone(), (Arc::clone(&slot), 0)) {
            kept.files = kept.files.saturating_sub(files);
        }
        slot
    }

    /// Notes how many files an artifact has; the least recently used go until all fit.
    fn weigh(&self, name: &Name, files: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, known)) = kept.slots.peek_mut(name) else { return };
        let before = std::mem::replace(known, files);
        kept.files = kept.files.saturating_sub(before).saturating_add(files);
        while kept.files > REMEMBERED_FILES && kept.slots.len() > 1 {
            let Some((_, (_, files))) = kept.slots.pop_lru() else { return };
            kept.files = kept.files.saturating_sub(files);
        }
    }

    /// Forgets what was found in `sources` when `error` says that it is not so any more.
    pub(in crate::engine) fn forget_when_changed(&self, sources: &[Artifact], error: &Error) {
        if matches!(error.kind(), Kind::FailedPrecondition | Kind::NotFound) {
            sources.iter().for_each(|artifact| self.forget(artifact));
        }
    }

    fn forget(&self, artifact: &Artifact) {
        let Some(recorded) = &artifact.recorded else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, files)) = kept.slots.pop(&Name::of(artifact, recorded)) {
            kept.files = kept.files.saturating_sub(files);
        }
    }
}

impl Engine {
    /// What was named, with the content of what instances know.
    ///
    /// # Errors
    /// As [`Engine::content`].
    pub(in crate::engine) async fn contents_of(&self, found: Found, look: Look) -> Result<Found> {
        match found {
            Found::Artifact(artifact) => Ok(Found::Artifact(self.content(artifact, look).await?)),
            Found::Collection(mut collection) => {
                let members = std::mem::take(&mut collection.artifacts);
                let looks = stream::iter(members).map(|artifact| self.content(artifact, look)).buffered(TOGETHER);
                let named = || format!("collection '{}'", collection.key);
                collection.artifacts = looks.try_collect().await.with_context(named)?;
                Ok(Found::Collection(collection))
            }
        }
    }

    /// The artifact with ETag, size and files of its content, when an instance knows it; as it is when our own
    /// registry does.
    ///
    /// # Errors
    /// `FailedPrecondition` when the instance says that it must not be read, or when its objects are not those that
    /// the instance recorded; the errors of looking at a URL.
    async fn content(&self, artifact: Artifact, look: Look) -> Result<Artifact> {
        let Some(recorded) = artifact.recorded.clone() else { return Ok(artifact) };
        let named = || format!("artifact '{}' ({})", artifact.key, artifact.uid);
        if let Some(refusal) = &recorded.refusal {
            return Err(Error::failed_precondition(format!("{} cannot be read: {refusal}", named())));
        }
        let name = Name::of(&artifact, &recorded);
        let slot = self.contents.slot(&name);
        let mut seen = slot.lock().await;
        let usable = |seen: &Seen| match look {
            Look::IfOld => seen.at.elapsed() < OLD,
            Look::IfUnknown => true,
            Look::Again => false,
        };
        if let Some(seen) = seen.as_ref().filter(|seen| usable(seen)) {
            return Ok(joined(artifact, &seen.artifact));
        }
        let found = self.inspect(&artifact, &recorded).await.with_context(named)?;
        self.contents.weigh(&name, found.files.len());
        let found = Arc::new(found);
        *seen = Some(Seen { artifact: Arc::clone(&found), at: Instant::now() });
        drop(seen);
        Ok(joined(artifact, &found))
    }

    /// What lies at the URL of an artifact, when it is what the instance recorded.
    async fn inspect(&self, artifact: &Artifact, recorded: &Recorded) -> Result<Artifact> {
        let (mut found, stored) = self.look_at(&artifact.url).await.map_err(|error| match error.kind() {
            Kind::NotFound => Error::not_found(format!("its content is not there: {error}")),
            _ => error,
        })?;
        if let Some((expected, stored)) = recorded.size.zip(stored).filter(|(expected, stored)| expected != stored) {
            return Err(Error::failed_precondition(format!(
                "{} has {stored} bytes, the instance recorded {expected}: it is not that version any more",
                found.url
            )));
        }
        let single = found.n_files.is_none();
        if let Some(digest) = single.then(|| other_digest(recorded, &found.url, &found.etag)).flatten() {
            let expected = recorded.hash.as_deref().unwrap_or_default();
            return Err(Error::failed_precondition(format!(
                "{} has the hash {digest} (ETag {}), the instance recorded {expected}: it is not that version any more",
                found.url, found.etag
            )));
        }
        found.uid.clone_from(&artifact.uid);
        found.key.clone_from(&artifact.key);
        found.suffix.clone_from(&artifact.suffix);
        found.n_observations = self.observations(&found).await;
        Ok(found)
    }
}

/// The record of an artifact with the content that was found. Rows are those that were counted: what an instance
/// says of them is not checked.
fn joined(record: Artifact, content: &Artifact) -> Artifact {
    Artifact {
        kind: content.kind,
        url: content.url.clone(),
        size: content.size,
        n_files: content.n_files,
        n_observations: content.n_observations,
        etag: content.etag.clone(),
        files: content.files.clone(),
        ..record
    }
}
