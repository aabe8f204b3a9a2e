"""Every node of every encoding, whole, equals what anndata, h5py and zarr read (item 5).

The list of nodes is made from the files, so a node that the server forgets fails here.
"""

import h5py
import numpy
import pytest
import scipy.sparse
import zarr

import decode
import stack
from conftest import LEGACY, VARIANTS
from expect import read_anndata, same_array, same_frame, texts
from wire import Client

FILES = {f"variants/{name}": stack.NOTEBOOK / name for name in VARIANTS} | {LEGACY: stack.FIXTURES / LEGACY}


def anndata_nodes(data):
    """Every array element of an AnnData by its node path."""
    nodes = {"X": data.X}
    for group in ("layers", "obsm", "varm", "obsp", "varp"):
        nodes |= {f"{group}/{name}": value for name, value in getattr(data, group).items()}
    if data.raw is not None:
        nodes["raw/X"] = data.raw.X
        nodes |= {f"raw/varm/{name}": value for name, value in data.raw.varm.items()}
    return nodes


def uns_nodes(mapping, path="uns"):
    """Every leaf of uns by its node path."""
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from uns_nodes(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


def stored_arrays(path):
    """Every HDF5 dataset or zarr array of a file by its path, with its elements."""
    if path.suffix == ".zarr":
        root = zarr.open_group(path, mode="r")
        return {name: node[...] for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)}
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, node: arrays.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    return arrays


LOADED = {key: read_anndata(path) for key, path in FILES.items()}
ARRAYS = [(key, node, value) for key, data in LOADED.items() for node, value in anndata_nodes(data).items()]
UNS = [(key, node, value) for key, data in LOADED.items() for node, value in uns_nodes(data.uns)]
# The old layout's compound tables are nodes of AnnData's view: tables, and groups of their fields.
VIEWED = {(LEGACY, name) for name in ("obs", "var", "obsm", "varm", "raw.var")}
STORED = [
    (key, node, value)
    for key, path in FILES.items()
    for node, value in stored_arrays(path).items()
    if (key, node) not in VIEWED
]


def names(rows):
    return [f"{key}:{node}" for key, node, _ in rows]


@pytest.fixture(scope="module")
def client(every_file):
    client = Client(every_file.serve().uri)
    yield client
    client.close()


def test_the_lists_are_not_empty():
    assert len(ARRAYS) > 30 and len(UNS) > 25 and len(STORED) > 150


# The old layout keeps the neighbour graphs in uns; anndata moves them to obsp while reading.
MOVED = {(LEGACY, f"obsp/{name}"): f"uns/neighbors/{name}" for name in ("connectivities", "distances")}


@pytest.mark.parametrize(("key", "node", "expected"), ARRAYS, ids=names(ARRAYS))
def test_array(client, key, node, expected):
    table = client.get((key, MOVED.get((key, node), node)))
    assert table.column_names == [node.rsplit("/", 1)[-1]]
    same_array(decode.array(table), expected)


@pytest.mark.parametrize(("key", "node", "expected"), ARRAYS, ids=names(ARRAYS))
def test_sparse_is_sent_by_its_own_axis(client, key, node, expected):
    if scipy.sparse.issparse(expected):
        table = client.direct({"key": key, "node": MOVED.get((key, node), node)})
        found = decode.array(table)
        assert found.format == expected.format
        assert table.num_rows == expected.shape[0 if expected.format == "csr" else 1]
        for part in ("indptr", "indices", "data"):
            numpy.testing.assert_array_equal(getattr(found, part), getattr(expected, part))


@pytest.mark.parametrize("frame", ["obs", "var", "raw/var"])
@pytest.mark.parametrize("key", FILES)
def test_frame(client, key, frame):
    data = LOADED[key]
    expected = {"obs": data.obs, "var": data.var, "raw/var": data.raw and data.raw.var}[frame]
    if expected is None:
        with pytest.raises(KeyError, match="raw"):
            client.get((key, frame))
    else:
        same_frame(client.get((key, frame)), expected)


@pytest.mark.parametrize(("key", "node", "expected"), UNS, ids=names(UNS))
def test_uns(client, key, node, expected):
    table = client.get((key, node))
    if isinstance(expected, numpy.ndarray) and expected.dtype.names is None:
        same_array(decode.array(table), expected)
    elif isinstance(expected, numpy.ndarray):
        same_records(decode.array(table), expected)
    else:
        assert decode.scalar(table) == expected


@pytest.mark.parametrize("key", FILES)
def test_uns_group_is_one_row(client, key):
    """A nested group comes as one struct that holds what its leaves hold."""
    for group in ("pca", "louvain", "neighbors"):
        expected = LOADED[key].uns.get(group)
        if expected is None or any(scipy.sparse.issparse(value) for value in expected.values()):
            continue
        if key == LEGACY and group == "neighbors":
            continue  # holds sparse matrices, which have no form inside a struct
        same_nested(decode.scalar(client.get((key, f"uns/{group}"))), expected)


@pytest.mark.parametrize(("key", "node", "expected"), STORED, ids=names(STORED))
def test_stored_array(client, key, node, expected):
    """Any path inside the file is a node as well, as it is stored."""
    table = client.get((key, node))
    expected = numpy.asarray(expected)
    if expected.dtype.names is not None:
        same_records(decode.array(table), expected)
    elif expected.ndim == 0:
        value = decode.scalar(table)
        assert value == texts(expected.reshape(1))[0]
    else:
        same_array(decode.array(table), expected)


def same_records(found, expected):
    """Structs that hold the fields of a compound array, in order."""
    assert found.shape == expected.shape
    for row, wanted in zip(found.tolist(), expected.tolist(), strict=True):
        assert list(row) == list(expected.dtype.names)
        for value, field in zip(row.values(), wanted, strict=True):
            same_field(value, field)


def same_field(value, field):
    """One field of a record; compound datasets of h5py give bytes for text."""
    if isinstance(field, bytes):
        assert value == field.decode()
    elif isinstance(field, numpy.ndarray):
        numpy.testing.assert_array_equal(numpy.asarray(value, dtype=field.dtype).reshape(field.shape), field)
    elif isinstance(field, float):
        numpy.testing.assert_array_equal(value, field)
    else:
        assert value == field


def same_nested(found, expected):
    """A struct that holds a nested mapping."""
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        if isinstance(value, dict):
            same_nested(found[name], value)
        elif isinstance(value, numpy.ndarray):
            numpy.testing.assert_array_equal(numpy.asarray(found[name], dtype=value.dtype), value)
        else:
            assert found[name] == value
