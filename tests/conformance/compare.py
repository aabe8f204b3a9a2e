"""Whether an Arrow column holds the elements that a reference reader found, bit by bit.

Each stored type has the one Arrow form that `docs/formats.md` ("Element types") says; no other is taken.
"""

import json

import awkward
import h5py
import numpy
import pandas
import pyarrow
import scipy.sparse

import decode
from expect import same_array, same_column, same_frame, texts

ENUMERATION = b"sliceflight.enumeration"
# Units of times that Arrow has no type for, and the ones they are given in.
UNITS = {"M": {"m": "s", "h": "s", "W": "D"}, "m": {"m": "s", "h": "s", "D": "s", "W": "s"}}


def same_elements(table, found, values=None):
    """The value column of an answer holds `values` (those of `found` when not given)."""
    field = table.schema.field(table.num_columns - 1)
    column = decode.one_chunk(table.column(table.num_columns - 1))
    if found.shape is None:
        assert (table.num_rows, field.type) == (1, pyarrow.null()), f"expected a null, found {field.type}"
        return
    values = found.values if values is None else values
    expected = numpy.asarray(values, dtype=object) if isinstance(values, str | bytes) else numpy.asarray(values)
    if found.shape == () and expected.shape != () and found.dtype.subdtype is None:  # one sequence
        expected = numpy.empty((), dtype=object)
        expected[()] = values
    rows = expected.shape[0] if expected.ndim else 1
    assert table.num_rows == rows, f"expected {rows} rows, found {table.num_rows}"
    same(column, field, expected.reshape(-1), found.dtype, found.padding)


def flat(column):
    """The innermost elements of tensors and lists of fixed size."""
    if isinstance(column.type, pyarrow.BaseExtensionType):
        column = column.storage
    while pyarrow.types.is_fixed_size_list(column.type):
        column = column.flatten()
    return column


def same(column, field, expected, dtype, padded=False):
    """The Arrow array `column` of `field` holds, made flat, the flat `expected` of the stored type `dtype`."""
    dtype = expected.dtype if dtype is None or dtype.subdtype is not None else dtype
    column = flat(column)
    assert len(column) == expected.size, f"expected {expected.size} elements, found {len(column)}"
    enumeration, sequence = h5py.check_enum_dtype(dtype), inner_of(dtype)
    if enumeration is not None:
        assert json.loads((field.metadata or {})[ENUMERATION]) == enumeration
    if complex_parts(expected) is not None:
        same_complex(column, complex_parts(expected))
    elif expected.dtype.names is not None:
        same_records(column, expected, dtype)
    elif sequence is not None:
        same_sequences(column, expected, sequence)
    elif expected.dtype.kind in "Mm":
        same_times(column, expected)
    elif expected.dtype.kind == "V":
        assert column.type == pyarrow.binary(expected.dtype.itemsize), f"found {column.type}"
        assert column.to_pylist() == [value.tobytes() for value in expected]
    elif expected.dtype.kind in "OSUT":
        same_texts(column, expected, padded)
    else:
        same_numbers(column, expected)


def inner_of(dtype):
    """The type of the elements of variable-length sequences; None for other types."""
    return h5py.check_vlen_dtype(dtype) if h5py.check_string_dtype(dtype) is None else None


def complex_parts(values):
    """The real and the imaginary parts of complex numbers, as NumPy or as MATLAB has them; None for other types."""
    if values.dtype.kind == "c":
        return values.real, values.imag
    if values.dtype.names == ("real", "imag"):
        return values["real"], values["imag"]
    return None


def same_numbers(column, expected):
    """The same type without nulls, and the same values (NaN equals NaN)."""
    numbers = decode.plain(column)
    assert numbers.dtype == expected.dtype.newbyteorder("="), f"expected {expected.dtype}, found {column.type}"
    numpy.testing.assert_array_equal(numbers, expected)


def same_records(column, expected, dtype):
    """A struct of the fields, in order."""
    assert pyarrow.types.is_struct(column.type), f"expected a struct, found {column.type}"
    assert [field.name for field in column.type] == list(expected.dtype.names)
    for name in expected.dtype.names:
        same(column.field(name), column.type.field(name), expected[name].reshape(-1), dtype[name])


def same_sequences(column, expected, inner):
    """Lists; what was never written is an empty one."""
    assert pyarrow.types.is_list(column.type), f"expected lists, found {column.type}"
    assert column.null_count == 0
    rows = [row if isinstance(row, numpy.ndarray) else numpy.zeros(0, inner) for row in expected]
    assert column.value_lengths().to_pylist() == [len(row) for row in rows]
    same(column.flatten(), column.type.value_field, numpy.concatenate([numpy.zeros(0, inner), *rows]), inner)


def same_texts(column, expected, padded):
    """Texts, and references by path."""
    assert pyarrow.types.is_string(column.type), f"expected texts, found {column.type}"
    wanted = texts(expected).tolist()
    assert column.to_pylist() == ([value.rstrip(" ") for value in wanted] if padded else wanted)


def same_complex(column, parts):
    """A struct of the real and the imaginary part."""
    assert pyarrow.types.is_struct(column.type), f"expected a struct, found {column.type}"
    assert [field.name for field in column.type] == ["re", "im"]
    for name, part in zip(("re", "im"), parts, strict=True):
        same_numbers(column.field(name), part)


def same_times(column, expected):
    """Timestamps, dates or durations of the stored unit, or of the next one that Arrow has; NaT is null."""
    unit, kind = numpy.datetime_data(expected.dtype)[0], expected.dtype.kind
    wanted = pyarrow.array(expected.astype(f"{kind}8[{UNITS[kind].get(unit, unit)}]"))
    assert column.type == wanted.type, f"expected {wanted.type}, found {column.type}"
    assert column.to_pylist() == wanted.to_pylist()


def same_meaning(table, expected):
    """An answer means what anndata read: a frame, a matrix, an array, a categorical, an awkward array, a value."""
    field, column = table.schema.field(table.num_columns - 1), table.column(table.num_columns - 1)
    if isinstance(expected, pandas.DataFrame):
        same_frame(table, expected)
    elif scipy.sparse.issparse(expected):
        same_array(decode.array(table), expected)
    elif isinstance(expected, awkward.Array):
        wanted = awkward.to_arrow(expected, extensionarray=False)
        assert form(column.type) == form(wanted.type)
        assert column.to_pylist() == wanted.to_pylist()
    elif isinstance(expected, pandas.Categorical | pandas.api.extensions.ExtensionArray):
        same_column(column, pandas.Series(expected))
    elif isinstance(expected, numpy.ndarray):
        assert table.num_rows == expected.shape[0], f"expected {expected.shape[0]} rows, found {table.num_rows}"
        same(decode.one_chunk(column), field, expected.reshape(-1), expected.dtype)
    else:
        assert decode.scalar(table) == expected


def form(kind):
    """An Arrow type without what awkward chooses by size: large lists and texts, and whether there may be nulls."""
    if pyarrow.types.is_struct(kind):
        return {field.name: form(field.type) for field in kind}
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return [form(kind.value_type)]
    return "string" if pyarrow.types.is_large_string(kind) else str(kind)
