"""The decoder itself, on tables made by pyarrow: the forms of slice-request without a server."""

import json

import numpy
import pyarrow
import pytest
import scipy.sparse

import decode
from expect import same_array


def sparse_table(matrix, name, batches=1):
    """`matrix` (CSR or CSC) in the wire's form, cut into record batches."""
    entries = pyarrow.StructArray.from_arrays(
        [pyarrow.array(matrix.indices), pyarrow.array(matrix.data)], names=["index", "value"]
    )
    lists = pyarrow.ListArray.from_arrays(pyarrow.array(matrix.indptr), entries)
    metadata = {b"ARROW:extension:name": name, b"shape": json.dumps(list(matrix.shape)).encode()}
    schema = pyarrow.schema([pyarrow.field("X", lists.type, metadata=metadata)])
    table = pyarrow.table([lists], schema=schema)
    step = -(-table.num_rows // batches)
    return pyarrow.concat_tables(table.slice(start, step) for start in range(0, table.num_rows, step))


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse(form, batches):
    matrix = scipy.sparse.random(30, 20, density=0.2, format=form, dtype="float32", rng=1)
    name = {"csr": b"sliceflight.csr_row", "csc": b"sliceflight.csc_column"}[form]
    found = decode.array(sparse_table(matrix, name, batches))
    same_array(found, matrix)
    with pytest.raises(AssertionError):
        same_array(found, matrix * 2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int8"])
def test_tensor(dtype):
    values = (numpy.arange(24) % 2).astype(dtype).reshape(4, 3, 2)
    kind = pyarrow.fixed_shape_tensor(pyarrow.from_numpy_dtype(values.dtype), [3, 2])
    storage = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), 6)
    table = pyarrow.table({"X": pyarrow.ExtensionArray.from_storage(kind, storage)})
    same_array(decode.array(table), values)
    same_array(decode.array(table.slice(1, 2)), values[1:3])
    same_array(decode.array(table.slice(0, 0)), values[:0])


def test_text_and_scalar():
    same_array(decode.array(pyarrow.table({"names": ["a", None, "ü"]})), numpy.array(["a", None, "ü"], dtype=object))
    assert decode.scalar(pyarrow.table({"pca": [{"variance": [1.0, 2.0]}]})) == {"variance": [1.0, 2.0]}
