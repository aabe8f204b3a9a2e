//! The `sliceflight` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sliceflight::cli::run()
}
