"""A slice of several times the memory budget streams inside the budget plus a stated overhead (item 8).

Memory is the peak resident size of the server process (VmHWM) over what it was after a small request.
"""

import numpy
import pytest

import decode
from generated import large_array, large_rows
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
