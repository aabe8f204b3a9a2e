"""What every registry of artifacts and collections finds its records by.

Sits between the query sets and the registries; does not know how a record is made or described.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .query import QuerySet

if TYPE_CHECKING:
    import pandas

    from .connection import Connection
    from .label import Lookup

Record = TypeVar("Record")


class Finder(Generic[Record]):
    """Finds records of one kind; `_set` gives all of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def filter(self, **conditions: Any) -> QuerySet[Record]:
        """Records that meet all conditions: `suffix=".h5ad"`, `ulabels=label`, `key__startswith="a/"`, …"""
        return self._set().filter(**conditions)

    def search(self, text: str) -> QuerySet[Record]:
        """Records that a full-text search finds."""
        return self._set().search(text)

    def all(self) -> QuerySet[Record]:
        """Every record; artifacts in their latest version."""
        return self._set()

    def to_dataframe(self) -> pandas.DataFrame:
        """A row for each record."""
        return self._set().to_dataframe()

    df = to_dataframe

    def lookup(self) -> Lookup:
        """All records by key, as attributes."""
        return self._set().lookup()

    def _set(self) -> QuerySet[Record]:
        raise NotImplementedError
