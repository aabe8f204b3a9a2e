//! Files that are none, truncated, or changed at random: an error in time, never a panic.

use std::sync::Arc;
use std::time::Duration;

use super::corpus::read_all;
use super::memory::{MemoryReader, fixture, open};
use crate::error::{Error, Kind};
use crate::model::data_type::DataType;
use crate::model::tree::Node;

async fn open_bytes(name: &str, bytes: Vec<u8>) -> Result<(), Error> {
    open(&Arc::new(MemoryReader::new(name, bytes)), &Arc::default()).await.map(|_| ())
}

#[tokio::test]
async fn what_is_no_hdf5_file_is_named() {
    for (bytes, words) in [
        (b"cell_type,n_genes\nB,7\n".repeat(1000), "no superblock signature in its 22000 bytes"),
        (Vec::new(), "it is empty"),
        (b"\x89HDF".to_vec(), "no superblock signature"),
        (vec![0], "no superblock signature"),
    ] {
        let error = open_bytes("notes.h5ad", bytes).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss);
        assert!(error.message().contains("'memory://notes.h5ad' is not an HDF5 file: "), "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn truncated_files_name_both_sizes() {
    for name in ["notebook/csc.h5ad", "hdf5/strings_latest.h5", "hdf5/types_v108.h5"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for keep in [bytes.len() - 1, bytes.len() / 2, 1500] {
            let error = open_bytes(name, bytes[..keep].to_vec()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::DataLoss);
            for word in [keep.to_string(), bytes.len().to_string(), "truncated".into()] {
                assert!(error.message().contains(&word), "{error}");
            }
        }
        assert_eq!(open_bytes(name, bytes[..20].to_vec()).await.unwrap_err().kind(), Kind::DataLoss);
    }
}

#[tokio::test]
async fn a_changed_byte_of_a_checked_chunk_is_found() {
    let name = "hdf5/chunks_latest.h5";
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = super::memory::open_fixture(name).await;
    for path in ["noise_fletcher", "fixed_gzip_shuffle_fletcher", "single_gzip"] {
        let origin = vec![0; file.tree().array(path).unwrap().shape.len()];
        let location = file.locate(path, &[origin]).await.unwrap().remove(0);
        let crate::model::chunk::ChunkLocation::Range { offset, length, .. } = location else { panic!("{location:?}") };
        let mut changed = bytes[offset as usize..(offset + length) as usize].to_vec();
        changed[length as usize / 2] ^= 4;
        let error = file.decoder(path).unwrap().decode(Some(changed.into()), &location).unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{path}");
        assert!(error.message().contains(path), "{error}");
    }
}

/// Numbers that look random and are the same every time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Opens the file, reads everything that is not too large, and gives the number of errors.
async fn read_everything(bytes: Vec<u8>) -> usize {
    let file = match open(&Arc::new(MemoryReader::new("damaged", bytes)), &Arc::default()).await {
        Ok(file) => file,
        Err(_) => return 1,
    };
    let mut errors = 0;
    for (path, node) in &file.tree().nodes {
        let Node::Array(array) = node else { continue };
        let chunks = array.grid().iter().fold(1_u64, |total, count| total.saturating_mul(*count));
        let elements = array.element_count().unwrap_or(u64::MAX);
        if elements.max(array.chunk_bytes()).saturating_mul(chunks) > 2_000_000 {
            continue;
        }
        match read_all(&file, path).await {
            Ok(bytes) if array.data_type == DataType::String => {
                errors += usize::from(file.resolve_texts(&bytes, 1 << 20).await.is_err());
            }
            Ok(_) => {}
            Err(_) => errors += 1,
        }
    }
    errors
}

async fn flip(name: &str, cases: usize, seed: u64) {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let mut state = seed;
    let mut errors = 0;
    for case in 0..cases {
        let mut damaged = bytes.clone();
        for _ in 0..1 + next(&mut state) % 40 {
            let at = next(&mut state) as usize % damaged.len();
            // Half of the changes go to the start, where the superblock and first headers are.
            let at = if next(&mut state).is_multiple_of(2) { at % 4096.min(damaged.len()) } else { at };
            damaged[at] = next(&mut state) as u8;
        }
        let read = tokio::time::timeout(Duration::from_secs(20), read_everything(damaged));
        let found = read.await.unwrap_or_else(|_| panic!("case {case} of {name} hangs"));
        errors += usize::from(found > 0);
    }
    assert!(errors > cases / 10, "only {errors} of {cases} cases did any damage");
}

macro_rules! flips {
    ($($test:ident: $file:literal, $cases:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            flip($file, $cases, 0x5eed_0000 + $cases).await;
        })*
    };
}

flips! {
    flipped_types_earliest: "hdf5/types_earliest.h5", 100;
    flipped_types_latest: "hdf5/types_latest.h5", 100;
    flipped_fills_earliest: "hdf5/fills_earliest.h5", 60;
    flipped_fills_latest: "hdf5/fills_latest.h5", 100;
    flipped_attributes_earliest: "hdf5/attributes_earliest.h5", 60;
    flipped_links_latest: "hdf5/links_latest.h5", 60;
    flipped_chunks_earliest: "hdf5/chunks_earliest.h5", 81;
    flipped_chunks_latest: "hdf5/chunks_latest.h5", 82;
    flipped_strings_latest: "hdf5/strings_latest.h5", 83;
    flipped_small_addresses: "hdf5/small_addresses.h5", 84;
    flipped_shared_kinds: "shared/shared_kinds.h5", 61;
    flipped_shared_list: "shared/shared_all_list.h5", 41;
    flipped_every_link: "links/links_earliest.h5", 62;
    flipped_notebook: "notebook/testfile.hdf5", 200;
}

#[tokio::test]
async fn a_file_that_is_still_written_is_refused() {
    let bytes = std::fs::read(fixture("hdf5/unfinished.h5")).unwrap();
    let error = open_bytes("unfinished.h5", bytes).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains("'memory://unfinished.h5' was not closed"), "{error}");
}

#[tokio::test]
async fn a_chunk_that_was_not_read_is_no_fill_value() {
    let file = super::memory::open_fixture("hdf5/chunks_latest.h5").await;
    let location = file.locate("fixed_gzip", &[vec![0, 0]]).await.unwrap().remove(0);
    let error = file.decoder("fixed_gzip").unwrap().decode(None, &location).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

#[tokio::test]
async fn data_outside_the_object_is_data_loss() {
    for (name, path, position) in
        [("hdf5/types_latest.h5", "little/f8", vec![0, 0]), ("hdf5/chunks_latest.h5", "tree_none", vec![0, 0])]
    {
        let mut file = super::memory::open_fixture(name).await;
        let located = file.locate(path, std::slice::from_ref(&position)).await.unwrap();
        let [crate::model::chunk::ChunkLocation::Range { offset, .. }] = located[..] else { panic!("{located:?}") };
        let bytes = std::fs::read(fixture(name)).unwrap();
        let short = MemoryReader::new(name, bytes[..offset as usize + 10].to_vec());
        // The tree of the whole file over a shorter object: the same as an address beyond the end.
        file.reader = Arc::new(short);
        file.tables = crate::format::hdf5::tables::Tables::new();
        let error = file.locate(path, &[position]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{error}");
        for word in ["memory://", path] {
            assert!(error.message().contains(word), "{error}");
        }
    }
}
