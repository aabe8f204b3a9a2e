//! The `sliceflight` program.

use std::process::ExitCode;

/// Buffers of slices come and go by the hundred a second: this allocator neither fetches their pages from the system each
/// time nor keeps them for long. `.cargo/config.toml` says for how long, ADR 16 why.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    sliceflight::cli::run()
}
