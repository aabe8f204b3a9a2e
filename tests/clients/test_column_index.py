"""Genes of all cells from the column index of a matrix that is stored by cells (ADR 15).

Whatever is asked, the answer is that of anndata and of a server without an index; what is counted are the
requests that the cloud sees.
"""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

import anndata
import numpy
import pandas
import pyarrow
import pyarrow.flight as flight
import pytest
import scipy.sparse
import zarr

import decode
from expect import same_array
from wire import Client

CELLS, GENES = 3000, 400
KEY = "generated/genes.h5ad"
FORMATS = {"csr.h5ad": "csr", "csc.h5ad": "csc", "csr_v2.zarr": "csr", "csr_v3.zarr": "csr"}
MIB = 1 << 20
REFUSED = (flight.FlightError, pyarrow.ArrowException)


def cells_and_genes(format, seed=0):
    """An AnnData of one sparse matrix, with empty rows and columns and stored zeros."""
    chance = numpy.random.default_rng(seed)
    matrix = scipy.sparse.random(CELLS, GENES, density=0.08, format=format, dtype="f4", rng=seed)
    matrix.data[::50] = 0
    matrix = matrix.tolil()
    matrix[17], matrix[:, 23] = 0, 0
    matrix = matrix.asformat(format)
    obs = pandas.DataFrame({"kind": pandas.Categorical(chance.choice(["a", "b", "c"], CELLS))})
    obs.index, names = [f"cell{position}" for position in range(CELLS)], [f"gene{position}" for position in range(GENES)]
    return anndata.AnnData(matrix, obs=obs, var=pandas.DataFrame(index=names))


def write(data, path):
    if path.suffix == ".h5ad":
        data.write_h5ad(path, compression="gzip")
    else:
        with anndata.settings.override(zarr_write_format=3 if "v3" in path.name else 2):
            data.write_zarr(path)


class Indexed:
    """The site, and servers that keep indexes in one folder."""

    def __init__(self, site, folder):
        self.site, self.folder = site, folder

    def serve(self, after=0, size="64 MiB", limits=""):
        settings = f'{limits}\n[column_index]\nfolder = "{self.folder}"\nmax_bytes = "{size}"\nafter = {after}\n'
        return self.site.serve("--allow-register", settings=settings)

    def client(self, **settings):
        return Client(self.serve(**settings).uri)

    def root(self):
        return self.folder / "columns-v1"

    def indexes(self):
        return sorted(path for path in self.root().iterdir() if not path.name.endswith(".building"))

    def reads(self, key, run):
        """The requests for `key` while `run` ran, and its answer."""
        self.site.cloud.reset()
        answer = run()
        return [entry for entry in self.site.cloud.log_entries() if entry["key"].startswith(key)], answer


@pytest.fixture
def indexed(site, tmp_path):
    indexed = Indexed(site, tmp_path / "indexes")
    yield indexed
    site.stop()


@pytest.fixture(scope="module")
def files(site):
    """The AnnData by name, in the bucket and registered."""
    found = {}
    for name, format in FORMATS.items():
        found[name] = cells_and_genes(format)
        write(found[name], site.folder / name)
        site.register(f"generated/{name}", source=site.folder / name)
    site.register(KEY, source=site.folder / "csr.h5ad")
    return found


def state(client, request):
    return client.action("explain", request)["column_index"]


def same_answers(found, expected):
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.equals(expected)


ACROSS = [
    {"names": ["gene7"]},
    {"names": ["gene301", "gene23", "gene4", "gene4"]},
    {"index": [3, 5, 5, -1]},
    {"slice": {"start": 40, "stop": 10, "step": -3}},
    {"where": "_index IN ('gene11', 'gene12')"},
]
ALONG = [{}, {"where": "kind = 'b'"}, {"index": [2999, 0, 17, 0]}, {"slice": {"start": 100, "stop": 900, "step": None}}]


