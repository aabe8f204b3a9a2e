//! Values that are made once, however many ask for them at the same time, and kept within a number of
//! bytes, the least recently used dropped first. Knows neither chunks nor stores.
//!
//! ```text
//! claim ─▶ Kept(value)
//!       ─▶ Mine(load)     make it: finish it, or drop it, and one of those who wait makes it
//!       ─▶ Others(wait)   somebody makes it
//! ```
//!
//! Who holds a [`Load`] must not depend on anybody's patience: a stream that nobody polls would stop
//! all who wait. Loads are therefore driven by tasks of their own.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::sync::watch;

/// Bytes counted for the bookkeeping of one value.
pub const ENTRY_BYTES: u64 = 160;

/// Keys remembered that were asked for once and not kept.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// A value that a cache may keep; cheap to clone.
pub trait Sized64: Clone + Send + Sync + 'static {
    /// Bytes of memory that it holds.
    fn bytes(&self) -> u64;
}

impl Sized64 for bytes::Bytes {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }
}

/// Whether a value is worth its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Asked for again for certain.
    Kept,
    /// Kept when it is asked for a second time, with no more made in between than the cache holds: of a larger round
    /// of values each would be dropped before its turn comes again.
    IfAskedAgain,
}

/// What a cache has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Values that were there.
    pub hits: u64,
    /// Values that had to be made.
    pub misses: u64,
    /// Values that somebody else was making.
    pub shared: u64,
    /// Bytes kept now, bookkeeping included.
    pub bytes: u64,
    /// Most bytes that are kept.
    pub capacity: u64,
}

/// Values by their keys.
pub struct SharedCache<K, V> {
    capacity: u64,
    state: Mutex<State<K, V>>,
    hits: AtomicU64,
    misses: AtomicU64,
    shared: AtomicU64,
}

struct State<K, V> {
    kept: LruCache<K, V>,
    bytes: u64,
    /// Asked for once lately, with what was made until then.
    once: LruCache<K, u64>,
    /// Bytes of all values that were made so far.
    made: u64,
    loading: HashMap<K, Loading<V>>,
}

struct Loading<V> {
    value: watch::Receiver<Option<V>>,
    /// Whether it is kept: it is worth it, or was asked for again meanwhile.
    keep: bool,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claim<K: Hash + Eq + Clone, V: Sized64> {
    /// It is there.
    Kept(V),
    /// The caller makes it.
    Mine(Load<K, V>),
    /// Somebody makes it.
    Others(Wait<V>),
}

/// The duty to make a value. Dropped without being finished, it passes to whoever asks next.
pub struct Load<K: Hash + Eq + Clone, V: Sized64> {
    cache: Arc<SharedCache<K, V>>,
    key: K,
    sender: watch::Sender<Option<V>>,
}

/// A value that somebody makes.
pub struct Wait<V> {
    value: watch::Receiver<Option<V>>,
}

impl<K, V> fmt::Debug for SharedCache<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.lock().bytes;
        write!(formatter, "SharedCache({bytes} of {} bytes)", self.capacity)
    }
}

impl<K: Hash + Eq + Clone, V: Sized64> fmt::Debug for Load<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Load")
    }
}

impl<V> fmt::Debug for Wait<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wait")
    }
}

