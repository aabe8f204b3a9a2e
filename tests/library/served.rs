//! Datasets in other files have the elements that h5py reads, or are refused by name.

use std::sync::Arc;
use std::time::Duration;

use libdeflater::crc32;
use serde_json::Value;
use sliceflight::error::Kind;
use sliceflight::format::Hierarchy;
use sliceflight::model::tree::Node;
use sliceflight::read::array::{ArrayValues, Values};

use crate::folder::{Folder, fixture, library, program, read};

const MEMORY: u64 = 1 << 30;

async fn open(folder: &Folder, workers: usize) -> Hierarchy {
    let library = library(program(), workers, MEMORY, Duration::from_secs(60));
    folder.open(Some(library), &Arc::default()).await
}

pub(crate) fn crc(values: &ArrayValues) -> u32 {
    match &values.values {
        Values::Fixed(buffer) => crc32(buffer.as_slice()),
        Values::Text(texts) => {
            let mut all = Vec::new();
            for index in 0..texts.len() {
                let text = texts.get(index).unwrap();
                all.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
                all.extend_from_slice(text);
            }
            crc32(&all)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_element_is_what_h5py_reads() {
    let folder = Folder::new();
    let expected = std::fs::read(fixture("virtual/expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for workers in [1, 3] {
        let file = open(&folder, workers).await;
        for (path, entry) in expected.as_object().unwrap() {
            assert_eq!(serde_json::json!(file.tree().array(path).unwrap().shape), entry["shape"], "{path}");
            let values = read(&file, path).await.unwrap();
            assert_eq!(entry["crc"], crc(&values), "{path}");
        }
        let node = file.tree().array("attributed/rows").unwrap();
        assert_eq!(node.attributes["units"], "counts");
        assert_eq!(node.chunk_shape, [4, 6]);
        assert_eq!(file.tree().array("large").unwrap().chunk_shape, [131, 1000], "tiles of up to 1 MiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_read_as_parts() {
    use sliceflight::model::selection::AxisSelection;
    use sliceflight::read::array::{Caching, read_array};
    use sliceflight::read::context::ReadContext;
    let folder = Folder::new();
    let file = open(&folder, 2).await;
    let context = ReadContext::new(1 << 30, 1 << 27, 2, 8, Duration::from_secs(60));
    let rows: Vec<u64> = vec![599, 3, 130, 131, 3];
    let columns = AxisSelection::Range { start: 998, step: -499, count: 3 };
    let selection = [AxisSelection::Indices(rows.clone().into()), columns];
    let found = read_array(&context, &file, "large", &selection, Caching::Bypass).await.unwrap();
    let expected: Vec<u8> = rows
        .iter()
        .flat_map(|row| [998, 499, 0].map(|column| f64::from(u32::try_from((row * 7 + column) % 251).unwrap())))
        .flat_map(f64::to_le_bytes)
        .collect();
    let Values::Fixed(buffer) = &found.values else { panic!("texts") };
    assert_eq!(buffer.as_slice(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_by_name() {
    let folder = Folder::new();
    std::fs::write(folder.path("../outside.h5"), "x").unwrap();
    let file = open(&folder, 1).await;
    for (path, kind, words) in [
        ("absolute", Kind::PermissionDenied, "/etc/hostname"),
        ("escaping", Kind::PermissionDenied, "../outside.h5"),
        ("lzf", Kind::Unimplemented, "required filter 'lzf' is not registered"),
        ("over_external", Kind::Unimplemented, "unable to open external raw data file"),
        ("damaged", Kind::DataLoss, "libhdf5"),
        ("raw_missing", Kind::NotFound, "nothing.bin"),
    ] {
        let error = read(&file, path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words) && error.message().contains(&format!("'{path}'")), "{error}");
        // The worker goes on.
        read(&file, "rows").await.unwrap();
    }
}

/// A file with bytes changed gives an error that says whose fault it is, or an answer; never a dead
/// server. Where metadata has checksums (the file with the mappings) an answer is the right one.
#[tokio::test(flavor = "multi_thread")]
async fn changed_bytes_are_never_the_end() {
    let folder = Folder::new();
    let library = library(program(), 2, MEMORY, Duration::from_secs(20));
    let right = crc(&read(&folder.open(Some(Arc::clone(&library)), &Arc::default()).await, "rows").await.unwrap());
    let (mut failed, mut answered) = (0, 0);
    for name in ["joined.h5", "part_1.h5"] {
        let good = std::fs::read(folder.path(name)).unwrap();
        let mut state = 88_172_645_463_325_252_u64;
        for _ in 0..40 {
            let mut bytes = good.clone();
            for _ in 0..15 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = usize::try_from(state >> 8).unwrap() % bytes.len();
                bytes[at] ^= u8::try_from(state & 0xff).unwrap();
            }
            folder.replace(name, &bytes);
            match folder.try_open(Some(Arc::clone(&library)), &Arc::default()).await {
                Ok(file) => match read(&file, "rows").await {
                    Ok(values) => {
                        assert!(name != "joined.h5" || crc(&values) == right, "a wrong answer");
                        answered += 1;
                    }
                    Err(error) => {
                        assert!(!matches!(error.kind(), Kind::Internal | Kind::Cancelled), "{error:?}");
                        failed += 1;
                    }
                },
                Err(error) => {
                    assert_ne!(error.kind(), Kind::Internal, "{error:?}");
                    failed += 1;
                }
            }
        }
        folder.replace(name, &good);
        let file = folder.open(Some(Arc::clone(&library)), &Arc::default()).await;
        assert_eq!(crc(&read(&file, "rows").await.unwrap()), right);
    }
    assert!(failed > 0 && answered > 0, "{failed} failed, {answered} answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_library_only_virtual_datasets_are_refused() {
    let folder = Folder::new();
    let file = folder.open(None, &Arc::default()).await;
    let Some(Node::Unreadable { reason }) = file.tree().get("rows") else { panic!("not refused") };
    assert!(reason.contains("virtual dataset") && reason.contains("feature libhdf5"), "{reason}");
    assert_eq!(read(&file, "rows").await.unwrap_err().kind(), Kind::Unimplemented);
    read(&file, "raw").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_is_noticed_and_seen_by_the_next_open() {
    let folder = Folder::new();
    let file = open(&folder, 1).await;
    read(&file, "rows").await.unwrap();
    read(&file, "raw").await.unwrap();
    assert!(!file.is_outdated());
    folder.replace("part_1.h5", &std::fs::read(folder.path("part_2.h5")).unwrap());
    folder.replace("raw_a.bin", &[7; 28]);
    let error = read(&file, "raw").await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition, "{error}");
    assert!(error.message().contains("raw_a.bin"), "{error}");
    assert!(file.is_outdated());
    let file = open(&folder, 1).await;
    let Values::Fixed(rows) = read(&file, "rows").await.unwrap().values else { panic!("texts") };
    assert_eq!(rows.as_slice()[4 * 6 * 4..][..4], 200_i32.to_le_bytes(), "the first row of the new part_1.h5");
    let Values::Fixed(raw) = read(&file, "raw").await.unwrap().values else { panic!("texts") };
    assert_eq!(raw.as_slice()[..4], [7; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_comes_later_is_seen_by_the_next_open_only() {
    let folder = Folder::new();
    let file = open(&folder, 1).await;
    let fill = |values: ArrayValues| {
        let Values::Fixed(rows) = values.values else { panic!("texts") };
        i32::from_le_bytes(rows.as_slice()[12 * 6 * 4..][..4].try_into().unwrap())
    };
    assert_eq!(fill(read(&file, "rows").await.unwrap()), -7);
    std::fs::copy(folder.path("part_0.h5"), folder.path("part_9.h5")).unwrap();
    assert_eq!(fill(read(&file, "rows").await.unwrap()), -7, "pinned as missing");
    assert_eq!(fill(read(&open(&folder, 1).await, "rows").await.unwrap()), 0);
    std::fs::copy(folder.path("part_0.h5"), folder.path("part_3.h5")).unwrap();
    assert_eq!(open(&folder, 1).await.tree().array("counted").unwrap().shape, [16, 6]);
}
