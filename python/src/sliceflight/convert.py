"""Arrow answers as what scientists compute with: NumPy arrays, scipy matrices, pandas data frames.

Knows the forms of the wire (`docs/formats.md`) and nothing of requests. Buffers of one batch become
NumPy arrays without a copy; those of several batches are put together once. Arrays are writable.
"""

from __future__ import annotations

import ctypes
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .errors import DataLoss

EXTENSION = b"ARROW:extension:name"
SPARSE = {b"sliceflight.csr_row": "csr", b"sliceflight.csc_column": "csc"}


def array(table: pa.Table) -> NDArray[Any]:
    """The value column of an array's answer, with its whole shape."""
    field, chunks = value_column(table)
    width = inner_shape(field)
    if len(chunks) == 1:
        return elements(chunks[0]).reshape((table.num_rows, *width))
    dtype = numpy_dtype(field.type)
    found: NDArray[Any] = np.empty((table.num_rows, *width), dtype=dtype)
    row = 0
    for chunk in chunks:
        found[row : row + len(chunk)] = elements(chunk).reshape((len(chunk), *width))
        row += len(chunk)
    return found


def filled(schema: pa.Schema, rows: int, batches: Iterator[pa.RecordBatch]) -> NDArray[Any]:
    """`array` of an answer of so many rows, of which only some batches are held beside the result.

    # Raises
    `DataLoss` when the answer has another number of rows.
    """
    first = next(batches, None)
    second = next(batches, None)
    field = schema.field(len(schema) - 1)
    dtype, width = numpy_dtype(field.type), inner_shape(field)
    if first is None or second is None or dtype.hasobject:
        some = [batch for batch in (first, second) if batch is not None]
        return array(pa.Table.from_batches([*some, *batches], schema))
    found: NDArray[Any] = np.empty((rows, *width), dtype=dtype)
    row = 0
    for batch in itertools.chain((first, second), batches):
        end = row + batch.num_rows
        if end > rows:
            raise DataLoss(f"the answer has more than the {rows} rows that the server promised")
        found[row:end] = elements(batch.column(batch.num_columns - 1)).reshape((batch.num_rows, *width))
        row = end
    if row != rows:
        raise DataLoss(f"the answer has {row} rows, the server promised {rows}")
    return found


def matrix(table: pa.Table) -> Any:
    """The scipy csr_matrix or csc_matrix of a sparse answer."""
    import scipy.sparse

    field, chunks = value_column(table)
    kind = scipy.sparse.csr_matrix if sparse_format(field) == "csr" else scipy.sparse.csc_matrix
    shape = tuple(json.loads(field.metadata[b"shape"]))
    parts = [entries(chunk) for chunk in chunks]
    if not parts:
        entry = field.type.value_type
        types = [numpy_dtype(entry.field(name).type) for name in ("value", "index")]
        parts = [(np.empty(0, types[0]), np.empty(0, types[1]), np.zeros(1, np.int32))]
    data, indices, indptr = parts[0] if len(parts) == 1 else together(parts)
    return kind((data, indices, indptr), shape=shape, copy=False)


def entries(column: pa.Array) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """data, indices and indptr of one batch, as views of its buffers."""
    offsets = primitive(column.offsets)
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    inner = column.values
    # `field` gives the children without the parent's own offset, `flatten` with it.
    index, value = (child.slice(first, last - first) for child in inner.flatten())
    return primitive(value), primitive(index), offsets if first == 0 else offsets - first


