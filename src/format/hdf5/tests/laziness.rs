//! What is read, when, and how often.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::corpus::read_all;
use super::memory::{MemoryIndexes, MemoryReader, open};
use crate::error::Kind;
use crate::model::chunk::ChunkLocation;

#[tokio::test]
async fn a_second_open_reads_nothing() {
    let indexes: Arc<MemoryIndexes> = Arc::default();
    let first = Arc::new(MemoryReader::of_fixture("notebook/variants.h5ad"));
    let opened = open(&first, &indexes).await.unwrap();
    assert!(first.count() > 0);
    let path = "X/data";
    let grid = opened.tree().array(path).unwrap().grid();
    let positions = vec![vec![0; grid.len()]];
    let located = opened.locate(path, &positions).await.unwrap();

    let second = Arc::new(MemoryReader::of_fixture("notebook/variants.h5ad"));
    let again = open(&second, &indexes).await.unwrap();
    assert_eq!(again.tree(), opened.tree());
    assert_eq!(again.locate(path, &positions).await.unwrap(), located);
    assert_eq!(second.count(), 0);
}

#[tokio::test]
async fn kept_chunk_tables_are_read_once_and_damaged_ones_are_rebuilt() {
    let indexes: Arc<MemoryIndexes> = Arc::default();
    for path in ["tree_gzip", "many_extensible", "masked", "fixed_none", "implicit"] {
        let first = Arc::new(MemoryReader::of_fixture("hdf5/chunks_latest.h5"));
        let file = open(&first, &indexes).await.unwrap();
        let expected = read_all(&file, path).await.unwrap();
        let name = format!("{}|hdf5/chunks/{path}", file.reader().identity().index_key());
        let record = indexes.records.lock().unwrap()[&name].clone();
        let mut damaged = vec![Vec::new(), record[..record.len() - 3].to_vec(), b"SFH5CHK\x00".to_vec()];
        for at in [0, 7, 9, record.len() / 2, record.len() - 1] {
            let mut other = record.clone();
            other[at] ^= 0x41;
            damaged.push(other);
        }
        let other_table = indexes.records.lock().unwrap().values().max_by_key(|record| record.len()).unwrap().clone();
        damaged.push(other_table);
        for bytes in damaged {
            indexes.records.lock().unwrap().insert(name.clone(), bytes);
            let reader = Arc::new(MemoryReader::of_fixture("hdf5/chunks_latest.h5"));
            let file = open(&reader, &indexes).await.unwrap();
            assert_eq!(reader.count(), 0, "the tree's record is good");
            assert_eq!(read_all(&file, path).await.unwrap(), expected, "{path}");
            assert_eq!(indexes.records.lock().unwrap()[&name], record, "{path} is kept again");
        }
    }
}

/// Overwrites the first bytes of every chunk index of a file of the generator.
fn without_chunk_indexes(mut bytes: Vec<u8>) -> (Vec<u8>, usize) {
    let mut gone = 0;
    for at in 0..bytes.len() - 6 {
        let is_index = match &bytes[at..at + 6] {
            [b'T', b'R', b'E', b'E', kind, _] => *kind == 1,
            [b'B', b'T', b'H', b'D', _, kind] => [10, 11].contains(kind),
            [b'F' | b'E', b'A', b'H', b'D', ..] => true,
            _ => false,
        };
        if is_index {
            bytes[at..at + 6].copy_from_slice(b"nobody");
            gone += 1;
        }
    }
    (bytes, gone)
}

#[tokio::test]
async fn listing_does_not_touch_chunk_indexes() {
    for name in ["hdf5/chunks_earliest.h5", "hdf5/chunks_latest.h5"] {
        let whole = super::memory::open_fixture(name).await;
        let (bytes, gone) = without_chunk_indexes(std::fs::read(super::memory::fixture(name)).unwrap());
        assert!(gone > 20, "{gone} indexes overwritten");
        let file = open(&Arc::new(MemoryReader::new(name, bytes)), &Arc::default()).await.unwrap();
        assert_eq!(file.tree(), whole.tree());
        for path in ["fixed_gzip", "extensible_gzip", "tree_gzip"] {
            let error = file.locate(path, &[vec![0, 0]]).await.unwrap_err();
            assert_eq!(error.kind(), Kind::DataLoss, "{path}: {error}");
            assert!(error.message().contains(path), "{error}");
            assert!(matches!(whole.locate(path, &[vec![0, 0]]).await.unwrap()[0], ChunkLocation::Range { .. }));
        }
    }
}

#[tokio::test]
async fn opening_reads_no_data() {
    let reader = Arc::new(MemoryReader::of_fixture("notebook/variants.h5ad"));
    let file = open(&reader, &Arc::default()).await.unwrap();
    let (opened, size) = (reader.read_bytes.load(Ordering::SeqCst), file.reader().identity().size);
    assert!(opened < size, "{opened} of {size} bytes read to open");
}

