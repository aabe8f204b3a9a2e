"""The AnnData objects of a file, as the readers of each kind of file find them: {path of a node: what it holds}.

Loom's and Cell Ranger's own readers need compilers or many packages; what they do is done here with h5py. Values are
frames, matrices and arrays, and the leaves of `uns`.
"""

import warnings

import anndata
import h5py
import pandas
import scipy.sparse
import zarr
from anndata.io import read_elem

GROUPS = ("layers", "obsm", "varm", "obsp", "varp")


def anndata_nodes(path):
    """The AnnData at the root of an h5ad file or a zarr store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nodes_of(anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path))


def nodes_of(data, root=""):
    """Every node of an AnnData that lies at `root` (empty, or with a slash at its end)."""
    nodes = {"obs": data.obs, "var": data.var}
    if data.X is not None:
        nodes["X"] = data.X
    for group in GROUPS:
        nodes |= {f"{group}/{name}": value for name, value in getattr(data, group).items()}
    if data.raw is not None:
        nodes |= {"raw/X": data.raw.X, "raw/var": data.raw.var}
        nodes |= {f"raw/varm/{name}": value for name, value in data.raw.varm.items()}
    nodes |= dict(leaves(data.uns, "uns"))
    return {f"{root}{node}": value for node, value in nodes.items()}


def leaves(mapping, path):
    """Every leaf of uns by its node path."""
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


def axis_of(node):
    """The word for the axis of the first dimension of an AnnData's matrix or array; None for other nodes."""
    above, _, name = node.rpartition("/")
    group = above.rpartition("/")[2]
    if name == "X" or group in ("layers", "obsm", "obsp"):
        return "obs"
    return "var" if group in ("varm", "varp") and not above.startswith("raw/") else None


def open_root(path):
    """The root group of an HDF5 file or zarr store."""
    return zarr.open_group(path, mode="r") if path.is_dir() else h5py.File(path)


def mudata_nodes(path):
    """The modalities of a MuData, and its own tables and matrices."""
    root = open_root(path)
    nodes = {name: read_elem(root[name]) for name in ("obs", "var")}
    for group in ("obsm", "varm", "obsmap", "varmap"):
        nodes |= {f"{group}/{name}": value for name, value in read_elem(root[group]).items()}
    for name in root["mod"]:
        nodes |= nodes_of(read_elem(root[f"mod/{name}"]), f"mod/{name}/")
    return nodes


def spatialdata_nodes(path):
    """The tables of a SpatialData."""
    root = open_root(path)
    tables = [nodes_of(read_elem(root[f"tables/{name}"]), f"tables/{name}/") for name in root["tables"]]
    return {node: value for table in tables for node, value in table.items()}


def loom_nodes(path):
    """What anndata.io.read_loom(sparse=False, X_name="") makes of a Loom file whose annotations are columns."""
    with h5py.File(path) as file:
        nodes = {"X": file["matrix"][()].T}
        nodes |= {f"layers/{name}": layer[()].T for name, layer in file["layers"].items()}
        for axis, group, index in (("obs", "col_attrs", "CellID"), ("var", "row_attrs", "Gene")):
            columns = {name: values(column) for name, column in sorted(file[group].items())}
            nodes[axis] = pandas.DataFrame(columns).set_index(index)
    return nodes


def cell_ranger_nodes(path):
    """What scanpy.read_10x_h5(gex_only=False) makes of a file of one count matrix; integers stay integers."""
    with h5py.File(path) as file:
        group = file["matrix"] if "matrix" in file else next(iter(file.values()))
        index, columns = "gene_names", {"gene_ids": "genes"}
        if "features" in group:
            kinds = {"feature_types": "features/feature_type", "genome": "features/genome"}
            index, columns = "features/name", {"gene_ids": "features/id"} | kinds
        columns = {name: values(group[source]) for name, source in columns.items()}
        obs, var = pandas.DataFrame(index=values(group["barcodes"])), pandas.DataFrame(columns, index=values(group[index]))
        parts = [group[name][()] for name in ("data", "indices", "indptr")]
    return {"obs": obs, "var": var, "X": scipy.sparse.csr_matrix(tuple(parts), shape=(len(obs), len(var)))}


def values(dataset):
    """The elements of a list, texts as str."""
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
