//! Bytes in: URLs to object stores, objects pinned to the version seen at open, exact ranged reads.
//!
//! Sits under every format. It never interprets a byte and never decides what to read: callers name
//! ranges, storage fetches them, counts them, retries them, and refuses a changed object.

pub mod reader;
