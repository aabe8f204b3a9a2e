"""Labels of artifacts: `ln.ULabel.lookup().setosa`.

A label is its name. Which ones exist is read from the records that carry them.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .connection import Connection
from .errors import MultipleResults, NotFound

# How many records the server is asked for: what it gives at most.
MOST = 100_000


@dataclass(frozen=True, order=True)
class ULabel:
    """A label."""

    name: str

    def __str__(self) -> str:
        return self.name


class Labels:
    """The labels of one artifact."""

    def __init__(self, names: list[str], attach: Callable[..., Any], detach: Callable[..., Any]) -> None:
        self._names, self._attach, self._detach = names, attach, detach

    def all(self) -> list[ULabel]:
        """All of them."""
        return [ULabel(name) for name in self._names]

    def add(self, *labels: ULabel | str) -> None:
        """Attaches labels; the server must allow it."""
        self._attach(*labels)

    def remove(self, *labels: ULabel | str) -> None:
        """Takes labels off; the server must allow it."""
        self._detach(*labels)

    def __iter__(self) -> Iterator[ULabel]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Labels({self._names})"


class Lookup(Mapping[str, Any]):
    """Records by name: as attributes (`lookup.cd14_monocytes`), or by the name itself (`lookup["CD14+ Monocytes"]`)."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self._records = dict(records)
        self._attributes: dict[str, Any] = {}
        for name, record in self._records.items():
            self._attributes.setdefault(attribute_name(name), record)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.__dict__.get("_attributes", {}):
            raise AttributeError(f"no record is called {name!r}")
        return self._attributes[name]

    def __getitem__(self, name: str) -> Any:
        return self._records[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __dir__(self) -> list[str]:
        return sorted(self._attributes)

    def __repr__(self) -> str:
        return f"Lookup({', '.join(sorted(self._attributes))})"


class LabelRegistry:
    """`ln.ULabel`: the labels that artifacts carry."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[ULabel]:
        """All labels by name."""
        if "lookup" in self._connection.actions:
            found = self._connection.pages("lookup", {"of": "labels"})
            return [ULabel(label["name"]) for label in found]
        records = self._connection.attempt(lambda: list(self._connection.results("search", {"limit": MOST})))
        names = {name for record in records for name in names_of(record.get("labels"))}
        return [ULabel(name) for name in sorted(names)]

    def lookup(self) -> Lookup:
        """All labels as attributes."""
        return Lookup({label.name: label for label in self.all()})

    def get(self, name: str) -> ULabel:
        """The label of that name.

        # Raises
        `NotFound` without one.
        """
        found = [label for label in self.all() if label.name == name]
        if not found:
            raise NotFound(f"no artifact has the label {name!r}")
        return found[0]

    def search(self, text: str) -> list[ULabel]:
        """Labels whose name holds the text, in any case."""
        return [label for label in self.all() if text.lower() in label.name.lower()]

    def __call__(self, name: str) -> ULabel:
        return ULabel(name)

    def __repr__(self) -> str:
        return "<ULabel registry>"


def names_of(labels: Any) -> list[str]:
    """Names of labels given as texts, labels or records; of one or of several."""
    if labels is None:
        return []
    if isinstance(labels, (str, ULabel, Mapping)):
        labels = [labels]
    return [str(label["name"] if isinstance(label, Mapping) else label) for label in labels]


def attribute_name(name: str) -> str:
    """A name as a Python attribute: words in lower case, joined by underscores."""
    plain = re.sub(r"\W+", "_", name.strip()).strip("_").lower() or "_"
    return f"_{plain}" if plain[0].isdigit() or keyword.iskeyword(plain) else plain


def only(found: list[Any], what: str) -> Any:
    """The one element of a list.

    # Raises
    `NotFound` for none, `MultipleResults` for several.
    """
    if not found:
        raise NotFound(f"no {what}")
    if len(found) > 1:
        raise MultipleResults(f"{len(found)} {what} where one was expected: {', '.join(map(repr, found[:5]))}")
    return found[0]
