//! What a run says: rates and quantiles as one JSON object.

use std::time::Duration;

use serde_json::{Value, json};

use crate::flight::Answer;

/// Ticks per second of the times in `/proc`; 100 on every Linux of today.
const TICKS: f64 = 100.0;

/// What was seen by one worker or all.
#[derive(Debug, Default)]
pub struct Seen {
    /// Times of answers.
    pub times: Vec<Duration>,
    /// All answers together.
    pub total: Answer,
    /// Answers of another size than the first of their ticket.
    pub odd: u64,
}

impl Seen {
    /// Adds what another worker saw.
    pub fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.total.messages += other.total.messages;
        self.total.bytes += other.total.bytes;
        self.odd += other.odd;
    }

    /// The report of a run of `elapsed`, in which this process and the server used so many seconds.
    pub fn report(mut self, elapsed: Duration, client_cpu: f64, server_cpu: f64) -> Value {
        self.times.sort_unstable();
        let count = self.times.len() as f64;
        json!({
            "answers": self.times.len(),
            "seconds": elapsed.as_secs_f64(),
            "per_second": count / elapsed.as_secs_f64(),
            "bytes_each": self.total.bytes as f64 / count.max(1.0),
            "messages_each": self.total.messages as f64 / count.max(1.0),
            "odd_answers": self.odd,
            "p50_ms": self.quantile(0.5),
            "p99_ms": self.quantile(0.99),
            "p999_ms": self.quantile(0.999),
            "max_ms": self.quantile(1.0),
            "client_cpu_seconds": client_cpu,
            "server_cpu_seconds": server_cpu,
        })
    }

    /// The smallest time that `part` of all do not exceed, in milliseconds; the times are sorted.
    fn quantile(&self, part: f64) -> f64 {
        let rank = (self.times.len() as f64 * part).ceil() as usize;
        self.times.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

/// CPU time of a process (`self`, or its number) so far, in seconds; 0 where that cannot be read.
pub fn cpu_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    // After the name: state, …; user and system time are the 12th and 13th of these.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