#[tokio::test]
async fn opening_reads_in_parallel_within_the_bound() {
    let delay = Duration::from_millis(30);
    let reader = Arc::new(MemoryReader::of_fixture("notebook/variants.h5ad").slow(delay));
    let start = std::time::Instant::now();
    open(&reader, &Arc::default()).await.unwrap();
    let (reads, most) = (reader.count(), reader.most_running.load(Ordering::SeqCst));
    println!("{reads} reads, {most} at once, {:?}", start.elapsed());
    assert!(most > 1 && most <= crate::format::hdf5::fetch::MAX_REQUESTS, "{most} reads at once");
    let ranges = reader.ranges.lock().unwrap();
    let mut starts: Vec<u64> = ranges.iter().map(|range| range.start).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), ranges.len(), "no block is fetched twice: {ranges:?}");
}

#[tokio::test]
async fn a_failing_store_is_told_as_such() {
    for fail_at in 0..6 {
        let mut reader = MemoryReader::of_fixture("notebook/variants.h5ad");
        reader.fail_at = Some(fail_at);
        let error = open(&Arc::new(reader), &Arc::default()).await.map(|_| ()).unwrap_err();
        assert_eq!(
            (error.kind(), error.message().contains("the store is down")),
            (Kind::Unavailable, true),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn texts_are_read_by_coalesced_ranges() {
    let reader = Arc::new(MemoryReader::of_fixture("hdf5/strings_latest.h5"));
    let file = open(&reader, &Arc::default()).await.unwrap();
    let references = read_all(&file, "contiguous").await.unwrap();
    let before = reader.count();
    let texts = file.resolve_texts(&references, 1 << 20).await.unwrap();
    assert_eq!(texts.get(2).unwrap(), "héllo wörld".as_bytes());
    assert!(reader.count() - before <= 2, "{} reads", reader.count() - before);
    let before = reader.count();
    assert_eq!(file.resolve_texts(&references[..64], 1 << 20).await.unwrap().len(), 4);
    assert_eq!(reader.count(), before, "collections are kept");
    assert_eq!(file.resolve_texts(&[], 1 << 20).await.unwrap().len(), 0);

    let reference = |length: u32, address: u64, index: u32| {
        [&length.to_le_bytes()[..], &address.to_le_bytes(), &index.to_le_bytes()].concat()
    };
    let good = &references[16..32];
    let address = u64::from_le_bytes(good[4..12].try_into().unwrap());
    for (bad, words) in [
        (reference(1, 1 << 40, 1), "leads out of the object"),
        (reference(1, address, 60000), "has no object 60000"),
        (reference(1 << 20, address, 1), "its reference says 1048576"),
        (reference(5, 1, 1), "no global heap collection"),
    ] {
        let error = file.resolve_texts(&bad, 1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{error}");
        assert!(error.message().contains(words) && error.message().contains("memory://"), "{error}");
    }
}
#[tokio::test]
async fn a_damaged_tree_record_is_rebuilt() {
    let indexes: Arc<MemoryIndexes> = Arc::default();
    let name = "hdf5/links_latest.h5";
    let first = Arc::new(MemoryReader::of_fixture(name));
    let expected = open(&first, &indexes).await.unwrap();
    let (key, record) = indexes.records.lock().unwrap().iter().next().map(|(k, r)| (k.clone(), r.clone())).unwrap();
    for at in [0, 7, 8, 15, 20, record.len() / 2, record.len() - 1] {
        let mut damaged = record.clone();
        damaged[at] ^= 0x21;
        indexes.records.lock().unwrap().insert(key.clone(), damaged);
        let reader = Arc::new(MemoryReader::of_fixture(name));
        let file = open(&reader, &indexes).await.unwrap();
        assert_eq!(file.tree(), expected.tree());
        assert!(reader.count() > 0, "byte {at}");
        assert_eq!(indexes.records.lock().unwrap()[&key], record);
    }
}

/// A store whose database is gone.
#[derive(Debug)]
struct BrokenIndexes;

#[async_trait::async_trait]
impl crate::model::index_store::IndexStore for BrokenIndexes {
    async fn load(&self, _identity: &str, _name: &str) -> crate::error::Result<Option<Vec<u8>>> {
        Err(crate::error::Error::unavailable("no database"))
    }

    async fn save(&self, _identity: &str, _name: &str, _record: Vec<u8>) -> crate::error::Result<()> {
        Err(crate::error::Error::unavailable("no database"))
    }
}

#[tokio::test]
async fn a_broken_index_store_does_not_stop_reading() {
    let reader = Arc::new(MemoryReader::of_fixture("hdf5/chunks_latest.h5"));
    let file = crate::format::hdf5::Hdf5File::open(reader, Arc::new(BrokenIndexes)).await.unwrap();
    assert!(!read_all(&file, "tree_gzip").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_abandoned_open_stops_reading() {
    let reader = Arc::new(MemoryReader::of_fixture("notebook/variants.h5ad").slow(Duration::from_millis(20)));
    let opening = tokio::time::timeout(Duration::from_millis(30), open(&reader, &Arc::default())).await;
    assert!(opening.is_err(), "the open takes longer than that");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = reader.count();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(reader.count(), before);
    assert!(before < 10, "{before} reads");
}