@pytest.mark.parametrize("name", FORMATS)
def test_answers_are_those_of_anndata(indexed, files, name):
    """Columns of CSR and rows of CSC, with every form and selection of the other axis."""
    data, client, plain = files[name], indexed.client(), Client(indexed.site.serve().uri)
    key, by_rows = f"generated/{name}", FORMATS[name] == "csr"
    built = client.action("build_index", {"key": key})
    assert built["state"] == "ready" and built["entries"] == data.X.nnz and built["node"] == "X"
    if by_rows:
        requests = [{"var": across, "obs": along} for across in ACROSS for along in ALONG]
    else:
        requests = [{"obs": {"index": [5, 2, 5]}, "var": along} for along in ({}, {"index": [9, 9, 3]})]
        requests += [{"obs": {"where": "kind = 'c'"}, "var": {"names": ["gene3"]}}]
    for request in requests:
        is_repeated = request in [{"var": ACROSS[place], "obs": along} for place in (1, 2) for along in ALONG]
        for layout in ("auto", "rows", "sparse", "dense", "coo") + (() if is_repeated or not by_rows else ("wide",)):
            request = {"key": key, "node": "X", **request, "layout": layout}
            request = {name: value for name, value in request.items() if value != {}}
            same_answers(client.get(request) if layout != "coo" else client.direct(request), plain.direct(request))
            # A few of those that lie together are near in the file itself.
            few = request.get("obs") == ALONG[2] if by_rows else "var" in request
            assert state(client, request)["state"] in (("used", "not cheaper") if few else ("used",)), request
            assert "column_index" not in plain.action("explain", request)
    if by_rows:
        found = client.get({"key": key, "node": "X", "var": {"names": ["gene9", "gene2"]}, "obs": {"where": "kind = 'a'"}})
        same_array(decode.array(found), data[data.obs["kind"] == "a", ["gene9", "gene2"]].X)
        found = client.get({"key": key, "node": "X", "var": {"names": ["gene8"]}, "with_index": True, "with_obs": ["kind"]})
        (index,) = set(found.column_names) - {"kind", "X"}
        assert found.column(index).to_pylist() == list(data.obs_names)
        assert found.column("kind").to_pylist() == data.obs["kind"].tolist()
        same_array(decode.array(found), data[:, ["gene8"]].X)


def test_a_gene_needs_no_request(indexed, files):
    client = indexed.client()
    request = {"key": KEY, "node": "X", "var": {"index": [7]}}
    without, expected = indexed.reads(KEY, lambda: client.direct(request))
    assert sum(entry["method"] == "GET" for entry in without) >= 2
    before = client.action("explain", request)
    assert before["column_index"]["state"] == "missing" and before["requests"] >= 2
    client.action("build_index", {"key": KEY, "node": "X"})
    # Also by a server that has never seen the file.
    fresh = indexed.client()
    reads, found = indexed.reads(KEY, lambda: fresh.direct(request))
    assert reads == []
    same_answers(found, expected)
    same_array(decode.array(found), files["csr.h5ad"][:, [7]].X)
    explained = fresh.action("explain", request)
    used = explained["column_index"]
    assert used["state"] == "used" and used["entries_with"] < used["entries_without"]
    assert used["without"]["bytes"] == before["bytes"] and used["without"]["requests"] == before["requests"]
    assert explained["bytes"] < before["bytes"]
    assert {entry["array"] for entry in explained["ranges"]} == {"column index/indices", "column index/data"}
    # Cells in order are as near in the file itself.
    assert "column_index" not in fresh.action("explain", {"key": KEY, "node": "X", "obs": {"index": [5]}})


def test_a_filter_of_cells_reads_only_their_column(indexed, files):
    client = indexed.client()
    client.action("build_index", {"key": KEY})
    fresh = indexed.client()
    request = {"key": KEY, "node": "X", "var": {"index": [3, 9]}, "obs": {"where": "kind = 'c'"}}
    reads, found = indexed.reads(KEY, lambda: fresh.direct(request))
    assert 1 <= len(reads) <= 3 and sum(entry["bytes"] for entry in reads if "bytes" in entry) < 200_000
    data = files["csr.h5ad"]
    same_array(decode.array(found), data[data.obs["kind"] == "c", [3, 9]].X)


def test_other_readers_open_the_index(indexed, files):
    """It is a zarr store of the matrix by its other axis."""
    indexed.client().action("build_index", {"key": KEY})
    (folder,) = indexed.indexes()
    store = zarr.open_group(folder, mode="r")
    assert store.attrs["encoding-type"] == "csc_matrix"
    parts = [store[name][:] for name in ("data", "indices", "indptr")]
    found = scipy.sparse.csc_matrix(tuple(parts), shape=tuple(store.attrs["shape"]))
    expected = files["csr.h5ad"].X.tocsc()
    numpy.testing.assert_array_equal(found.indptr, expected.indptr)
    numpy.testing.assert_array_equal(found.indices, expected.indices)
    numpy.testing.assert_array_equal(found.data, expected.data)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_asked_often_it_is_built(indexed, files):
    client = indexed.client(after=3)
    request = {"key": KEY, "node": "X", "var": {"index": [7]}}
    for _ in range(2):
        client.get(request)
        state(client, request)
    time.sleep(0.3)
    assert not indexed.indexes()
    client.get(request)
    wait_for(lambda: state(client, request)["state"] == "used")
    same_array(decode.array(client.get(request)), files["csr.h5ad"][:, [7]].X)


