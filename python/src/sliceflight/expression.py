"""Conditions on columns that the server evaluates: `col("n_genes") > 500`.

An expression becomes the SQL text of a request's `where`, so a filter runs where the data is and only
the chosen rows travel. Names and texts may hold any characters. A null matches nothing but `is_null()`.
Nothing here talks to a server.

>>> from sliceflight import col
>>> print((col("cell type").isin(["B", "it's"])) & ~(col("n_genes") <= 500))
("cell type" IN ('B', 'it''s')) AND (NOT ("n_genes" <= 500))
"""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterable
from typing import Any


class Expression:
    """A condition or a column in SQL. Combine conditions with `&`, `|` and `~`."""

    __slots__ = ("sql",)
    __hash__ = object.__hash__

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def __str__(self) -> str:
        return self.sql

    def __repr__(self) -> str:
        return f"<sliceflight.Expression {self.sql}>"

    def __bool__(self) -> bool:
        raise TypeError("a condition has no truth value here: use & | ~ instead of and, or, not")


class Column(Expression):
    """A column by name; comparing it gives a condition."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"expected the name of a column, found {name!r}")
        super().__init__(f'"{name.replace(chr(34), chr(34) * 2)}"')

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("=", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("<>", other)

    def __lt__(self, other: object) -> Condition:
        return self._compared("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compared(">=", other)

    def isin(self, values: Iterable[Any]) -> Condition:
        """Whether the value is one of `values`; None among them matches nulls."""
        if isinstance(values, (str, bytes)):
            raise TypeError("expected a list of values, found one text")
        listed = list(values)
        known = [literal(value) for value in listed if value is not None]
        parts = [f"{self.sql} IN ({', '.join(known)})"] if known else []
        if len(known) < len(listed):
            parts.append(f"{self.sql} IS NULL")
        return Condition(" OR ".join(parts) or "FALSE")

    def is_null(self) -> Condition:
        """Whether the value is missing."""
        return Condition(f"{self.sql} IS NULL")

    def is_valid(self) -> Condition:
        """Whether the value is there."""
        return Condition(f"{self.sql} IS NOT NULL")

    def _compared(self, operator: str, other: object) -> Condition:
        if other is None:
            raise TypeError("nothing compares with None: use is_null() or is_valid()")
        right = other.sql if isinstance(other, Column) else literal(other)
        return Condition(f"{self.sql} {operator} {right}")


class Condition(Expression):
    """What is true or false of each row."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return self._joined("AND", other)

    def __or__(self, other: Condition) -> Condition:
        return self._joined("OR", other)

    def __invert__(self) -> Condition:
        return Condition(f"NOT ({self.sql})")

    def _joined(self, word: str, other: object) -> Condition:
        if not isinstance(other, Condition):
            raise TypeError(f"expected a condition on columns, found {type(other).__name__}")
        return Condition(f"({self.sql}) {word} ({other.sql})")


def col(name: str) -> Column:
    """The column `name` of a table, of obs or of var, to be compared.

    >>> col("percent_mito") <= 0.05
    <sliceflight.Expression "percent_mito" <= 0.05>
    """
    return Column(name)


def literal(value: Any) -> str:
    """A Python or NumPy scalar as SQL.

    # Raises
    `TypeError` for a type without a literal, `ValueError` for NaN and infinities.
    """
    if not isinstance(value, (str, bytes)) and hasattr(value, "item"):
        value = value.item()  # NumPy's scalars, pyarrow has as_py
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text with a null character has no SQL literal")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{number} has no SQL literal; compare with is_null(), or with a finite number")
        return repr(number)
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    raise TypeError(f"{type(value).__name__} has no SQL literal: {value!r}")
