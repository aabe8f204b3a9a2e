"""The tasks that people have with such files, each inside the memory budget plus the stated overhead.

The files are small, and several times the budget when decoded. Memory is the peak resident size of a
server of its own for each task over what it was after a small request. With `-s` the figures are printed.
"""

import anndata
import h5py
import numpy
import pandas
import pytest
import scipy.sparse
import zarr
from anndata.io import write_elem

import decode
from wire import Client

MIB = 1 << 20
BUDGET = 24 * MIB
# Caches, messages in gRPC's buffers, chunks in decoders, tables, allocator: the sum is in docs/operations.md.
OVERHEAD = 40 * MIB
SETTINGS = """
[limits]
memory_budget = "24 MiB"
stream_memory = "8 MiB"
block_cache_bytes = "4 MiB"
"""
WHERE = "kind IN ('B', 'T') AND mito <= 0.5"
CELLS, GENES, PER_CELL, COMPONENTS = 30_000, 2_000, 240, 400


def csr_parts():
    """Pointers, indices and values of CELLS × GENES, PER_CELL entries in each row, at different columns."""
    chance = numpy.random.default_rng(11)
    steps = chance.integers(1, GENES // PER_CELL, (CELLS, PER_CELL))
    indices = (numpy.cumsum(steps, axis=1) - 1).astype("i4")
    data = chance.integers(1, 60, (CELLS, PER_CELL)).astype("f4")
    return numpy.arange(CELLS + 1, dtype="i8") * PER_CELL, indices, data


def write_h5ad(path, parts, pca, obs):
    pointers, indices, data = parts
    with h5py.File(path, "w") as file:
        write_tables(file, obs)
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        matrix.attrs["shape"] = numpy.array([CELLS, GENES])
        options = {"chunks": (60_000,), "compression": "gzip", "compression_opts": 1}
        matrix.create_dataset("indptr", data=pointers)
        matrix.create_dataset("indices", data=indices.ravel(), **options)
        matrix.create_dataset("data", data=data.ravel(), **options)
        file["obsm"].create_dataset("X_pca", data=pca, chunks=(1000, COMPONENTS))


def write_zarr(path, parts, pca, obs):
    pointers, indices, data = parts
    root = zarr.open_group(path, mode="w", zarr_format=3)
    write_tables(root, obs)
    matrix = root.create_group("X")
    matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [CELLS, GENES]})
    matrix.create_array("indptr", data=pointers)
    matrix.create_array("indices", data=indices.ravel(), chunks=(30_000,), shards=(1_200_000,))
    matrix.create_array("data", data=data.ravel(), chunks=(30_000,), shards=(1_200_000,))
    root["obsm"].create_array("X_pca", data=pca, chunks=(500, COMPONENTS), shards=(5000, COMPONENTS))
    zarr.consolidate_metadata(path)


def write_tables(file, obs):
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    write_elem(file, "obs", obs)
    write_elem(file, "var", pandas.DataFrame(index=[f"gene{position}" for position in range(GENES)]))
    for group in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        write_elem(file, group, {})


def write_grid(path):
    """A 3-D grid of float32 in gzip chunks; gives it."""
    grid = numpy.random.default_rng(12).integers(0, 4000, (160, 240, 400)).astype("f4")
    with h5py.File(path, "w") as file:
        file.create_dataset("grid", data=grid, chunks=(16, 24, 400), compression="gzip", compression_opts=1)
    return grid


@pytest.fixture(scope="module")
def data(site):
    """The files, registered, and what is in them."""
    chance = numpy.random.default_rng(13)
    parts, pca = csr_parts(), chance.random((CELLS, COMPONENTS), dtype="f4")
    kinds = pandas.Categorical(chance.choice(["B", "NK", "T", "other"], CELLS, p=[0.1, 0.1, 0.3, 0.5]))
    obs = pandas.DataFrame({"kind": kinds, "mito": chance.random(CELLS)}, index=[f"cell{at}" for at in range(CELLS)])
    write_h5ad(site.folder / "tasks.h5ad", parts, pca, obs)
    write_zarr(site.folder / "tasks.zarr", parts, pca, obs)
    grid = write_grid(site.folder / "grid.h5")
    small = pandas.DataFrame({"kind": ["B", "T"], "mito": [0.1, 0.9]}, index=["a", "b"])
    anndata.AnnData(scipy.sparse.eye(2, format="csr", dtype="f4"), obs=small).write_h5ad(site.folder / "small.h5ad")
    for name in ("tasks.h5ad", "tasks.zarr", "grid.h5", "small.h5ad"):
        site.register(f"generated/{name}", source=site.folder / name)
    assert min(parts[1].nbytes + parts[2].nbytes, pca.nbytes, grid.nbytes) > 1.8 * BUDGET
    return {"indices": parts[1], "values": parts[2], "pca": pca, "obs": obs, "grid": grid}


