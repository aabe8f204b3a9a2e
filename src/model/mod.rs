//! The pure words that every other module speaks: requests, selections, data types, trees, chunk
//! locations. Nothing here reads, waits or knows a format's bytes.

pub mod artifact;
pub mod chunk;
pub mod coalesce;
pub mod criteria;
pub mod data_type;
pub mod index_join;
pub mod index_store;
pub mod lookup;
pub mod object_files;
pub mod page;
pub mod request;
pub mod selection;
pub mod shared_cache;
pub mod swap;
pub mod time;
pub mod tree;
