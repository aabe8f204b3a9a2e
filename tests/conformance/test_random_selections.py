"""Ten thousand random cases of (array, chunking, filter, selection, layout), each equal to NumPy's answer.

`RANDOM_SEED=n` takes other arrays and selections, `RANDOM_CASES=n` another number of them. A failure prints the
request, which can be sent again as a ticket, and the recipe of its array.
"""

import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pyarrow
import pytest
import scipy.sparse

import decode
from wire import Client

from .arrays import hdf5_file, sparse_file, zarr_store
from .selections import axis, random_slice, spelled

SEED = int(os.environ.get("RANDOM_SEED", "1"))
CASES = int(os.environ.get("RANDOM_CASES", "10400"))
FILES = 8
ARRAYS = 12
THREADS = 4
KINDS = ("hdf5", "zarr2", "zarr3", "sparse_hdf5", "sparse_zarr2", "sparse_zarr3")


def arrays(house, kind):
    """Every random array of a kind, its files registered."""
    made = []
    for number in range(FILES):
        seed = SEED * 100 + number
        suffix = {"hdf5": "h5", "sparse_hdf5": "h5ad"}.get(kind, "zarr")
        key = f"random/{kind}_{number}.{suffix}"
        path = house.place(key)
        if kind == "hdf5":
            made += hdf5_file(path, key, seed, ARRAYS)
        elif kind.startswith("sparse"):
            version = None if kind == "sparse_hdf5" else int(kind[-1])
            made += sparse_file(path, key, seed, ARRAYS // 2, version)
        else:
            made += zarr_store(path, key, seed, ARRAYS, int(kind[-1]))
        house.register(key)
    return made


def dense_case(chance, array):
    """A request of a dense array, and what NumPy answers."""
    values, request = array.values, {"key": array.key, "node": array.node}
    layout = chance.choice(("auto", "rows", "dense", "wide") if values.ndim == 2 else ("auto", "rows", "dense"))
    request |= {} if layout == "auto" else {"layout": layout}
    if chance.random() < 0.3:
        slices = [random_slice(chance, length) for length in values.shape[: chance.randint(1, values.ndim)]]
        return request | {"slice": spelled(slices)}, values[tuple(slices)], False
    taken = [axis(chance, length) for length in values.shape]
    expected = values[numpy.ix_(*(positions for _, positions in taken))]
    request["axes"] = [selectors for selectors, _ in taken]
    repeated = has_repeated(taken[-1][1])
    if chance.random() < 0.2:
        start, most = chance.randint(0, 5), chance.randint(0, 9)
        return request | {"offset": start, "limit": most}, expected[start : start + most], repeated
    return request, expected, repeated


def sparse_case(chance, array):
    """A request of a sparse matrix in any layout, and what scipy answers."""
    (obs, rows), (var, columns) = (axis(chance, length) for length in array.values.shape)
    layout = chance.choice(("auto", "sparse", "rows", "dense", "wide", "coo"))
    request = {"key": array.key, "node": array.node, "layout": layout}
    request |= {"axes": [obs, var]} if chance.random() < 0.5 else {"obs": obs, "var": var}
    return request, array.values[rows][:, columns], has_repeated(columns)


def has_repeated(positions):
    return len(set(positions.tolist())) < len(positions)


def check(client, request, expected, repeated):
    """Compares every element of an answer; columns of a table must differ, so `repeated` ones are refused there."""
    layout = request.get("layout", "auto")
    if layout == "wide" and repeated:
        with pytest.raises(pyarrow.ArrowInvalid, match="would have the column '.*' twice"):
            client.direct(request)
        return
    table = client.direct(request)
    if layout == "coo":
        same_entries(table, expected)
        return
    if layout == "wide":
        columns = [table.column(at).to_numpy() for at in range(table.num_columns)]
        found = numpy.column_stack(columns) if columns else numpy.zeros((table.num_rows, 0))
        if not columns:
            assert 0 in expected.shape
            return
    else:
        found = decode.array(table)
        shape = json.loads(table.schema.field(table.num_columns - 1).metadata[b"shape"])
        assert shape == list(expected.shape), "the shape in the metadata of the value column"
        found = found if scipy.sparse.issparse(found) else found.reshape(shape)
    if scipy.sparse.issparse(expected) and scipy.sparse.issparse(found):
        assert found.nnz == expected.nnz
        assert found.format == ("csr" if layout == "rows" else expected.format)
    wanted = decode.dense(expected)
    if layout != "wide":
        assert decode.dense(found).dtype == wanted.dtype.newbyteorder("=")
    assert decode.dense(found).shape == wanted.shape
    numpy.testing.assert_array_equal(decode.dense(found), wanted)


def same_entries(table, expected):
    """The stored entries of a matrix, one per row, those of equal places in any order."""
    rows, columns, values = (table.column(at).to_numpy() for at in range(3))
    wanted = expected.tocoo()
    assert len(values) == wanted.nnz
    assert values.dtype == wanted.dtype
    order, wished = numpy.lexsort((values, columns, rows)), numpy.lexsort((wanted.data, wanted.col, wanted.row))
    for found, right in ((rows, wanted.row), (columns, wanted.col), (values, wanted.data)):
        numpy.testing.assert_array_equal(found[order], right[wished])


@pytest.fixture(scope="module")
def client_of_thread(house):
    """Gives each thread a connection of its own."""
    local = threading.local()

    def client():
        if not hasattr(local, "client"):
            local.client = Client(house.server.uri)
        return local.client

    return client


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_random_selections(house, client_of_thread, kind):
    made = arrays(house, kind)
    each = -(-CASES // (len(KINDS) * len(made)))

    def run(array):
        chance = random.Random(f"{SEED} {array.key} {array.node}")
        make = sparse_case if kind.startswith("sparse") else dense_case
        for _ in range(each):
            request, expected, repeated = make(chance, array)
            try:
                check(client_of_thread(), request, expected, repeated)
            except Exception as error:
                raise AssertionError(f"ticket: {json.dumps(request)}\narray: {array.recipe}\n{error}") from error
        return each

    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(pool.map(run, made))
    assert done >= CASES // len(KINDS)
