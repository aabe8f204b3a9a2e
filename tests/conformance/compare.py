"""Whether an Arrow column holds the elements that a reference reader found, bit by bit.

Where a stored type could have several Arrow forms, each that loses nothing is taken: a complex number is a struct of
two floats, an enumeration its names or its numbers, a time a timestamp or its number.
"""

import awkward
import h5py
import numpy
import pandas
import pyarrow
import scipy.sparse

import decode
from expect import same_array, same_frame, texts


def same_elements(table, found, values=None):
    """The value column of an answer holds `values` (those of `found` when not given)."""
    column = decode.one_chunk(table.column(table.num_columns - 1))
    values = found.values if values is None else values
    expected = numpy.asarray(values, dtype=object) if isinstance(values, str | bytes) else numpy.asarray(values)
    if found.dtype is not None and expected.dtype.kind == "O" and found.shape == () and expected.shape != ():
        boxed = numpy.empty((), dtype=object)
        boxed[()] = values
        expected = boxed
    rows = expected.shape[0] if expected.ndim else 1
    assert table.num_rows == rows, f"expected {rows} rows, found {table.num_rows}"
    same(column, expected.reshape(-1), found.dtype, found.padding)


def flat(column):
    """The innermost elements of tensors and lists of fixed size."""
    if isinstance(column.type, pyarrow.BaseExtensionType):
        column = column.storage
    while pyarrow.types.is_fixed_size_list(column.type):
        column = column.flatten()
    return column


def same(column, expected, dtype, padded=False):
    """The flat Arrow array `column` holds the flat `expected` of the stored type `dtype`."""
    dtype = expected.dtype if dtype is None or dtype.subdtype is not None else dtype
    column = flat(column)
    assert len(column) == expected.size, f"expected {expected.size} elements, found {len(column)}"
    enumeration = h5py.check_enum_dtype(dtype)
    if expected.dtype.names is not None:
        assert pyarrow.types.is_struct(column.type), f"expected a struct, found {column.type}"
        assert [field.name for field in column.type] == list(expected.dtype.names)
        for name in expected.dtype.names:
            field = expected[name]
            same(column.field(name), field.reshape(-1), dtype[name])
    elif enumeration is not None:
        same_enumeration(column, expected, enumeration)
    elif expected.dtype.kind == "c":
        same_complex(column, expected)
    elif expected.dtype.kind in "Mm":
        same_times(column, expected)
    elif expected.dtype.kind == "V":
        assert [bytes(value) for value in column.to_pylist()] == [value.tobytes() for value in expected]
    elif expected.dtype.kind in "OSUT":
        same_objects(column, expected, padded)
    else:
        numbers = decode.plain(column)
        assert numbers.dtype == expected.dtype.newbyteorder("="), f"expected {expected.dtype}, found {column.type}"
        numpy.testing.assert_array_equal(numbers, expected)


def same_objects(column, expected, padded):
    """Texts, references by path, sequences."""
    wanted = [value.tolist() if isinstance(value, numpy.ndarray) else value for value in texts(expected).tolist()]
    if padded:
        wanted = [value.rstrip(" ") for value in wanted]
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    for value, wished in zip(column.to_pylist(), wanted, strict=True):
        if isinstance(wished, list):
            numpy.testing.assert_array_equal(value, wished)
        else:
            assert value == wished or (value is not None and value == f"/{wished}"), f"{value!r} is not {wished!r}"


def same_enumeration(column, expected, members):
    """Names of members, or their numbers."""
    names = {number: name for name, number in members.items()}
    found = column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column
    wanted = expected.tolist()
    if pyarrow.types.is_string(found.type) or pyarrow.types.is_large_string(found.type):
        wanted = [names.get(number) for number in wanted]
    assert found.to_pylist() == wanted


def same_complex(column, expected):
    """A struct of the real and the imaginary part."""
    assert pyarrow.types.is_struct(column.type) and column.type.num_fields == 2, f"expected a struct, found {column.type}"
    for position, part in enumerate((expected.real, expected.imag)):
        numbers = decode.plain(column.field(position))
        assert numbers.dtype == part.dtype.newbyteorder("=")
        numpy.testing.assert_array_equal(numbers, part)


def same_times(column, expected):
    """Timestamps or durations (NaT is null), or their numbers."""
    if pyarrow.types.is_fixed_size_binary(column.type):  # h5py keeps them as opaque bytes
        assert column.to_pylist() == [value.tobytes() for value in expected]
        return
    if pyarrow.types.is_integer(column.type):
        numpy.testing.assert_array_equal(decode.plain(column), expected.view("i8"))
        return
    wanted = pyarrow.array(expected)
    if wanted.type != column.type:
        assert column.cast(wanted.type).cast(column.type).equals(column), f"{column.type} for {expected.dtype}"
        column = column.cast(wanted.type)
    assert column.to_pylist() == wanted.to_pylist()


def same_meaning(table, expected):
    """An answer means what anndata read: a frame, a matrix, an array, a categorical, an awkward array, a value."""
    if isinstance(expected, pandas.DataFrame):
        same_frame(table, expected)
    elif scipy.sparse.issparse(expected):
        same_array(decode.array(table), expected)
    elif isinstance(expected, awkward.Array):
        assert plain(table.column(table.num_columns - 1).to_pylist()) == plain(awkward.to_list(expected))
    elif isinstance(expected, pandas.Categorical | pandas.api.extensions.ExtensionArray):
        wanted = [None if value is pandas.NA or value != value else value for value in expected.tolist()]
        assert table.column(table.num_columns - 1).to_pylist() == wanted
    elif isinstance(expected, numpy.ndarray):
        same(decode.one_chunk(table.column(table.num_columns - 1)), expected.reshape(-1), expected.dtype)
    else:
        assert decode.scalar(table) == expected


def plain(value):
    """Nested lists and maps without tuples."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
