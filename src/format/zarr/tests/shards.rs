//! Inner chunks of shards: which bytes are asked for, what they decode to, and what damage is.
//!
//! Every element of `shards_v3` is its place in C order, or −1 where nothing was written.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::folder::{MemoryFolder, open};
use crate::error::{Error, Kind};
use crate::format::Hierarchy;
use crate::format::zarr::ZarrStore;
use crate::format::zarr::shard::{MAX_INDEX_BYTES, Sharding};
use crate::format::zarr::shard_index::ShardIndexes;
use crate::model::index_store::NoIndexStore;
use crate::model::selection::AxisSelection;
use crate::plan::requests::Merging;
use crate::read::array::{Caching, Values, plan_array, read_array};
use crate::read::context::ReadContext;

/// Entries of the index of a shard of 15 × 12 elements in chunks of 5 × 4.
const ENTRIES: usize = 9;
const INDEX_BYTES: usize = ENTRIES * 16 + 4;
const UNMERGED: Merging = Merging { gap: 0, longest: 1, spread: 1, frugal: false };

fn context(merging: Merging) -> ReadContext {
    let mut context = ReadContext::new(64 << 20, 64 << 20, 2, 4, Duration::from_secs(60));
    context.merging = merging;
    context
}

fn pinned() -> MemoryFolder {
    MemoryFolder { pinned: true, ..MemoryFolder::fixture("shards_v3") }
}

/// The store in `folder`, opened; and the folder, with nothing in its log.
async fn opened(folder: MemoryFolder) -> (Hierarchy, Arc<MemoryFolder>) {
    let folder = Arc::new(folder);
    let store = ZarrStore::open(Arc::clone(&folder) as _, "", Arc::new(NoIndexStore)).await.unwrap();
    take(&folder);
    (Hierarchy::Zarr(Arc::new(store)), folder)
}

/// What was read since the last call, sorted.
fn take(folder: &MemoryFolder) -> Vec<(String, Range<u64>)> {
    let mut log = std::mem::take(&mut *folder.log.lock().unwrap());
    log.sort_by_key(|(path, range)| (path.clone(), range.start, range.end));
    log
}

async fn numbers(
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    merging: Merging,
) -> Result<Vec<i64>, Error> {
    let read = read_array(&context(merging), hierarchy, path, selection, Caching::Bypass).await?;
    Ok(match read.values {
        Values::Fixed(buffer) => {
            buffer.as_slice().chunks(4).map(|bytes| i64::from(i32::from_le_bytes(bytes.try_into().unwrap()))).collect()
        }
        Values::Text(texts) => (0..texts.len())
            .map(|index| std::str::from_utf8(texts.get(index).unwrap()).unwrap().parse().unwrap())
            .collect(),
    })
}

/// The index and the inner chunks at `entries` of the shard `path`, by walking its stored bytes.
fn ranges(folder: &MemoryFolder, path: &str, entries: &[usize]) -> (Range<u64>, Vec<Range<u64>>) {
    let shard = &folder.objects[path];
    let start = shard.len() - INDEX_BYTES;
    let number = |at: usize| u64::from_le_bytes(shard[start + at..start + at + 8].try_into().unwrap());
    let chunk = |entry: &usize| number(entry * 16)..number(entry * 16) + number(entry * 16 + 8);
    (start as u64..shard.len() as u64, entries.iter().map(chunk).collect())
}

/// Rows 16 and 17 lie in the first row of inner chunks of the shards of rows 15 to 29.
const ROWS: Range<u64> = 16..18;

fn rows() -> [AxisSelection; 2] {
    [AxisSelection::Range { start: ROWS.start, step: 1, count: ROWS.end - ROWS.start }, AxisSelection::all(33)]
}

fn expected_rows() -> Vec<i64> {
    (ROWS.start as i64 * 33..ROWS.end as i64 * 33).collect()
}

