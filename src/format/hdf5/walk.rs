//! Parses all objects of a file, several at once.
//!
//! Every object is parsed once its bytes are here, by its address; the links it holds name the next
//! ones. What the objects of a group miss is fetched together. Which paths lead to an object is decided
//! afterwards, in `assemble`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ahead::Ahead;
use super::fetch::{Fetches, MAX_ROUNDS, Outcome, blocking, too_many_rounds};
use super::parser::{self, Addressing, Blocks, Object, StoredChunk, Target};
use crate::error::{Error, Result, ResultExt};
use crate::storage::reader::RangeReader;

/// Objects of one file at most.
pub(crate) const MAX_OBJECTS: usize = 1_000_000;
/// Objects parsed on one thread before what they miss is asked for.
const BATCH: usize = 512;

/// All objects of a file by address.
#[derive(Debug)]
pub(crate) struct Graph {
    /// How addresses count.
    pub(crate) addressing: Addressing,
    /// Address of the root group.
    pub(crate) root: u64,
    /// The objects.
    pub(crate) objects: HashMap<u64, Object>,
    /// Stored chunks of the datasets that were asked for, by path, as far as they could be read.
    pub(crate) chunks: HashMap<String, Vec<StoredChunk>>,
}

/// An object that is to be parsed, and how often that was tried.
#[derive(Clone, Copy, Debug)]
struct Task {
    address: u64,
    tries: usize,
}

/// Parses the whole file, and meanwhile the chunk index of the array at the path `asked`, or of those of the sparse
/// matrix there.
///
/// # Errors
/// `DataLoss` when it is no HDF5 file, truncated or corrupt, and the errors of reading.
pub(crate) async fn walk(reader: Arc<dyn RangeReader>, asked: Option<&str>) -> Result<Graph> {
    let url = reader.identity().url.clone();
    let mut fetches = Fetches::new(Arc::clone(&reader));
    let (addressing, root) = fetches.parse(parser::open).await?;
    let graph = Graph { addressing, root, objects: HashMap::new(), chunks: HashMap::new() };
    let mut walk = Walk { graph, seen: HashSet::from([root]), waiting: HashMap::new() };
    let mut ahead = Ahead::new(reader, root, asked);
    let mut ready = vec![Task { address: root, tries: 0 }];
    loop {
        while !ready.is_empty() {
            let batch = ready.split_off(ready.len().saturating_sub(BATCH));
            let blocks = Arc::clone(fetches.blocks());
            for (task, outcome) in blocking(move || parse(&blocks, addressing, batch)).await? {
                match outcome {
                    Outcome::Missing(missing) => {
                        ready.extend(walk.wait(task, &missing, &fetches)?);
                        fetches.request(missing)?;
                    }
                    Outcome::Done(object) => {
                        let object = object.with_context(|| format!("'{url}'"))?;
                        ahead.seen(task.address, &object, addressing);
                        ready.extend(walk.keep(task.address, object, &url)?);
                    }
                }
            }
        }
        let arrived = tokio::select! {
            biased;
            arrived = fetches.next() => arrived?,
            () = ahead.next(), if ahead.is_running() => continue,
        };
        match arrived {
            Some(blocks) => ready.extend(blocks.filter_map(|block| walk.waiting.remove(&block)).flatten()),
            None if walk.waiting.is_empty() => return Ok(Graph { chunks: ahead.finish().await, ..walk.graph }),
            None => return Err(Error::internal(format!("'{url}': metadata that was asked for did not come"))),
        }
    }
}

struct Walk {
    graph: Graph,
    seen: HashSet<u64>,
    /// Tasks by one of the blocks that they miss.
    waiting: HashMap<u64, Vec<Task>>,
}

impl Walk {
    /// Lets `task` wait for the first of the `missing` blocks; gives it back when all came meanwhile.
    fn wait(&mut self, task: Task, missing: &[u64], fetches: &Fetches) -> Result<Option<Task>> {
        if task.tries >= MAX_ROUNDS {
            return Err(too_many_rounds(fetches.blocks().url()));
        }
        let task = Task { tries: task.tries + 1, ..task };
        let Some(block) = missing.iter().find(|block| !fetches.blocks().has(**block)) else { return Ok(Some(task)) };
        self.waiting.entry(*block).or_default().push(task);
        Ok(None)
    }

    /// Keeps `object`; gives tasks for the objects it links to that were not seen yet.
    fn keep(&mut self, address: u64, object: Object, url: &str) -> Result<Vec<Task>> {
        let mut found = Vec::new();
        for link in &object.links {
            if let Target::Hard(address) = link.target
                && self.seen.insert(address)
            {
                found.push(Task { address, tries: 0 });
            }
        }
        if self.seen.len() > MAX_OBJECTS {
            return Err(Error::resource_exhausted(format!("'{url}' has more than {MAX_OBJECTS} objects")));
        }
        self.graph.objects.insert(address, object);
        Ok(found)
    }
}

fn parse(blocks: &Arc<Blocks>, addressing: Addressing, tasks: Vec<Task>) -> Vec<(Task, Outcome<Object>)> {
    tasks.into_iter().map(|task| (task, parser::object(blocks, addressing, task.address))).collect()
}
