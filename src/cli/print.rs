//! Results on stdout.

use std::io::{ErrorKind, Write};

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Writes `text` and a newline to stdout.
///
/// # Errors
/// `Cancelled` when the reader of stdout went away.
pub(super) fn line(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(stdout_error)
}

/// Writes indented JSON to stdout.
///
/// # Errors
/// As [`line()`].
pub(super) fn json(value: &Value) -> Result<()> {
    line(&format!("{value:#}"))
}

/// Writes `text` and a newline to stderr. When that is closed there is nowhere left to tell it.
///
/// # Errors
/// None: whether it is read changes nothing.
pub(super) fn note(text: &str) -> Result<()> {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
    Ok(())
}

/// The error of a failed write to stdout.
pub(super) fn stdout_error(error: std::io::Error) -> Error {
    let kind = if error.kind() == ErrorKind::BrokenPipe { Kind::Cancelled } else { Kind::Unavailable };
    Error::new(kind, "stdout cannot be written").with_source(error)
}

/// Bytes in the unit in which people read them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {name}") }
}
