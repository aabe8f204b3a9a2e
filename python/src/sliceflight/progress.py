"""Showing how far a read is: a bar in the terminal, or a function of the caller's.

`progress=True` shows tqdm's bar where tqdm is installed, else a line of its own on standard error;
`progress=function` calls `function(Progress)` after each batch. Knows nothing of servers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far one read is. `total_rows` is None when the server does not know it beforehand."""

    node: str
    rows: int
    total_rows: int | None
    bytes: int
    done: bool = False


Report = Callable[[Progress], None]


def reporter(wish: bool | Report | None) -> Report | None:
    """The function that a read calls: the caller's own, a bar, or None."""
    if callable(wish):
        return wish
    return Bar() if wish else None


class Bar:
    """One bar for one read, on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._shown = 0

    def __call__(self, progress: Progress) -> None:
        tqdm = _tqdm()
        if tqdm is None:
            _line(progress)
            return
        if self._bar is None:
            self._bar = tqdm(total=progress.total_rows, desc=progress.node, unit=" rows", leave=False)
        self._bar.update(progress.rows - self._shown)
        self._shown = progress.rows
        if progress.done:
            self._bar.close()
            self._bar, self._shown = None, 0


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


def _line(progress: Progress) -> None:
    total = "" if progress.total_rows is None else f" of {progress.total_rows:,}"
    end = "\n" if progress.done else ""
    sys.stderr.write(f"\r{progress.node}: {progress.rows:,}{total} rows, {progress.bytes / 1e6:.1f} MB{end}")
    sys.stderr.flush()
