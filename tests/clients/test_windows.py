"""Slices much larger than one window and one endpoint: cut and put together again, element by element."""

import random

import anndata
import numpy
import pandas
import pytest
import scipy.sparse

import decode
from expect import same_array, same_frame
from wire import Client

ROWS, COLUMNS, KEY = 20_000, 400, "generated/windows.h5ad"
# Windows of 256 KiB: an answer of some MB has many of them, and several endpoints.
SETTINGS = """
[limits]
memory_budget = "8 MiB"
stream_memory = "1 MiB"
endpoint_bytes = "1 MiB"
"""


@pytest.fixture(scope="module")
def whole():
    chance = numpy.random.default_rng(7)
    sparse = scipy.sparse.random(ROWS, COLUMNS, 0.1, "csr", dtype="f4", random_state=chance)
    obs = pandas.DataFrame(
        {"kind": pandas.Categorical(chance.choice(["a", "b", "c"], ROWS)), "value": chance.random(ROWS).astype("f4")},
        index=[f"cell-{row}" for row in range(ROWS)],
    )
    data = anndata.AnnData(sparse, obs=obs)
    data.obsm["dense"] = chance.random((ROWS, 30))
    data.layers["columns"] = sparse.tocsc()
    return data


@pytest.fixture(scope="module")
def client(site, whole):
    path = site.folder / "windows.h5ad"
    whole.write_h5ad(path, compression="gzip")
    site.register(KEY, source=path)
    path.unlink()
    client = Client(site.serve(settings=SETTINGS).uri)
    yield client
    client.close()


def random_rows(chance, obs):
    """A selector of many rows, and their positions."""
    kind = chance.choice(["slice", "index", "where"])
    if kind == "slice":
        start, stop, step = chance.randrange(ROWS), chance.randrange(ROWS), chance.choice([1, 1, 2, -1, 7, -3])
        return {"slice": {"start": start, "stop": stop, "step": step}}, numpy.arange(ROWS)[start:stop:step]
    if kind == "index":
        rows = [chance.randrange(-ROWS, ROWS) for _ in range(chance.randrange(4000))]
        return {"index": rows}, numpy.array(rows, dtype=int) % ROWS
    limit = numpy.float32(chance.random())
    where = f"kind <> 'a' AND value < {float(limit)!r}"
    return {"where": where}, numpy.flatnonzero((obs.kind != "a") & (obs.value < limit))


@pytest.mark.parametrize("node", ["X", "layers/columns", "obsm/dense", "obs"])
@pytest.mark.parametrize("seed", range(8))
def test_random_slices(client, whole, node, seed):
    chance = random.Random(f"{node} {seed}")
    selector, rows = random_rows(chance, whole.obs)
    request = {"key": KEY, "node": node, "obs": selector}
    columns = slice(None)
    if node in ("X", "layers/columns") and chance.random() < 0.6:
        columns = [chance.randrange(COLUMNS) for _ in range(chance.randrange(1, 200))]
        request["var"] = {"index": columns}
    found = client.get(request)
    if node == "obs":
        same_frame(found, whole.obs.iloc[rows])
    elif node == "obsm/dense":
        same_array(decode.array(found), whole.obsm["dense"][rows])
    else:
        matrix = whole.X if node == "X" else whole.layers["columns"]
        same_array(decode.array(found), matrix[rows][:, columns])


def test_the_answers_really_are_cut(client):
    """Else the tests above would show nothing."""
    info = client.info((KEY, "X"))
    assert len(info.endpoints) >= 4 and info.total_records == ROWS
    assert len(list(client.reader({"key": KEY, "node": "X"}))) >= 20
