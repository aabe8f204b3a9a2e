//! Brings the metadata of one file: what a parse misses is fetched, several blocks at once, and the
//! parse is done again.
//!
//! The parser never waits and this never interprets. Parsing again costs little, because it happens
//! once per round of requests; in return nothing that the parser does has to know about requests,
//! and everything that one round misses is fetched together.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::parser::{BLOCK_SIZE, Blocks, MAX_METADATA_BYTES};
use crate::error::{Error, Result};
use crate::storage::reader::RangeReader;

/// Requests in flight for one parse: most of what the index of a large matrix needs in one round, and
/// not all that a server may have in flight.
pub(crate) const MAX_REQUESTS: usize = 48;
/// Blocks of one request at most.
const MAX_RUN_BLOCKS: u64 = 32;
/// How often one parse may come back for more; a chain of metadata is longer only by intent.
pub(crate) const MAX_ROUNDS: usize = 1024;

/// The blocks of one file and the requests that bring them.
#[derive(Debug)]
pub(crate) struct Fetches {
    reader: Arc<dyn RangeReader>,
    blocks: Arc<Blocks>,
    asked: HashSet<u64>,
    queue: VecDeque<Range<u64>>,
    running: FuturesUnordered<BoxFuture<'static, Result<Range<u64>>>>,
}

impl Fetches {
    /// Nothing fetched yet.
    pub(crate) fn new(reader: Arc<dyn RangeReader>) -> Self {
        let identity = reader.identity();
        let blocks = Arc::new(Blocks::new(&identity.url, identity.size));
        Self { reader, blocks, asked: HashSet::new(), queue: VecDeque::new(), running: FuturesUnordered::new() }
    }

    /// The blocks that are here, for a parse.
    pub(crate) fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// Asks for `blocks` (ascending) that nobody asked for before; neighbours in one request.
    ///
    /// # Errors
    /// `ResourceExhausted` when all blocks together are more than may be held.
    pub(crate) fn request(&mut self, blocks: impl IntoIterator<Item = u64>) -> Result<()> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for block in blocks {
            if !self.asked.insert(block) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == block && block - run.start < MAX_RUN_BLOCKS => run.end += 1,
                _ => runs.push(block..block + 1),
            }
        }
        if self.asked.len() as u64 > MAX_METADATA_BYTES / BLOCK_SIZE {
            return Err(self.blocks.too_much());
        }
        self.queue.extend(runs);
        self.start();
        Ok(())
    }

    /// The next blocks that arrive; `None` when none is under way.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn next(&mut self) -> Result<Option<Range<u64>>> {
        let arrived = self.running.next().await.transpose()?;
        self.start();
        Ok(arrived)
    }

    /// Runs `parse` on a blocking thread until nothing is missing.
    ///
    /// # Errors
    /// Those of `parse` and of reading; `ResourceExhausted` after [`MAX_ROUNDS`] rounds.
    pub(crate) async fn parse<T: Send + 'static>(
        &mut self,
        parse: impl Fn(&Arc<Blocks>) -> Outcome<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let parse = Arc::new(parse);
        for _ in 0..MAX_ROUNDS {
            let (parse, blocks) = (Arc::clone(&parse), Arc::clone(&self.blocks));
            match blocking(move || parse(&blocks)).await? {
                Outcome::Done(result) => return result,
                Outcome::Missing(missing) => self.request(missing)?,
            }
            while self.next().await?.is_some() {}
        }
        Err(too_many_rounds(self.blocks.url()))
    }

    fn start(&mut self) {
        while self.running.len() < MAX_REQUESTS
            && let Some(run) = self.queue.pop_front()
        {
            let (reader, blocks) = (Arc::clone(&self.reader), Arc::clone(&self.blocks));
            self.running.push(Box::pin(async move {
                let range = blocks.range(&run);
                let bytes = reader.read_cached(range.clone()).await?;
                if bytes.len() as u64 != range.end - range.start {
                    return Err(Error::internal(format!("{} bytes read of {range:?}", bytes.len())));
                }
                blocks.put(run.clone(), bytes);
                Ok(run)
            }));
        }
    }
}

/// What came of a parse.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It had all it needed.
    Done(Result<T>),
    /// It needs these blocks (ascending), perhaps more afterwards.
    Missing(Vec<u64>),
}

/// The error for metadata that leads on and on.
pub(crate) fn too_many_rounds(url: &str) -> Error {
    Error::resource_exhausted(format!("'{url}': a chain of more than {MAX_ROUNDS} pieces of metadata"))
}

/// Runs `work` on a blocking thread, parser calls and nothing else.
///
/// # Errors
/// `Internal` when it was stopped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("the parser of HDF5 metadata was stopped").with_source(error))
}
