//! Web roots against scripted servers.

mod http;
mod server;
