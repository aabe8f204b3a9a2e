//! Web roots against scripted servers.

mod cloud;
mod http;
mod hub;
mod server;
