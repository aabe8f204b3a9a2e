//! How fast a store answers, as its recent requests showed.
//!
//! Sits beside [`super::requests`], which tells it when an answer begins and how its body comes. What
//! it says is used to weigh requests against bytes (see `plan::requests::Merging`); it decides nothing.
//!
//! Two numbers describe a store:
//!
//! * the time to the first byte: the median of the recent requests, so that a slow tail, a retry or
//!   the first connection does not count;
//! * the bandwidth that all bodies share. A body alone shows the bandwidth of one connection. A body
//!   of `n` that come at the same time shows an `n`-th of what they share, so its rate counts `n` times.
//!   The upper quartile of the recent bodies is taken: the bandwidth that was seen, not the one that
//!   small or lonely bodies leave unused. It is a lower bound: a store that was never busy looks slower
//!   than it is, and becomes faster with use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests that are remembered, of each kind.
const REMEMBERED: usize = 32;

/// Requests below which the usual pace of a store is assumed.
const ENOUGH: usize = 4;

/// Shorter bodies come with the head of the answer and say nothing of the bandwidth.
const LEAST_BODY_BYTES: u64 = 64 << 10;

/// No body is taken to come faster than in this time: what was buffered already has no duration.
const LEAST_BODY_TIME: Duration = Duration::from_micros(50);

/// How fast a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From sending a request to the head of its answer.
    pub first_byte: Duration,
    /// What all bodies together bring, in bytes per second.
    pub bytes_per_second: u64,
}

impl Default for Pace {
    /// An object store in the same region, over a link of about 1 Gbit/s.
    fn default() -> Self {
        Self { first_byte: Duration::from_millis(30), bytes_per_second: 100_000_000 }
    }
}

/// Watches the requests to one store.
#[derive(Debug, Default)]
pub(crate) struct PaceMeter {
    bodies: AtomicUsize,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    first_bytes: Ring<Duration>,
    bandwidths: Ring<u64>,
}

impl PaceMeter {
    /// The pace of the recent requests.
    pub(crate) fn pace(&self) -> Pace {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = Pace::default();
        Pace {
            first_byte: recent.first_bytes.quantile(2, 4).unwrap_or(usual.first_byte),
            bytes_per_second: recent.bandwidths.quantile(3, 4).unwrap_or(usual.bytes_per_second),
        }
    }

    /// Notes that the head of an answer came after `elapsed`.
    pub(crate) fn answered(&self, elapsed: Duration) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).first_bytes.push(elapsed);
    }

    /// Notes that a body of `bytes` begins to come.
    pub(crate) fn body(self: &Arc<Self>, bytes: u64) -> BodyWatch {
        let together = self.bodies.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        BodyWatch { meter: Arc::clone(self), bytes, began: Instant::now(), together }
    }

    fn came(&self, bytes: u64, elapsed: Duration, together: f64) {
        if bytes < LEAST_BODY_BYTES {
            return;
        }
        let rate = bytes as f64 / elapsed.max(LEAST_BODY_TIME).as_secs_f64() * together;
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).bandwidths.push(rate as u64);
    }
}

/// A body that comes; counts as one of those in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct BodyWatch {
    meter: Arc<PaceMeter>,
    bytes: u64,
    began: Instant,
    /// Bodies in flight when it began, itself included.
    together: usize,
}

impl BodyWatch {
    /// Notes that the body came whole and without interruption.
    pub(crate) fn came(&self) {
        let now = self.meter.bodies.load(Ordering::Relaxed).max(1);
        let together = (self.together as f64 + now as f64) / 2.0;
        self.meter.came(self.bytes, self.began.elapsed(), together);
    }
}

impl Drop for BodyWatch {
    fn drop(&mut self) {
        self.meter.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The last [`REMEMBERED`] samples.
#[derive(Debug)]
struct Ring<T> {
    samples: Vec<T>,
    next: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { samples: Vec::new(), next: 0 }
    }
}

impl<T: Copy + Ord> Ring<T> {
    fn push(&mut self, sample: T) {
        match self.samples.get_mut(self.next) {
            Some(oldest) => *oldest = sample,
            None => self.samples.push(sample),
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// The sample below which `part` of `of` equal parts lie; none while there are too few.
    fn quantile(&self, part: usize, of: usize) -> Option<T> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted.get(((sorted.len() - 1) * part).div_ceil(of.max(1))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_usual_pace_holds_until_there_are_enough_requests() {
        let meter = PaceMeter::default();
        (0..ENOUGH - 1).for_each(|_| meter.answered(7 * MILLISECOND));
        assert_eq!(meter.pace(), Pace::default());
        meter.answered(7 * MILLISECOND);
        assert_eq!(meter.pace().first_byte, 7 * MILLISECOND);
        assert_eq!(meter.pace().bytes_per_second, Pace::default().bytes_per_second);
    }

    #[test]
    fn a_slow_tail_does_not_count_and_old_requests_are_forgotten() {
        let meter = PaceMeter::default();
        for request in 0..2 * REMEMBERED {
            meter.answered(if request % 5 == 0 { 900 * MILLISECOND } else { 20 * MILLISECOND });
        }
        assert_eq!(meter.pace().first_byte, 20 * MILLISECOND);
        (0..REMEMBERED).for_each(|_| meter.answered(80 * MILLISECOND));
        assert_eq!(meter.pace().first_byte, 80 * MILLISECOND);
    }

    #[test]
    fn bodies_that_share_the_link_count_together() {
        let meter = PaceMeter::default();
        // Sixteen connections of 5 MB/s each.
        (0..8).for_each(|_| meter.came(1_000_000, 200 * MILLISECOND, 16.0));
        assert_eq!(meter.pace().bytes_per_second, 80_000_000);
        // Small bodies come with their heads.
        (0..REMEMBERED).for_each(|_| meter.came(LEAST_BODY_BYTES - 1, MILLISECOND, 1.0));
        assert_eq!(meter.pace().bytes_per_second, 80_000_000);
    }

    #[test]
    fn a_body_counts_while_it_is_held() {
        let meter = Arc::new(PaceMeter::default());
        let first = meter.body(1 << 20);
        let second = meter.body(1 << 20);
        assert_eq!((first.together, second.together), (1, 2));
        drop(first);
        assert_eq!(meter.body(1).together, 2);
        drop(second);
        assert_eq!(meter.bodies.load(Ordering::Relaxed), 0);
    }
}
