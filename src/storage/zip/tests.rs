//! Archives of Python's writers, whole and damaged; what is read of them is counted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;

use super::{SLACK_BYTES, ZipFolder};
use crate::error::{Error, Kind, Result};
use crate::model::index_store::{IndexStore, NoIndexStore};
use crate::storage::reader::{Edge, FolderReader, Known, ObjectIdentity, RangeReader};

const MARKERS: [&str; 2] = ["zarr.json", ".zgroup"];

/// An object in memory that remembers what was read of it.
#[derive(Debug)]
struct Memory {
    identity: ObjectIdentity,
    bytes: Bytes,
    log: Mutex<Vec<Range<u64>>>,
}

impl Memory {
    fn new(bytes: impl Into<Bytes>) -> Arc<Self> {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let identity = ObjectIdentity { url: "memory:a.zip".into(), etag: "1".into(), version: None, size };
        Arc::new(Self { identity, bytes, log: Mutex::default() })
    }

    fn requests(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

#[async_trait]
impl RangeReader for Memory {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.identity.size {
            return Err(Error::data_loss(format!("bytes {range:?} lie outside")));
        }
        self.log.lock().unwrap().push(range.clone());
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        self.read(range).await
    }
}

#[derive(Debug, Default)]
struct Records(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl IndexStore for Records {
    async fn load(&self, identity: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(&format!("{identity} {name}")).cloned())
    }

    async fn save(&self, identity: &str, name: &str, record: Vec<u8>) -> Result<()> {
        self.0.lock().unwrap().insert(format!("{identity} {name}"), record);
        Ok(())
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr_stores");
    std::fs::read(folder.join(name)).unwrap()
}

/// Size and CRC-32 of every entry by archive and name, as Python reads them.
fn expected() -> BTreeMap<String, BTreeMap<String, (u64, u32)>> {
    serde_json::from_slice(&fixture("expected.json")).unwrap()
}

async fn open(bytes: impl Into<Bytes>) -> Result<(Arc<Memory>, ZipFolder)> {
    let memory = Memory::new(bytes);
    let folder = ZipFolder::open(Arc::clone(&memory) as _, &NoIndexStore, &MARKERS).await?;
    Ok((memory, folder))
}

fn message(error: &Error) -> &str {
    error.message()
}

#[tokio::test]
async fn every_entry_is_what_python_reads() {
    for (name, entries) in expected() {
        let (_, folder) = open(fixture(&name)).await.unwrap();
        let root = if name.starts_with("folder_") { "store/" } else { "" };
        let mut names: Vec<&str> = entries.keys().filter_map(|entry| entry.strip_prefix(root)).collect();
        names.sort_unstable();
        assert_eq!(folder.list("").await.unwrap(), names, "{name}");
        for _ in 0..2 {
            for (entry, (size, checksum)) in &entries {
                let path = entry.strip_prefix(root).unwrap();
                let whole = folder.read(path, None).await.unwrap().unwrap();
                assert_eq!((whole.len() as u64, libdeflater::crc32(&whole)), (*size, *checksum), "{name}: {path}");
                assert_eq!(folder.known(path), Known::Size(*size));
                let part = folder.read(path, Some(size / 3..size / 2)).await.unwrap().unwrap();
                assert_eq!(part, whole.slice((*size / 3) as usize..(*size / 2) as usize), "{name}: {path}");
                let (end, length) = folder.read_edge(path, Edge::End, 2).await.unwrap().unwrap();
                assert_eq!((end, length), (whole.slice(whole.len() - 2..), *size), "{name}: {path}");
                assert_eq!(folder.read_edge(path, Edge::Start, 2).await.unwrap().unwrap().0, whole.slice(..2));
                assert_eq!(folder.read(path, Some(1..1)).await.unwrap().unwrap(), "");
                let outside = folder.read_edge(path, Edge::End, *size + 1).await.unwrap_err();
                assert_eq!(outside.kind(), Kind::DataLoss);
            }
        }
        assert_eq!(folder.read("nothing", None).await.unwrap(), None);
        assert_eq!(folder.known("nothing"), Known::Absent);
    }
}

/// Of entries of one name the last one counts.
#[tokio::test]
async fn the_last_of_several_entries_counts() {
    let (_, folder) = open(fixture("v3.zip")).await.unwrap();
    let root = folder.read("zarr.json", None).await.unwrap().unwrap();
    assert!(std::str::from_utf8(&root).unwrap().contains("\"last\""));
}

#[tokio::test]
async fn parts_of_deflated_entries_inflate_once() {
    let (memory, folder) = open(fixture("folder_deflated.zip")).await.unwrap();
    memory.requests();
    let whole = folder.read("plain/c/0/0", None).await.unwrap().unwrap();
    assert_eq!(memory.requests().len(), 1);
    for at in 0..4 {
        let part = folder.read("plain/c/0/0", Some(at * 100..at * 100 + 50)).await.unwrap().unwrap();
        assert_eq!(part, whole.slice(at as usize * 100..at as usize * 100 + 50));
    }
    assert_eq!(memory.requests().len(), 1);
}

/// Opening reads the end once; an entry is one request, a part of one two until its header was seen.
#[tokio::test]
async fn requests_are_few_and_exact() {
    let (memory, folder) = open(fixture("v3.zip")).await.unwrap();
    let requests = memory.requests();
    assert!(requests.len() == 1 && requests[0] == (0..memory.identity.size), "{requests:?}");
    folder.read("plain/c/0/0", Some(8..16)).await.unwrap();
    let requests = memory.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().any(|range| range.end - range.start == 8));
    assert!(requests.iter().all(|range| range.end - range.start <= 30 + 11 + SLACK_BYTES));
    folder.read("plain/c/0/0", Some(16..24)).await.unwrap();
    folder.read("plain/c/0/0", None).await.unwrap();
    let lengths: Vec<u64> = memory.requests().iter().map(|range| range.end - range.start).collect();
    assert_eq!(lengths, [8, 480]);
    folder.read("plain/c/1/0", None).await.unwrap();
    assert_eq!(memory.requests().len(), 1);
}

/// A directory that does not lie in the last 64 KiB is read without reading that part again.
#[tokio::test]
async fn a_long_directory_is_read_in_one_more_request() {
    let names: Vec<String> =
        (0..2000).map(|index| format!("group/array/c/{index:040}")).chain(["zarr.json".into()]).collect();
    let archive = stored(&names.iter().map(|name| (name.as_str(), name.as_bytes())).collect::<Vec<_>>());
    let (memory, folder) = open(archive).await.unwrap();
    let requests = memory.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0].start, requests[1].end);
    for name in &names {
        assert_eq!(folder.read(name, None).await.unwrap().unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_later_open_reads_nothing_and_damaged_records_are_written_anew() {
    let records = Records::default();
    for damage in [None, Some(0), Some(20), Some(60)] {
        let memory = Memory::new(fixture("v3.zip"));
        let before = records.0.lock().unwrap().values().next().cloned();
        if let Some(at) = damage {
            records.0.lock().unwrap().values_mut().next().unwrap()[at] ^= 1;
        }
        let folder = ZipFolder::open(Arc::clone(&memory) as _, &records, &MARKERS).await.unwrap();
        let expected = if damage.is_some() || before.is_none() { 1 } else { 0 };
        assert_eq!(memory.requests().len(), expected, "{damage:?}");
        assert!(folder.read("zarr.json", None).await.unwrap().is_some());
        assert!(before.is_none() || before == records.0.lock().unwrap().values().next().cloned());
    }
    let memory = Memory::new(fixture("v3.zip"));
    ZipFolder::open(Arc::clone(&memory) as _, &records, &MARKERS).await.unwrap();
    assert_eq!(memory.requests(), []);
}

/// An archive of these stored entries without extra fields.
fn stored(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let offset = archive.len() as u32;
        let mut common = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
        common.extend(libdeflater::crc32(content).to_le_bytes());
        common.extend([content.len() as u32; 2].map(u32::to_le_bytes).concat());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        archive.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), content].concat());
        let tail = [&[0; 10], offset.to_le_bytes().as_slice(), name.as_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\x00", common.as_slice(), &tail].concat());
    }
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([entries.len() as u16; 2].map(u16::to_le_bytes).concat());
    end.extend([directory.len() as u32, archive.len() as u32].map(u32::to_le_bytes).concat());
    [archive, directory, end, vec![0, 0]].concat()
}

