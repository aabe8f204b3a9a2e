"""Reading one node into memory, as anndata would give it.

Sits between `node` (what it is), `stream` (its rows) and `convert` (what they mean). Groups become dicts,
their members are read at the same time. Keeps nothing.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from . import convert
from .connection import Json
from .errors import Unimplemented
from .node import Node, Tree
from .parallel import together
from .stream import Stream, read_small

SMALL_ELEMENTS = 1 << 16
FILL_PREFETCH = 64  # batches that wait for each endpoint: as many as an endpoint has


def element(tree: Tree, node: Node, selectors: Json | None = None) -> Any:
    """The value of a node, of the part that `selectors` (obs, var, axes) choose.

    # Raises
    `Unimplemented` for what the server cannot read, by name.
    """
    if node.kind == "null":
        return None
    if node.kind == "group":
        return group(tree, node, selectors)
    if node.kind == "unreadable":
        raise Unimplemented(f"node '{node.path}' cannot be read: {node.attributes.get('reason')}")
    request = tree.request(node.path, **(selectors or {}))
    if is_small(node):
        return decoded(read_small(tree.connection, request), node)
    stream = Stream(tree.connection, request)
    if node.kind == "frame":
        return frame(tree, node.path, stream.table())
    if node.kind == "array" and stream.rows is not None:
        return convert.filled(stream.schema, stream.rows, stream.batches(FILL_PREFETCH))
    return decoded(stream.table(), node)


def is_small(node: Node) -> bool:
    """Whether a node is read faster than it is asked how large it is."""
    if node.kind == "scalar":
        return True
    return node.kind == "array" and math.prod(node.shape) <= SMALL_ELEMENTS


def decoded(table: pa.Table, node: Node) -> Any:
    """The value of a node's answer."""
    if node.kind in ("csr", "csc"):
        return convert.matrix(table)
    if node.kind == "column":
        return column(table, node.attributes.get("encoding-type", ""))
    if node.kind == "awkward":
        return awkward_array(table)
    if node.kind == "scalar":
        value = convert.array(table)[0]
        return value.item() if node.attributes.get("encoding-type") == "numeric-scalar" else value
    return convert.array(table)


def frame(tree: Tree, path: str, table: pa.Table) -> Any:
    """A data frame; texts that were stored with missing values get pandas' type for these."""
    import pandas

    found = convert.data_frame(table)
    for field in table.schema:
        stored = f"{path}/{field.name}"
        if pa.types.is_string(field.type) and field.nullable and field.name in found.columns and stored in tree:
            attributes = tree.get(stored).attributes
            if attributes.get("encoding-type") == "nullable-string-array":
                missing = float("nan") if attributes.get("na-value") == "NaN" else pandas.NA
                found[field.name] = found[field.name].astype(pandas.StringDtype(na_value=missing))
    return found


def group(tree: Tree, node: Node, selectors: Json | None = None) -> dict[str, Any]:
    """A group as a dict of its members."""
    prefix = f"{node.path}/" if node.path else ""
    names = tree.children(node.path)
    values = together(lambda name: element(tree, tree.get(prefix + name), selectors), names)
    return dict(zip(names, values, strict=True))


def column(table: pa.Table, encoding: str) -> Any:
    """A pandas array: categorical, or of integers, booleans or texts with missing values."""
    import pandas

    values = table.unify_dictionaries().column(table.num_columns - 1)
    if pa.types.is_dictionary(values.type):
        return values.to_pandas().array
    if encoding == "nullable-string-array":
        return pandas.array(values.to_pylist(), dtype="string")
    mask = values.is_null().to_numpy()
    filled = values.fill_null(False if pa.types.is_boolean(values.type) else 0).to_numpy()
    kind = pandas.arrays.BooleanArray if pa.types.is_boolean(values.type) else pandas.arrays.IntegerArray
    return kind(filled, mask)


def awkward_array(table: pa.Table) -> Any:
    """An awkward array from lists and structs."""
    import awkward

    values = table.column(table.num_columns - 1)
    return awkward.from_arrow(values.combine_chunks() if values.num_chunks != 1 else values.chunk(0))
