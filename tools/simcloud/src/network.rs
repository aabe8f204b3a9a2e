//! The simulated network: how long a first byte takes, and when each piece of a
//! body may leave.
//!
//! It only computes times; whoever sends does the waiting. Requests' bodies
//! (uploads) are not slowed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Profile;
use crate::random::Random;

/// Idle time that may be made up for, so that late timers do not cost bandwidth.
const CREDIT: Duration = Duration::from_millis(5);
/// Waits shorter than this are left to the next piece: timers are no finer.
const SHORTEST_WAIT: Duration = Duration::from_micros(500);
/// The largest piece of a body sent at once.
const LARGEST_PIECE: usize = 512 * 1024;
/// The smallest piece a slow network cuts bodies into.
const SMALLEST_PIECE: usize = 16 * 1024;
/// Bytes per second in one MB/s.
const MEGA: f64 = 1e6;

/// The profile in force and what is shared by all requests under it.
#[derive(Debug)]
pub(crate) struct Network {
    profile: RwLock<Profile>,
    random: Mutex<Random>,
    shared: Mutex<Option<Instant>>,
}

impl Network {
    /// A network with `profile`, its latencies drawn from `seed`.
    pub(crate) fn new(profile: Profile, seed: u64) -> Self {
        Self { profile: RwLock::new(profile), random: Mutex::new(Random::new(seed)), shared: Mutex::new(None) }
    }

    /// The profile in force.
    pub(crate) fn profile(&self) -> Profile {
        *self.profile.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the profile, for bodies already on their way too.
    pub(crate) fn set_profile(&self, profile: Profile) {
        *self.profile.write().unwrap_or_else(PoisonError::into_inner) = profile;
    }

    /// Draws the time to the first byte of one answer.
    pub(crate) fn latency(&self) -> Duration {
        let profile = self.profile();
        if profile.latency_ms <= 0.0 && profile.jitter_ms <= 0.0 {
            return Duration::ZERO;
        }
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut millis = profile.latency_ms + profile.jitter_ms * random.normal();
        if random.uniform() <= 0.01 {
            millis *= 4.0;
        }
        Duration::from_secs_f64(millis.max(0.0) / 1e3)
    }

    /// Books `length` bytes of the shared bandwidth: when they have passed.
    fn reserve_shared(&self, length: usize, mbps: f64, now: Instant) -> Instant {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = start(*shared, now) + span(length, mbps);
        *shared = Some(passed);
        passed
    }
}

/// The pace of one body.
#[derive(Debug)]
pub(crate) struct Pace {
    network: Arc<Network>,
    own: Option<Instant>,
}

impl Pace {
    /// The pace of a body that has not begun.
    pub(crate) fn new(network: Arc<Network>) -> Self {
        Self { network, own: None }
    }

    /// How many bytes to send at once.
    pub(crate) fn piece(&self) -> usize {
        match self.network.profile().connection_mbps {
            Some(mbps) => ((mbps * MEGA * 0.005) as usize).clamp(SMALLEST_PIECE, LARGEST_PIECE),
            None => LARGEST_PIECE,
        }
    }

    /// Books `length` bytes: when they may leave, or `None` for at once.
    pub(crate) fn reserve(&mut self, length: usize) -> Option<Instant> {
        let profile = self.network.profile();
        if profile.connection_mbps.is_none() && profile.total_mbps.is_none() {
            return None;
        }
        let now = Instant::now();
        let mut due = now;
        if let Some(mbps) = profile.connection_mbps {
            let own = start(self.own, now) + span(length, mbps);
            self.own = Some(own);
            due = due.max(own);
        }
        if let Some(mbps) = profile.total_mbps {
            due = due.max(self.network.reserve_shared(length, mbps, now));
        }
        (due.duration_since(now) >= SHORTEST_WAIT).then_some(due)
    }
}

/// When the next bytes may begin to pass after those booked until `booked`.
fn start(booked: Option<Instant>, now: Instant) -> Instant {
    match booked {
        Some(instant) => instant.max(now.checked_sub(CREDIT).unwrap_or(now)),
        None => now,
    }
}

/// How long `length` bytes take.
fn span(length: usize, mbps: f64) -> Duration {
    Duration::try_from_secs_f64(length as f64 / (mbps * MEGA)).unwrap_or(Duration::MAX / 4)
}
