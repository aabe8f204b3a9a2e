"""A slice of several times the memory budget streams inside the budget plus a stated overhead (item 8).

Memory is the peak resident size of the server process, without its mapped code, over what it was after a small request.
"""

import anndata
import h5py
import numpy
import pytest
import scipy.sparse

import decode
from generated import columns_h5ad, large_array, large_rows
from wire import Client

MIB = 1 << 20
BUDGET = 64 * MIB
ARRAY = 400 * MIB
# What is not slice data: messages in gRPC's buffers, allocator slack, stacks, the registry's cache.
OVERHEAD = 64 * MIB
SETTINGS = """
[limits]
memory_budget = "64 MiB"
stream_memory = "16 MiB"
block_cache_bytes = "8 MiB"
"""


@pytest.fixture(scope="module", params=[False, True], ids=["uncompressed", "gzip"])
def large(site, request):
    key = f"generated/large-{request.param}.h5"
    path = site.folder / "large.h5"
    rows, width = large_array(path, ARRAY // MIB, compression=request.param)
    site.register(key, source=path)
    path.unlink()
    yield key, rows, width
    (site.bucket / key).unlink()


@pytest.fixture
def server(site):
    server = site.serve(settings=SETTINGS)
    yield server
    server.stop()


def read_and_check(client, key, width, first=0, node="values"):
    """Reads the whole array batch by batch, keeping nothing; gives the number of rows."""
    seen = first
    for chunk in client.reader({"key": key, "node": node}):
        rows = decode.elements(chunk.data.column(chunk.data.num_columns - 1))
        numpy.testing.assert_array_equal(rows, large_rows(seen, len(rows), width))
        seen += len(rows)
    return seen - first


@pytest.mark.timeout(600)
def test_peak_memory_stays_inside_the_budget(large, server):
    key, rows, width = large
    client = Client(server.uri, seconds=500)
    client.direct({"key": key, "node": "values", "slice": "0:300"})
    before = server.peak_memory()
    assert read_and_check(client, key, width) == rows
    grown = server.peak_memory() - before
    assert grown <= BUDGET + OVERHEAD, f"grew by {grown / MIB:.0f} MiB"
    assert rows * width * 4 >= 6 * BUDGET


@pytest.mark.timeout(600)
def test_a_slow_reader_does_not_make_the_server_hold_the_slice(large, server):
    """Two streams that are opened and hardly read: what the server holds is still inside the budget."""
    key, _, width = large
    clients = [Client(server.uri, seconds=500) for _ in range(2)]
    clients[0].direct({"key": key, "node": "values", "slice": "0:300"})
    before = server.peak_memory()
    readers = [client.reader({"key": key, "node": "values"}) for client in clients]
    for reader in readers:
        first = decode.elements(reader.read_chunk().data.column(0))
        numpy.testing.assert_array_equal(first, large_rows(0, len(first), width))
    assert clients[1].direct({"key": key, "node": "values", "slice": "5:7"}).num_rows == 2
    assert server.peak_memory() - before <= BUDGET + OVERHEAD
    for reader in readers:
        reader.cancel()


NARROW = """
[limits]
memory_budget = "16 MiB"
stream_memory = "4 MiB"
block_cache_bytes = "1 MiB"
"""


@pytest.mark.timeout(600)
def test_a_chunk_per_column(site):
    """Every window of rows needs a part of every chunk, and all chunks together are over the budget."""
    rows, columns, key = 60_000, 80, "generated/columns.h5"
    path = site.folder / "columns.h5"
    values = numpy.random.default_rng(0).integers(0, 1000, (rows, columns)).astype("f8")
    with h5py.File(path, "w") as file:
        file.create_dataset("values", data=values, chunks=(rows, 1), compression="gzip", compression_opts=1)
    site.register(key, source=path)
    server = site.serve(settings=NARROW)
    client = Client(server.uri, seconds=500)
    client.direct({"key": key, "node": "values", "slice": "0:10"})
    before, seen = server.peak_memory(), 0
    for chunk in client.reader({"key": key, "node": "values"}):
        found = decode.elements(chunk.data.column(0))
        numpy.testing.assert_array_equal(found, values[seen : seen + len(found)])
        seen += len(found)
    assert seen == rows and values.nbytes > 2 * 16 * MIB
    assert server.peak_memory() - before <= 16 * MIB + 16 * MIB


@pytest.mark.timeout(600)
def test_scattered_rows_of_a_sparse_matrix(site):
    """The chunks that hold the rows decode to many times the budget; the rows themselves are few."""
    rows, per_row, key = 40_000, 200, "generated/scattered.h5ad"
    path = site.folder / "scattered.h5ad"
    chance = numpy.random.default_rng(1)
    indices = (numpy.arange(per_row) * 50 + chance.integers(0, 50, (rows, per_row))).astype("i4")
    data = chance.random((rows, per_row)).astype("f4")
    matrix = scipy.sparse.csr_matrix(
        (data.ravel(), indices.ravel(), numpy.arange(rows + 1) * per_row), shape=(rows, 50 * per_row)
    )
    anndata.AnnData(matrix).write_h5ad(path, compression="gzip")
    site.register(key, source=path)
    server = site.serve(settings=NARROW)
    client = Client(server.uri, seconds=500)
    client.direct({"key": key, "node": "X", "obs": {"index": [0]}})
    before = server.peak_memory()
    chosen = chance.permutation(rows)[:2000].tolist()
    found = decode.array(client.direct({"key": key, "node": "X", "obs": {"index": chosen}}))
    assert (found != matrix[chosen]).nnz == 0
    assert server.peak_memory() - before <= 16 * MIB + 32 * MIB


TURNING = """
[limits]
memory_budget = "16 MiB"
stream_memory = "12 MiB"
block_cache_bytes = "1 MiB"
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("layout", ["rows", "coo"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_rows_of_a_matrix_stored_by_columns(site, compression, layout):
    """Every row needs a part of every column, and the matrix is several times the budget."""
    rows, columns, key = 40_000, 2_600, f"generated/columns-{compression}-{layout}.h5ad"
    path = site.folder / "columns.h5ad"
    matrix = columns_h5ad(path, rows, columns, 2_500, compression=compression)
    assert 8 * matrix.nnz > 3 * 16 * MIB
    site.register(key, source=path)
    server = site.serve(settings=TURNING)
    client = Client(server.uri, seconds=500)
    request = {"key": key, "node": "X", "layout": layout}
    client.direct(request | {"obs": {"index": [0]}, "var": {"index": [0]}})
    before, seen = server.peak_memory(), 0
    expected = matrix.tocsr() if layout == "rows" else matrix.tocoo()
    for chunk in client.reader(request):
        if layout == "rows":
            # The field tells the shape of the whole answer, a batch has some of its rows.
            lists = chunk.data.column(0)
            part = expected[seen : seen + len(lists)]
            entries = lists.values.slice(lists.offsets[0].as_py(), lists.offsets[-1].as_py() - lists.offsets[0].as_py())
            numpy.testing.assert_array_equal(numpy.diff(lists.offsets.to_numpy()), numpy.diff(part.indptr))
            numpy.testing.assert_array_equal(entries.field("index").to_numpy(), part.indices)
            numpy.testing.assert_array_equal(entries.field("value").to_numpy(), part.data)
        else:
            part = slice(seen, seen + chunk.data.num_rows)
            for column, wanted in zip(chunk.data.columns, (expected.row, expected.col, expected.data)):
                numpy.testing.assert_array_equal(column.to_numpy(), wanted[part])
        seen += chunk.data.num_rows
    assert seen == (rows if layout == "rows" else matrix.nnz)
    grown = server.peak_memory() - before
    print(f"\n| turned {compression} {layout} | {before / MIB:.0f} MiB idle | +{grown / MIB:.1f} MiB |")
    assert grown <= 16 * MIB + 16 * MIB, f"grew by {grown / MIB:.0f} MiB"
