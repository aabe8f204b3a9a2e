//! Decides whether a failed request is sent again, and after which pause.

use std::time::{Duration, Instant};

use super::failure::StoreFailure;
use super::options::RetryPolicy;

/// The failures of one request so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    failed: u32,
    failing_since: Option<Instant>,
}

impl Attempts {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self { policy: policy.clone(), failed: 0, failing_since: None }
    }

    /// Notes that bytes arrived: the store works, the clock of failures starts anew.
    pub(crate) fn progressed(&mut self) {
        self.failing_since = None;
    }

    /// The pause before the next attempt, or the failure with the number of attempts when there is
    /// none.
    pub(crate) fn pause_after(&mut self, failure: StoreFailure) -> Result<Duration, StoreFailure> {
        self.failed = self.failed.saturating_add(1);
        let elapsed = self.failing_since.get_or_insert_with(Instant::now).elapsed();
        let pause = self.pause();
        let spent = self.failed > self.policy.max_retries || elapsed + pause > self.policy.total_time;
        if failure.retry && !spent { Ok(pause) } else { Err(failure.after(self.failed)) }
    }

    /// Twice as long after each failure, shortened at random by up to half.
    fn pause(&self) -> Duration {
        let doublings = self.failed.saturating_sub(1).min(16);
        let full = self.policy.first_pause.saturating_mul(1 << doublings).min(self.policy.longest_pause);
        // Without randomness the full pause is as good as any.
        let random = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
        full.mul_f64(1.0 - random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn failure(retry: bool) -> StoreFailure {
        StoreFailure::new(Kind::Unavailable, "the store answered with status 503", retry)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy {
            max_retries: 4,
            total_time: Duration::from_secs(60),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(300),
        };
        let mut attempts = Attempts::new(&policy);
        for full in [100, 200, 300, 300] {
            let pause = attempts.pause_after(failure(true)).unwrap();
            let full = Duration::from_millis(full);
            assert!(pause <= full && pause >= full / 2, "{pause:?} for {full:?}");
        }
        assert_eq!(attempts.pause_after(failure(true)).unwrap_err().attempts, 5);
    }

    #[test]
    fn a_failure_that_would_come_again_is_not_repeated() {
        let mut attempts = Attempts::new(&RetryPolicy::default());
        assert_eq!(attempts.pause_after(failure(false)).unwrap_err().attempts, 1);
    }

    #[test]
    fn time_bounds_repetitions_and_progress_starts_the_clock_anew() {
        let policy = RetryPolicy {
            total_time: Duration::from_millis(20),
            first_pause: Duration::ZERO,
            ..RetryPolicy::default()
        };
        let mut attempts = Attempts::new(&policy);
        assert!(attempts.pause_after(failure(true)).is_ok());
        std::thread::sleep(Duration::from_millis(25));
        attempts.progressed();
        assert!(attempts.pause_after(failure(true)).is_ok());
        std::thread::sleep(Duration::from_millis(25));
        assert!(attempts.pause_after(failure(true)).is_err());
    }
}
