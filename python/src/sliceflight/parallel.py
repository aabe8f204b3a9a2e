"""Doing the same with several things at the same time. Knows nothing of what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AT_ONCE = 8


def together(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` on each item, several at the same time; the first failure is raised."""
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(listed))) as pool:
        return list(pool.map(work, listed))
