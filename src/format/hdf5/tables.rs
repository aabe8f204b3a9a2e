//! Chunk tables of one file: loaded when asked for, kept within a bound.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use tokio::sync::OnceCell;

use super::chunk_table::ChunkTable;
use crate::error::Result;

/// Bytes of chunk tables kept per file, as far as more than one is kept.
const MAX_TABLE_BYTES: usize = 64 * 1024 * 1024;

type Slot = Arc<OnceCell<Arc<ChunkTable>>>;

/// Tables by path of the dataset.
#[derive(Debug)]
pub(crate) struct Tables {
    slots: Mutex<LruCache<String, Slot>>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self { slots: Mutex::new(LruCache::unbounded()) }
    }

    /// The table of `path`; `load` makes it when it is not kept. Callers at the same time load once.
    ///
    /// # Errors
    /// Those of `load`.
    pub(crate) async fn get<F: Future<Output = Result<ChunkTable>>>(
        &self,
        path: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<ChunkTable>> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.get_or_insert(path.to_owned(), Slot::default))
        };
        if let Some(table) = slot.get() {
            return Ok(Arc::clone(table));
        }
        let table = slot.get_or_try_init(|| async { load().await.map(Arc::new) }).await?;
        self.evict();
        Ok(Arc::clone(table))
    }

    fn evict(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = |slot: &Slot| slot.get().map_or(0, |table| table.memory());
        let mut total: usize = slots.iter().map(|(_, slot)| memory(slot)).sum();
        while total > MAX_TABLE_BYTES && slots.len() > 1 {
            let Some((_, slot)) = slots.pop_lru() else { return };
            total = total.saturating_sub(memory(&slot));
        }
    }
}
