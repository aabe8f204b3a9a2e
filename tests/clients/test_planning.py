"""Plans of what a small file can claim: enormous arrays, grids of tiny chunks, long index lists.

Each is answered, or refused by name, in bounded memory, and other clients are served meanwhile.
"""

import json
import threading
import time

import h5py
import numpy
import pyarrow
import pyarrow.flight
import pytest
import zarr

from wire import Client

MIB = 1 << 20
# The other client's own limit for a small request, which takes milliseconds.
SMALL_SECONDS = 60
# The least of its requests that are answered while the large ones are planned.
ANSWERED = 50
# Beside the idle process: windows of the budget, what planning makes of some streams at once.
BUDGET, PLANNING = 64 * MIB, 448 * MIB
SETTINGS = """
[limits]
memory_budget = "64 MiB"
stream_memory = "16 MiB"
block_cache_bytes = "8 MiB"
max_ticket_bytes = "16 MiB"
"""
ROWS = 1 << 58
LISTED = 1_000_000


def hostile_h5(path):
    """Datasets whose shapes say much and of which little or nothing is stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("small", data=numpy.arange(100))
        wide = file.create_dataset("few", shape=(ROWS,), maxshape=(None,), chunks=(1 << 20,), dtype="i1", fillvalue=3)
        wide[:5] = [1, 2, 3, 4, 5]
        file.create_dataset("tiny", shape=(10**9,), chunks=(1,), dtype="i4", fillvalue=7)
        file.create_dataset("grid", shape=(10**6, 10**6), chunks=(1, 1), dtype="f8", fillvalue=0)
        file.create_dataset("columns", shape=(10**4, 10**7), chunks=(1, 10**5), dtype="i1", fillvalue=1)
        file.create_dataset("matrix", shape=(2000, 10**6), chunks=(1, 10**6), dtype="i1", fillvalue=2, compression="gzip")
        for name, shape, pointers in (("across", (10, 4 * 10**9), 11), ("long", (1 << 40, 10), (1 << 40) + 1)):
            sparse = file.create_group(name)
            sparse.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
            sparse.attrs["shape"] = numpy.array(shape, "i8")
            sparse.create_dataset("indptr", shape=(pointers,), chunks=(min(pointers, 1 << 16),), dtype="i8", fillvalue=0)
            sparse.create_dataset("indices", data=numpy.zeros(0, "i8"))
            sparse.create_dataset("data", data=numpy.zeros(0, "f4"))


@pytest.fixture(scope="module")
def keys(site):
    path = site.folder / "hostile.h5"
    hostile_h5(path)
    site.register("generated/hostile.h5", source=path)
    folder = site.folder / "hostile.zarr"
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    root.create_array("cells", shape=(10**12,), chunks=(1,), dtype="i4", fill_value=5)
    root.create_array("cube", shape=(10**4, 10**4, 10**4), chunks=(1, 1, 1), dtype="u1", fill_value=0)
    site.register("generated/hostile.zarr", source=folder)
    return {"h5": "generated/hostile.h5", "zarr": "generated/hostile.zarr"}


def listed(length, count=LISTED):
    """Positions in no order, so that none follows the one before."""
    step = max(1, length // count)
    return ((numpy.arange(count) * 7919 % count) * step % length).tolist()


def requests(keys):
    """Requests by what they are, each on one axis or two."""
    arrays = {
        ("h5", "few"): ROWS,
        ("h5", "tiny"): 10**9,
        ("h5", "grid"): 10**6,
        ("h5", "columns"): 10**4,
        ("h5", "long"): 1 << 40,
        ("zarr", "cells"): 10**12,
        ("zarr", "cube"): 10**4,
    }
    for (kind, node), length in arrays.items():
        request = {"key": keys[kind], "node": node}
        yield f"{node} whole", request
        if node in ("few", "tiny", "columns", "cells"):
            yield f"{node} step", request | {"axes": [[{"slice": {"step": -3}}]]}
            yield f"{node} listed", request | {"axes": [[{"index": listed(min(length, 1 << 40), 50_000)}]]}
    yield "tiny 10^6 listed", {"key": keys["h5"], "node": "tiny", "axes": [[{"index": listed(10**9)}]]}
    matrix = {"key": keys["h5"], "node": "matrix"}
    yield "matrix 10^6 columns", matrix | {"axes": [[], [{"index": listed(10**6)}]]}
    yield "columns wide", {"key": keys["h5"], "node": "columns", "layout": "wide"}
    across = {"key": keys["h5"], "node": "across"}
    yield "across part", across | {"axes": [[], [{"slice": {"stop": 4 * 10**9 - 1}}]]}
    yield "across listed", across | {"axes": [[], [{"index": [0, 3 * 10**9]}]]}


def ask(client, how, request):
    """Sends the request; gives what came of it. A stream is opened, read a little and left."""
    try:
        if how == "info":
            client.info(request)
        elif how == "explain":
            answer = client.action("explain", request)
            assert answer["windows"] >= 1, answer
            return "exact" if answer["exact"] else "extrapolated"
        else:
            reader = client.reader(request)
            reader.read_chunk()
            reader.cancel()
        return "answered"
    except (pyarrow.lib.ArrowException, pyarrow.flight.FlightError) as error:
        assert "resource exhausted error" in str(error), error
        return "refused: " + str(error).partition("message: ")[2][:90]


class Watcher(threading.Thread):
    """Another client, that asks for the same small thing again and again."""

    def __init__(self, uri, key):
        super().__init__(daemon=True)
        self.client, self.request = Client(uri, seconds=SMALL_SECONDS), {"key": key, "node": "small"}
        self.ended, self.slowest, self.asked, self.failure = threading.Event(), 0.0, 0, None

    def run(self):
        while not self.ended.is_set() and self.failure is None:
            started = time.monotonic()
            try:
                assert self.client.direct(self.request).num_rows == 100
            except Exception as error:  # noqa: BLE001, shown by the test
                self.failure = error
            self.slowest, self.asked = max(self.slowest, time.monotonic() - started), self.asked + 1
            time.sleep(0.02)


@pytest.mark.timeout(600)
def test_plans_of_enormous_arrays_are_bounded_and_let_others_be_served(site, keys):
    server = site.serve(settings=SETTINGS)
    client = Client(server.uri, seconds=60)
    client.direct({"key": keys["h5"], "node": "small"})
    before = server.peak_memory()
    watcher = Watcher(server.uri, keys["h5"])
    watcher.start()
    for name, request in requests(keys):
        for how in ("info", "explain", "get"):
            started, peak, slowest = time.monotonic(), server.peak_memory(), watcher.slowest
            outcome = ask(client, how, request)
            seconds, grown = time.monotonic() - started, server.peak_memory() - peak
            print(f"{name:24} {how:8} {seconds:6.2f} s {grown / MIB:6.1f} MiB {max(0, watcher.slowest - slowest):5.2f}  {outcome}")
            assert server.running
    watcher.ended.set()
    watcher.join(30)
    grown = server.peak_memory() - before
    print(f"slowest small request {watcher.slowest:.2f} s of {watcher.asked}; grown by {grown / MIB:.0f} MiB")
    assert watcher.failure is None, watcher.failure
    assert watcher.asked > ANSWERED
    assert grown <= BUDGET + PLANNING


def test_what_is_not_exact_says_so(site, keys):
    """Explanations of more chunks than are planned are extrapolated."""
    client = Client(site.serve(settings=SETTINGS).uri, seconds=60)
    answer = client.action("explain", {"key": keys["h5"], "node": "tiny", "slice": "0:4000000"})
    assert not answer["exact"] and answer["windows"] > 100, json.dumps(answer)[:300]
    answer = client.action("explain", {"key": keys["h5"], "node": "tiny", "slice": "0:100000"})
    # A window of 8,192 chunks, of which each has one row.
    assert answer["exact"] and answer["windows"] == 13
    found = client.direct({"key": keys["h5"], "node": "tiny", "slice": "999900000:1000000000:7"})
    assert set(found.column(0).to_pylist()) == {7} and found.num_rows == 14286
