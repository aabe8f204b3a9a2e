"""Members of collections of AnnData, and what `anndata.concat` makes of them.

The members are HDF5 files and zarr stores, sparse by rows, sparse by columns and dense, with other
variables, other columns of obs and other categories.
"""

import anndata
import numpy
import pandas
import pyarrow
import scipy.sparse

from expect import read_anndata
from wire import Client

GENES = {
    "rows": ["MS4A1", "CD3D", "NKG7", "LYZ", "GNLY", "PPBP"],
    "columns": ["CD3D", "LYZ", "CD8A", "MS4A1", "é-gene"],
    "dense": ["LYZ", "CD3D", "MS4A1", "CST3"],
    "same": ["MS4A1", "CD3D", "NKG7", "LYZ", "GNLY", "PPBP"],
}
LENGTHS = {"rows": 40, "columns": 25, "dense": 30, "same": 17}
STORES = {"rows": ".h5ad", "columns": "_v3.zarr", "dense": "_v2.zarr", "same": ".h5ad"}
SPARSE, MIXED, ALL = ("rows", "columns", "same"), ("rows", "dense"), ("rows", "columns", "dense", "same")


def matrix(name, dtype, seed=0):
    """Few entries for each cell and gene, none of them zero."""
    chance = numpy.random.default_rng(len(name) + seed)
    shape = (LENGTHS[name], len(GENES[name]))
    return (chance.integers(1, 9, shape) * (chance.random(shape) < 0.4)).astype(dtype)


def member(name):
    """One AnnData: what it has in common with the others, and what it alone has."""
    count, chance = LENGTHS[name], numpy.random.default_rng(len(name))
    kinds = {"rows": ["B", "T10", "T2"], "columns": ["T2", "NK"], "dense": ["B", "mono"], "same": ["T2", "B", "T10"]}
    obs = pandas.DataFrame(index=pandas.Index([f"{name}-{row}" for row in range(count)], name="barcode"))
    codes = chance.integers(-1, len(kinds[name]), count)
    obs["cell_type"] = pandas.Categorical.from_codes(codes, categories=kinds[name])
    obs["n_genes"] = chance.integers(0, 900, count).astype({"rows": "i4", "columns": "i8"}.get(name, "i2"))
    obs["score"] = chance.random(count).astype("f4" if name == "rows" else "f8")
    obs["good"] = chance.random(count) < 0.5
    obs["note"] = [f"ü {row % 3}" for row in range(count)]
    obs["stage"] = pandas.Categorical(
        chance.choice(["low", "mid", "high"], count), categories=["low", "mid", "high"], ordered=True
    )
    obs["depth"] = pandas.Categorical(
        chance.choice(["a", "b"], count), categories=["b", "a"] if name == "dense" else ["a", "b"], ordered=True
    )
    obs["donor"] = obs["note"].astype("category") if name == "columns" else obs["note"]
    obs["nullable"] = pandas.array([None if row % 4 == 0 else row for row in range(count)], dtype="Int32")
    obs["number"] = pandas.Categorical(chance.integers(0, 12, count))
    if name != "dense":
        obs["only_sparse"] = chance.integers(0, 5, count)
        obs["flag"] = chance.random(count) < 0.5
        obs["batch"] = pandas.Categorical(chance.choice(["x1", "x10"], count))
    if name == "columns":
        obs["last"] = chance.random(count).astype("f4")
    var = pandas.DataFrame({"length": numpy.arange(len(GENES[name]))}, index=pandas.Index(GENES[name], name="gene"))
    kind = {"columns": scipy.sparse.csc_matrix, "dense": numpy.asarray}.get(name, scipy.sparse.csr_matrix)
    data = anndata.AnnData(kind(matrix(name, "f8" if name == "columns" else "f4")), obs=obs, var=var)
    data.layers["counts"] = kind(matrix(name, "i8" if name == "same" else "i4", 1))
    if name != "columns":
        data.layers["some"] = kind(matrix(name, "f4", 2))
    data.layers["plain"] = matrix(name, "f4", 3)
    data.layers["integers"] = matrix(name, "i2" if name == "rows" else "u2", 4)
    data.obsm["X_pca"] = chance.random((count, {"rows": 4, "columns": 3}.get(name, 5))).astype("f4")
    data.obsm["sparse"] = scipy.sparse.csr_matrix(chance.random((count, 3 + len(name) % 2)))
    if name == "rows":
        data.obsm["alone"] = chance.random((count, 2)).astype("f4")
        data.obsm["table"] = pandas.DataFrame({"a": numpy.arange(count)}, index=obs.index)
    data.obsm["cube"] = chance.random((count, 2, 3))
    data.obsp["graph"] = scipy.sparse.identity(count, format="csr")
    data.uns["title"] = name
    if name != "dense":
        data.raw = data[:, :3].copy() if name != "same" else data.copy()
    return data


