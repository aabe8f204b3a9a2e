//! Objects of which only the bytes are kept that libhdf5 itself reads to find things; everything else
//! reads as zeros. They answer after a fixed time, and keep the blocks that were read, as storage does.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::clock::Clock;
use super::memory::fixture;
use crate::error::Result;
use crate::format::codec::deflate;
use crate::format::hdf5::Hdf5File;
use crate::model::chunk::{ChunkLocation, ChunkPosition};
use crate::storage::reader::{ObjectIdentity, RangeReader};

const BLOCK: u64 = 64 * 1024;

#[derive(Debug)]
pub(in crate::format::hdf5) struct RangesReader {
    identity: ObjectIdentity,
    ranges: BTreeMap<u64, Vec<u8>>,
    latency: Duration,
    pub(in crate::format::hdf5) clock: Clock,
    kept: Mutex<HashSet<u64>>,
    pub(in crate::format::hdf5) requests: AtomicU64,
    pub(in crate::format::hdf5) bytes: AtomicU64,
    running: AtomicUsize,
    pub(in crate::format::hdf5) most_running: AtomicUsize,
}

impl RangesReader {
    /// The object of `tests/fixtures/hdf5_index/<name>.ranges`.
    pub(in crate::format::hdf5) fn open(name: &str, latency: Duration) -> Arc<Self> {
        let packed = std::fs::read(fixture(&format!("hdf5_index/{name}.ranges"))).unwrap();
        let plain = deflate::decompress(&packed, packed.len() * 8, 1 << 27).unwrap();
        let number = |at: usize, size: usize| {
            plain[at..at + size].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (mut ranges, mut at) = (BTreeMap::new(), 8);
        while at < plain.len() {
            let length = number(at + 8, 4) as usize;
            ranges.insert(number(at, 8), plain[at + 12..at + 12 + length].to_vec());
            at += 12 + length;
        }
        let url = format!("memory://{name}");
        let identity = ObjectIdentity { url, etag: "\"1\"".into(), version: None, size: number(0, 8) };
        Arc::new(Self {
            identity,
            ranges,
            latency,
            clock: Clock::default(),
            kept: Mutex::default(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
        })
    }

    /// Requests and bytes so far.
    pub(in crate::format::hdf5) fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst))
    }

    fn part(&self, range: Range<u64>) -> Bytes {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let before = self.ranges.range(..=range.start).next_back().map_or(0, |(start, _)| *start);
        for (start, kept) in self.ranges.range(before..range.end) {
            let (from, to) = ((*start).max(range.start), (start + kept.len() as u64).min(range.end));
            if from < to {
                let target = &mut bytes[(from - range.start) as usize..(to - range.start) as usize];
                target.copy_from_slice(&kept[(from - start) as usize..(to - start) as usize]);
            }
        }
        bytes.into()
    }
}

#[async_trait]
impl RangeReader for RangesReader {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        self.clock.sleep(self.latency).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(self.part(range))
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let absent: Vec<u64> = {
            let kept = self.kept.lock().unwrap();
            blocks.filter(|block| !kept.contains(block)).collect()
        };
        if let (Some(first), Some(last)) = (absent.first(), absent.last()) {
            self.read(first * BLOCK..((last + 1) * BLOCK).min(self.identity.size)).await?;
            self.kept.lock().unwrap().extend(absent);
        }
        Ok(self.part(range))
    }
}

/// What h5py says of `name`: for each chunked dataset, how many chunks and the CRC of their rows.
pub(in crate::format::hdf5) fn expected(name: &str) -> Vec<(String, u64, u64)> {
    let text = std::fs::read_to_string(fixture(&format!("hdf5_index/{name}.json"))).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let datasets = json["datasets"].as_object().unwrap().iter();
    datasets.map(|(path, of)| (path.clone(), of["chunks"].as_u64().unwrap(), of["crc"].as_u64().unwrap())).collect()
}

/// The same of an opened file.
pub(in crate::format::hdf5) async fn found(file: &Hdf5File, path: &str) -> (u64, u64) {
    let array = file.tree().array(path).unwrap();
    let grid = array.grid();
    let total: u64 = grid.iter().product();
    let positions: Vec<ChunkPosition> = (0..total)
        .map(|number| {
            let mut rest = number;
            let mut position: Vec<u64> = grid.iter().rev().map(|count| (rest % count, rest /= count).0).collect();
            position.reverse();
            position
        })
        .collect();
    let locations = file.locate(path, &positions).await.unwrap();
    let (mut count, mut crc) = (0, libdeflater::Crc::new());
    for (position, location) in positions.iter().zip(locations) {
        let ChunkLocation::Range { offset, length, filter_mask } = location else { continue };
        count += 1;
        for (at, chunk) in position.iter().zip(&array.chunk_shape) {
            crc.update(&(at * chunk).to_le_bytes());
        }
        crc.update(&offset.to_le_bytes());
        crc.update(&length.to_le_bytes());
        crc.update(&filter_mask.to_le_bytes());
    }
    (count, u64::from(crc.sum()))
}
