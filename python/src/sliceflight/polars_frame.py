"""A polars LazyFrame over a table of the server: columns and row counts of a query go to the server.

polars' own filters run in polars, on the stream; `dataset.filter(sliceflight.col(…) > …)` before it runs
on the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from .table import Dataset


class LazyFrame(pl.LazyFrame):  # type: ignore[misc]  # polars is optional, so not followed
    """A `polars.LazyFrame` that can also stand in a `with` statement, as LaminDB's does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def lazy_frame(dataset: Dataset) -> LazyFrame:
    """The lazy frame of a table."""
    empty = pl.from_arrow(dataset.schema.empty_table())
    schema = empty.schema if isinstance(empty, pl.DataFrame) else pl.Schema()

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        return frames(dataset, columns, predicate, n_rows)

    frame = register_io_source(source, schema=schema)
    found: LazyFrame = LazyFrame._from_pyldf(frame._ldf)
    return found


def frames(
    dataset: Dataset, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None
) -> Iterator[pl.DataFrame]:
    """The rows of a query, one frame for each batch."""
    # polars names the columns of the predicate too; it has counted n_rows before the predicate.
    stream = dataset._stream(columns=columns, where=_where(dataset), limit=n_rows)
    for batch in stream.batches():
        frame = pl.from_arrow(pa.Table.from_batches([batch]))
        assert isinstance(frame, pl.DataFrame)
        yield frame if predicate is None else frame.filter(predicate)


def _where(dataset: Dataset) -> str | None:
    from .expression import Condition

    condition = dataset._condition
    if condition is not None and not isinstance(condition, Condition):
        raise TypeError("a filter of pyarrow.compute does not go into polars: use sliceflight.col, or filter in polars")
    return None if condition is None else condition.sql
