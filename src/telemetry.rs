//! Logging: structured events on stderr, filtered as configured. stdout belongs to results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};

/// Starts logging with `filter` (`info`, `warn,sliceflight=debug`). A second call changes nothing.
///
/// # Errors
/// `InvalidArgument` when the filter is malformed.
pub fn start(filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| Error::invalid(format!("log filter '{filter}': {error}")))?;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
