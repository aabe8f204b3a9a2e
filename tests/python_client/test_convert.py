"""Arrow answers as NumPy and scipy: which memory they use, and every Arrow type of the wire."""

import json

import numpy
import pyarrow
import pytest
import scipy.sparse

from sliceflight import convert


def rows_of(matrix, extension=b"sliceflight.csr_row", lengths=(1000,)):
    """A sparse answer in batches of `lengths` rows, as the server sends it."""
    entry = pyarrow.struct(
        [pyarrow.field("index", pyarrow.int32(), False), pyarrow.field("value", pyarrow.float32(), False)]
    )
    metadata = {b"shape": json.dumps(matrix.shape).encode(), b"ARROW:extension:name": extension}
    field = pyarrow.field("X", pyarrow.list_(pyarrow.field("item", entry, False)), False, metadata)
    batches, start = [], 0
    for length in lengths:
        part = matrix.indptr[start : start + length + 1]
        entries = pyarrow.StructArray.from_arrays(
            [matrix.indices[part[0] : part[-1]], matrix.data[part[0] : part[-1]]], fields=list(entry)
        )
        column = pyarrow.ListArray.from_arrays(pyarrow.array(part - part[0]), entries, type=field.type)
        batches.append(pyarrow.record_batch([column], schema=pyarrow.schema([field])))
        start += length
    return pyarrow.Table.from_batches(batches, pyarrow.schema([field]))


@pytest.fixture
def matrix():
    return scipy.sparse.random(1000, 300, density=0.05, format="csr", dtype="float32", rng=4)


class TestMemory:
    """Buffers of one batch are used as they are."""

    def test_a_sparse_batch_is_not_copied(self, matrix):
        table = rows_of(matrix)
        column = table.column(0).chunk(0)
        found = convert.matrix(table)
        entries = column.values
        assert found.data.ctypes.data == entries.field("value").buffers()[1].address
        assert found.indices.ctypes.data == entries.field("index").buffers()[1].address
        assert found.indptr.ctypes.data == column.buffers()[1].address
        assert (found != matrix).nnz == 0

    def test_nor_is_a_dense_one(self):
        data = numpy.arange(24, dtype="float64").reshape(4, 3, 2)
        column = pyarrow.FixedShapeTensorArray.from_numpy_ndarray(data)
        found = convert.array(pyarrow.table({"x": column}))
        assert found.ctypes.data == column.storage.flatten().buffers()[1].address
        assert found.shape == (4, 3, 2) and (found == data).all()

    def test_the_servers_batches_are_not_copied_either(self, ln_all, monkeypatch):
        seen = []
        monkeypatch.setattr(
            convert, "value_column", lambda table, plain=convert.value_column: seen.append(table) or plain(table)
        )
        found = ln_all.Artifact.get(key="variants/variants.h5ad").open().X.to_memory()
        values = seen[0].column(0).chunk(0).values
        assert found.data.ctypes.data == values.field("value").buffers()[1].address
        assert found.indices.ctypes.data == values.field("index").buffers()[1].address
        assert found.nnz > 10_000

    def test_memory_lives_as_long_as_the_array(self, matrix):
        expected = matrix.toarray()
        found = convert.matrix(rows_of(matrix))
        for _ in range(20):
            rows_of(matrix * 0)  # would use memory that was given back
        numpy.testing.assert_array_equal(found.toarray(), expected)
        found.data *= 2
        numpy.testing.assert_array_equal(found.toarray(), expected * 2)

    @pytest.mark.parametrize("lengths", [(1000,), (400, 600), (1, 0, 998, 1), (250,) * 4])
    @pytest.mark.parametrize("extension", [b"sliceflight.csr_row", b"sliceflight.csc_column"])
    def test_several_batches(self, matrix, lengths, extension):
        kind = scipy.sparse.csr_matrix if extension.endswith(b"row") else scipy.sparse.csc_matrix
        table = rows_of(matrix, extension, lengths)
        if kind is scipy.sparse.csc_matrix:
            field = table.schema.field(0)
            metadata = {**field.metadata, b"shape": json.dumps(matrix.shape[::-1]).encode()}
            table = table.cast(pyarrow.schema([field.with_metadata(metadata)]))
        expected = matrix if kind is scipy.sparse.csr_matrix else matrix.T
        found = convert.matrix(table)
        found.check_format(full_check=True)
        assert isinstance(found, kind) and found.shape == expected.shape and (found != expected).nnz == 0

    def test_a_slice_of_a_batch(self, matrix):
        table = rows_of(matrix).slice(100, 50)
        metadata = {**table.schema.field(0).metadata, b"shape": b"[50, 300]"}
        table = table.cast(pyarrow.schema([table.schema.field(0).with_metadata(metadata)]))
        assert (convert.matrix(table) != matrix[100:150]).nnz == 0

    def test_no_rows(self, matrix):
        table = rows_of(matrix[:0], lengths=(0,))
        found = convert.matrix(table)
        assert found.shape == (0, 300) and found.dtype == numpy.float32


