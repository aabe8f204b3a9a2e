"""What the reference readers find in a file: h5py, zarr-python and anndata.

Nothing here knows the server. Every node of a file by its path, with its kind, its shape, the name of its type in
the words that listings use, and its elements when they are asked for.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import anndata
import h5py
import hdf5plugin  # noqa: F401  registers the filters with libhdf5
import numpy
import scipy.sparse
import zarr
from zarr.storage import ZipStore


ANY = object()


@dataclass
class Found:
    """A node as the reference reader sees it. `dtype` is h5py's or numpy's; `kind` is group, array or unreadable."""

    kind: str
    shape: tuple = ()
    dtype: Any = None
    values: Any = None
    padding: Any = None
    """Of fixed-length texts: whether HDF5 pads them with spaces."""
    attributes: Any = None
    """Attributes by name; those that are no number, text or flag have the value `ANY`."""


def stored_nodes(path):
    """Every node of an HDF5 file or zarr store below its root (an array at the root itself: "")."""
    if path.is_dir() or path.suffix == ".zip":
        return zarr_nodes(path)
    nodes = {}
    with h5py.File(path) as file:
        walk(file, "", [h5py.h5o.get_info(file.id).addr], nodes)
    return nodes


def walk(group, path, above, nodes):
    """Adds the members of an HDF5 group; groups inside themselves and what has no elements are unreadable."""
    for name in group:
        where = f"{path}/{name}" if path else name
        child = member(group, name)
        address = h5py.h5o.get_info(child.id).addr if child is not None else None
        if child is None or isinstance(child, h5py.Datatype) or address in above:
            nodes[where] = Found("unreadable")
        elif isinstance(child, h5py.Group):
            nodes[where] = Found("group", attributes=attributes(child))
            walk(child, where, [*above, address], nodes)
        else:
            nodes[where] = dataset(child)
            nodes[where].attributes = attributes(child)


def member(group, name):
    """The object behind a link, None when there is none in this file."""
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        return None
    try:
        return group[name]
    except (KeyError, RuntimeError, OSError):
        return None


def attributes(item):
    """The attributes of an HDF5 object: numbers, texts and flags with their values."""
    found = {}
    for name in item.attrs:
        kind = item.attrs.get_id(name).get_type()
        plain = isinstance(kind, h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID | h5py.h5t.TypeStringID)
        value = item.attrs[name] if plain else ANY
        if isinstance(value, numpy.generic) and numpy.isfinite(value if value.dtype.kind in "iuf" else 0):
            value = value.item()
        found[name] = value.decode() if isinstance(value, bytes) else value
        if not isinstance(found[name], str | int | float):
            found[name] = ANY
    return found


def dataset(item):
    """An HDF5 dataset with all its elements; texts as str, references as the path of what they mean."""
    shape = item.shape
    if shape is None:
        return Found("array", None, item.dtype, None)
    try:
        dtype = item.dtype
    except TypeError as error:  # HDF5's own times, which NumPy has no type for
        return Found("array", shape, None, error)
    kind = item.id.get_type()
    padding = kind.get_strpad() if isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str() else None
    try:
        values = item[()]
    except (OSError, TypeError, ValueError) as error:
        return Found("array", shape, dtype, error)
    if h5py.check_ref_dtype(dtype) is h5py.Reference:
        values = numpy.array([item.file[to].name if to else None for to in numpy.ravel(values)], object).reshape(shape)
    return Found("array", shape, dtype, values, padding == h5py.h5t.STR_SPACEPAD)


def zarr_nodes(path):
    """Every node of a zarr store, its metadata read one by one."""
    store = ZipStore(path, mode="r") if path.suffix == ".zip" else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = zarr.open(store, mode="r", use_consolidated=False) if is_group(path) else zarr.open(store, mode="r")
        if isinstance(root, zarr.Array):
            return {"": zarr_array(root)}
        return {name: zarr_array(node) for name, node in root.members(max_depth=None)}


def is_group(path):
    """Whether a store has a group at its root (zip archives always have)."""
    if path.suffix == ".zip" or (path / ".zgroup").exists():
        return True
    document = path / "zarr.json"
    return document.exists() and '"group"' in document.read_text()


def zarr_array(node):
    """A zarr node with all its elements."""
    if isinstance(node, zarr.Group):
        return Found("group", attributes=node.attrs.asdict())
    return Found("array", node.shape, node.dtype, node[...], attributes=node.attrs.asdict())


def type_name(dtype):
    """The name of a dtype in the words of listings, or None where they have no fixed word yet."""
    if dtype is None:
        return None
    if dtype.names is not None:
        fields = [type_name(dtype[name]) for name in dtype.names]
        named = [f"{name}: {field}" for name, field in zip(dtype.names, fields, strict=True)]
        return None if None in fields else f"struct{{{', '.join(named)}}}"
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        return type_name(inner) and f"{type_name(inner)}{list(shape)}"
    if h5py.check_string_dtype(dtype) is not None and dtype.kind == "O" or dtype.kind == "T":
        return "str"
    if dtype.kind == "O" or h5py.check_enum_dtype(dtype) is not None or dtype.kind in "cMmg" or dtype.itemsize > 8 and dtype.kind == "f":
        return None
    if dtype.kind == "S":
        return f"S{dtype.itemsize}"
    if dtype.kind == "U":
        return f"U{dtype.itemsize // 4}"
    if dtype.kind == "V":
        return None if h5py.check_opaque_dtype(dtype) else f"opaque{dtype.itemsize}"
    return dtype.newbyteorder("=").name


def anndata_nodes(path):
    """What anndata finds: {node: frame, matrix or array}, and the leaves of uns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)
    nodes = {"obs": data.obs, "var": data.var}
    if data.X is not None:
        nodes["X"] = data.X
    for group in ("layers", "obsm", "varm", "obsp", "varp"):
        nodes |= {f"{group}/{name}": value for name, value in getattr(data, group).items()}
    if data.raw is not None:
        nodes |= {"raw/X": data.raw.X, "raw/var": data.raw.var}
        nodes |= {f"raw/varm/{name}": value for name, value in data.raw.varm.items()}
    return nodes | dict(leaves(data.uns, "uns"))


def leaves(mapping, path):
    """Every leaf of uns by its node path."""
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


def count(value):
    """Elements of an answer of the reference."""
    if scipy.sparse.issparse(value):
        return int(value.nnz)
    return int(getattr(value, "size", 1) or 0)
