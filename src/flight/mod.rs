//! Arrow Flight around the engine: the only module that knows tonic and arrow-flight.
//!
//! Sits between gRPC and [`crate::engine::Engine`]: it decodes descriptors, tickets and action
//! bodies, asks the engine, and encodes the answer. It does not decide what is read, and it holds
//! no state between calls.
//!
//! ```text
//! descriptor ─▶ info  ─▶ engine.prepare ─▶ FlightInfo: schema, endpoints with tickets
//! ticket     ─▶ get   ─▶ engine.prepare ─▶ stream ─▶ split ─▶ encode ─▶ guard ─▶ direct ─▶ client
//! action     ─▶ action ─▶ engine ─▶ JSON
//! ```

mod action;
mod answer;
mod aside;
mod body;
pub mod client;
mod deadline;
mod dictionary;
mod direct;
mod encode;
pub mod entry;
mod frames;
mod get;
mod guard;
mod info;
mod json;
mod list;
mod message;
mod pieces;
mod service;
mod size;
mod split;
mod status;
#[cfg(test)]
mod tests;
mod transport;

pub use action::act;
pub use service::{Service, Settings};
pub use transport::{Transport, serve};