def rows_of(client, request, data, rows):
    """Reads rows of X batch by batch, compares them with the stored ones, keeps nothing."""
    seen = 0
    for chunk in client.reader(request):
        lists = chunk.data.column(0)
        first, last = lists.offsets[0].as_py(), lists.offsets[-1].as_py()
        entries = lists.values.slice(first, last - first)
        part = rows[seen : seen + len(lists)]
        assert (numpy.diff(lists.offsets.to_numpy()) == PER_CELL).all()
        numpy.testing.assert_array_equal(entries.field("index").to_numpy(), data["indices"][part].ravel())
        numpy.testing.assert_array_equal(entries.field("value").to_numpy(), data["values"][part].ravel())
        seen += len(lists)
    assert seen == len(rows)


def tree(client, key, data):
    assert {"X", "obs", "obsm/X_pca"} <= {node["path"] for node in client.action("tree", {"key": key})["nodes"]}


def filtered(client, key, data):
    obs = data["obs"]
    rows = numpy.flatnonzero(obs.kind.isin(["B", "T"]) & (obs.mito <= 0.5))
    rows_of(client, {"key": key, "node": "X", "obs": {"where": WHERE}}, data, rows)


def contiguous(client, key, data):
    rows_of(client, {"key": key, "node": "X", "obs": {"slice": {"start": 9000, "stop": 10000}}}, data, numpy.arange(9000, 10000))


def scattered(client, key, data):
    rows = numpy.random.default_rng(14).permutation(CELLS)[:1000]
    rows_of(client, {"key": key, "node": "X", "obs": {"index": rows.tolist()}}, data, rows)


def one_gene(client, key, data):
    gene, seen, total = 777, 0, 0.0
    for chunk in client.reader({"key": key, "node": "X", "var": {"index": [gene]}}):
        seen += len(chunk.data.column(0))
        total += chunk.data.column(0).flatten().field("value").to_numpy().sum(dtype="f8")
    assert seen == CELLS and total == data["values"][data["indices"] == gene].sum(dtype="f8") and total > 0


def components(client, key, data):
    seen = 0
    for chunk in client.reader({"key": key, "node": "obsm/X_pca"}):
        found = decode.elements(chunk.data.column(0))
        numpy.testing.assert_array_equal(found, data["pca"][seen : seen + len(found)])
        seen += len(found)
    assert seen == CELLS


def hyperslab(client, key, data):
    part, seen = data["grid"][40:120, 60:180, 100:300], 0
    for chunk in client.reader({"key": key, "node": "grid", "slice": "40:120, 60:180, 100:300"}):
        found = decode.elements(chunk.data.column(0)).reshape(-1, 120, 200)
        numpy.testing.assert_array_equal(found, part[seen : seen + len(found)])
        seen += len(found)
    assert seen == 80


TASKS = {
    "T1 tree": tree,
    "T2 filter, rows of X": filtered,
    "T3 1,000 contiguous rows": contiguous,
    "T4 1,000 random rows": scattered,
    "T5 one gene of all cells": one_gene,
    "T6 obsm/X_pca whole": components,
}
CASES = [(key, task) for key in ("tasks.h5ad", "tasks.zarr") for task in TASKS] + [("grid.h5", "T9 3-D hyperslab")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("file", "task"), CASES)
def test_peak_memory_of_each_task(site, data, file, task):
    server = site.serve(settings=SETTINGS)
    client = Client(server.uri, seconds=200)
    key = f"generated/{file}"
    # Loads the program's own pages, of which a filter's evaluation has many.
    small = {"key": "generated/small.h5ad", "node": "X", "obs": {"where": WHERE}}
    assert client.direct(small).num_rows == 1
    idle = server.peak_memory()
    TASKS.get(task, hyperslab)(client, key, data)
    grown = server.peak_memory() - idle
    server.stop()
    print(f"\n| {task} | {file} | {idle / MIB:.0f} MiB idle | +{grown / MIB:.1f} MiB |")
    assert grown <= BUDGET + OVERHEAD, f"grew by {grown / MIB:.0f} MiB"