#[tokio::test]
async fn rows_read_the_indexes_and_their_inner_chunks() {
    let (store, folder) = opened(pinned()).await;
    let (mut indexes, mut chunks) = (Vec::new(), Vec::new());
    for column in 0..3 {
        let path = format!("zstd/c/1/{column}");
        let (index, inner) = ranges(&folder, &path, &[0, 1, 2]);
        indexes.push((path.clone(), index));
        chunks.extend(inner.into_iter().map(|range| (path.clone(), range)));
    }
    chunks.sort_by_key(|(path, range)| (path.clone(), range.start));
    let mut all = [indexes.clone(), chunks.clone()].concat();
    all.sort_by_key(|(path, range)| (path.clone(), range.start));
    assert_eq!(numbers(&store, "zstd", &rows(), UNMERGED).await.unwrap(), expected_rows());
    assert_eq!(take(&folder), all);

    // The second read of the same open has the indexes.
    assert_eq!(numbers(&store, "zstd", &rows(), UNMERGED).await.unwrap(), expected_rows());
    assert_eq!(take(&folder), chunks);

    // Neighbours in a shard are one request, and never with those of another shard.
    assert_eq!(numbers(&store, "zstd", &rows(), Merging::default()).await.unwrap(), expected_rows());
    let merged: Vec<_> = chunks
        .chunks(3)
        .map(|of_shard| {
            (of_shard[0].0.clone(), of_shard[0].1.start..of_shard.iter().map(|(_, range)| range.end).max().unwrap())
        })
        .collect();
    assert_eq!(take(&folder), merged);
}

#[tokio::test]
async fn a_plan_names_the_requests_that_reading_makes() {
    let (store, folder) = opened(pinned()).await;
    for path in ["zstd", "plain", "holes", "start", "bare_index", "outer_gzip"] {
        for merging in [UNMERGED, Merging::default()] {
            let plan = plan_array(&context(merging), &store, path, &rows()).await.unwrap();
            let mut planned: Vec<_> = plan
                .requests
                .iter()
                .map(|request| (request.object.clone().unwrap(), request.range.clone().unwrap()))
                .collect();
            planned.sort_by_key(|(path, range)| (path.clone(), range.start));
            take(&folder);
            numbers(&store, path, &rows(), merging).await.unwrap();
            assert_eq!(take(&folder), planned, "{path}");
        }
    }
}

/// Two rows of inner chunks without codecs are two rows of bytes, not five.
#[tokio::test]
async fn plain_inner_chunks_are_read_by_their_rows() {
    let (store, folder) = opened(pinned()).await;
    assert_eq!(numbers(&store, "plain", &rows(), UNMERGED).await.unwrap(), expected_rows());
    let lengths: Vec<u64> = take(&folder).iter().map(|(_, range)| range.end - range.start).collect();
    let (indexes, parts): (Vec<u64>, Vec<u64>) = lengths.iter().partition(|length| **length == INDEX_BYTES as u64);
    assert_eq!((indexes.len(), parts), (3, vec![2 * 4 * 4; 9]));
}

/// Without pins a shard may be written anew at any time: its index is read with each plan.
#[tokio::test]
async fn an_index_that_is_not_pinned_is_not_kept() {
    let (store, folder) = opened(MemoryFolder::fixture("shards_v3")).await;
    for _ in 0..2 {
        assert_eq!(numbers(&store, "zstd", &rows(), Merging::default()).await.unwrap(), expected_rows());
        let indexes = take(&folder).iter().filter(|(_, range)| range.end - range.start == INDEX_BYTES as u64).count();
        assert_eq!(indexes, 3);
    }
}

#[tokio::test]
async fn shards_and_inner_chunks_that_are_missing_are_fill_values() {
    let never = [AxisSelection::all(50), AxisSelection::Range { start: 12, step: 1, count: 12 }];
    for folder in [pinned(), MemoryFolder::fixture("shards_v3")] {
        let (store, folder) = opened(folder).await;
        assert_eq!(numbers(&store, "holes", &never, UNMERGED).await.unwrap(), vec![-1; 50 * 12]);
        assert_eq!(take(&folder), []);
        // The first inner chunk of a shard that is there: its index is read, and nothing else.
        let first = [0, 0].map(|start| AxisSelection::Range { start, step: 1, count: 4 });
        assert_eq!(numbers(&store, "holes", &first, UNMERGED).await.unwrap(), [-1; 16]);
        assert_eq!(take(&folder).len(), 1);
    }
}

/// A shard that its index was read of and that is gone when its chunks are is not fill values.
#[tokio::test]
async fn a_shard_that_goes_while_it_is_read_is_not_found() {
    let folder = MemoryFolder { gone_after_index: true, ..MemoryFolder::fixture("shards_v3") };
    let (store, _) = opened(folder).await;
    let error = numbers(&store, "zstd", &rows(), UNMERGED).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
    assert!(error.message().contains("zstd/c/1/"), "{error:?}");
}

