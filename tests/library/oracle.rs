//! libhdf5 as the oracle: it finds the chunks of every fixture where our index finds them, and reads the
//! elements that our path reads.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Program, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hdf5_worker::protocol::{Command, Failure, Message, Supply, receive, send};
use sliceflight::error::{Error, Result};
use sliceflight::format::Hierarchy;
use sliceflight::format::hdf5::Hdf5File;
use sliceflight::model::chunk::{ChunkLocation, Elements};
use sliceflight::model::data_type::DataType;
use sliceflight::model::index_store::NoIndexStore;
use sliceflight::model::tree::{ArrayNode, Node};
use sliceflight::read::array::Values;
use sliceflight::storage::reader::{ObjectIdentity, RangeReader};

use crate::folder::{fixture, program, read};

/// Filters that this build of libhdf5 has.
const FILTERS: [&str; 5] = ["deflate", "shuffle", "fletcher32", "nbit", "scaleoffset"];

/// An object in memory.
#[derive(Debug)]
struct Whole {
    identity: ObjectIdentity,
    bytes: Bytes,
}

#[async_trait]
impl RangeReader for Whole {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        if range.end > self.bytes.len() as u64 {
            return Err(Error::data_loss("outside"));
        }
        Ok(self.bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()))
    }

    async fn read_cached(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.read(range).await
    }
}

/// A worker with one file.
struct Oracle {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    bytes: Bytes,
}

