//! The configuration: one commented file, then the environment, then flags, each over the one before.
//!
//! Sits between the process (file, environment, command line) and everything that has a bound or an
//! option. It is the only place that reads the environment for sliceflight's own keys. All mistakes
//! are found at start and reported together, each with the key's name.
//!
//! ```text
//! defaults < sliceflight.toml < SLICEFLIGHT_LIMITS_MEMORY_BUDGET=… < --flag
//! ```

mod key;
mod lamindb;
mod load;
mod storage;
#[cfg(test)]
mod tests;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::{ColumnIndexOptions, EngineOptions, LaminDb, Limits};
use crate::ticket::MAX_TICKET_BYTES;

pub use load::{ENVIRONMENT_PREFIX, INSTANCE_FLAG, Layers};
pub use storage::Storage;

/// No record batch message may be larger, so that clients with gRPC's 4 MiB default can read it.
pub const LARGEST_MESSAGE_BYTES: u64 = 3_670_016;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `HOST:PORT` to listen on; port 0 takes any free one.
    pub listen: String,
    /// The registry's SQLite file.
    pub registry: PathBuf,
    /// Whether clients may register, label, collect and remove through the server.
    pub allow_register: bool,
    /// What is logged, in the words of `tracing`'s filters.
    pub log: String,
    /// Bounds of the server's transport.
    pub transport: Transport,
    /// Bounds of reading.
    pub limits: Limits,
    /// Where blocks of objects are kept on disk.
    pub disk_cache: DiskCache,
    /// Where sparse matrices are kept stored the other way.
    pub column_index: ColumnIndexOptions,
    /// Storages that may be read besides those the registry knows.
    pub storages: Vec<Storage>,
    /// LaminDB instances that are served besides the registry.
    pub instances: Vec<LaminDb>,
}

/// Blocks of objects on a local disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskCache {
    /// The folder; empty keeps nothing.
    pub path: PathBuf,
    /// Most bytes of its files.
    pub bytes: u64,
}

impl Default for DiskCache {
    fn default() -> Self {
        Self { path: PathBuf::new(), bytes: 10 << 30 }
    }
}

/// Bounds of the server's transport; sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Largest ticket, command or action body.
    pub max_ticket_bytes: u64,
    /// Aimed size of a record batch message.
    pub message_bytes: u64,
    /// Aimed size of what one endpoint of a `FlightInfo` answers.
    pub endpoint_bytes: u64,
    /// Most calls at the same time on one connection.
    pub max_concurrent_streams: u32,
    /// Largest message a client may send.
    pub max_decoding_message_bytes: u64,
    /// How long running streams may go on after a stop signal.
    pub drain_time: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            max_ticket_bytes: MAX_TICKET_BYTES as u64,
            message_bytes: 2 << 20,
            endpoint_bytes: 128 << 20,
            max_concurrent_streams: 256,
            max_decoding_message_bytes: 64 << 20,
            drain_time: Duration::from_secs(30),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8815".into(),
            registry: PathBuf::from("sliceflight.db"),
            allow_register: false,
            log: "info".into(),
            transport: Transport::default(),
            limits: Limits::default(),
            disk_cache: DiskCache::default(),
            column_index: ColumnIndexOptions { folder: PathBuf::new(), max_bytes: 10 << 30, after: 4 },
            storages: Vec::new(),
            instances: Vec::new(),
        }
    }
}

impl Config {
    /// What an engine of this configuration is opened with.
    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            registry: self.registry.clone(),
            storages: self.storages.iter().map(|storage| (storage.root.clone(), storage.options.clone())).collect(),
            instances: self.instances.clone(),
            disk_cache: Some(&self.disk_cache)
                .filter(|cache| !cache.path.as_os_str().is_empty())
                .map(|cache| (cache.path.clone(), cache.bytes)),
            column_index: Some(&self.column_index).filter(|options| !options.folder.as_os_str().is_empty()).cloned(),
            limits: self.limits.clone(),
            hdf5_worker: cfg!(feature = "libhdf5").then(|| std::env::current_exe().ok()).flatten(),
            user: String::new(),
        }
    }
}
