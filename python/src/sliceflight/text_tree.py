"""Drawing a tree in text. Knows no files and no nodes.

>>> print("\\n".join(draw([Branch("a/", [Branch("b")]), Branch("c")])))
├── a/
│   └── b
└── c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Branch:
    """A name with what is below it."""

    text: str
    below: Sequence[Branch] = field(default_factory=tuple)


def draw(branches: Sequence[Branch], indent: str = "") -> Iterator[str]:
    """One line for each branch, at any depth."""
    for place, branch in enumerate(branches):
        last = place + 1 == len(branches)
        yield f"{indent}{'└── ' if last else '├── '}{branch.text}"
        yield from draw(branch.below, indent + ("    " if last else "│   "))