impl Oracle {
    fn open(bytes: Bytes) -> Self {
        let mut child = Program::new(program())
            .args(["hdf5-worker", "--memory", "2147483648"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (input, output) = (BufWriter::new(input), BufReader::new(output));
        let size = bytes.len() as u64;
        let mut oracle = Self { child, input, output, bytes };
        assert_eq!(oracle.ask(&Command::Open { name: "file.h5".into(), size }).0, Message::Opened);
        oracle
    }

    fn ask(&mut self, command: &Command) -> (Message, Vec<u8>) {
        send(&mut self.input, command, &[]).unwrap();
        loop {
            match receive(&mut self.output).unwrap() {
                (Message::Range { offset, length, .. }, _) => {
                    let start = usize::try_from(offset).unwrap();
                    let bytes = self.bytes.slice(start..start + usize::try_from(length).unwrap());
                    send(&mut self.input, &Supply::Bytes, &bytes).unwrap();
                }
                (Message::Other { .. }, _) => send(&mut self.input, &Supply::Absent, &[]).unwrap(),
                answer => return answer,
            }
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Position in the grid, with offset, length and filter mask.
type Table = BTreeMap<Vec<u64>, (u64, u64, u32)>;

async fn own_table(file: &Hdf5File, path: &str, array: &ArrayNode) -> Table {
    let positions = array.grid().iter().fold(vec![Vec::new()], |positions: Vec<Vec<u64>>, count| {
        let extend = |position: Vec<u64>| (0..*count).map(move |at| [position.as_slice(), &[at]].concat());
        positions.into_iter().flat_map(extend).collect()
    });
    let locations = file.locate(path, &positions).await.unwrap();
    let found = positions.into_iter().zip(locations).filter_map(|(position, location)| match location {
        ChunkLocation::Range { offset, length, filter_mask } => Some((position, (offset, length, filter_mask))),
        _ => None,
    });
    found.collect()
}

fn table_of(array: &ArrayNode, rank: usize, rows: &[u8]) -> Table {
    let grid = array.grid();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let chunk = |row: &[u8]| {
        let (numbers, mask) = row.split_at(row.len() - 4);
        let numbers: Vec<u64> = numbers.chunks(8).map(number).collect();
        let position: Vec<u64> =
            numbers[..rank].iter().zip(&array.chunk_shape).map(|(at, length)| at / (*length).max(1)).collect();
        (position, (numbers[rank], numbers[rank + 1], u32::from_le_bytes(mask.try_into().unwrap())))
    };
    // A dataset that was made smaller may keep chunks that lie outside.
    let inside = |position: &Vec<u64>| position.iter().zip(&grid).all(|(at, count)| at < count);
    rows.chunks(rank * 8 + 20).map(chunk).filter(|(position, _)| inside(position)).collect()
}

#[derive(Debug, Default)]
struct Count {
    tables: usize,
    chunks: usize,
    elements: usize,
    texts: usize,
    lacking: usize,
}

async fn compare_elements(
    hierarchy: &Hierarchy,
    path: &str,
    array: &ArrayNode,
    oracle: &mut Oracle,
    count: &mut Count,
) {
    let Hierarchy::Hdf5(file) = hierarchy else { panic!("no HDF5") };
    if array.element_count().unwrap() == 0 || matches!(array.data_type, DataType::Unsupported { .. }) {
        return;
    }
    let command = Command::Read {
        path: format!("/{path}"),
        start: vec![0; array.shape.len()],
        count: array.shape.clone(),
        converted: false,
    };
    let answer = oracle.ask(&command);
    if let (Message::Failed { kind, message }, _) = &answer {
        let filters = array.filters.iter().all(|filter| FILTERS.contains(&filter.as_str()));
        assert_eq!(*kind, Failure::Unsupported, "{path}: {message}");
        // Elements that lead elsewhere, alone or in others, are not the worker's to read.
        let leads = matches!(
            array.data_type,
            DataType::Struct { .. } | DataType::FixedArray { .. } | DataType::List { .. } | DataType::Reference
        );
        assert!(!filters || leads, "{path}: {message}");
        count.lacking += 1;
        return;
    }
    // What only libhdf5 reads, as it has no use for a filter that every chunk left out.
    if path == "left_out" {
        return;
    }
    let own = read(hierarchy, path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let Values::Fixed(own) = own.values else { panic!("{path}: texts") };
    match answer {
        (Message::Elements, payload) => {
            let decoded = file.decoder(path).unwrap().decode_part(Bytes::from(payload)).unwrap();
            let Elements::Fixed(expected) = decoded else { panic!("{path}: texts") };
            assert!(own.as_slice() == expected, "{path}: other elements");
            count.elements += 1;
        }
        (Message::Texts, payload) => {
            let texts = file.resolve_texts(own.as_slice(), 1 << 30).await.unwrap();
            let mut found = Vec::new();
            for index in 0..texts.len() {
                let text = texts.get(index).unwrap();
                // The library's texts end at the first null character.
                let text = text.split(|byte| *byte == 0).next().unwrap();
                found.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
                found.extend_from_slice(text);
            }
            assert!(found == payload, "{path}: other texts");
            count.texts += 1;
        }
        (answer, _) => panic!("{path}: {answer:?}"),
    }
}

async fn compare(path: &Path, count: &mut Count) {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let identity = ObjectIdentity { url: "memory://file.h5".into(), size: bytes.len() as u64, ..Default::default() };
    let reader = Arc::new(Whole { identity, bytes: bytes.clone() });
    let Ok(file) = Hdf5File::open(reader, Arc::new(NoIndexStore)).await else {
        // One whose writer has not closed it, and one with wrong checksums.
        let refused = ["unfinished.h5", "damaged.h5"].iter().any(|name| path.ends_with(name));
        assert!(refused, "{}", path.display());
        return;
    };
    let mut oracle = Oracle::open(bytes);
    let hierarchy = Hierarchy::Hdf5(Arc::new(file));
    let Hierarchy::Hdf5(file) = &hierarchy else { panic!("no HDF5") };
    for (node_path, node) in &hierarchy.tree().nodes {
        let Node::Array(array) = node else { continue };
        if array.is_null {
            continue;
        }
        let named = format!("{}:{node_path}", path.display());
        match oracle.ask(&Command::Chunks { path: format!("/{node_path}") }) {
            // libhdf5 2.2 itself numbers these wrongly when it lists them; it reads them right.
            (Message::Chunks { .. }, _) if grows_behind_the_first(array) => {}
            (Message::Chunks { rank }, rows) => {
                let expected = table_of(array, usize::try_from(rank).unwrap(), &rows);
                let found = own_table(file, node_path, array).await;
                assert_eq!(found, expected, "{named}");
                count.tables += 1;
                count.chunks += found.len();
            }
            // libhdf5 gives up a whole group for one link of a version that it does not know.
            (Message::Failed { .. }, _) if path.ends_with("unknown.h5") => continue,
            (answer, _) => panic!("{named}: {answer:?}"),
        }
        compare_elements(&hierarchy, node_path, array, &mut oracle, count).await;
    }
}

/// Whether the chunks are in an extensible array and the dimension that grows is not the first.
fn grows_behind_the_first(array: &ArrayNode) -> bool {
    let Some(layout) = array.storage["layout"].get("Chunked") else { return false };
    let maximum = layout["maximum"].as_array().map(Vec::as_slice).unwrap_or_default();
    let grows = maximum.iter().position(|length| length.as_u64() == Some(u64::MAX));
    layout["index"] == "ExtensibleArray" && grows.is_some_and(|at| at > 0)
}

fn corpus(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            corpus(&path, files);
        } else if ["h5", "h5ad", "hdf5", "h5mu", "loom"].contains(&suffix.as_str()) {
            files.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunk_tables_and_elements_are_those_of_libhdf5() {
    let mut files = Vec::new();
    corpus(&fixture(""), &mut files);
    files.sort();
    let mut count = Count::default();
    for path in &files {
        compare(path, &mut count).await;
    }
    assert!(files.len() >= 35, "{} files", files.len());
    assert!(count.tables >= 700 && count.chunks >= 8000, "{count:?}");
    assert!(count.elements >= 450 && count.texts >= 60, "{count:?}");
}