impl<K, V> SharedCache<K, V> {
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V: Sized64> SharedCache<K, V> {
    /// A cache of at most `capacity` bytes, bookkeeping included; 0 keeps nothing.
    pub fn new(capacity: u64) -> Self {
        let (kept, once) = (LruCache::unbounded(), LruCache::new(REMEMBERED));
        let state = State { kept, bytes: 0, once, made: 0, loading: HashMap::new() };
        let [hits, misses, shared] = [(); 3].map(|()| AtomicU64::new(0));
        Self { capacity, state: Mutex::new(state), hits, misses, shared }
    }

    /// Most bytes that are kept.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What it has done.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
            bytes: self.lock().bytes,
            capacity: self.capacity,
        }
    }

    /// The value of `key`, or who makes it.
    pub fn claim(self: &Arc<Self>, key: K, worth: Worth) -> Claim<K, V> {
        let mut state = self.lock();
        if let Some(value) = state.kept.get(&key) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Claim::Kept(value.clone());
        }
        if let Some(loading) = state.loading.get_mut(&key) {
            self.shared.fetch_add(1, Ordering::Relaxed);
            loading.keep = true;
            return Claim::Others(Wait { value: loading.value.clone() });
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let since = state.once.pop(&key).map(|made| state.made.saturating_sub(made));
        let keep = worth == Worth::Kept || since.is_some_and(|made| made <= self.capacity);
        let (sender, value) = watch::channel(None);
        state.loading.insert(key.clone(), Loading { value, keep });
        Claim::Mine(Load { cache: Arc::clone(self), key, sender })
    }

    /// The values of `keys` when all of them are there, in the same order; otherwise nothing is counted or used.
    pub fn all_kept(&self, keys: &[K]) -> Option<Vec<V>> {
        let mut state = self.lock();
        if !keys.iter().all(|key| state.kept.contains(key)) {
            return None;
        }
        self.hits.fetch_add(keys.len() as u64, Ordering::Relaxed);
        keys.iter().map(|key| state.kept.get(key).cloned()).collect()
    }

    fn finished(&self, key: &K, value: &V) {
        let mut state = self.lock();
        let keep = state.loading.remove(key).is_some_and(|loading| loading.keep);
        let cost = cost(value);
        state.made = state.made.saturating_add(cost);
        if !keep || cost > self.capacity {
            let made = state.made;
            state.once.put(key.clone(), made);
            return;
        }
        if let Some(old) = state.kept.put(key.clone(), value.clone()) {
            state.bytes = state.bytes.saturating_sub(self::cost(&old));
        }
        state.bytes = state.bytes.saturating_add(cost);
        while state.bytes > self.capacity {
            let Some((_, old)) = state.kept.pop_lru() else { break };
            state.bytes = state.bytes.saturating_sub(self::cost(&old));
        }
    }
}

impl<K: Hash + Eq + Clone, V: Sized64> Load<K, V> {
    /// Hands the value to those who wait for it and, where it is worth it, to the cache.
    pub fn finish(self, value: &V) {
        self.cache.finished(&self.key, value);
        self.sender.send_replace(Some(value.clone()));
    }
}

impl<K: Hash + Eq + Clone, V: Sized64> Drop for Load<K, V> {
    fn drop(&mut self) {
        // Finished, there is none, or the next one's.
        let mut state = self.cache.lock();
        let is_own = |loading: &Loading<V>| loading.value.same_channel(&self.sender.subscribe());
        if state.loading.get(&self.key).is_some_and(is_own) {
            state.loading.remove(&self.key);
        }
    }
}

impl<V: Sized64> Wait<V> {
    /// The value; none when its maker gave up, and it has to be claimed again.
    pub async fn value(mut self) -> Option<V> {
        self.value.wait_for(Option::is_some).await.ok().and_then(|value| value.clone())
    }
}

