//! A small S3-compatible server for tests, the demo and benchmarks.
//!
//! It serves a folder whose first-level folders are buckets, read fresh at each
//! request, and puts a simulated network (latency, bandwidth), faults set at run
//! time, counters and a request log in front of it.
//!
//! What it does not do: versions, user metadata, content types, access control
//! lists, copies, ListObjects (the first version), virtual-hosted buckets, TLS.
//! It is no place to keep data.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod access;
mod admin;
mod cloud;
mod config;
mod fault;
mod fault_set;
mod front;
mod journal;
mod network;
mod question;
mod random;
mod sent_body;
mod server;
mod storage;

pub use config::{Config, Profile};
pub use fault::{Fault, FaultKind};
pub use fault_set::ActiveFault;
pub use journal::{LogEntry, ObjectCount, Stats};
pub use server::Server;