async fn damaged(path: &str, shard: Vec<u8>, is_pinned: bool) -> Error {
    let mut folder = MemoryFolder { pinned: is_pinned, ..MemoryFolder::fixture("shards_v3") };
    let object = format!("{path}/c/1/1");
    folder.objects.insert(object.clone(), shard.into());
    let (store, _) = opened(folder).await;
    let error = numbers(&store, path, &rows(), UNMERGED).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss, "{error:?}");
    assert!(error.message().contains(&format!("'{object}'")), "{error:?}");
    error
}

#[tokio::test]
async fn a_corrupt_index_is_data_loss_that_names_the_shard() {
    let whole = pinned().objects["zstd/c/1/1"].to_vec();
    for at in whole.len() - INDEX_BYTES..whole.len() {
        let mut shard = whole.clone();
        shard[at] ^= 1;
        damaged("zstd", shard, true).await;
    }
    // Without a checksum an index may say anything (big-endian here): it is checked against the shard.
    let whole = pinned().objects["bare_index/c/1/1"].to_vec();
    let index = whole.len() - ENTRIES * 16;
    for (offset, length) in
        [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, 80), (whole.len() as u64 - 79, 80), (0, 0), (1 << 40, 80)]
    {
        let mut shard = whole.clone();
        shard[index..index + 8].copy_from_slice(&offset.to_be_bytes());
        shard[index + 8..index + 16].copy_from_slice(&length.to_be_bytes());
        for is_pinned in [true, false] {
            damaged("bare_index", shard.clone(), is_pinned).await;
        }
    }
}

#[tokio::test]
async fn a_truncated_shard_is_data_loss_that_names_it() {
    for path in ["zstd", "start"] {
        let whole = pinned().objects[&format!("{path}/c/1/1")].to_vec();
        for length in [0, 1, INDEX_BYTES - 1, INDEX_BYTES, INDEX_BYTES + 1, whole.len() - 1] {
            for is_pinned in [true, false] {
                // Of a shard with its index at the start only the chunks that are cut off are lost.
                if path == "zstd" || length <= INDEX_BYTES {
                    damaged(path, whole[..length].to_vec(), is_pinned).await;
                }
            }
        }
    }
    // The last chunk of the shard lies behind the cut.
    let mut folder = pinned();
    let whole = folder.objects["start/c/1/1"].clone();
    folder.objects.insert("start/c/1/1".into(), whole.slice(..whole.len() - 1));
    let (store, _) = opened(folder).await;
    let all = [AxisSelection::all(50), AxisSelection::all(33)];
    assert_eq!(numbers(&store, "start", &all, UNMERGED).await.unwrap_err().kind(), Kind::DataLoss);
}