fn cost<V: Sized64>(value: &V) -> u64 {
    value.bytes().saturating_add(ENTRY_BYTES)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    type Cache = Arc<SharedCache<u64, Bytes>>;

    fn cache(values: u64) -> Cache {
        Arc::new(SharedCache::new(values * (100 + ENTRY_BYTES)))
    }

    fn make(cache: &Cache, key: u64, worth: Worth) -> bool {
        match cache.claim(key, worth) {
            Claim::Mine(load) => load.finish(&Bytes::from(vec![key as u8; 100])),
            Claim::Kept(value) => {
                assert_eq!(value[0], key as u8);
                return false;
            }
            Claim::Others(_) => panic!("nobody else is there"),
        }
        true
    }

    #[test]
    fn stays_within_its_bytes_and_drops_the_least_recently_used() {
        let cache = cache(3);
        assert!((0..3).all(|key| make(&cache, key, Worth::Kept)));
        assert!(!make(&cache, 0, Worth::Kept));
        assert!(make(&cache, 3, Worth::Kept));
        assert_eq!(cache.counts().bytes, cache.capacity());
        assert!([0, 2, 3].iter().all(|key| !make(&cache, *key, Worth::Kept)));
        assert!(make(&cache, 1, Worth::Kept));
        let counts = cache.counts();
        assert_eq!((counts.hits, counts.misses, counts.shared), (4, 5, 0));
    }

    #[test]
    fn several_are_used_together_or_not_at_all() {
        let cache = cache(3);
        assert!((0..3).all(|key| make(&cache, key, Worth::Kept)));
        assert!(cache.all_kept(&[0, 9, 1]).is_none());
        assert_eq!(cache.counts().hits, 0);
        let found = cache.all_kept(&[1, 0]).unwrap();
        assert_eq!(found.iter().map(|value| value[0]).collect::<Vec<_>>(), [1, 0]);
        assert_eq!((cache.counts().hits, cache.counts().misses), (2, 3));
        // The one that was not used goes.
        assert!(make(&cache, 3, Worth::Kept));
        assert!(cache.all_kept(&[0, 1, 3]).is_some());
        assert!(cache.all_kept(&[2]).is_none());
    }

    #[test]
    fn what_is_asked_for_once_is_not_kept_and_a_giant_never() {
        let cache = cache(2);
        assert!(make(&cache, 0, Worth::IfAskedAgain));
        assert_eq!(cache.counts().bytes, 0);
        assert!(make(&cache, 0, Worth::IfAskedAgain));
        assert!(!make(&cache, 0, Worth::IfAskedAgain));
        let Claim::Mine(load) = cache.claim(1, Worth::Kept) else { panic!("it is not there") };
        load.finish(&Bytes::from(vec![0; 1000]));
        assert!(matches!(cache.claim(1, Worth::Kept), Claim::Mine(_)));
        assert!(!make(&cache, 0, Worth::IfAskedAgain));
    }

    #[test]
    fn rounds_that_are_larger_than_the_cache_drop_nothing() {
        let cache = cache(4);
        assert!(make(&cache, 100, Worth::Kept));
        for _ in 0..3 {
            assert!((0..6).all(|key| make(&cache, key, Worth::IfAskedAgain)));
        }
        assert!(!make(&cache, 100, Worth::Kept), "it was dropped for values that did not stay either");
        // A round that fits is kept the second time.
        assert!((10..13).all(|key| make(&cache, key, Worth::IfAskedAgain)));
        assert!((10..13).all(|key| make(&cache, key, Worth::IfAskedAgain)));
        assert!((10..13).all(|key| !make(&cache, key, Worth::IfAskedAgain)));
    }

    #[tokio::test]
    async fn those_who_wait_get_the_value_and_it_is_kept() {
        let cache = cache(2);
        let Claim::Mine(load) = cache.claim(7, Worth::IfAskedAgain) else { panic!("it is not there") };
        let waits: Vec<_> = (0..5)
            .map(|_| match cache.claim(7, Worth::IfAskedAgain) {
                Claim::Others(wait) => tokio::spawn(wait.value()),
                other => panic!("{other:?}"),
            })
            .collect();
        load.finish(&Bytes::from(vec![7; 100]));
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap()[0], 7);
        }
        assert!(matches!(cache.claim(7, Worth::IfAskedAgain), Claim::Kept(_)));
        assert_eq!(cache.counts().shared, 5);
    }

    #[tokio::test]
    async fn a_load_that_is_given_up_passes_on() {
        let cache = cache(2);
        let Claim::Mine(load) = cache.claim(7, Worth::Kept) else { panic!("it is not there") };
        let Claim::Others(wait) = cache.claim(7, Worth::Kept) else { panic!("somebody makes it") };
        drop(load);
        assert!(wait.value().await.is_none());
        let Claim::Mine(again) = cache.claim(7, Worth::Kept) else { panic!("nobody makes it") };
        again.finish(&Bytes::from(vec![7; 100]));
        assert!(!make(&cache, 7, Worth::Kept));
    }
}
