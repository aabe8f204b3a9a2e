//! Compiles the wire contract with protox (no system protoc) and writes the descriptors that
//! gRPC reflection serves.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const SLICE_PROTO: &str = "proto/sliceflight/v1/slice.proto";
const FLIGHT_PROTO: &str = "proto/arrow/flight/protocol/Flight.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);

    let described = protox::compile([SLICE_PROTO, FLIGHT_PROTO], ["proto"])?;
    std::fs::write(out_dir.join("descriptors.bin"), described.encode_to_vec())?;

    // Flight's own messages come from arrow-flight; only ours are generated.
    let own = protox::compile([SLICE_PROTO], ["proto"])?;
    prost_build::Config::new().compile_fds(own)?;
    Ok(())
}