/// Indexes are kept within the bound; the last one always is.
#[tokio::test]
async fn kept_indexes_are_bounded() {
    let folder = pinned();
    let store = open(pinned()).await.unwrap();
    let sharding = Sharding::of(&store.tree().array("zstd").unwrap().storage).unwrap();
    let paths: Vec<String> = folder.objects.keys().filter(|path| path.starts_with("zstd/c/")).cloned().collect();
    assert_eq!(paths.len(), 12);
    let reads = |most| {
        let (folder, paths, sharding) = (&folder, &paths, &sharding);
        async move {
            let indexes = ShardIndexes::new(most);
            folder.log.lock().unwrap().clear();
            for path in paths.iter().chain(paths) {
                let index = indexes.get(folder, path, sharding).await.unwrap().unwrap();
                let (_, chunks) = ranges(folder, path, &[0]);
                assert_eq!(index.chunk(path, 0).unwrap(), Some(chunks[0].clone()));
                assert!(index.chunk(path, ENTRIES as u64).is_err());
                assert!(indexes.bytes() <= most.max(400), "{} bytes", indexes.bytes());
            }
            folder.log.lock().unwrap().len()
        }
    };
    assert_eq!(reads(1 << 20).await, 12);
    assert_eq!(reads(0).await, 24);
    // Callers at the same time read once.
    let indexes = ShardIndexes::new(1 << 20);
    folder.log.lock().unwrap().clear();
    let all = (0..20).map(|_| indexes.get(&folder, &paths[0], &sharding));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(folder.log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn only_plain_shards_are_read_by_inner_chunks() {
    let store = open(pinned()).await.unwrap();
    for path in ["zstd", "start", "bare_index", "cube", "line", "nested", "text"] {
        assert!(Sharding::of(&store.tree().array(path).unwrap().storage).is_some(), "{path}");
    }
    for path in ["outer_gzip", "outer_transpose"] {
        assert_eq!(Sharding::of(&store.tree().array(path).unwrap().storage), None, "{path}");
    }
    let whole = store.tree().array("zstd").unwrap().storage.clone();
    let changed = |pointer: &str, value: Value| {
        let mut storage = whole.clone();
        *storage.pointer_mut(pointer).unwrap() = value;
        Sharding::of(&storage)
    };
    let configuration = "/codecs/0/configuration";
    let shards = "/chunk_grid/configuration/chunk_shape";
    assert_eq!(changed(&format!("{configuration}/index_location"), json!("middle")), None);
    assert_eq!(changed(&format!("{configuration}/index_codecs"), json!([{"name": "bytes"}, {"name": "gzip"}])), None);
    assert_eq!(changed(&format!("{configuration}/chunk_shape"), json!([4, 4])), None);
    assert_eq!(changed(&format!("{configuration}/chunk_shape"), json!([0, 4])), None);
    assert_eq!(changed(&format!("{configuration}/chunk_shape"), json!([5])), None);
    assert_eq!(changed(shards, json!([u64::MAX / 5 * 5, 4])), None);
    let most = MAX_INDEX_BYTES / 16;
    assert_eq!(changed(shards, json!([most * 5, 4])), None);
    assert_eq!(changed(shards, json!([(most - 1) * 5, 4])).unwrap().index_bytes, MAX_INDEX_BYTES - 12);
}

/// Positions on one axis.
fn axis(length: u64) -> BoxedStrategy<AxisSelection> {
    let range = (0..length, 1_i64..7, 1..=length).prop_map(move |(start, step, count)| AxisSelection::Range {
        start,
        step,
        count: count.min((length - 1 - start) / step.unsigned_abs() + 1),
    });
    let backwards = (0..length).prop_map(|start| AxisSelection::Range { start, step: -1, count: start + 1 });
    let indices = prop::collection::vec(0..length, 1..8).prop_map(|all| AxisSelection::Indices(all.into()));
    prop_oneof![range, backwards, indices].boxed()
}

fn case() -> impl Strategy<Value = (&'static str, Vec<AxisSelection>)> {
    let flat = ["plain", "zstd", "holes", "start", "bare_index", "nested", "outer_gzip", "outer_transpose"];
    let arrays: Vec<(&str, Vec<u64>)> = flat
        .iter()
        .map(|path| (*path, vec![50, 33]))
        .chain([("cube", vec![7, 9, 10]), ("line", vec![101]), ("text", vec![40])])
        .collect();
    prop::sample::select(arrays)
        .prop_flat_map(|(path, shape)| (Just(path), shape.into_iter().map(axis).collect::<Vec<_>>()))
}

/// What the fixture holds at `position`: its place, or −1 in the holes.
fn oracle(path: &str, shape: &[u64], position: &[u64]) -> i64 {
    if path == "holes" {
        let (row, column) = (position[0], position[1]);
        if (12..24).contains(&column) || (row < 5 && column < 12) || (row < 15 && column < 4) {
            return -1;
        }
    }
    position.iter().zip(shape).fold(0, |place, (at, length)| place * *length as i64 + *at as i64)
}

proptest! {
    #[test]
    fn any_selection_is_what_was_written((path, selection) in case(), is_pinned: bool, merge: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (values, shape, objects, shards) = runtime.block_on(async {
            let (store, folder) = opened(MemoryFolder { pinned: is_pinned, ..MemoryFolder::fixture("shards_v3") }).await;
            let merging = if merge { Merging::default() } else { UNMERGED };
            let values = numbers(&store, path, &selection, merging).await.unwrap();
            let array = store.tree().array(path).unwrap();
            let shards: Vec<u64> = serde_json::from_value(array.storage.pointer("/chunk_grid/configuration/chunk_shape").unwrap().clone()).unwrap();
            let objects: BTreeSet<String> = take(&folder).into_iter().map(|(path, _)| path).collect();
            (values, array.shape.clone(), objects, shards)
        });
        let mut positions = vec![Vec::new()];
        for axis in &selection {
            positions = positions.iter().flat_map(|start: &Vec<u64>| axis.positions().into_iter().map(move |at| [start.clone(), vec![at]].concat())).collect();
        }
        let expected: Vec<i64> = positions.iter().map(|position| oracle(path, &shape, position)).collect();
        prop_assert_eq!(values, expected);
        // No other object was touched.
        let touched: BTreeSet<String> = positions.iter().map(|position| {
            let shard: Vec<String> = position.iter().zip(&shards).map(|(at, length)| (at / length).to_string()).collect();
            format!("{path}/c/{}", shard.join("/"))
        }).collect();
        prop_assert!(objects.is_subset(&touched), "{:?} of {:?}", objects, touched);
    }
}
