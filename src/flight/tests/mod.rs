//! Tests of the Flight module: sizes and messages against the IPC encoder, descriptors and actions,
//! and a server of canned answers over a real connection.

mod canned;
mod encoding;
mod forms;
mod framing;
mod pieces;
mod serving;
mod sizes;
mod zoo;
