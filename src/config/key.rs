//! Every key of the configuration but `[[storage]]`: its name and how its value is taken.

use std::path::PathBuf;

use super::value::Raw;
use super::{Config, LARGEST_MESSAGE_BYTES};
use crate::engine::MergeGap;
use crate::ticket::MAX_TICKET_BYTES;

/// One key.
pub(super) struct Key {
    /// Name in the file, with its section: `limits.memory_budget`.
    pub(super) name: &'static str,
    /// Takes the value.
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
}

macro_rules! keys {
    ($($name:literal => $($field:ident).+ = |$raw:ident| $value:expr),* $(,)?) => {
        /// All keys.
        pub(super) static KEYS: &[Key] = &[$(Key {
            name: $name,
            set: |config, $raw| {
                config.$($field).+ = $value;
                Ok(())
            },
        }),*];
    };
}

keys! {
    "listen" => listen = |raw| listen(raw)?,
    "registry" => registry = |raw| PathBuf::from(raw.text()?),
    "allow_register" => allow_register = |raw| raw.boolean()?,
    "log" => log = |raw| log(raw)?,
    "limits.max_ticket_bytes" => transport.max_ticket_bytes = |raw| within(raw, 1 << 10, MAX_TICKET_BYTES as u64)?,
    "limits.message_bytes" => transport.message_bytes = |raw| within(raw, 1 << 10, LARGEST_MESSAGE_BYTES)?,
    "limits.endpoint_bytes" => transport.endpoint_bytes = |raw| within(raw, 1 << 20, u64::MAX)?,
    "limits.max_concurrent_streams" => transport.max_concurrent_streams = |raw| streams(raw)?,
    "limits.max_decoding_message_bytes" =>
        transport.max_decoding_message_bytes = |raw| within(raw, 1 << 20, 1 << 30)?,
    "limits.drain_time" => transport.drain_time = |raw| raw.duration()?,
    "limits.memory_budget" => limits.memory_budget = |raw| within(raw, 1 << 20, u64::MAX)?,
    "limits.stream_memory" => limits.stream_memory = |raw| within(raw, 1 << 20, u64::MAX)?,
    "limits.requests_in_flight" => limits.requests_in_flight = |raw| raw.count(1)?,
    "limits.memory_wait" => limits.memory_wait = |raw| raw.duration()?,
    "limits.requests_in_flight_per_stream" => limits.requests_in_flight_per_stream = |raw| raw.count(1)?,
    "limits.decode_threads" => limits.decode_threads = |raw| raw.count(0)?,
    "limits.merge_gap" => limits.merge_gap = |raw| merge_gap(raw)?,
    "limits.block_cache_bytes" => limits.block_cache_bytes = |raw| raw.size()?,
    "limits.chunk_cache_bytes" => limits.chunk_cache_bytes = |raw| raw.size()?,
    "disk_cache.path" => disk_cache.path = |raw| folder(raw)?,
    "disk_cache.bytes" => disk_cache.bytes = |raw| within(raw, 1 << 20, u64::MAX)?,
    "column_index.folder" => column_index.folder = |raw| folder(raw)?,
    "column_index.max_bytes" => column_index.max_bytes = |raw| within(raw, 1 << 20, u64::MAX)?,
    "column_index.after" => column_index.after = |raw| raw.count(0)?,
    "limits.hdf5_workers" => limits.hdf5_workers = |raw| raw.count(0)?,
    "limits.hdf5_worker_memory" => limits.hdf5_worker_memory = |raw| within(raw, 64 << 20, u64::MAX)?,
    "limits.hdf5_worker_time" => limits.hdf5_worker_time = |raw| raw.duration()?,
    "retry.attempts" => limits.retry_attempts = |raw| raw.count(0)?,
    "retry.initial_backoff" => limits.retry_initial_backoff = |raw| raw.duration()?,
    "retry.max_backoff" => limits.retry_max_backoff = |raw| raw.duration()?,
    "retry.timeout" => limits.retry_timeout = |raw| raw.duration()?,
    "retry.request_timeout" => limits.request_timeout = |raw| raw.duration()?,
}

fn listen(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if valid { Ok(text) } else { Err(format!("expected HOST:PORT, found '{text}'")) }
}

fn log(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    match tracing_subscriber::EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("expected a log filter such as 'info', found '{text}': {error}")),
    }
}

fn within(raw: &Raw, minimum: u64, maximum: u64) -> Result<u64, String> {
    let size = raw.size()?;
    if size < minimum {
        return Err(format!("{size} bytes is below the minimum of {minimum}"));
    }
    if size > maximum {
        return Err(format!("{size} bytes is over the maximum of {maximum}"));
    }
    Ok(size)
}

fn merge_gap(raw: &Raw) -> Result<MergeGap, String> {
    match raw {
        Raw::Text(text) if text == "auto" => Ok(MergeGap::Auto),
        other => {
            let bytes = other.size().map_err(|error| error.replacen("expected", "expected 'auto' or", 1))?;
            Ok(MergeGap::Bytes(bytes))
        }
    }
}

/// A folder, or an empty text for none.
fn folder(raw: &Raw) -> Result<PathBuf, String> {
    match raw {
        Raw::Text(text) if text.is_empty() => Ok(PathBuf::new()),
        other => Ok(PathBuf::from(other.text()?)),
    }
}

fn streams(raw: &Raw) -> Result<u32, String> {
    let count = raw.count(1)?;
    u32::try_from(count).map_err(|_| format!("{count} is over the maximum of {}", u32::MAX))
}
