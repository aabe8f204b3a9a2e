//! Progress of long work, on a terminal's stderr only.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `length` steps; hidden when stderr is no terminal.
pub(super) fn bar(length: u64) -> ProgressBar {
    styled(ProgressBar::with_draw_target(Some(length), target()), "{bar:40} {pos}/{len} {msg}")
}

/// A counter without an end; hidden when stderr is no terminal.
pub(super) fn counter() -> ProgressBar {
    let progress = styled(ProgressBar::with_draw_target(None, target()), "{spinner} {pos} rows {msg}");
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn styled(progress: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => progress.with_style(style),
        Err(_) => progress,
    }
}