def together(
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """data, indices and indptr of all batches; each buffer is copied once."""
    data = np.concatenate([part[0] for part in parts])
    width = np.int64 if data.size > np.iinfo(np.int32).max or parts[0][1].dtype == np.int64 else np.int32
    indices = np.concatenate([part[1] for part in parts]).astype(width, copy=False)
    indptr = np.zeros(1 + sum(part[2].size - 1 for part in parts), dtype=width)
    place, stored = 1, 0
    for _, index, offsets in parts:
        indptr[place : place + offsets.size - 1] = offsets[1:].astype(width) + stored
        place, stored = place + offsets.size - 1, stored + index.size
    return data, indices, indptr


def named(found: Any) -> Any:
    """A data frame of an AnnData's axis: an index of numbers becomes texts."""
    if found.index.dtype.kind in "iuf":
        found.index = found.index.astype(str)
    return found


def data_frame(table: pa.Table) -> Any:
    """The pandas data frame of a table."""
    return table.unify_dictionaries().to_pandas()


def value_column(table: pa.Table) -> tuple[pa.Field, list[pa.Array]]:
    """Field and chunks with rows of the last column, which holds an array's values."""
    last = table.num_columns - 1
    return table.schema.field(last), [chunk for chunk in table.column(last).chunks if len(chunk)]


def sparse_format(field: pa.Field) -> str | None:
    """`csr`, `csc`, or None for a column that is no sparse matrix."""
    return SPARSE.get((field.metadata or {}).get(EXTENSION, b""))


def inner_shape(field: pa.Field) -> tuple[int, ...]:
    """The shape of one row of a dense array."""
    shape: list[int] = []
    kind = field.type
    if isinstance(kind, pa.FixedShapeTensorType):
        shape, kind = list(kind.shape), kind.value_type
    elif isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    whole = json.loads((field.metadata or {}).get(b"shape", b"null"))
    dimensions = len(whole) - 1 if whole else None
    while pa.types.is_fixed_size_list(kind) and (dimensions is None or len(shape) < dimensions):
        shape.append(kind.list_size)
        kind = kind.value_type
    return tuple(shape)


def elements(column: pa.Array) -> NDArray[Any]:
    """All elements of an array in C order, in one dimension."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    wanted = inner_kind(column.type)
    while pa.types.is_fixed_size_list(column.type) and column.type != wanted:
        column = column.flatten()
    return plain(column)


def inner_kind(kind: pa.DataType) -> pa.DataType:
    """The type of the elements of nested lists of fixed size."""
    while pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind


def plain(column: pa.Array) -> NDArray[Any]:
    """A NumPy array of an Arrow array: numbers as they are, texts as str, compounds as records."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and column.null_count == 0:
        return primitive(column)
    if pa.types.is_boolean(kind) and column.null_count == 0:
        return np.array(column.to_numpy(zero_copy_only=False))
    if pa.types.is_temporal(kind):
        return times(column)
    if pa.types.is_struct(kind) and column.null_count == 0:
        return complex_numbers(column) if is_complex(kind) else records(column)
    if pa.types.is_fixed_size_binary(kind) and column.null_count == 0:
        return np.array(list(column.to_pylist()), dtype=f"V{kind.byte_width}")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return objects([None if row is None or not row.is_valid else plain(row.values) for row in column])
    return objects(column.to_pylist())


def primitive(column: pa.Array) -> NDArray[Any]:
    """A writable view of an Arrow array of numbers without nulls: the same memory.

    Arrow hands buffers out as read-only, as several may share them. What a call received belongs to
    nobody else, and AnnData's users change arrays in place.
    """
    dtype = numpy_dtype(column.type)
    buffer = column.buffers()[1]
    if buffer is None or len(column) == 0:
        return np.empty(0, dtype=dtype)
    memory = (ctypes.c_char * buffer.size).from_address(buffer.address)
    memory._owner = buffer  # keeps the memory while the view lives
    view: NDArray[Any] = np.frombuffer(memory, dtype=dtype, count=len(column), offset=column.offset * dtype.itemsize)
    return view if view.flags.aligned else view.copy()


def times(column: pa.Array) -> NDArray[Any]:
    """datetime64 or timedelta64, NaT for nulls."""
    kind, dtype = column.type, numpy_dtype(column.type)
    whole = column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    numbers: NDArray[Any] = whole.fill_null(0).to_numpy(zero_copy_only=False).astype("int64").view(dtype)
    if column.null_count:
        numbers = numbers.copy()
        numbers[column.is_null().to_numpy(zero_copy_only=False)] = np.array("NaT", dtype=dtype)
    return numbers


def complex_numbers(column: pa.Array) -> NDArray[Any]:
    """complex64 or complex128 from a struct of re and im."""
    real, imaginary = (primitive(child) for child in column.flatten())
    found: NDArray[Any] = np.empty(len(column), dtype=numpy_dtype(column.type))
    found.real, found.imag = real, imaginary
    return found


def records(column: pa.Array) -> NDArray[Any]:
    """A structured array from a struct."""
    found: NDArray[Any] = np.empty(len(column), dtype=numpy_dtype(column.type))
    for field, child in zip(column.type, column.flatten(), strict=True):
        shape = found.dtype[field.name].shape
        found[field.name] = elements(child).reshape((len(column), *shape))
    return found


def objects(values: list[Any]) -> NDArray[Any]:
    """A 1-D array of Python objects."""
    found: NDArray[Any] = np.empty(len(values), dtype=object)
    found[:] = values if not values or not isinstance(values[0], np.ndarray) else None
    for place, value in enumerate(values):
        found[place] = value
    return found


def is_complex(kind: pa.DataType) -> bool:
    """Whether a struct type is the wire's form of complex numbers."""
    names = [field.name for field in kind]
    return names == ["re", "im"] and all(pa.types.is_floating(field.type) for field in kind)


def numpy_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """The dtype of elements of an Arrow type, object where NumPy has none."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_fixed_size_list(kind):
        return numpy_dtype(inner_kind(kind))
    if pa.types.is_date32(kind):
        return np.dtype("datetime64[D]")
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return np.dtype(f"{'datetime64' if pa.types.is_timestamp(kind) else 'timedelta64'}[{kind.unit}]")
    if pa.types.is_struct(kind):
        if is_complex(kind):
            double = pa.types.is_float64(kind.field("re").type)
            return np.dtype(np.complex128) if double else np.dtype(np.complex64)
        fields = [(field.name, numpy_dtype(field.type), inner_shape(field)) for field in kind]
        compound: np.dtype[Any] = np.dtype([field if field[2] else field[:2] for field in fields])
        return compound
    if pa.types.is_fixed_size_binary(kind):
        return np.dtype(f"V{kind.byte_width}")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.dtype(str(kind)) if not pa.types.is_floating(kind) else np.dtype(f"f{kind.bit_width // 8}")
    return np.dtype(object)
