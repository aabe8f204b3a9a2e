//! Bytes in: URLs to object stores, objects pinned to the version seen at open, exact ranged reads.
//!
//! Sits under every format. It never interprets a byte and never decides what to read: callers name
//! ranges, storage fetches them, counts them, retries them, and refuses a changed object.
//!
//! ```text
//! url ─ Storages::resolve ─▶ Location ─ open(identity) ─▶ PinnedObject ─▶ read / read_cached
//!        (allow-list)           │                              │ If-Match      │ block cache
//!                               └───────── MeteredStore: permits, retries, resumed bodies, counters
//! ```
//!
//! Four kinds of folders look the same to the formats: objects below a URL, those that a listing pinned,
//! those of a store that refuses to be listed, and the entries of a zip archive (`zip`), which is one
//! pinned object.

mod azure;
mod block_cache;
mod cloud;
mod connect;
mod disk_cache;
mod exact;
mod failure;
mod first_look;
mod folder;
mod gcs;
mod kind;
mod local_guard;
mod location;
mod meter;
mod metered_store;
mod names;
mod options;
mod pace;
mod pin;
mod pinned_folder;
mod pinned_object;
mod pinned_store;
pub mod reader;
mod repository;
mod requests;
mod resumed_body;
mod retry;
mod root_options;
mod s3;
mod scheme;
mod siblings;
mod storages;
mod unlisted_folder;
mod watch;
mod web;
mod zip;

pub use disk_cache::DiskCounts;
pub use failure::{error_of, find_error};
pub use kind::StorageKind;
pub use location::{absolute_url, join_url};
pub use meter::{Meter, MeterSnapshot};
pub use metered_store::MeteredStore;
pub use options::{RetryPolicy, StorageOptions};
pub use pace::Pace;
pub use pinned_store::PinnedStore;
pub use siblings::StoredSiblings;
pub use storages::{ListedFile, Location, StorageRoot, Storages};
pub use zip::{MAX_DIRECTORY_BYTES, MAX_ENTRIES, MAX_INFLATED_BYTES, MAX_KEPT_INFLATED_BYTES};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_s3;
