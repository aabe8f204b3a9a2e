//! How stores are opened: what is read, what is kept, what is corrupt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::folder::{MemoryFolder, MemoryIndexes, expected, fetch, open};
use crate::error::Kind;
use crate::format::zarr::{MAX_BARE_FOLDERS, MAX_DOCUMENT_BYTES, MAX_NODES, READS_IN_FLIGHT, ZarrStore, record};
use crate::model::index_store::NoIndexStore;

const GROUP_V3: &str = r#"{"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}"#;

#[tokio::test]
async fn an_open_reads_as_little_as_the_store_allows() {
    // Reads and lists of the first open.
    let rows = [
        ("attributes_v3_consolidated", (1, 0)),
        ("variants_v3.zarr", (1, 0)),
        ("root_array_v3", (1, 0)),
        ("attributes_v2_consolidated", (2, 0)),
        ("variants_v2.zarr", (2, 0)),
        // one document for each of four nodes; the root and one group are listed
        ("attributes_v3_listed", (4, 2)),
        // no zarr.json, no .zmetadata, then three documents for each node
        ("attributes_v2_listed", (2 + 4 * 3, 2)),
    ];
    for (name, requests) in rows {
        let folder = Arc::new(MemoryFolder::fixture(name));
        ZarrStore::open(Arc::clone(&folder) as _, "", Arc::new(NoIndexStore)).await.unwrap();
        assert_eq!(folder.requests(), requests, "{name}");
    }
}

/// Of a store whose listing is known the documents are read and nothing else is asked.
#[tokio::test]
async fn a_known_listing_saves_requests() {
    for (name, reads) in [("attributes_v3_listed", 5), ("attributes_v2_listed", 10)] {
        let mut folder = MemoryFolder::fixture(name);
        folder.pinned = true;
        let folder = Arc::new(folder);
        let store = ZarrStore::open(Arc::clone(&folder) as _, "", Arc::new(NoIndexStore)).await.unwrap();
        assert_eq!(folder.requests(), (reads, 1), "{name}");
        assert_eq!(store.tree(), open(MemoryFolder::fixture(name)).await.unwrap().tree(), "{name}");
    }
}

/// Only groups are listed, level by level: the folder of an array holds its chunks.
#[tokio::test]
async fn folders_of_chunks_are_never_listed() {
    for (name, groups) in [
        ("layouts_v2_dot", vec!["", "a", "a/b"]),
        ("layouts_v2_slash", vec!["", "a", "a/b"]),
        ("layouts_v3_dot", vec!["", "a", "a/b"]),
        ("layouts_v3_slash", vec!["", "a", "a/b"]),
        ("codecs_v2", vec![""]),
        ("root_array_v2", vec![]),
    ] {
        let folder = Arc::new(MemoryFolder::fixture(name));
        ZarrStore::open(Arc::clone(&folder) as _, "", Arc::new(NoIndexStore)).await.unwrap();
        assert_eq!(*folder.listed.lock().unwrap(), groups, "{name}");
    }
}

/// Consolidated metadata is believed: a node that was added after it is not there.
#[tokio::test]
async fn stale_consolidated_metadata_is_believed() {
    for (name, document) in
        [("attributes_v3_consolidated", "late/zarr.json"), ("attributes_v2_consolidated", "late/.zgroup")]
    {
        let mut folder = MemoryFolder::fixture(name);
        let text = if name.contains("v3") { GROUP_V3 } else { "{\"zarr_format\": 2}" };
        folder.objects.insert(document.to_owned(), text.into());
        let store = open(folder).await.unwrap();
        assert!(store.tree().get("late").is_none(), "{name}");
        assert!(store.tree().get("inner/array").is_some(), "{name}");
    }
}

