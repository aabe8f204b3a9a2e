"""Queries over the registry: `ln.Artifact.filter(suffix=".h5ad").first()`.

A query set asks when it is used, and reads records as it is iterated. What LaminDB's names mean in the
server's criteria is decided here; a criterion that the server does not know is its refusal.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .connection import Connection, Json
from .errors import InvalidArgument, ResourceExhausted
from .label import MOST, Lookup, names_of, only

if TYPE_CHECKING:
    import pandas

Record = TypeVar("Record")
COLUMNS = (
    "uid",
    "key",
    "description",
    "suffix",
    "kind",
    "size",
    "n_files",
    "n_observations",
    "version",
    "is_latest",
    "created_at",
    "url",
    "labels",
)
# How many records the server is asked for when one is enough.
FEW = 50
COUNTS = ("size", "n_files", "n_observations")
BOUNDS = {"gte": "min", "lte": "max"}
TIMES = {"gte": "from", "lte": "to"}


class QuerySet(Generic[Record]):
    """The records that meet some criteria. Lazy: each use asks the server anew."""

    def __init__(self, connection: Connection, kind: str, make: Callable[[Json], Record], criteria: Criteria) -> None:
        self._connection, self._kind, self._make, self._criteria = connection, kind, make, criteria

    def filter(self, **conditions: Any) -> QuerySet[Record]:
        """The records that meet these conditions as well."""
        return QuerySet(self._connection, self._kind, self._make, self._criteria.narrowed(conditions))

    def search(self, text: str) -> QuerySet[Record]:
        """The records among them that a full-text search finds."""
        return self.filter(search=text)

    def all(self) -> list[Record]:
        """All of them."""
        return list(iter(self))  # list(self) would ask how many there are first

    def first(self) -> Record | None:
        """The first, or None."""
        for limit in (FEW, MOST):  # most often few are enough
            record = next(self._records(limit), None)
            if record is not None:
                return self._make(record)
        return None

    def one(self) -> Record:
        """The only one.

        # Raises
        `NotFound` for none, `MultipleResults` for several.
        """
        found: Record = only(self.all(), f"{self._kind} with {self._criteria}")
        return found

    def one_or_none(self) -> Record | None:
        """The only one, or None."""
        found = self.all()
        return self.one() if found else None

    def count(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._records())

    def exists(self) -> bool:
        """Whether there is one."""
        return self.first() is not None

    def to_dataframe(self) -> pandas.DataFrame:
        """A row for each, by uid."""
        import pandas

        records = list(self._records())
        columns = [name for name in COLUMNS if any(name in record for record in records)] or list(COLUMNS)
        found = pandas.DataFrame([{name: record.get(name) for name in columns} for record in records], columns=columns)
        return found.astype({name: "Int64" for name in COUNTS if name in columns}).set_index("uid")

    df = to_dataframe

    def lookup(self) -> Lookup:
        """The records by key, as attributes."""
        return Lookup({record["key"]: self._make(record) for record in self._records() if record.get("key")})

    def __iter__(self) -> Iterator[Record]:
        return map(self._make, self._records())

    def __len__(self) -> int:
        return self.count()

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self.all()[index]

    def __bool__(self) -> bool:
        return self.exists()

    def __repr__(self) -> str:
        return f"<QuerySet of {self._kind}s with {self._criteria}>"

    def _records(self, page: int = MOST) -> Iterator[Json]:
        """The records as they arrive, asked for in pages of at most `page`."""
        found = (record for record in self._listed(page) if self._criteria.meets(record))
        return islice(found, self._criteria.limit)

    def _listed(self, page: int) -> Iterator[Json]:
        """Records of this kind that the server finds.

        # Raises
        `ResourceExhausted` when a server that knows no pages may have more.
        """
        listed, paged = 0, "lookup" in self._connection.actions
        kind = {"type": self._kind} if paged else {}
        for record in self._connection.pages("search", {"limit": page, **kind, **self._criteria.sent}):
            listed += 1
            if record.get("type", self._kind) == self._kind:
                yield record
        if listed >= MOST and not paged and self._criteria.limit is None:
            raise ResourceExhausted(f"the server lists {listed} records at most: ask for fewer, or give a limit")


class Criteria:
    """What is sent to the server, and what is compared here: exact keys and uids."""

    def __init__(self, sent: Json | None = None, exact: Json | None = None, limit: int | None = None) -> None:
        self.sent, self._exact, self.limit = sent or {}, exact or {}, limit

    def narrowed(self, conditions: Json) -> Criteria:
        """These criteria and more.

        # Raises
        `InvalidArgument` for a condition that contradicts or that has no meaning.
        """
        sent, exact, conditions = dict(self.sent), dict(self._exact), dict(conditions)
        limit = conditions.pop("limit", self.limit)
        for name, value in conditions.items():
            for field, meant, here in said(name, value):
                target = exact if here else sent
                if isinstance(meant, dict) and isinstance(target.get(field), dict):
                    meant = target[field] | meant
                elif field in target and target[field] != meant and field != "key_prefix":
                    raise InvalidArgument(f"'{field}' is asked for twice: {target[field]!r} and {meant!r}")
                target[field] = meant
        return Criteria(sent, exact, limit)

    def meets(self, record: Json) -> bool:
        """Whether a record that the server found has the exact values."""
        return all(record.get(name) == value for name, value in self._exact.items())

    def __str__(self) -> str:
        return str({**self.sent, **self._exact} or "no conditions")


def said(name: str, value: Any) -> list[tuple[str, Any, bool]]:
    """A condition as (field, value, whether it is compared here)."""
    field, _, operator = name.partition("__")
    if field in ("ulabels", "labels", "label", "records"):
        names = names_of(value)
        return [("label", names[0], False)] if len(names) == 1 else [("labels", names, False)]
    if name in ("key", "uid"):
        near = [("key_prefix", value, False)] if name == "key" else []
        return [*near, (name, value, True)]
    if name == "key__startswith":
        return [("key_prefix", value, False)]
    if name == "key__glob":
        return [("key", value, False)]
    if field in ("size", "n_observations") and operator in BOUNDS:
        return [(field, {BOUNDS[operator]: int(value)}, False)]
    if field in ("size", "n_observations") and operator in ("gt", "lt"):
        shift = 1 if operator == "gt" else -1
        return [(field, {BOUNDS[f"{operator}e"]: int(value) + shift}, False)]
    if field in ("size", "n_observations") and not operator and isinstance(value, int):
        return [(field, {"min": value, "max": value}, False)]
    if field == "created_at" and operator in TIMES:
        return [(field, {TIMES[operator]: moment_text(value)}, False)]
    return [(name, str(value) if field == "created_by" else value, False)]


def moment_text(value: Any) -> Any:
    """A time in ISO 8601."""
    return value.isoformat() if isinstance(value, (datetime.datetime, datetime.date)) else value
