//! The command `simcloud`: starts one server from flags, says where it listens
//! and runs until it is told to stop.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use simcloud::{Config, Profile, Server};
use tokio::signal::unix::{SignalKind, signal};

/// A small S3-compatible server with counters, faults and a network profile.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Folder whose first-level folders are the buckets
    #[arg(long)]
    root: PathBuf,
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The one access key that is known
    #[arg(long, default_value = "test")]
    access_key: String,
    /// The secret of the access key
    #[arg(long, default_value = "testsecret")]
    secret_key: String,
    /// Bucket that may be read without a signature (repeatable)
    #[arg(long = "anonymous-bucket", value_name = "NAME")]
    anonymous_buckets: Vec<String>,
    /// Compute all ETags (MD5) before answering
    #[arg(long)]
    warm_etags: bool,
    /// Mean time to the first byte, in milliseconds
    #[arg(long, default_value_t = 0.0, value_name = "MEAN")]
    latency_ms: f64,
    /// Standard deviation of that time; 1 % of requests take four times as long
    #[arg(long, default_value_t = 0.0, value_name = "STD")]
    jitter_ms: f64,
    /// Bandwidth of each body, in 10^6 bytes per second
    #[arg(long)]
    connection_mbps: Option<f64>,
    /// Bandwidth shared by all bodies, in 10^6 bytes per second
    #[arg(long)]
    total_mbps: Option<f64>,
    /// Seed of the latencies
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl From<Flags> for Config {
    fn from(flags: Flags) -> Self {
        Self {
            root: flags.root,
            listen: flags.listen,
            access_key: flags.access_key,
            secret_key: flags.secret_key,
            anonymous_buckets: flags.anonymous_buckets,
            warm_etags: flags.warm_etags,
            profile: Profile {
                latency_ms: flags.latency_ms,
                jitter_ms: flags.jitter_ms,
                connection_mbps: flags.connection_mbps,
                total_mbps: flags.total_mbps,
            },
            seed: flags.seed,
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(Flags::parse().into()).await?;
    let mut output = std::io::stdout();
    writeln!(output, "listening on {}", server.url())?;
    output.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}
