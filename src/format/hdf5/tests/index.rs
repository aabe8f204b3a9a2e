//! Chunk tables against h5py's, and what a cold index costs: latency rounds, requests and bytes. Time is
//! virtual: every request takes 30 ms, and nothing else takes any.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::MemoryIndexes;
use super::ranges::{RangesReader, expected, found};
use crate::format::hdf5::fetch::MAX_REQUESTS;
use crate::format::hdf5::{Hdf5File, Outside};
use crate::storage::reader::RangeReader;

const LATENCY: Duration = Duration::from_millis(30);

async fn open(reader: &Arc<RangesReader>) -> Hdf5File {
    let reader: Arc<dyn RangeReader> = Arc::<RangesReader>::clone(reader);
    Hdf5File::open(reader, Arc::<MemoryIndexes>::default()).await.unwrap()
}

async fn check_chunk_tables(name: &str, least: usize) {
    let file = open(&RangesReader::open(name, Duration::ZERO)).await;
    let expected = expected(name);
    assert!(expected.len() >= least, "{} datasets", expected.len());
    for (path, chunks, crc) in expected {
        assert_eq!(found(&file, &path).await, (chunks, crc), "{path} of {name}: chunks and CRC of their rows");
    }
}

macro_rules! chunk_tables {
    ($($name:ident: $least:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            check_chunk_tables(stringify!($name), $least).await;
        })*
    };
}

chunk_tables! {
    chunks_earliest: 75;
    chunks_v108: 75;
    chunks_v110: 75;
    chunks_v114: 75;
    chunks_latest: 75;
    chunks_userblock: 75;
    chunks_paged: 75;
    cold_csr: 20;
    cold_csr_latest: 20;
    cold_csr_paged: 20;
}

/// Opens the matrix and loads the tables of `X`; prints and checks the cost.
fn cold(name: &str, most_rounds: u32, most_requests: u64, most_bytes: u64) {
    let reader = RangesReader::open(name, LATENCY);
    let clock = &reader.clock;
    clock.run(async {
        let file = open(&reader).await;
        let (tree, of_tree) = (clock.now(), reader.counts());
        file.load_tables(&["X/data", "X/indices", "X/indptr"]).await.unwrap();
        let (elapsed, (requests, bytes)) = (clock.now(), reader.counts());
        let most = reader.most_running.load(Ordering::SeqCst);
        println!("{name}: tree {tree:?} {of_tree:?}, with tables {elapsed:?} {requests} requests {bytes} bytes, {most} at once");
        assert!(elapsed <= LATENCY * most_rounds, "{elapsed:?} of virtual time");
        assert!(requests <= most_requests, "{requests} requests");
        assert!(bytes <= most_bytes, "{bytes} bytes");
        file.locate("X/data", &[vec![0]]).await.unwrap();
        assert_eq!(reader.counts(), (requests, bytes), "tables are kept");
    });
    assert!(reader.most_running.load(Ordering::SeqCst) <= 3 * MAX_REQUESTS);
}

#[test]
fn a_cold_index_of_a_matrix_takes_few_rounds() {
    cold("cold_csr", 5, 140, 8_000_000);
}

#[test]
fn a_cold_index_of_a_matrix_in_the_latest_format_takes_few_rounds() {
    cold("cold_csr_latest", 8, 140, 8_000_000);
}

#[test]
fn a_cold_index_of_a_matrix_in_pages_takes_few_rounds() {
    cold("cold_csr_paged", 5, 140, 8_000_000);
}

/// Opens the matrix for somebody who asks for `X`: its tables come with the tree, and are the same.
fn cold_for_its_reader(name: &str, most_rounds: u32, asked: &str) {
    let reader = RangesReader::open(name, LATENCY);
    let clock = &reader.clock;
    clock.run(async {
        let ranges: Arc<dyn RangeReader> = Arc::<RangesReader>::clone(&reader);
        let indexes = Arc::<MemoryIndexes>::default();
        let file = Hdf5File::open_with(ranges, indexes, Outside::default(), Some(asked)).await.unwrap();
        let (opened, counts) = (clock.now(), reader.counts());
        file.load_tables(&["X/data", "X/indices", "X/indptr"]).await.unwrap();
        println!("{name} for '{asked}': {opened:?}, with tables {:?} {:?}", clock.now(), reader.counts());
        assert_eq!((clock.now(), reader.counts()), (opened, counts), "tables come with the tree");
        assert!(opened <= LATENCY * most_rounds, "{opened:?} of virtual time");
        for (path, chunks, crc) in expected(name) {
            assert_eq!(found(&file, &path).await, (chunks, crc), "{path} of {name}: chunks and CRC of their rows");
        }
        assert_eq!(file.tree(), open(&reader).await.tree());
    });
}

#[test]
fn tables_of_what_is_asked_for_come_with_the_tree() {
    cold_for_its_reader("cold_csr", 5, "X");
    cold_for_its_reader("cold_csr", 5, "/X/");
    cold_for_its_reader("cold_csr_latest", 8, "X");
    cold_for_its_reader("cold_csr_paged", 5, "X");
}

#[test]
fn what_is_asked_for_in_vain_changes_nothing() {
    for asked in ["", "Y", "X/data/more", "obs", "X/"] {
        let reader = RangesReader::open("cold_csr", LATENCY);
        let file = reader.clock.run(async {
            let ranges: Arc<dyn RangeReader> = Arc::<RangesReader>::clone(&reader);
            let indexes = Arc::<MemoryIndexes>::default();
            Hdf5File::open_with(ranges, indexes, Outside::default(), Some(asked)).await.unwrap()
        });
        let plain = RangesReader::open("cold_csr", LATENCY);
        assert_eq!(file.tree(), plain.clock.run(open(&plain)).tree(), "'{asked}'");
        if asked != "X/" {
            assert_eq!(reader.counts(), plain.counts(), "'{asked}'");
        }
    }
}

fn many_objects(name: &str, most_rounds: u32, most_bytes: u64) {
    let reader = RangesReader::open(name, LATENCY);
    let file = reader.clock.run(open(&reader));
    let (elapsed, (requests, bytes)) = (reader.clock.now(), reader.counts());
    println!("{name}: {elapsed:?} {requests} requests {bytes} bytes of {}", reader.identity().size);
    assert_eq!(file.tree().nodes.len(), 20_001);
    assert!(elapsed <= LATENCY * most_rounds, "{elapsed:?} of virtual time");
    assert!(bytes <= most_bytes, "{bytes} bytes");
    assert!(reader.most_running.load(Ordering::SeqCst) <= MAX_REQUESTS);
}

#[test]
fn twenty_thousand_objects_in_the_old_format() {
    many_objects("many_earliest", 11, 20_000_000);
}

#[test]
fn twenty_thousand_objects_in_the_new_format() {
    many_objects("many_latest", 11, 10_000_000);
}
