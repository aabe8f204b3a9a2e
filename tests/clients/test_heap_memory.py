"""Texts and sequences of variable length lie in heaps: reading them stays inside the memory budget as well.

Each dataset is several times the budget. Memory is the peak resident size of a server of its own over what it
was after a small request of the same kind. With `-s` the figures are printed.
"""

import h5py
import numpy
import pytest

from wire import Client

MIB = 1 << 20
BUDGET = 16 * MIB
# Messages in gRPC's buffers, allocator slack, heap collections that are kept for the next rows, the caches below.
OVERHEAD = 32 * MIB
SETTINGS = """
[limits]
memory_budget = "16 MiB"
stream_memory = "4 MiB"
block_cache_bytes = "4 MiB"
"""
CHUNKED = {"chunks": (4000,), "compression": "gzip", "compression_opts": 1}
TEXTS, SEQUENCES, LONG = 600_000, 60_000, 60


def text(position, length):
    """A text of about `length` characters, none as another."""
    return f"{position:09d} " * (length // 10 + position % 3)


def sequence(position):
    """About a KiB of numbers."""
    return numpy.arange(position, position + 200 + position % 113, dtype="f4")


def write(path):
    with h5py.File(path, "w") as file:
        texts = [text(position, 110) for position in range(TEXTS)]
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype())
        file.create_dataset("texts_chunked", data=texts, dtype=h5py.string_dtype(), **CHUNKED)
        file.create_dataset("long", data=[text(position, MIB) for position in range(LONG)], dtype=h5py.string_dtype())
        sequences = numpy.empty(SEQUENCES, object)
        sequences[:] = [sequence(position) for position in range(SEQUENCES)]
        file.create_dataset("sequences", data=sequences, dtype=h5py.vlen_dtype("f4"))
        file.create_dataset("sequences_chunked", data=sequences, dtype=h5py.vlen_dtype("f4"), **CHUNKED)


@pytest.fixture(scope="module")
def heaps(site):
    path = site.folder / "heaps.h5"
    write(path)
    site.register("generated/heaps.h5", source=path)
    path.unlink()
    yield "generated/heaps.h5"
    (site.bucket / "generated/heaps.h5").unlink()


WANTED = {
    "texts": lambda position: text(position, 110),
    "long": lambda position: text(position, MIB),
    "sequences": sequence,
}
CASES = [
    ("texts", None),
    ("texts_chunked", None),
    ("long", None),
    ("sequences", None),
    ("sequences_chunked", None),
    ("texts", "scattered"),
    ("texts_chunked", "scattered"),
    ("sequences", "scattered"),
    ("sequences_chunked", "backwards"),
]


def selected(node, how):
    """The axes of a request, and the positions that they mean."""
    length = {"texts": TEXTS, "long": LONG, "sequences": SEQUENCES}[node.split("_")[0]]
    if how == "scattered":
        rows = numpy.random.default_rng(15).permutation(length)[: length // 10]
        return [{"index": rows.tolist()}], rows
    if how == "backwards":
        return [{"slice": {"step": -1}}], numpy.arange(length)[::-1]
    return [], numpy.arange(length)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("node", "how"), CASES)
def test_peak_memory_of_heaps(site, heaps, node, how):
    server = site.serve(settings=SETTINGS)
    client = Client(server.uri, seconds=250)
    wanted = WANTED[node.split("_")[0]]
    client.direct({"key": heaps, "node": node, "slice": "0:2"})
    idle, seen, total = server.peak_memory(), 0, 0
    axes, rows = selected(node, how)
    for chunk in client.reader({"key": heaps, "node": node, "axes": axes}):
        column = chunk.data.column(0)
        total += column.nbytes
        part = rows[seen : seen + len(column)]
        if node.startswith("sequences"):
            numpy.testing.assert_array_equal(column.flatten().to_numpy(), numpy.concatenate([wanted(row) for row in part]))
        else:
            assert column.to_pylist() == [wanted(row) for row in part]
        seen += len(column)
    assert seen == len(rows) and (total > 3.5 * BUDGET or how == "scattered")
    grown = server.peak_memory() - idle
    server.stop()
    client.close()
    print(f"\n| {node} {how or 'whole'} | {total / MIB:.0f} MiB | {idle / MIB:.0f} MiB idle | +{grown / MIB:.1f} MiB |")
    assert grown <= BUDGET + OVERHEAD, f"grew by {grown / MIB:.0f} MiB"
