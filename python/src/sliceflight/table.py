"""A table in storage with the methods of a pyarrow dataset: `dataset.to_table(columns=, filter=)`.

Conditions made with `sliceflight.col` are evaluated by the server. Expressions of `pyarrow.compute`
are evaluated here, on the stream, by pyarrow itself, with only the columns they name: their meaning
stays pyarrow's to the letter. Sits between the artifact and `stream`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from .connection import Connection, Json
from .expression import Column, Condition
from .stream import Stream

if TYPE_CHECKING:
    import polars

Columns: TypeAlias = "Sequence[str] | Mapping[str, pc.Expression] | None"
Filter: TypeAlias = "Condition | pc.Expression | None"


class Dataset:
    """A parquet file, a folder or collection of them, or any other table that the server reads."""

    def __init__(self, connection: Connection, source: Json, options: Json, files: Sequence[str] = ()) -> None:
        self._connection, self._source, self._options = connection, source, options
        self.files = list(files)
        self._schema: pa.Schema | None = None
        self._rows: int | None = None
        self._condition: Filter = None

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        if self._schema is None:
            info = self._connection.info(self._request())
            self._schema, self._rows = info.schema, info.total_records if info.total_records >= 0 else None
        return self._schema

    def head(self, num_rows: int, columns: Columns = None, filter: Filter = None) -> pa.Table:
        """The first rows."""
        return self.scanner(columns, filter).head(num_rows)

    def to_table(self, columns: Columns = None, filter: Filter = None) -> pa.Table:
        """All rows that meet the filter, of the columns asked for.

        # Raises
        `NotFound` (a `KeyError`) for a column that does not exist.
        """
        return self.scanner(columns, filter).to_table()

    def to_batches(
        self, columns: Columns = None, filter: Filter = None, batch_size: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The same, batch by batch of at most `batch_size` rows, in bounded memory."""
        return self.scanner(columns, filter, batch_size).to_batches()

    def scanner(self, columns: Columns = None, filter: Filter = None, batch_size: int | None = None) -> Scanner:
        """A scan that can be run in several ways."""
        return Scanner(self, columns, both(self._condition, filter), batch_size)

    def count_rows(self, filter: Filter = None) -> int:
        """How many rows meet the filter."""
        return self.scanner(None, filter).count_rows()

    def take(self, indices: Sequence[int], columns: Columns = None, filter: Filter = None) -> pa.Table:
        """Rows by position, in the order asked."""
        return self.scanner(columns, filter).take(indices)

    def filter(self, expression: Filter) -> Dataset:
        """This table with the rows that meet a condition."""
        found = Dataset(self._connection, self._source, self._options, self.files)
        found._schema, found._condition = self._schema, both(self._condition, expression)
        return found

    def lazy(self) -> polars.LazyFrame:
        """A polars LazyFrame that reads the columns and rows that its query needs."""
        from .polars_frame import lazy_frame

        return lazy_frame(self)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.scanner().to_reader().__arrow_c_stream__(requested_schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __repr__(self) -> str:
        name = next(iter(self._source.values()))
        return f"<sliceflight.Dataset {name!r}: {len(self.schema)} columns>"

    def _request(self, **fields: Any) -> Json:
        return {**self._source, **self._options, **{name: value for name, value in fields.items() if value is not None}}

    def _stream(self, **fields: Any) -> Stream:
        return Stream(self._connection, self._request(**fields))


class Scanner:
    """One way of reading a `Dataset`."""

    def __init__(self, dataset: Dataset, columns: Columns, condition: Filter, batch_size: int | None = None) -> None:
        if isinstance(condition, Column):
            raise TypeError(f"{condition} is a column: compare it to get a condition")
        self._dataset, self._columns, self._batch_size = dataset, columns, batch_size
        self._where = condition.sql if isinstance(condition, Condition) else None
        self._filter = condition if isinstance(condition, pc.Expression) else None
        if condition is not None and self._where is None and self._filter is None:
            raise TypeError(
                f"expected a condition of sliceflight.col or pyarrow.compute, found {type(condition).__name__}"
            )

    @property
    def dataset_schema(self) -> pa.Schema:
        """Schema of the whole table."""
        return self._dataset.schema

    @property
    def projected_schema(self) -> pa.Schema:
        """Schema of what the scan gives."""
        if self._remote:
            return self._stream().schema
        return self._local(iter(())).projected_schema

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows as a reader that other libraries take."""
        if self._remote:
            return self._stream().reader()
        return self._local(self._read()).to_reader()

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, batch by batch, in order."""
        return iter(self.to_reader())

    def to_table(self) -> pa.Table:
        """All rows."""
        if self._remote:
            return self._stream().table()
        return self._local(self._read()).to_table()

    def head(self, num_rows: int) -> pa.Table:
        """The first rows; reading stops with them."""
        if self._remote:
            return self._stream(limit=num_rows).table()
        found, rows = [], 0
        schema = self.projected_schema
        for batch in self.to_batches():
            found.append(batch.slice(0, num_rows - rows))
            rows += found[-1].num_rows
            if rows >= num_rows:
                break
        return pa.Table.from_batches(found, schema)

    def count_rows(self) -> int:
        """How many rows there are."""
        if self._filter is None:
            stream = self._dataset._stream(columns=self._narrow(), where=self._where)
            if stream.rows is not None:
                return stream.rows
            return sum(batch.num_rows for batch in stream.batches())
        return sum(batch.num_rows for batch in Scanner(self._dataset, self._narrow(), self._filter).to_batches())

    def take(self, indices: Sequence[int]) -> pa.Table:
        """Rows by position, in the order asked.

        # Raises
        `IndexError` for a position outside.
        """
        places = [int(place) for place in indices]
        if not places:
            return self.head(0)
        first, last = min(places), max(places)
        if first < 0:
            raise IndexError(f"row {first} is out of bounds")
        if self._remote:
            span = {"offset": first or None, "limit": last - first + 1}
            table = self._stream(**span).table()
        else:
            table = self.head(last + 1).slice(first)
        if table.num_rows <= last - first:
            raise IndexError(f"row {last} is out of bounds for {first + table.num_rows} rows")
        return table.take([place - first for place in places])

    @property
    def _remote(self) -> bool:
        """Whether the server does all of it."""
        return self._filter is None and not isinstance(self._columns, Mapping)

    def _wanted(self) -> list[str] | None:
        return None if self._columns is None else list(self._columns)

    def _stream(self, **fields: Any) -> Stream:
        return self._dataset._stream(
            columns=self._wanted(), where=self._where, max_batch_rows=self._batch_size, **fields
        )

    def _narrow(self) -> list[str] | None:
        """One column that is cheap to read, for counting."""
        fixed = [field.name for field in self._dataset.schema if pa.types.is_primitive(field.type)]
        return (fixed or self._dataset.schema.names)[:1] or None

    def _read(self) -> Iterator[pa.RecordBatch]:
        return self._dataset._stream(columns=self._needed(), max_batch_rows=self._batch_size).batches()

    def _local(self, batches: Iterator[pa.RecordBatch]) -> ds.Scanner:
        """pyarrow's scan of the stream."""
        schema = self._dataset.schema
        needed = self._needed()
        read = schema if needed is None else pa.schema([schema.field(name) for name in needed], schema.metadata)
        columns = dict(self._columns) if isinstance(self._columns, Mapping) else self._wanted()
        return ds.Scanner.from_batches(batches, schema=read, columns=columns, filter=self._filter)

    def _needed(self) -> list[str] | None:
        """The columns that filter and projection name, in the order of the table; None for all."""
        if self._columns is None:
            return None
        projected = isinstance(self._columns, Mapping)
        expressions = list(self._columns.values()) if isinstance(self._columns, Mapping) else []
        named = set() if projected else set(self._columns)
        expressions += [self._filter] if self._filter is not None else []
        schema = self._dataset.schema
        found = [
            name for name in schema.names if name in named or any(names_column(schema, name, e) for e in expressions)
        ]
        return found or self._narrow()


def names_column(schema: pa.Schema, name: str, expression: pc.Expression) -> bool:
    """Whether an expression needs a column: without it, it no longer fits the schema."""
    rest = pa.schema([field for field in schema if field.name != name])
    empty = pa.Table.from_batches([], rest)
    try:
        ds.Scanner.from_batches(empty.to_reader(), columns={"it": expression}).projected_schema  # noqa: B018
    except (pa.ArrowException, KeyError):
        return True
    return False


def both(first: Filter, second: Filter) -> Filter:
    """Two conditions as one.

    # Raises
    `TypeError` for one of sliceflight and one of pyarrow.
    """
    if first is None or second is None:
        return second if first is None else first
    if type(first) is not type(second):
        raise TypeError("a condition of sliceflight.col and one of pyarrow.compute cannot be combined")
    return first & second
