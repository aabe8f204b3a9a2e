"""Turns an Arrow table as it comes over Flight into the numpy, scipy or pandas object that it means.

It knows the wire's forms and nothing of requests or servers: dictionaries, validity, fixed-shape
tensors, `sliceflight.csr_row` and `sliceflight.csc_column` lists, single-row scalars and structs.
"""

import json

import numpy
import pyarrow
import scipy.sparse

EXTENSION = b"ARROW:extension:name"
SPARSE = {b"sliceflight.csr_row": scipy.sparse.csr_matrix, b"sliceflight.csc_column": scipy.sparse.csc_matrix}


def array(table):
    """The array of a table whose last column is the value column: ndarray or scipy matrix."""
    field = table.schema.field(table.num_columns - 1)
    column = one_chunk(table.column(table.num_columns - 1))
    extension = (field.metadata or {}).get(EXTENSION)
    if extension in SPARSE:
        return sparse(column, field, SPARSE[extension])
    return elements(column)


def sparse(column, field, kind):
    """A scipy matrix from one list of {index, value} per row (or column) of the matrix."""
    shape = tuple(json.loads(field.metadata[b"shape"]))
    assert column.null_count == 0, "a sparse row is never null"
    offsets = column.offsets.to_numpy()
    entries = column.values.slice(offsets[0], offsets[-1] - offsets[0])
    indices, values = (entries.field(name).to_numpy(zero_copy_only=False) for name in ("index", "value"))
    matrix = kind((values, indices, offsets - offsets[0]), shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def elements(column):
    """An ndarray from one Arrow array: plain, text, dictionary, or nested to fixed-size lists."""
    shape = [len(column)]
    if isinstance(column.type, pyarrow.BaseExtensionType):
        shape += column.type.shape
        assert isinstance(column.type, pyarrow.FixedShapeTensorType), column.type
        assert column.type.permutation in (None, list(range(len(column.type.shape)))), column.type
        column = column.storage.flatten()
    while pyarrow.types.is_fixed_size_list(column.type):
        shape.append(column.type.list_size)
        column = column.flatten()
    return plain(column).reshape(shape)


def plain(column):
    """A 1-D ndarray of an Arrow array without nesting; structs become dicts, nulls None."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    numeric = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
    if column.null_count == 0 and (numeric or pyarrow.types.is_boolean(column.type)):
        return column.to_numpy(zero_copy_only=False)
    return numpy.array(column.to_pylist() + [None], dtype=object)[:-1]


def scalar(table):
    """The Python value of a one-row answer (scalar, text or struct)."""
    assert table.num_rows == 1, f"expected one row, found {table.num_rows}"
    return table.column(table.num_columns - 1)[0].as_py()


def one_chunk(column):
    """The chunks of a column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if column.num_chunks == 0:
        return pyarrow.array([], type=column.type)
    return pyarrow.concat_arrays(column.chunks)


def dense(value):
    """An ndarray, also of a scipy matrix."""
    return value.toarray() if scipy.sparse.issparse(value) else numpy.asarray(value)