def test_with_zero_it_is_never_built_unasked(indexed, files):
    client = indexed.client(after=0)
    for _ in range(12):
        client.direct({"key": KEY, "node": "X", "var": {"index": [7]}})
    time.sleep(0.3)
    assert not indexed.indexes()


def test_a_changed_source_is_built_anew(indexed, files):
    site, key, path = indexed.site, "generated/changing.h5ad", indexed.site.folder / "changing.h5ad"
    write(cells_and_genes("csr"), path)
    site.register(key, source=path)
    client, request = indexed.client(), {"key": key, "node": "X", "var": {"index": [7]}}
    client.action("build_index", {"key": key})
    (old,) = indexed.indexes()
    changed = cells_and_genes("csr", seed=5)
    write(changed, path)
    site.register(key, source=path)
    assert state(client, request)["state"] == "missing"
    same_array(decode.array(client.get(request)), changed[:, [7]].X)
    # Whoever kept an index of the old version wants one of the new.
    wait_for(lambda: state(client, request)["state"] == "used")
    same_array(decode.array(client.get(request)), changed[:, [7]].X)
    assert len(indexed.indexes()) == 1 and indexed.indexes() != [old]


def test_damage_costs_time_and_no_answer(indexed, files):
    chance, expected = random.Random(0), files["csr.h5ad"][:, [7, 30]].X
    request = {"key": KEY, "node": "X", "var": {"index": [7, 30]}}
    for trial in range(8):
        client = indexed.client()
        client.action("build_index", {"key": KEY})
        if trial % 2:
            same_array(decode.array(client.get(request)), expected)
        for path in indexed.indexes()[0].rglob("c/0"):
            content = bytearray(path.read_bytes())
            for _ in range(40):
                content[chance.randrange(len(content))] ^= 1 + chance.randrange(255)
            path.write_bytes(content)
        client = client if trial % 4 == 1 else indexed.client()
        same_array(decode.array(client.get(request)), expected)
        wait_for(lambda: not indexed.indexes())
        assert state(client, request)["state"] == "missing"


def test_the_folder_keeps_its_bound(indexed, files):
    """Not all fit, as a build needs room as well: those that were used least recently go."""
    client = indexed.client(size="2 MiB")
    for name in FORMATS:
        key = f"generated/{name}"
        assert client.action("build_index", {"key": key})["bytes"] > 400_000
        held = sum(path.stat().st_size for path in indexed.root().rglob("*") if path.is_file())
        assert held <= 2 * MIB
        time.sleep(0.05)
    assert len(indexed.indexes()) < len(FORMATS)
    assert state(client, {"key": "generated/csr_v3.zarr", "node": "X", "var": {"index": [7]}})["state"] == "used"
    assert state(client, {"key": "generated/csr.h5ad", "node": "X", "var": {"index": [7]}})["state"] == "missing"
    with pytest.raises(REFUSED, match="column_index.max_bytes"):
        large = scipy.sparse.random(6000, 400, density=0.2, format="csr", dtype="f8", rng=3)
        write(anndata.AnnData(large), indexed.site.folder / "large.h5ad")
        indexed.site.register("generated/large.h5ad", source=indexed.site.folder / "large.h5ad")
        client.action("build_index", {"key": "generated/large.h5ad"})


def test_many_build_once(indexed, files):
    server = indexed.serve()
    clients = [Client(server.uri) for _ in range(6)]
    indexed.site.cloud.fault("slow", delay_ms=200, methods=["GET"])
    try:
        with ThreadPoolExecutor(6) as pool:
            build = lambda client: client.action("build_index", {"key": KEY})
            reads, answers = indexed.reads(KEY, lambda: list(pool.map(build, clients)))
    finally:
        indexed.site.cloud.clear_faults()
    assert all(answer == answers[0] for answer in answers) and len(indexed.indexes()) == 1
    ranges = [tuple(entry["range"]) for entry in reads if entry["method"] == "GET" and entry["range"]]
    assert len(ranges) == len(set(ranges)), "nothing was read twice"