class TestTypes:
    """Each Arrow type of the wire."""

    @pytest.mark.parametrize(
        ("values", "kind", "expected"),
        [
            ([1, 2], pyarrow.uint8(), numpy.array([1, 2], "u1")),
            ([1.5, 2], pyarrow.float16(), numpy.array([1.5, 2], "f2")),
            ([True, False], pyarrow.bool_(), numpy.array([True, False])),
            (["a", "ü"], pyarrow.string(), numpy.array(["a", "ü"], object)),
            ([b"a", b""], pyarrow.binary(), numpy.array([b"a", b""], object)),
            ([b"ab", b"\0\1"], pyarrow.binary(2), numpy.array([b"ab", b"\0\1"], "V2")),
            ([1, None], pyarrow.timestamp("ms"), numpy.array([1, "NaT"], "M8[ms]")),
            ([1, None], pyarrow.date32(), numpy.array([1, "NaT"], "M8[D]")),
            ([None, 7], pyarrow.duration("s"), numpy.array(["NaT", 7], "m8[s]")),
            ([None, "a"], pyarrow.string(), numpy.array([None, "a"], object)),
        ],
    )
    def test_plain(self, values, kind, expected):
        for length in (len(values), 0):
            column = pyarrow.array(values, kind)[:length]
            found = convert.array(pyarrow.table({"x": column}))
            assert found.dtype == convert.numpy_dtype(kind) == expected.dtype
            numpy.testing.assert_array_equal(found, expected[:length])

    def test_complex_numbers(self):
        for width in ("float32", "float64"):
            fields = [pyarrow.field(name, width, False) for name in ("re", "im")]
            column = pyarrow.array([{"re": 1, "im": 2}, {"re": -1, "im": 0.5}], pyarrow.struct(fields))
            found = convert.array(pyarrow.table({"x": column}))
            assert found.dtype == ("complex64" if width == "float32" else "complex128")
            assert found.tolist() == [1 + 2j, -1 + 0.5j]

    def test_records(self):
        kind = pyarrow.struct(
            [("a", pyarrow.int16()), ("pair", pyarrow.list_(pyarrow.float32(), 2)), ("t", pyarrow.string())]
        )
        column = pyarrow.array([{"a": 1, "pair": [1, 2], "t": "x"}, {"a": 2, "pair": [3, 4], "t": "y"}], kind)
        found = convert.array(pyarrow.table({"x": column}))
        assert found.dtype == numpy.dtype([("a", "i2"), ("pair", "f4", (2,)), ("t", object)])
        assert found["pair"].tolist() == [[1, 2], [3, 4]] and found["t"].tolist() == ["x", "y"]

    def test_sequences(self):
        column = pyarrow.array([[1, 2], [], [3]], pyarrow.list_(pyarrow.int64()))
        found = convert.array(pyarrow.table({"x": column}))
        assert [row.tolist() for row in found] == [[1, 2], [], [3]]
        assert found[0].dtype == numpy.int64
