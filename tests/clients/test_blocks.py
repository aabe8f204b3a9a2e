"""Large parts of chunks that are handed on as they were decoded: the same elements as ever, in batches by chunk."""

import random

import h5py
import numpy
import pytest
import zarr

import decode
from expect import same_array
from wire import Client

ROWS, COLUMNS, CHUNK_ROWS = 5_000, 300, 1_000
KEYS = {"h5": "generated/blocks.h5", "zarr": "generated/blocks.zarr"}
NODES = {
    "h5": ["gzip", "plain", "contiguous", "narrow", "big", "deep", "line"],
    "zarr": ["gzip", "big", "line"],
}


@pytest.fixture(scope="module")
def values():
    chance = numpy.random.default_rng(11)
    return {
        "gzip": chance.random((ROWS, COLUMNS), dtype="f4"),
        "plain": chance.random((ROWS, COLUMNS), dtype="f4"),
        "contiguous": chance.random((ROWS, COLUMNS), dtype="f4"),
        "narrow": chance.random((ROWS, COLUMNS), dtype="f4"),
        "big": chance.integers(-(1 << 40), 1 << 40, (ROWS, COLUMNS)).astype(">i8"),
        "deep": chance.integers(0, 256, (ROWS, 20, 60), dtype="u1"),
        "line": chance.random(ROWS * COLUMNS),
    }


@pytest.fixture(scope="module")
def client(site, values):
    path = site.folder / "blocks.h5"
    with h5py.File(path, "w") as file:
        # One byte before the data of the rest, so that what is not decoded lies at odd places.
        file.create_dataset("first", data=numpy.zeros(1, "u1"))
        file.create_dataset("gzip", data=values["gzip"], chunks=(CHUNK_ROWS, COLUMNS), compression="gzip", shuffle=True)
        file.create_dataset("plain", data=values["plain"], chunks=(CHUNK_ROWS, COLUMNS))
        file.create_dataset("contiguous", data=values["contiguous"])
        file.create_dataset("narrow", data=values["narrow"], chunks=(CHUNK_ROWS, 100), compression="gzip")
        file.create_dataset("big", data=values["big"], chunks=(700, COLUMNS), compression="lzf")
        file.create_dataset("deep", data=values["deep"], chunks=(CHUNK_ROWS, 20, 60), compression="gzip")
        file.create_dataset("line", data=values["line"], chunks=(400_000,), compression="gzip")
    site.register(KEYS["h5"], source=path)
    store = site.folder / "blocks.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=3)
    for name, chunks in [("gzip", (CHUNK_ROWS, COLUMNS)), ("big", (700, COLUMNS)), ("line", (400_000,))]:
        array = values[name].astype(values[name].dtype.newbyteorder("="))
        group.create_array(name, data=array, chunks=chunks)
    site.register(KEYS["zarr"], source=store)
    client = Client(site.serve().uri)
    yield client
    client.close()


def requests(kind, node, seed):
    """Selectors of rows, and what they select."""
    chance = random.Random(f"{kind} {node} {seed}")
    length = ROWS * COLUMNS if node == "line" else ROWS
    start, stop = sorted(chance.sample(range(length + 1), 2))
    yield {"slice": f"{start}:{stop}"}, slice(start, stop)
    yield {"slice": f"{start}:{stop}:{(step := chance.choice([2, 5]))}"}, slice(start, stop, step)
    rows = sorted(chance.sample(range(length), 40))
    yield {"axes": [{"index": rows}]}, rows
    # Most of some chunks, but not one behind the other.
    rows = [*range(stop // 2, stop), *range(stop // 2)][: 3 * CHUNK_ROWS]
    yield {"axes": [{"index": rows}]}, rows
    yield {}, slice(None)


@pytest.mark.parametrize("kind, node", [(kind, node) for kind, nodes in NODES.items() for node in nodes])
@pytest.mark.parametrize("seed", range(3))
def test_the_elements_are_those_of_the_array(client, values, kind, node, seed):
    for selector, rows in requests(kind, node, seed):
        # Twice and once more: from the store, kept, and from the cache.
        for _ in range(3):
            found = decode.array(client.get({"key": KEYS[kind], "node": node} | selector))
            expected = values[node][rows]
            same_array(found, expected.astype(expected.dtype.newbyteorder("=")))


@pytest.mark.parametrize(
    "kind, node, rows, batches",
    [
        ("h5", "gzip", "0:5000", [1000] * 5),
        ("h5", "gzip", "100:4950", [900, 1000, 1000, 1000, 950]),
        ("h5", "gzip", "0:4500", [1000] * 4 + [500]),
        # Parts of chunks that are too small: gathered in one batch.
        ("h5", "gzip", "900:3500", [2600]),
        ("h5", "gzip", "0:4000:2", [2000]),
        ("h5", "gzip", "0:400", [400]),
        # Columns in chunks of their own.
        ("h5", "narrow", "0:1000", [1000]),
        ("h5", "big", "0:1400", [700, 700]),
        ("zarr", "gzip", "0:2000", [1000, 1000]),
    ],
)
def test_batches_are_chunks_where_nothing_is_copied(client, kind, node, rows, batches):
    """Else the test above would show nothing."""
    request = {"key": KEYS[kind], "node": node, "slice": rows, "max_batch_bytes": 16 << 20}
    assert [chunk.data.num_rows for chunk in client.reader(request)] == batches
