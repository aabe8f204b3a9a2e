//! Counters and the log of S3 requests.
//!
//! A request is counted when it arrives and logged when its last body byte has
//! been handed to the connection (or it was given up), always before the client
//! can see that byte. What the connection had buffered when a client hung up
//! counts as sent. Admin requests do not come here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use serde::Serialize;

use crate::fault_set::ActiveFault;
use crate::question::Question;

/// How many requests the log keeps.
const LOG_LIMIT: usize = 100_000;

/// Requests and bytes of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCount {
    /// Requests for it.
    pub requests: u64,
    /// Body bytes sent of it.
    pub bytes_sent: u64,
}

/// Counters since the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// S3 requests that arrived.
    pub requests: u64,
    /// The same by method; listings are `LIST`.
    pub by_method: BTreeMap<String, u64>,
    /// Requests and bytes by `bucket/key`; listings are left out.
    pub by_object: BTreeMap<String, ObjectCount>,
    /// Body bytes sent in all.
    pub bytes_sent: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most that were being answered at once.
    pub max_in_flight: u64,
    /// Faults injected.
    pub faults_injected: u64,
    /// The faults active now.
    pub faults: Vec<ActiveFault>,
}

/// One request of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEntry {
    /// Its place in the order of arrival since the reset, from 0.
    pub seq: u64,
    /// The HTTP method, or `LIST`.
    pub method: String,
    /// The bucket.
    pub bucket: String,
    /// The key, or a listing's prefix.
    pub key: String,
    /// For a GET that was answered: the first byte and the one after the last.
    pub range: Option<[u64; 2]>,
    /// The If-Match header.
    pub if_match: Option<String>,
    /// The status sent; 0 if none was.
    pub status: u16,
    /// Body bytes sent.
    pub bytes: u64,
    /// When it arrived, in milliseconds since 1970.
    pub arrived: f64,
    /// From arrival to the last byte.
    pub millis: f64,
}

/// What is counted and logged, and which reset it belongs to.
#[derive(Debug, Default)]
struct Pages {
    stats: Stats,
    log: VecDeque<LogEntry>,
    resets: u64,
}

/// The journal of one server.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
}

impl Journal {
    /// Counts a request that has arrived.
    pub(crate) fn begin(self: &Arc<Self>, question: &Question, strikes: u64) -> Passage {
        let mut pages = self.lock();
        let seq = pages.stats.requests;
        let resets = pages.resets;
        let stats = &mut pages.stats;
        stats.requests += 1;
        stats.faults_injected += strikes;
        stats.in_flight += 1;
        stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
        *stats.by_method.entry(question.method.clone()).or_default() += 1;
        let object = (question.method != "LIST" && !question.key.is_empty()).then(|| question.target());
        if let Some(name) = &object {
            stats.by_object.entry(name.clone()).or_default().requests += 1;
        }
        drop(pages);
        let entry = LogEntry {
            seq,
            method: question.method.clone(),
            bucket: question.bucket.clone(),
            key: question.key.clone(),
            range: None,
            if_match: question.if_match.clone(),
            status: 0,
            bytes: 0,
            arrived: SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64() * 1e3),
            millis: 0.0,
        };
        Passage { journal: Arc::clone(self), entry: Some(entry), object, resets, arrived: Instant::now() }
    }

    /// The counters, without the active faults.
    pub(crate) fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    /// The log in order of arrival.
    pub(crate) fn log(&self) -> Vec<LogEntry> {
        let mut entries: Vec<LogEntry> = self.lock().log.iter().cloned().collect();
        entries.sort_by_key(|entry| entry.seq);
        entries
    }

    /// Zeroes counters and log. Requests still on their way leave no more traces
    /// than the number in flight.
    pub(crate) fn reset(&self) {
        let mut pages = self.lock();
        let in_flight = pages.stats.in_flight;
        pages.stats = Stats { in_flight, max_in_flight: in_flight, ..Stats::default() };
        pages.log.clear();
        pages.resets += 1;
    }

    /// The pages, whatever became of a thread that held them.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request on its way through the server; logged when finished or dropped.
#[derive(Debug)]
pub(crate) struct Passage {
    journal: Arc<Journal>,
    entry: Option<LogEntry>,
    object: Option<String>,
    resets: u64,
    arrived: Instant,
}

impl Passage {
    /// Notes the answer's status and, for a GET, the range it sends.
    pub(crate) fn answered(&mut self, status: u16, range: Option<[u64; 2]>) {
        if let Some(entry) = &mut self.entry {
            entry.status = status;
            entry.range = range;
        }
    }

    /// Notes body bytes sent.
    pub(crate) fn sent(&mut self, length: usize) {
        let Some(entry) = &mut self.entry else { return };
        let length = length as u64;
        entry.bytes += length;
        let mut pages = self.journal.lock();
        if pages.resets != self.resets {
            return;
        }
        pages.stats.bytes_sent += length;
        if let Some(count) = self.object.as_ref().and_then(|name| pages.stats.by_object.get_mut(name)) {
            count.bytes_sent += length;
        }
    }

    /// Writes the request into the log; further calls do nothing.
    pub(crate) fn finish(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        entry.millis = self.arrived.elapsed().as_secs_f64() * 1e3;
        let mut pages = self.journal.lock();
        pages.stats.in_flight = pages.stats.in_flight.saturating_sub(1);
        if pages.resets != self.resets {
            return;
        }
        if pages.log.len() >= LOG_LIMIT {
            pages.log.pop_front();
        }
        pages.log.push_back(entry);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.finish();
    }
}
