//! Parses all objects of a file, several at once.
//!
//! Every object is parsed once, by its address, on a blocking thread; the links it holds name the
//! next ones. Which paths lead to an object is decided afterwards, in `assemble`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};

use super::parser::{self, Addressing, BlockSource, MAX_REQUESTS, Object, Target, View};
use crate::error::{Error, Result, ResultExt};
use crate::storage::reader::RangeReader;

/// Objects of one file at most.
pub(crate) const MAX_OBJECTS: usize = 1_000_000;
/// Objects parsed at the same time; each has at most one request in flight most of the time.
const MAX_PARSERS: usize = MAX_REQUESTS;

/// All objects of a file by address.
#[derive(Debug)]
pub(crate) struct Graph {
    /// How addresses count.
    pub(crate) addressing: Addressing,
    /// Address of the root group.
    pub(crate) root: u64,
    /// The objects.
    pub(crate) objects: HashMap<u64, Object>,
}

/// Makes the parsers end when the caller goes away.
pub(crate) struct CancelOnDrop(Arc<BlockSource>);

impl CancelOnDrop {
    /// Cancels `source` when dropped.
    pub(crate) fn new(source: &Arc<BlockSource>) -> Self {
        Self(Arc::clone(source))
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Parses the whole file.
///
/// # Errors
/// `DataLoss` when it is no HDF5 file, truncated or corrupt, and the errors of reading.
pub(crate) async fn walk(reader: Arc<dyn RangeReader>) -> Result<Graph> {
    let url = reader.identity().url.clone();
    let source = Arc::new(BlockSource::new(reader));
    let _cancel = CancelOnDrop::new(&source);
    let opened = Arc::clone(&source);
    let (view, root) = blocking(move || parser::open(&opened)).await?;
    let mut graph = Graph { addressing: view.addressing(), root, objects: HashMap::new() };
    let mut seen = HashSet::from([root]);
    let mut waiting = vec![root];
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < MAX_PARSERS
            && let Some(address) = waiting.pop()
        {
            running.push(parse(view.clone(), address));
        }
        let Some((address, object)) = running.next().await else { return Ok(graph) };
        let object = object.with_context(|| format!("'{url}'"))?;
        waiting.extend(object.links.iter().filter_map(|link| match link.target {
            Target::Hard(address) if seen.insert(address) => Some(address),
            _ => None,
        }));
        if seen.len() > MAX_OBJECTS {
            return Err(Error::resource_exhausted(format!("'{url}' has more than {MAX_OBJECTS} objects")));
        }
        graph.objects.insert(address, object);
    }
}

async fn parse(view: View, address: u64) -> (u64, Result<Object>) {
    (address, blocking(move || parser::object(&view, address)).await)
}

/// Runs `work` on a blocking thread, parser calls and nothing else.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::internal("the parser of HDF5 metadata was stopped").with_source(error)))
}
