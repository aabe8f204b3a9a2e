//! Many small `DoGet`s at the same time: `flight-load --server grpc://HOST:PORT --tickets FILE`.
//!
//! Without `--rate` each of the workers asks for its next answer when it has one: how many answers per second the
//! server gives. With `--rate` requests are due at fixed times, and a time is counted from when its request was due,
//! so that a server which falls behind cannot hide it. One JSON object is printed.

mod flight;
mod report;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use prost::bytes::Bytes;
use tokio::task::JoinSet;

use flight::Connection;
use report::{Seen, cpu_seconds};

type Failure = Box<dyn Error + Send + Sync>;

/// Loads a Flight server with small answers.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// The server, `grpc://HOST:PORT`.
    #[arg(long)]
    server: String,
    /// A file with a ticket on each line; they are asked for in turn.
    #[arg(long)]
    tickets: std::path::PathBuf,
    /// Connections, among which the workers are spread.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Answers that are waited for at the same time.
    #[arg(long, default_value_t = 32)]
    concurrent: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before these, not counted.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Requests per second; without it, as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// The server's process, whose CPU time is reported.
    #[arg(long, default_value = "")]
    process: String,
    /// Threads of this program.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let text = std::fs::read_to_string(&options.tickets)?;
    let tickets: Vec<Bytes> =
        text.lines().filter(|line| !line.is_empty()).map(|line| Bytes::copy_from_slice(line.as_bytes())).collect();
    if tickets.is_empty() || options.connections == 0 || options.concurrent == 0 {
        return Err("expected at least one ticket, connection and worker".into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    let report = runtime.block_on(run(options, tickets))?;
    println!("{report}");
    Ok(())
}

async fn run(options: Options, tickets: Vec<Bytes>) -> Result<serde_json::Value, Failure> {
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(&options.server).await?);
    }
    let mut sizes = Vec::new();
    for ticket in &tickets {
        let first = connections[0].get(ticket.clone()).await?;
        sizes.push(first.bytes);
    }
    let load = Arc::new(Load { tickets, sizes, next: AtomicU64::new(0), rate: options.rate });
    load.over(&connections, options.concurrent, Duration::from_secs_f64(options.warm_up)).await?;
    let used = || (cpu_seconds("self"), cpu_seconds(&options.process));
    let (start, (client, server)) = (Instant::now(), used());
    let seen = load.over(&connections, options.concurrent, Duration::from_secs_f64(options.seconds)).await?;
    let (elapsed, now) = (start.elapsed(), used());
    Ok(seen.report(elapsed, now.0 - client, now.1 - server))
}

/// What all workers share.
struct Load {
    tickets: Vec<Bytes>,
    /// Bytes of each ticket's first answer.
    sizes: Vec<u64>,
    next: AtomicU64,
    rate: Option<f64>,
}

impl Load {
    /// Runs workers for `time`; gives what they saw.
    async fn over(
        self: &Arc<Self>,
        connections: &[Connection],
        workers: usize,
        time: Duration,
    ) -> Result<Seen, Failure> {
        self.next.store(0, Ordering::Relaxed);
        let start = Instant::now();
        let mut running = JoinSet::new();
        for worker in 0..workers {
            let connection = connections[worker % connections.len()].clone();
            running.spawn(Arc::clone(self).worker(connection, start, time));
        }
        let mut all = Seen::default();
        while let Some(seen) = running.join_next().await {
            all.add(seen??);
        }
        Ok(all)
    }

    async fn worker(
        self: Arc<Self>,
        mut connection: Connection,
        start: Instant,
        time: Duration,
    ) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = self.rate.map(|rate| start + Duration::from_secs_f64(number as f64 / rate));
            let from = due.unwrap_or_else(Instant::now);
            if from.duration_since(start) >= time {
                return Ok(seen);
            }
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            let place = number as usize % self.tickets.len();
            let answer = connection.get(self.tickets[place].clone()).await?;
            seen.times.push(from.elapsed());
            seen.total.messages += answer.messages;
            seen.total.bytes += answer.bytes;
            seen.odd += u64::from(answer.bytes != self.sizes[place]);
        }
    }
}