/// Where `needle` first lies in `bytes`.
fn place(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[tokio::test]
async fn what_is_damaged_or_not_supported_is_an_error_by_name() {
    let whole = stored(&[("zarr.json", b"{}"), ("x", b"content")]);
    let end = place(&whole, b"PK\x05\x06");
    let entry = place(&whole, b"PK\x01\x02");
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    let rows: [(&str, Vec<u8>, Kind, &str); 14] = [
        ("empty", Vec::new(), Kind::DataLoss, "cut off or no zip archive"),
        ("text", b"not a zip archive at all, but a text".to_vec(), Kind::DataLoss, "cut off or no zip archive"),
        ("cut", whole[..whole.len() - 1].to_vec(), Kind::DataLoss, "cut off or no zip archive"),
        ("bytes after the end", [&whole[..], b"x"].concat(), Kind::DataLoss, "cut off or no zip archive"),
        ("bytes before the start", [b"#!/bin/sh", &whole[..]].concat(), Kind::DataLoss, "no entry starts there"),
        ("disk", changed(end + 4, &[1]), Kind::Unimplemented, "several disks"),
        ("entries here", changed(end + 8, &[1]), Kind::Unimplemented, "several disks"),
        ("too many entries", changed(end + 8, &[9, 9, 9, 9]), Kind::DataLoss, "directory of 2313 entries"),
        ("fewer entries", changed(end + 8, &[1, 0, 1, 0]), Kind::DataLoss, "follow the last entry"),
        ("directory outside", changed(end + 16, &[0xff, 0xff, 0xff, 0x7f]), Kind::DataLoss, "directory of 2 entries"),
        ("entry outside", changed(entry + 42, &[0xff, 0xff]), Kind::DataLoss, "entry 'zarr.json' of 2 bytes at 65535"),
        ("masked", changed(entry + 9, &[0x28]), Kind::Unimplemented, "encrypted directory"),
        ("sizes differ", changed(entry + 24, &[9]), Kind::DataLoss, "entry 'zarr.json' is stored as it is"),
        ("no zip64 field", changed(entry + 42, &[0xff; 4]), Kind::DataLoss, "lacks a number in its zip64"),
    ];
    for (label, bytes, kind, words) in rows {
        let error = open(bytes).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), kind, "{label}: {error:?}");
        assert!(message(&error).contains("memory:a.zip") && message(&error).contains(words), "{label}: {error:?}");
    }
    let rows: [(&str, Vec<u8>, Kind, &str); 5] = [
        ("encrypted", changed(entry + 8, &[1]), Kind::Unimplemented, "entry 'zarr.json' is encrypted"),
        ("method", changed(entry + 10, &[14]), Kind::Unimplemented, "compression method 14"),
        ("local header", changed(0, b"QK"), Kind::DataLoss, "another header is there"),
        ("local name", changed(30, b"y"), Kind::DataLoss, "another header is there"),
        ("content", changed(39, b"["), Kind::DataLoss, "its checksum is"),
    ];
    for (label, bytes, kind, words) in rows {
        let (_, folder) = open(bytes).await.unwrap();
        let error = folder.read("zarr.json", None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{label}: {error:?}");
        assert!(message(&error).contains(words), "{label}: {error:?}");
        assert_eq!(folder.read("x", None).await.unwrap().unwrap(), "content", "{label}");
    }
}