def test_a_server_killed_while_building_leaves_nothing_wrong(indexed, files):
    server = indexed.serve()
    client = Client(server.uri)
    indexed.site.cloud.fault("slow", delay_ms=1500, methods=["GET"])
    try:
        begun = client.action("build_index", {"key": KEY, "wait": False})
        assert begun["state"] == "building" and 0 <= begun["progress"] <= 1
        wait_for(lambda: list(indexed.root().iterdir()))
        server.kill()
    finally:
        indexed.site.cloud.clear_faults()
    assert not indexed.indexes() and list(indexed.root().iterdir())
    client = indexed.client()
    assert not list(indexed.root().iterdir()), "what was left is removed at the start"
    request = {"key": KEY, "node": "X", "var": {"index": [7]}}
    assert state(client, request)["state"] == "missing"
    client.action("build_index", {"key": KEY})
    assert state(client, request)["state"] == "used"
    same_array(decode.array(client.get(request)), files["csr.h5ad"][:, [7]].X)


def test_a_client_that_goes_ends_its_build(indexed, files):
    server = indexed.serve()
    indexed.site.cloud.fault("slow", delay_ms=1500, methods=["GET"])
    try:
        with pytest.raises(flight.FlightTimedOutError):
            Client(server.uri, seconds=1).action("build_index", {"key": KEY})
        wait_for(lambda: not list(indexed.root().iterdir()))
    finally:
        indexed.site.cloud.clear_faults()
    assert Client(server.uri).action("build_index", {"key": KEY})["state"] == "ready"


def test_what_has_no_index_is_refused_by_name(indexed, files):
    client = indexed.client()
    for node, message in (("obs", "no sparse matrix"), ("nothing", "no node 'nothing'")):
        with pytest.raises(REFUSED, match=message):
            client.action("build_index", {"key": KEY, "node": node})
    with pytest.raises(REFUSED, match="unknown field"):
        client.action("build_index", {"key": KEY, "nodes": "X"})
    with pytest.raises(REFUSED, match="column_index.folder"):
        Client(indexed.site.serve("--allow-register").uri).action("build_index", {"key": KEY})
    with pytest.raises(REFUSED, match="allow_register"):
        Client(indexed.site.serve().uri).action("build_index", {"key": KEY})


def test_the_command_builds_for_the_server(indexed, files):
    """Without a server, into the folder that a running one looks into."""
    client = indexed.client()
    path = indexed.site.folder / "index.toml"
    path.write_text(f'[column_index]\nfolder = "{indexed.folder}"\n')
    done = indexed.site.command("index", KEY, "--config", path)
    assert done.stdout.startswith(f"{KEY} X: ready, {files['csr.h5ad'].X.nnz} entries, ")
    assert state(client, {"key": KEY, "node": "X", "var": {"index": [7]}})["state"] == "used"
    again = json.loads(indexed.site.command("index", KEY, "--json", "--config", path).stdout)
    assert again["state"] == "ready"
    refused = indexed.site.command("index", KEY, "--no-wait", "--config", path, check=False)
    assert refused.returncode == 1 and "--no-wait goes with --server" in refused.stderr


@pytest.mark.timeout(600)
def test_building_stays_inside_the_budget(indexed):
    """A matrix of several times the budget."""
    rows, per_row, key = 60_000, 200, "generated/large_genes.h5ad"
    chance = numpy.random.default_rng(1)
    indices = (numpy.arange(per_row) * 50 + chance.integers(0, 50, (rows, per_row))).astype("i4")
    data = chance.random((rows, per_row)).astype("f4")
    pointers = numpy.arange(rows + 1) * per_row
    matrix = scipy.sparse.csr_matrix((data.ravel(), indices.ravel(), pointers), shape=(rows, 50 * per_row))
    path = indexed.site.folder / "large_genes.h5ad"
    anndata.AnnData(matrix).write_h5ad(path)
    indexed.site.register(key, source=path)
    limits = '[limits]\nmemory_budget = "16 MiB"\nstream_memory = "8 MiB"\nblock_cache_bytes = "1 MiB"\n'
    server = indexed.serve(limits=limits, size="1 GiB")
    client = Client(server.uri, seconds=500)
    client.direct({"key": key, "node": "X", "obs": {"index": [0]}})
    before = server.peak_memory()
    assert client.action("build_index", {"key": key})["entries"] == rows * per_row
    found = client.direct({"key": key, "node": "X", "var": {"index": [77, 5000]}})
    assert server.peak_memory() - before <= 16 * MIB + 32 * MIB
    assert state(client, {"key": key, "node": "X", "var": {"index": [77, 5000]}})["state"] == "used"
    same_array(decode.array(found), matrix[:, [77, 5000]])
    assert rows * per_row * 8 >= 5 * 16 * MIB
    path.unlink()
