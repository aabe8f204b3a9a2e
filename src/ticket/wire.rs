//! The messages of `proto/sliceflight/v1/slice.proto`, generated at build time.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code; the proto file documents it")]

include!(concat!(env!("OUT_DIR"), "/sliceflight.v1.rs"));
