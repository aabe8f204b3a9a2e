"""What the reference readers find in a file: h5py and zarr-python.

Nothing here knows the server. Every node of a file by its path, with its kind, its shape, the name of its type in
the words that listings use, and its elements when they are asked for.
"""

import contextlib
import warnings
from dataclasses import dataclass
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters with libhdf5
import numpy
import scipy.sparse
import zarr
from zarr.storage import ZipStore

ANY = object()


@dataclass
class Found:
    """A node as the reference reader sees it. `dtype` is h5py's or numpy's; `kind` is group, array or unreadable.

    An array without a shape holds one null.
    """

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
    # External storage is looked for in the working folder.
    with contextlib.chdir(path.parent), h5py.File(path) as file:
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
    inner = h5py.check_vlen_dtype(dtype)
    if isinstance(inner, numpy.dtype) and inner.byteorder == ">":  # h5py takes the stored bytes for little-endian ones
        swapped = [value.view(inner) if isinstance(value, numpy.ndarray) else value for value in values.reshape(-1)]
        values.reshape(-1)[:] = swapped
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
    found = node.attrs.asdict()
    if found.get("encoding-type") == "null":
        return Found("array", None, attributes=found)
    return Found("array", node.shape, node.dtype, node[...], attributes=found)


def type_name(dtype):
    """The name of a dtype in the words of listings, or None where it has no fixed word."""
    if dtype is None or dtype.kind == "V" and h5py.check_opaque_dtype(dtype):
        return None
    named = special_name(dtype)
    if named is not None or dtype.kind == "O":
        return named
    if dtype.names is not None:
        fields = [type_name(dtype[name]) for name in dtype.names]
        inner = ", ".join(f"{name}: {field}" for name, field in zip(dtype.names, fields, strict=True))
        return None if None in fields else f"struct{{{inner}}}"
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        return type_name(inner) and f"{type_name(inner)}{list(shape)}"
    if dtype.kind in "SU":
        return f"{dtype.kind}{dtype.itemsize if dtype.kind == 'S' else dtype.itemsize // 4}"
    if dtype.kind == "V":
        return f"opaque{dtype.itemsize}"
    return dtype.newbyteorder("=").name


def special_name(dtype):
    """The name of a type that NumPy has not, or knows by its metadata only."""
    if dtype.kind == "T" or dtype.kind == "O" and h5py.check_string_dtype(dtype) is not None:
        return "str"
    if h5py.check_ref_dtype(dtype) is h5py.Reference:
        return "object reference"
    if h5py.check_vlen_dtype(dtype) is not None:
        inner = type_name(h5py.check_vlen_dtype(dtype))
        return inner and f"list[{inner}]"
    members = h5py.check_enum_dtype(dtype)
    if members is not None:
        listed = ", ".join(f"{name}: {value}" for name, value in members.items())
        return f"enum{{{listed}}} of {dtype.newbyteorder('=').name}"
    if dtype.names == ("real", "imag"):
        return f"complex{dtype.itemsize * 8}"
    return None


def count(value):
    """Elements of an answer of the reference."""
    if scipy.sparse.issparse(value):
        return int(value.nnz)
    return int(getattr(value, "size", 1) or 0)