#[tokio::test]
async fn folders_without_metadata_are_looked_into_up_to_a_limit() {
    let paths: Vec<String> = (0..=MAX_BARE_FOLDERS).map(|index| format!("g{index}/x/data")).collect();
    let mut objects = vec![("zarr.json", GROUP_V3)];
    objects.extend(paths.iter().map(|path| (path.as_str(), "")));
    let error = open(MemoryFolder::of(&objects)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{error:?}");
    assert!(error.message().contains("MAX_BARE_FOLDERS"), "{error:?}");
}

#[tokio::test]
async fn a_later_open_reads_nothing_until_the_record_is_damaged() {
    for name in expected().keys() {
        let indexes = Arc::new(MemoryIndexes::default());
        let first =
            ZarrStore::open(Arc::new(MemoryFolder::fixture(name)), "one", Arc::clone(&indexes) as _).await.unwrap();
        let folder = Arc::new(MemoryFolder::fixture(name));
        let second = ZarrStore::open(Arc::clone(&folder) as _, "one", Arc::clone(&indexes) as _).await.unwrap();
        assert_eq!(folder.requests(), (0, 0), "{name}");
        assert_eq!(first.tree(), second.tree(), "{name}");

        // Another version of the store has its own record.
        ZarrStore::open(Arc::clone(&folder) as _, "two", Arc::clone(&indexes) as _).await.unwrap();
        assert!(folder.requests().0 > 0, "{name}");

        // A damaged record is built anew and kept.
        let key = ("one".to_owned(), record::NAME.to_owned());
        let whole = indexes.0.lock().unwrap()[&key].clone();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        for bad in [damaged, whole[..whole.len() - 1].to_vec(), Vec::new(), b"zarr tree 0\n0000{}".to_vec()] {
            indexes.0.lock().unwrap().insert(key.clone(), bad);
            let third = ZarrStore::open(Arc::clone(&folder) as _, "one", Arc::clone(&indexes) as _).await.unwrap();
            assert_eq!(first.tree(), third.tree(), "{name}");
            assert_eq!(indexes.0.lock().unwrap()[&key], whole, "{name}");
        }
    }
}

#[tokio::test]
async fn an_empty_identity_keeps_nothing() {
    let indexes = Arc::new(MemoryIndexes::default());
    let folder = MemoryFolder::fixture("root_array_v3");
    ZarrStore::open(Arc::new(folder), "", Arc::clone(&indexes) as _).await.unwrap();
    assert!(indexes.0.lock().unwrap().is_empty());
}

/// A missing chunk is the fill value (the fixtures have some); a store that fails is an error.
#[tokio::test]
async fn a_store_error_is_never_taken_for_missing() {
    for failing in ["zarr.json", ".zmetadata", ".zgroup"] {
        let mut folder = MemoryFolder::fixture("attributes_v2_listed");
        folder.failing = Some(failing);
        assert_eq!(open(folder).await.unwrap_err().kind(), Kind::Unavailable, "{failing}");
    }
    let mut folder = MemoryFolder::fixture("root_array_v3");
    folder.failing = Some("c/1/1");
    let store = open(folder).await.unwrap();
    assert!(fetch(&store, "", &[0, 1]).await.unwrap().is_some());
    assert_eq!(fetch(&store, "", &[1, 1]).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn what_is_no_store_is_not_found_and_corrupt_metadata_is_named() {
    type Row = (&'static [(&'static str, &'static str)], Kind, &'static str);
    let rows: [Row; 9] = [
        (&[], Kind::NotFound, "no zarr metadata"),
        (&[("data.csv", "1,2"), ("notzarr.json", "{}")], Kind::NotFound, "no zarr metadata"),
        (&[("zarr.json", "{")], Kind::DataLoss, "'zarr.json'"),
        (&[("zarr.json", GROUP_V3), ("a/zarr.json", "nonsense")], Kind::DataLoss, "'a/zarr.json'"),
        (&[("zarr.json", GROUP_V3), ("a/zarr.json", "{\"zarr_format\": 5}")], Kind::DataLoss, "'a/zarr.json'"),
        (&[(".zgroup", "{\"zarr_format\": 7}")], Kind::DataLoss, "'.zgroup'"),
        (&[(".zmetadata", "[]")], Kind::DataLoss, "'.zmetadata'"),
        (&[(".zmetadata", "{\"metadata\": {\"../x/.zgroup\": {}}}")], Kind::DataLoss, "'../x'"),
        (&[(".zgroup", "{\"zarr_format\": 2}"), (".zattrs", "[1]")], Kind::DataLoss, "'.zattrs'"),
    ];
    for (objects, kind, words) in rows {
        let error = open(MemoryFolder::of(objects)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains(words), "{error:?}");
    }
}

#[tokio::test]
async fn groups_without_documents_are_added_and_other_objects_left_out() {
    let folder = MemoryFolder::of(&[("a/b/zarr.json", GROUP_V3), ("a/readme.md", "x"), ("c/.zgroup", "{}")]);
    let store = open(folder).await.unwrap();
    assert_eq!(store.tree().nodes.keys().collect::<Vec<_>>(), ["", "a", "a/b"]);
    assert_eq!(store.tree().attributes("a/b").unwrap()["a"], 1);
}

#[tokio::test]
async fn consolidated_metadata_of_an_unknown_kind_is_not_used() {
    let root = GROUP_V3.replace("\"attributes\"", "\"consolidated_metadata\": {\"kind\": \"chunked\"}, \"attributes\"");
    let store = open(MemoryFolder::of(&[("zarr.json", &root), ("b/zarr.json", GROUP_V3)])).await.unwrap();
    assert!(store.tree().is_group("b"));
}

#[tokio::test]
async fn listed_documents_are_read_together_but_not_all_at_once() {
    let paths: Vec<String> = (0..100).map(|index| format!("g{index}/zarr.json")).collect();
    let mut objects = vec![("zarr.json", GROUP_V3)];
    objects.extend(paths.iter().map(|path| (path.as_str(), GROUP_V3)));
    let folder = Arc::new(MemoryFolder::of(&objects));
    let store = ZarrStore::open(Arc::clone(&folder) as _, "", Arc::new(NoIndexStore)).await.unwrap();
    assert_eq!(store.tree().nodes.len(), 101);
    assert_eq!(folder.most_in_flight.load(Ordering::SeqCst), READS_IN_FLIGHT);
}

#[tokio::test]
async fn metadata_above_a_limit_is_refused_by_its_name() {
    let large = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    let nodes: Vec<String> = (0..=MAX_NODES).map(|index| format!("\"n{index}\": {{}}")).collect();
    let consolidated = format!("{{\"kind\": \"inline\", \"metadata\": {{{}}}}}", nodes.join(","));
    let many =
        GROUP_V3.replace("\"attributes\"", &format!("\"consolidated_metadata\": {consolidated}, \"attributes\""));
    for (document, words) in [(large, "MAX_DOCUMENT_BYTES"), (many, "MAX_NODES")] {
        let error = open(MemoryFolder::of(&[("zarr.json", &document)])).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted, "{error:?}");
        assert!(error.message().contains(words), "{error:?}");
    }
}

proptest! {
    /// Whatever the documents say, an open answers with a tree or an error, and so does every chunk.
    #[test]
    fn damaged_documents_never_panic(
        at: usize,
        byte in prop::sample::select(b"0123456789\"[]{}:,.- abcflntu".to_vec()),
        name in prop::sample::select(vec!["root_array_v2", "types_v2", "types_v3", "sharding_v3", "codecs_v3", "layouts_v2_dot"]),
    ) {
        let mut folder = MemoryFolder::fixture(name);
        let is_array = |key: &&String| key.ends_with("/zarr.json") || key.ends_with(".zarray");
        let keys: Vec<String> = folder.objects.keys().filter(is_array).cloned().collect();
        let key = &keys[at % keys.len()];
        let mut document = folder.objects[key].to_vec();
        let index = (at / keys.len()) % document.len();
        document[index] = byte;
        folder.objects.insert(key.clone(), document.into());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let path = key.rsplit_once('/').map_or("", |(path, _)| path);
        runtime.block_on(async {
            let Ok(store) = open(folder).await else { return };
            let (Ok(decoder), Ok(array)) = (store.decoder(path), store.tree().array(path)) else { return };
            let _ = decoder.decode(None);
            if let Ok(Some(chunk)) = fetch(&store, path, &vec![0; array.shape.len()]).await {
                let _ = decoder.decode(Some(chunk));
            }
        });
    }
}