#[tokio::test]
async fn a_deflated_entry_never_takes_more_than_it_announces() {
    let whole = fixture("folder_deflated.zip");
    let name = b"store/zarr.json";
    let entry = place(&whole, b"PK\x01\x02");
    let entry = entry + place(&whole[entry..], name) - 46;
    for (size, kind) in [(1_u32, Kind::DataLoss), (1 << 20, Kind::DataLoss), (0x7fff_ffff, Kind::ResourceExhausted)] {
        let mut copy = whole.clone();
        copy[entry + 24..entry + 28].copy_from_slice(&size.to_le_bytes());
        let (_, folder) = open(copy).await.unwrap();
        let error = folder.read("zarr.json", None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{size}: {error:?}");
        assert!(message(&error).contains("store/zarr.json"), "{error:?}");
    }
}

#[tokio::test]
async fn the_store_is_at_the_root_or_in_one_folder() {
    let rows: [(&[&str], Result<&str, Kind>); 6] = [
        (&["zarr.json", "a/zarr.json", "b/zarr.json"], Ok("memory:a.zip")),
        (&["__MACOSX/x", "a/zarr.json", "a/b/zarr.json", "readme"], Ok("memory:a.zip/a")),
        (&["a/zarr.json", "b/zarr.json"], Err(Kind::InvalidArgument)),
        (&["a/b/zarr.json"], Err(Kind::NotFound)),
        (&["/zarr.json"], Err(Kind::NotFound)),
        (&[], Err(Kind::NotFound)),
    ];
    for (names, url) in rows {
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b"{}"[..])).collect();
        let found = open(stored(&entries)).await;
        let found = found.map(|(_, folder)| folder.url().to_owned()).map_err(|error| error.kind());
        assert_eq!(found, url.map(str::to_owned), "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is damaged, a whole entry is right or an error: a checksum covers it.
    #[test]
    fn damaged_archives_give_errors_or_the_right_bytes(
        name in prop::sample::select(vec!["folder_stored.zip", "folder_deflated.zip", "zip64.zip", "longer_headers.zip"]),
        at: prop::sample::Index,
        byte: u8,
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(name);
        let index = at.index(bytes.len());
        bytes[index] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let Ok((_, folder)) = open(bytes).await else { return };
            let root = if name.starts_with("folder_") { "store/" } else { "" };
            let entries = expected().remove(name).unwrap();
            for path in folder.list("").await.unwrap() {
                let _ = folder.read(&path, Some(0..1)).await;
                let Ok(Some(content)) = folder.read(&path, None).await else { continue };
                let Some((size, checksum)) = entries.get(&format!("{root}{path}")) else { continue };
                // A changed checksum of the directory never meets other content.
                assert_eq!((content.len() as u64, libdeflater::crc32(&content)), (*size, *checksum), "{path}");
            }
        });
    }
}
