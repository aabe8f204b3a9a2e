"""What the nodes of a hierarchy are, from the server's `tree`, or from the schema of one node.

Sits between `connection` and the accessors. Reads metadata only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from . import convert
from .connection import Connection, Json
from .errors import NotFound

# Encodings of anndata, by what reading them gives.
KINDS = {
    "array": "array",
    "csr_matrix": "csr",
    "csc_matrix": "csc",
    "dataframe": "frame",
    "categorical": "column",
    "string-array": "array",
    "nullable-integer": "column",
    "nullable-boolean": "column",
    "nullable-string-array": "column",
    "awkward-array": "awkward",
    "numeric-scalar": "scalar",
    "string": "scalar",
    "null": "null",
    "rec-array": "array",
    "dict": "group",
    "raw": "group",
    "anndata": "group",
}


@dataclass(frozen=True)
class Node:
    """One node: `kind` is array, csr, csc, frame, column, awkward, scalar, null or group."""

    path: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype_name: str = ""
    chunks: tuple[int, ...] | None = None
    attributes: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Tree:
    """All nodes of one artifact, read from the server at the first use."""

    def __init__(self, connection: Connection, source: Json) -> None:
        self.connection, self.source = connection, source
        self._nodes: dict[str, Json] | None = None
        self._lock = threading.Lock()
        self._found: dict[str, Node] = {}

    def get(self, path: str) -> Node:
        """The node at a path, also of views whose nodes are not stored under that path.

        # Raises
        `NotFound`, a `KeyError`.
        """
        if path not in self._found:
            stored = self._stored().get(path)
            self._found[path] = self._read(path, stored) if stored is not None else self._seen(path)
        return self._found[path]

    def __contains__(self, path: str) -> bool:
        return path in self._stored()

    def children(self, path: str) -> list[str]:
        """Names of the nodes right below a path, sorted."""
        prefix = f"{path}/" if path else ""
        below = (name[len(prefix) :] for name in self._stored() if name.startswith(prefix))
        return sorted({name.split("/")[0] for name in below if name})

    def below(self, path: str = "") -> Iterator[Node]:
        """The nodes below a path, in the order of their paths."""
        prefix = f"{path}/" if path else ""
        for name in sorted(self._stored()):
            if name.startswith(prefix) and name != path:
                yield self.get(name)

    def request(self, path: str, **fields: Any) -> Json:
        """The slice request of a node."""
        return {**self.source, "node": path, **{name: value for name, value in fields.items() if value}}

    def _stored(self) -> dict[str, Json]:
        with self._lock:
            if self._nodes is None:
                answer = self.connection.action("tree", _target(self.source))
                self._nodes = {node["path"]: node for node in answer.get("nodes", [])}
            return self._nodes

    def __reduce__(self) -> tuple[type[Tree], tuple[Connection, Json]]:
        return (Tree, (self.connection, self.source))

    def _read(self, path: str, stored: Json) -> Node:
        attributes = stored.get("attributes") or {}
        encoding = attributes.get("encoding-type", "")
        shape = tuple(stored.get("shape") or ())
        if stored["kind"] == "array":
            kind = KINDS.get(encoding, "array")
            kind = "array" if kind == "scalar" and shape else "scalar" if kind == "array" and not shape else kind
            chunks = tuple(stored["chunks"]) if stored.get("chunks") and stored["chunks"] != stored["shape"] else None
            if encoding == "dataframe":  # a compound data set of anndata before 0.7
                kind = "frame"
            return Node(path, kind, shape, stored.get("dtype", ""), chunks, attributes)
        if stored["kind"] == "unreadable":
            return Node(path, "unreadable", attributes={"reason": stored.get("reason")})
        kind = KINDS.get(encoding, "group")
        if kind == "group" and (f"{path}/indptr" in self._stored() or "h5sparse_format" in attributes):
            kind = attributes.get("h5sparse_format", "csr")
        if kind in ("csr", "csc"):
            shape = tuple(attributes.get("shape") or attributes.get("h5sparse_shape") or self._seen(path).shape)
            data = self._stored().get(f"{path}/data", {})
            return Node(path, kind, shape, data.get("dtype", ""), None, attributes)
        return Node(path, kind, shape, "", None, attributes)

    def _seen(self, path: str) -> Node:
        """A node as the schema of its answer shows it."""
        info = self.connection.info(self.request(path))
        schema: pa.Schema = info.schema
        metadata = schema.metadata or {}
        attributes = json.loads(metadata.get(b"sliceflight.attributes", b"{}"))
        shape = tuple(json.loads(metadata.get(b"sliceflight.shape_before", b"[]")))
        if b"pandas" in metadata:
            return Node(path, "frame", shape, attributes=attributes)
        if len(schema) == 0:
            raise NotFound(f"node '{path}' has no columns")
        column = schema.field(len(schema) - 1)
        kind = convert.sparse_format(column) or ("array" if shape else "scalar")
        inner = column.type.value_type.field("value").type if kind in ("csr", "csc") else column.type
        return Node(path, kind, shape, convert.numpy_dtype(inner).str, None, attributes)


def numpy_name(name: str) -> np.dtype[Any] | None:
    """The dtype for the server's name of an element type; None when the name does not say it."""
    if name in ("str", "bytes", "object reference") or name[:1] in "SU" and name[1:].isdigit():
        return np.dtype(object)
    try:
        return np.dtype(name)
    except TypeError:
        return None


def _target(source: Json) -> Json:
    return {name: value for name, value in source.items() if name in ("key", "version", "uid", "collection", "url")}
