//! Web roots against scripted servers.

mod http;
mod hub;
mod server;
