//! What the first request for a new file asks for, read while the rest of the tree is: the chunk index of the array
//! at a path, as soon as its header is there.
//!
//! Sits beside the walk, which says what it found. Changes no answer: an index that cannot be read is read again by
//! whoever needs it, who meets the error.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::dataset::DatasetStorage;
use super::fetch::Fetches;
use super::parser::{self, Addressing, Object, StoredChunk, Target};
use crate::error::Result;
use crate::model::tree::{ArrayNode, Node, join, normalise};
use crate::storage::reader::RangeReader;

/// The arrays of a sparse matrix, of which rows or columns need the chunks of all.
const SPARSE: [&str; 3] = ["data", "indices", "indptr"];

type Load = BoxFuture<'static, (String, Result<Vec<StoredChunk>>)>;

/// Follows a path from the root, and reads chunk indexes at its end.
#[derive(Debug)]
pub(crate) struct Ahead {
    reader: Arc<dyn RangeReader>,
    /// Objects that are waited for: their paths, and the names that lead on from them.
    wanted: HashMap<u64, (String, Vec<String>)>,
    loads: FuturesUnordered<Load>,
    loaded: HashMap<String, Vec<StoredChunk>>,
}

impl Ahead {
    /// Waits for the object at the path `asked` below the root group at the address `root`; for nothing if it is none.
    pub(crate) fn new(reader: Arc<dyn RangeReader>, root: u64, asked: Option<&str>) -> Self {
        let names = |path: &str| normalise(path).split('/').map(str::to_owned).collect();
        let wanted = asked.map(|path| (root, (String::new(), names(path)))).into_iter().collect();
        Self { reader, wanted, loads: FuturesUnordered::new(), loaded: HashMap::new() }
    }

    /// Takes note of an object that was parsed.
    pub(crate) fn seen(&mut self, address: u64, object: &Object, addressing: Addressing) {
        let Some((path, names)) = self.wanted.remove(&address) else { return };
        match (&object.node, names.split_first()) {
            (Node::Group { .. }, Some((name, rest))) => self.want(object, &path, name, rest),
            (Node::Group { .. }, None) => SPARSE.iter().for_each(|name| self.want(object, &path, name, &[])),
            (Node::Array(array), None) => self.load(path, array, addressing),
            _ => {}
        }
    }

    /// Whether an index is being read.
    pub(crate) fn is_running(&self) -> bool {
        !self.loads.is_empty()
    }

    /// Waits until one more index is there.
    pub(crate) async fn next(&mut self) {
        if let Some((path, Ok(chunks))) = self.loads.next().await {
            self.loaded.insert(path, chunks);
        }
    }

    /// The stored chunks by path of the dataset, once all are there.
    pub(crate) async fn finish(mut self) -> HashMap<String, Vec<StoredChunk>> {
        while self.is_running() {
            self.next().await;
        }
        self.loaded
    }

    fn want(&mut self, group: &Object, path: &str, name: &str, rest: &[String]) {
        if let Some(link) = group.links.iter().find(|link| link.name == name)
            && let Target::Hard(address) = link.target
        {
            self.wanted.insert(address, (join(path, name), rest.to_vec()));
        }
    }

    fn load(&mut self, path: String, array: &ArrayNode, addressing: Addressing) {
        let indexed = DatasetStorage::of(array).and_then(|storage| storage.indexed(array));
        let Ok(Some(indexed)) = indexed else { return };
        let mut fetches = Fetches::new(Arc::clone(&self.reader));
        self.loads.push(Box::pin(async move {
            let chunks = fetches.parse(move |blocks| parser::stored_chunks(blocks, addressing, &indexed)).await;
            (path, chunks)
        }));
    }
}