class Joined:
    """The members in the bucket, the collections of them, and what anndata makes of these."""

    def __init__(self, site):
        self.site, self.keys, self.data = site, {}, {}
        for name in ALL:
            key, path = f"joined/{name}{STORES[name]}", site.folder / f"{name}{STORES[name]}"
            data = member(name)
            if path.suffix == ".zarr":
                anndata.settings.zarr_write_format = 3 if "v3" in path.name else 2
                data.write_zarr(path, chunks=None)
            else:
                data.write_h5ad(path, compression="gzip")
            site.register(key, source=path)
            self.keys[name], self.data[name] = key, read_anndata(path)
        self.client = Client(site.serve().uri)
        self.uids = {
            name: self.client.action("describe", {"key": key})["artifact"]["uid"] for name, key in self.keys.items()
        }
        self.collections = {}

    def collection(self, names):
        """The key of the collection of these members."""
        key = "-".join(names)
        if names not in self.collections:
            self.site.command("collection", "create", key, *(self.keys[name] for name in names))
            self.collections[names] = key
        return key

    def whole(self, names, join):
        """The reference: `anndata.concat` of the members."""
        members = [self.data[name].copy() for name in names]
        for data in members:
            # data frames are not joined, and would refuse the others of the same name
            data.obsm.pop("table", None)
        return anndata.concat(members, join=join, label="artifact_uid", keys=[self.uids[name] for name in names])

    def get(self, names, node, join=None, **fields):
        request = {"collection": self.collection(names), "node": node, **fields}
        return self.client.get(request if join is None else request | {"join": join})


def same_values(found, expected):
    """The values of an Arrow column are those of a pandas series; missing ones are equal."""
    found = [None if value != value else value for value in found.to_pylist()]
    expected = [None if pandas.isna(value) else value for value in expected.tolist()]
    assert found == expected


def same_joined_frame(table, expected, types=True):
    """Columns, index, values, categories with their order, and the types that have no gaps."""
    frame = table.to_pandas()
    assert list(frame.columns) == list(expected.columns)
    assert frame.index.name == expected.index.name
    assert list(frame.index) == list(expected.index)
    assert table.column_names[:-1] == list(expected.columns)
    for name in expected.columns:
        column, wanted = table.column(name).combine_chunks(), expected[name]
        same_values(column, wanted)
        if isinstance(wanted.dtype, pandas.CategoricalDtype):
            assert pyarrow.types.is_dictionary(column.type)
            assert column.type.index_type == pyarrow.from_numpy_dtype(wanted.cat.codes.dtype)
            assert column.type.ordered == wanted.cat.ordered
            assert column.dictionary.to_pylist() == wanted.cat.categories.tolist()
        else:
            assert not pyarrow.types.is_dictionary(column.type)
            if types and not wanted.isna().any() and wanted.dtype != object:
                assert column.type == pyarrow.array(wanted).type, name
