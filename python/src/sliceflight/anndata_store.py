"""One AnnData on the server: its elements by path, and its two axes with their names.

Sits between the accessors (what is asked for) and `element` (reading it). What is read whole and asked
for again is kept here, once for all views: names, obs, var, uns.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from . import convert
from .array import LazyArray
from .connection import Json
from .element import element, frame
from .node import Node, Tree
from .selection import Selection
from .sparse import LazySparse
from .stream import read

if TYPE_CHECKING:
    import pandas


class Store:
    """One AnnData on the server: its nodes, the names and lengths of its axes; read once each."""

    def __init__(self, tree: Tree, summary: Json, prefix: str = "", backend: str = "hdf5") -> None:
        self.tree, self.prefix, self.backend = tree, prefix, backend
        self.keys: dict[str, list[str]] = summary["attributes"]
        rows, columns = summary["shape"]
        self.axes = {"obs": StoredAxis(self, "obs", rows), "var": StoredAxis(self, "var", columns)}
        self.stored = summary.get("X")
        self.frames: dict[str, Any] = {}
        self._uns: dict[str, Any] | None = None

    def node(self, path: str) -> Node:
        """The node of an element."""
        return self.tree.get(self.prefix + path)

    def value(self, path: str, obs: Selection | None, var: Selection | None) -> Any:
        """An element in memory, of what is selected."""
        node, axes = self.node(path), {"obs": obs, "var": var}
        chosen = {name: selectors_for(node, axis) for name, axis in axes.items() if axis is not None}
        return element(self.tree, node, chosen)

    def lazy(self, path: str) -> Any:
        """An element that is read when it is indexed; data frames and the like in memory."""
        node = self.node(path)
        if node.kind in ("csr", "csc"):
            return LazySparse(self.tree, node, self.backend)
        if node.kind == "array":
            return LazyArray(self.tree, node, self.backend)
        return element(self.tree, node)

    def uns(self) -> dict[str, Any]:
        """A copy of uns, which is read once for all views."""
        if self._uns is None:
            self._uns = self.value("uns", None, None) if "uns" in self.keys else {}
        return copy.deepcopy(self._uns)

    def frame(self, path: str, selectors: Json, columns: list[str] | None = None) -> pandas.DataFrame:
        """Rows of obs or var."""
        path = self.prefix + path
        table = read(self.tree.connection, self.tree.request(path, columns=columns, **selectors))
        return convert.named(frame(self.tree, path, table))


def selectors_for(node: Node, axis: Selection) -> list[Json]:
    """The selectors of an axis for a node.

    The server looks a condition on a data frame of obsm up in that frame's own columns, so the rows of a
    condition on obs are named there.
    """
    selectors = axis.selectors()
    if node.kind == "frame" and any("where" in selector for selector in selectors):
        return [{"names": axis.names().tolist()}]
    return selectors


class StoredAxis:
    """Observations or variables: how many there are, and their names."""

    def __init__(self, store: Store, name: str, size: int) -> None:
        self._store, self._name, self.size = store, name, size
        self._names: Any = None
        self._index: str | None = None

    def count(self, selectors: list[Json]) -> int:
        """How many positions the server finds; it fails for a missing name or column."""
        tree = self._store.tree
        info = tree.connection.info(tree.request(self._store.prefix + self._name, **{self._name: selectors}))
        return info.total_records if info.total_records >= 0 else len(self.names(selectors))

    def names(self, selectors: list[Json]) -> pandas.Index:
        """The names of what selectors choose, a pandas Index."""
        if selectors:
            return self._read(selectors)
        if self._names is None:
            self._names = self._read([])
        return self._names

    def known_names(self) -> pandas.Index | None:
        """The names of the whole axis if they were read already."""
        return self._names

    def learn(self, names: pandas.Index) -> None:
        """Takes the names of the whole axis from someone who read them."""
        self._names = names

    def _read(self, selectors: list[Json]) -> pandas.Index:
        if self._index is None:
            tree = self._store.tree
            schema = tree.connection.info(tree.request(self._store.prefix + self._name)).schema
            self._index = json.loads(schema.metadata[b"pandas"])["index_columns"][0]
        return self._store.frame(self._name, {self._name: selectors}, [self._index]).index
