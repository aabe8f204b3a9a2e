"""One array of every type, filter, codec and layout, whole and in random slices, against the reference readers."""

import random

import numpy
import pyarrow
import pytest

import decode
import zoo
from expect import read_anndata, same_array, same_frame, texts
from test_every_node import same_records, stored_arrays
from wire import Client

FORMATS = {"earliest.h5": "earliest", "latest.h5": "latest", "v108.h5": ("v108", "v108")}
KEYS = [*FORMATS, "v2.zarr", "v3.zarr"]


@pytest.fixture(scope="module")
def animals(site):
    """Every file by its key with its arrays, registered."""
    arrays = {}
    for name in KEYS:
        path = site.folder / name
        if name in FORMATS:
            zoo.hdf5(path, FORMATS[name])
        else:
            {"v2.zarr": zoo.zarr_v2, "v3.zarr": zoo.zarr_v3}[name](path)
        site.register(f"zoo/{name}", source=path)
        arrays[name] = stored_arrays(path)
    zoo.anndata_columns().write_h5ad(site.folder / "columns.h5ad")
    zoo.anndata_columns().write_zarr(site.folder / "columns.zarr")
    for name in ("columns.h5ad", "columns.zarr"):
        site.register(f"zoo/{name}", source=site.folder / name)
    return arrays


@pytest.fixture(scope="module")
def client(site, animals):
    client = Client(site.serve().uri)
    yield client
    client.close()


@pytest.mark.parametrize("name", KEYS)
def test_every_array_whole(client, animals, name):
    assert len(animals[name]) > 20
    for path, expected in animals[name].items():
        same(client.get((f"zoo/{name}", path)), numpy.asarray(expected), path)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("seed", range(3))
def test_every_array_in_random_slices(client, animals, name, seed):
    chance = random.Random(seed)
    for path, whole in animals[name].items():
        whole = numpy.asarray(whole)
        if whole.ndim:
            slices = [random_slice(chance, length) for length in whole.shape]
            spelled = ", ".join(spell(taken) for taken in slices)
            table = client.get({"key": f"zoo/{name}", "node": path, "slice": spelled})
            same(table, whole[tuple(slices)], f"{path}[{spelled}]")


@pytest.mark.parametrize("name", KEYS)
def test_the_tree_names_every_array(client, animals, name):
    tree = str(client.action("tree", {"key": f"zoo/{name}"}))
    for path in animals[name]:
        assert path.rsplit("/", 1)[-1] in tree


@pytest.mark.parametrize("name", ["columns.h5ad", "columns.zarr"])
class TestColumns:
    """Every kind of column and element of AnnData."""

    @pytest.fixture
    def whole(self, site, animals, name):
        return read_anndata(site.folder / name)

    def test_obs(self, client, whole, name):
        same_frame(client.get((f"zoo/{name}", "obs")), whole.obs)
        rows = {"index": [20, 1, 1, -1]}
        same_frame(client.get({"key": f"zoo/{name}", "node": "obs", "obs": rows}), whole.obs.iloc[[20, 1, 1, -1]])

    def test_names_of_another_index(self, client, whole, name):
        request = {"key": f"zoo/{name}", "node": "X", "obs": {"names": ["c7", "c0"]}, "with_index": True}
        table = client.get(request)
        assert table.column("cell_id").to_pylist() == ["c7", "c0"]
        same_array(decode.array(table), whole.X[[7, 0]])

    @pytest.mark.parametrize("node", ["integers", "empty", "dense"])
    def test_layers(self, client, whole, name, node):
        same_array(decode.array(client.get((f"zoo/{name}", f"layers/{node}"))), whole.layers[node])

    @pytest.mark.parametrize("node", ["sparse", "three"])
    def test_obsm(self, client, whole, name, node):
        same_array(decode.array(client.get((f"zoo/{name}", f"obsm/{node}"))), whole.obsm[node])
        request = {"key": f"zoo/{name}", "node": f"obsm/{node}", "obs": {"index": [9, 2]}}
        same_array(decode.array(client.get(request)), whole.obsm[node][[9, 2]])

    def test_a_frame_in_obsm(self, client, whole, name):
        same_frame(client.get((f"zoo/{name}", "obsm/frame")), whole.obsm["frame"])

    def test_uns(self, client, whole, name):
        assert decode.scalar(client.get((f"zoo/{name}", "uns/scalar"))) == 2.5
        assert decode.scalar(client.get((f"zoo/{name}", "uns/flag"))) is True
        assert decode.scalar(client.get((f"zoo/{name}", "uns/word"))) == "text"
        nested = decode.scalar(client.get((f"zoo/{name}", "uns/nested")))
        assert nested == {"deep": {"numbers": [0, 1, 2, 3], "count": 7}}
        same_array(decode.array(client.get((f"zoo/{name}", "uns/matrix"))), whole.uns["matrix"])


def same(table, expected, what):
    """The decoded table is `expected`, in native byte order."""
    if expected.dtype.names is not None:
        same_records(decode.array(table), expected)
        return
    expected = expected.astype(expected.dtype.newbyteorder("=")) if expected.dtype.kind in "iuf" else expected
    if expected.ndim == 0:
        assert decode.scalar(table) == texts(expected.reshape(1))[0], what
        return
    try:
        same_array(decode.array(table), expected)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error


def random_slice(chance, length):
    """A slice of an axis, with negative steps and bounds outside it."""
    start, stop = (chance.choice([None, chance.randint(-length - 2, length + 2)]) for _ in range(2))
    return slice(start, stop, chance.choice([None, 1, 2, 3, -1, -2]))


def spell(taken):
    """A slice in NumPy's spelling."""
    return ":".join("" if bound is None else str(bound) for bound in (taken.start, taken.stop, taken.step))


@pytest.mark.parametrize("name", ["columns.h5ad", "columns.zarr"])
def test_a_frame_of_obsm_is_chosen_by_obs(client, animals, name):
    """By the columns and names of obs, not by columns of its own."""
    frame = zoo.anndata_columns().obsm["frame"]
    request = {"key": f"zoo/{name}", "node": "obsm/frame"}
    same_frame(client.get(request | {"obs": {"where": "small >= 25"}}), frame[25:])
    same_frame(client.get(request | {"obs": {"names": ["c7", "c2", "c7"]}}), frame.loc[["c7", "c2", "c7"]])
    with pytest.raises(pyarrow.ArrowKeyError, match='column "a" not found'):
        client.get(request | {"obs": {"where": "a >= 25"}})
